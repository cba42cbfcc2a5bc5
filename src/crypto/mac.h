#ifndef CRYPTO_MAC_H
#define CRYPTO_MAC_H

#include "crypto/digest.h"
#include "crypto/keyring.h"

#define MAC_SIZE SHA256_SIZE

/*
 * HMAC-SHA256 of the string @text, under the key that key @index of @keyring has for @label and
 * for nothing else, into @ret_mac (MAC_SIZE bytes). ERR_INTERNAL: OpenSSL refused.
 */
MUST_CHECK enum err mac_sign(const struct keyring *keyring, size_t index, const char *label,
			     const char *text, unsigned char *ret_mac);

/* Is @mac, MAC_SIZE bytes, what any key of @keyring signs @text with? In constant time for each
 * key. ERR_FORBIDDEN: no. */
MUST_CHECK enum err mac_verify(const struct keyring *keyring, const char *label, const char *text,
			       const unsigned char *mac);

#endif
