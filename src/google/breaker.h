/*
 * A provider that hangs must not cost every worker its whole deadline: after some failures in a
 * row nobody asks it any more, but for one call now and then that tries. Shared by all workers
 * of a host; lock-free.
 */
#ifndef GOOGLE_BREAKER_H
#define GOOGLE_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct breaker {
	_Atomic int failures;          /* calls without an answer, in a row */
	_Atomic int64_t open_until_ms; /* monotonic; once passed, one call may try */
};

/* May a call be made? While open, at most one caller in @probe_ms gets a yes. */
bool breaker_admits(struct breaker *breaker, int probe_ms);
/* Would breaker_admits() say no? Takes nobody's turn. */
bool breaker_is_open(const struct breaker *breaker);
/* The whole seconds until the next try, at least 1. */
int breaker_wait_s(const struct breaker *breaker);
/* How a call went: an answer of whatever kind is @answered. */
void breaker_report(struct breaker *breaker, bool answered);

#endif
