/*
 * The clients table: statements, and their rows. What @actor changes is in the audit trail.
 *
 * A *_query() fills a query to be run; a *_row() reads its answer, with strings borrowed from
 * the query until db_query_release().
 */
#ifndef STORE_CLIENT_STORE_H
#define STORE_CLIENT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/audit.h"

/* NULL or unset: leave as it is (in an update), or none (workspace_name of an insert). */
struct client_fields {
	const char *client_id; /* the provider's; insert only */
	const char *client_secret;
	const char *redirect_uri;
	const char *branch_id; /* insert only */
	const char *workspace_email;
	const char *workspace_name;
	bool clear_workspace_name; /* update only */
	const char *is_active;     /* "true", "false"; update only */
};

/* One client with what is to be known of its token, without secrets. */
struct client_row {
	int64_t id;
	const char *client_id;
	const char *redirect_uri;
	const char *branch_id;
	const char *workspace_email;
	const char *workspace_name; /* NULL: none */
	bool is_active;
	int64_t created_at_us;
	int64_t updated_at_us;

	bool has_token; /* the rest is set only then */
	bool is_valid;
	bool is_revoked;
	int64_t expires_at_us;
	int64_t last_refreshed_at_us; /* 0: never */
	const char *refresh_error;    /* NULL: none */
	const char *provider_error;   /* the provider's own code; NULL: none */
	int64_t retry_at_us;          /* when the provider may be asked again; 0: at any time */
	int64_t consent_version;      /* how many consents it has had */

	int64_t now_us; /* the database's clock */
};

/* One row; ERR_DB_CONFLICT when the branch is registered. */
void client_insert_query(struct db_query *query, const struct client_fields *fields,
			 const struct audit_actor *actor);
/* No row or one. */
void client_by_id_query(struct db_query *query, int64_t id);

/* Which clients a page has; what it points to is borrowed. */
struct client_page {
	int64_t after;      /* those with a greater id */
	const char *search; /* a LIKE pattern that a text column matches; NULL: all */
	const char *state;  /* of its token, as client_token_state() names it; NULL: all */
	int buffer_s;       /* a token with no more seconds left is "expiring" */
	int limit;          /* at most so many rows */
};

void client_page_query(struct db_query *query, const struct client_page *page);
/* How many clients it brought, for client_row(). */
int client_page_rows(const struct db_query *query);
/* With fewer than its limit: the id up to which it looked; 0: to the last client. */
int64_t client_page_stopped(const struct db_query *query);
/* At most @limit rows of two columns, id and redirect_uri, with an id above @after: those whose
 * redirect_uri is not https. */
void client_not_https_query(struct db_query *query, int64_t after, int limit);
/* No row or one, as after the change. A new secret ends the backoff of the token's refresh. */
void client_update_query(struct db_query *query, int64_t id, const struct client_fields *fields,
			 const struct audit_actor *actor);
/* Locks the client; no row or one column, the id. Waits for a first consent that is being stored,
 * which has no token row yet that could be locked. */
void client_lock_query(struct db_query *query, int64_t id);
/* No row or one column, the id; tokens go with it. */
void client_delete_query(struct db_query *query, int64_t id, const struct audit_actor *actor);

void client_row(const struct db_query *query, int row, struct client_row *ret_row);

#endif
