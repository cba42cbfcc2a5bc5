#include "store/token_store.h"

#include <stddef.h>

#include "base/clock.h"
#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
#define TOKEN_COLUMNS                                                                             \
	"t.access_token, t.token_type, t.scope, t.expires_at, t.is_valid, t.is_revoked, "         \
	"t.refresh_began_at, t.refresh_retry_at, t.provider_retry_at, t.refresh_error, "          \
	"t.provider_error, t.consent_version"
#define TOKEN_NCOLS 12

#define TOKEN_AND_CLIENT                                                                          \
	"SELECT " TOKEN_COLUMNS ", c.id, c.branch_id, c.redirect_uri, c.is_active, "              \
	"statement_timestamp() FROM clients c LEFT JOIN tokens t ON t.client_id = c.id "

/* OFFSET 0: each is looked up by itself, never is a table read as a whole. How many there are is
 * guessed the same for every array, so that one plan does for all, without planning anew. */
static const struct db_stmt TOKEN_BY_BRANCHES = {
	.name = "token_by_branches", .nparams = 1, .ncols = TOKEN_NCOLS + 6, .effect = DB_READS, .binary = true,
	.sql = "SELECT r.*, b.place FROM json_array_elements_text($1::json) WITH ORDINALITY AS b (branch_id, place) "
	       "CROSS JOIN LATERAL (" TOKEN_AND_CLIENT "WHERE c.branch_id = b.branch_id OFFSET 0) r",
};

static const struct db_stmt TOKEN_BY_BRANCH = {
	.name = "token_by_branch", .nparams = 1, .ncols = TOKEN_NCOLS + 5, .effect = DB_READS, .binary = true,
	.of_many = &TOKEN_BY_BRANCHES,
	.sql = TOKEN_AND_CLIENT "WHERE c.branch_id = $1",
};

static const struct db_stmt TOKEN_BY_CLIENT = {
	.name = "token_by_client", .nparams = 1, .ncols = TOKEN_NCOLS + 5, .effect = DB_READS, .binary = true,
	.sql = TOKEN_AND_CLIENT "WHERE c.id = $1",
};

static const struct db_stmt LOCK_SETTINGS = {
	/* lock_timeout counts each lock anew, the place in the row's queue and the row: the whole wait is
	 * bounded by statement_timeout, which LOCKED_CLIENT ends.
	 * The last four are for a host that vanishes: its waiters must not keep their place in the
	 * queue. All end with the transaction, so that a pooler may share the session. */
	.name = "lock_settings", .nparams = 2, .ncols = 7, .effect = DB_WRITES,
	.sql = "SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $1, true), "
	       "set_config('idle_in_transaction_session_timeout', $2, true), "
	       "set_config('tcp_keepalives_idle', '5', true), set_config('tcp_keepalives_interval', '2', true), "
	       "set_config('tcp_keepalives_count', '3', true), set_config('tcp_user_timeout', '15000', true)",
};

#define LOCKED_COLUMNS TOKEN_COLUMNS ", t.grant_version, t.refresh_failures, t.refresh_token"
#define LOCKED_NCOLS (TOKEN_NCOLS + 3)

static const struct db_stmt TOKEN_LOCK = {
	.name = "token_lock", .nparams = 1, .ncols = LOCKED_NCOLS, .effect = DB_WRITES, .binary = true,
	.sql = "SELECT " LOCKED_COLUMNS " FROM tokens t WHERE t.client_id = $1 FOR UPDATE",
};

static const struct db_stmt TOKEN_LOCK_NOWAIT = {
	.name = "token_lock_nowait", .nparams = 1, .ncols = LOCKED_NCOLS, .effect = DB_WRITES, .binary = true,
	.sql = "SELECT " LOCKED_COLUMNS " FROM tokens t WHERE t.client_id = $1 FOR UPDATE NOWAIT",
};

static const struct db_stmt TOKEN_CLAIM = {
	.name = "token_claim", .nparams = 1, .ncols = LOCKED_NCOLS + 2, .effect = DB_WRITES, .binary = true,
	.sql = "SELECT " LOCKED_COLUMNS ", t.client_id, t.refresh_due_at"
	       " FROM tokens t WHERE t.refresh_due_at >= " SQL_TIME("$1")
	       " AND t.refresh_due_at <= statement_timestamp() ORDER BY t.refresh_due_at LIMIT 1 "
	       "FOR UPDATE OF t SKIP LOCKED",
};

static const struct db_stmt TOKEN_NEXT_DUE = {
	.name = "token_next_due", .nparams = 1, .ncols = 2, .effect = DB_READS,
	.sql = "SELECT " SQL_US("statement_timestamp()") ", " SQL_US("min(refresh_due_at)")
	       " FROM tokens WHERE refresh_due_at >= " SQL_TIME("$1"),
};

static const struct db_stmt TOKEN_CLOCK = {
	.name = "token_clock", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT " SQL_US("statement_timestamp()"),
};

/* Asks once more, with the client locked: one that becomes active just now is not left behind. */
static const struct db_stmt TOKEN_PARK = {
	.name = "token_park", .nparams = 1, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH c AS (SELECT is_active FROM clients WHERE id = $1 FOR SHARE) "
	       "UPDATE tokens SET refresh_due_at = NULL WHERE client_id = $1 "
	       "AND NOT (is_valid AND NOT is_revoked AND (SELECT is_active FROM c)) RETURNING id",
};

/* The row is locked: what its snapshot shows is what it was. */
static const struct db_stmt TOKEN_REVOKED = {
	.name = "token_revoked", .nparams = 4, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH old AS (SELECT is_revoked FROM tokens WHERE client_id = $1), "
	       "t AS (UPDATE tokens SET is_revoked = true, refresh_due_at = NULL, refresh_retry_at = NULL, "
	       "grant_version = grant_version + 1, updated_at = clock_timestamp() "
	       "WHERE client_id = $1 RETURNING id, client_id), "
	       "audit AS (" SQL_AUDIT("$2", "$3", "$4", "'grant.revoked', c.id, c.branch_id, NULL")
	       "FROM t JOIN clients c ON c.id = t.client_id WHERE NOT (SELECT is_revoked FROM old)) "
	       "SELECT id FROM t",
};

/* A statement of its own: joined to the lock it would be the row as it was before the wait. */
static const struct db_stmt LOCKED_CLIENT = {
	.name = "locked_client", .nparams = 1, .ncols = 7, .effect = DB_WRITES,
	.sql = "SELECT branch_id, redirect_uri, is_active, " SQL_US("clock_timestamp()")
	       ", client_id, client_secret, set_config('statement_timeout', '0', true) "
	       "FROM clients WHERE id = $1",
};

#define STORE_REFRESHED                                                                           \
	"UPDATE tokens SET access_token = $2, refresh_token = COALESCE($3, refresh_token), "      \
	"token_type = $4, scope = COALESCE($5, scope), expires_at = " SQL_TIME("$6")              \
	", refresh_began_at = " SQL_TIME("$7") ", refresh_due_at = " SQL_TIME("$8")               \
	", last_refreshed_at = clock_timestamp(), updated_at = clock_timestamp(), "               \
	"is_valid = true, grant_version = grant_version + 1, refresh_retry_at = NULL, "           \
	"provider_retry_at = NULL, refresh_failures = 0, refresh_error = NULL, "                  \
	"provider_error = NULL WHERE client_id = $1 AND grant_version = $9 "

static const struct db_stmt TOKEN_REFRESHED = {
	.name = "token_refreshed", .nparams = 9, .ncols = 1, .effect = DB_WRITES,
	.sql = STORE_REFRESHED "RETURNING id",
};

static const struct db_stmt TOKEN_REFRESHED_BY_FORCE = {
	.name = "token_refreshed_by_force", .nparams = 12, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH t AS (" STORE_REFRESHED "RETURNING id, client_id), "
	       "audit AS (" SQL_AUDIT("$10", "$11", "$12", "'grant.refreshed_by_force', c.id, c.branch_id, NULL")
	       "FROM t JOIN clients c ON c.id = t.client_id) "
	       "SELECT id FROM t",
};

static const struct db_stmt TOKEN_FAILED = {
	.name = "token_failed", .nparams = 9, .ncols = 1, .effect = DB_WRITES,
	.sql = "UPDATE tokens SET refresh_error = $2, provider_error = $3, "
	       "is_valid = is_valid AND NOT $4::boolean, "
	       "grant_version = grant_version + ($4::boolean OR $8::text IS NOT NULL)::integer, "
	       "refresh_failing_since = CASE WHEN refresh_failures = 0 OR refresh_failing_since IS NULL "
	       "THEN clock_timestamp() ELSE refresh_failing_since END, "
	       "refresh_failures = refresh_failures + 1, "
	       "refresh_retry_at = CASE WHEN NOT $4::boolean THEN " SQL_TIME("$5") " END, "
	       "refresh_due_at = CASE WHEN NOT $4::boolean THEN " SQL_TIME("greatest($5::bigint, $6::bigint)") " END, "
	       "provider_retry_at = " SQL_TIME("NULLIF($6::bigint, 0)") ", "
	       "refresh_began_at = " SQL_TIME("$7") ", refresh_token = COALESCE($8, refresh_token), "
	       "updated_at = clock_timestamp() WHERE client_id = $1 AND grant_version = $9 RETURNING id",
};

/* A PATCH that came while the old secret was being tried could not clear the row, which was
 * locked: what the old one met is not held against the new one. */
static const struct db_stmt TOKEN_FORGIVE = {
	.name = "token_forgive", .nparams = 2, .ncols = 1, .effect = DB_WRITES,
	.sql = "UPDATE tokens t SET refresh_retry_at = NULL, refresh_failures = 0, refresh_error = NULL, "
	       "provider_error = NULL, refresh_began_at = NULL, "
	       "refresh_due_at = greatest(clock_timestamp(), provider_retry_at) "
	       "FROM clients c WHERE t.client_id = $1 AND c.id = t.client_id AND c.client_secret <> $2 "
	       "AND t.is_valid AND NOT t.is_revoked RETURNING t.id",
};

static const struct db_stmt GRANT_STORE = {
	/* Two consents with tickets of one version: the first to come moves the version on. */
	.name = "grant_store", .nparams = 12, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH g AS (INSERT INTO tokens AS t (client_id, access_token, refresh_token, token_type, scope, "
	       "expires_at, refresh_began_at, refresh_due_at) VALUES ($1, $2, $3, $4, COALESCE($5, ''), "
	       SQL_TIME("$6") ", " SQL_TIME("$7") ", " SQL_TIME("$8") ") "
	       "ON CONFLICT (client_id) DO UPDATE SET access_token = EXCLUDED.access_token, "
	       "refresh_token = EXCLUDED.refresh_token, token_type = EXCLUDED.token_type, "
	       "scope = EXCLUDED.scope, expires_at = EXCLUDED.expires_at, "
	       "refresh_began_at = EXCLUDED.refresh_began_at, refresh_due_at = EXCLUDED.refresh_due_at, "
	       "updated_at = clock_timestamp(), is_valid = true, is_revoked = false, "
	       "grant_version = t.grant_version + 1, consent_version = t.consent_version + 1, "
	       "refresh_retry_at = NULL, provider_retry_at = NULL, "
	       "refresh_failures = 0, refresh_error = NULL, provider_error = NULL "
	       "WHERE $12::bigint IS NULL OR t.consent_version = $12::bigint RETURNING t.id, t.client_id), "
	       "audit AS (" SQL_AUDIT("$9", "$10", "$11", "'grant.connected', c.id, c.branch_id, NULL")
	       "FROM g JOIN clients c ON c.id = g.client_id) "
	       "SELECT id FROM g",
};
/* clang-format on */

void token_by_branch_query(struct db_query *query, const char *branch_id)
{
	db_query_init(query, &TOKEN_BY_BRANCH);
	db_query_text(query, branch_id);
}

void token_by_client_query(struct db_query *query, int64_t client_id)
{
	db_query_init(query, &TOKEN_BY_CLIENT);
	db_query_int(query, client_id);
}

static void token_columns(const struct db_query *query, int row, struct token_row *ret_row)
{
	*ret_row = (struct token_row){
		.exists = !db_is_null(query, row, 0),
		.access_token = db_text(query, row, 0),
		.token_type = db_text(query, row, 1),
		.scope = db_text(query, row, 2),
		.expires_at_us = db_time(query, row, 3),
		.is_valid = db_bool(query, row, 4),
		.is_revoked = db_bool(query, row, 5),
		.refresh_began_at_us = db_time(query, row, 6),
		.refresh_retry_at_us = db_time(query, row, 7),
		.provider_retry_at_us = db_time(query, row, 8),
		.refresh_error = db_text(query, row, 9),
		.provider_error = db_text(query, row, 10),
		.consent_version = db_int(query, row, 11),
	};
}

void token_row(const struct db_query *query, int row, struct token_row *ret_row)
{
	token_columns(query, row, ret_row);
	ret_row->client_id = db_int(query, row, TOKEN_NCOLS);
	ret_row->branch_id = db_text(query, row, TOKEN_NCOLS + 1);
	ret_row->redirect_uri = db_text(query, row, TOKEN_NCOLS + 2);
	ret_row->is_active = db_bool(query, row, TOKEN_NCOLS + 3);
	ret_row->now_us = db_time(query, row, TOKEN_NCOLS + 4);
}

static void settings_query(struct db_query *query, int wait_ms, int idle_ms)
{
	db_query_init(query, &LOCK_SETTINGS);
	/* Without a wait the statement says so itself; 0 would switch a timeout off. */
	db_query_int(query, wait_ms > 0 ? wait_ms : DB_CALL_MS);
	db_query_int(query, idle_ms > 0 ? idle_ms : 1);
}

static void locked_row(struct token_lock *lock, int64_t client_id)
{
	struct token_row *row = &lock->row;

	if (db_rows(&lock->token)) {
		token_columns(&lock->token, 0, row);
		row->grant_version = db_int(&lock->token, 0, TOKEN_NCOLS);
		row->refresh_failures = (int)db_int(&lock->token, 0, TOKEN_NCOLS + 1);
		row->refresh_token = db_text(&lock->token, 0, TOKEN_NCOLS + 2);
	}
	row->client_id = client_id;
	row->branch_id = db_text(&lock->client, 0, 0);
	row->redirect_uri = db_text(&lock->client, 0, 1);
	row->is_active = db_bool(&lock->client, 0, 2);
	row->now_us = db_int(&lock->client, 0, 3);
	row->oauth_client_id = db_text(&lock->client, 0, 4);
	row->oauth_client_secret = db_text(&lock->client, 0, 5);
}

static void begin_lock(struct token_lock *lock, struct db *db, int wait_ms, int idle_ms)
{
	lock->db = db;
	lock->row = (struct token_row){ 0 };
	db_query_init(&lock->begin, &DB_BEGIN);
	settings_query(&lock->settings, wait_ms, idle_ms);
	db_query_init(&lock->client, &LOCKED_CLIENT);
}

/* What the first round trip of a lock brought, or its end. */
static enum err end_lock(struct token_lock *lock, int64_t client_id, enum err err)
{
	if (!err && !db_rows(&lock->client))
		err = ERR_DB_NO_ROW;
	if (err) {
		token_lock_release(lock);
		return err;
	}
	locked_row(lock, client_id);
	lock->locked_at_ms = clock_monotonic_ms();
	return ERR_OK;
}

enum err token_lock(struct db *db, int64_t client_id, int wait_ms, int idle_ms,
		    struct token_lock *ret_lock)
{
	struct token_lock *lock = ret_lock;
	struct db_query *batch[] = { &lock->begin, &lock->settings, &lock->token, &lock->client };
	enum err err;

	begin_lock(lock, db, wait_ms, idle_ms);
	db_query_init(&lock->token, wait_ms > 0 ? &TOKEN_LOCK : &TOKEN_LOCK_NOWAIT);
	db_query_int(&lock->token, client_id);
	db_query_int(&lock->client, client_id);
	err = db_exec_atomic(db, batch, 4, clock_monotonic_ms() + wait_ms + DB_CALL_MS);
	return end_lock(lock, client_id, err);
}

enum err token_claim(struct db *db, int64_t from_us, int idle_ms, struct token_lock *ret_lock)
{
	struct token_lock *lock = ret_lock;
	struct db_query *batch[] = { &lock->begin, &lock->settings, &lock->token };
	struct db_query *client = &lock->client;
	int64_t client_id = 0;
	enum err err;

	begin_lock(lock, db, 0, idle_ms);
	db_query_init(&lock->token, &TOKEN_CLAIM);
	db_query_int(&lock->token, from_us);
	err = db_exec_atomic(db, batch, 3, clock_monotonic_ms() + DB_CALL_MS);
	if (!err && !db_rows(&lock->token))
		err = ERR_DB_NO_ROW;
	if (!err) {
		client_id = db_int(&lock->token, 0, LOCKED_NCOLS);
		lock->due_at_us = db_time(&lock->token, 0, LOCKED_NCOLS + 1);
		db_query_int(client, client_id);
		err = db_exec_atomic(db, &client, 1, clock_monotonic_ms() + DB_CALL_MS);
	}
	return end_lock(lock, client_id, err);
}

enum err token_lock_run(struct token_lock *lock, struct db_query *query, int wait_ms)
{
	return db_exec_atomic(lock->db, &query, 1, clock_monotonic_ms() + wait_ms + DB_CALL_MS);
}

void token_next_due_query(struct db_query *query, int64_t from_us)
{
	db_query_init(query, &TOKEN_NEXT_DUE);
	db_query_int(query, from_us);
}

void token_clock_query(struct db_query *query)
{
	db_query_init(query, &TOKEN_CLOCK);
}

void token_park_query(struct db_query *query, int64_t client_id)
{
	db_query_init(query, &TOKEN_PARK);
	db_query_int(query, client_id);
}

void token_revoked_query(struct db_query *query, int64_t client_id, const struct audit_actor *actor)
{
	db_query_init(query, &TOKEN_REVOKED);
	db_query_int(query, client_id);
	audit_bind(query, actor);
}

enum err token_lock_commit(struct token_lock *lock, struct db_query *query)
{
	struct db *db = lock->db;
	enum err err = db_commit_after(db, query, clock_monotonic_ms() + DB_CALL_MS);

	if (err && err != ERR_DATABASE_UNAVAILABLE)
		db_rollback(db);
	lock->db = NULL;
	return err;
}

void token_lock_rollback(struct token_lock *lock)
{
	if (lock->db)
		db_rollback(lock->db);
	lock->db = NULL;
}

void token_lock_release(struct token_lock *lock)
{
	token_lock_rollback(lock);
	db_query_release(&lock->begin);
	db_query_release(&lock->settings);
	db_query_release(&lock->token);
	db_query_release(&lock->client);
}

static void bind_update(struct db_query *query, const struct token_update *update)
{
	db_query_int(query, update->client_id);
	db_query_text(query, update->access_token);
	db_query_text(query, update->refresh_token);
	db_query_text(query, update->token_type);
	db_query_text(query, update->scope);
	db_query_int(query, update->expires_at_us);
	db_query_int(query, update->refresh_began_at_us);
	db_query_int(query, update->refresh_due_at_us);
}

void token_refreshed_query(struct db_query *query, const struct token_update *update,
			   int64_t grant_version, const struct audit_actor *forced_by)
{
	db_query_init(query, forced_by ? &TOKEN_REFRESHED_BY_FORCE : &TOKEN_REFRESHED);
	bind_update(query, update);
	db_query_int(query, grant_version);
	if (forced_by)
		audit_bind(query, forced_by);
}

void token_failed_query(struct db_query *query, const struct token_failure *failure,
			int64_t grant_version)
{
	db_query_init(query, &TOKEN_FAILED);
	db_query_int(query, failure->client_id);
	db_query_text(query, failure->refresh_error);
	db_query_text(query, failure->provider_error);
	db_query_bool(query, failure->grant_is_dead);
	db_query_int(query, failure->refresh_retry_at_us);
	db_query_int(query, failure->provider_retry_at_us);
	db_query_int(query, failure->refresh_began_at_us);
	db_query_text(query, failure->refresh_token);
	db_query_int(query, grant_version);
}

void token_forgive_query(struct db_query *query, int64_t client_id, const char *used_secret)
{
	db_query_init(query, &TOKEN_FORGIVE);
	db_query_int(query, client_id);
	db_query_text(query, used_secret);
}

enum err token_store_grant(struct db *db, const struct token_update *update,
			   const int64_t *consent_version, const struct audit_actor *actor,
			   int wait_ms)
{
	struct db_query begin, settings, grant;
	struct db_query *batch[] = { &begin, &settings, &grant };
	enum err err;

	db_query_init(&begin, &DB_BEGIN);
	settings_query(&settings, wait_ms, DB_CALL_MS);
	db_query_init(&grant, &GRANT_STORE);
	bind_update(&grant, update);
	audit_bind(&grant, actor);
	db_query_int_or_null(&grant, consent_version);
	err = db_exec_atomic(db, batch, 3, clock_monotonic_ms() + wait_ms + DB_CALL_MS);
	if (!err && !db_rows(&grant))
		err = ERR_DB_CONFLICT;
	if (!err)
		err = db_commit_after(db, NULL, clock_monotonic_ms() + DB_CALL_MS);
	else
		db_rollback(db);
	db_query_release(&begin);
	db_query_release(&settings);
	db_query_release(&grant);
	return err;
}
