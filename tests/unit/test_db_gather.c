#include "support.h"

#include "store/db_internal.h"

#define MANY 8

static const struct db_stmt MANY_NAMES = { .name = "many_names", .nparams = 1, .ncols = 2 };
static const struct db_stmt NAME = {
	.name = "name", .nparams = 1, .ncols = 1, .of_many = &MANY_NAMES
};
static const struct db_stmt OTHER = { .name = "other", .nparams = 0, .ncols = 1 };

struct trial {
	struct db_query queries[MANY + 2], *list[MANY + 2], *asked[MANY + 2];
	size_t count, nasked;
	struct db_gathering gathering;
};

/* @count queries of NAME for "a", "b", …, one of OTHER in front of and behind them. */
static void gather(struct trial *trial, size_t count)
{
	static const char *const names[MANY] = {
		"a", "b", "c\"\\", "d\n", "\xc3\xa9", "f", "g", "h"
	};

	trial->count = count + 2;
	for (size_t i = 0; i < trial->count; i++) {
		bool is_other = !i || i == count + 1;

		db_query_init(&trial->queries[i], is_other ? &OTHER : &NAME);
		if (!is_other)
			db_query_text(&trial->queries[i], names[i - 1]);
		trial->list[i] = &trial->queries[i];
	}
	trial->nasked = db_gather(&trial->gathering, trial->list, trial->count, trial->asked);
}

static void release(struct trial *trial)
{
	db_gathering_release(&trial->gathering);
	for (size_t i = 0; i < trial->count; i++)
		db_query_release(&trial->queries[i]);
}

/* Rows of a name and its place; @rows: "a1h8" for two. */
static PGresult *result_of(const char *rows)
{
	char name[] = "column";
	PGresAttDesc columns[2] = { { .name = name }, { .name = name } };
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	assert_true(PQsetResultAttrs(result, 2, columns));
	for (int i = 0; rows[i]; i++) {
		char text[] = { rows[i], '\0' };

		assert_true(PQsetvalue(result, i / 2, i % 2, text, 1));
	}
	return result;
}

static void many_are_asked_as_one_in_the_place_of_all(void **state)
{
	struct trial t;

	gather(&t, MANY);
	assert_int_equal(t.nasked, 3);
	assert_ptr_equal(t.asked[0], &t.queries[0]);
	assert_ptr_equal(t.asked[1], &t.queries[MANY + 1]);
	assert_ptr_equal(t.asked[2]->stmt, &MANY_NAMES);
	assert_string_equal(t.asked[2]->values[0],
			    "[\"a\",\"b\",\"c\\\"\\\\\",\"d\\n\",\"\xc3\xa9\","
			    "\"f\",\"g\",\"h\"]");
	release(&t);
}

static void few_are_asked_one_by_one(void **state)
{
	struct trial t;

	gather(&t, 3);
	assert_int_equal(t.nasked, 5);
	for (size_t i = 0; i < 5; i++)
		assert_ptr_equal(t.asked[i], &t.queries[i]);
	assert_true(db_spread(&t.gathering));
	release(&t);
}

static void each_gets_the_row_of_its_place_or_none(void **state)
{
	struct trial t;

	gather(&t, MANY);
	t.asked[2]->result = result_of("h8a1d4");
	assert_true(db_spread(&t.gathering));
	for (size_t i = 1; i <= MANY; i++) {
		assert_int_equal(t.queries[i].err, ERR_OK);
		assert_int_equal(db_rows(&t.queries[i]), i == 1 || i == 4 || i == 8);
	}
	assert_string_equal(db_text(&t.queries[1], 0, 0), "a");
	/* Whoever is done first: what the others have stays. */
	db_query_release(&t.queries[1]);
	db_gathering_release(&t.gathering);
	assert_string_equal(db_text(&t.queries[4], 0, 0), "d");
	db_query_release(&t.queries[4]);
	assert_string_equal(db_text(&t.queries[8], 0, 0), "h");
	release(&t);
}

static void without_a_row_there_is_nothing_to_read(void **state)
{
	struct trial t;

	gather(&t, MANY);
	t.asked[2]->result = result_of("");
	assert_true(db_spread(&t.gathering));
	for (size_t i = 1; i <= MANY; i++)
		assert_int_equal(db_rows(&t.queries[i]), 0);
	release(&t);
}

static void a_lost_connection_is_told_to_each(void **state)
{
	struct trial t;

	gather(&t, MANY);
	t.asked[2]->err = ERR_DATABASE_UNAVAILABLE;
	assert_true(db_spread(&t.gathering));
	for (size_t i = 1; i <= MANY; i++)
		assert_int_equal(t.queries[i].err, ERR_DATABASE_UNAVAILABLE);
	release(&t);
}

/* One of them may have been the reason. */
static void after_a_statement_that_failed_each_is_asked_by_itself(void **state)
{
	struct trial t;

	gather(&t, MANY);
	t.asked[2]->err = ERR_INTERNAL;
	memcpy(t.asked[2]->sqlstate, "22021", 6);
	assert_false(db_spread(&t.gathering));
	assert_int_equal(t.gathering.count, MANY);
	assert_ptr_equal(t.gathering.members[0], &t.queries[1]);
	release(&t);
}

static void what_is_too_long_for_one_statement_is_asked_one_by_one(void **state)
{
	struct trial t;
	char *name = malloc(1024 * 1024 + 1);

	memset(name, 'x', 1024 * 1024);
	name[1024 * 1024] = '\0';
	gather(&t, MANY);
	db_gathering_release(&t.gathering);
	t.queries[1].values[0] = name;
	assert_int_equal(db_gather(&t.gathering, t.list, t.count, t.asked), t.count);
	assert_ptr_equal(t.asked[1], &t.queries[1]);
	assert_true(db_spread(&t.gathering));
	release(&t);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_are_asked_as_one_in_the_place_of_all),
		cmocka_unit_test(few_are_asked_one_by_one),
		cmocka_unit_test(each_gets_the_row_of_its_place_or_none),
		cmocka_unit_test(without_a_row_there_is_nothing_to_read),
		cmocka_unit_test(a_lost_connection_is_told_to_each),
		cmocka_unit_test(after_a_statement_that_failed_each_is_asked_by_itself),
		cmocka_unit_test(what_is_too_long_for_one_statement_is_asked_one_by_one),
	};

	return cmocka_run_group_tests_name("db_gather", tests, NULL, NULL);
}
