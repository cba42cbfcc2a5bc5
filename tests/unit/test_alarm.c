#include "support.h"

#include "base/alarm.h"
#include "base/clock.h"

static void count(void *arg)
{
	++*(int *)arg;
}

static void rings_once_when_its_time_has_passed(void **state)
{
	int rung = 0;
	struct alarm alarm = { .at_ms = clock_monotonic_ms() + 60000, .fn = count, .arg = &rung };

	alarm_check(&alarm);
	assert_int_equal(rung, 0);
	alarm.at_ms = clock_monotonic_ms();
	alarm_check(&alarm);
	alarm_check(&alarm);
	assert_int_equal(rung, 1);
}

static void a_wait_ends_when_it_is_to_ring(void **state)
{
	int rung = 0;
	struct alarm alarm = { .at_ms = clock_monotonic_ms() + 5000, .fn = count, .arg = &rung };

	assert_int_equal(alarm_wait_ms(&alarm, 1000), 1000);
	assert_in_range(alarm_wait_ms(&alarm, 60000), 1, 5000);
	alarm.at_ms = 0;
	assert_int_equal(alarm_wait_ms(&alarm, 60000), 0);
	alarm_check(&alarm); /* it has rung: the wait is as long as any */
	assert_int_equal(alarm_wait_ms(&alarm, 60000), 60000);
}

static void none_is_as_good_as_one_that_never_rings(void **state)
{
	struct alarm silent = { 0 };

	alarm_check(NULL);
	alarm_check(&silent);
	assert_int_equal(alarm_wait_ms(NULL, 70), 70);
	assert_int_equal(alarm_wait_ms(&silent, 70), 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rings_once_when_its_time_has_passed),
		cmocka_unit_test(a_wait_ends_when_it_is_to_ring),
		cmocka_unit_test(none_is_as_good_as_one_that_never_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
