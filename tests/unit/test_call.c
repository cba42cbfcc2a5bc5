#include "support.h"

#include "api/page.h"
#include "api/routes.h"
#include "base/clock.h"
#include "crypto/digest.h"

/* A call on its way: a route without pages unless @target has them. */
static const struct config config;
static const struct domain domain = { .config = &config };

struct fixture {
	struct http_request req;
	struct call *call;
};

static void begin(struct fixture *f, const char *target, const char *accept)
{
	*f = (struct fixture){ .req = { .method = "GET",
					.target = target,
					.request_id = "r-<1>",
					.accept = accept,
					.arrived_ms = clock_unix_ms() } };
	strbuf_init(&f->req.body, HTTP_BODY_MAX);
	f->call = call_new();
	f->call->domain = &domain;
	call_begin(f->call, &f->req);
	assert_int_equal(routes_find(f->call), ERR_OK);
}

static void end(struct fixture *f)
{
	call_free(f->call);
	strbuf_release(&f->req.body);
}

static struct json_object *body_of(const struct fixture *f)
{
	struct json_object *body = NULL;

	assert_int_equal(json_parse(f->call->reply.body.data, f->call->reply.body.len, &body),
			 ERR_OK);
	return body;
}

static bool has_header(const struct fixture *f, const char *line)
{
	return strstr(f->call->reply.headers.data, line) != NULL;
}

static void every_error_is_told_in_the_same_shape(void **state)
{
	for (enum err err = ERR_OK + 1; err < ERR__COUNT; err++) {
		CLEANUP(json_release) struct json_object *body = NULL;
		const struct err_info *info = err_info(err);
		struct fixture f;

		begin(&f, "/clients", NULL);
		call_fail(f.call, err);
		body = body_of(&f);
		CHECK_ROW(info->code, f.call->reply.status == info->status);
		CHECK_ROW(info->code, !strcmp(f.call->reply.content_type, "application/json"));
		CHECK_ROW(info->code, json_object_object_length(body) == 5);
		CHECK_ROW(info->code,
			  !json_object_get_boolean(json_object_object_get(body, "success")));
		CHECK_ROW(info->code, same_text(json_get_string(body, "error"), info->code));
		/* Here nobody is told a login_url. */
		const char *message = err_message_without_link(err);

		CHECK_ROW(info->code, same_text(json_get_string(body, "message"), message));
		CHECK_ROW(info->code, same_text(json_get_string(body, "detail"), message));
		CHECK_ROW(info->code, same_text(json_get_string(body, "request_id"), "r-<1>"));
		CHECK_ROW(info->code, has_header(&f, "Cache-Control: no-store\r\n"));
		CHECK_ROW(info->code,
			  has_header(&f, "Retry-After: 1\r\n") == (info->status == 503));
		CHECK_ROW(info->code, has_header(&f, "Allow: ") == (err == ERR_METHOD_NOT_ALLOWED));
		end(&f);
	}
}

static void a_problem_says_more(void **state)
{
	CLEANUP(json_release) struct json_object *body = NULL;
	struct fixture f;

	begin(&f, "/clients", NULL);
	f.call->problem.retry_after_s = 17;
	snprintf(f.call->problem.provider_error, PROVIDER_CODE_SIZE, "invalid_grant");
	problem_set_login(&f.call->problem,
			  &(struct login_target){ .redirect_uri = "https://a.example/auth/callback",
						  .client_id = 7 });
	http_reply_header(&f.call->reply, "Set-Cookie", "of what went before");
	call_fail(f.call, ERR_REAUTHORIZATION_REQUIRED);
	body = body_of(&f);
	assert_true(has_header(&f, "Retry-After: 17\r\n"));
	assert_false(has_header(&f, "Set-Cookie"));
	assert_string_equal(json_get_string(body, "provider_error"), "invalid_grant");
	assert_string_equal(json_get_string(body, "login_url"), "https://a.example/oauth/login/7");
	end(&f);
}

static void faults_stand_in_detail(void **state)
{
	CLEANUP(json_release) struct json_object *body = NULL;
	struct json_object *detail, *fault;
	struct fixture f;

	begin(&f, "/clients", NULL);
	problem_add_fault(&f.call->problem, "a", "is required");
	problem_add_fault(&f.call->problem, "b", "must be a string");
	call_fail(f.call, ERR_VALIDATION_FAILED);
	body = body_of(&f);
	detail = json_object_object_get(body, "detail");
	assert_int_equal(json_object_array_length(detail), 2);
	fault = json_object_array_get_idx(detail, 1);
	assert_int_equal(json_object_object_length(fault), 2);
	assert_string_equal(json_get_string(fault, "field"), "b");
	assert_string_equal(json_get_string(fault, "message"), "must be a string");
	end(&f);
}

static void only_browsers_on_routes_with_pages_get_one(void **state)
{
	static const struct {
		const char *target, *accept;
		bool page;
	} rows[] = {
		{ "/oauth/login/7", "text/html,*/*;q=0.8", true },
		{ "/auth/callback?x", "text/html", true },
		{ "/auth/callback", "application/json", false },
		{ "/auth/callback", NULL, false },
		{ "/clients", "text/html", false },
		{ "/tokens/b", "text/html", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;

		begin(&f, rows[i].target, rows[i].accept);
		call_fail(f.call, ERR_CLIENT_NOT_FOUND);
		CHECK_ROW(rows[i].target, f.call->reply.status == 404);
		CHECK_ROW(rows[i].target,
			  !strcmp(f.call->reply.content_type,
				  rows[i].page ? "text/html; charset=utf-8" : "application/json"));
		end(&f);
	}
}

/* No other style runs in the pages than the one whose digest their policy names. */
static void the_pages_style_is_the_one_that_its_policy_allows(void **state)
{
	struct fixture f;
	const char *style, *style_end, *policy;
	unsigned char digest[SHA256_SIZE];
	char hash[BASE64URL_SIZE(SHA256_SIZE)], expected[128];

	begin(&f, "/auth/callback", NULL);
	page_reply_connected(f.call, "b-1");
	style = strstr(f.call->reply.body.data, "<style>") + 7;
	style_end = strstr(style, "</style>");
	assert_int_equal(digest_sha256(style, (size_t)(style_end - style), digest), ERR_OK);
	base64url_encode(digest, sizeof(digest), hash);
	for (char *c = hash; *c; c++) /* plain base64 here */
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	snprintf(expected, sizeof(expected), "; style-src 'sha256-%s='; ", hash);
	policy = strstr(f.call->reply.headers.data, "Content-Security-Policy: default-src 'none'");
	assert_non_null(policy);
	assert_non_null(strstr(policy, expected));
	assert_null(strstr(policy, "unsafe"));
	assert_true(has_header(&f, "Referrer-Policy: no-referrer\r\n"));
	assert_true(has_header(&f, "Cache-Control: no-store\r\n"));
	end(&f);
}

static void pages_escape_what_comes_from_outside(void **state)
{
	struct fixture f;
	const char *text;

	begin(&f, "/auth/callback", "text/html");
	page_reply_connected(f.call, "<b>'\"&");
	text = f.call->reply.body.data;
	assert_non_null(strstr(text, "<strong>&lt;b&gt;&#39;&quot;&amp;</strong>"));
	assert_non_null(strstr(text, "r-&lt;1&gt;"));
	problem_set_login(&f.call->problem,
			  &(struct login_target){ .redirect_uri =
							  "https://a.example/x'&y/auth/callback",
						  .client_id = 7 });
	call_fail(f.call, ERR_PROVIDER_DENIED);
	text = f.call->reply.body.data;
	assert_non_null(strstr(text, "<a href=\"https://a.example/x&#39;&amp;y/oauth/login/7\">"));
	assert_null(strstr(text, "connected.")); /* nothing is left of the first page */
	end(&f);
}

static void bodies_are_read_in_this_order(void **state)
{
	static const struct {
		const char *type, *body;
		bool overflow;
		enum err err;
	} rows[] = {
		{ "application/json", "{}", false, ERR_OK },
		{ "application/json; charset=utf-8", "{}", false, ERR_OK },
		{ "Application/JSON;x", "[1]", false, ERR_OK },
		{ "application/json ", "null", false, ERR_OK },
		{ "application/json", "{", false, ERR_MALFORMED_REQUEST },
		{ "application/json", "", false, ERR_MALFORMED_REQUEST },
		{ "application/jsonx", "{}", false, ERR_UNSUPPORTED_MEDIA_TYPE },
		{ "application/json-seq", "{}", false, ERR_UNSUPPORTED_MEDIA_TYPE },
		{ "text/plain", "{", false, ERR_UNSUPPORTED_MEDIA_TYPE },
		{ NULL, "{}", false, ERR_UNSUPPORTED_MEDIA_TYPE },
		{ "text/plain", "{", true, ERR_BODY_TOO_LARGE },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;

		begin(&f, "/clients", NULL);
		f.req.content_type = rows[i].type;
		strbuf_puts(&f.req.body, rows[i].body);
		f.req.body.overflow = rows[i].overflow;
		CHECK_ROW(rows[i].type ? rows[i].type : "(none)",
			  call_read_json(f.call) == rows[i].err);
		end(&f);
	}
}

static void numbers_in_queries_are_digits_in_range(void **state)
{
	static const struct {
		const char *target;
		int64_t value; /* -1: refused */
	} rows[] = {
		{ "/clients", 100 },         { "/clients?n=0", 0 },
		{ "/clients?n=1000", 1000 }, { "/clients?n=007", 7 },
		{ "/clients?n=1001", -1 },   { "/clients?n=", -1 },
		{ "/clients?n", -1 },        { "/clients?n=-1", -1 },
		{ "/clients?n=%2B1", -1 },   { "/clients?n=+1", -1 },
		{ "/clients?n=1.0", -1 },    { "/clients?n=1x", -1 },
		{ "/clients?n=0x1", -1 },    { "/clients?n=9223372036854775808", -1 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;
		int64_t value = -1;

		begin(&f, rows[i].target, NULL);
		assert_int_equal(call_read_params(f.call), ERR_OK);
		CHECK_ROW(rows[i].target,
			  call_param_int(f.call, "n", 0, 1000, 100, &value) ==
				  (rows[i].value < 0 ? ERR_VALIDATION_FAILED : ERR_OK));
		CHECK_ROW(rows[i].target, value == rows[i].value);
		CHECK_ROW(rows[i].target, !f.call->problem.faults == (rows[i].value >= 0));
		end(&f);
	}
}

static void ids_in_paths_are_positive_numbers(void **state)
{
	static const struct {
		const char *target;
		int64_t id; /* 0: none's */
	} rows[] = {
		{ "/clients/1", 1 },      { "/clients/9223372036854775807", INT64_MAX },
		{ "/clients/0", 0 },      { "/clients/9223372036854775808", 0 },
		{ "/clients/-1", 0 },     { "/clients/%2B1", 0 },
		{ "/clients/1%20", 0 },   { "/clients/abc", 0 },
		{ "/clients/1%27--", 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct fixture f;
		int64_t id = 0;

		begin(&f, rows[i].target, NULL);
		CHECK_ROW(rows[i].target, call_arg_id(f.call, 0, &id) ==
						  (rows[i].id ? ERR_OK : ERR_CLIENT_NOT_FOUND));
		CHECK_ROW(rows[i].target, id == rows[i].id);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_is_told_in_the_same_shape),
		cmocka_unit_test(a_problem_says_more),
		cmocka_unit_test(faults_stand_in_detail),
		cmocka_unit_test(only_browsers_on_routes_with_pages_get_one),
		cmocka_unit_test(the_pages_style_is_the_one_that_its_policy_allows),
		cmocka_unit_test(pages_escape_what_comes_from_outside),
		cmocka_unit_test(bodies_are_read_in_this_order),
		cmocka_unit_test(numbers_in_queries_are_digits_in_range),
		cmocka_unit_test(ids_in_paths_are_positive_numbers),
	};

	return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
