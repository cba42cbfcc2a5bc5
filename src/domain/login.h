/*
 * A login begins: a person's browser is sent to the provider's consent page, with state and PKCE
 * (RFC 7636) as RFC 9700 wants them. authorization.h is where it comes back.
 */
#ifndef DOMAIN_LOGIN_H
#define DOMAIN_LOGIN_H

#include "base/strbuf.h"
#include "crypto/seal.h"
#include "domain/domain.h"
#include "domain/nonce.h"
#include "domain/ticket.h"

/* A login that begins; must live until login_begin_answer(). */
struct login {
	char state[NONCE_SIZE];
	/* The values of the browser's two cookies: for an https redirect_uri, and for http. A cookie
	 * that came over http, or from a sibling domain, never stands for the other. */
	char browsers[2][NONCE_SIZE];
	char code_verifier[NONCE_SIZE];
	char sealed_verifier[SEAL_TEXT_SIZE(NONCE_SIZE - 1)];
	char state_hash[NONCE_HASH_SIZE];
	char browser_hashes[2][NONCE_HASH_SIZE];
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

#endif
