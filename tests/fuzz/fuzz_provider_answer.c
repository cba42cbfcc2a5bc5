/* Answers of the token endpoint: a token comes out of a 200 with a token in it and of nothing else,
 * only the provider's own word ends a grant. Input: the status in decimal, a newline, the body. */
#include "fuzz.h"

#include "google/token_endpoint.h"

static bool is_visible(const char *s)
{
	for (; *s; s++) {
		if (*s < '!' || *s > '~')
			return false;
	}
	return true;
}

static void check_token(const struct google_answer *answer, const struct token_answer *token)
{
	FUZZ_CHECK(answer->status == 200);
	FUZZ_CHECK(secret_is_set(&token->access_token) && is_visible(token->access_token.data));
	FUZZ_CHECK(token->expires_in_s >= 1 && token->expires_in_s <= 86400);
	FUZZ_CHECK(!strcmp(token->token_type, "Bearer"));
	FUZZ_CHECK(!token->scope || fuzz_is_utf8(token->scope));
}

static void check_failure(const struct google_answer *answer, enum err err,
			  const struct token_answer *token, const struct provider_failure *failure)
{
	char status[PROVIDER_CODE_SIZE];

	snprintf(status, sizeof(status), "http_%d", answer->status);
	FUZZ_CHECK(!secret_is_set(&token->access_token) && !token->token_type);
	FUZZ_CHECK(provider_code_is_plain(failure->code) || !strcmp(failure->code, status));
	switch (err) {
	case ERR_REAUTHORIZATION_REQUIRED:
		FUZZ_CHECK(!strcmp(failure->code, "invalid_grant"));
		FUZZ_CHECK(answer->status != 200 && answer->status < 500);
		break;
	case ERR_CLIENT_CREDENTIALS_REJECTED:
	case ERR_PROVIDER_UNAVAILABLE:
	case ERR_PROVIDER_ERROR:
		break;
	default:
		FUZZ_FAIL("another error");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct google_answer answer;
	struct token_answer token = { 0 };
	struct provider_failure failure = { 0 };
	char *status = fuzz_line(&in);
	enum err err;

	google_answer_init(&answer);
	answer.status = (int)(strtoul(status, NULL, 10) % 1000);
	strbuf_put(&answer.body, in.data, in.size);
	if (strbuf_ok(&answer.body)) {
		err = token_answer_parse(&answer, &token, &failure);
		if (err)
			check_failure(&answer, err, &token, &failure);
		else
			check_token(&answer, &token);
		/* Also beside nonsense, but never out of an answer that failed. */
		FUZZ_CHECK(!secret_is_set(&token.refresh_token) ||
			   (answer.status == 200 && is_visible(token.refresh_token.data)));
	}
	token_answer_release(&token);
	google_answer_release(&answer);
	free(status);
	return 0;
}
