/*
 * Clients: one branch each, with the OAuth client that it uses and the workspace it is for.
 *
 * For the database pool each call is two functions over one statement: *_ask() checks the input
 * and fills the query, *_answer() reads its result. What the query borrows must live until then.
 */
#ifndef DOMAIN_CLIENT_H
#define DOMAIN_CLIENT_H

#include "domain/caller.h"
#include "domain/domain.h"
#include "store/client_store.h"

#define CLIENT_PAGE_MAX 1000
#define CLIENT_PAGE_DEFAULT 100
#define CLIENT_SEARCH_MAX 256

/* Where a person connects client @id; freed by the caller. NULL: @redirect_uri is no URL. */
char *client_login_url(const char *redirect_uri, int64_t id);

/* ERR_VALIDATION_FAILED with every fault in @problem. @body (JSON) and @actor's strings are
 * borrowed by @query; @body has its secret sealed: for a change that has one, as that of the
 * branch @branch_id. */
MUST_CHECK enum err client_register_ask(const struct domain *domain,
					const struct audit_actor *actor, struct json_object *body,
					struct db_query *query, struct problem *problem);
MUST_CHECK enum err client_change_ask(const struct domain *domain, const struct audit_actor *actor,
				      int64_t id, const char *branch_id, struct json_object *body,
				      struct db_query *query, struct problem *problem);
void client_get_ask(int64_t id, struct db_query *query);

/* Turns the query's outcome into one row. ERR_BRANCH_EXISTS, ERR_CLIENT_NOT_FOUND, or the query's. */
MUST_CHECK enum err client_answer(const struct db_query *query, struct client_row *ret_row);

/* @page has everything but buffer_s; its search is what a column must contain, in plain. @pattern
 * (CLIENT_SEARCH_MAX * 2 + 3 bytes) holds the pattern that @query borrows. */
void client_page_ask(const struct domain *domain, const struct client_page *page, char *pattern,
		     struct db_query *query);

#define CLIENT_TOKEN_STATES "none, valid, expiring, expired, reauthorization_required or revoked"
bool client_token_state_is_known(const char *state);
/* One of CLIENT_TOKEN_STATES, by the database's clock. */
const char *client_token_state(const struct domain *domain, const struct client_row *row);

#endif
