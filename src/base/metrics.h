/*
 * What the service counts about itself. Every worker writes only into its own struct metrics, in
 * memory that all workers share, so that counting takes no lock; whoever shows the numbers adds
 * the workers up. Nothing is ever set back: sums grow over crashes and reloads.
 *
 * Functions that count take NULL for "not counted here".
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define METRICS_ROUTES 24   /* the first is for requests without a route */
#define METRICS_STATUSES 19 /* the last is for statuses that are not in the table */
#define METRICS_OUTCOMES 9  /* the last is for errors that are not in the table */
#define METRICS_BOUNDS 14

enum metrics_call {
	METRICS_EXCHANGE,
	METRICS_REFRESH,
	METRICS_REVOKE,
	METRICS_CALLS,
};

enum metrics_pool {
	METRICS_POOL_DATABASE,
	METRICS_POOL_EXCHANGE,
	METRICS_POOL_REFRESHER,
	METRICS_POOLS,
};

struct metrics_histogram {
	_Atomic uint64_t
		buckets[METRICS_BOUNDS + 1]; /* each without those below; the last: longer */
	_Atomic uint64_t sum_us;
};

/* Of one worker, or the sum of all. Has counters only: metrics_add_up() relies on it. */
struct metrics {
	_Atomic uint64_t requests[METRICS_ROUTES][METRICS_STATUSES];
	struct metrics_histogram request_duration[METRICS_ROUTES];
	_Atomic uint64_t provider_calls[METRICS_CALLS][METRICS_OUTCOMES];
	struct metrics_histogram provider_duration[METRICS_CALLS];
	_Atomic uint64_t refreshes[METRICS_OUTCOMES];
	struct metrics_histogram lock_wait;
	_Atomic uint64_t database_reconnects;
	_Atomic uint64_t database_connect_failures;
	_Atomic uint64_t logins_unreturned;
};

/* What the database said of its rows when it was asked last: by one worker, for the whole host. */
struct metrics_survey {
	_Atomic int64_t next_at_ms; /* monotonic: when somebody is to ask again */
	_Atomic int64_t taken_us;   /* wall clock, microseconds since 1970; 0: never yet */
	_Atomic int64_t none, valid, expiring, expired, reauthorization_required, revoked;
	_Atomic int64_t inactive_clients;
	_Atomic int64_t nearest_expiry_us; /* from then on; below 0: there is no live token */
	_Atomic int64_t failing, oldest_failing_us;
	_Atomic int64_t pending_revocations;
};

struct metrics_workers {
	uint64_t configured, ready, busy, restarts;
};

/* All that there is to show at one moment. */
struct metrics_view {
	struct metrics total;
	struct metrics_workers workers[METRICS_POOLS];
	const struct metrics_survey *survey; /* borrowed */
};

/* The upper bound of bucket @i, microseconds. */
int64_t metrics_bound_us(size_t i);
/* The HTTP status of index @i; 0: any other. */
int metrics_status(size_t i);
/* The name of outcome @i. */
const char *metrics_outcome(size_t i);
const char *metrics_pool_name(enum metrics_pool pool);

void metrics_count(_Atomic uint64_t *counter, uint64_t more);
void metrics_observe(struct metrics_histogram *histogram, int64_t us);

/* A request of route @route (below METRICS_ROUTES) was answered with @status after @us. */
void metrics_count_request(struct metrics *metrics, size_t route, int status, int64_t us);
void metrics_count_provider_call(struct metrics *metrics, enum metrics_call call, enum err err,
				 int64_t us);
void metrics_count_refresh(struct metrics *metrics, enum err err);

/* Adds @metrics, which somebody may be writing, to @total. */
void metrics_add_up(struct metrics *total, const struct metrics *metrics);

#endif
