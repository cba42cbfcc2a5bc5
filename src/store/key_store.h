/*
 * The api_keys table: statements, and their rows. A *_row() borrows strings from its query.
 */
#ifndef STORE_KEY_STORE_H
#define STORE_KEY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"

struct key_row {
	int64_t id;
	const char *role;     /* "admin", "fetcher" */
	const char *branches; /* NULL: all */
	bool is_revoked;
	bool is_expired;
	bool is_use_noted; /* last_used_at is less than a minute old */
};

/* No row or one. @hash: SHA-256 of the key as PostgreSQL writes bytea, "\x…"; borrowed. */
void key_by_hash_query(struct db_query *query, const char *hash);
void key_row(const struct db_query *query, struct key_row *ret_row);

/* Notes the use of the keys @ids, an array as PostgreSQL reads it ("{1,2}"; borrowed), but of those
 * of which that was done within the last minute, or is being done by somebody else. */
void keys_used_query(struct db_query *query, const char *ids);

/* --- for the owner of the table alone, with DATABASE_ADMIN_URL ----------------------------------- */

struct key_fields {
	const char *hash; /* as above */
	const char *role;
	const char *label;
	const char *branches; /* NULL: all */
	int64_t expires_in_s; /* 0: never */
};

/* One row: id, and expires_at in microseconds since 1970 (NULL: never). */
void key_insert_query(struct db_query *query, const struct key_fields *fields);

struct key_list_row {
	int64_t id;
	const char *role;
	const char *label;
	const char *branches; /* NULL: all */
	const char *state;    /* "active", "expired", "revoked" */
	int64_t created_at_us;
	int64_t expires_at_us;   /* 0: never */
	int64_t last_used_at_us; /* 0: never */
};

/* All of them, the oldest first. */
void key_list_query(struct db_query *query);
void key_list_row(const struct db_query *query, int row, struct key_list_row *ret_row);

/* One row of two: is there such a key, was it revoked just now? */
void key_revoke_query(struct db_query *query, int64_t id);

#endif
