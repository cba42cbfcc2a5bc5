#include "api/routes.h"

#include <string.h>

#include "api/clients.h"
#include "api/health.h"
#include "api/metrics.h"
#include "api/oauth.h"
#include "api/tokens.h"

#include "base/banned.h"

/* clang-format off */
static const struct route routes[] = {
	{ "GET", "/", ACCESS_OPEN, POOL_DATABASE, root_ask, NULL, NULL, 0 },
	{ "GET", "/health", ACCESS_OPEN, POOL_DATABASE, health_get_ask, health_get_answer, NULL, 0 },
	{ "GET", "/health/live", ACCESS_OPEN, POOL_DATABASE, health_live_ask, NULL, NULL, 0 },
	{ "GET", "/health/ready", ACCESS_OPEN, POOL_DATABASE, health_ready_ask, health_ready_answer, NULL, 0 },
	{ "GET", "/metrics", ACCESS_ADMIN, POOL_DATABASE, metrics_get_ask, NULL, NULL, ROUTE_OPEN_LOCALLY },
	{ "POST", "/clients", ACCESS_ADMIN, POOL_DATABASE, client_post_ask, client_post_answer, NULL, 0 },
	{ "GET", "/clients", ACCESS_ADMIN, POOL_DATABASE, clients_get_ask, clients_get_answer, NULL, 0 },
	{ "GET", "/clients/{client_id}", ACCESS_ADMIN, POOL_DATABASE, client_one_ask, client_one_answer, NULL, 0 },
	{ "PATCH", "/clients/{client_id}", ACCESS_ADMIN, POOL_DATABASE, client_patch_ask, client_one_answer, client_patch_run, 0 },
	{ "DELETE", "/clients/{client_id}", ACCESS_ADMIN, POOL_EXCHANGE, NULL, NULL, client_delete_run, 0 },
	{ "GET", "/oauth/login/{client_id}", ACCESS_OPEN, POOL_DATABASE, login_ask, login_answer, NULL, ROUTE_PAGE },
	{ "GET", "/auth/callback", ACCESS_OPEN, POOL_EXCHANGE, NULL, NULL, callback_run, ROUTE_PAGE },
	{ "GET", "/tokens/{branch_id}", ACCESS_FETCHER, POOL_DATABASE, token_ask, token_answer, token_run, 0 },
	{ "POST", "/tokens/{branch_id}/revoke", ACCESS_ADMIN, POOL_EXCHANGE, NULL, NULL, token_revoke_run, 0 },
	{ "POST", "/tokens/refresh", ACCESS_FETCHER, POOL_EXCHANGE, NULL, NULL, token_refresh_run, 0 },
};
/* clang-format on */

#define ROUTES (sizeof(routes) / sizeof(routes[0]))
_Static_assert(ROUTES < METRICS_ROUTES, "the metrics need room for every route");

size_t route_index(const struct route *route)
{
	return route ? (size_t)(route - routes) + 1 : 0;
}

const struct route *route_at(size_t index)
{
	return index && index <= ROUTES ? &routes[index - 1] : NULL;
}

/* The length of a path: the target up to its query. */
static size_t path_len(const char *target)
{
	return strcspn(target, "?#");
}

/*
 * Does @path match @pattern, segment by segment as they were sent? The segments of {…} are
 * decoded into @call (NULL: only the question). A segment that cannot be decoded is an error
 * only where it is an argument.
 */
static enum err match(const char *pattern, const char *path, size_t len, struct call *call)
{
	const char *end = path + len;
	char *text = call ? call->args_text : NULL;
	int nargs = 0;

	while (*pattern == '/' && path < end && *path == '/') {
		size_t want = strcspn(++pattern, "/");
		size_t have = 0;

		for (path++; path + have < end && path[have] != '/';)
			have++;
		if (*pattern == '{') {
			if (!have || have >= CALL_ARGS_TEXT_MAX)
				return ERR_NOT_FOUND;
			if (call) {
				enum err err = http_percent_decode(path, have, false, text);

				if (err)
					return err;
				call->args[nargs++] = text;
				text += strlen(text) + 1;
			}
		} else if (want != have || strncmp(pattern, path, have) != 0) {
			return ERR_NOT_FOUND;
		}
		pattern += want;
		path += have;
	}
	return !*pattern && path == end ? ERR_OK : ERR_NOT_FOUND;
}

/* HEAD is GET without a body, which nginx leaves out; but not where a GET uses something up. */
static bool takes_method(const struct route *route, const char *method)
{
	if (!strcmp(method, "HEAD") && route->pool == POOL_DATABASE)
		method = "GET";
	return !strcmp(route->method, method);
}

enum err routes_find(struct call *call)
{
	const char *target = call->req->target;
	size_t len = path_len(target);
	enum err err = ERR_NOT_FOUND;

	for (size_t i = 0; i < ROUTES; i++) {
		if (match(routes[i].pattern, target, len, NULL))
			continue;
		err = ERR_METHOD_NOT_ALLOWED;
		if (!takes_method(&routes[i], call->req->method))
			continue;
		call->route = &routes[i];
		return match(routes[i].pattern, target, len, call);
	}
	return err;
}

void routes_add_allow(struct call *call)
{
	CLEANUP(strbuf_release) struct strbuf allow = STRBUF_INIT(128);
	size_t len = path_len(call->req->target);

	for (size_t i = 0; i < ROUTES; i++) {
		if (match(routes[i].pattern, call->req->target, len, NULL))
			continue;
		strbuf_printf(&allow, "%s%s", allow.len ? ", " : "", routes[i].method);
		if (takes_method(&routes[i], "HEAD"))
			strbuf_puts(&allow, ", HEAD");
	}
	http_reply_header(&call->reply, "Allow", allow.data);
}

void route_to_exchange(struct call *call)
{
	/* nginx carries other headers of this answer over into the final one: send none. */
	http_reply_reset(&call->reply);
	call->reply.status = 200;
	http_reply_header(&call->reply, "X-Accel-Redirect", "@exchange");
	call->handed_on = true;
}

bool route_is_handed_read(const struct route *route)
{
	return route->pool == POOL_DATABASE && !strcmp(route->method, "GET");
}
