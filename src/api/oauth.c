#include "api/oauth.h"

#include "api/page.h"
#include "base/clock.h"

#include "base/banned.h"

/* The prefix makes a browser refuse the cookie unless it is Secure, host-only and Path=/; it
 * cannot be had over http. */
#define COOKIE "token_service_login"
#define COOKIE_SECURE "__Host-" COOKIE

/* Room for a cookie's value; a longer one is none of ours. */
#define COOKIE_VALUE_SIZE 128

enum err login_ask(struct call *call)
{
	char value[COOKIE_VALUE_SIZE];
	const char *cookie = NULL;
	int64_t id = 0;
	enum err err = call_arg_id(call, 0, &id);

	if (!err)
		err = call_read_params(call);
	if (err)
		return err;
	if (http_cookie_get(call->req->cookie, COOKIE_SECURE, value, sizeof(value)) ||
	    http_cookie_get(call->req->cookie, COOKIE, value, sizeof(value)))
		cookie = value;
	return login_begin_ask(call->domain, id, cookie, &call->login, &call->query);
}

static void set_cookie(struct call *call, bool secure)
{
	CLEANUP(strbuf_release) struct strbuf cookie = STRBUF_INIT(512);

	/* Lax: the provider's redirect back to the callback is a cross-site navigation. */
	strbuf_printf(&cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax%s",
		      secure ? COOKIE_SECURE : COOKIE, call->login.browser,
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
	struct json_object *body = json_object_new_object();

	json_add_bool(body, "success", true);
	json_add_string(body, "message", "OAuth flow completed successfully");
	json_add_string(body, "client_id", consent->oauth_client_id);
	json_add_string(body, "branch_id", consent->branch_id);
	json_add_string(body, "access_token", consent->access_token.data);
	json_add_time(body, "expires_at", consent->expires_at_us);
	http_reply_header(&call->reply, "Referrer-Policy", "no-referrer");
	call_reply_json(call, 200, body);
}

enum err callback_run(struct call *call)
{
	CLEANUP(consent_release) struct consent consent = { 0 };
	char secure[COOKIE_VALUE_SIZE], plain[COOKIE_VALUE_SIZE];
	struct login_callback callback = { .deadline_ms = call->deadline_ms };
	enum err err = call_read_params(call);

	if (err)
		return err;
	callback.state = http_params_get(&call->params, "state");
	callback.code = http_params_get(&call->params, "code");
	callback.iss = http_params_get(&call->params, "iss");
	callback.error = http_params_get(&call->params, "error");
	if (http_cookie_get(call->req->cookie, COOKIE_SECURE, secure, sizeof(secure)))
		callback.cookies[0] = secure;
	if (http_cookie_get(call->req->cookie, COOKIE, plain, sizeof(plain)))
		callback.cookies[1] = plain;
	err = login_finish(call->domain, &callback, &consent, &call->problem);
	if (err)
		return err;
	if (http_accept_prefers_html(call->req->accept))
		page_reply_connected(call, consent.branch_id);
	else
		reply_consent(call, &consent);
	return ERR_OK;
}
