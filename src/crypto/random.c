#include "crypto/random.h"

#include <string.h>

#include <openssl/rand.h>

#include "crypto/digest.h"

#include "base/banned.h"

enum err random_bytes(void *buf, size_t len)
{
	return RAND_bytes(buf, (int)len) == 1 ? ERR_OK : ERR_INTERNAL;
}

enum err random_base64url(size_t len, char *ret_text)
{
	unsigned char bytes[64];
	enum err err;

	if (len > sizeof(bytes))
		return ERR_INTERNAL;
	err = random_bytes(bytes, len);
	if (!err)
		base64url_encode(bytes, len, ret_text);
	explicit_bzero(bytes, sizeof(bytes));
	return err;
}
