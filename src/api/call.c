#include "api/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/auth.h"
#include "api/page.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "domain/login_link.h"

#include "base/banned.h"

/* nginx waits no longer than this: more is a clock that was set. */
#define WAITED_MAX_MS 60000

struct call *call_new(void)
{
	struct call *call = mem_alloc(sizeof(*call));

	http_reply_init(&call->reply);
	return call;
}

void call_free(struct call *call)
{
	if (!call)
		return;
	call_end(call);
	http_reply_release(&call->reply);
	explicit_bzero(&call->login, sizeof(call->login));
	free(call);
}

void call_begin(struct call *call, const struct http_request *req)
{
	int64_t waited_ms = clock_unix_ms() - req->arrived_ms;
	bool plausible = waited_ms >= 0 && waited_ms <= WAITED_MAX_MS;

	call->req = req;
	snprintf(call->request_id, sizeof(call->request_id), "%s", req->request_id);
	call->arrived_us = clock_monotonic_us() - (plausible ? waited_ms : 0) * 1000;
	call->arrived_ms = call->arrived_us / 1000;
	call->route = NULL;
	call->args[0] = NULL;
	call->caller = (struct caller){ 0 };
	call->key_hash[0] = '\0';
	call->key_sent = false;
	call->handed_on = false;
	call->client_id = 0;
	call->sent = false;
	call->answered_us = 0;
	call->params.count = 0;
	db_query_init(&call->query, NULL);
	http_reply_reset(&call->reply);
}

void call_end(struct call *call)
{
	call->caller = (struct caller){ 0 };
	db_query_release(&call->query);
	problem_release(&call->problem);
	json_release(&call->body);
}

static bool is_json_type(const char *content_type)
{
	static const char json[] = "application/json";
	size_t len = sizeof(json) - 1;

	return content_type && !strncasecmp(content_type, json, len) &&
	       strchr("; \t", content_type[len]); /* the end counts too */
}

enum err call_read_json(struct call *call)
{
	const struct strbuf *body = &call->req->body;

	if (!strbuf_ok(body))
		return ERR_BODY_TOO_LARGE;
	if (!is_json_type(call->req->content_type))
		return ERR_UNSUPPORTED_MEDIA_TYPE;
	return json_parse(body->data, body->len, &call->body);
}

enum err call_read_params(struct call *call)
{
	const char *query = strchr(call->req->target, '?');

	return http_params_parse(query ? query + 1 : "", &call->params);
}

enum err call_param_int(struct call *call, const char *name, int64_t min, int64_t max,
			int64_t fallback, int64_t *ret_value)
{
	CLEANUP(strbuf_release) struct strbuf message = STRBUF_INIT(128);
	const char *text = http_params_get(&call->params, name);

	if (!text) {
		*ret_value = fallback;
		return ERR_OK;
	}
	if (number_parse(text, min, max, ret_value))
		return ERR_OK;
	strbuf_printf(&message, "must be a whole number from %lld to %lld", (long long)min,
		      (long long)max);
	problem_add_fault(&call->problem, name, message.data);
	return ERR_VALIDATION_FAILED;
}

struct audit_actor call_actor(const struct call *call)
{
	return (struct audit_actor){
		.key_hash = *call->key_hash ? call->key_hash : NULL,
		.name = (call->route->flags & ROUTE_PAGE) ? "browser" : "api",
		.request_id = call->request_id,
	};
}

enum err call_arg_id(const struct call *call, int index, int64_t *ret_id)
{
	return number_parse(call->args[index], 1, INT64_MAX, ret_id) ? ERR_OK
								     : ERR_CLIENT_NOT_FOUND;
}

struct json_out call_begin_json(struct call *call, int status)
{
	struct json_out body = { .to = &call->reply.body };

	call->reply.status = status;
	call->reply.content_type = "application/json";
	http_reply_header(&call->reply, "Cache-Control", "no-store");
	strbuf_reset(&call->reply.body);
	json_out_begin_object(&body, NULL);
	return body;
}

void call_end_json(struct call *call, struct json_out *body)
{
	json_out_end_object(body);
	/* Half a document is none. */
	if (!strbuf_ok(&call->reply.body) || !strbuf_ok(&call->reply.headers)) {
		http_reply_reset(&call->reply);
		call->reply.status = err_info(ERR_INTERNAL)->status;
	}
}

static void add_retry_after(struct call *call, enum err err)
{
	int seconds = call->problem.retry_after_s;

	if (!seconds && err_info(err)->status == 503)
		seconds = 1;
	if (seconds)
		http_reply_header_number(&call->reply, "Retry-After", seconds);
}

void call_fail(struct call *call, enum err err)
{
	const struct err_info *info = err_info(err);
	struct problem *problem = &call->problem;
	CLEANUP(mem_free_ptr)
	char *login_url = login_link_url(call->domain, &call->caller, &problem->login);
	const char *message = login_url ? info->message : err_message_without_link(err);
	struct json_out body;

	http_reply_reset(&call->reply);
	call->handed_on = false; /* it was to be, before this was known */
	add_retry_after(call, err);
	if (err == ERR_UNAUTHENTICATED || err == ERR_FORBIDDEN)
		auth_add_challenge(call, err);
	if (err == ERR_METHOD_NOT_ALLOWED)
		routes_add_allow(call);
	if (call->route && (call->route->flags & ROUTE_PAGE) &&
	    http_accept_prefers_html(call->req->accept)) {
		page_reply_error(call, info, login_url);
		return;
	}
	body = call_begin_json(call, info->status);
	json_out_bool(&body, "success", false);
	json_out_string(&body, "error", info->code);
	json_out_string(&body, "message", message);
	/* A caller without a good key is not told what else is wrong. */
	if (problem->faults && err == ERR_VALIDATION_FAILED)
		json_out_raw(&body, "detail", json_text(problem->faults));
	else
		json_out_string(&body, "detail", message);
	if (login_url)
		json_out_string(&body, "login_url", login_url);
	if (*problem->provider_error)
		json_out_string(&body, "provider_error", problem->provider_error);
	json_out_string(&body, "request_id", call->request_id);
	call_end_json(call, &body);
}
