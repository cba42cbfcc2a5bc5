/*
 * The revocations table: grants given up here that the provider is yet to hear of.
 */
#ifndef STORE_REVOCATION_STORE_H
#define STORE_REVOCATION_STORE_H

#include <stdint.h>

#include "store/db.h"

/*
 * Queues the grant of client @client_id (clients.id), with the time from which others may try as
 * @retry_in_s; to run in the transaction that gives it up. No row where there is no grant, one
 * otherwise: the id.
 */
void revocation_add_query(struct db_query *query, int64_t client_id, int retry_in_s);

/* A grant that was never stored: what the provider gave for an OAuth client and a workspace. */
struct revocation_grant {
	const char *client_id; /* the OAuth client's */
	const char *workspace_email;
	const char *token;       /* sealed as the refresh token … */
	int64_t token_client_id; /* … of this client (clients.id), which may be gone */
};

/* Queues it, due at once. */
void revocation_add_grant_query(struct db_query *query, const struct revocation_grant *grant);

struct revocation_row {
	int64_t id;
	const char *token;       /* sealed as the refresh token … */
	int64_t token_client_id; /* … of this client (clients.id) */
	bool is_shared;          /* another connected branch stands on the same grant */
	int attempts;
};

/* No row or one: revocation @id; or, without one (0), the next that is due. Whoever reads it
 * has it for @hold_s. */
void revocation_take_query(struct db_query *query, int64_t id, int hold_s);
void revocation_row(const struct db_query *query, struct revocation_row *ret_row);

/* It is done, or was not needed. */
void revocation_done_query(struct db_query *query, int64_t id);
/* It failed; again in @retry_in_s, unless it is older than @give_up_s. One row: is it kept? */
void revocation_failed_query(struct db_query *query, int64_t id, int retry_in_s, int give_up_s);

#endif
