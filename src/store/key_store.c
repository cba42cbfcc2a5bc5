#include "store/key_store.h"

#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt KEY_BY_HASH = {
	.name = "key_by_hash", .nparams = 1, .ncols = 6, .effect = DB_READS, .binary = true,
	.sql = "SELECT id, role, branches, revoked_at IS NOT NULL, "
	       "COALESCE(expires_at <= statement_timestamp(), false), "
	       "COALESCE(last_used_at > statement_timestamp() - interval '1 minute', false) "
	       "FROM api_keys WHERE key_hash = $1::bytea",
};

static const struct db_stmt KEYS_USED = {
	.name = "keys_used", .nparams = 1, .ncols = 0, .effect = DB_WRITES,
	.sql = "UPDATE api_keys SET last_used_at = now() WHERE id IN (SELECT id FROM api_keys WHERE id = ANY ($1::bigint[]) "
	       "AND COALESCE(last_used_at <= now() - interval '1 minute', true) FOR UPDATE SKIP LOCKED)",
};

#define KEY_DETAIL "format('key %s: %s, %s, branches %s', id, role, label, COALESCE(branches, '*'))"

static const struct db_stmt KEY_INSERT = {
	.name = "key_insert", .nparams = 5, .ncols = 2, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH k AS (INSERT INTO api_keys (key_hash, role, label, branches, expires_at) "
	       "VALUES ($1::bytea, $2, $3, $4, now() + NULLIF($5::bigint, 0) * interval '1 second') RETURNING *), "
	       "a AS (INSERT INTO audit_log (actor, action, detail) SELECT 'cli', 'key.created', " KEY_DETAIL
	       " FROM k) SELECT id, " SQL_US("expires_at") " FROM k",
};

static const struct db_stmt KEY_LIST = {
	.name = "key_list", .nparams = 0, .ncols = 8, .effect = DB_READS,
	.sql = "SELECT id, role, label, branches, CASE WHEN revoked_at IS NOT NULL THEN 'revoked' "
	       "WHEN expires_at <= now() THEN 'expired' ELSE 'active' END, " SQL_US("created_at") ", "
	       SQL_US("expires_at") ", " SQL_US("last_used_at") " FROM api_keys ORDER BY id",
};

static const struct db_stmt KEY_REVOKE = {
	.name = "key_revoke", .nparams = 1, .ncols = 2, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH k AS (UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING *), "
	       "a AS (INSERT INTO audit_log (actor, action, detail) SELECT 'cli', 'key.revoked', " KEY_DETAIL
	       " FROM k) SELECT EXISTS (SELECT FROM api_keys WHERE id = $1), EXISTS (SELECT FROM k)",
};
/* clang-format on */

void key_by_hash_query(struct db_query *query, const char *hash)
{
	db_query_init(query, &KEY_BY_HASH);
	db_query_text(query, hash);
}

void key_row(const struct db_query *query, struct key_row *ret_row)
{
	*ret_row = (struct key_row){
		.id = db_int(query, 0, 0),
		.role = db_text(query, 0, 1),
		.branches = db_text(query, 0, 2),
		.is_revoked = db_bool(query, 0, 3),
		.is_expired = db_bool(query, 0, 4),
		.is_use_noted = db_bool(query, 0, 5),
	};
}

void keys_used_query(struct db_query *query, const char *ids)
{
	db_query_init(query, &KEYS_USED);
	db_query_text(query, ids);
}

void key_insert_query(struct db_query *query, const struct key_fields *fields)
{
	db_query_init(query, &KEY_INSERT);
	db_query_text(query, fields->hash);
	db_query_text(query, fields->role);
	db_query_text(query, fields->label);
	db_query_text(query, fields->branches);
	db_query_int(query, fields->expires_in_s);
}

void key_list_query(struct db_query *query)
{
	db_query_init(query, &KEY_LIST);
}

void key_list_row(const struct db_query *query, int row, struct key_list_row *ret_row)
{
	*ret_row = (struct key_list_row){
		.id = db_int(query, row, 0),
		.role = db_text(query, row, 1),
		.label = db_text(query, row, 2),
		.branches = db_text(query, row, 3),
		.state = db_text(query, row, 4),
		.created_at_us = db_int(query, row, 5),
		.expires_at_us = db_int(query, row, 6),
		.last_used_at_us = db_int(query, row, 7),
	};
}

void key_revoke_query(struct db_query *query, int64_t id)
{
	db_query_init(query, &KEY_REVOKE);
	db_query_int(query, id);
}
