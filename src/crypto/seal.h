/*
 * Values that are stored sealed: AES-256-GCM under a key of their own, bound to their place.
 *
 * As text: "v1.<key id>.<base64url(nonce, ciphertext, tag)>". The key is derived from the
 * keyring's key of that id for this table, column and row, which are also the associated data:
 * a value that was moved elsewhere does not open there.
 */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include <stdbool.h>

#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/keyring.h"

/* Most bytes that can be sealed; a provider's answer is smaller. */
#define SEAL_PLAIN_MAX (128 * 1024)

/* "v1.<key id>.", its NUL included. */
#define SEAL_HEAD_SIZE (3 + KEY_ID_SIZE + 1)

/* Bytes of the text of @n sealed bytes, its NUL included: head, nonce, tag. */
#define SEAL_TEXT_SIZE(n) (SEAL_HEAD_SIZE - 1 + BASE64URL_SIZE((n) + 12 + 16))

/* Where a sealed value stands. Borrowed texts; @row is known before the value is written and
 * never changes. */
struct seal_place {
	const char *table;
	const char *column;
	const char *row;
};

/* Seals the string @plain under the current key. @ret_text is the caller's: free().
 * ERR_LIMIT: @plain or the place is too long. ERR_INTERNAL: OpenSSL refused. */
MUST_CHECK enum err seal(const struct keyring *keyring, const struct seal_place *place,
			 const char *plain, char **ret_text);

/*
 * Opens @text. ERR_SECRET_KEY_UNKNOWN: sealed under a key that the keyring does not have.
 * ERR_SEALED_VALUE_DAMAGED: altered, cut short, or sealed for another place.
 * ERR_SEALED_VALUE_MALFORMED: no sealed value at all. ERR_LIMIT, ERR_INTERNAL as above.
 */
MUST_CHECK enum err unseal(const struct keyring *keyring, const struct seal_place *place,
			   const char *text, struct secret *ret_plain);

/* What every value begins with that is sealed under the current key, into @ret_head
 * (SEAL_HEAD_SIZE bytes). */
void seal_head(const struct keyring *keyring, char *ret_head);

/* Is @text sealed under the current key? Says nothing of whether it opens. */
bool seal_is_current(const struct keyring *keyring, const char *text);

#endif
