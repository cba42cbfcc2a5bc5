#include "support.h"

#include "base/cleanup.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

#define KEY "unit-test-secret-key-0123456789abcdef"
#define PLAIN "1//refresh-token"

/* PLAIN under KEY for PLACE with the nonce 00 01 … 0b, made with Python's cryptography. */
#define SEALED "v1.8ae9aca0.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAsBfo90z1-YdrFNDg"

static const struct seal_place PLACE = { "tokens", "refresh_token", "42" };

static struct keyring *open_keyring(const char *current, const char *previous)
{
	struct keyring *keyring = NULL;

	assert_int_equal(keyring_new(current, previous, &keyring), ERR_OK);
	return keyring;
}

static char *sealed(const struct keyring *keyring, const struct seal_place *place,
		    const char *plain)
{
	char *text = NULL;

	assert_int_equal(seal(keyring, place, plain, &text), ERR_OK);
	return text;
}

/* Opens @text, which must fail as @expected and leave the output alone. */
static bool fails(const struct keyring *keyring, const struct seal_place *place, const char *text,
		  enum err expected)
{
	struct secret plain = { 0 };
	enum err err = unseal(keyring, place, text, &plain);
	bool untouched = !plain.data;

	secret_release(&plain);
	return err == expected && untouched;
}

static void what_another_implementation_sealed_opens(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	CLEANUP(secret_release) struct secret plain = { 0 };

	assert_int_equal(unseal(keyring, &PLACE, SEALED, &plain), ERR_OK);
	assert_string_equal(plain.data, PLAIN);
	assert_int_equal(plain.len, strlen(PLAIN));
}

static void every_length_opens_to_what_was_sealed(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);

	for (size_t len = 0; len < 100; len++) {
		CLEANUP(secret_release) struct secret plain = { 0 };
		CLEANUP(mem_free_ptr) char *text = NULL;
		char in[101];

		memset(in, 'a', len);
		in[len] = '\0';
		text = sealed(keyring, &PLACE, in);
		assert_int_equal(unseal(keyring, &PLACE, text, &plain), ERR_OK);
		assert_string_equal(plain.data, in);
		assert_int_equal(strlen(text), 12 + BASE64URL_SIZE(len + 28) - 1);
	}
}

static void the_same_value_is_sealed_differently_each_time(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	CLEANUP(mem_free_ptr) char *a = sealed(keyring, &PLACE, PLAIN);
	CLEANUP(mem_free_ptr) char *b = sealed(keyring, &PLACE, PLAIN);

	assert_int_equal(strncmp(a, b, 12), 0); /* version and key id */
	assert_int_not_equal(strncmp(a + 12, b + 12, 16), 0);
	assert_null(strstr(a, PLAIN));
}

static void a_value_moved_to_another_place_does_not_open(void **state)
{
	static const struct seal_place places[] = {
		{ "tokens", "refresh_token", "43" },  { "tokens", "access_token", "42" },
		{ "clients", "refresh_token", "42" }, { "tokens", "refresh_token", "" },
		{ "tokens", "refresh_token", "421" }, { "token", "srefresh_token", "42" },
	};
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);

	for (size_t i = 0; i < COUNT(places); i++)
		CHECK_ROW(places[i].table,
			  fails(keyring, &places[i], SEALED, ERR_SEALED_VALUE_DAMAGED));
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	unsigned char box[sizeof(PLAIN) - 1 + 28];
	size_t len = 0;

	assert_true(base64url_decode(&SEALED[12], box, &len));
	assert_int_equal(len, sizeof(box));
	for (size_t bit = 0; bit < len * 8; bit++) {
		char text[sizeof(SEALED)] = "v1.8ae9aca0.";

		box[bit / 8] ^= (unsigned char)(1U << bit % 8);
		base64url_encode(box, len, text + 12);
		assert_true(fails(keyring, &PLACE, text, ERR_SEALED_VALUE_DAMAGED));
		box[bit / 8] ^= (unsigned char)(1U << bit % 8);
	}
}

static void a_truncated_value_never_opens(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	char text[sizeof(SEALED)] = SEALED;

	for (size_t len = strlen(SEALED); len-- > 0;) {
		/* 28 bytes, nonce and tag, are 38 characters: less is no sealed value. */
		bool whole = len >= 12 + 38;

		text[len] = '\0';
		assert_true(fails(keyring, &PLACE, text,
				  whole ? ERR_SEALED_VALUE_DAMAGED : ERR_SEALED_VALUE_MALFORMED));
	}
}

static void what_is_no_sealed_value_is_called_that(void **state)
{
	static const char *const rows[] = {
		"",
		"1//plain-refresh-token",
		"v1",
		"v1.",
		"v1.8ae9aca0",
		"v1.8ae9aca0.",
		"v1.8ae9aca0.AAAA",
		"v2.8ae9aca0.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAsBfo90z1-YdrFNDg",
		"v1.8AE9ACA0.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAsBfo90z1-YdrFNDg",
		"v1.8ae9aca00.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAsBfo90z1-YdrFNDg",
		"v1.8ae9aca.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAsBfo90z1-YdrFNDg",
		SEALED "=",
		SEALED " ",
		" " SEALED,
		"v1.8ae9aca0.AAECAwQFBgcICQoLGFqceo/NxKjZ3JK+Kiv8iTvQsMAsBfo90z1+YdrFNDg",
		SEALED "\n",
	};
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i], fails(keyring, &PLACE, rows[i], ERR_SEALED_VALUE_MALFORMED));
}

static void a_key_that_is_not_there_is_told_from_damage(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *old = open_keyring("yesterday", NULL);
	CLEANUP(keyring_free_ptr) struct keyring *both = open_keyring(KEY, "yesterday");
	CLEANUP(keyring_free_ptr) struct keyring *new_only = open_keyring(KEY, NULL);
	CLEANUP(mem_free_ptr) char *text = sealed(old, &PLACE, PLAIN);
	CLEANUP(mem_free_ptr) char *again = NULL;
	CLEANUP(secret_release) struct secret plain = { 0 };

	assert_true(fails(new_only, &PLACE, text, ERR_SECRET_KEY_UNKNOWN));
	assert_int_equal(unseal(both, &PLACE, text, &plain), ERR_OK);
	assert_string_equal(plain.data, PLAIN);
	assert_false(seal_is_current(both, text));
	/* Sealed anew it no longer needs the old key. */
	again = sealed(both, &PLACE, plain.data);
	assert_true(seal_is_current(both, again));
	assert_int_equal(unseal(new_only, &PLACE, again, &plain), ERR_OK);
	assert_string_equal(plain.data, PLAIN);
}

static void the_longest_row_and_value_fit_and_no_longer_ones(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	CLEANUP(secret_release) struct secret plain = { 0 };
	CLEANUP(mem_free_ptr) char *big = mem_alloc(SEAL_PLAIN_MAX + 2);
	CLEANUP(mem_free_ptr) char *text = NULL, *none = NULL;
	char row[2048];
	struct seal_place place = { "clients", "client_secret", row };

	memset(row, 'r', sizeof(row));
	row[1020] = '\0'; /* a branch id of 255 characters of four bytes */
	memset(big, 'b', SEAL_PLAIN_MAX);
	text = sealed(keyring, &place, big);
	assert_int_equal(unseal(keyring, &place, text, &plain), ERR_OK);
	assert_string_equal(plain.data, big);
	row[1019] = 's';
	assert_true(fails(keyring, &place, text, ERR_SEALED_VALUE_DAMAGED));
	big[SEAL_PLAIN_MAX] = 'b';
	assert_int_equal(seal(keyring, &place, big, &none), ERR_LIMIT);
	row[1020] = 'r';
	row[sizeof(row) - 1] = '\0';
	assert_int_equal(seal(keyring, &place, PLAIN, &none), ERR_LIMIT);
	assert_null(none);
}

static void noise_never_opens(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = open_keyring(KEY, NULL);
	struct noise noise = { .state = 4 };
	char buf[160];

	for (int i = 0; i < 20000; i++) {
		CLEANUP(secret_release) struct secret plain = { 0 };
		char *copy;
		enum err err;

		memcpy(buf, SEALED, 12);
		noise_text(&noise, "AZaz09-_", buf + (i % 2 ? 12 : 0), sizeof(buf) - 12);
		copy = exact_copy(buf, strlen(buf) + 1);
		err = unseal(keyring, &PLACE, copy, &plain);
		free(copy);
		assert_true(err == ERR_SEALED_VALUE_MALFORMED || err == ERR_SEALED_VALUE_DAMAGED ||
			    err == ERR_SECRET_KEY_UNKNOWN);
		assert_null(plain.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_another_implementation_sealed_opens),
		cmocka_unit_test(every_length_opens_to_what_was_sealed),
		cmocka_unit_test(the_same_value_is_sealed_differently_each_time),
		cmocka_unit_test(a_value_moved_to_another_place_does_not_open),
		cmocka_unit_test(a_flipped_bit_anywhere_is_noticed),
		cmocka_unit_test(a_truncated_value_never_opens),
		cmocka_unit_test(what_is_no_sealed_value_is_called_that),
		cmocka_unit_test(a_key_that_is_not_there_is_told_from_damage),
		cmocka_unit_test(the_longest_row_and_value_fit_and_no_longer_ones),
		cmocka_unit_test(noise_never_opens),
	};

	return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
