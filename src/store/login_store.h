/*
 * The oauth_states table: logins that have begun. A state is stored as its SHA-256 and is used
 * up by the one statement that reads it.
 */
#ifndef STORE_LOGIN_STORE_H
#define STORE_LOGIN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"

struct login_begin {
	int64_t client_id;
	const char *state_hash;          /* bytea in hexadecimal: "\x…" */
	const char *secure_browser_hash; /* counts where the redirect_uri is https */
	const char *plain_browser_hash;  /* elsewhere */
	const char *code_verifier;       /* RFC 7636 */
	int ttl_s;
	bool has_ticket; /* false: none is needed */
	int64_t ticket_version;
	int64_t ticket_expires_at_s;
};

struct login_client_row {
	int64_t id;
	const char *client_id;
	const char *redirect_uri;
	const char *workspace_email;
	bool is_active;
	bool ticket_is_good; /* none was needed, or it has not expired and no consent came since */
};

/* Stores a login where the client exists, is active, and the ticket is good; no row or one: the client. */
void login_begin_query(struct db_query *query, const struct login_begin *login);
void login_client_row(const struct db_query *query, struct login_client_row *ret_row);

/* A login that came back. */
struct login_row {
	int64_t id; /* clients.id */
	const char *client_id;
	const char *client_secret;
	const char *branch_id;
	const char *workspace_email;
	const char *redirect_uri; /* as it was sent to the provider */
	const char *code_verifier;
	bool is_active;
	bool is_expired;
	int64_t now_us;
	bool has_ticket; /* did it begin with one? */
	int64_t ticket_version;
	int64_t consent_version; /* how many consents there were by now */
};

/* Uses the state up if it began in this browser (NULL: it has no such cookie): no row or one. */
void login_consume_query(struct db_query *query, const char *state_hash,
			 const char *secure_browser_hash, const char *plain_browser_hash);
void login_row(const struct db_query *query, struct login_row *ret_row);

/* Removes logins that have expired, at most 1,000; one row: how many. */
void login_sweep_query(struct db_query *query);

#endif
