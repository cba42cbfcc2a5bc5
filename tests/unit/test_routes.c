#include "support.h"

#include "api/routes.h"

/* A call for @method and @target as the worker begins it. */
static struct call *call_for(struct http_request *req, const char *method, const char *target)
{
	struct call *call = call_new();

	*req = (struct http_request){ .method = method, .target = target, .request_id = "r-1" };
	strbuf_init(&req->body, 0);
	call_begin(call, req);
	return call;
}

static const struct {
	const char *method, *target;
	enum err err;
	const char *pattern; /* of the route that was found */
	const char *arg;     /* NULL: none */
} rows[] = {
	{ "GET", "/", ERR_OK, "/", NULL },
	{ "HEAD", "/", ERR_OK, "/", NULL },
	{ "GET", "/?x=y", ERR_OK, "/", NULL },
	{ "GET", "/health", ERR_OK, "/health", NULL },
	{ "GET", "/health/live", ERR_OK, "/health/live", NULL },
	{ "GET", "/health/ready", ERR_OK, "/health/ready", NULL },
	{ "GET", "/metrics", ERR_OK, "/metrics", NULL },
	{ "POST", "/clients", ERR_OK, "/clients", NULL },
	{ "GET", "/clients?limit=1", ERR_OK, "/clients", NULL },
	{ "GET", "/clients/7", ERR_OK, "/clients/{client_id}", "7" },
	{ "PATCH", "/clients/7", ERR_OK, "/clients/{client_id}", "7" },
	{ "DELETE", "/clients/7", ERR_OK, "/clients/{client_id}", "7" },
	{ "GET", "/oauth/login/7", ERR_OK, "/oauth/login/{client_id}", "7" },
	{ "GET", "/auth/callback?code=x", ERR_OK, "/auth/callback", NULL },
	{ "POST", "/tokens/refresh", ERR_OK, "/tokens/refresh", NULL },
	{ "POST", "/tokens/b-1/revoke", ERR_OK, "/tokens/{branch_id}/revoke", "b-1" },
	{ "POST", "/tokens/a%2Fb/revoke", ERR_OK, "/tokens/{branch_id}/revoke", "a/b" },
	{ "GET", "/tokens/b-1/revoke", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "GET", "/tokens/refresh", ERR_OK, "/tokens/{branch_id}", "refresh" },
	/* path arguments, decoded once */
	{ "GET", "/tokens/b-1?min_ttl=5", ERR_OK, "/tokens/{branch_id}", "b-1" },
	{ "GET", "/tokens/a%20b+c", ERR_OK, "/tokens/{branch_id}", "a b+c" },
	{ "GET", "/tokens/a%2Fb", ERR_OK, "/tokens/{branch_id}", "a/b" },
	{ "GET", "/tokens/a%252Fb", ERR_OK, "/tokens/{branch_id}", "a%2Fb" },
	{ "GET", "/tokens/%C3%A9", ERR_OK, "/tokens/{branch_id}", "\xc3\xa9" },
	{ "GET", "/tokens/%3F%23", ERR_OK, "/tokens/{branch_id}", "?#" },
	{ "GET", "/tokens/%", ERR_MALFORMED_REQUEST, "/tokens/{branch_id}", NULL },
	{ "GET", "/tokens/%00", ERR_MALFORMED_REQUEST, "/tokens/{branch_id}", NULL },
	{ "GET", "/tokens/%ff", ERR_MALFORMED_REQUEST, "/tokens/{branch_id}", NULL },
	/* no such path */
	{ "GET", "", ERR_NOT_FOUND, NULL, NULL },
	{ "OPTIONS", "*", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "//", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/health/", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "//health", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/healthx", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/healt", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/Health", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/%68ealth", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/clients/", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/clients/7/8", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/tokens", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/tokens/", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/tokens/a/b", ERR_NOT_FOUND, NULL, NULL },
	{ "GET", "/?/health", ERR_OK, "/", NULL },
	/* not this method */
	{ "POST", "/", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "get", "/", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "PUT", "/clients/7", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "OPTIONS", "/clients", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "PUT", "/tokens/%", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	/* a HEAD must not use a state or a code up */
	{ "HEAD", "/auth/callback", ERR_METHOD_NOT_ALLOWED, NULL, NULL },
	{ "HEAD", "/tokens/b-1", ERR_OK, "/tokens/{branch_id}", "b-1" },
	{ "HEAD", "/clients/7", ERR_OK, "/clients/{client_id}", "7" },
};

static void calls_find_their_route_and_arguments(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_request req;
		struct call *call = call_for(&req, rows[i].method, rows[i].target);
		char name[128];

		snprintf(name, sizeof(name), "%s %s", rows[i].method, rows[i].target);
		CHECK_ROW(name, routes_find(call) == rows[i].err);
		CHECK_ROW(name,
			  same_text(call->route ? call->route->pattern : NULL, rows[i].pattern));
		if (rows[i].arg)
			CHECK_ROW(name, !strcmp(call->args[0], rows[i].arg));
		call_free(call);
	}
}

static void an_argument_longer_than_its_room_is_not_found(void **state)
{
	static const size_t lengths[] = { CALL_ARGS_TEXT_MAX - 1, CALL_ARGS_TEXT_MAX, 60000 };

	for (size_t i = 0; i < COUNT(lengths); i++) {
		CLEANUP(strbuf_release) struct strbuf target = STRBUF_INIT(65536);
		struct http_request req;
		struct call *call;

		strbuf_puts(&target, "/tokens/");
		for (size_t k = 0; k < lengths[i]; k++)
			strbuf_putc(&target, 'x');
		call = call_for(&req, "GET", target.data);
		assert_int_equal(routes_find(call), i == 0 ? ERR_OK : ERR_NOT_FOUND);
		if (i == 0)
			assert_string_equal(call->args[0], target.data + 8);
		call_free(call);
	}
}

static void allow_names_every_method_of_the_path(void **state)
{
	static const struct {
		const char *target, *allow;
	} allow_rows[] = {
		{ "/", "GET, HEAD" },
		{ "/clients", "POST, GET, HEAD" },
		{ "/clients/7?x=y", "GET, HEAD, PATCH, DELETE" },
		{ "/auth/callback", "GET" },
		{ "/tokens/b-1", "GET, HEAD" },
		{ "/tokens/refresh", "GET, HEAD, POST" },
		{ "/tokens/b-1/revoke", "POST" },
	};

	for (size_t i = 0; i < COUNT(allow_rows); i++) {
		struct http_request req;
		struct call *call = call_for(&req, "PUT", allow_rows[i].target);
		char expected[64];

		snprintf(expected, sizeof(expected), "Allow: %s\r\n", allow_rows[i].allow);
		routes_add_allow(call);
		CHECK_ROW(allow_rows[i].target, !strcmp(call->reply.headers.data, expected));
		call_free(call);
	}
}

static void what_is_handed_on_carries_one_header(void **state)
{
	struct http_request req;
	struct call *call = call_for(&req, "GET", "/tokens/b-1");

	http_reply_header(&call->reply, "Cache-Control", "no-store");
	route_to_exchange(call);
	assert_int_equal(call->reply.status, 200);
	assert_null(call->reply.content_type);
	assert_string_equal(call->reply.headers.data, "X-Accel-Redirect: @exchange\r\n");
	call_free(call);
}

static void noise_does_no_harm(void **state)
{
	struct noise noise = { 9 };
	char target[64];

	for (int i = 0; i < 5000; i++) {
		struct http_request req;
		struct call *call;

		target[0] = '/';
		noise_text(&noise, "//tokensclients%0123456789af?", target + 1, sizeof(target) - 1);
		call = call_for(&req, i % 2 ? "GET" : "PUT", target);
		if (routes_find(call) == ERR_METHOD_NOT_ALLOWED)
			call_fail(call, ERR_METHOD_NOT_ALLOWED);
		call_free(call);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_find_their_route_and_arguments),
		cmocka_unit_test(an_argument_longer_than_its_room_is_not_found),
		cmocka_unit_test(allow_names_every_method_of_the_path),
		cmocka_unit_test(what_is_handed_on_carries_one_header),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
