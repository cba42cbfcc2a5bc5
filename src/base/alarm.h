/*
 * Something else to do while a call waits for somebody: fn(arg) once, when the monotonic clock
 * passes at_ms. The wait goes on.
 */
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include <stdint.h>

struct alarm {
	int64_t at_ms;
	void (*fn)(void *arg); /* NULL: nothing (more) to do */
	void *arg;
};

/* Rings if it is time. NULL is no alarm. */
void alarm_check(struct alarm *alarm);

/* How long to wait at most, milliseconds, when @wait_ms is as long as there is otherwise. */
int alarm_wait_ms(const struct alarm *alarm, int wait_ms);

#endif
