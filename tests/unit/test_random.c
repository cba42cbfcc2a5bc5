#include "support.h"

#include "crypto/digest.h"
#include "crypto/random.h"

static void no_two_are_alike(void **state)
{
	char texts[200][BASE64URL_SIZE(32)];

	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(random_base64url(32, texts[i]), ERR_OK);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(texts[i], texts[k]);
	}
}

static void text_is_base64url_of_the_right_length(void **state)
{
	for (size_t len = 0; len <= 64; len++) {
		char *text = malloc(BASE64URL_SIZE(len));

		assert_int_equal(random_base64url(len, text), ERR_OK);
		assert_int_equal(strlen(text), BASE64URL_SIZE(len) - 1);
		assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					      "0123456789-_"),
				 strlen(text));
		free(text);
	}
}

static void more_than_64_bytes_are_refused(void **state)
{
	char text[BASE64URL_SIZE(65)] = "as it was";

	assert_int_equal(random_base64url(65, text), ERR_INTERNAL);
	assert_string_equal(text, "as it was");
}

static void every_byte_is_drawn(void **state)
{
	unsigned char bytes[64], seen[64] = { 0 };

	/* A byte that stays 0 in 20 draws is one that was not filled. */
	for (int i = 0; i < 20; i++) {
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(random_bytes(bytes, sizeof(bytes)), ERR_OK);
		for (size_t k = 0; k < sizeof(bytes); k++)
			seen[k] |= bytes[k];
	}
	for (size_t k = 0; k < sizeof(seen); k++)
		assert_int_not_equal(seen[k], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_are_alike),
		cmocka_unit_test(text_is_base64url_of_the_right_length),
		cmocka_unit_test(more_than_64_bytes_are_refused),
		cmocka_unit_test(every_byte_is_drawn),
	};

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
