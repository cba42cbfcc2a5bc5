#include "support.h"

#include "base/config.h"
#include "base/key_strength.h"

static void a_key_that_can_be_guessed_is_told_why(void **state)
{
	static const struct {
		const char *key, *weakness;
	} rows[] = {
		{ "", "is shorter than 32 characters" },
		{ "Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7", "is shorter than 32 characters" },
		{ CONFIG_DEVELOPMENT_KEY, "is a placeholder that everybody knows" },
		{ "your-secret-key-here-change-in-production",
		  "is a placeholder that everybody knows" },
		{ "CHANGE_ME_Zc5v8QpXr1LmYt6KwJb9Ns4Hd0", "is a placeholder that everybody knows" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  "has fewer than 10 different characters" },
		{ "123456789123456789123456789123456789",
		  "has fewer than 10 different characters" },
		{ "q7Zr5Kx0Lmq7Zr5Kx0Lmq7Zr5Kx0Lmq7Zr", "is a repetition" },
		{ "abcdefghijklmnopqrstuvwxyz0123456789", "is a sequence" },
		{ "9876543210zyxwvutsrqponmlkjihgfedcba", "is a sequence" },
		{ "Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7u", NULL },
		{ "6f1ed002ab5595859014ebf0951522d9", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].key, same_text(key_weakness(rows[i].key), rows[i].weakness));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_can_be_guessed_is_told_why),
	};

	return cmocka_run_group_tests_name("key_strength", tests, NULL, NULL);
}
