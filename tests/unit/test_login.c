#include "result.h"
#include "support.h"

#include "base/mem.h"
#include "domain/login.h"
#include "domain/login_link.h"

static struct config config = {
	.google_auth_url = (char *)"https://provider.example/auth",
	.google_scope = (char *)"https://scope.example/a openid",
	.state_ttl_s = 600,
	.login_ticket_ttl_s = 3600,
};
static struct domain domain = { .config = &config };

#define NONCE "0123456789abcdefghijABCDEFGHIJ-_01234567890"

static void begin(const char *cookie, struct login *login, struct db_query *query)
{
	const char *cookies[2] = { NULL, cookie };

	assert_int_equal(login_begin_ask(&domain, 7, NULL, cookies, login, query), ERR_OK);
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
	char hash[NONCE_HASH_SIZE] = "\\x", hash_of_state[NONCE_HASH_SIZE];
	struct seal_place place = { "oauth_states", "code_verifier", NULL };
	CLEANUP(secret_release) struct secret verifier = { 0 };

	begin(NONCE, &login, &query);
	assert_int_equal(query.nparams, 8);
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
	const char *values[] = { "7", "google-1", redirect_uri, "w+x@example.com", "t", "t" };
	struct db_query query;
	enum err err;

	db_query_init(&query, NULL);
	query_set_rows(&query, 6, 1, values);
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
	const char *values[] = { "7", "google-1", "http://a/", "w@example.com", "f", "t" };
	struct login_redirect redirect = { 0 };
	struct login login = { .state = "s" };
	struct db_query query;

	db_query_init(&query, NULL);
	query.err = ERR_DATABASE_UNAVAILABLE;
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_DATABASE_UNAVAILABLE);
	query_set_rows(&query, 6, 0, NULL);
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_CLIENT_NOT_FOUND);
	query_set_rows(&query, 6, 1, values);
	assert_int_equal(login_begin_answer(&domain, &login, &query, NULL, &redirect),
			 ERR_CLIENT_INACTIVE);
	db_query_release(&query);
}

/* The domain of a service that asks for tickets. */
static struct domain guarded(struct keyring **ret_keyring)
{
	static struct config strict;

	strict = config;
	strict.api_auth = API_AUTH_REQUIRED;
	assert_int_equal(keyring_new("key one", NULL, ret_keyring), ERR_OK);
	return (struct domain){ .config = &strict, .keyring = *ret_keyring };
}

static void a_ticket_is_asked_for_where_keys_are(void **state)
{
	static const char *const bad[] = { NULL, "", "x", "1768580000.2.AAAA" };
	static const char *const no_cookies[2] = { NULL, NULL };
	static const struct ticket ticket = { 7, 1768580000, 2 };
	CLEANUP(keyring_free_ptr) struct keyring *keys = NULL;
	struct domain strict = guarded(&keys);
	struct db_query query;
	struct login login;
	char text[TICKET_SIZE];

	db_query_init(&query, NULL);
	assert_int_equal(ticket_write(keys, &ticket, text), ERR_OK);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(login_begin_ask(&strict, 7, bad[i], no_cookies, &login, &query),
				 ERR_LOGIN_TICKET_REQUIRED);
	assert_int_equal(login_begin_ask(&strict, 8, text, no_cookies, &login, &query),
			 ERR_LOGIN_TICKET_REQUIRED);
	assert_null(query.stmt); /* the database was not even asked whether there is a client */
	assert_int_equal(login_begin_ask(&strict, 7, text, no_cookies, &login, &query), ERR_OK);
	assert_string_equal(query.values[6], "2");
	assert_string_equal(query.values[7], "1768580000");
	/* Where none is needed, one does no harm and binds nothing. */
	assert_int_equal(login_begin_ask(&domain, 7, "x", no_cookies, &login, &query), ERR_OK);
	assert_null(query.values[6]);
	assert_null(query.values[7]);
}

static void a_dead_ticket_is_told_before_anything_else(void **state)
{
	const char *values[] = { "7", "google-1", "http://a/", "w@example.com", "f", "f" };
	struct login_redirect redirect = { 0 };
	struct login login = { .state = "s" };
	struct db_query query;

	db_query_init(&query, NULL);
	query_set_rows(&query, 6, 1, values);
	assert_int_equal(login_begin_answer(&domain, &login, &query, "elsewhere", &redirect),
			 ERR_LOGIN_TICKET_REQUIRED);
	db_query_release(&query);
}

static void the_way_to_another_host_keeps_the_ticket(void **state)
{
	struct login login = { .state = "s", .ticket_text = "1768580000.2.abc" };
	struct login_redirect redirect;

	assert_int_equal(answer("https://a.example/auth/callback", "b.example", &login, &redirect),
			 ERR_OK);
	assert_string_equal(redirect.url.data, "https://a.example/oauth/login/7?redirected=1"
					       "&ticket=1768580000.2.abc");
	strbuf_release(&redirect.url);
}

static void only_an_administrator_is_told_a_link_with_a_ticket(void **state)
{
	static const struct caller admin = { .access = ACCESS_ADMIN };
	static const struct caller fetcher = { .access = ACCESS_FETCHER };
	static const struct caller anybody = { 0 };
	static const struct login_target target = {
		.redirect_uri = "https://a.example/auth/callback",
		.client_id = 7,
		.consent_version = 2,
		.now_us = 1768580000999999,
	};
	static const struct login_target nowhere = { 0 };
	static const char bare[] = "https://a.example/oauth/login/7";
	CLEANUP(keyring_free_ptr) struct keyring *keys = NULL;
	struct domain strict = guarded(&keys);
	CLEANUP(mem_free_ptr) char *url = login_link_url(&strict, &admin, &target);
	CLEANUP(mem_free_ptr) char *open = login_link_url(&domain, &anybody, &target);
	struct ticket ticket = { 0 };

	assert_non_null(url);
	assert_memory_equal(url, bare, strlen(bare));
	assert_memory_equal(url + strlen(bare), "?ticket=", 8);
	assert_int_equal(ticket_read(keys, url + strlen(bare) + 8, 7, &ticket), ERR_OK);
	assert_int_equal(ticket.expires_at_s, 1768580000 + 3600);
	assert_int_equal(ticket.consent_version, 2);
	assert_null(login_link_url(&strict, &fetcher, &target));
	assert_null(login_link_url(&strict, &anybody, &target));
	assert_null(login_link_url(&strict, &admin, &nowhere));
	assert_string_equal(open, bare);
}

static void production_needs_tickets_even_without_keys(void **state)
{
	struct config trial = { .environment = ENVIRONMENT_DEVELOPMENT };

	assert_false(login_needs_ticket(&trial));
	trial.api_auth = API_AUTH_REQUIRED;
	assert_true(login_needs_ticket(&trial));
	trial.api_auth = API_AUTH_OFF;
	trial.environment = ENVIRONMENT_PRODUCTION;
	assert_true(login_needs_ticket(&trial));
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
		cmocka_unit_test(a_ticket_is_asked_for_where_keys_are),
		cmocka_unit_test(a_dead_ticket_is_told_before_anything_else),
		cmocka_unit_test(the_way_to_another_host_keeps_the_ticket),
		cmocka_unit_test(only_an_administrator_is_told_a_link_with_a_ticket),
		cmocka_unit_test(production_needs_tickets_even_without_keys),
	};

	int failed;

	domain.keyring = test_keyring();
	failed = cmocka_run_group_tests_name("login", tests, NULL, NULL);
	keyring_free(domain.keyring);
	return failed;
}
