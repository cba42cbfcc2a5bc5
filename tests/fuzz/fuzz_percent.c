/* Percent-decoding: the result is UTF-8 without NUL, no longer than the text, and encodes back. */
#include "fuzz.h"

#include "base/strbuf.h"
#include "http/params.h"

static void check(const char *text, size_t len, bool form)
{
	char *decoded = malloc(len + 1); /* exactly as large as asked for */
	char *again;
	CLEANUP(strbuf_release) struct strbuf encoded = STRBUF_INIT(3 * len + 1);

	FUZZ_CHECK(decoded != NULL);
	if (http_percent_decode(text, len, form, decoded)) {
		free(decoded);
		return;
	}
	FUZZ_CHECK(strlen(decoded) <= len && fuzz_is_utf8(decoded));
	strbuf_put_percent(&encoded, decoded);
	FUZZ_CHECK(strbuf_ok(&encoded));
	again = malloc(encoded.len + 1);
	FUZZ_CHECK(again != NULL);
	FUZZ_CHECK(http_percent_decode(encoded.data, encoded.len, form, again) == ERR_OK);
	FUZZ_CHECK(!strcmp(again, decoded));
	/* What has nothing to decode stays as it is. */
	if (!memchr(text, '%', len) && !(form && memchr(text, '+', len)))
		FUZZ_CHECK(strlen(decoded) == len && !memcmp(decoded, text, len));
	free(again);
	free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The text has no NUL behind it, and may hold some. */
	char *text = malloc(size ? size : 1);

	FUZZ_CHECK(text != NULL);
	if (size)
		memcpy(text, data, size);
	check(text, size, false);
	check(text, size, true);
	free(text);
	return 0;
}
