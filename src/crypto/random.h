#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/* Fills @buf with @len bytes of OpenSSL's generator. ERR_INTERNAL: it has none to give. */
MUST_CHECK enum err random_bytes(void *buf, size_t len);

/* Writes @len random bytes as unpadded base64url into @ret_text, BASE64URL_SIZE(@len) bytes.
 * @len is at most 64. */
MUST_CHECK enum err random_base64url(size_t len, char *ret_text);

#endif
