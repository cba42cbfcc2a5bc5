/*
 * The gate: which calls need an API key (RFC 6750), and whether the one that came will do.
 *
 * auth_begin() looks at the request alone. Where it leaves call->key_hash set, the key is to be
 * asked for with key_ask(), and auth_decide() says the rest.
 */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/call.h"

/* For a call that has its route. ERR_UNAUTHENTICATED: a key is needed, and what came is none. */
MUST_CHECK enum err auth_begin(struct call *call);

/* Sets call->caller from the answer to key_ask(), borrowed from @query. ERR_UNAUTHENTICATED,
 * ERR_FORBIDDEN (its role, or the branch in the path), or the query's. */
MUST_CHECK enum err auth_decide(struct call *call, const struct db_query *query);

/* The challenge that belongs to ERR_UNAUTHENTICATED and ERR_FORBIDDEN. */
void auth_add_challenge(struct call *call, enum err err);

#endif
