#include "store/login_store.h"

#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt LOGIN_BEGIN = {
	.name = "login_begin", .nparams = 8, .ncols = 6, .effect = DB_WRITES,
	.sql = "WITH c AS (SELECT id, client_id, redirect_uri, workspace_email, is_active, "
	       "$7::bigint IS NULL OR ($8::bigint > extract(epoch FROM now()) AND $7::bigint = COALESCE("
	       "(SELECT t.consent_version FROM tokens t WHERE t.client_id = clients.id), 0)) AS ticket_is_good "
	       "FROM clients WHERE id = $1), "
	       "begun AS (INSERT INTO oauth_states (state_hash, browser_hash, client_id, code_verifier, "
	       "redirect_uri, expires_at, consent_version) SELECT $2::bytea, CASE WHEN c.redirect_uri ILIKE 'https:%' "
	       "THEN $3::bytea ELSE $4::bytea END, c.id, $5, c.redirect_uri, now() + $6::bigint * interval '1 second', "
	       "$7::bigint FROM c WHERE c.is_active AND c.ticket_is_good) "
	       "SELECT id, client_id, redirect_uri, workspace_email, is_active, ticket_is_good FROM c",
};

static const struct db_stmt LOGIN_CONSUME = {
	.name = "login_consume", .nparams = 3, .ncols = 12, .effect = DB_WRITES,
	.sql = "DELETE FROM oauth_states s USING clients c "
	       "WHERE s.state_hash = $1::bytea AND c.id = s.client_id AND s.browser_hash = "
	       "CASE WHEN s.redirect_uri ILIKE 'https:%' THEN $2::bytea ELSE $3::bytea END "
	       "RETURNING c.id, c.client_id, c.client_secret, c.branch_id, s.redirect_uri, "
	       "s.code_verifier, c.is_active, s.expires_at <= now(), " SQL_US("clock_timestamp()")
	       ", c.workspace_email, s.consent_version, "
	       "(SELECT t.consent_version FROM tokens t WHERE t.client_id = c.id)",
};

static const struct db_stmt LOGIN_SWEEP = {
	.name = "login_sweep", .nparams = 0, .ncols = 1, .effect = DB_WRITES,
	.sql = "WITH gone AS (DELETE FROM oauth_states WHERE state_hash IN (SELECT state_hash FROM oauth_states "
	       "WHERE expires_at < now() LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING client_id) "
	       "SELECT count(*) FROM gone",
};
/* clang-format on */

void login_begin_query(struct db_query *query, const struct login_begin *login)
{
	db_query_init(query, &LOGIN_BEGIN);
	db_query_int(query, login->client_id);
	db_query_text(query, login->state_hash);
	db_query_text(query, login->secure_browser_hash);
	db_query_text(query, login->plain_browser_hash);
	db_query_text(query, login->code_verifier);
	db_query_int(query, login->ttl_s);
	db_query_int_or_null(query, login->has_ticket ? &login->ticket_version : NULL);
	db_query_int_or_null(query, login->has_ticket ? &login->ticket_expires_at_s : NULL);
}

void login_client_row(const struct db_query *query, struct login_client_row *ret_row)
{
	*ret_row = (struct login_client_row){
		.id = db_int(query, 0, 0),
		.client_id = db_text(query, 0, 1),
		.redirect_uri = db_text(query, 0, 2),
		.workspace_email = db_text(query, 0, 3),
		.is_active = db_bool(query, 0, 4),
		.ticket_is_good = db_bool(query, 0, 5),
	};
}

void login_consume_query(struct db_query *query, const char *state_hash,
			 const char *secure_browser_hash, const char *plain_browser_hash)
{
	db_query_init(query, &LOGIN_CONSUME);
	db_query_text(query, state_hash);
	db_query_text(query, secure_browser_hash);
	db_query_text(query, plain_browser_hash);
}

void login_row(const struct db_query *query, struct login_row *ret_row)
{
	*ret_row = (struct login_row){
		.id = db_int(query, 0, 0),
		.client_id = db_text(query, 0, 1),
		.client_secret = db_text(query, 0, 2),
		.branch_id = db_text(query, 0, 3),
		.redirect_uri = db_text(query, 0, 4),
		.code_verifier = db_text(query, 0, 5),
		.is_active = db_bool(query, 0, 6),
		.is_expired = db_bool(query, 0, 7),
		.now_us = db_int(query, 0, 8),
		.workspace_email = db_text(query, 0, 9),
		.has_ticket = !db_is_null(query, 0, 10),
		.ticket_version = db_int(query, 0, 10),
		.consent_version = db_int(query, 0, 11),
	};
}

void login_sweep_query(struct db_query *query)
{
	db_query_init(query, &LOGIN_SWEEP);
}
