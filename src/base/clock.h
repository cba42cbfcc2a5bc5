/*
 * Time. Whether a token has expired is asked of the database's clock alone; the clocks here
 * serve deadlines (monotonic) and what is shown to people (wall clock).
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define US_PER_S INT64_C(1000000)
#define MS_PER_S INT64_C(1000)

int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
int64_t clock_unix_ms(void);
int64_t clock_unix_us(void);

#define CLOCK_RFC3339_SIZE 32

/* Writes "2026-01-16T16:13:05.364170Z" for @unix_us microseconds since 1970 into @buf
 * (CLOCK_RFC3339_SIZE bytes) and returns @buf. */
const char *clock_rfc3339(int64_t unix_us, char *buf);

/* Milliseconds from now until @deadline_ms (monotonic), never below 0, never above INT_MAX. */
int clock_left_ms(int64_t deadline_ms);

/* Sleeps for @ms milliseconds, or until a signal. */
void clock_sleep_ms(int ms);

#endif
