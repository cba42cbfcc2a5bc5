/*
 * Login links: where a person connects a client, and who may be told.
 */
#ifndef DOMAIN_LOGIN_LINK_H
#define DOMAIN_LOGIN_LINK_H

#include "domain/caller.h"
#include "domain/domain.h"

/* Does a login need a ticket, lest a stranger bind an account of his own by counting ids? */
bool login_needs_ticket(const struct config *config);

/*
 * The link of @target for @caller, with a ticket where one is needed; freed by the caller.
 * NULL: it is not for this caller, or the client has none.
 */
char *login_link_url(const struct domain *domain, const struct caller *caller,
		     const struct login_target *target);

#endif
