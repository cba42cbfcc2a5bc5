#include "api/clients.h"

#include "api/routes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "domain/login_link.h"
#include "domain/refresh.h"
#include "domain/revocation.h"

#include <string.h>

#include "base/banned.h"

/* The fields of the answer to a registration; everything that shows a client begins with them. */
static void put_client(const struct call *call, struct json_out *body, const struct client_row *row)
{
	struct login_target target = {
		.redirect_uri = row->redirect_uri,
		.client_id = row->id,
		.consent_version = row->consent_version,
		.now_us = row->now_us,
	};
	CLEANUP(mem_free_ptr)
	char *login_url = login_link_url(call->domain, &call->caller, &target);

	json_out_int(body, "client_id", row->id);
	json_out_string(body, "client_oauth_id", row->client_id);
	json_out_int(body, "branch_id", row->id);
	json_out_string(body, "branch_identifier", row->branch_id);
	json_out_string(body, "email", row->workspace_email);
	json_out_string(body, "workspace_name", row->workspace_name);
	json_out_string(body, "redirect_uri", row->redirect_uri);
	json_out_time(body, "created_at", row->created_at_us);
	json_out_string(body, "login_url", login_url);
}

static void put_client_state(const struct call *call, struct json_out *body,
			     const struct client_row *row)
{
	json_out_bool(body, "is_active", row->is_active);
	json_out_time(body, "updated_at", row->updated_at_us);
	json_out_begin_object(body, "token");
	json_out_string(body, "state", client_token_state(call->domain, row));
	if (row->has_token) {
		json_out_time(body, "expires_at", row->expires_at_us);
		if (row->last_refreshed_at_us)
			json_out_time(body, "last_refreshed_at", row->last_refreshed_at_us);
		if (row->refresh_error)
			json_out_string(body, "refresh_error", row->refresh_error);
		if (row->provider_error)
			json_out_string(body, "provider_error", row->provider_error);
		if (row->retry_at_us > row->now_us)
			json_out_time(body, "retry_at", row->retry_at_us);
	}
	json_out_end_object(body);
}

enum err client_post_ask(struct call *call)
{
	struct audit_actor actor = call_actor(call);
	enum err err = call_read_json(call);

	return err ? err
		   : client_register_ask(call->domain, &actor, call->body, &call->query,
					 &call->problem);
}

enum err client_post_answer(struct call *call)
{
	struct json_out body;
	struct client_row row;
	enum err err = client_answer(&call->query, &row);

	if (err)
		return err;
	body = call_begin_json(call, 201);
	json_out_bool(&body, "success", true);
	json_out_string(&body, "message", "Client created successfully");
	put_client(call, &body, &row);
	call_end_json(call, &body);
	return ERR_OK;
}

/* A parameter that is there and not empty, else NULL. */
static const char *param_text(const struct call *call, const char *name)
{
	const char *text = http_params_get(&call->params, name);

	return text && *text ? text : NULL;
}

enum err clients_get_ask(struct call *call)
{
	struct client_page page = { 0 };
	int64_t limit = 0;
	enum err err = call_read_params(call), also;

	if (err)
		return err;
	err = call_param_int(call, "limit", 1, CLIENT_PAGE_MAX, CLIENT_PAGE_DEFAULT, &limit);
	also = call_param_int(call, "after", 0, INT64_MAX, 0, &page.after);
	page.search = param_text(call, "q");
	page.state = param_text(call, "state");
	if (page.search && strlen(page.search) > CLIENT_SEARCH_MAX) {
		problem_add_fault(&call->problem, "q", "must have at most 256 bytes");
		also = ERR_VALIDATION_FAILED;
	}
	if (page.state && !client_token_state_is_known(page.state)) {
		problem_add_fault(&call->problem, "state", "must be " CLIENT_TOKEN_STATES);
		also = ERR_VALIDATION_FAILED;
	}
	if (err || also)
		return err ? err : also;
	/* One more than is shown: whether there is a next page. */
	page.limit = (int)limit + 1;
	client_page_ask(call->domain, &page, call->pattern, &call->query);
	return ERR_OK;
}

enum err clients_get_answer(struct call *call)
{
	struct json_out body;
	struct client_row row = { 0 };
	int64_t limit = 0, next;
	int rows;
	enum err err = call->query.err;

	if (!err)
		err = call_param_int(call, "limit", 1, CLIENT_PAGE_MAX, CLIENT_PAGE_DEFAULT,
				     &limit);
	if (err)
		return err;
	rows = client_page_rows(&call->query);
	body = call_begin_json(call, 200);
	json_out_bool(&body, "success", true);
	json_out_begin_array(&body, "clients");
	for (int i = 0; i < rows && i < limit; i++) {
		client_row(&call->query, i, &row);
		json_out_begin_object(&body, NULL);
		put_client(call, &body, &row);
		put_client_state(call, &body, &row);
		json_out_end_object(&body);
	}
	json_out_end_array(&body);
	next = rows > limit ? row.id : client_page_stopped(&call->query);
	if (next)
		json_out_int(&body, "next", next);
	else
		json_out_string(&body, "next", NULL);
	call_end_json(call, &body);
	return ERR_OK;
}

enum err client_one_ask(struct call *call)
{
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		client_get_ask(id, &call->query);
	return err;
}

enum err client_one_answer(struct call *call)
{
	struct json_out body;
	struct client_row row;
	enum err err = client_answer(&call->query, &row);

	if (err)
		return err;
	body = call_begin_json(call, 200);
	json_out_bool(&body, "success", true);
	put_client(call, &body, &row);
	put_client_state(call, &body, &row);
	call_end_json(call, &body);
	return ERR_OK;
}

enum err client_patch_ask(struct call *call)
{
	struct audit_actor actor = call_actor(call);
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		err = call_read_json(call);
	if (err)
		return err;
	/* A secret is sealed for its branch, which is to be asked for first. */
	if (json_object_object_get_ex(call->body, "client_secret", NULL)) {
		route_to_exchange(call);
		return ERR_OK;
	}
	return client_change_ask(call->domain, &actor, id, NULL, call->body, &call->query,
				 &call->problem);
}

enum err client_patch_run(struct call *call)
{
	CLEANUP(db_query_release) struct db_query query = { 0 };
	struct audit_actor actor = call_actor(call);
	struct client_row row;
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		err = call_read_json(call);
	if (err)
		return err;
	client_get_ask(id, &query);
	(void)!db_exec(call->domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	err = client_answer(&query, &row);
	/* What is wrong with the fields is told first, as where nothing has to be asked. */
	if (err == ERR_CLIENT_NOT_FOUND)
		row.branch_id = "";
	else if (err)
		return err;
	err = client_change_ask(call->domain, &actor, id, row.branch_id, call->body, &call->query,
				&call->problem);
	if (err)
		return err;
	(void)!db_exec(call->domain->db, &call->query, clock_monotonic_ms() + DB_CALL_MS);
	return client_one_answer(call);
}

enum err client_delete_run(struct call *call)
{
	struct audit_actor actor = call_actor(call);
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		err = revocation_delete_client(call->domain, &actor, id,
					       refresh_wait_until_ms(call->domain, call->arrived_ms,
								     call->deadline_ms),
					       &call->problem);
	if (err)
		return err;
	call->reply.status = 204;
	http_reply_header(&call->reply, "Cache-Control", "no-store");
	return ERR_OK;
}
