#include "support.h"

#include "base/cleanup.h"
#include "base/secret.h"

static void equal_only_for_the_same_bytes(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		{ "abc", "abc", true }, { "abc", "abd", false }, { "abc", "xbc", false },
		{ "abc", "ab", false }, { "ab", "abc", false },  { "abc", "ABC", false },
		{ "abc", NULL, false }, { NULL, "abc", false },  { "abc", "", false },
		{ NULL, NULL, false }, /* nothing is set on either side: fails closed */
		{ "", "", false },      { NULL, "", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(secret_release) struct secret a = { 0 };
		CLEANUP(secret_release) struct secret b = { 0 };

		secret_set(&a, rows[i].a);
		secret_set(&b, rows[i].b);
		CHECK_ROW(rows[i].a ? rows[i].a : "(unset)", secret_equal(&a, &b) == rows[i].equal);
	}
}

static void set_copies_and_null_unsets(void **state)
{
	CLEANUP(secret_release) struct secret secret = { 0 };
	char text[] = "first";

	secret_set(&secret, text);
	text[0] = 'X';
	assert_string_equal(secret.data, "first");
	assert_int_equal(secret.len, 5);
	assert_true(secret_is_set(&secret));
	secret_set(&secret, "");
	assert_false(secret_is_set(&secret));
	secret_set(&secret, "second");
	secret_set(&secret, secret.data + 3); /* a part of itself */
	assert_string_equal(secret.data, "ond");
	secret_set(&secret, NULL);
	assert_null(secret.data);
	assert_false(secret_is_set(&secret));
}

static void move_leaves_the_source_unset(void **state)
{
	CLEANUP(secret_release) struct secret a = { 0 };
	CLEANUP(secret_release) struct secret b = { 0 };

	secret_set(&a, "a");
	secret_set(&b, "old");
	secret_move(&b, &a);
	assert_string_equal(b.data, "a");
	assert_null(a.data);
	secret_release(&a); /* twice does no harm */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_only_for_the_same_bytes),
		cmocka_unit_test(set_copies_and_null_unsets),
		cmocka_unit_test(move_leaves_the_source_unset),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
