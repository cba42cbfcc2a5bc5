/*
 * The token endpoint (RFC 6749 sections 4.1.3, 5 and 6) and the one place that tells the
 * classes of its failures apart.
 */
#ifndef GOOGLE_TOKEN_ENDPOINT_H
#define GOOGLE_TOKEN_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "google/google.h"

#define PROVIDER_CODE_SIZE 65

/* A good answer. */
struct token_answer {
	struct secret access_token;
	struct secret
		refresh_token;  /* unset: the provider sent none; may be set after a failure too */
	struct secret id_token; /* unset: none came */
	char *token_type;       /* "Bearer" */
	char *scope;            /* NULL: the provider named none */
	int64_t expires_in_s;
};

/* What went wrong, beside the class that is the returned error. */
struct provider_failure {
	char code[PROVIDER_CODE_SIZE]; /* the provider's error code, or one of ours */
	int64_t retry_after_s;         /* 0: the provider named none */
	bool not_sent;                 /* the request surely never reached the provider */
};

void token_answer_release(struct token_answer *answer);

/*
 * Both fill @ret_answer on success, or @ret_failure:
 * ERR_REAUTHORIZATION_REQUIRED: invalid_grant, the only answer that ends a grant;
 * ERR_CLIENT_CREDENTIALS_REJECTED: the client's id or secret, no grant is dead;
 * ERR_PROVIDER_UNAVAILABLE: passing (network, 429, 5xx), try again later;
 * ERR_PROVIDER_ERROR: an answer that is no token. Also then a refresh token that it carries is
 * in @ret_answer and replaces the old one, which a provider that rotates no longer takes.
 * @ret_answer begins as { 0 } and is released by the caller either way.
 */
MUST_CHECK enum err token_endpoint_exchange(struct google *google, const char *client_id,
					    const char *client_secret, const char *code,
					    const char *code_verifier, const char *redirect_uri,
					    struct token_answer *ret_answer,
					    struct provider_failure *ret_failure);
MUST_CHECK enum err token_endpoint_refresh(struct google *google, const char *client_id,
					   const char *client_secret, const char *refresh_token,
					   struct alarm *alarm, struct token_answer *ret_answer,
					   struct provider_failure *ret_failure);

/* True for 1 to 64 characters of [a-z_]: what is shown of an error that came from outside. */
bool provider_code_is_plain(const char *code);

/* For tests: reads an answer as the calls above do. */
MUST_CHECK enum err token_answer_parse(const struct google_answer *answer,
				       struct token_answer *ret_answer,
				       struct provider_failure *ret_failure);

#endif
