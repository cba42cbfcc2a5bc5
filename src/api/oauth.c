#include "api/oauth.h"

#include "api/page.h"
#include "domain/authorization.h"

#include "base/banned.h"

/* The prefix makes a browser refuse the cookie unless it is Secure, host-only and Path=/; it
 * cannot be had over http. */
#define COOKIE "token_service_login"
#define COOKIE_SECURE "__Host-" COOKIE

/* Room for a cookie's value; a longer one is none of ours. */
#define COOKIE_VALUE_SIZE 128

struct cookies {
	char text[2][COOKIE_VALUE_SIZE];
	const char *values[2]; /* with the prefix, and without; NULL: none */
};

static void read_cookies(const struct call *call, struct cookies *ret)
{
	static const char *const names[2] = { COOKIE_SECURE, COOKIE };

	for (int i = 0; i < 2; i++) {
		bool there = http_cookie_get(call->req->cookie, names[i], ret->text[i],
					     sizeof(ret->text[i]));

		ret->values[i] = there ? ret->text[i] : NULL;
	}
}

enum err login_ask(struct call *call)
{
	struct cookies cookies;
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		err = call_read_params(call);
	if (err)
		return err;
	read_cookies(call, &cookies);
	return login_begin_ask(call->domain, id, http_params_get(&call->params, "ticket"),
			       cookies.values, &call->login, &call->query);
}

static void set_cookie(struct call *call, bool secure)
{
	CLEANUP(strbuf_release) struct strbuf cookie = STRBUF_INIT(512);

	/* Lax: the provider's redirect back to the callback is a cross-site navigation. */
	strbuf_printf(&cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s",
		      secure ? COOKIE_SECURE : COOKIE, call->login.browsers[secure ? 0 : 1],
		      secure ? "; Secure" : "");
	http_reply_header(&call->reply, "Set-Cookie", cookie.data);
}

enum err login_answer(struct call *call)
{
	struct login_redirect redirect = { 0 };
	bool redirected = http_params_get(&call->params, "redirected") != NULL;
	enum err err = login_begin_answer(call->domain, &call->login, &call->query,
					  redirected ? NULL : call->req->host, &redirect);

	if (!err) {
		call->reply.status = 302;
		http_reply_header(&call->reply, "Location", redirect.url.data);
		http_reply_header(&call->reply, "Cache-Control", "no-store");
		http_reply_header(&call->reply, "Referrer-Policy", "no-referrer");
		if (redirect.sets_cookie)
			set_cookie(call, redirect.cookie_is_secure);
	}
	strbuf_release(&redirect.url);
	return err;
}

static void reply_consent(struct call *call, const struct consent *consent)
{
	struct json_out body = call_begin_json(call, 200);

	json_out_bool(&body, "success", true);
	json_out_string(&body, "message", "OAuth flow completed successfully");
	json_out_string(&body, "client_id", consent->oauth_client_id);
	json_out_string(&body, "branch_id", consent->branch_id);
	json_out_string(&body, "access_token", consent->access_token.data);
	json_out_time(&body, "expires_at", consent->expires_at_us);
	http_reply_header(&call->reply, "Referrer-Policy", "no-referrer");
	call_end_json(call, &body);
}

enum err callback_run(struct call *call)
{
	CLEANUP(consent_release) struct consent consent = { 0 };
	struct cookies cookies;
	struct login_callback callback = {
		.deadline_ms = call->deadline_ms,
		.actor = call_actor(call),
	};
	enum err err = call_read_params(call);

	if (err)
		return err;
	callback.state = http_params_get(&call->params, "state");
	callback.code = http_params_get(&call->params, "code");
	callback.iss = http_params_get(&call->params, "iss");
	callback.error = http_params_get(&call->params, "error");
	read_cookies(call, &cookies);
	callback.cookies = cookies.values;
	err = login_finish(call->domain, &callback, &consent, &call->problem);
	if (err)
		return err;
	if (http_accept_prefers_html(call->req->accept))
		page_reply_connected(call, consent.branch_id);
	else
		reply_consent(call, &consent);
	return ERR_OK;
}
