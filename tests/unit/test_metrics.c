#include "support.h"

#include "base/metrics.h"

/* A bound belongs to its own bucket, as "le" says. */
static void a_time_is_in_the_first_bucket_that_holds_it(void **state)
{
	struct metrics_histogram histogram = { 0 };

	for (size_t i = 0; i < METRICS_BOUNDS; i++) {
		metrics_observe(&histogram, metrics_bound_us(i));
		assert_int_equal(histogram.buckets[i], 1);
		metrics_observe(&histogram, metrics_bound_us(i) + 1);
		assert_int_equal(histogram.buckets[i], 1);
		assert_int_equal(histogram.buckets[i + 1], 1);
		histogram.buckets[i + 1] = 0;
		assert_true(i == 0 || metrics_bound_us(i) > metrics_bound_us(i - 1));
	}
	assert_int_equal(metrics_bound_us(0), 500);
	assert_int_equal(metrics_bound_us(METRICS_BOUNDS - 1), 10000000);
}

/* A clock that was set makes no count go back. */
static void a_negative_time_is_none(void **state)
{
	struct metrics_histogram histogram = { 0 };

	metrics_observe(&histogram, 700);
	metrics_observe(&histogram, -5);
	assert_int_equal(histogram.buckets[0], 1);
	assert_int_equal(histogram.sum_us, 700);
}

static void every_status_and_outcome_has_one_place(void **state)
{
	struct metrics metrics = { 0 };
	uint64_t seen = 0;

	for (int status = 100; status < 600; status++)
		metrics_count_request(&metrics, 1, status, 0);
	for (size_t i = 0; i < METRICS_STATUSES; i++) {
		assert_int_equal(metrics.requests[1][i],
				 metrics_status(i) ? 1 : 500 - (METRICS_STATUSES - 1));
		seen += metrics.requests[1][i];
	}
	assert_int_equal(seen, 500);
	for (enum err err = ERR_OK; err < ERR__COUNT; err++) {
		int status = err_info(err)->status;

		/* What is answered has a number of its own. */
		for (size_t i = 0; err && metrics_status(i) != status; i++)
			assert_int_not_equal(metrics_status(i), 0);
		metrics_count_refresh(&metrics, err);
	}
	for (size_t i = 0; i < METRICS_OUTCOMES - 1; i++) {
		assert_int_equal(metrics.refreshes[i], 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(metrics_outcome(i), metrics_outcome(j));
	}
	assert_string_equal(metrics_outcome(0), "success");
	assert_string_equal(metrics_outcome(METRICS_OUTCOMES - 1), "other");
	assert_int_equal(metrics.refreshes[METRICS_OUTCOMES - 1],
			 ERR__COUNT - (METRICS_OUTCOMES - 1));
}

static void adding_up_misses_no_counter(void **state)
{
	struct metrics *all = calloc(3, sizeof(*all));
	_Atomic uint64_t *cells = (_Atomic uint64_t *)all;
	size_t count = sizeof(*all) / sizeof(*cells);

	for (size_t i = 0; i < 2 * count; i++)
		cells[i] = i;
	metrics_add_up(&all[2], &all[0]);
	metrics_add_up(&all[2], &all[1]);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(cells[2 * count + i], 2 * i + count);
	assert_int_equal(all[2].logins_unreturned, 2 * (count - 1) + count); /* the last */
	free(all);
}

static void nothing_is_counted_into_nothing(void **state)
{
	metrics_count_request(NULL, 1, 200, 1);
	metrics_count_provider_call(NULL, METRICS_REVOKE, ERR_OK, 1);
	metrics_count_refresh(NULL, ERR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_in_the_first_bucket_that_holds_it),
		cmocka_unit_test(a_negative_time_is_none),
		cmocka_unit_test(every_status_and_outcome_has_one_place),
		cmocka_unit_test(adding_up_misses_no_counter),
		cmocka_unit_test(nothing_is_counted_into_nothing),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
