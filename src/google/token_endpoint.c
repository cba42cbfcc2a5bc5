#include "google/token_endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include "base/banned.h"

#define FORM_MAX 65536

/* RFC 6749 section 5.1 lets expires_in be left out; this is what Google's tokens live. */
#define LIFETIME_DEFAULT_S 3600
/* A token that claims to live longer is looked at again after a day. */
#define LIFETIME_MAX_S 86400

void token_answer_release(struct token_answer *answer)
{
	secret_release(&answer->access_token);
	secret_release(&answer->refresh_token);
	secret_release(&answer->id_token);
	free(answer->token_type);
	free(answer->scope);
	*answer = (struct token_answer){ 0 };
}

bool provider_code_is_plain(const char *code)
{
	size_t len = strlen(code);

	return len && len < PROVIDER_CODE_SIZE &&
	       strspn(code, "abcdefghijklmnopqrstuvwxyz_") == len;
}

static void set_code(struct provider_failure *failure, const char *code)
{
	snprintf(failure->code, sizeof(failure->code), "%s", code);
}

static enum err failure_class(const struct google_answer *answer, struct json_object *body,
			      struct provider_failure *ret_failure)
{
	const char *code = json_get_string(body, "error");
	int status = answer->status;
	bool passing = status == 408 || status == 425 || status == 429 || status >= 500;

	ret_failure->retry_after_s = answer->retry_after_s;
	if (code && provider_code_is_plain(code))
		set_code(ret_failure, code);
	else
		snprintf(ret_failure->code, sizeof(ret_failure->code), "http_%d", status);
	code = ret_failure->code;
	if (passing || !strcmp(code, "temporarily_unavailable") || !strcmp(code, "server_error") ||
	    !strcmp(code, "internal_failure"))
		return ERR_PROVIDER_UNAVAILABLE;
	if (!strcmp(code, "invalid_client") || !strcmp(code, "unauthorized_client"))
		return ERR_CLIENT_CREDENTIALS_REJECTED;
	if (!strcmp(code, "invalid_grant"))
		return ERR_REAUTHORIZATION_REQUIRED;
	return ERR_PROVIDER_ERROR;
}

/* RFC 6749 appendix A.12: tokens are visible ASCII; anything else would split a caller's header. */
static bool is_token(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++) {
		if (*s <= ' ' || *s > '~')
			return false;
	}
	return true;
}

/* False for what is no positive number of seconds. */
static bool read_lifetime(struct json_object *body, int64_t *ret_s)
{
	struct json_object *value;
	char *end;

	*ret_s = LIFETIME_DEFAULT_S;
	if (!json_object_object_get_ex(body, "expires_in", &value) || !value)
		return true;
	switch (json_object_get_type(value)) {
	case json_type_int:
		*ret_s = json_object_get_int64(value); /* saturates */
		break;
	case json_type_double: {
		double seconds = json_object_get_double(value);

		if (!(seconds >= 1)) /* NaN too */
			return false;
		*ret_s = seconds < LIFETIME_MAX_S ? (int64_t)seconds : LIFETIME_MAX_S;
		break;
	}
	case json_type_string: /* some servers do */
		*ret_s = strtoll(json_object_get_string(value), &end, 10);
		if (end == json_object_get_string(value) ||
		    end != json_object_get_string(value) + json_object_get_string_len(value))
			return false;
		break;
	default:
		return false;
	}
	if (*ret_s > LIFETIME_MAX_S)
		*ret_s = LIFETIME_MAX_S;
	return *ret_s > 0;
}

static void body_release(struct json_object **body)
{
	json_wipe_string(*body, "access_token");
	json_wipe_string(*body, "refresh_token");
	json_wipe_string(*body, "id_token");
	json_release(body);
}

enum err token_answer_parse(const struct google_answer *answer, struct token_answer *ret_answer,
			    struct provider_failure *ret_failure)
{
	CLEANUP(body_release) struct json_object *body = NULL;
	const char *access_token, *refresh_token, *type, *scope;

	if (json_parse(answer->body.data, answer->body.len, &body))
		body = NULL;
	if (answer->status != 200)
		return failure_class(answer, body, ret_failure);

	access_token = json_get_string(body, "access_token");
	refresh_token = json_get_string(body, "refresh_token");
	type = json_get_string(body, "token_type");
	scope = json_get_string(body, "scope");
	if (is_token(refresh_token))
		secret_set(&ret_answer->refresh_token, refresh_token);
	if (!is_token(access_token) || (type && strcasecmp(type, "Bearer") != 0) ||
	    !read_lifetime(body, &ret_answer->expires_in_s)) {
		set_code(ret_failure, "invalid_response");
		return ERR_PROVIDER_ERROR;
	}
	secret_set(&ret_answer->access_token, access_token);
	secret_set(&ret_answer->id_token, json_get_string(body, "id_token"));
	ret_answer->token_type = mem_strdup("Bearer");
	ret_answer->scope = mem_strdup(scope);
	return ERR_OK;
}

static void put_field(struct strbuf *form, const char *name, const char *value)
{
	strbuf_printf(form, "%s%s=", form->len ? "&" : "", name);
	strbuf_put_percent(form, value);
}

static enum err ask(struct google *google, const struct strbuf *form, struct alarm *alarm,
		    struct token_answer *ret_answer, struct provider_failure *ret_failure)
{
	CLEANUP(google_answer_release) struct google_answer answer;
	const char *code = "invalid_response";
	enum err err;

	google_answer_init(&answer);
	if (!strbuf_ok(form))
		return ERR_INTERNAL;
	err = google_post(google, google_settings(google)->token_url,
			  google_settings(google)->token_breaker, form->data, alarm, &answer,
			  &code);
	ret_failure->not_sent = answer.not_sent;
	if (err) {
		set_code(ret_failure, code);
		return err;
	}
	return token_answer_parse(&answer, ret_answer, ret_failure);
}

static enum err post(struct google *google, enum metrics_call call, const struct strbuf *form,
		     struct alarm *alarm, struct token_answer *ret_answer,
		     struct provider_failure *ret_failure)
{
	int64_t begun_us = clock_monotonic_us();
	enum err err = ask(google, form, alarm, ret_answer, ret_failure);

	metrics_count_provider_call(google_settings(google)->metrics, call, err,
				    clock_monotonic_us() - begun_us);
	return err;
}

enum err token_endpoint_exchange(struct google *google, const char *client_id,
				 const char *client_secret, const char *code,
				 const char *code_verifier, const char *redirect_uri,
				 struct token_answer *ret_answer,
				 struct provider_failure *ret_failure)
{
	CLEANUP(strbuf_release) struct strbuf form = STRBUF_INIT(FORM_MAX);

	put_field(&form, "grant_type", "authorization_code");
	put_field(&form, "code", code);
	put_field(&form, "redirect_uri", redirect_uri);
	put_field(&form, "client_id", client_id);
	put_field(&form, "client_secret", client_secret);
	put_field(&form, "code_verifier", code_verifier);
	return post(google, METRICS_EXCHANGE, &form, NULL, ret_answer, ret_failure);
}

enum err token_endpoint_refresh(struct google *google, const char *client_id,
				const char *client_secret, const char *refresh_token,
				struct alarm *alarm, struct token_answer *ret_answer,
				struct provider_failure *ret_failure)
{
	CLEANUP(strbuf_release) struct strbuf form = STRBUF_INIT(FORM_MAX);

	put_field(&form, "grant_type", "refresh_token");
	put_field(&form, "refresh_token", refresh_token);
	put_field(&form, "client_id", client_id);
	put_field(&form, "client_secret", client_secret);
	return post(google, METRICS_REFRESH, &form, alarm, ret_answer, ret_failure);
}
