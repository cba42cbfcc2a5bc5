/*
 * Consent: what a login (login.h) comes back with, the authorization code (RFC 6749 section 4.1),
 * is exchanged and stored; with state, PKCE (RFC 7636) and the issuer check (RFC 9207), as RFC 9700
 * wants them.
 */
#ifndef DOMAIN_AUTHORIZATION_H
#define DOMAIN_AUTHORIZATION_H

#include "domain/caller.h"
#include "domain/domain.h"

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
