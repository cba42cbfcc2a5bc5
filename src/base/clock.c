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

/* @value with @digits digits and @end behind them; returns what follows. strftime() and snprintf()
 * take ten times as long, and every answer and line of the log has a time. */
static char *put_number(char *to, int value, int digits, char end)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		to[i] = (char)('0' + value % 10);
	to[digits] = end;
	return to + digits + 1;
}

const char *clock_rfc3339(int64_t unix_us, char *buf)
{
	int64_t us = unix_us % US_PER_S;
	time_t seconds = (time_t)(unix_us / US_PER_S);
	struct tm tm = { 0 };
	char *to = buf;
	int year;

	if (us < 0) {
		us += US_PER_S;
		seconds--;
	}
	gmtime_r(&seconds, &tm);
	year = tm.tm_year + 1900;
	if (year >= 0 && year <= 9999)
		to = put_number(to, year, 4, '-');
	else
		to += snprintf(to, CLOCK_RFC3339_SIZE, "%d-", year);
	to = put_number(to, tm.tm_mon + 1, 2, '-');
	to = put_number(to, tm.tm_mday, 2, 'T');
	to = put_number(to, tm.tm_hour, 2, ':');
	to = put_number(to, tm.tm_min, 2, ':');
	to = put_number(to, tm.tm_sec, 2, '.');
	to = put_number(to, (int)us, 6, 'Z');
	*to = '\0';
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
