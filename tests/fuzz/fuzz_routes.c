/* Path routing: arguments are decoded text, and lead to the same route when they are sent again;
 * Allow names methods that the path takes. Input: the method, a newline, the target. */
#include "fuzz.h"

#include "api/routes.h"

static enum err find(struct call *call, struct http_request *req, const char *method,
		     const char *target)
{
	*req = (struct http_request){ .method = method, .target = target, .request_id = "r-1" };
	call_end(call);
	call_begin(call, req);
	return routes_find(call);
}

static int arguments(const char *pattern)
{
	int count = 0;

	for (; *pattern; pattern++)
		count += *pattern == '{';
	return count;
}

/* The path of @call's route with its arguments, encoded. */
static void put_path(const struct call *call, struct strbuf *path)
{
	const char *at = call->route->pattern;
	int index = 0;

	while (*at) {
		if (*at == '{') {
			strbuf_put_percent(path, call->args[index++]);
			at = strchr(at, '}') + 1;
		} else {
			strbuf_putc(path, *at++);
		}
	}
}

static void check_found(struct call *call, const char *method)
{
	const struct route *route = call->route;
	struct http_request req;
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT(1 << 20);
	char *args[CALL_ARGS_MAX] = { 0 };
	int count = arguments(route->pattern);

	FUZZ_CHECK(!strcmp(route->method, method) ||
		   (!strcmp(method, "HEAD") && !strcmp(route->method, "GET")));
	FUZZ_CHECK(count <= CALL_ARGS_MAX);
	for (int i = 0; i < count; i++) {
		FUZZ_CHECK(*call->args[i] && fuzz_is_utf8(call->args[i]));
		args[i] = strdup(call->args[i]);
		FUZZ_CHECK(strlen(args[i]) < CALL_ARGS_TEXT_MAX);
	}
	put_path(call, &path);
	if (path.len < CALL_ARGS_TEXT_MAX) {
		FUZZ_CHECK(find(call, &req, method, path.data) == ERR_OK);
		FUZZ_CHECK(call->route == route);
		for (int i = 0; i < count; i++)
			FUZZ_CHECK(!strcmp(call->args[i], args[i]));
	}
	for (int i = 0; i < count; i++)
		free(args[i]);
}

static void check_allow(struct call *call, const char *target)
{
	struct http_request req;
	char method[16];

	routes_add_allow(call);
	FUZZ_CHECK(sscanf(call->reply.headers.data, "Allow: %15[A-Z]", method) == 1);
	/* It is taken, though its argument may be none. */
	FUZZ_CHECK(find(call, &req, method, target) != ERR_METHOD_NOT_ALLOWED);
	FUZZ_CHECK(call->route && !strcmp(call->route->method, method));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct call *call;
	struct http_request req;
	struct fuzz_input in = { data, size };
	char *method = fuzz_line(&in);
	char *target = fuzz_rest(&in);

	if (!call)
		call = call_new();
	switch (find(call, &req, method, target)) {
	case ERR_OK:
		check_found(call, method);
		break;
	case ERR_METHOD_NOT_ALLOWED:
		check_allow(call, target);
		break;
	case ERR_NOT_FOUND:
		FUZZ_CHECK(!call->route);
		break;
	case ERR_MALFORMED_REQUEST:
		FUZZ_CHECK(call->route && arguments(call->route->pattern));
		break;
	default:
		FUZZ_FAIL("another error");
	}
	free(method);
	free(target);
	return 0;
}
