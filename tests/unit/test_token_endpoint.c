#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "google/token_endpoint.h"

#define GOOD "\"access_token\":\"at\",\"token_type\":\"Bearer\""

/* An answer of the provider, and what became of it. */
struct trial {
	struct token_answer answer;
	struct provider_failure failure;
	enum err err;
};

static void trial_run(struct trial *trial, int status, const char *body)
{
	CLEANUP(google_answer_release) struct google_answer answer;

	*trial = (struct trial){ 0 };
	google_answer_init(&answer);
	answer.status = status;
	answer.retry_after_s = 33;
	strbuf_puts(&answer.body, body);
	trial->err = token_answer_parse(&answer, &trial->answer, &trial->failure);
}

static void trial_release(struct trial *trial)
{
	token_answer_release(&trial->answer);
}

/* --- good answers ---------------------------------------------------------------------------------- */

static void a_good_answer_is_taken_whole(void **state)
{
	CLEANUP(trial_release) struct trial t;

	trial_run(
		&t, 200,
		"{\"access_token\":\"ya29.a-b_c~/+=\",\"expires_in\":3599,\"refresh_token\":\"1//r\","
		"\"scope\":\"a b\",\"token_type\":\"Bearer\",\"id_token\":\"ignored\"}");
	assert_int_equal(t.err, ERR_OK);
	assert_string_equal(t.answer.access_token.data, "ya29.a-b_c~/+=");
	assert_string_equal(t.answer.refresh_token.data, "1//r");
	assert_string_equal(t.answer.scope, "a b");
	assert_string_equal(t.answer.token_type, "Bearer");
	assert_int_equal(t.answer.expires_in_s, 3599);
}

static void only_the_access_token_is_needed(void **state)
{
	CLEANUP(trial_release) struct trial t;

	trial_run(&t, 200, "{\"access_token\":\"at\"}");
	assert_int_equal(t.err, ERR_OK);
	assert_false(secret_is_set(&t.answer.refresh_token));
	assert_null(t.answer.scope);
	assert_string_equal(t.answer.token_type, "Bearer");
	assert_int_equal(t.answer.expires_in_s, 3600);
}

static void expires_in_is_a_positive_number_or_refused(void **state)
{
	static const struct {
		const char *value;
		int64_t seconds; /* 0: refused */
	} rows[] = {
		{ "null", 3600 },
		{ "1", 1 },
		{ "3599", 3599 },
		{ "86399", 86399 },
		{ "86400", 86400 },
		{ "86401", 86400 }, /* looked at again after a day */
		{ "999999999999999999999999", 86400 },
		{ "3599.9", 3599 },
		{ "1e3", 1000 },
		{ "1e300", 86400 },
		{ "\"3599\"", 3599 },
		{ "\"999999999999999999999999\"", 86400 },
		{ "0", 0 },
		{ "-1", 0 },
		{ "-999999999999999999999999", 0 },
		{ "0.5", 0 },
		{ "-1.5", 0 },
		{ "\"0\"", 0 },
		{ "\"-5\"", 0 },
		{ "\"\"", 0 },
		{ "\"soon\"", 0 },
		{ "\"3599s\"", 0 },
		{ "\"3599\\u00001\"", 0 },
		{ "-1e300", 0 },
		{ "NaN", 0 },
		{ "Infinity", 0 },
		{ "true", 0 },
		{ "false", 0 },
		{ "[]", 0 },
		{ "{}", 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(trial_release) struct trial t;
		char body[128];

		snprintf(body, sizeof(body), "{" GOOD ",\"expires_in\":%s}", rows[i].value);
		trial_run(&t, 200, body);
		CHECK_ROW(rows[i].value, t.err == (rows[i].seconds ? ERR_OK : ERR_PROVIDER_ERROR));
		if (!t.err)
			CHECK_ROW(rows[i].value, t.answer.expires_in_s == rows[i].seconds);
		else
			CHECK_ROW(rows[i].value, !strcmp(t.failure.code, "invalid_response"));
	}
}

static void token_type_is_bearer_in_any_case(void **state)
{
	static const struct {
		const char *value;
		bool good;
	} rows[] = {
		{ "\"Bearer\"", true },   { "\"bearer\"", true }, { "\"BEARER\"", true },
		{ "null", true },         { "\"MAC\"", false },   { "\"\"", false },
		{ "\"Bearer \"", false }, { "\"DPoP\"", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(trial_release) struct trial t;
		char body[128];

		snprintf(body, sizeof(body), "{\"access_token\":\"at\",\"token_type\":%s}",
			 rows[i].value);
		trial_run(&t, 200, body);
		CHECK_ROW(rows[i].value, t.err == (rows[i].good ? ERR_OK : ERR_PROVIDER_ERROR));
		if (!t.err)
			CHECK_ROW(rows[i].value, !strcmp(t.answer.token_type, "Bearer"));
		CHECK_ROW(rows[i].value, secret_is_set(&t.answer.access_token) == rows[i].good);
	}
}

/* --- answers that are no token --------------------------------------------------------------------- */

static void what_is_no_token_is_a_provider_error(void **state)
{
	static const char *const bodies[] = {
		"",
		"null",
		"[]",
		"\"at\"",
		"17",
		"{}",
		"<!doctype html><title>Sign in</title>",
		"access_token=at&token_type=Bearer",
		"{\"access_token\":\"at\"}{\"access_token\":\"at\"}",
		"{\"access_token\":\"at\"",
		"{\"access_token\":\"\"}",
		"{\"access_token\":null}",
		"{\"access_token\":17}",
		"{\"access_token\":[\"at\"]}",
		"{\"access_token\":\"a b\"}",
		"{\"access_token\":\"a\\r\\nX: y\"}",
		"{\"access_token\":\"a\\u0000b\"}",
		"{\"access_token\":\"h\xc3\xa9\"}",
		"{\"access_token\":\"a\x7f\"}",
		"{\"error\":\"invalid_grant\"}", /* with status 200: ends no grant */
		"{\"access_token\":\"\xff\"}",
	};

	for (size_t i = 0; i < COUNT(bodies); i++) {
		CLEANUP(trial_release) struct trial t;

		trial_run(&t, 200, bodies[i]);
		CHECK_ROW(bodies[i], t.err == ERR_PROVIDER_ERROR);
		CHECK_ROW(bodies[i], !strcmp(t.failure.code, "invalid_response"));
		CHECK_ROW(bodies[i], !secret_is_set(&t.answer.access_token));
		CHECK_ROW(bodies[i], !secret_is_set(&t.answer.refresh_token));
	}
}

/* A provider that rotates no longer takes the old one, whatever else it answered. */
static void a_refresh_token_is_kept_beside_nonsense(void **state)
{
	static const char *const bodies[] = {
		"{\"refresh_token\":\"r2\"}",
		"{\"refresh_token\":\"r2\",\"access_token\":\"\"}",
		"{\"refresh_token\":\"r2\"," GOOD ",\"expires_in\":0}",
		"{\"refresh_token\":\"r2\",\"access_token\":\"at\",\"token_type\":\"MAC\"}",
	};

	for (size_t i = 0; i < COUNT(bodies); i++) {
		CLEANUP(trial_release) struct trial t;

		trial_run(&t, 200, bodies[i]);
		CHECK_ROW(bodies[i], t.err == ERR_PROVIDER_ERROR);
		CHECK_ROW(bodies[i], same_text(t.answer.refresh_token.data, "r2"));
	}
}

static void a_refresh_token_that_is_none_is_not_taken(void **state)
{
	static const char *const values[] = { "\"\"", "null", "5", "\"a b\"", "\"a\\u0000\"" };

	for (size_t i = 0; i < COUNT(values); i++) {
		CLEANUP(trial_release) struct trial t;
		char body[128];

		snprintf(body, sizeof(body), "{" GOOD ",\"refresh_token\":%s}", values[i]);
		trial_run(&t, 200, body);
		CHECK_ROW(values[i], t.err == ERR_OK);
		CHECK_ROW(values[i], !secret_is_set(&t.answer.refresh_token));
	}
}

/* --- classes of failures --------------------------------------------------------------------------- */

static const struct {
	int status;
	const char *body;
	enum err err;
	const char *code;
} failures[] = {
	/* Only the provider's own word ends a grant. */
	{ 400, "{\"error\":\"invalid_grant\"}", ERR_REAUTHORIZATION_REQUIRED, "invalid_grant" },
	{ 401, "{\"error\":\"invalid_grant\"}", ERR_REAUTHORIZATION_REQUIRED, "invalid_grant" },
	{ 403, "{\"error\":\"invalid_grant\"}", ERR_REAUTHORIZATION_REQUIRED, "invalid_grant" },
	{ 400, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}",
	  ERR_REAUTHORIZATION_REQUIRED, "invalid_grant" },
	/* A server that fails is not to be believed. */
	{ 500, "{\"error\":\"invalid_grant\"}", ERR_PROVIDER_UNAVAILABLE, "invalid_grant" },
	{ 503, "{\"error\":\"invalid_grant\"}", ERR_PROVIDER_UNAVAILABLE, "invalid_grant" },
	{ 429, "{\"error\":\"invalid_grant\"}", ERR_PROVIDER_UNAVAILABLE, "invalid_grant" },
	{ 400, "{\"error\":\"Invalid_Grant\"}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":[\"invalid_grant\"]}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":{\"code\":\"invalid_grant\"}}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":\"invalid_grant\\u0000\"}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":\"invalid_grant\"} x", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "invalid_grant", ERR_PROVIDER_ERROR, "http_400" },

	{ 401, "{\"error\":\"invalid_client\"}", ERR_CLIENT_CREDENTIALS_REJECTED,
	  "invalid_client" },
	{ 400, "{\"error\":\"invalid_client\"}", ERR_CLIENT_CREDENTIALS_REJECTED,
	  "invalid_client" },
	{ 400, "{\"error\":\"unauthorized_client\"}", ERR_CLIENT_CREDENTIALS_REJECTED,
	  "unauthorized_client" },
	{ 500, "{\"error\":\"invalid_client\"}", ERR_PROVIDER_UNAVAILABLE, "invalid_client" },

	{ 400, "{\"error\":\"temporarily_unavailable\"}", ERR_PROVIDER_UNAVAILABLE,
	  "temporarily_unavailable" },
	{ 400, "{\"error\":\"server_error\"}", ERR_PROVIDER_UNAVAILABLE, "server_error" },
	{ 400, "{\"error\":\"internal_failure\"}", ERR_PROVIDER_UNAVAILABLE, "internal_failure" },
	{ 408, "", ERR_PROVIDER_UNAVAILABLE, "http_408" },
	{ 425, "", ERR_PROVIDER_UNAVAILABLE, "http_425" },
	{ 429, "", ERR_PROVIDER_UNAVAILABLE, "http_429" },
	{ 500, "", ERR_PROVIDER_UNAVAILABLE, "http_500" },
	{ 502, "<html>Bad Gateway</html>", ERR_PROVIDER_UNAVAILABLE, "http_502" },
	{ 503, "{}", ERR_PROVIDER_UNAVAILABLE, "http_503" },
	{ 599, "", ERR_PROVIDER_UNAVAILABLE, "http_599" },

	{ 400, "", ERR_PROVIDER_ERROR, "http_400" },
	{ 401, "", ERR_PROVIDER_ERROR, "http_401" },
	{ 403, "<html>", ERR_PROVIDER_ERROR, "http_403" },
	{ 404, "{}", ERR_PROVIDER_ERROR, "http_404" },
	{ 302, "", ERR_PROVIDER_ERROR, "http_302" },
	{ 204, "", ERR_PROVIDER_ERROR, "http_204" },
	{ 201, "{" GOOD "}", ERR_PROVIDER_ERROR, "http_201" },
	{ 400, "{\"error\":\"invalid_request\"}", ERR_PROVIDER_ERROR, "invalid_request" },
	{ 400, "{\"error\":\"invalid_scope\"}", ERR_PROVIDER_ERROR, "invalid_scope" },
	{ 400, "{\"error\":\"<script>\"}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":\"\"}", ERR_PROVIDER_ERROR, "http_400" },
	{ 400, "{\"error\":null}", ERR_PROVIDER_ERROR, "http_400" },
};

static void failures_fall_into_their_classes(void **state)
{
	for (size_t i = 0; i < COUNT(failures); i++) {
		CLEANUP(trial_release) struct trial t;
		char name[160];

		snprintf(name, sizeof(name), "%d %s", failures[i].status, failures[i].body);
		trial_run(&t, failures[i].status, failures[i].body);
		CHECK_ROW(name, t.err == failures[i].err);
		CHECK_ROW(name, !strcmp(t.failure.code, failures[i].code));
		CHECK_ROW(name, t.failure.retry_after_s == 33);
		CHECK_ROW(name, !secret_is_set(&t.answer.access_token));
	}
}

static void plain_codes_are_1_to_64_of_a_to_z_and_underscore(void **state)
{
	char longest[66];

	memset(longest, 'a', 65);
	longest[65] = '\0';
	assert_true(provider_code_is_plain("access_denied"));
	assert_true(provider_code_is_plain("_"));
	assert_true(provider_code_is_plain(longest + 1));
	assert_false(provider_code_is_plain(longest));
	assert_false(provider_code_is_plain(""));
	assert_false(provider_code_is_plain("Access_denied"));
	assert_false(provider_code_is_plain("access denied"));
	assert_false(provider_code_is_plain("access-denied"));
	assert_false(provider_code_is_plain("a1"));
	assert_false(provider_code_is_plain("<b>"));
	assert_false(provider_code_is_plain("a\n"));
	assert_false(provider_code_is_plain("h\xc3\xa9"));
}

/* --- the call itself ------------------------------------------------------------------------------- */

static void a_provider_that_is_not_there_is_unavailable(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, but nobody listens */
	struct breaker breaker = { 0 };
	struct google *google;
	CLEANUP(trial_release) struct trial t = { 0 };
	char url[64];
	struct google_settings settings = { .token_url = url,
					    .timeout_ms = 5000,
					    .token_breaker = &breaker };
	int wait_s = 0;

	unsetenv("http_proxy");
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/token", ntohs(address.sin_port));
	assert_int_equal(google_new(&settings, &google), ERR_OK);
	t.err = token_endpoint_refresh(google, "id", "secret", "refresh", NULL, &t.answer,
				       &t.failure);
	assert_int_equal(t.err, ERR_PROVIDER_UNAVAILABLE);
	assert_string_equal(t.failure.code, "connection_refused");
	assert_true(t.failure.not_sent); /* the refresh token is surely still good */
	assert_int_equal(breaker.failures, 1);
	assert_int_equal(google_check(google, &wait_s), ERR_OK);
	breaker.failures = 4;
	breaker_report(&breaker, false);
	assert_int_equal(google_check(google, &wait_s), ERR_PROVIDER_UNAVAILABLE);
	assert_int_equal(google_admit(google, &wait_s), ERR_PROVIDER_UNAVAILABLE);
	assert_in_range(wait_s, 1, 6);
	google_free(google);
	close(fd);
}

static void noise_does_no_harm(void **state)
{
	static const char alphabet[] = "{{}}\"\":,accesstokenexpires_in0123456789errorrefreshtype";
	static const char *const begins[] = {
		"",
		"{\"access_token\":",
		"{" GOOD ",\"expires_in\":",
		"{\"error\":\"",
		"{" GOOD ",\"",
	};
	struct noise noise = { 8 };
	char body[160];

	for (size_t i = 0; i < 20000; i++) {
		const char *begin = begins[i % COUNT(begins)];
		size_t len = strlen(begin);
		CLEANUP(trial_release) struct trial t;

		snprintf(body, sizeof(body), "%s", begin);
		noise_text(&noise, alphabet, body + len, sizeof(body) - len);
		trial_run(&t, i % 2 ? 200 : 400, body);
		assert_true(!t.err == secret_is_set(&t.answer.access_token));
		assert_true(t.err || (t.answer.expires_in_s > 0 && t.answer.expires_in_s <= 86400));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_answer_is_taken_whole),
		cmocka_unit_test(only_the_access_token_is_needed),
		cmocka_unit_test(expires_in_is_a_positive_number_or_refused),
		cmocka_unit_test(token_type_is_bearer_in_any_case),
		cmocka_unit_test(what_is_no_token_is_a_provider_error),
		cmocka_unit_test(a_refresh_token_is_kept_beside_nonsense),
		cmocka_unit_test(a_refresh_token_that_is_none_is_not_taken),
		cmocka_unit_test(failures_fall_into_their_classes),
		cmocka_unit_test(plain_codes_are_1_to_64_of_a_to_z_and_underscore),
		cmocka_unit_test(a_provider_that_is_not_there_is_unavailable),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests_name("token_endpoint", tests, NULL, NULL);
}
