/*
 * What the refreshers do: one step at a time, so that their loop stays in the server layer.
 */
#ifndef DOMAIN_REFRESHER_H
#define DOMAIN_REFRESHER_H

#include "domain/domain.h"

/* Claims the most urgent row that is due and refreshes it. ERR_DB_NO_ROW: none is due, and
 * @ret_wait_ms gets the time until one is, at most @max_wait_ms. Else as refresh_claimed(). */
MUST_CHECK enum err refresher_step(const struct domain *domain, int64_t deadline_ms,
				   int max_wait_ms, int *ret_wait_ms);

/* Removes logins that have expired and retries one revocation. ERR_DB_NO_ROW: nothing (more) to
 * do now; else as revocation_retry(). */
MUST_CHECK enum err refresher_housekeeping(const struct domain *domain);

#endif
