/*
 * Which call is which, and which pool does it. routes.c holds the only route table.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/call.h"

enum pool {
	POOL_DATABASE, /* needs only the database: never waits for the provider or a lock */
	POOL_EXCHANGE, /* talks to the provider */
};

enum {
	ROUTE_PAGE = 1,         /* a browser gets its errors as a page */
	ROUTE_OPEN_LOCALLY = 2, /* a caller on this host needs no key */
};

struct route {
	const char *method;
	const char *pattern; /* segments; {name} takes any one */
	enum access access;  /* what a caller must be allowed */
	enum pool pool;
	enum err (*ask)(struct call *call);
	enum err (*answer)(struct call *call); /* may be NULL: ask() made the reply */
	enum err (*run)(struct call *call);    /* in the exchange pool */
	unsigned int flags;                    /* ROUTE_… */
};

/* Finds call->route and fills call->args. ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED,
 * ERR_MALFORMED_REQUEST. */
MUST_CHECK enum err routes_find(struct call *call);

/* A number for each route, below METRICS_ROUTES; NULL: 0. */
size_t route_index(const struct route *route);
/* The other way; NULL: no route has it. */
const struct route *route_at(size_t index);

/* The Allow header: every method that the path takes. */
void routes_add_allow(struct call *call);

/* A handler's answer by which the database pool hands the call on to the exchange pool. */
void route_to_exchange(struct call *call);

/* In the exchange pool: was it handed on, and does it only read? Then it is of no use to a caller
 * who is gone; a change, and a consent, are. */
bool route_is_handed_read(const struct route *route);

#endif
