#include "google/breaker.h"

#include "base/clock.h"

#include "base/banned.h"

#define FAILURES_TO_OPEN 5
#define OPEN_MS 5000

bool breaker_is_open(const struct breaker *breaker)
{
	return breaker->failures >= FAILURES_TO_OPEN && clock_left_ms(breaker->open_until_ms) > 0;
}

bool breaker_admits(struct breaker *breaker, int probe_ms)
{
	int64_t until_ms = breaker->open_until_ms;

	if (breaker->failures < FAILURES_TO_OPEN)
		return true;
	if (clock_left_ms(until_ms) > 0)
		return false;
	/* Whoever moves the time on makes the try; a try that dies with its worker is followed by
	 * another when that time has passed. */
	return atomic_compare_exchange_strong(&breaker->open_until_ms, &until_ms,
					      clock_monotonic_ms() + probe_ms);
}

int breaker_wait_s(const struct breaker *breaker)
{
	return clock_left_ms(breaker->open_until_ms) / 1000 + 1;
}

void breaker_report(struct breaker *breaker, bool answered)
{
	if (answered) {
		breaker->failures = 0;
		return;
	}
	if (++breaker->failures >= FAILURES_TO_OPEN)
		breaker->open_until_ms = clock_monotonic_ms() + OPEN_MS;
}
