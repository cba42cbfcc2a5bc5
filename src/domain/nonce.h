/*
 * Random values that nobody can guess: states, the cookies of browsers, code verifiers. What the
 * database has of the first two is a digest.
 */
#ifndef DOMAIN_NONCE_H
#define DOMAIN_NONCE_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/digest.h"

#define NONCE_BYTES 32
/* Room for one, base64url, and its NUL. */
#define NONCE_SIZE BASE64URL_SIZE(NONCE_BYTES)
/* Room for a digest as PostgreSQL reads bytea, "\x…". */
#define NONCE_HASH_SIZE (SHA256_HEX_SIZE + 2)

/* Makes one, in @ret_nonce (NONCE_SIZE bytes). */
MUST_CHECK enum err nonce_new(char *ret_nonce);
/* Has @text the form of one? NULL has not. */
bool nonce_is_one(const char *text);
/* SHA-256 of @nonce, into @ret_hash (NONCE_HASH_SIZE bytes). */
MUST_CHECK enum err nonce_hash(const char *nonce, char *ret_hash);
/* The row of oauth_states with this digest, as vault.h names it; borrowed from @hash. */
const char *nonce_row(const char *hash);

#endif
