/* UTF-8: as strict as iconv, which is another implementation, and the same number of characters. */
#include "fuzz.h"

#include <iconv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static iconv_t converter;
	char *text = malloc(size ? size : 1);
	char *wide = malloc(4 * size + 4);
	char *from = text, *to = wide;
	size_t left = size, room = 4 * size + 4, chars = 0;
	bool valid, expected;

	FUZZ_CHECK(text && wide);
	if (size)
		memcpy(text, data, size);
	if (!converter)
		converter = iconv_open("UTF-32LE", "UTF-8");
	FUZZ_CHECK(converter != (iconv_t)-1);
	iconv(converter, NULL, NULL, NULL, NULL);
	expected = iconv(converter, &from, &left, &to, &room) != (size_t)-1 && !left &&
		   !memchr(text, '\0', size);
	valid = utf8_valid(text, size, &chars);
	FUZZ_CHECK(valid == expected);
	FUZZ_CHECK(!valid || chars == (size_t)(to - wide) / 4);
	free(text);
	free(wide);
	return 0;
}
