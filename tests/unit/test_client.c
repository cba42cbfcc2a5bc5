#include "result.h"
#include "support.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/mem.h"
#include "domain/client.h"

static void login_url_takes_the_callbacks_place(void **state)
{
	static const struct {
		const char *redirect_uri, *login_url;
	} rows[] = {
		{ "http://localhost:8002/auth/callback", "http://localhost:8002/oauth/login/7" },
		{ "https://tokens.example.com/auth/callback",
		  "https://tokens.example.com/oauth/login/7" },
		{ "https://a.example/some/prefix/auth/callback",
		  "https://a.example/some/prefix/oauth/login/7" },
		{ "https://a.example/auth/callback?x=y", "https://a.example/oauth/login/7" },
		{ "https://a.example/auth/callback/auth/callback",
		  "https://a.example/auth/callback/oauth/login/7" },
		{ "http://[::1]:8002/auth/callback", "http://[::1]:8002/oauth/login/7" },
		/* another callback: the prefix cannot be known */
		{ "https://a.example/auth/callback/", "https://a.example/oauth/login/7" },
		{ "https://a.example/x/myauth/callback", "https://a.example/oauth/login/7" },
		{ "https://a.example", "https://a.example/oauth/login/7" },
		{ "nowhere", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(mem_free_ptr) char *url = client_login_url(rows[i].redirect_uri, 7);

		CHECK_ROW(rows[i].redirect_uri, same_text(url, rows[i].login_url));
	}
}

static void login_url_has_room_for_the_longest_redirect_uri(void **state)
{
	/* 512 characters of four bytes each, but for the fixed ends */
	static const char begin[] = "https://a.example/", end[] = "/auth/callback";
	CLEANUP(strbuf_release) struct strbuf uri = STRBUF_INIT(4096);
	CLEANUP(mem_free_ptr) char *url = NULL;
	size_t chars = 512 - (sizeof(begin) - 1) - (sizeof(end) - 1);

	strbuf_puts(&uri, begin);
	while (chars--)
		strbuf_puts(&uri, "\xf0\x9f\x98\x80");
	strbuf_puts(&uri, end);
	url = client_login_url(uri.data, INT64_MAX);
	assert_non_null(url);
	assert_memory_equal(url, uri.data, uri.len - (sizeof(end) - 1));
	assert_string_equal(url + uri.len - (sizeof(end) - 1), "/oauth/login/9223372036854775807");
}

static void login_url_has_room_for_the_longest_host(void **state)
{
	CLEANUP(strbuf_release) struct strbuf uri = STRBUF_INIT(4096);
	CLEANUP(mem_free_ptr) char *url = NULL;

	strbuf_puts(&uri, "https://");
	for (int chars = 8; chars < 512; chars++)
		strbuf_puts(&uri, "\xf0\x9f\x98\x80");
	url = client_login_url(uri.data, INT64_MAX);
	assert_non_null(url);
	assert_memory_equal(url, uri.data, uri.len);
	assert_string_equal(url + uri.len, "/oauth/login/9223372036854775807");
}

static void token_state_tells_where_a_branch_stands(void **state)
{
	static const struct {
		const char *state;
		bool has_token, is_valid, is_revoked;
		int64_t left_us;
	} rows[] = {
		{ "none", false, true, false, 1000 * US_PER_S },
		{ "valid", true, true, false, 300 * US_PER_S + 1 },
		{ "expiring", true, true, false, 300 * US_PER_S },
		{ "expiring", true, true, false, 1 },
		{ "expired", true, true, false, 0 },
		{ "expired", true, true, false, -1 },
		{ "reauthorization_required", true, false, false, 1000 * US_PER_S },
		{ "reauthorization_required", true, false, false, -1 },
		{ "revoked", true, true, true, 1000 * US_PER_S },
		{ "revoked", true, false, true, -1 },
	};
	struct config config = { .token_expiry_buffer_s = 300 };
	struct domain domain = { .config = &config };

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct client_row row = { .has_token = rows[i].has_token,
					  .is_valid = rows[i].is_valid,
					  .is_revoked = rows[i].is_revoked,
					  .now_us = 5000 * US_PER_S,
					  .expires_at_us = 5000 * US_PER_S + rows[i].left_us };

		CHECK_ROW(rows[i].state, !strcmp(client_token_state(&domain, &row), rows[i].state));
	}
}

static void searches_are_literal(void **state)
{
	static const struct {
		const char *search, *pattern;
	} rows[] = {
		{ "abc", "%abc%" },
		{ "50%", "%50\\%%" },
		{ "a_b", "%a\\_b%" },
		{ "a\\b", "%a\\\\b%" },
	};
	struct config config = { .token_expiry_buffer_s = 300 };
	struct domain domain = { .config = &config };
	struct client_page page = { .after = 5, .state = "valid", .limit = 11 };
	char pattern[CLIENT_SEARCH_MAX * 2 + 3];
	struct db_query query;

	for (size_t i = 0; i < COUNT(rows); i++) {
		page.search = rows[i].search;
		client_page_ask(&domain, &page, pattern, &query);
		CHECK_ROW(rows[i].search, same_text(query.values[1], rows[i].pattern));
	}
	page.search = NULL;
	client_page_ask(&domain, &page, pattern, &query);
	assert_string_equal(query.values[0], "5");
	assert_null(query.values[1]);
	assert_string_equal(query.values[2], "11");
	assert_string_equal(query.values[3], "valid");
	assert_string_equal(query.values[4], "300");
}

static void the_longest_search_fits(void **state)
{
	char *pattern = malloc(CLIENT_SEARCH_MAX * 2 + 3);
	char search[CLIENT_SEARCH_MAX + 1];
	struct config config = { 0 };
	struct domain domain = { .config = &config };
	struct db_query query;

	memset(search, '%', CLIENT_SEARCH_MAX);
	search[CLIENT_SEARCH_MAX] = '\0';
	client_page_ask(&domain, &(struct client_page){ .search = search, .limit = 1 }, pattern,
			&query);
	assert_int_equal(strlen(pattern), CLIENT_SEARCH_MAX * 2 + 2);
	free(pattern);
}

static void answers_tell_conflict_absence_and_row(void **state)
{
	static const char *const values[CC__COUNT] = CLIENT_ROW_NEW;
	struct db_query query;
	struct client_row row = { .id = 77 };

	db_query_init(&query, NULL);
	query.err = ERR_DB_CONFLICT;
	assert_int_equal(client_answer(&query, &row), ERR_BRANCH_EXISTS);
	query.err = ERR_DATABASE_UNAVAILABLE;
	assert_int_equal(client_answer(&query, &row), ERR_DATABASE_UNAVAILABLE);
	query_set_rows(&query, CC__COUNT, 0, NULL);
	assert_int_equal(client_answer(&query, &row), ERR_CLIENT_NOT_FOUND);
	assert_int_equal(row.id, 77); /* untouched */
	query_set_rows(&query, CC__COUNT, 1, values);
	assert_int_equal(client_answer(&query, &row), ERR_OK);
	assert_int_equal(row.id, 7);
	assert_string_equal(row.branch_id, "branch-1");
	assert_null(row.workspace_name);
	assert_true(row.is_active);
	assert_false(row.has_token);
	assert_int_equal(row.created_at_us, 1768580000123456);
	assert_int_equal(row.last_refreshed_at_us, 0);
	db_query_release(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(login_url_takes_the_callbacks_place),
		cmocka_unit_test(login_url_has_room_for_the_longest_redirect_uri),
		cmocka_unit_test(login_url_has_room_for_the_longest_host),
		cmocka_unit_test(token_state_tells_where_a_branch_stands),
		cmocka_unit_test(searches_are_literal),
		cmocka_unit_test(the_longest_search_fits),
		cmocka_unit_test(answers_tell_conflict_absence_and_row),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
