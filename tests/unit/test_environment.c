#include "support.h"

#include "base/environment.h"

static void a_hidden_variable_is_found_but_not_inherited(void **state)
{
	setenv("HIDDEN_ONE", "hunter2", 1);
	assert_string_equal(environment_get("HIDDEN_ONE"), "hunter2");
	environment_hide("HIDDEN_ONE");
	assert_null(getenv("HIDDEN_ONE"));
	assert_string_equal(environment_get("HIDDEN_ONE"), "hunter2");
}

static void what_stood_in_the_environment_is_overwritten(void **state)
{
	char first[] = "HIDDEN_TWO=hunter2", again[] = "HIDDEN_TWO=hunter3";
	char other[] = "HIDDEN_TWO_MORE=stays";
	char *list[] = { first, other, again, NULL };
	char **before = environ;

	environ = list;
	environment_hide("HIDDEN_TWO");
	assert_string_equal(environment_get("HIDDEN_TWO"), "hunter2");
	assert_null(getenv("HIDDEN_TWO"));
	assert_string_equal(getenv("HIDDEN_TWO_MORE"), "stays");
	environ = before;
	for (size_t i = 0; i < COUNT("HIDDEN_TWO=hunter2"); i++) {
		assert_false(i > 10 && first[i]);
		assert_false(i > 10 && again[i]);
	}
}

static void a_variable_that_is_set_again_wins(void **state)
{
	setenv("HIDDEN_THREE", "old", 1);
	environment_hide("HIDDEN_THREE");
	setenv("HIDDEN_THREE", "new", 1);
	assert_string_equal(environment_get("HIDDEN_THREE"), "new");
	environment_hide("HIDDEN_THREE");
	assert_string_equal(environment_get("HIDDEN_THREE"), "new");
}

static void what_is_not_set_stays_so_and_empty_is_set(void **state)
{
	environment_hide("HIDDEN_NEVER");
	assert_null(environment_get("HIDDEN_NEVER"));
	setenv("HIDDEN_EMPTY", "", 1);
	environment_hide("HIDDEN_EMPTY");
	assert_string_equal(environment_get("HIDDEN_EMPTY"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hidden_variable_is_found_but_not_inherited),
		cmocka_unit_test(what_stood_in_the_environment_is_overwritten),
		cmocka_unit_test(a_variable_that_is_set_again_wins),
		cmocka_unit_test(what_is_not_set_stays_so_and_empty_is_set),
	};

	return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
