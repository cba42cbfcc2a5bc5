/*
 * Giving a grant up: here at once, at the provider as soon as it can be reached, and not at all
 * there while another branch stands on the same grant.
 */
#ifndef DOMAIN_REVOCATION_H
#define DOMAIN_REVOCATION_H

#include <stdbool.h>

#include "domain/caller.h"
#include "domain/domain.h"

struct revocation {
	int64_t client_id; /* clients.id */
	char *branch_id;
	bool provider_revoked; /* the provider confirmed it; false: queued, or not its turn */
};

void revocation_release(struct revocation *revocation);

/*
 * Revokes the grant of branch @branch_id as @actor; one that is revoked already stays so. Waits for a
 * refresh under way until @wait_until_ms (monotonic). ERR_BRANCH_NOT_FOUND,
 * ERR_AUTHORIZATION_REQUIRED, ERR_REFRESH_IN_PROGRESS, ERR_DATABASE_UNAVAILABLE.
 */
MUST_CHECK enum err revocation_revoke(const struct domain *domain, const struct audit_actor *actor,
				      const char *branch_id, int64_t wait_until_ms,
				      struct revocation *ret_revocation, struct problem *problem);

/* Deletes client @id and gives its grant up. ERR_CLIENT_NOT_FOUND, else as above. */
MUST_CHECK enum err revocation_delete_client(const struct domain *domain,
					     const struct audit_actor *actor, int64_t id,
					     int64_t wait_until_ms, struct problem *problem);

/* Tells the provider of one queued revocation that is due. ERR_DB_NO_ROW: none is;
 * ERR_PROVIDER_UNAVAILABLE, ERR_PROVIDER_ERROR: it failed, or the provider is not asked now, and
 * is tried again later. */
MUST_CHECK enum err revocation_retry(const struct domain *domain);

#endif
