/*
 * The refreshers' loop: no HTTP. They refresh tokens before anybody has to wait for it, retry
 * revocations and sweep away logins that nobody came back from.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "domain/refresher.h"
#include "domain/survey.h"
#include "server/worker.h"

#include "base/banned.h"

/* A consent on another host may make a row due at any time: look at least this often. */
#define WAIT_MAX_MS 1000
#define WAIT_DATABASE_MS 250
#define REFUSALS_MAX 7 /* doublings of it: half a minute */
#define HOUSEKEEPING_EVERY_MS 5000

/* Some work; returns how long to wait before the next. @refusals counts how often in a row the
 * database would not store what came of it: the same row is the next one, and the provider must not
 * hear of it all the while. */
static int step(struct worker *worker, struct refresher *refresher, int *refusals)
{
	int wait_ms = WAIT_MAX_MS;
	enum err err;

	if (worker->config->refreshers == 0)
		return WAIT_MAX_MS;
	worker_busy(worker, worker_exchange_ms(worker));
	err = refresher_step(&worker->domain, refresher, worker->slot->deadline_ms, WAIT_MAX_MS,
			     &wait_ms);
	worker_idle(worker);
	if (err == ERR_DB_NO_ROW)
		return wait_ms;
	worker_log_database(worker, err, "");
	if (db_refusal(worker->domain.db))
		return WAIT_DATABASE_MS;
	LOG(&worker->log, worker_log_level(err), "refresh",
	    LOG_STR("error", err ? err_info(err)->code : ""),
	    LOG_STR("database", db_failure(worker->domain.db)));
	db_clear_failure(worker->domain.db);
	if (err != ERR_DATABASE_UNAVAILABLE && err != ERR_INTERNAL) {
		/* What the provider said is in the row, which is not due any more. */
		*refusals = 0;
		return 0;
	}
	wait_ms = WAIT_DATABASE_MS << *refusals;
	*refusals += err == ERR_INTERNAL && *refusals < REFUSALS_MAX;
	return wait_ms;
}

/* What stands still unseen stays so: a sweep, or a grant that was given up and lives on. */
static void log_housekeeping(struct worker *worker, enum err err)
{
	worker_log_database(worker, err == ERR_DATABASE_UNAVAILABLE ? err : ERR_OK, "");
	if (err && err != ERR_DB_NO_ROW && err != ERR_DATABASE_UNAVAILABLE &&
	    !db_refusal(worker->domain.db))
		LOG(&worker->log, worker_log_level(err), "housekeeping failed",
		    LOG_STR("error", err_info(err)->code),
		    LOG_STR("database", db_failure(worker->domain.db)));
	db_clear_failure(worker->domain.db);
}

static void keep_house(struct worker *worker)
{
	enum err err = ERR_OK;

	while (!err && !worker_is_stopping()) {
		worker_busy(worker, worker_exchange_ms(worker));
		err = refresher_housekeeping(&worker->domain);
		worker_idle(worker);
	}
	log_housekeeping(worker, err);
}

static void survey(struct worker *worker)
{
	enum err err;

	worker_busy(worker, SURVEY_MAX_MS + worker_exchange_ms(worker));
	err = survey_make(&worker->domain);
	worker_idle(worker);
	if (err == ERR_DB_NO_ROW)
		return;
	worker_log_database(worker, err, "");
	if (err && err != ERR_DATABASE_UNAVAILABLE)
		LOG(&worker->log, LOG_WARNING, "survey failed",
		    LOG_STR("database", db_failure(worker->domain.db)));
	db_clear_failure(worker->domain.db);
}

static int64_t next_housekeeping_ms(void)
{
	return clock_monotonic_ms() + HOUSEKEEPING_EVERY_MS + random() % HOUSEKEEPING_EVERY_MS;
}

void worker_refresher_loop(struct worker *worker)
{
	struct refresher refresher = { 0 };
	int64_t house_at_ms = clock_monotonic_ms();
	int wait_ms = 0, refusals = 0;

	while (!worker_is_stopping()) {
		struct pollfd fd = { .fd = db_fd(worker->domain.db), .events = POLLIN };

		/* A server that goes is seen when it does, not when it is back. */
		if (worker_poll(&fd, 1, wait_ms) > 0)
			db_check(worker->domain.db);
		if (worker_is_stopping())
			break;
		if (!clock_left_ms(house_at_ms)) {
			keep_house(worker);
			survey(worker);
			house_at_ms = next_housekeeping_ms();
		}
		wait_ms = step(worker, &refresher, &refusals);
	}
}
