#include "crypto/digest.h"

#include <stdio.h>
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
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
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

enum err digest_sha256_hex(const char *s, char *ret_text)
{
	unsigned char digest[SHA256_SIZE];
	enum err err = digest_sha256(s, strlen(s), digest);

	for (size_t i = 0; !err && i < SHA256_SIZE; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
	return err;
}
