/*
 * API keys: "tsk_" and 256 random bits. Known to their holders alone; here there are digests.
 */
#ifndef DOMAIN_KEY_H
#define DOMAIN_KEY_H

#include "crypto/digest.h"
#include "domain/caller.h"
#include "domain/domain.h"
#include "store/key_store.h"

#define KEY_PREFIX "tsk_"
#define KEY_RANDOM_SIZE 32
#define KEY_SIZE (sizeof(KEY_PREFIX) - 1 + BASE64URL_SIZE(KEY_RANDOM_SIZE)) /* its NUL included */
#define KEY_HASH_SIZE (2 + SHA256_HEX_SIZE)

/* --- at the gate --------------------------------------------------------------------------------- */

/* The digest of @key as PostgreSQL reads it, into @ret_hash (KEY_HASH_SIZE bytes).
 * ERR_UNAUTHENTICATED: it has not the form of a key. */
MUST_CHECK enum err key_hash(const char *key, char *ret_hash);

/* Asks for the key with @hash, which is borrowed. */
void key_ask(const char *hash, struct db_query *query);
/* Whose key it is. ERR_UNAUTHENTICATED: unknown, expired or revoked; else the query's error.
 * @ret_caller borrows from @query. */
MUST_CHECK enum err key_answer(const struct db_query *query, struct caller *ret_caller);

/* After the answers: notes in one statement that the keys of @queries were used, of each once a
 * minute at most. What fails is left to the next use. */
void keys_note_use(const struct domain *domain, const struct db_query *queries, size_t count);

/* --- for whoever runs the service ----------------------------------------------------------------- */

/* Makes a key and writes it into @ret_key (KEY_SIZE bytes), the only time that it is seen;
 * fields->hash is set here. @ret_expires_at_us: 0: never. */
MUST_CHECK enum err key_create(struct db *db, struct key_fields *fields, char *ret_key,
			       int64_t *ret_id, int64_t *ret_expires_at_us);
/* ERR_NOT_FOUND: there is no key @id. @ret_revoked: false: it was revoked before. */
MUST_CHECK enum err key_revoke(struct db *db, int64_t id, bool *ret_revoked);

#endif
