#include "support.h"

#include "base/clock.h"
#include "google/breaker.h"

static void fail_times(struct breaker *breaker, int times)
{
	while (times--)
		breaker_report(breaker, false);
}

/* As if the time that it stays open had gone by. */
static void let_time_pass(struct breaker *breaker)
{
	breaker->open_until_ms = clock_monotonic_ms();
}

static void opens_after_five_failures_in_a_row(void **state)
{
	struct breaker breaker = { 0 };

	assert_true(breaker_admits(&breaker, 1000));
	fail_times(&breaker, 4);
	assert_true(breaker_admits(&breaker, 1000));
	assert_false(breaker_is_open(&breaker));
	fail_times(&breaker, 1);
	assert_false(breaker_admits(&breaker, 1000));
	assert_true(breaker_is_open(&breaker));
	assert_in_range(breaker_wait_s(&breaker), 1, 6);
}

static void an_answer_of_any_kind_begins_the_row_anew(void **state)
{
	struct breaker breaker = { 0 };

	fail_times(&breaker, 4);
	breaker_report(&breaker, true);
	fail_times(&breaker, 4);
	assert_true(breaker_admits(&breaker, 1000));
}

static void when_the_time_is_over_one_call_tries(void **state)
{
	struct breaker breaker = { 0 };

	fail_times(&breaker, 5);
	let_time_pass(&breaker);
	assert_false(breaker_is_open(&breaker)); /* asking takes nobody's turn */
	assert_false(breaker_is_open(&breaker));
	assert_true(breaker_admits(&breaker, 10000));
	assert_false(breaker_admits(&breaker, 10000));
	assert_true(breaker_is_open(&breaker));
}

static void a_try_that_dies_is_followed_by_another(void **state)
{
	struct breaker breaker = { 0 };

	fail_times(&breaker, 5);
	let_time_pass(&breaker);
	assert_true(breaker_admits(&breaker, 0)); /* its time is over at once */
	assert_true(breaker_admits(&breaker, 0));
}

static void the_try_decides(void **state)
{
	struct breaker breaker = { 0 };

	fail_times(&breaker, 5);
	let_time_pass(&breaker);
	assert_true(breaker_admits(&breaker, 10000));
	fail_times(&breaker, 1);
	assert_false(breaker_admits(&breaker, 10000));
	let_time_pass(&breaker);
	assert_true(breaker_admits(&breaker, 10000));
	breaker_report(&breaker, true);
	assert_true(breaker_admits(&breaker, 10000));
	assert_true(breaker_admits(&breaker, 10000));
	assert_false(breaker_is_open(&breaker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_after_five_failures_in_a_row),
		cmocka_unit_test(an_answer_of_any_kind_begins_the_row_anew),
		cmocka_unit_test(when_the_time_is_over_one_call_tries),
		cmocka_unit_test(a_try_that_dies_is_followed_by_another),
		cmocka_unit_test(the_try_decides),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
