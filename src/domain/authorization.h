/*
 * Consent: the authorization code flow (RFC 6749 section 4.1) with state, PKCE (RFC 7636) and
 * the issuer check (RFC 9207), as RFC 9700 wants them.
 */
#ifndef DOMAIN_AUTHORIZATION_H
#define DOMAIN_AUTHORIZATION_H

#include "crypto/digest.h"
#include "crypto/seal.h"
#include "domain/caller.h"
#include "domain/domain.h"
#include "domain/ticket.h"
#include "domain/token.h"

/* 32 random bytes as base64url */
#define NONCE_SIZE BASE64URL_SIZE(32)
/* A bytea in hexadecimal: "\x…" */
#define HASH_TEXT_SIZE (SHA256_HEX_SIZE + 2)

/* A login that begins; must live until login_begin_answer(). */
struct login {
	char state[NONCE_SIZE];
	/* The values of the browser's two cookies: for an https redirect_uri, and for http. A cookie
	 * that came over http, or from a sibling domain, never stands for the other. */
	char browsers[2][NONCE_SIZE];
	char code_verifier[NONCE_SIZE];
	char sealed_verifier[SEAL_TEXT_SIZE(NONCE_SIZE - 1)];
	char state_hash[HASH_TEXT_SIZE];
	char browser_hashes[2][HASH_TEXT_SIZE];
	char ticket_text[TICKET_SIZE]; /* "": none is needed */
	struct ticket ticket;
};

/* @ticket: the one in the link (NULL: none). @cookies: what the browser has from earlier logins
 * (with the __Host- prefix, and without), NULL or anything else: new ones are made.
 * ERR_LOGIN_TICKET_REQUIRED: this client's is needed. */
MUST_CHECK enum err login_begin_ask(const struct domain *domain, int64_t client_id,
				    const char *ticket, const char *const cookies[2],
				    struct login *login, struct db_query *query);

struct login_redirect {
	struct strbuf url;
	bool sets_cookie;
	bool cookie_is_secure; /* which of the two cookies it is */
};

/*
 * Where to send the browser: to the provider; or, when it came on @host (NULL: do not ask) and
 * the callback will arrive on another, to the login on that host first, so that the cookie comes
 * back. ERR_CLIENT_NOT_FOUND, ERR_LOGIN_TICKET_REQUIRED (expired, or older than the newest
 * consent), ERR_CLIENT_INACTIVE, or the query's.
 */
MUST_CHECK enum err login_begin_answer(const struct domain *domain, const struct login *login,
				       const struct db_query *query, const char *host,
				       struct login_redirect *ret_redirect);

/* What came back to the callback; NULL: was not there. */
struct login_callback {
	const char *state;
	const char *code;
	const char *iss;
	const char *error;
	const char *const *cookies; /* two, of this browser: with the __Host- prefix, and without */
	int64_t deadline_ms;        /* monotonic: when this worker must be done */
	struct audit_actor actor;
};

/* What a good consent is answered with. Begins as { 0 }; consent_release(). */
struct consent {
	char *oauth_client_id;
	char *branch_id;
	struct secret access_token;
	int64_t expires_at_us;
};

void consent_release(struct consent *consent);

/*
 * Uses the state up, exchanges the code, and stores the grant. ERR_INVALID_STATE,
 * ERR_CLIENT_INACTIVE, ERR_ISSUER_MISMATCH, ERR_PROVIDER_DENIED, ERR_MALFORMED_REQUEST (no code),
 * the classes of token_endpoint_exchange() but a code that the provider does not take is
 * ERR_PROVIDER_ERROR, ERR_INSUFFICIENT_SCOPE, ERR_WRONG_ACCOUNT, ERR_DATABASE_UNAVAILABLE. After each the grant
 * that was there before is as it was.
 */
MUST_CHECK enum err login_finish(const struct domain *domain, const struct login_callback *callback,
				 struct consent *ret_consent, struct problem *problem);

#endif
