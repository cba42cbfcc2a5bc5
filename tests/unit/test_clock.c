#include "support.h"

#include <limits.h>

#include "base/clock.h"

static const struct {
	int64_t us;
	const char *text;
} rows[] = {
	{ 0, "1970-01-01T00:00:00.000000Z" },
	{ 1, "1970-01-01T00:00:00.000001Z" },
	{ 999999, "1970-01-01T00:00:00.999999Z" },
	{ 1000000, "1970-01-01T00:00:01.000000Z" },
	{ -1, "1969-12-31T23:59:59.999999Z" },
	{ -999999, "1969-12-31T23:59:59.000001Z" },
	{ -1000000, "1969-12-31T23:59:59.000000Z" },
	{ -1000001, "1969-12-31T23:59:58.999999Z" },
	{ 1768579985364170, "2026-01-16T16:13:05.364170Z" },
	{ 1709164800000000, "2024-02-29T00:00:00.000000Z" },
	{ 253402300799999999, "9999-12-31T23:59:59.999999Z" },
	{ 253402300800000000, "10000-01-01T00:00:00.000000Z" },
	{ -62167219200000000, "0000-01-01T00:00:00.000000Z" },
	{ -62167219200000001, "-1-12-31T23:59:59.999999Z" },
};

static void rfc3339_has_microseconds_and_z(void **state)
{
	char text[CLOCK_RFC3339_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK_ROW(rows[i].text, clock_rfc3339(rows[i].us, text) == text);
		CHECK_ROW(rows[i].text, !strcmp(text, rows[i].text));
	}
}

static void rfc3339_stays_in_its_room_for_any_number(void **state)
{
	static const int64_t extremes[] = { INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1 };

	for (size_t i = 0; i < COUNT(extremes); i++) {
		char *text = malloc(CLOCK_RFC3339_SIZE);

		clock_rfc3339(extremes[i], text);
		assert_true(strlen(text) < CLOCK_RFC3339_SIZE);
		assert_int_equal(text[strlen(text) - 1], 'Z');
		free(text);
	}
}

static void rfc3339_does_not_depend_on_the_time_zone(void **state)
{
	char text[CLOCK_RFC3339_SIZE];

	setenv("TZ", "Asia/Tokyo", 1);
	assert_string_equal(clock_rfc3339(0, text), "1970-01-01T00:00:00.000000Z");
	unsetenv("TZ");
}

static void left_ms_is_never_negative_nor_too_large(void **state)
{
	int64_t now = clock_monotonic_ms();
	int left = clock_left_ms(now + 100000);

	assert_int_equal(clock_left_ms(now), 0);
	assert_int_equal(clock_left_ms(now - 1), 0);
	assert_int_equal(clock_left_ms(0), 0);
	assert_int_equal(clock_left_ms(INT64_MAX), INT_MAX);
	assert_int_equal(clock_left_ms(now + INT_MAX + INT64_C(100000)), INT_MAX);
	assert_true(left > 0 && left <= 100000);
}

static void the_clocks_agree_on_their_units(void **state)
{
	int64_t ms = clock_unix_ms();
	int64_t us = clock_unix_us();

	assert_true(us / 1000 - ms >= 0 && us / 1000 - ms < 60000);
	assert_true(ms > INT64_C(1700000000000)); /* the clock is set: after 2023 */
	assert_true(clock_monotonic_ms() >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_has_microseconds_and_z),
		cmocka_unit_test(rfc3339_stays_in_its_room_for_any_number),
		cmocka_unit_test(rfc3339_does_not_depend_on_the_time_zone),
		cmocka_unit_test(left_ms_is_never_negative_nor_too_large),
		cmocka_unit_test(the_clocks_agree_on_their_units),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
