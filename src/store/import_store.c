#include "store/import_store.h"

#include <stddef.h>

#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */

/* The columns there may be timestamps without a time zone, which are UTC, or with one: the epoch of
 * either is the same number. What no year has is as good as NULL. */
#define SOURCE_US(column) \
	"CASE WHEN " column " BETWEEN '1970-01-01' AND '2999-12-31' THEN " SQL_US(column) " END"
#define IS_VALID(t) "COALESCE(" t ".is_valid AND NOT COALESCE(" t ".is_revoked, false), false)"

/* The tables grow from nothing while one statement is run again and again: a plan that was good for
 * the first pages would read all of them for each later one. */
static const struct db_stmt PLANS = {
	.name = "import_plans", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT set_config('plan_cache_mode', 'force_custom_plan', false)",
};

static const struct db_stmt SOURCE_KIND = {
	.name = "import_source_kind", .nparams = 0, .ncols = 2, .effect = DB_READS,
	.sql = "SELECT to_regclass('clients') IS NOT NULL AND to_regclass('tokens') IS NOT NULL, "
	       "to_regclass('secret_key_canary') IS NOT NULL",
};

static const struct db_stmt SOURCE_SIZE = {
	.name = "import_source_size", .nparams = 0, .ncols = 2, .effect = DB_READS,
	.sql = "SELECT (SELECT count(*) FROM clients), "
	       "COALESCE(greatest((SELECT max(id) FROM clients), (SELECT max(id) FROM tokens)), 0)",
};

/* A token's client_id may have no index there: the page's tokens are found together. */
static const struct db_stmt SOURCE_PAGE = {
	.name = "import_source_page", .nparams = 2, .ncols = 20, .effect = DB_READS,
	.sql = "WITH page AS MATERIALIZED (SELECT * FROM clients WHERE id > $1::bigint ORDER BY id LIMIT $2::bigint), "
	       "best AS (SELECT DISTINCT ON (t.client_id) t.* FROM tokens t "
	       "WHERE t.client_id IN (SELECT id FROM page) ORDER BY t.client_id, " IS_VALID("t")
	       " DESC, t.created_at DESC NULLS LAST, t.id DESC) "
	       "SELECT c.id, c.client_id, c.client_secret, c.redirect_uri, c.branch_id, c.workspace_email, "
	       "c.workspace_name, c.is_active, " SOURCE_US("c.created_at") ", " SOURCE_US("c.updated_at")
	       ", t.id, t.access_token, t.refresh_token, t.token_type, t.scope, " IS_VALID("t")
	       ", t.is_revoked, " SOURCE_US("t.expires_at") ", " SOURCE_US("t.created_at") ", "
	       SOURCE_US("t.last_refreshed_at")
	       " FROM page c LEFT JOIN best t ON t.client_id = c.id ORDER BY c.id",
};

/* When what is stored was obtained: of a good row that is when its last refresh or consent began. */
static const struct db_stmt TARGET_PAGE = {
	.name = "import_target_page", .nparams = 1, .ncols = 22, .effect = DB_READS, .for_owner = true,
	.sql = "SELECT r.id, " SQL_US("statement_timestamp()") ", o.id, c.id IS NOT NULL, c.client_id, "
	       "c.client_secret, c.redirect_uri, c.branch_id, c.workspace_email, c.workspace_name, c.is_active, "
	       SQL_US("c.updated_at") ", i.client_id IS NOT NULL, i.client_mac, i.token_mac, i.grant_version, "
	       "i.consent_version, t.grant_version, t.consent_version, t.is_valid, t.is_revoked, "
	       SQL_US("CASE WHEN t.refresh_error IS NULL THEN t.refresh_began_at "
		      "ELSE COALESCE(t.last_refreshed_at, t.created_at) END")
	       " FROM json_to_recordset($1::json) AS r (id bigint, branch_id text) "
	       "LEFT JOIN clients c ON c.id = r.id LEFT JOIN clients o ON o.branch_id = r.branch_id AND o.id <> r.id "
	       "LEFT JOIN imported_clients i ON i.client_id = r.id LEFT JOIN tokens t ON t.client_id = c.id "
	       "ORDER BY r.id",
};

#define CLIENT_RECORD                                                                             \
	"json_to_recordset($1::json) AS r (id bigint, client_id text, client_secret text, "       \
	"redirect_uri text, branch_id text, workspace_email text, workspace_name text, "          \
	"is_active boolean, created_at_us bigint, updated_at_us bigint, mac text)"
#define AUDIT(action, detail) SQL_AUDIT("NULL", "'cli'", "NULL", action ", c.id, c.branch_id, " detail)

static const struct db_stmt INSERTS = {
	.name = "import_inserts", .nparams = 1, .ncols = 1, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH r AS (SELECT * FROM " CLIENT_RECORD "), "
	       "c AS (INSERT INTO clients (id, client_id, client_secret, redirect_uri, branch_id, workspace_email, "
	       "workspace_name, is_active, created_at, updated_at) "
	       "SELECT id, client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name, "
	       "is_active, " SQL_TIME("created_at_us") ", " SQL_TIME("updated_at_us") " FROM r "
	       "ON CONFLICT DO NOTHING RETURNING id, branch_id), "
	       "i AS (INSERT INTO imported_clients (client_id, client_mac) "
	       "SELECT r.id, r.mac FROM r JOIN c ON c.id = r.id), "
	       "audit AS (" AUDIT("'client.imported'", "NULL") "FROM c) "
	       "SELECT count(*) FROM c",
};

/* After r, what came, and g, the grants that were written of it. @also: further columns, each with a comma. */
#define GRANTS_NOTED(also, detail)                                                                \
	"i AS (UPDATE imported_clients i SET token_mac = r.mac, grant_version = g.grant_version, " \
	also "imported_at = clock_timestamp() "                                                   \
	"FROM g JOIN r ON r.client_id = g.client_id WHERE i.client_id = g.client_id), "           \
	"audit AS (" AUDIT("'grant.imported'", detail)                                            \
	"FROM g JOIN clients c ON c.id = g.client_id) SELECT count(*) FROM g"

/* The id of a token means nothing to anybody: where another has it, it gets a new one. */
static const struct db_stmt TOKENS = {
	.name = "import_tokens", .nparams = 1, .ncols = 1, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH r AS (SELECT * FROM json_to_recordset($1::json) AS r (client_id bigint, token_id bigint, "
	       "access_token text, refresh_token text, token_type text, scope text, expires_at_us bigint, "
	       "began_us bigint, due_us bigint, refreshed_at_us bigint, created_at_us bigint, "
	       "grant_version bigint, mac text)), "
	       "g AS (INSERT INTO tokens AS t (id, client_id, access_token, refresh_token, token_type, scope, "
	       "expires_at, refresh_began_at, refresh_due_at, last_refreshed_at, created_at, grant_version) "
	       "SELECT CASE WHEN EXISTS (SELECT FROM tokens o WHERE o.id = r.token_id) "
	       "THEN nextval(pg_get_serial_sequence('tokens', 'id')) ELSE r.token_id END, "
	       "r.client_id, r.access_token, r.refresh_token, r.token_type, r.scope, "
	       SQL_TIME("r.expires_at_us") ", " SQL_TIME("r.began_us") ", " SQL_TIME("r.due_us") ", "
	       SQL_TIME("r.refreshed_at_us") ", " SQL_TIME("r.created_at_us") ", r.grant_version + 1 "
	       "FROM r JOIN imported_clients i ON i.client_id = r.client_id "
	       "JOIN clients c ON c.id = r.client_id ORDER BY r.client_id "
	       "ON CONFLICT (client_id) DO UPDATE SET access_token = EXCLUDED.access_token, "
	       "refresh_token = EXCLUDED.refresh_token, token_type = EXCLUDED.token_type, "
	       "scope = EXCLUDED.scope, expires_at = EXCLUDED.expires_at, "
	       "refresh_began_at = EXCLUDED.refresh_began_at, refresh_due_at = EXCLUDED.refresh_due_at, "
	       "last_refreshed_at = EXCLUDED.last_refreshed_at, updated_at = clock_timestamp(), "
	       "is_valid = true, is_revoked = false, grant_version = EXCLUDED.grant_version, "
	       "refresh_retry_at = NULL, provider_retry_at = NULL, refresh_failures = 0, "
	       "refresh_error = NULL, provider_error = NULL "
	       "WHERE t.grant_version = EXCLUDED.grant_version - 1 "
	       "RETURNING t.client_id, t.grant_version, t.consent_version), "
	       GRANTS_NOTED("consent_version = g.consent_version, ", "NULL"),
};

static const struct db_stmt ENDED = {
	.name = "import_ended", .nparams = 1, .ncols = 1, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH r AS (SELECT * FROM json_to_recordset($1::json) AS r (client_id bigint, revoked boolean, "
	       "grant_version bigint, mac text)), "
	       "g AS (UPDATE tokens t SET is_revoked = r.revoked, is_valid = r.revoked, refresh_due_at = NULL, "
	       "refresh_retry_at = NULL, grant_version = t.grant_version + 1, updated_at = clock_timestamp() "
	       "FROM r WHERE t.client_id = r.client_id AND t.grant_version = r.grant_version "
	       "RETURNING t.client_id, t.grant_version), "
	       GRANTS_NOTED("", "'ended'"),
};

#define GOOD_TOKEN                                                                                \
	"FROM r JOIN c ON c.id = r.id WHERE t.client_id = c.id AND r.is_active AND t.is_valid "   \
	"AND NOT t.is_revoked "

static const struct db_stmt CHANGES = {
	.name = "import_changes", .nparams = 1, .ncols = 1, .effect = DB_WRITES, .for_owner = true,
	.sql = "WITH r AS (SELECT * FROM " CLIENT_RECORD "), "
	       "c AS (UPDATE clients c SET client_id = r.client_id, client_secret = r.client_secret, "
	       "redirect_uri = r.redirect_uri, workspace_email = r.workspace_email, "
	       "workspace_name = r.workspace_name, is_active = r.is_active, updated_at = clock_timestamp() "
	       "FROM r WHERE c.id = r.id AND " SQL_US("c.updated_at") " = r.updated_at_us "
	       "RETURNING c.id, c.branch_id, r.mac), "
	       "i AS (UPDATE imported_clients i SET client_mac = c.mac, imported_at = clock_timestamp() "
	       "FROM c WHERE i.client_id = c.id), "
	       /* What was parked while the client was inactive is the refreshers' again; what failed with the
		* old secret is tried with the new one. */
	       "due AS (UPDATE tokens t SET refresh_due_at = clock_timestamp() " GOOD_TOKEN
	       "AND t.refresh_due_at IS NULL AND t.refresh_failures = 0), "
	       "cleared AS (UPDATE tokens t SET refresh_retry_at = NULL, refresh_failures = 0, refresh_error = NULL, "
	       "provider_error = NULL, refresh_began_at = NULL, "
	       "refresh_due_at = greatest(clock_timestamp(), provider_retry_at) " GOOD_TOKEN
	       "AND t.refresh_failures > 0), "
	       "audit AS (" AUDIT("'client.imported'", "'changed'") "FROM c) "
	       "SELECT count(*) FROM c",
};

/* Never down: what has drawn from it meanwhile keeps its number. */
static const struct db_stmt SEQUENCES = {
	.name = "import_sequences", .nparams = 1, .ncols = 2, .effect = DB_WRITES, .for_owner = true,
	.sql = "SELECT (SELECT setval(pg_get_serial_sequence('clients', 'id'), $1::bigint) "
	       "FROM clients_id_seq WHERE last_value < $1::bigint), "
	       "(SELECT setval(pg_get_serial_sequence('tokens', 'id'), $1::bigint) "
	       "FROM tokens_id_seq WHERE last_value < $1::bigint)",
};
/* clang-format on */

void import_plans_query(struct db_query *query)
{
	db_query_init(query, &PLANS);
}

void import_source_kind_query(struct db_query *query)
{
	db_query_init(query, &SOURCE_KIND);
}

void import_source_size_query(struct db_query *query)
{
	db_query_init(query, &SOURCE_SIZE);
}

void import_source_page_query(struct db_query *query, int64_t after, int limit)
{
	db_query_init(query, &SOURCE_PAGE);
	db_query_int(query, after);
	db_query_int(query, limit);
}

void import_source_row(const struct db_query *query, int row, struct import_source *ret_row)
{
	*ret_row = (struct import_source){
		.id = db_int(query, row, 0),
		.client_id = db_text(query, row, 1),
		.client_secret = db_text(query, row, 2),
		.redirect_uri = db_text(query, row, 3),
		.branch_id = db_text(query, row, 4),
		.workspace_email = db_text(query, row, 5),
		.workspace_name = db_text(query, row, 6),
		.is_active = db_text(query, row, 7),
		.created_at_us = db_int(query, row, 8),
		.updated_at_us = db_int(query, row, 9),
		.token_id = db_int(query, row, 10),
		.access_token = db_text(query, row, 11),
		.refresh_token = db_text(query, row, 12),
		.token_type = db_text(query, row, 13),
		.scope = db_text(query, row, 14),
		.is_valid = db_bool(query, row, 15),
		.is_revoked = db_bool(query, row, 16),
		.expires_at_us = db_int(query, row, 17),
		.token_created_at_us = db_int(query, row, 18),
		.last_refreshed_at_us = db_int(query, row, 19),
	};
}

void import_target_query(struct db_query *query, const char *clients)
{
	db_query_init(query, &TARGET_PAGE);
	db_query_text(query, clients);
}

void import_target_row(const struct db_query *query, int row, struct import_target *ret_row)
{
	*ret_row = (struct import_target){
		.id = db_int(query, row, 0),
		.now_us = db_int(query, row, 1),
		.branch_owner = db_int(query, row, 2),
		.exists = db_bool(query, row, 3),
		.client_id = db_text(query, row, 4),
		.client_secret = db_text(query, row, 5),
		.redirect_uri = db_text(query, row, 6),
		.branch_id = db_text(query, row, 7),
		.workspace_email = db_text(query, row, 8),
		.workspace_name = db_text(query, row, 9),
		.is_active = db_bool(query, row, 10),
		.updated_at_us = db_int(query, row, 11),
		.imported = db_bool(query, row, 12),
		.client_mac = db_text(query, row, 13),
		.token_mac = db_text(query, row, 14),
		.imported_grant_version = db_int(query, row, 15),
		.imported_consent_version = db_int(query, row, 16),
		.grant_version = db_int(query, row, 17),
		.consent_version = db_int(query, row, 18),
		.is_valid = db_bool(query, row, 19),
		.is_revoked = db_bool(query, row, 20),
		.obtained_at_us = db_int(query, row, 21),
	};
}

static void rows_query(struct db_query *query, const struct db_stmt *stmt, const char *rows)
{
	db_query_init(query, stmt);
	db_query_text(query, rows);
}

void import_inserts_query(struct db_query *query, const char *rows)
{
	rows_query(query, &INSERTS, rows);
}

void import_tokens_query(struct db_query *query, const char *rows)
{
	rows_query(query, &TOKENS, rows);
}

void import_ended_query(struct db_query *query, const char *rows)
{
	rows_query(query, &ENDED, rows);
}

void import_changes_query(struct db_query *query, const char *rows)
{
	rows_query(query, &CHANGES, rows);
}

void import_sequences_query(struct db_query *query, int64_t id)
{
	db_query_init(query, &SEQUENCES);
	db_query_int(query, id);
}
