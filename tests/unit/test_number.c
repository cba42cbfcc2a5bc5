#include "support.h"

#include "base/number.h"

static void only_digits_within_the_bounds_are_a_number(void **state)
{
	static const char *const none[] = {
		"",    " 1",   "1 ",   "+1", "-1",  "1.5",
		"1e3", "0x10", "many", "0",  "101", "9223372036854775808",
	};
	int64_t number = 7;

	for (size_t i = 0; i < COUNT(none); i++) {
		CHECK_ROW(none[i], !number_parse(none[i], 1, 100, &number));
		CHECK_ROW(none[i], number == 7);
	}
	assert_true(number_parse("1", 1, 100, &number) && number == 1);
	assert_true(number_parse("100", 1, 100, &number) && number == 100);
	assert_true(number_parse("007", 1, 100, &number) && number == 7);
	assert_true(number_parse("9223372036854775807", 0, INT64_MAX, &number) &&
		    number == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_digits_within_the_bounds_are_a_number),
	};

	return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
