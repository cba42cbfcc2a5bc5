/*
 * Refreshing a grant: one row lock, held across the call to the provider, committed before
 * anything is answered. Readers, forced refreshes and the refreshers all come through here.
 */
#ifndef DOMAIN_REFRESH_H
#define DOMAIN_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "domain/caller.h"
#include "domain/token.h"

/* The most that the holder of a token that still works is made to wait for a newer one. */
#define REFRESH_SOFT_WAIT_MS 1000

/* Told once, before the call itself returns, when its caller has waited long enough; the
 * refresh goes on. @token is set when @err is ERR_OK. */
typedef void refresh_early_fn(void *arg, enum err err, const struct token *token,
			      struct problem *problem);

struct refresh_call {
	const struct caller *caller; /* NULL: a refresher */
	const char *branch_id;       /* NULL: @client_id counts */
	int64_t client_id;
	struct token_wish wish;
	bool forced;                         /* whatever is left of the token */
	const struct audit_actor *forced_by; /* NULL: nobody who is to be written down */
	int64_t arrived_ms;                  /* monotonic: when the caller came */
	int64_t deadline_ms;                 /* monotonic: when this worker must be done */
	refresh_early_fn *early;
	void *early_arg;
};

/* Until when (monotonic) a caller who came at @arrived_ms waits for a row's lock: early enough for
 * a call to the provider after it, in a worker that must be done by @deadline_ms. */
int64_t refresh_wait_until_ms(const struct domain *domain, int64_t arrived_ms, int64_t deadline_ms);

/* Milliseconds for which no refresh may begin yet: the database has just come back, to a worker of
 * this host, and somebody may hold what a provider gave meanwhile. To be asked once the row is
 * locked: the lock's connection may be the first. */
int refresh_pause_ms(const struct domain *domain);

/* The error of a call whose branch, or client, is not there. */
enum err refresh_not_found(const struct refresh_call *call);

/*
 * Gives the token of a branch, refreshed where it needs that.
 * ERR_FORBIDDEN: not a branch of the caller's; ERR_BRANCH_NOT_FOUND (ERR_CLIENT_NOT_FOUND),
 * token_check()'s; ERR_REFRESH_IN_PROGRESS: not in
 * the time that a caller waits; ERR_REAUTHORIZATION_REQUIRED, ERR_CLIENT_CREDENTIALS_REJECTED,
 * ERR_PROVIDER_ERROR, ERR_PROVIDER_UNAVAILABLE: the refresh failed and there is no token that
 * works; ERR_DATABASE_UNAVAILABLE: nor is one known to work.
 * @ret_token begins as { 0 }.
 */
MUST_CHECK enum err refresh_get(const struct domain *domain, const struct refresh_call *call,
				struct token *ret_token, struct problem *problem);

/*
 * Refreshes the row that @lock holds, which is due, and ends the transaction; a row whose client
 * or grant is not to be refreshed is parked. For the refreshers: @deadline_ms (monotonic) as in
 * struct refresh_call. Errors as refresh_get()'s; the row says the same. @lock stays the
 * caller's to release.
 */
MUST_CHECK enum err refresh_claimed(const struct domain *domain, struct token_lock *lock,
				    int64_t deadline_ms);

#endif
