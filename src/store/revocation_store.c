#include "store/revocation_store.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt REVOCATION_ADD = {
	.name = "revocation_add", .nparams = 2, .ncols = 1, .effect = DB_WRITES,
	.sql = "INSERT INTO revocations (client_id, workspace_email, token, token_client_id, retry_at) "
	       "SELECT c.client_id, c.workspace_email, t.refresh_token, t.client_id, "
	       "clock_timestamp() + $2::bigint * interval '1 second' FROM tokens t JOIN clients c ON c.id = t.client_id "
	       "WHERE t.client_id = $1 AND t.is_valid AND NOT t.is_revoked RETURNING id",
};

static const struct db_stmt REVOCATION_ADD_GRANT = {
	.name = "revocation_add_grant", .nparams = 4, .ncols = 0, .effect = DB_WRITES,
	.sql = "INSERT INTO revocations (client_id, workspace_email, token, token_client_id) "
	       "VALUES ($1, $2, $3, $4)",
};

/* Google may end the whole grant of a person to an OAuth client: while another branch stands on
 * it, or stands on it again, it is not revoked there. Asked at the last moment. */
static const struct db_stmt REVOCATION_TAKE = {
	.name = "revocation_take", .nparams = 2, .ncols = 5, .effect = DB_WRITES,
	.sql = "UPDATE revocations r SET retry_at = now() + $2::bigint * interval '1 second', "
	       "attempts = r.attempts + 1 WHERE r.id = (SELECT n.id FROM revocations n "
	       "WHERE CASE WHEN $1::bigint = 0 THEN n.retry_at <= now() ELSE n.id = $1::bigint END "
	       "ORDER BY n.retry_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
	       "RETURNING r.id, r.token, EXISTS (SELECT FROM clients c JOIN tokens t ON t.client_id = c.id "
	       "WHERE c.client_id = r.client_id AND c.workspace_email = r.workspace_email "
	       "AND t.is_valid AND NOT t.is_revoked), r.attempts, r.token_client_id",
};

static const struct db_stmt REVOCATION_DONE = {
	.name = "revocation_done", .nparams = 1, .ncols = 0, .effect = DB_WRITES,
	.sql = "DELETE FROM revocations WHERE id = $1",
};

static const struct db_stmt REVOCATION_FAILED = {
	.name = "revocation_failed", .nparams = 3, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH old AS (DELETE FROM revocations WHERE id = $1 "
	       "AND created_at < now() - $3::bigint * interval '1 second' RETURNING id), "
	       "kept AS (UPDATE revocations SET retry_at = now() + $2::bigint * interval '1 second' "
	       "WHERE id = $1 AND NOT EXISTS (SELECT FROM old) RETURNING id) "
	       "SELECT EXISTS (SELECT FROM kept)",
};
/* clang-format on */

void revocation_add_query(struct db_query *query, int64_t client_id, int retry_in_s)
{
	db_query_init(query, &REVOCATION_ADD);
	db_query_int(query, client_id);
	db_query_int(query, retry_in_s);
}

void revocation_add_grant_query(struct db_query *query, const struct revocation_grant *grant)
{
	db_query_init(query, &REVOCATION_ADD_GRANT);
	db_query_text(query, grant->client_id);
	db_query_text(query, grant->workspace_email);
	db_query_text(query, grant->token);
	db_query_int(query, grant->token_client_id);
}

void revocation_take_query(struct db_query *query, int64_t id, int hold_s)
{
	db_query_init(query, &REVOCATION_TAKE);
	db_query_int(query, id);
	db_query_int(query, hold_s);
}

void revocation_row(const struct db_query *query, struct revocation_row *ret_row)
{
	*ret_row = (struct revocation_row){
		.id = db_int(query, 0, 0),
		.token = db_text(query, 0, 1),
		.is_shared = db_bool(query, 0, 2),
		.attempts = (int)db_int(query, 0, 3),
		.token_client_id = db_int(query, 0, 4),
	};
}

void revocation_done_query(struct db_query *query, int64_t id)
{
	db_query_init(query, &REVOCATION_DONE);
	db_query_int(query, id);
}

void revocation_failed_query(struct db_query *query, int64_t id, int retry_in_s, int give_up_s)
{
	db_query_init(query, &REVOCATION_FAILED);
	db_query_int(query, id);
	db_query_int(query, retry_in_s);
	db_query_int(query, give_up_s);
}
