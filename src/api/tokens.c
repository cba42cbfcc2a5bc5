#include "api/tokens.h"

#include "api/routes.h"
#include "base/clock.h"
#include "domain/refresh.h"
#include "domain/revocation.h"
#include "domain/token.h"
#include "domain/validate.h"

#include "base/banned.h"

#define MIN_TTL_MAX_S 3000

static void reply_token(struct call *call, const struct token *token, const char *message)
{
	struct json_out body = call_begin_json(call, 200);

	call->client_id = token->client_id;
	json_out_bool(&body, "success", true);
	json_out_string(&body, "message", message);
	json_out_int(&body, "client_id", token->client_id);
	json_out_string(&body, "branch_id", token->branch_id);
	json_out_string(&body, "access_token", token->access_token.data);
	json_out_string(&body, "refresh_token", NULL); /* callers know the field; it never leaves */
	json_out_time(&body, "expires_at", token->expires_at_us);
	json_out_string(&body, "token_type", token->token_type);
	json_out_int(&body, "expires_in", token->expires_in_s);
	json_out_string(&body, "scope", token->scope);
	json_out_bool(&body, "stale", token->stale);
	if (token->refresh_error)
		json_out_string(&body, "refresh_error", token->refresh_error);
	call_end_json(call, &body);
}

static const char *message_of(const struct call *call)
{
	return call->route->run == token_refresh_run ? "Token refreshed successfully"
						     : "Token retrieved successfully";
}

static enum err read_wish(struct call *call, struct token_wish *ret_wish)
{
	int64_t min_ttl_s = -1;
	enum err err = call_read_params(call);

	if (!err)
		err = call_param_int(call, "min_ttl", 0, MIN_TTL_MAX_S, -1, &min_ttl_s);
	if (!err)
		*ret_wish = token_wish(call->domain, (int)min_ttl_s);
	return err;
}

enum err token_ask(struct call *call)
{
	struct token_wish wish;
	enum err err = read_wish(call, &wish);

	if (!err)
		token_get_ask(call->args[0], &call->query);
	return err;
}

enum err token_answer(struct call *call)
{
	CLEANUP(token_release) struct token token = { 0 };
	struct token_wish wish;
	enum err err = read_wish(call, &wish);

	if (!err)
		err = token_get_answer(call->domain, &call->query, wish, &token, &call->problem);
	/* A token that works is refreshed on the way only where nobody has to queue for that. */
	if (err == ERR_AGAIN && secret_is_set(&token.access_token) &&
	    !call->claim_exchange(call->worker_arg))
		err = ERR_OK;
	if (err == ERR_AGAIN) {
		route_to_exchange(call);
		return ERR_OK;
	}
	if (!err)
		reply_token(call, &token, message_of(call));
	return err;
}

/* The caller has waited long enough; the refresh goes on without it. */
static void answer_early(void *arg, enum err err, const struct token *token,
			 struct problem *problem)
{
	struct call *call = arg;

	(void)problem; /* it is call->problem */
	if (err)
		call_fail(call, err);
	else
		reply_token(call, token, message_of(call));
	call->send(call);
}

static enum err run_refresh(struct call *call, struct refresh_call *refresh)
{
	CLEANUP(token_release) struct token token = { 0 };
	enum err err;

	refresh->caller = &call->caller;
	refresh->arrived_ms = call->arrived_ms;
	refresh->deadline_ms = call->deadline_ms;
	refresh->early = answer_early;
	refresh->early_arg = call;
	err = refresh_get(call->domain, refresh, &token, &call->problem);
	if (!err && !call->sent)
		reply_token(call, &token, message_of(call));
	return err;
}

enum err token_run(struct call *call)
{
	struct refresh_call refresh = { .branch_id = call->args[0] };
	enum err err = read_wish(call, &refresh.wish);

	return err ? err : run_refresh(call, &refresh);
}

/* {"client_id": 1} or {"branch_id": "…"} */
static enum err read_refresh_body(struct call *call, struct refresh_call *refresh)
{
	struct json_object *client_id = NULL, *branch_id = NULL;
	struct problem *problem = &call->problem;
	enum err err = call_read_json(call);

	if (err)
		return err;
	if (!json_object_is_type(call->body, json_type_object)) {
		problem_add_fault(problem, "body", "must be a JSON object");
		return ERR_VALIDATION_FAILED;
	}
	json_object_object_get_ex(call->body, "client_id", &client_id);
	json_object_object_get_ex(call->body, "branch_id", &branch_id);
	/* json-c keeps what is too large as the largest there is, which could be somebody's. */
	if (client_id && (!json_object_is_type(client_id, json_type_int) ||
			  json_object_get_uint64(client_id) > INT64_MAX ||
			  json_object_get_int64(client_id) == INT64_MAX))
		problem_add_fault(problem, "client_id", "must be a whole number that an id can be");
	refresh->client_id = json_object_get_int64(client_id);
	refresh->branch_id = json_get_string(call->body, "branch_id");
	if (branch_id && !refresh->branch_id)
		problem_add_fault(problem, "branch_id", "must be a string without NUL");
	/* null is what a caller sends for the one that it does not use */
	if (!client_id == !branch_id)
		problem_add_fault(
			problem, "branch_id",
			"exactly one of client_id (a number) and branch_id (a string) is required");
	return problem->faults ? ERR_VALIDATION_FAILED : ERR_OK;
}

enum err token_refresh_run(struct call *call)
{
	struct audit_actor actor = call_actor(call);
	struct refresh_call refresh = {
		.forced = true,
		.forced_by = &actor,
		.wish = token_wish(call->domain, -1),
	};
	enum err err = read_refresh_body(call, &refresh);

	return err ? err : run_refresh(call, &refresh);
}

enum err token_revoke_run(struct call *call)
{
	CLEANUP(revocation_release) struct revocation revocation = { 0 };
	struct audit_actor actor = call_actor(call);
	int64_t wait_until_ms =
		refresh_wait_until_ms(call->domain, call->arrived_ms, call->deadline_ms);
	struct json_out body;
	enum err err = revocation_revoke(call->domain, &actor, call->args[0], wait_until_ms,
					 &revocation, &call->problem);

	if (err)
		return err;
	body = call_begin_json(call, 200);
	json_out_bool(&body, "success", true);
	json_out_string(&body, "message", "Token revoked successfully");
	json_out_int(&body, "client_id", revocation.client_id);
	json_out_string(&body, "branch_id", revocation.branch_id);
	json_out_bool(&body, "provider_revoked", revocation.provider_revoked);
	call_end_json(call, &body);
	return ERR_OK;
}
