#include "support.h"

#include "domain/nonce.h"

static void no_two_are_the_same(void **state)
{
	char a[NONCE_SIZE], b[NONCE_SIZE];

	assert_int_equal(nonce_new(a), ERR_OK);
	assert_int_equal(nonce_new(b), ERR_OK);
	assert_true(nonce_is_one(a));
	assert_true(nonce_is_one(b));
	assert_string_not_equal(a, b);
}

static void what_has_another_form_is_none(void **state)
{
	static const char *const texts[] = {
		NULL,
		"",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789",
		"0123456789abcdefghijABCDEFGHIJ-_01234567890x",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789+",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789=",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789\xc3",
	};

	assert_true(nonce_is_one("0123456789abcdefghijABCDEFGHIJ-_01234567890"));
	for (size_t i = 0; i < COUNT(texts); i++)
		CHECK_ROW(texts[i] ? texts[i] : "NULL", !nonce_is_one(texts[i]));
}

static void the_digest_is_a_bytea_and_names_its_row(void **state)
{
	/* FIPS 180-2, appendix B.1 */
	static const char hex[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char hash[NONCE_HASH_SIZE];

	assert_int_equal(nonce_hash("abc", hash), ERR_OK);
	assert_memory_equal(hash, "\\x", 2);
	assert_string_equal(hash + 2, hex);
	assert_string_equal(nonce_row(hash), hex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_are_the_same),
		cmocka_unit_test(what_has_another_form_is_none),
		cmocka_unit_test(the_digest_is_a_bytea_and_names_its_row),
	};

	return cmocka_run_group_tests_name("nonce", tests, NULL, NULL);
}
