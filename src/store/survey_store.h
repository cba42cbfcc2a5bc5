/*
 * How the rows are, all of them: what the operator watches. Reads whole tables.
 */
#ifndef STORE_SURVEY_STORE_H
#define STORE_SURVEY_STORE_H

#include "store/db.h"

/* Of active clients; the states are those of client_token_state(). */
struct survey_row {
	int64_t none, valid, expiring, expired, reauthorization_required, revoked;
	int64_t inactive_clients;
	int64_t nearest_expiry_us; /* from now; below 0: there is no live token */
	int64_t failing, oldest_failing_us;
	int64_t pending_revocations;
};

/*
 * Asks for it, in a transaction of its own that the server ends after @limit_ms. @buffer_s:
 * TOKEN_EXPIRY_BUFFER. ERR_DB_LOCKED: that was too short; ERR_DATABASE_UNAVAILABLE, ERR_INTERNAL.
 */
MUST_CHECK enum err survey_read(struct db *db, int buffer_s, int limit_ms,
				struct survey_row *ret_row);

#endif
