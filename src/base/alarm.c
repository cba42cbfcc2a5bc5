#include "base/alarm.h"

#include <stddef.h>

#include "base/clock.h"

#include "base/banned.h"

void alarm_check(struct alarm *alarm)
{
	void (*fn)(void *arg);

	if (!alarm || !alarm->fn || clock_left_ms(alarm->at_ms) > 0)
		return;
	fn = alarm->fn;
	alarm->fn = NULL;
	fn(alarm->arg);
}

int alarm_wait_ms(const struct alarm *alarm, int wait_ms)
{
	int left_ms;

	if (!alarm || !alarm->fn)
		return wait_ms;
	left_ms = clock_left_ms(alarm->at_ms);
	return left_ms < wait_ms ? left_ms : wait_ms;
}
