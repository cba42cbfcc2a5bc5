#include "domain/refresher.h"

#include "base/clock.h"
#include "domain/refresh.h"
#include "domain/revocation.h"
#include "store/login_store.h"
#include "store/token_store.h"

#include "base/banned.h"

/* How long a row waits whose refresher died, or that was made due in the past. More seldom, and at
 * least so often, where a look from the front takes a while: it gets a twentieth of the time. */
#define FRONT_EVERY_MS 1000
#define FRONT_AT_LEAST_MS 10000
#define FRONT_SHARE 20
/* Commits do not come in the order of what they write: so much before the last claim is looked at again. */
#define OVERLAP_US 2000000
/* What has been due for longer is left to a look from the front by who has not come through one yet. */
#define RECENT_US (60 * US_PER_S)

/* What was due before @us has been looked at. */
static void looked_until(struct refresher *refresher, int64_t us)
{
	if (us - OVERLAP_US > refresher->from_us)
		refresher->from_us = us - OVERLAP_US;
}

/* After a look from the front that began at @begun_ms. */
static int64_t front_pause_ms(int64_t begun_ms)
{
	int64_t pause_ms = FRONT_SHARE * (clock_monotonic_ms() - begun_ms);

	if (pause_ms < FRONT_EVERY_MS)
		return FRONT_EVERY_MS;
	return pause_ms < FRONT_AT_LEAST_MS ? pause_ms : FRONT_AT_LEAST_MS;
}

/* The first look from the front took too long: what comes due meanwhile does not wait for a better
 * one. */
static enum err begin_behind_front(const struct domain *domain, struct refresher *refresher)
{
	CLEANUP(db_query_release) struct db_query query;
	enum err err;

	token_clock_query(&query);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (!err)
		refresher->from_us = db_int(&query, 0, 0) - RECENT_US;
	return err;
}

static enum err claim(const struct domain *domain, struct refresher *refresher,
		      struct token_lock *ret_lock)
{
	int64_t begun_ms = clock_monotonic_ms();
	bool from_front = begun_ms >= refresher->front_at_ms;
	enum err err = ERR_OK;

	if (!from_front && !refresher->from_us)
		err = begin_behind_front(domain, refresher);
	if (err)
		return err;
	err = token_claim(domain->db, from_front ? 0 : refresher->from_us,
			  domain->config->google_timeout_ms + 5000, ret_lock);
	if (from_front)
		refresher->front_at_ms = clock_monotonic_ms() + front_pause_ms(begun_ms);
	/* What was found at the front may have others behind it. */
	if (!err && from_front)
		refresher->from_us = 0;
	if (!err)
		looked_until(refresher, ret_lock->due_at_us);
	return err;
}

static enum err next_due(const struct domain *domain, struct refresher *refresher, int max_wait_ms,
			 int *ret_wait_ms)
{
	CLEANUP(db_query_release) struct db_query query;
	enum err err;

	token_next_due_query(&query, refresher->from_us);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	*ret_wait_ms = max_wait_ms;
	if (!err)
		looked_until(refresher, db_int(&query, 0, 0));
	if (!err && !db_is_null(&query, 0, 1)) {
		int64_t wait_ms = (db_int(&query, 0, 1) - db_int(&query, 0, 0)) / 1000;

		/* What is due already is another's: look again soon, not at once. */
		if (wait_ms < max_wait_ms)
			*ret_wait_ms = wait_ms > 50 ? (int)wait_ms : 50;
	}
	return err ? err : ERR_DB_NO_ROW;
}

enum err refresher_step(const struct domain *domain, struct refresher *refresher,
			int64_t deadline_ms, int max_wait_ms, int *ret_wait_ms)
{
	struct token_lock lock;
	int wait_s = 0, pause_ms;
	enum err err;

	/* While the provider hangs, claiming rows would only push them back. */
	err = google_check(domain->google, &wait_s);
	if (err) {
		*ret_wait_ms = max_wait_ms;
		return ERR_DB_NO_ROW;
	}
	err = claim(domain, refresher, &lock);
	if (err == ERR_DB_NO_ROW)
		return next_due(domain, refresher, max_wait_ms, ret_wait_ms);
	if (err)
		return err;
	/* Only now: the claim may have made the connection anew. */
	pause_ms = refresh_pause_ms(domain);
	if (pause_ms)
		*ret_wait_ms = pause_ms;
	err = pause_ms ? ERR_DB_NO_ROW : refresh_claimed(domain, &lock, deadline_ms);
	token_lock_release(&lock);
	return err;
}

enum err refresher_housekeeping(const struct domain *domain)
{
	struct db_query query;
	enum err err, retry_err;

	login_sweep_query(&query);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (!err && domain->metrics)
		metrics_count(&domain->metrics->logins_unreturned, (uint64_t)db_int(&query, 0, 0));
	db_query_release(&query);
	/* A grant that was given up does not live on because of logins that cannot be swept. */
	retry_err = revocation_retry(domain);
	return err ? err : retry_err;
}
