/*
 * What came of an attempt (attempt.h): written into its row, and told to its caller.
 */
#ifndef DOMAIN_OUTCOME_H
#define DOMAIN_OUTCOME_H

#include "domain/attempt.h"

/*
 * Writes what the provider gave into the locked row, commits, and answers it. A transaction that
 * does not end well costs no grant: until the deadline it is tried again, where the row is still
 * the one that was locked; else the newer grant there is answered.
 */
MUST_CHECK enum err outcome_store(struct attempt *attempt, struct token *ret_token);

/* The refresh failed with @err: writes that down, with the next backoff, and tells the caller what
 * it means; is tried once, but until the deadline where the provider gave a new refresh token.
 * @row, which begins as the locked row, becomes what it is then. */
MUST_CHECK enum err outcome_fail(struct attempt *attempt, enum err err, struct token_row *row,
				 struct token *ret_token);

/* Tells the caller what a refresh that failed with @err means for it: the token while it works,
 * else @err, as @row has it. */
MUST_CHECK enum err outcome_tell_failure(struct attempt *attempt, enum err err,
					 const struct token_row *row, struct token *ret_token);

#endif
