#include "domain/nonce.h"

#include <string.h>

#include "crypto/random.h"

#include "base/banned.h"

#define BYTEA_PREFIX "\\x"
#define BYTEA_PREFIX_LEN (sizeof(BYTEA_PREFIX) - 1)

enum err nonce_new(char *ret_nonce)
{
	return random_base64url(NONCE_BYTES, ret_nonce);
}

bool nonce_is_one(const char *text)
{
	return text && strlen(text) == NONCE_SIZE - 1 &&
	       strspn(text, BASE64URL_ALPHABET) == NONCE_SIZE - 1;
}

enum err nonce_hash(const char *nonce, char *ret_hash)
{
	memcpy(ret_hash, BYTEA_PREFIX, BYTEA_PREFIX_LEN);
	return digest_sha256_hex(nonce, ret_hash + BYTEA_PREFIX_LEN);
}

const char *nonce_row(const char *hash)
{
	return hash + BYTEA_PREFIX_LEN;
}
