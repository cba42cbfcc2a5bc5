#include "support.h"

#include "base/cleanup.h"
#include "crypto/keyring.h"

#define KEY "unit-test-secret-key-0123456789abcdef"

/* Made with another implementation of RFC 5869 (Python's cryptography). */
#define KEY_ID "8ae9aca0"
static const unsigned char DERIVED[KEYRING_KEY_SIZE] = {
	0x6e, 0xa2, 0xc4, 0xbc, 0xb9, 0xa1, 0x66, 0x0e, 0x23, 0x1b, 0x35,
	0x56, 0xb8, 0x2e, 0xed, 0x94, 0xba, 0xdb, 0xf8, 0x8e, 0x51, 0x47,
	0x35, 0x09, 0x40, 0xcf, 0x59, 0xf5, 0xf1, 0x45, 0x4b, 0xc1,
};
static const char INFO[] = "label\0context";

static struct keyring *open_keyring(const char *current, const char *previous)
{
	struct keyring *keyring = NULL;

	assert_int_equal(keyring_new(current, previous, &keyring), ERR_OK);
	return keyring;
}

static void ids_and_derived_keys_are_those_of_another_implementation(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	unsigned char key[sizeof(DERIVED)];

	assert_string_equal(keyring_id(keyring, KEYRING_CURRENT), KEY_ID);
	assert_int_equal(keyring_derive(keyring, KEYRING_CURRENT, INFO, sizeof(INFO) - 1, key),
			 ERR_OK);
	assert_memory_equal(key, DERIVED, sizeof(key));
	/* The next derivation begins afresh: nothing of the one before stays in it. */
	assert_int_equal(keyring_derive(keyring, KEYRING_CURRENT, "other", 5, key), ERR_OK);
	assert_int_equal(keyring_derive(keyring, KEYRING_CURRENT, INFO, sizeof(INFO) - 1, key),
			 ERR_OK);
	assert_memory_equal(key, DERIVED, sizeof(key));
}

static void every_label_context_and_key_gives_another_derived_key(void **state)
{
	static const struct {
		size_t index;
		const char *info;
		size_t len;
	} rows[] = {
		{ 0, "a\0b", 3 }, { 0, "a\0c", 3 }, { 0, "ab", 2 },   { 0, "a", 1 },
		{ 0, "a\0", 2 },  { 0, "b\0a", 3 }, { 1, "a\0b", 3 }, { 0, "a\0b\0", 4 },
	};
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, "another");
	unsigned char keys[COUNT(rows)][KEYRING_KEY_SIZE];

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(keyring_derive(keyring, rows[i].index, rows[i].info, rows[i].len,
						keys[i]),
				 ERR_OK);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], sizeof(keys[i]));
	}
}

static void info_counts_to_its_last_byte_and_no_further_than_its_limit(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	char info[KEYRING_INFO_MAX + 1];
	unsigned char key[KEYRING_KEY_SIZE], other[KEYRING_KEY_SIZE];

	memset(info, 'x', sizeof(info));
	assert_int_equal(keyring_derive(keyring, 0, info, KEYRING_INFO_MAX, key), ERR_OK);
	info[KEYRING_INFO_MAX - 1] = 'y';
	assert_int_equal(keyring_derive(keyring, 0, info, KEYRING_INFO_MAX, other), ERR_OK);
	assert_memory_not_equal(key, other, sizeof(key));
	assert_int_equal(keyring_derive(keyring, 0, info, KEYRING_INFO_MAX + 1, key), ERR_LIMIT);
	assert_int_equal(keyring_derive(keyring, 0, info, 0, key), ERR_LIMIT);
}

static void previous_is_a_list_in_which_a_key_counts_once(void **state)
{
	static const struct {
		const char *previous;
		size_t keys;
	} rows[] = {
		{ NULL, 1 },
		{ "", 1 },
		{ "old", 2 },
		{ "old,older", 3 },
		{ KEY, 1 },
		{ "old,old", 2 },
		{ " old , older ", 3 },
		{ ",old,,", 2 },
		{ " , ,", 1 },
		{ "old," KEY ",older", 3 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(keyring_free_ptr)
		struct keyring *keyring = open_keyring(KEY, rows[i].previous);

		CHECK_ROW(rows[i].previous ? rows[i].previous : "(unset)",
			  keyring_count(keyring) == rows[i].keys);
		assert_string_equal(keyring_id(keyring, KEYRING_CURRENT), KEY_ID);
	}
}

static void a_key_is_found_by_its_id_whichever_list_it_is_in(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring("new", "old, " KEY);
	CLEANUP(keyring_free_ptr) struct keyring *other = open_keyring("old", NULL);
	size_t index = 99;

	assert_int_equal(keyring_find(keyring, KEY_ID ".and what follows", &index), ERR_OK);
	assert_int_equal(index, 2);
	assert_int_equal(keyring_find(keyring, keyring_id(other, 0), &index), ERR_OK);
	assert_int_equal(index, 1);
	assert_int_equal(keyring_find(other, KEY_ID, &index), ERR_SECRET_KEY_UNKNOWN);
	assert_int_equal(index, 1); /* untouched */
}

static void there_is_no_keyring_without_a_key(void **state)
{
	struct keyring *keyring = NULL;

	assert_int_equal(keyring_new("", "old", &keyring), ERR_INTERNAL);
	assert_null(keyring);
	keyring_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_and_derived_keys_are_those_of_another_implementation),
		cmocka_unit_test(every_label_context_and_key_gives_another_derived_key),
		cmocka_unit_test(info_counts_to_its_last_byte_and_no_further_than_its_limit),
		cmocka_unit_test(previous_is_a_list_in_which_a_key_counts_once),
		cmocka_unit_test(a_key_is_found_by_its_id_whichever_list_it_is_in),
		cmocka_unit_test(there_is_no_keyring_without_a_key),
	};

	return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
