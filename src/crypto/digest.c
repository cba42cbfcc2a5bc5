#include "crypto/digest.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/banned.h"

enum err digest_sha256(const void *data, size_t len, unsigned char *ret_digest)
{
	unsigned int size = 0;

	if (EVP_Digest(data, len, ret_digest, &size, EVP_sha256(), NULL) != 1 ||
	    size != SHA256_SIZE)
		return ERR_INTERNAL;
	return ERR_OK;
}

void base64url_encode(const unsigned char *data, size_t len, char *ret_text)
{
	static const char alphabet[] = BASE64URL_ALPHABET;
	unsigned int bits = 0;
	int have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8) | data[i];
		for (have += 8; have >= 6; have -= 6)
			*ret_text++ = alphabet[(bits >> (have - 6)) & 63];
	}
	if (have)
		*ret_text++ = alphabet[(bits << (6 - have)) & 63];
	*ret_text = '\0';
}

/* Above 63: none of the alphabet. By a table: comparisons that the processor cannot foresee cost
 * ten times as much. */
static unsigned int base64url_value(char c)
{
	/* clang-format off */
	static const unsigned char one_more[256] = {
		['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,
		['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
		['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
		['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
		['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
		['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
		['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
		['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
	};
	/* clang-format on */

	return one_more[(unsigned char)c] - 1U;
}

bool base64url_decode(const char *text, unsigned char *ret_data, size_t *ret_len)
{
	unsigned int bits = 0;
	size_t len = 0;
	int have = 0;

	for (; *text; text++) {
		unsigned int value = base64url_value(*text);

		if (value > 63)
			return false;
		bits = (bits << 6) | value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			ret_data[len++] = (unsigned char)(bits >> have);
		}
	}
	/* Six bits left over are a lone character; fewer are spare and must be zero. */
	if (have >= 6 || bits & ((1U << have) - 1))
		return false;
	*ret_len = len;
	return true;
}

void hex_encode(const unsigned char *data, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*ret_text++ = digits[data[i] >> 4];
		*ret_text++ = digits[data[i] & 15];
	}
	*ret_text = '\0';
}

enum err digest_sha256_hex(const char *s, char *ret_text)
{
	unsigned char digest[SHA256_SIZE];
	enum err err = digest_sha256(s, strlen(s), digest);

	if (!err)
		hex_encode(digest, sizeof(digest), ret_text);
	return err;
}
