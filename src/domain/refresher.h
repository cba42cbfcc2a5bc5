/*
 * What the refreshers do: one step at a time, so that their loop stays in the server layer.
 */
#ifndef DOMAIN_REFRESHER_H
#define DOMAIN_REFRESHER_H

#include "domain/domain.h"

/*
 * Where one refresher looks for its next row. A row that was refreshed leaves an entry at the front of
 * the index of what is due, which stays as long as any transaction is open that might still see it, a
 * backup's for instance; a claim that begins at the front reads through all of those. So most claims
 * begin where the last one was. All zero: at the front.
 */
struct refresher {
	int64_t from_us;     /* what is due before this is left for the next look from the front */
	int64_t front_at_ms; /* monotonic: when that is */
};

/* Claims the most urgent row that is due and refreshes it. ERR_DB_NO_ROW: none is due, and
 * @ret_wait_ms gets the time until one is, at most @max_wait_ms; or none may be refreshed until
 * refresh_pause_ms() is over. Else as refresh_claimed(). */
MUST_CHECK enum err refresher_step(const struct domain *domain, struct refresher *refresher,
				   int64_t deadline_ms, int max_wait_ms, int *ret_wait_ms);

/* Removes logins that have expired and retries one revocation, each whatever came of the other.
 * ERR_DB_NO_ROW: nothing (more) to do now; else the first error, of a statement or as
 * revocation_retry(). */
MUST_CHECK enum err refresher_housekeeping(const struct domain *domain);

#endif
