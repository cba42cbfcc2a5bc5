#include "support.h"

#include "base/strbuf.h"
#include "crypto/digest.h"
#include "domain/identity.h"

static const struct identity_wish wish = {
	.issuer = "https://accounts.example",
	.client_id = "client-1",
	.email = "Owner@example.test",
	.now_us = 1768580000999999,
};

/* The JWT around @claims. */
static void wrap(const char *claims, struct strbuf *jwt)
{
	char payload[2048];

	assert_true(BASE64URL_SIZE(strlen(claims)) <= sizeof(payload));
	base64url_encode((const unsigned char *)claims, strlen(claims), payload);
	strbuf_printf(jwt, "eyJhbGciOiJub25lIn0.%s.c2lnbmF0dXJl", payload);
}

/* The reason against @claims; NULL: none. */
static const char *reason(const char *claims)
{
	CLEANUP(strbuf_release) struct strbuf jwt = STRBUF_INIT(4096);
	const char *fault = NULL;
	enum err err;

	wrap(claims, &jwt);
	err = identity_check(&wish, jwt.data, &fault);
	assert_int_equal(err, fault ? ERR_WRONG_ACCOUNT : ERR_OK);
	return fault;
}

#define ISS "\"iss\":\"https://accounts.example\""
#define AUD "\"aud\":\"client-1\""
#define EXP "\"exp\":1768580001"
#define VERIFIED "\"email_verified\":true"
#define EMAIL "\"email\":\"owner@example.test\""

static void the_workspaces_verified_address_is_taken(void **state)
{
	static const char *const good[] = {
		"{" ISS "," AUD "," EXP "," VERIFIED "," EMAIL "}",
		"{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"OWNER@EXAMPLE.TEST\"}",
		/* as Google sends it at times */
		"{\"iss\":\"accounts.example\"," AUD "," EXP "," VERIFIED "," EMAIL "}",
		"{" ISS ",\"aud\":[\"client-1\"]," EXP "," VERIFIED "," EMAIL "}",
		"{" ISS "," AUD ",\"exp\":1768583600.5," VERIFIED "," EMAIL ",\"sub\":\"1\"}",
	};

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK_ROW(good[i], reason(good[i]) == NULL);
}

static void every_claim_must_be_there_and_right(void **state)
{
	static const struct {
		const char *claims, *reason;
	} rows[] = {
		{ "{" AUD "," EXP "," VERIFIED "," EMAIL "}", "id_token_issuer" },
		{ "{\"iss\":\"https://accounts.example/\"," AUD "," EXP "," VERIFIED "," EMAIL "}",
		  "id_token_issuer" },
		{ "{\"iss\":\"http://accounts.example\"," AUD "," EXP "," VERIFIED "," EMAIL "}",
		  "id_token_issuer" },
		{ "{\"iss\":1," AUD "," EXP "," VERIFIED "," EMAIL "}", "id_token_issuer" },
		{ "{" ISS "," EXP "," VERIFIED "," EMAIL "}", "id_token_audience" },
		{ "{" ISS ",\"aud\":\"client-2\"," EXP "," VERIFIED "," EMAIL "}",
		  "id_token_audience" },
		{ "{" ISS ",\"aud\":\"client-1\\u0000\"," EXP "," VERIFIED "," EMAIL "}",
		  "id_token_audience" },
		{ "{" ISS ",\"aud\":[\"client-1\",\"client-2\"]," EXP "," VERIFIED "," EMAIL "}",
		  "id_token_audience" },
		{ "{" ISS ",\"aud\":[]," EXP "," VERIFIED "," EMAIL "}", "id_token_audience" },
		{ "{" ISS "," AUD "," VERIFIED "," EMAIL "}", "id_token_expired" },
		{ "{" ISS "," AUD ",\"exp\":1768580000," VERIFIED "," EMAIL "}",
		  "id_token_expired" },
		{ "{" ISS "," AUD ",\"exp\":\"1768583600\"," VERIFIED "," EMAIL "}",
		  "id_token_expired" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED "}", "email_missing" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":null}", "email_missing" },
		{ "{" ISS "," AUD "," EXP "," EMAIL "}", "email_not_verified" },
		{ "{" ISS "," AUD "," EXP ",\"email_verified\":false," EMAIL "}",
		  "email_not_verified" },
		{ "{" ISS "," AUD "," EXP ",\"email_verified\":\"true\"," EMAIL "}",
		  "email_not_verified" },
		{ "{" ISS "," AUD "," EXP ",\"email_verified\":1," EMAIL "}",
		  "email_not_verified" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"other@example.test\"}",
		  "email_differs" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"owner@example.testx\"}",
		  "email_differs" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"owner@example.tes\"}",
		  "email_differs" },
		{ "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"\"}", "email_differs" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].claims, same_text(reason(rows[i].claims), rows[i].reason));
}

static void what_is_no_id_token_is_refused(void **state)
{
	static const char *const texts[] = { "",         "x",          ".",      "..",
					     "a.e30",    "a.e30.b.c",  "a.e3.b", "a.e30=.b",
					     "a.W10.b",  "a.bnVsbA.b", "a.!!.b", "a.e30gZQ.b",
					     "a.ImEi.b", "a. e30.b" };
	const char *fault = NULL;

	for (size_t i = 0; i < COUNT(texts); i++) {
		fault = NULL;
		CHECK_ROW(texts[i], identity_check(&wish, texts[i], &fault) == ERR_WRONG_ACCOUNT);
		CHECK_ROW(texts[i], same_text(fault, "id_token_malformed"));
	}
	assert_int_equal(identity_check(&wish, NULL, &fault), ERR_WRONG_ACCOUNT);
	assert_string_equal(fault, "id_token_missing");
	assert_string_equal(reason("{}"), "id_token_issuer");
}

/* "ſ" and "K" (the Kelvin sign) are "s" and "k" to some folding of case, and other mailboxes. */
static void only_ascii_is_folded(void **state)
{
	static const struct identity_wish accented = {
		.issuer = "https://accounts.example",
		.client_id = "client-1",
		.email = "k\xc3\xa4se@example.test",
	};
	static const struct {
		const char *email;
		bool same;
	} rows[] = {
		{ "K\xc3\xa4SE@Example.TEST", true },
		{ "k\xc3\x84se@example.test", false },
		{ "\xe2\x84\xaa\xc3\xa4se@example.test", false },
		{ "k\xc3\xa4\xc5\xbf"
		  "e@example.test",
		  false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(strbuf_release) struct strbuf claims = STRBUF_INIT(512);
		CLEANUP(strbuf_release) struct strbuf jwt = STRBUF_INIT(4096);
		const char *fault = NULL;

		strbuf_printf(&claims, "{" ISS "," AUD "," EXP "," VERIFIED ",\"email\":\"%s\"}",
			      rows[i].email);
		wrap(claims.data, &jwt);
		CHECK_ROW(rows[i].email,
			  !identity_check(&accented, jwt.data, &fault) == rows[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_workspaces_verified_address_is_taken),
		cmocka_unit_test(every_claim_must_be_there_and_right),
		cmocka_unit_test(what_is_no_id_token_is_refused),
		cmocka_unit_test(only_ascii_is_folded),
	};

	return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
