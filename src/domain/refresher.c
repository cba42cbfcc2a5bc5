#include "domain/refresher.h"

#include "base/clock.h"
#include "domain/refresh.h"
#include "domain/revocation.h"
#include "store/login_store.h"
#include "store/token_store.h"

#include "base/banned.h"

static enum err next_due(const struct domain *domain, int max_wait_ms, int *ret_wait_ms)
{
	CLEANUP(db_query_release) struct db_query query;
	enum err err;

	token_next_due_query(&query);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	*ret_wait_ms = max_wait_ms;
	if (!err && !db_is_null(&query, 0, 0)) {
		int64_t wait_ms = db_int(&query, 0, 0) / 1000;

		/* What is due already is another's: look again soon, not at once. */
		if (wait_ms < max_wait_ms)
			*ret_wait_ms = wait_ms > 50 ? (int)wait_ms : 50;
	}
	return err ? err : ERR_DB_NO_ROW;
}

enum err refresher_step(const struct domain *domain, int64_t deadline_ms, int max_wait_ms,
			int *ret_wait_ms)
{
	struct token_lock lock;
	int wait_s = 0;
	enum err err;

	/* While the provider hangs, claiming rows would only push them back. */
	err = google_check(domain->google, &wait_s);
	if (err) {
		*ret_wait_ms = max_wait_ms;
		return ERR_DB_NO_ROW;
	}
	err = token_claim(domain->db, domain->config->google_timeout_ms + 5000, &lock);
	if (err == ERR_DB_NO_ROW)
		return next_due(domain, max_wait_ms, ret_wait_ms);
	if (err)
		return err;
	err = refresh_claimed(domain, &lock, deadline_ms);
	token_lock_release(&lock);
	return err;
}

enum err refresher_housekeeping(const struct domain *domain)
{
	struct db_query query;
	enum err err;

	login_sweep_query(&query);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	db_query_release(&query);
	return err ? err : revocation_retry(domain);
}
