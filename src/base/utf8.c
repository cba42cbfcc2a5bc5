#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

#include "base/banned.h"

/* Length of the sequence that begins with @lead, 0 for a byte that begins none. */
static size_t sequence_len(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xC2 && lead <= 0xDF)
		return 2;
	if ((lead & 0xF0) == 0xE0)
		return 3;
	if (lead >= 0xF0 && lead <= 0xF4)
		return 4;
	return 0;
}

bool utf8_valid(const char *s, size_t len, size_t *ret_chars)
{
	static const uint32_t lowest[] = { 0, 1, 0x80, 0x800, 0x10000 };
	size_t chars = 0;

	for (size_t i = 0; i < len; chars++) {
		unsigned char lead = (unsigned char)s[i];
		size_t n = sequence_len(lead);
		uint32_t code;

		if (!n || n > len - i)
			return false;
		code = n == 1 ? lead : lead & (0xFFu >> (n + 1));
		for (size_t k = 1; k < n; k++) {
			unsigned char c = (unsigned char)s[i + k];

			if ((c & 0xC0) != 0x80)
				return false;
			code = (code << 6) | (c & 0x3Fu);
		}
		/* too long a form, NUL, UTF-16 surrogates, past the last plane */
		if (code < lowest[n] || (code >= 0xD800 && code <= 0xDFFF) || code > 0x10FFFF)
			return false;
		i += n;
	}
	if (ret_chars)
		*ret_chars = chars;
	return true;
}

size_t utf8_sequence(const char *s)
{
	size_t len = sequence_len((unsigned char)*s);

	return len && strnlen(s, len) == len && utf8_valid(s, len, NULL) ? len : 0;
}
