#include "result.h"
#include "support.h"

#include "base/clock.h"
#include "domain/token.h"

#define NOW (1000000 * US_PER_S)
#define S US_PER_S
#define WISH(seconds)                                                                              \
	{                                                                                          \
		.required_s = (seconds), .buffer_s = (seconds)                                     \
	}
#define MIN_TTL(seconds)                                                                           \
	{                                                                                          \
		.required_s = (seconds), .buffer_s = 50                                            \
	}

/* --- judging --------------------------------------------------------------------------------------- */

static const char *const verdicts[] = {
	[TOKEN_FRESH] = "fresh",
	[TOKEN_LEFT_ALONE] = "left alone",
	[TOKEN_WANTS_REFRESH] = "wants refresh",
	[TOKEN_NEEDS_REFRESH] = "needs refresh",
	[TOKEN_BACKING_OFF] = "backing off",
};

static const struct {
	const char *name;
	int64_t left_us;
	struct token_wish wish;
	int64_t began_ago_us; /* of the last attempt; -1: never */
	int64_t own_retry_in_us, provider_retry_in_us;
	bool failed;
	enum token_verdict verdict;
} judge_rows[] = {
	/* how much is left, against the buffer of 300 s */
	{ "long", 3600 * S, WISH(300), -1, 0, 0, false, TOKEN_FRESH },
	{ "just outside the buffer", 300 * S + 1, WISH(300), -1, 0, 0, false, TOKEN_FRESH },
	{ "at the buffer", 300 * S, WISH(300), -1, 0, 0, false, TOKEN_WANTS_REFRESH },
	{ "in the buffer", 10 * S, WISH(300), -1, 0, 0, false, TOKEN_WANTS_REFRESH },
	{ "its last microsecond", 1, WISH(300), -1, 0, 0, false, TOKEN_WANTS_REFRESH },
	{ "expires now", 0, WISH(300), -1, 0, 0, false, TOKEN_NEEDS_REFRESH },
	{ "expired", -1, WISH(300), -1, 0, 0, false, TOKEN_NEEDS_REFRESH },
	{ "long expired", -99999 * S, WISH(300), -1, 0, 0, false, TOKEN_NEEDS_REFRESH },
	/* what the caller wants */
	{ "no buffer", 1, WISH(0), -1, 0, 0, false, TOKEN_FRESH },
	{ "no buffer, expires now", 0, WISH(0), -1, 0, 0, false, TOKEN_NEEDS_REFRESH },
	{ "min_ttl=0", 1, MIN_TTL(0), -1, 0, 0, false, TOKEN_FRESH },
	{ "min_ttl met", 3000 * S + 1, MIN_TTL(3000), -1, 0, 0, false, TOKEN_FRESH },
	{ "min_ttl just not met", 3000 * S, MIN_TTL(3000), -1, 0, 0, false, TOKEN_WANTS_REFRESH },
	/* a refresh a moment ago: the row is left alone */
	{ "refreshed now", 100 * S, WISH(300), 0, 0, 0, false, TOKEN_LEFT_ALONE },
	{ "just inside 2 s", 100 * S, WISH(300), 2 * S - 1, 0, 0, false, TOKEN_LEFT_ALONE },
	{ "2 s ago", 100 * S, WISH(300), 2 * S, 0, 0, false, TOKEN_WANTS_REFRESH },
	{ "min_ttl, inside 30 s", 100 * S, MIN_TTL(300), 30 * S - 1, 0, 0, false,
	  TOKEN_LEFT_ALONE },
	{ "min_ttl, 30 s ago", 100 * S, MIN_TTL(300), 30 * S, 0, 0, false, TOKEN_WANTS_REFRESH },
	{ "refreshed now, fresh", 301 * S, WISH(300), 0, 0, 0, false, TOKEN_FRESH },
	{ "refreshed now, but expired", 0, WISH(300), 0, 0, 0, false, TOKEN_NEEDS_REFRESH },
	{ "failed now, no backoff", 100 * S, WISH(300), 0, 0, 0, true, TOKEN_WANTS_REFRESH },
	/* backoff, our own or the provider's */
	{ "own backoff", 100 * S, WISH(300), 5 * S, 1, 0, true, TOKEN_LEFT_ALONE },
	{ "own backoff over", 100 * S, WISH(300), 5 * S, -1, 0, true, TOKEN_WANTS_REFRESH },
	{ "own backoff ends now", 100 * S, WISH(300), 5 * S, INT64_MIN, 0, true,
	  TOKEN_WANTS_REFRESH },
	{ "the provider's", 100 * S, WISH(300), 5 * S, 0, 1, true, TOKEN_LEFT_ALONE },
	{ "own over, not the provider's", 100 * S, WISH(300), 5 * S, -1, 1, true,
	  TOKEN_LEFT_ALONE },
	{ "the provider's over, not own", 100 * S, WISH(300), 5 * S, 1, -1, true,
	  TOKEN_LEFT_ALONE },
	{ "expired, own backoff", 0, WISH(300), 5 * S, 1, 0, true, TOKEN_BACKING_OFF },
	{ "expired, the provider's", -5 * S, WISH(300), 5 * S, -1, 1, true, TOKEN_BACKING_OFF },
	{ "expired, backoff over", -5 * S, WISH(300), 5 * S, -1, -1, true, TOKEN_NEEDS_REFRESH },
	{ "backoff, but fresh", 301 * S, WISH(300), 5 * S, 99 * S, 0, true, TOKEN_FRESH },
	{ "backoff, min_ttl met", 101 * S, MIN_TTL(100), 5 * S, 99 * S, 0, true, TOKEN_FRESH },
};

/* 0: not set; INT64_MIN: exactly now */
static int64_t moment(int64_t in_us)
{
	return in_us == INT64_MIN ? NOW : in_us ? NOW + in_us : 0;
}

static void verdicts_follow_from_time_wish_and_backoff(void **state)
{
	for (size_t i = 0; i < COUNT(judge_rows); i++) {
		int64_t ago = judge_rows[i].began_ago_us;
		struct token_row row = {
			.exists = true,
			.now_us = NOW,
			.expires_at_us = NOW + judge_rows[i].left_us,
			.refresh_began_at_us = ago < 0 ? 0 : NOW - ago,
			.refresh_retry_at_us = moment(judge_rows[i].own_retry_in_us),
			.provider_retry_at_us = moment(judge_rows[i].provider_retry_in_us),
			.refresh_error = judge_rows[i].failed ? "provider_error" : NULL,
		};
		enum token_verdict verdict = token_judge(&row, judge_rows[i].wish);

		if (verdict != judge_rows[i].verdict)
			fail_msg("%s: %s, expected %s", judge_rows[i].name, verdicts[verdict],
				 verdicts[judge_rows[i].verdict]);
	}
}

static void a_wish_is_the_buffer_or_what_the_caller_named(void **state)
{
	struct config config = { .token_expiry_buffer_s = 300 };
	struct domain domain = { .config = &config };

	assert_int_equal(token_wish(&domain, -1).required_s, 300);
	assert_int_equal(token_wish(&domain, -1).buffer_s, 300);
	assert_int_equal(token_wish(&domain, 0).required_s, 0);
	assert_int_equal(token_wish(&domain, 0).buffer_s, 300);
	assert_int_equal(token_wish(&domain, 3000).required_s, 3000);
}

/* --- may it be answered? --------------------------------------------------------------------------- */

static const struct {
	bool is_active, exists, is_valid, is_revoked;
	enum err err;
	const char *provider_error;
} check_rows[] = {
	{ true, true, true, false, ERR_OK, "" },
	{ false, false, false, true, ERR_CLIENT_INACTIVE, "" },
	{ false, true, true, false, ERR_CLIENT_INACTIVE, "" },
	{ false, false, false, false, ERR_CLIENT_INACTIVE, "" },
	{ true, false, false, false, ERR_AUTHORIZATION_REQUIRED, "" },
	{ true, false, false, true, ERR_AUTHORIZATION_REQUIRED, "" },
	{ true, true, false, false, ERR_REAUTHORIZATION_REQUIRED, "invalid_grant" },
	{ true, true, true, true, ERR_REAUTHORIZATION_REQUIRED, "" },
	{ true, true, false, true, ERR_REAUTHORIZATION_REQUIRED, "" },
};

static void checks_come_in_the_promised_order(void **state)
{
	for (size_t i = 0; i < COUNT(check_rows); i++) {
		struct token_row row = {
			.client_id = 7,
			.redirect_uri = "https://a.example/auth/callback",
			.is_active = check_rows[i].is_active,
			.exists = check_rows[i].exists,
			.is_valid = check_rows[i].is_valid,
			.is_revoked = check_rows[i].is_revoked,
		};
		CLEANUP(problem_release) struct problem problem = { 0 };
		enum err err = token_check(&row, &problem);
		bool has_url =
			err == ERR_AUTHORIZATION_REQUIRED || err == ERR_REAUTHORIZATION_REQUIRED;

		assert_int_equal(err, check_rows[i].err);
		assert_string_equal(problem.provider_error, check_rows[i].provider_error);
		if (has_url)
			assert_string_equal(problem.login.redirect_uri, row.redirect_uri);
		else
			assert_null(problem.login.redirect_uri);
	}
}

/* --- what is answered ------------------------------------------------------------------------------ */

static void stale_and_error_are_told_only_when_they_matter(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = test_keyring();
	struct domain_shared shared = { 0 };
	struct domain domain = { .keyring = keyring, .shared = &shared };
	static const struct {
		const char *name;
		int64_t left_us;
		const char *stored;
		bool stale;
		const char *told;
		int64_t expires_in_s;
	} rows[] = {
		{ "fresh", 3599 * S + 999999, NULL, false, NULL, 3599 },
		{ "fresh after a failure", 3600 * S, "provider_error", false, NULL, 3600 },
		{ "just fresh", 300 * S + 1, NULL, false, NULL, 300 },
		{ "stale", 299 * S, NULL, true, NULL, 299 },
		{ "stale after a failure", 299 * S, "provider_unavailable", true,
		  "provider_unavailable", 299 },
		{ "a code that is none of ours", 299 * S, "<script>", true, "provider_error", 299 },
		{ "expired", -5 * S, NULL, true, NULL, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct token_row row = { .client_id = 7,
					 .branch_id = "b",
					 .access_token = SEALED_ACCESS_1,
					 .token_type = "Bearer",
					 .scope = "s",
					 .now_us = NOW,
					 .expires_at_us = NOW + rows[i].left_us,
					 .refresh_error = rows[i].stored };
		CLEANUP(token_release) struct token token = { 0 };

		assert_int_equal(token_from_row(&domain, &row, (struct token_wish)WISH(300),
						&token),
				 ERR_OK);
		CHECK_ROW(rows[i].name, token.stale == rows[i].stale);
		CHECK_ROW(rows[i].name, same_text(token.refresh_error, rows[i].told));
		CHECK_ROW(rows[i].name, token.expires_in_s == rows[i].expires_in_s);
		CHECK_ROW(rows[i].name, same_text(token.access_token.data, "access-1"));
		/* again: no leak */
		assert_int_equal(token_from_row(&domain, &row, (struct token_wish)WISH(300),
						&token),
				 ERR_OK);
	}
}

static void a_stored_error_comes_with_the_time_that_is_left(void **state)
{
	static const struct {
		int64_t own_us, provider_us;
		int seconds;
	} rows[] = {
		{ 1, 0, 1 },
		{ 1 * S, 0, 1 },
		{ 1 * S + 1, 0, 2 },
		{ 10 * S, 60 * S, 60 },
		{ 90 * S, 60 * S, 90 },
		{ -1, -1, 1 },
		{ 0, 86400 * S, 86400 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct token_row row = { .now_us = NOW,
					 .refresh_retry_at_us = moment(rows[i].own_us),
					 .provider_retry_at_us = moment(rows[i].provider_us),
					 .refresh_error = "client_credentials_rejected",
					 .provider_error = "invalid_client" };
		struct problem problem = { 0 };

		assert_int_equal(token_stored_error(&row, &problem),
				 ERR_CLIENT_CREDENTIALS_REJECTED);
		assert_int_equal(problem.retry_after_s, rows[i].seconds);
		assert_string_equal(problem.provider_error, "invalid_client");
	}
}

static void without_a_stored_code_the_provider_is_unavailable(void **state)
{
	struct token_row row = { .now_us = NOW };
	struct problem problem = { 0 };

	assert_int_equal(token_stored_error(&row, &problem), ERR_PROVIDER_UNAVAILABLE);
	assert_string_equal(problem.provider_error, "");
}

/* --- when is it due? ------------------------------------------------------------------------------- */

static void due_is_before_the_buffer_but_never_at_once(void **state)
{
	static const struct {
		int64_t life_s;
		int buffer_s, ahead_s;
		int64_t first_s, last_s; /* after it was fetched */
	} rows[] = {
		{ 3600, 300, 0, 2940, 3300 }, /* a tenth of its life of jitter, only earlier */
		{ 3600, 300, 300, 2640, 3000 },
		{ 3600, 0, 0, 3240, 3600 },
		{ 86400, 3000, 0, 74760, 83400 },
		{ 3600, 3000, 0, 360, 600 }, /* not before a tenth of its life */
		{ 300, 300, 0, 30, 30 },
		{ 60, 300, 300, 10, 10 }, /* nor before 10 s */
		{ 1, 300, 0, 10, 10 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config config = { .token_expiry_buffer_s = rows[i].buffer_s,
					 .refresh_ahead_s = rows[i].ahead_s };
		struct domain domain = { .config = &config };
		int64_t first = INT64_MAX, last = 0;

		for (int k = 0; k < 2000; k++) {
			int64_t due = token_due_at(&domain, NOW, NOW + rows[i].life_s * S) - NOW;

			assert_true(due >= rows[i].first_s * S && due <= rows[i].last_s * S);
			first = due < first ? due : first;
			last = due > last ? due : last;
		}
		/* spread over most of what is allowed */
		assert_true((last - first) * 10 >= (rows[i].last_s - rows[i].first_s) * S * 8);
	}
}

/* --- GET in the database pool ---------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum token_column column;
	const char *value;
	enum err err;
	bool has_token; /* there is one to answer, if need be */
} get_rows[] = {
	{ "as it is", TC_SCOPE, "s", ERR_OK, true },
	{ "inactive", TC_IS_ACTIVE, "f", ERR_CLIENT_INACTIVE, false },
	{ "never connected", TC_ACCESS_TOKEN, NULL, ERR_AUTHORIZATION_REQUIRED, false },
	{ "dead", TC_IS_VALID, "f", ERR_REAUTHORIZATION_REQUIRED, false },
	{ "in the buffer", TC_EXPIRES_AT, "1299000000", ERR_AGAIN, true },
	{ "expired", TC_EXPIRES_AT, "1000000000", ERR_AGAIN, false },
};

static void get_answers_or_hands_on(void **state)
{
	CLEANUP(keyring_free_ptr) struct keyring *keyring = test_keyring();
	struct domain_shared shared = { 0 };
	struct domain domain = { .keyring = keyring, .shared = &shared };

	for (size_t i = 0; i < COUNT(get_rows); i++) {
		const char *values[TC__COUNT] = TOKEN_ROW_GOOD;
		CLEANUP(problem_release) struct problem problem = { 0 };
		CLEANUP(token_release) struct token token = { 0 };
		struct db_query query;
		enum err err;

		values[get_rows[i].column] = get_rows[i].value;
		token_get_ask("branch-1", &query);
		query_set_rows(&query, TC__COUNT, 1, values);
		err = token_get_answer(&domain, &query, (struct token_wish)WISH(300), &token,
				       &problem);
		CHECK_ROW(get_rows[i].name, err == get_rows[i].err);
		CHECK_ROW(get_rows[i].name,
			  get_rows[i].has_token == secret_is_set(&token.access_token));
		db_query_release(&query);
	}
}

/* Moved from another client, altered, cut short, never sealed: each is told, none is refreshed. */
static void get_of_a_token_that_does_not_open(void **state)
{
	static const struct {
		enum token_column column;
		const char *value;
		enum err err;
	} rows[] = {
		{ TC_ID, "8", ERR_SEALED_VALUE_DAMAGED },
		{ TC_ACCESS_TOKEN, SEALED_ACCESS_1 "AAAA", ERR_SEALED_VALUE_DAMAGED },
		{ TC_ACCESS_TOKEN, "access-1", ERR_SEALED_VALUE_MALFORMED },
		{ TC_ACCESS_TOKEN, "", ERR_SEALED_VALUE_MALFORMED },
		{ TC_ACCESS_TOKEN, "v1.00000000.AAECAwQFBgcICQoLGFqceo_NxKjZ3JK-Kiv8iTvQsMAs",
		  ERR_SECRET_KEY_UNKNOWN },
	};
	static const char *const expiries[] = { "4600000000", "1299000000", "1000000000" };
	CLEANUP(keyring_free_ptr) struct keyring *keyring = test_keyring();
	struct domain_shared shared = { 0 };
	struct domain domain = { .keyring = keyring, .shared = &shared };

	for (size_t i = 0; i < COUNT(rows) * COUNT(expiries); i++) {
		const char *values[TC__COUNT] = TOKEN_ROW_GOOD;
		CLEANUP(problem_release) struct problem problem = { 0 };
		CLEANUP(token_release) struct token token = { 0 };
		struct db_query query;
		enum err err;

		values[rows[i / 3].column] = rows[i / 3].value;
		values[TC_EXPIRES_AT] = expiries[i % 3];
		token_get_ask("branch-1", &query);
		query_set_rows(&query, TC__COUNT, 1, values);
		err = token_get_answer(&domain, &query, (struct token_wish)WISH(300), &token,
				       &problem);
		CHECK_ROW(rows[i / 3].value, err == rows[i / 3].err);
		assert_false(secret_is_set(&token.access_token));
		db_query_release(&query);
	}
}

static void get_of_no_row_or_no_database(void **state)
{
	struct domain_shared shared = { 0 };
	struct domain domain = { .shared = &shared };
	struct problem problem = { 0 };
	struct token token = { 0 };
	struct db_query query;

	token_get_ask("branch-1", &query);
	query.err = ERR_DATABASE_UNAVAILABLE;
	assert_int_equal(token_get_answer(&domain, &query, (struct token_wish)WISH(300), &token,
					  &problem),
			 ERR_DATABASE_UNAVAILABLE);
	query_set_rows(&query, TC__COUNT, 0, NULL);
	assert_int_equal(token_get_answer(&domain, &query, (struct token_wish)WISH(300), &token,
					  &problem),
			 ERR_BRANCH_NOT_FOUND);
	db_query_release(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_follow_from_time_wish_and_backoff),
		cmocka_unit_test(a_wish_is_the_buffer_or_what_the_caller_named),
		cmocka_unit_test(checks_come_in_the_promised_order),
		cmocka_unit_test(stale_and_error_are_told_only_when_they_matter),
		cmocka_unit_test(a_stored_error_comes_with_the_time_that_is_left),
		cmocka_unit_test(without_a_stored_code_the_provider_is_unavailable),
		cmocka_unit_test(due_is_before_the_buffer_but_never_at_once),
		cmocka_unit_test(get_answers_or_hands_on),
		cmocka_unit_test(get_of_a_token_that_does_not_open),
		cmocka_unit_test(get_of_no_row_or_no_database),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
