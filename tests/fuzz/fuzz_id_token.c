/* The claims of an ID token: taken only when each of them says what is wanted; a text that is no
 * JWT never is. Input: a line of text that comes as the token itself, then the claims of another. */
#include "fuzz.h"

#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "domain/identity.h"

#define NOW_S 1700000000

static const struct identity_wish WISH = {
	.issuer = "https://accounts.google.com",
	.client_id = "client",
	.email = "Owner@example.test",
	.now_us = NOW_S * US_PER_S,
};

/* Is it taken? */
static bool is_taken(const char *id_token)
{
	const char *reason = NULL;
	enum err err = identity_check(&WISH, id_token, &reason);

	if (!err) {
		FUZZ_CHECK(!reason);
		return true;
	}
	FUZZ_CHECK(err == ERR_WRONG_ACCOUNT);
	FUZZ_CHECK(strspn(reason, "abcdefghijklmnopqrstuvwxyz_") == strlen(reason) && *reason);
	return false;
}

static void check_jwt(const char *text)
{
	const char *first = strchr(text, '.');

	if (is_taken(text))
		FUZZ_CHECK(first && strchr(first + 1, '.'));
}

static struct json_object *member(struct json_object *claims, const char *name)
{
	struct json_object *value = NULL;

	FUZZ_CHECK(json_object_object_get_ex(claims, name, &value));
	return value;
}

/* As text, without a NUL inside. */
static const char *text_of(struct json_object *value)
{
	FUZZ_CHECK(json_object_is_type(value, json_type_string));
	FUZZ_CHECK((size_t)json_object_get_string_len(value) ==
		   strlen(json_object_get_string(value)));
	return json_object_get_string(value);
}

static void check_claims(const char *data, size_t size)
{
	CLEANUP(json_release) struct json_object *claims = NULL;
	struct json_object *aud;
	const char *iss;

	FUZZ_CHECK(json_parse(data, size, &claims) == ERR_OK);
	iss = text_of(member(claims, "iss"));
	FUZZ_CHECK(!strcmp(iss, WISH.issuer) || !strcmp(iss, WISH.issuer + strlen("https://")));
	aud = member(claims, "aud");
	if (json_object_is_type(aud, json_type_array)) {
		FUZZ_CHECK(json_object_array_length(aud) == 1);
		aud = json_object_array_get_idx(aud, 0);
	}
	FUZZ_CHECK(!strcmp(text_of(aud), WISH.client_id));
	FUZZ_CHECK(json_object_get_double(member(claims, "exp")) > NOW_S);
	FUZZ_CHECK(json_object_is_type(member(claims, "email_verified"), json_type_boolean));
	FUZZ_CHECK(json_object_get_boolean(member(claims, "email_verified")));
	FUZZ_CHECK(!strcasecmp(text_of(member(claims, "email")), WISH.email));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *text = fuzz_line(&in);
	char *id_token = mem_alloc(BASE64URL_SIZE(in.size) + 16);

	check_jwt(text);
	memcpy(id_token, "e30.", sizeof("e30."));
	base64url_encode(in.data, in.size, id_token + strlen(id_token));
	memcpy(id_token + strlen(id_token), ".c2ln", sizeof(".c2ln"));
	if (is_taken(id_token))
		check_claims((const char *)in.data, in.size);
	free(id_token);
	free(text);
	return 0;
}
