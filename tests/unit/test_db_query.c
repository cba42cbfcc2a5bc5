#include "support.h"

#include <libpq-fe.h>

#include "store/db.h"

/* A query whose result is one row with one column: @len bytes, -1: NULL. */
static void query_set(struct db_query *query, bool binary, const char *data, int len)
{
	char name[] = "column";
	PGresAttDesc column = { .name = name, .format = binary };
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	assert_true(PQsetResultAttrs(result, 1, &column));
	assert_true(PQsetvalue(result, 0, 0, (char *)data, len));
	db_query_init(query, NULL);
	query->result = result;
}

static const struct {
	const char *name;
	bool binary;
	const char *data;
	int len;
	int64_t value;
} integers[] = {
	{ "NULL", true, NULL, -1, 0 },
	{ "two bytes", true, "\x01\x02", 2, 258 },
	{ "two bytes, negative", true, "\xff\xfe", 2, -2 },
	{ "four bytes", true, "\x7f\xff\xff\xff", 4, INT32_MAX },
	{ "four bytes, negative", true, "\x80\0\0\0", 4, INT32_MIN },
	{ "eight bytes", true, "\0\0\0\x01\0\0\0\xff", 8, (INT64_C(1) << 32) + 255 },
	{ "the largest", true, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, INT64_MAX },
	{ "the smallest", true, "\x80\0\0\0\0\0\0\0", 8, INT64_MIN },
	{ "text", false, "-17", 3, -17 },
	{ "NULL as text", false, NULL, -1, 0 },
};

static void an_integer_is_read_as_it_comes(void **state)
{
	for (size_t i = 0; i < COUNT(integers); i++) {
		struct db_query query;

		query_set(&query, integers[i].binary, integers[i].data, integers[i].len);
		CHECK_ROW(integers[i].name, db_int(&query, 0, 0) == integers[i].value);
		db_query_release(&query);
	}
}

static const struct {
	const char *name;
	bool binary;
	const char *data;
	int len;
	int64_t us;
} times[] = {
	{ "NULL", true, NULL, -1, 0 },
	{ "2000", true, "\0\0\0\0\0\0\0\0", 8, 946684800000000 },
	{ "a microsecond before 2000", true, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
	  946684799999999 },
	{ "1970", true, "\xff\xfc\xa2\xfe\xc4\xc8\x20\x00", 8, 0 },
	/* SELECT timestamptz_send('2026-01-16T16:13:05.364170Z') */
	{ "2026", true, "\x00\x02\xeb\x82\x62\x90\xf4\xca", 8, 1768579985364170 },
	{ "infinity", true, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, INT64_MAX },
	{ "text", false, "1768579985364170", 16, 1768579985364170 },
};

static void a_time_counts_from_1970(void **state)
{
	for (size_t i = 0; i < COUNT(times); i++) {
		struct db_query query;

		query_set(&query, times[i].binary, times[i].data, times[i].len);
		CHECK_ROW(times[i].name, db_time(&query, 0, 0) == times[i].us);
		db_query_release(&query);
	}
}

static const struct {
	const char *name;
	bool binary;
	const char *data;
	int len;
	bool value;
} booleans[] = {
	{ "true", true, "\x01", 1, true },         { "false", true, "\0", 1, false },
	{ "NULL", true, NULL, -1, false },         { "true as text", false, "t", 1, true },
	{ "false as text", false, "f", 1, false },
};

static void a_boolean_is_read_as_it_comes(void **state)
{
	for (size_t i = 0; i < COUNT(booleans); i++) {
		struct db_query query;

		query_set(&query, booleans[i].binary, booleans[i].data, booleans[i].len);
		CHECK_ROW(booleans[i].name, db_bool(&query, 0, 0) == booleans[i].value);
		db_query_release(&query);
	}
}

static void a_text_is_the_same_either_way(void **state)
{
	for (int binary = 0; binary < 2; binary++) {
		struct db_query query;

		query_set(&query, binary, "a \xc3\xa9", 4);
		assert_string_equal(db_text(&query, 0, 0), "a \xc3\xa9");
		db_query_release(&query);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_integer_is_read_as_it_comes),
		cmocka_unit_test(a_time_counts_from_1970),
		cmocka_unit_test(a_boolean_is_read_as_it_comes),
		cmocka_unit_test(a_text_is_the_same_either_way),
	};

	return cmocka_run_group_tests_name("db_query", tests, NULL, NULL);
}
