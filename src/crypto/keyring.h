/*
 * The keys that SECRET_KEY and SECRET_KEY_PREVIOUS stand for, and what is derived from them
 * (HKDF with SHA-256, RFC 5869). Each text is extracted into a key once; of that key are derived
 * its id, which sealed values carry, and one key for every purpose, never used for another.
 */
#ifndef CRYPTO_KEYRING_H
#define CRYPTO_KEYRING_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct keyring;

/* Room for a key's id, eight lower-case hexadecimal digits, and its NUL. */
#define KEY_ID_SIZE 9

/* Bytes of a derived key. */
#define KEYRING_KEY_SIZE 32

/* The key that seals and signs; all others only open and verify. */
#define KEYRING_CURRENT 0

/* Most bytes of @info of keyring_derive(). */
#define KEYRING_INFO_MAX 1536

/*
 * @current: the text of SECRET_KEY, not empty. @previous: further keys, comma-separated; NULL or
 * empty: none. A key that is there twice counts once. ERR_INTERNAL: OpenSSL refused.
 * @ret_keyring is owned by the caller: keyring_free(). Not for two threads at once.
 */
MUST_CHECK enum err keyring_new(const char *current, const char *previous,
				struct keyring **ret_keyring);
void keyring_free(struct keyring *keyring); /* wipes; NULL is fine */
/* For CLEANUP(keyring_free_ptr) struct keyring *k. */
void keyring_free_ptr(struct keyring **keyring);

/* How many keys there are: 0 (KEYRING_CURRENT) to one less are their indexes. */
size_t keyring_count(const struct keyring *keyring);

/* The id of key @index; borrowed from the keyring. */
const char *keyring_id(const struct keyring *keyring, size_t index);

/* Which key has the id @id, KEY_ID_SIZE - 1 characters? ERR_SECRET_KEY_UNKNOWN: none. */
MUST_CHECK enum err keyring_find(const struct keyring *keyring, const char *id, size_t *ret_index);

/*
 * HKDF-Expand of key @index with @info (a label and what else tells the derived key from all
 * others, NULs between: 1 to KEYRING_INFO_MAX bytes) into @ret_key, KEYRING_KEY_SIZE bytes.
 * The caller wipes @ret_key. ERR_LIMIT: @info is empty or too long; ERR_INTERNAL: OpenSSL refused.
 */
MUST_CHECK enum err keyring_derive(const struct keyring *keyring, size_t index, const void *info,
				   size_t info_len, unsigned char *ret_key);

#endif
