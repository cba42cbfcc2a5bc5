#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

#include "base/banned.h"

static int64_t now_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t clock_monotonic_ms(void)
{
	return now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_monotonic_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
	return now_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_unix_us(void)
{
	return now_us(CLOCK_REALTIME);
}

const char *clock_rfc3339(int64_t unix_us, char *buf)
{
	int64_t us = unix_us % US_PER_S;
	time_t seconds = (time_t)(unix_us / US_PER_S);
	struct tm tm = { 0 };
	size_t len;

	if (us < 0) {
		us += US_PER_S;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	len = strftime(buf, CLOCK_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, CLOCK_RFC3339_SIZE - len, ".%06dZ", (int)us);
	return buf;
}

int clock_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_monotonic_ms();

	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

void clock_sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}
