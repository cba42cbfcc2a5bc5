#include "store/client_store.h"

#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
#define CLIENT_COLUMNS                                                                            \
	"c.id, c.client_id, c.redirect_uri, c.branch_id, c.workspace_email, c.workspace_name, "   \
	"c.is_active, " SQL_US("c.created_at") ", " SQL_US("c.updated_at") ", t.id IS NOT NULL, " \
	"t.is_valid, t.is_revoked, " SQL_US("t.expires_at") ", " SQL_US("t.last_refreshed_at")    \
	", t.refresh_error, " SQL_US("statement_timestamp()") ", t.consent_version, "             \
	"t.provider_error, " SQL_US("greatest(t.refresh_retry_at, t.provider_retry_at)")
#define CLIENT_NCOLS 19

static const struct db_stmt CLIENT_INSERT = {
	.name = "client_insert", .nparams = 9, .ncols = CLIENT_NCOLS, .effect = DB_WRITES,
	.sql = "WITH c AS (INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, "
	       "workspace_email, workspace_name) VALUES ($1, $2, $3, $4, $5, $6) RETURNING *), "
	       "audit AS (" SQL_AUDIT("$7", "$8", "$9", "'client.registered', c.id, c.branch_id, NULL") "FROM c) "
	       "SELECT " CLIENT_COLUMNS " FROM c LEFT JOIN tokens t ON t.client_id = c.id",
};

static const struct db_stmt CLIENT_BY_ID = {
	.name = "client_by_id", .nparams = 1, .ncols = CLIENT_NCOLS, .effect = DB_READS,
	.sql = "SELECT " CLIENT_COLUMNS " FROM clients c LEFT JOIN tokens t ON t.client_id = c.id "
	       "WHERE c.id = $1",
};

/* As client_token_state(); a test holds the two together. */
#define TOKEN_STATE                                                                               \
	"CASE WHEN t.id IS NULL THEN 'none' WHEN t.is_revoked THEN 'revoked' "                    \
	"WHEN NOT t.is_valid THEN 'reauthorization_required' "                                    \
	"WHEN t.expires_at <= statement_timestamp() THEN 'expired' "                              \
	"WHEN t.expires_at <= statement_timestamp() + $5 * interval '1 second' THEN 'expiring' "  \
	"ELSE 'valid' END"

/* What a search looks at for one page, so that one that finds little takes no longer than another:
 * its callers share a round trip with those of tokens. */
#define SCANNED "20000"

/* The last column is where the search stopped, NULL at the end of the table; a row without a client
 * carries it when there is none. */
static const struct db_stmt CLIENT_PAGE = {
	.name = "client_page", .nparams = 5, .ncols = CLIENT_NCOLS + 1, .effect = DB_READS, .takes_long = true,
	.sql = "SELECT page.*, s.stopped FROM (SELECT max(id) AS last, "
	       "CASE WHEN count(*) = " SCANNED " THEN max(id) END AS stopped "
	       "FROM (SELECT id FROM clients WHERE id > $1 ORDER BY id LIMIT "
	       "CASE WHEN $2::text IS NULL AND $4::text IS NULL THEN $3::bigint ELSE " SCANNED " END) i) s "
	       "LEFT JOIN LATERAL (SELECT " CLIENT_COLUMNS
	       " FROM clients c LEFT JOIN tokens t ON t.client_id = c.id "
	       "WHERE c.id > $1 AND c.id <= s.last AND ($2::text IS NULL OR c.branch_id ILIKE $2 OR c.workspace_email "
	       "ILIKE $2 OR c.workspace_name ILIKE $2 OR c.client_id ILIKE $2) "
	       "AND ($4::text IS NULL OR $4 = " TOKEN_STATE ") "
	       "ORDER BY c.id LIMIT $3::bigint) page ON true ORDER BY page.id",
};

static const struct db_stmt CLIENT_NOT_HTTPS = {
	.name = "client_not_https", .nparams = 2, .ncols = 2, .effect = DB_READS,
	.sql = "SELECT id, redirect_uri FROM clients WHERE id > $1 AND redirect_uri NOT ILIKE 'https://%' "
	       "ORDER BY id LIMIT $2::bigint",
};

/* The names of the fields that are not what they were, for the audit trail. A secret is sealed anew
 * and cannot be compared. */
#define CHANGED_FIELDS                                                                            \
	"concat_ws(', ', CASE WHEN $2::text IS NOT NULL THEN 'client_secret' END, "                   \
	"CASE WHEN n.redirect_uri <> old.redirect_uri THEN 'redirect_uri' END, "                  \
	"CASE WHEN n.workspace_email <> old.workspace_email THEN 'workspace_email' END, "         \
	"CASE WHEN n.workspace_name IS DISTINCT FROM old.workspace_name THEN 'workspace_name' END, " \
	"CASE WHEN n.is_active <> old.is_active THEN 'is_active' END)"

/* A new secret ends our own backoff, not the provider's Retry-After; a client that is active again
 * is the refreshers' again.
 * The token's row lock is taken only when it is free: a refresh under way holds it for as long
 * as the provider takes, and reads the client after it has the lock, so the new secret counts
 * from the next refresh on in either case.
 * The old row is locked before the update looks for it: it is the newest, after any wait. */
static const struct db_stmt CLIENT_UPDATE = {
	.name = "client_update", .nparams = 10, .ncols = CLIENT_NCOLS, .effect = DB_WRITES,
	.sql = "WITH c AS (UPDATE clients n SET client_secret = COALESCE($2, n.client_secret), "
	       "redirect_uri = COALESCE($3, n.redirect_uri), "
	       "workspace_email = COALESCE($4, n.workspace_email), "
	       "workspace_name = CASE WHEN $6::boolean THEN NULL ELSE COALESCE($5, n.workspace_name) END, "
	       "is_active = COALESCE($7::boolean, n.is_active), updated_at = now() "
	       "FROM (SELECT * FROM clients WHERE id = $1 FOR NO KEY UPDATE) old WHERE n.id = old.id "
	       "RETURNING n.*, " CHANGED_FIELDS " AS changed), "
	       "free AS (SELECT t.id FROM tokens t JOIN c ON c.id = t.client_id "
	       "WHERE ($2 IS NOT NULL AND t.refresh_failures > 0 OR $7::boolean) "
	       "AND t.is_valid AND NOT t.is_revoked FOR UPDATE OF t SKIP LOCKED), "
	       "due AS (UPDATE tokens SET refresh_due_at = "
	       "COALESCE(refresh_due_at, greatest(now(), refresh_retry_at, provider_retry_at)) "
	       "WHERE $2 IS NULL AND id IN (SELECT id FROM free)), "
	       "cleared AS (UPDATE tokens SET refresh_retry_at = NULL, refresh_failures = 0, "
	       "refresh_error = NULL, provider_error = NULL, refresh_began_at = NULL, "
	       "refresh_due_at = greatest(now(), provider_retry_at) "
	       "WHERE $2 IS NOT NULL AND id IN (SELECT id FROM free)), "
	       "audit AS (" SQL_AUDIT("$8", "$9", "$10", "'client.changed', c.id, c.branch_id, c.changed")
	       "FROM c WHERE c.changed <> '') "
	       "SELECT " CLIENT_COLUMNS " FROM c LEFT JOIN tokens t ON t.client_id = c.id",
};

static const struct db_stmt CLIENT_LOCK = {
	.name = "client_lock", .nparams = 1, .ncols = 1, .effect = DB_WRITES,
	.sql = "SELECT id FROM clients WHERE id = $1 FOR UPDATE",
};

static const struct db_stmt CLIENT_DELETE = {
	.name = "client_delete", .nparams = 4, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH c AS (DELETE FROM clients WHERE id = $1 RETURNING id, branch_id), "
	       "audit AS (" SQL_AUDIT("$2", "$3", "$4", "'client.deleted', c.id, c.branch_id, NULL") "FROM c) "
	       "SELECT id FROM c",
};
/* clang-format on */

void client_insert_query(struct db_query *query, const struct client_fields *fields,
			 const struct audit_actor *actor)
{
	db_query_init(query, &CLIENT_INSERT);
	db_query_text(query, fields->client_id);
	db_query_text(query, fields->client_secret);
	db_query_text(query, fields->redirect_uri);
	db_query_text(query, fields->branch_id);
	db_query_text(query, fields->workspace_email);
	db_query_text(query, fields->workspace_name);
	audit_bind(query, actor);
}

void client_by_id_query(struct db_query *query, int64_t id)
{
	db_query_init(query, &CLIENT_BY_ID);
	db_query_int(query, id);
}

void client_page_query(struct db_query *query, const struct client_page *page)
{
	db_query_init(query, &CLIENT_PAGE);
	db_query_int(query, page->after);
	db_query_text(query, page->search);
	db_query_int(query, page->limit);
	db_query_text(query, page->state);
	db_query_int(query, page->buffer_s);
}

int client_page_rows(const struct db_query *query)
{
	int rows = db_rows(query);

	return rows > 0 && db_is_null(query, 0, 0) ? 0 : rows;
}

int64_t client_page_stopped(const struct db_query *query)
{
	return db_rows(query) > 0 ? db_int(query, 0, CLIENT_NCOLS) : 0;
}

void client_not_https_query(struct db_query *query, int64_t after, int limit)
{
	db_query_init(query, &CLIENT_NOT_HTTPS);
	db_query_int(query, after);
	db_query_int(query, limit);
}

void client_update_query(struct db_query *query, int64_t id, const struct client_fields *fields,
			 const struct audit_actor *actor)
{
	db_query_init(query, &CLIENT_UPDATE);
	db_query_int(query, id);
	db_query_text(query, fields->client_secret);
	db_query_text(query, fields->redirect_uri);
	db_query_text(query, fields->workspace_email);
	db_query_text(query, fields->workspace_name);
	db_query_bool(query, fields->clear_workspace_name);
	db_query_text(query, fields->is_active);
	audit_bind(query, actor);
}

void client_lock_query(struct db_query *query, int64_t id)
{
	db_query_init(query, &CLIENT_LOCK);
	db_query_int(query, id);
}

void client_delete_query(struct db_query *query, int64_t id, const struct audit_actor *actor)
{
	db_query_init(query, &CLIENT_DELETE);
	db_query_int(query, id);
	audit_bind(query, actor);
}

void client_row(const struct db_query *query, int row, struct client_row *ret_row)
{
	*ret_row = (struct client_row){
		.id = db_int(query, row, 0),
		.client_id = db_text(query, row, 1),
		.redirect_uri = db_text(query, row, 2),
		.branch_id = db_text(query, row, 3),
		.workspace_email = db_text(query, row, 4),
		.workspace_name = db_text(query, row, 5),
		.is_active = db_bool(query, row, 6),
		.created_at_us = db_int(query, row, 7),
		.updated_at_us = db_int(query, row, 8),
		.has_token = db_bool(query, row, 9),
		.is_valid = db_bool(query, row, 10),
		.is_revoked = db_bool(query, row, 11),
		.expires_at_us = db_int(query, row, 12),
		.last_refreshed_at_us = db_int(query, row, 13),
		.refresh_error = db_text(query, row, 14),
		.now_us = db_int(query, row, 15),
		.consent_version = db_int(query, row, 16),
		.provider_error = db_text(query, row, 17),
		.retry_at_us = db_int(query, row, 18),
	};
}
