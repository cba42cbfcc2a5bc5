#include "support.h"

#include "domain/ticket.h"

static const struct ticket ticket = { .client_id = 7,
				      .expires_at_s = 1768580000,
				      .consent_version = 3 };

static struct keyring *keyring(const char *current, const char *previous)
{
	struct keyring *made;

	assert_int_equal(keyring_new(current, previous, &made), ERR_OK);
	return made;
}

static void a_ticket_says_what_was_signed(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };
	char text[TICKET_SIZE];

	assert_int_equal(ticket_write(keys, &ticket, text), ERR_OK);
	assert_memory_equal(text, "1768580000.3.", 13);
	assert_int_equal(strlen(text), 13 + 43);
	assert_int_equal(ticket_read(keys, text, 7, &read), ERR_OK);
	assert_int_equal(read.client_id, 7);
	assert_int_equal(read.expires_at_s, 1768580000);
	assert_int_equal(read.consent_version, 3);
}

static void the_largest_numbers_fit(void **state)
{
	static const struct ticket largest = { INT64_MAX, INT64_MAX, INT64_MAX };
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };
	char text[TICKET_SIZE];

	assert_int_equal(ticket_write(keys, &largest, text), ERR_OK);
	assert_int_equal(ticket_read(keys, text, INT64_MAX, &read), ERR_OK);
	assert_int_equal(read.expires_at_s, INT64_MAX);
}

static void no_character_can_be_changed(void **state)
{
	static const char others[] = "0123456789.AZaz-_=%";
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };
	char text[TICKET_SIZE], good[TICKET_SIZE];
	size_t len;

	assert_int_equal(ticket_write(keys, &ticket, good), ERR_OK);
	len = strlen(good);
	for (size_t i = 0; i < len; i++) {
		for (const char *c = others; *c; c++) {
			if (good[i] == *c)
				continue;
			memcpy(text, good, len + 1);
			text[i] = *c;
			CHECK_ROW(text,
				  ticket_read(keys, text, 7, &read) == ERR_LOGIN_TICKET_REQUIRED);
		}
		memcpy(text, good, len + 1);
		text[i] = '\0';
		CHECK_ROW(text, ticket_read(keys, text, 7, &read) == ERR_LOGIN_TICKET_REQUIRED);
	}
	assert_int_equal(read.client_id, 0);
}

static void a_ticket_has_one_form(void **state)
{
	static const char *const before[] = { "0", "00", "+", " ", "" };
	static const char *const after[] = { "", "", "", "", "." };
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };
	char text[2 * TICKET_SIZE], good[TICKET_SIZE], *dot;

	assert_int_equal(ticket_write(keys, &ticket, good), ERR_OK);
	for (size_t i = 0; i < COUNT(before); i++) {
		snprintf(text, sizeof(text), "%s%s%s", before[i], good, after[i]);
		CHECK_ROW(text, ticket_read(keys, text, 7, &read) == ERR_LOGIN_TICKET_REQUIRED);
	}
	dot = strchr(good, '.');
	snprintf(text, sizeof(text), "%.*s.0%s", (int)(dot - good), good, dot + 1);
	CHECK_ROW(text, ticket_read(keys, text, 7, &read) == ERR_LOGIN_TICKET_REQUIRED);
}

static void a_ticket_is_for_one_client(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };
	char text[TICKET_SIZE];

	assert_int_equal(ticket_write(keys, &ticket, text), ERR_OK);
	assert_int_equal(ticket_read(keys, text, 8, &read), ERR_LOGIN_TICKET_REQUIRED);
	assert_int_equal(ticket_read(keys, text, 71768580000, &read), ERR_LOGIN_TICKET_REQUIRED);
}

static void a_previous_key_verifies_and_a_foreign_one_does_not(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *old = keyring("key-one", NULL);
	CLEANUP(keyring_free_ptr) struct keyring *both = keyring("key-two", "key-zero,key-one");
	CLEANUP(keyring_free_ptr) struct keyring *new = keyring("key-two", NULL);
	struct ticket read = { 0 };
	char text[TICKET_SIZE];

	assert_int_equal(ticket_write(old, &ticket, text), ERR_OK);
	assert_int_equal(ticket_read(both, text, 7, &read), ERR_OK);
	assert_int_equal(ticket_read(new, text, 7, &read), ERR_LOGIN_TICKET_REQUIRED);
	assert_int_equal(ticket_write(both, &ticket, text), ERR_OK);
	assert_int_equal(ticket_read(new, text, 7, &read), ERR_OK);
	assert_int_equal(ticket_read(old, text, 7, &read), ERR_LOGIN_TICKET_REQUIRED);
}

static void what_is_no_ticket_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		".",
		"..",
		"1",
		"1.2",
		"1.2.",
		"1.2.x",
		"-1.2.AAAA",
		"1.-2.AAAA",
		" 1.2.AAAA",
		"1.2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"99999999999999999999.2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"9999999999999999999.2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"1.2.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	CLEANUP(keyring_free_ptr) struct keyring *keys = keyring("key-one", NULL);
	struct ticket read = { 0 };

	assert_int_equal(ticket_read(keys, NULL, 7, &read), ERR_LOGIN_TICKET_REQUIRED);
	for (size_t i = 0; i < COUNT(texts); i++)
		CHECK_ROW(texts[i],
			  ticket_read(keys, texts[i], 7, &read) == ERR_LOGIN_TICKET_REQUIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ticket_says_what_was_signed),
		cmocka_unit_test(the_largest_numbers_fit),
		cmocka_unit_test(no_character_can_be_changed),
		cmocka_unit_test(a_ticket_has_one_form),
		cmocka_unit_test(a_ticket_is_for_one_client),
		cmocka_unit_test(a_previous_key_verifies_and_a_foreign_one_does_not),
		cmocka_unit_test(what_is_no_ticket_is_refused),
	};

	return cmocka_run_group_tests_name("ticket", tests, NULL, NULL);
}
