#include "result.h"
#include "support.h"

#include "domain/authorization.h"

static struct config config = {
	.google_auth_url = (char *)"https://provider.example/auth",
	.google_scope = (char *)"https://scope.example/a openid",
	.state_ttl_s = 600,
};
static struct domain domain = { .config = &config };

#define NONCE "0123456789abcdefghijABCDEFGHIJ-_01234567890"

static void begin(const char *cookie, struct login *login, struct db_query *query)
{
	const char *cookies[2] = { NULL, cookie };

	assert_int_equal(login_begin_ask(&domain, 7, cookies, login, query), ERR_OK);
}

static void every_login_has_its_own_state_and_verifier(void **state)
{
	struct login a, b;
	struct db_query query;

	begin(NONCE, &a, &query);
	begin(NONCE, &b, &query);
	assert_string_not_equal(a.state, b.state);
	assert_string_not_equal(a.code_verifier, b.code_verifier);
	assert_string_not_equal(a.state, a.code_verifier);
	assert_int_equal(strlen(a.state), 43);
	assert_int_equal(strlen(a.code_verifier), 43); /* RFC 7636: 43 to 128 */
}

static void the_browsers_cookie_is_reused_only_when_it_is_ours(void **state)
{
	static const char *const foreign[] = {
		NULL,
		"",
		"short",
		"0123456789abcdefghijABCDEFGHIJ-_01234567890x",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789+",
		"0123456789abcdefghijABCDEFGHIJ-_0123456789\xc3",
	};
	struct db_query query;
	struct login login;

	begin(NONCE, &login, &query);
	assert_string_equal(login.browsers[1], NONCE);
	for (size_t i = 0; i < COUNT(foreign); i++) {
		begin(foreign[i], &login, &query);
		assert_int_equal(strlen(login.browsers[1]), 43);
		assert_string_not_equal(login.browsers[1], NONCE);
		if (foreign[i])
			assert_string_not_equal(login.browsers[1], foreign[i]);
	}
}

static void only_hashes_are_stored(void **state)
{
	struct db_query query;
	struct login login;
	char hash[HASH_TEXT_SIZE] = "\\x", hash_of_state[HASH_TEXT_SIZE];
	struct seal_place place = { "oauth_states", "code_verifier", NULL };
	CLEANUP(secret_release) struct secret verifier = { 0 };

	begin(NONCE, &login, &query);
	assert_int_equal(query.nparams, 6);
	assert_string_equal(query.values[0], "7");
	assert_int_equal(digest_sha256_hex(login.state, hash + 2), ERR_OK);
	assert_string_equal(query.values[1], hash);
	memcpy(hash_of_state, hash, sizeof(hash));
	assert_int_equal(digest_sha256_hex(NONCE, hash + 2), ERR_OK);
	assert_string_equal(query.values[3], hash);
	assert_int_equal(digest_sha256_hex(login.browsers[0], hash + 2), ERR_OK);
	assert_string_equal(query.values[2], hash);
	/* sealed for this state, and nothing else */
	place.row = hash_of_state + 2;
	assert_int_equal(unseal(domain.keyring, &place, query.values[4], &verifier), ERR_OK);
	assert_string_equal(verifier.data, login.code_verifier);
	assert_string_equal(query.values[5], "600");
}

static void a_plain_cookie_never_stands_for_the_secure_one(void **state)
{
	struct db_query query;
	struct login login;

	begin(NONCE, &login, &query);
	assert_string_equal(login.browsers[1], NONCE);
	assert_string_not_equal(login.browsers[0], NONCE);
}

/* The redirect of a login whose client has @redirect_uri, coming on @host. */
static enum err answer(const char *redirect_uri, const char *host, const struct login *login,
		       struct login_redirect *ret_redirect)
{
	const char *values[] = { "7", "google-1", redirect_uri, "w+x@example.com", "t" };
	struct db_query query;
	enum err err;

	db_query_init(&query, NULL);
	query_set_rows(&query, 5, 1, values);
	*ret_redirect = (struct login_redirect){ 0 };
	err = login_begin_answer(&domain, login, &query, host, ret_redirect);
	db_query_release(&query);
	return err;
}

static void the_consent_url_asks_for_a_code_with_pkce(void **state)
{
	struct login login = { .state = "the-state",
			       /* RFC 7636 appendix B */
			       .code_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" };
	struct login_redirect redirect;

	assert_int_equal(answer("https://a.example/auth/callback", "a.example", &login, &redirect),
			 ERR_OK);
	assert_string_equal(redirect.url.data,
			    "https://provider.example/auth?response_type=code&client_id=google-1"
			    "&redirect_uri=https%3A%2F%2Fa.example%2Fauth%2Fcallback"
			    "&scope=https%3A%2F%2Fscope.example%2Fa%20openid&state=the-state"
			    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
			    "&code_challenge_method=S256&access_type=offline&prompt=consent"
			    "&login_hint=w%2Bx%40example.com");
	assert_true(redirect.sets_cookie);
	assert_true(redirect.cookie_is_secure);
	strbuf_release(&redirect.url);
}

static void an_auth_url_with_a_query_keeps_it(void **state)
{
	struct login login = { .state = "s" };
	struct login_redirect redirect;
	char *before = config.google_auth_url;

	config.google_auth_url = (char *)"https://provider.example/auth?tenant=x";
	assert_int_equal(answer("http://a/", "a", &login, &redirect), ERR_OK);
	config.google_auth_url = before;
	assert_memory_equal(redirect.url.data,
			    "https://provider.example/auth?tenant=x&response_type=code&", 58);
	assert_false(redirect.cookie_is_secure);
	strbuf_release(&redirect.url);
}

static const struct {
	const char *redirect_uri, *host;
	bool same;
} host_rows[] = {
	{ "http://localhost:8002/auth/callback", "localhost:8002", true },
	{ "http://localhost:8002/auth/callback", "LOCALHOST:8002", true },
	{ "http://localhost:8002/auth/callback", NULL, true }, /* not asked */
	{ "http://localhost:8002/auth/callback", "127.0.0.1:8002", false },
	{ "http://localhost:8002/auth/callback", "localhost", false },
	{ "http://localhost:8002/auth/callback", "localhost:80", false },
	{ "http://localhost:8002/auth/callback", "localhost:80021", false },
	{ "https://a.example/auth/callback", "a.example", true },
	{ "https://A.Example/auth/callback", "a.example:443", true },
	{ "https://a.example/auth/callback", "a.example:80", false },
	{ "http://a.example/auth/callback", "a.example:80", true },
	{ "https://a.example/auth/callback", "a.example.evil", false },
	{ "https://a.example/auth/callback", "a.exampl", false },
	{ "https://a.example/auth/callback", "", false },
	{ "https://a.example:8443/auth/callback", "a.example:8443", true },
	{ "https://a.example:8443/auth/callback", "a.example", false },
	{ "http://[::1]:8002/auth/callback", "[::1]:8002", true },
	{ "http://[::1]/auth/callback", "[::1]", true },
};

static void another_host_is_left_for_the_callbacks_host_first(void **state)
{
	struct login login = { .state = "s" };

	for (size_t i = 0; i < COUNT(host_rows); i++) {
		const char *name = host_rows[i].host ? host_rows[i].host : "(none)";
		struct login_redirect redirect;

		assert_int_equal(answer(host_rows[i].redirect_uri, host_rows[i].host, &login,
					&redirect),
				 ERR_OK);
		CHECK_ROW(name, redirect.sets_cookie == host_rows[i].same);
		CHECK_ROW(name, !strncmp(redirect.url.data, "https://provider.example/", 25) ==
					host_rows[i].same);
		if (!host_rows[i].same)
			CHECK_ROW(name, strstr(redirect.url.data, "/oauth/login/7?redirected=1"));
		strbuf_release(&redirect.url);
	}
}

static void a_client_that_cannot_log_in_is_told(void **state)
{
	const char *values[] = { "7", "google-1", "http://a/", "w@example.com", "f" };
	struct login_redirect redirect = { 0 };
	struct login login = { .state = "s" };
	struct db_query query;

	db_query_init(&query, NULL);
	query.err = ERR_DATABASE_UNAVAILABLE;
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_DATABASE_UNAVAILABLE);
	query_set_rows(&query, 5, 0, NULL);
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_CLIENT_NOT_FOUND);
	query_set_rows(&query, 5, 1, values);
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_CLIENT_INACTIVE);
	db_query_release(&query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_login_has_its_own_state_and_verifier),
		cmocka_unit_test(the_browsers_cookie_is_reused_only_when_it_is_ours),
		cmocka_unit_test(only_hashes_are_stored),
		cmocka_unit_test(a_plain_cookie_never_stands_for_the_secure_one),
		cmocka_unit_test(the_consent_url_asks_for_a_code_with_pkce),
		cmocka_unit_test(an_auth_url_with_a_query_keeps_it),
		cmocka_unit_test(another_host_is_left_for_the_callbacks_host_first),
		cmocka_unit_test(a_client_that_cannot_log_in_is_told),
	};

	int failed;

	domain.keyring = test_keyring();
	failed = cmocka_run_group_tests_name("authorization", tests, NULL, NULL);
	keyring_free(domain.keyring);
	return failed;
}
