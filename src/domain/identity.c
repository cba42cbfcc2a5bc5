#include "domain/identity.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/digest.h"

#include "base/banned.h"

/* The payload of the JWT @text (RFC 7519), a JSON object; ERR_MALFORMED_REQUEST: it is none. */
static enum err read_claims(const char *text, struct json_object **ret_claims)
{
	CLEANUP(secret_release) struct secret payload = { 0 };
	CLEANUP(secret_release) struct secret data = { 0 };
	CLEANUP(json_release) struct json_object *claims = NULL;
	const char *begin = strchr(text, '.');
	const char *end = begin ? strchr(begin + 1, '.') : NULL;
	size_t len = 0;
	enum err err;

	if (!end || strchr(end + 1, '.'))
		return ERR_MALFORMED_REQUEST;
	payload.len = (size_t)(end - begin - 1);
	payload.data = mem_strndup(begin + 1, payload.len);
	data.len = BASE64URL_BYTES(payload.len);
	data.data = mem_alloc(data.len + 1);
	if (!base64url_decode(payload.data, (unsigned char *)data.data, &len))
		return ERR_MALFORMED_REQUEST;
	err = json_parse(data.data, len, &claims);
	if (err || !json_object_is_type(claims, json_type_object))
		return ERR_MALFORMED_REQUEST;
	*ret_claims = claims;
	claims = NULL;
	return ERR_OK;
}

/* Google leaves the scheme of its issuer out at times. */
static bool is_issuer(const char *claimed, const char *issuer)
{
	static const char https[] = "https://";

	if (!claimed)
		return false;
	if (!strcmp(claimed, issuer))
		return true;
	return !strncmp(issuer, https, sizeof(https) - 1) &&
	       !strcmp(claimed, issuer + sizeof(https) - 1);
}

/* One audience, as a string or as a list of one: with others beside us it is not for us alone. */
static bool is_audience(struct json_object *claims, const char *client_id)
{
	struct json_object *aud = NULL;

	json_object_object_get_ex(claims, "aud", &aud);
	if (json_object_is_type(aud, json_type_array)) {
		if (json_object_array_length(aud) != 1)
			return false;
		aud = json_object_array_get_idx(aud, 0);
	}
	return json_object_is_type(aud, json_type_string) &&
	       (size_t)json_object_get_string_len(aud) == strlen(client_id) &&
	       !strcmp(json_object_get_string(aud), client_id);
}

static bool is_current(struct json_object *claims, int64_t now_us)
{
	struct json_object *exp = NULL;

	json_object_object_get_ex(claims, "exp", &exp);
	return (json_object_is_type(exp, json_type_int) ||
		json_object_is_type(exp, json_type_double)) &&
	       json_object_get_int64(exp) > now_us / US_PER_S;
}

static bool is_verified(struct json_object *claims)
{
	struct json_object *verified = NULL;

	json_object_object_get_ex(claims, "email_verified", &verified);
	return json_object_is_type(verified, json_type_boolean) &&
	       json_object_get_boolean(verified);
}

/* Letters of ASCII in either case are the same, whatever the locale; other bytes must be equal. */
static bool is_same_email(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + ('a' - 'A')) : *a;
		char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + ('a' - 'A')) : *b;

		if (x != y)
			return false;
	}
	return *a == *b;
}

static const char *find_fault(const struct identity_wish *wish, const char *id_token)
{
	CLEANUP(json_release) struct json_object *claims = NULL;
	const char *email;

	if (!id_token)
		return "id_token_missing";
	if (read_claims(id_token, &claims))
		return "id_token_malformed";
	if (!is_issuer(json_get_string(claims, "iss"), wish->issuer))
		return "id_token_issuer";
	if (!is_audience(claims, wish->client_id))
		return "id_token_audience";
	if (!is_current(claims, wish->now_us))
		return "id_token_expired";
	email = json_get_string(claims, "email");
	if (!email)
		return "email_missing";
	if (!is_verified(claims))
		return "email_not_verified";
	return is_same_email(email, wish->email) ? NULL : "email_differs";
}

enum err identity_check(const struct identity_wish *wish, const char *id_token,
			const char **ret_reason)
{
	const char *fault = find_fault(wish, id_token);

	if (!fault)
		return ERR_OK;
	*ret_reason = fault;
	return ERR_WRONG_ACCOUNT;
}
