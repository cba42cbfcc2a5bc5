/*
 * Who gave a consent: the claims of an ID token (OpenID Connect Core 1.0 section 2).
 */
#ifndef DOMAIN_IDENTITY_H
#define DOMAIN_IDENTITY_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* What the claims must say. */
struct identity_wish {
	const char *issuer;    /* with its scheme */
	const char *client_id; /* the provider's */
	const char *email;
	int64_t now_us;
};

/*
 * Is @id_token (NULL: the provider sent none) about the person that @wish wants? Its signature is
 * not looked at: it must have come straight from the token endpoint over TLS (section 3.1.3.7
 * point 6). ERR_WRONG_ACCOUNT: no; @ret_reason is a word of [a-z_] that says which claim it was.
 */
MUST_CHECK enum err identity_check(const struct identity_wish *wish, const char *id_token,
				   const char **ret_reason);

#endif
