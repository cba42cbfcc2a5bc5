/*
 * One refresh while its row is locked: the provider is asked, the caller is answered early where
 * that takes too long, and what comes of it is written down (outcome.h). For refresh.c.
 */
#ifndef DOMAIN_ATTEMPT_H
#define DOMAIN_ATTEMPT_H

#include "base/alarm.h"
#include "domain/refresh.h"

/* Begins with the first four set, which are borrowed, and the rest zero. */
struct attempt {
	const struct domain *domain;
	const struct refresh_call *call;
	struct token_lock *lock;
	struct problem *problem;
	struct alarm alarm;          /* when the caller has waited long enough */
	struct secret client_secret; /* opened for the provider */
	struct secret refresh_token;
	struct token_answer answer;
	struct provider_failure failure;
};

/* The database's clock now: its time of the lock, and what has passed here since. */
int64_t attempt_now_us(const struct attempt *attempt);

/*
 * The row needs a new token: asks the provider for it and ends the transaction. Errors as
 * refresh_get()'s. To be followed by attempt_release().
 */
MUST_CHECK enum err attempt_run(struct attempt *attempt, struct token *ret_token);

/* Stops the alarm and lets go of what attempt_run() has come to, not of the lock. */
void attempt_release(struct attempt *attempt);

#endif
