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

/* -1: none of the alphabet */
static int base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_decode(const char *text, unsigned char *ret_data, size_t *ret_len)
{
	unsigned int bits = 0;
	size_t len = 0;
	int have = 0;

	for (; *text; text++) {
		int value = base64url_value(*text);

		if (value < 0)
			return false;
		bits = (bits << 6) | (unsigned int)value;
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
