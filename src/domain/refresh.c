#include "domain/refresh.h"

#include "base/clock.h"
#include "domain/attempt.h"

#include "base/banned.h"

/* What the server lets the transaction idle beyond one whole call to the provider. */
#define IDLE_MARGIN_MS 5000
/* Since it arrived, a call does not look at its row for longer; but for so long it does. */
#define TOLD_AFTER_MS 2200
#define LOOK_MIN_MS 500
/* Whoever holds what a provider gave while the database was away stores it first: ten times as long
 * as he waits between two tries. */
#define SETTLE_MS (10 * STORE_AGAIN_MS)
/* A forced refresh is not done more often than this. */
#define FORCED_EVERY_US (1 * US_PER_S)

/* In the database's clock: when the caller came. Only a duration is taken from this host. */
static int64_t arrived_us(const struct refresh_call *call, const struct token_row *row)
{
	return row->now_us - (clock_monotonic_ms() - call->arrived_ms) * 1000;
}

int64_t refresh_wait_until_ms(const struct domain *domain, int64_t arrived_ms, int64_t deadline_ms)
{
	int64_t patience_ms = arrived_ms + domain->config->refresh_wait_ms;
	int64_t latest_ms = deadline_ms - domain->config->google_timeout_ms - 3 * DB_CALL_MS;

	return patience_ms < latest_ms ? patience_ms : latest_ms;
}

static int idle_timeout_ms(const struct domain *domain)
{
	return domain->config->google_timeout_ms + IDLE_MARGIN_MS;
}

enum err refresh_not_found(const struct refresh_call *call)
{
	return call->branch_id ? ERR_BRANCH_NOT_FOUND : ERR_CLIENT_NOT_FOUND;
}

/* What a reader gets for the row as it is, or ERR_AGAIN when it must be refreshed first. */
static enum err answer_of_row(const struct domain *domain, const struct token_row *row,
			      const struct refresh_call *call, struct token *ret_token,
			      struct problem *problem)
{
	CLEANUP(token_release) struct token token = { 0 };
	/* One that does not open is told, not written over by a refresh. */
	enum err err = token_from_row(domain, row, call->wish, &token);

	if (err)
		return err;
	switch (token_judge(row, call->wish)) {
	case TOKEN_WANTS_REFRESH:
	case TOKEN_NEEDS_REFRESH:
		return ERR_AGAIN;
	case TOKEN_BACKING_OFF:
		return token_stored_error(row, problem);
	case TOKEN_FRESH:
	case TOKEN_LEFT_ALONE:
		break;
	}
	token_release(ret_token);
	*ret_token = token;
	token = (struct token){ 0 };
	return ERR_OK;
}

/*
 * The same for a forced refresh, under the lock. One that began after this call arrived, or
 * within the last second, counts as this call's, with its outcome. Our own backoff does not
 * hold it, the provider's Retry-After does.
 */
static enum err answer_of_row_forced(const struct domain *domain, const struct token_row *row,
				     const struct refresh_call *call, struct token *ret_token,
				     struct problem *problem)
{
	bool counts = row->refresh_began_at_us > arrived_us(call, row) ||
		      row->now_us - row->refresh_began_at_us < FORCED_EVERY_US;

	if (row->provider_retry_at_us > row->now_us || (counts && row->refresh_error))
		return token_stored_error(row, problem);
	if (!counts || row->expires_at_us <= row->now_us)
		return ERR_AGAIN;
	return token_from_row(domain, row, call->wish, ret_token);
}

static enum err refresh_locked(struct attempt *attempt, struct token *ret_token)
{
	const struct token_row *row = &attempt->lock->row;
	enum err err = token_check(row, attempt->problem);

	if (!err)
		err = attempt->call->forced
			      ? answer_of_row_forced(attempt->domain, row, attempt->call, ret_token,
						     attempt->problem)
			      : answer_of_row(attempt->domain, row, attempt->call, ret_token,
					      attempt->problem);
	return err == ERR_AGAIN ? attempt_run(attempt, ret_token) : err;
}

/* @branch_id: NULL: there is no such client, which a caller with some branches must not learn. */
static enum err check_caller(const struct caller *caller, const char *branch_id)
{
	bool may = branch_id ? caller_may_use_branch(caller, branch_id)
			     : caller_is_admin(caller) || !caller->branches;

	return may ? ERR_OK : ERR_FORBIDDEN;
}

/* Is the token of @row an answer to this call, should it not get a newer one? */
static bool may_answer(const struct refresh_call *call, const struct token_row *row)
{
	return !call->forced && row->expires_at_us > row->now_us;
}

/* Takes the lock; a reader whose token still works does not wait for it, and has that token where
 * the database would not give it. ERR_AGAIN: the database went and came back meanwhile. */
static enum err refresh_row(const struct domain *domain, const struct refresh_call *call,
			    const struct token_row *seen, struct token *ret_token,
			    struct problem *problem)
{
	struct token_lock lock;
	struct token_row row = *seen;
	struct attempt attempt = {
		.domain = domain,
		.call = call,
		.lock = &lock,
		.problem = problem,
	};
	int64_t until_ms = refresh_wait_until_ms(domain, call->arrived_ms, call->deadline_ms);
	int wait_ms = may_answer(call, seen) ? 0 : clock_left_ms(until_ms);
	int64_t begun_us = clock_monotonic_us();
	enum err err;

	err = token_lock(domain->db, seen->client_id, wait_ms, idle_timeout_ms(domain), &lock);
	if (domain->metrics)
		metrics_observe(&domain->metrics->lock_wait, clock_monotonic_us() - begun_us);
	row.now_us += clock_monotonic_us() - begun_us;
	if (err && err != ERR_DB_NO_ROW && may_answer(call, &row))
		return token_from_row(domain, &row, call->wish, ret_token);
	if (err == ERR_DB_LOCKED) {
		problem->retry_after_s = 1;
		return ERR_REFRESH_IN_PROGRESS;
	}
	if (err)
		return err == ERR_DB_NO_ROW ? refresh_not_found(call) : err;
	/* The connection may be a new one. */
	err = refresh_pause_ms(domain) ? ERR_AGAIN : refresh_locked(&attempt, ret_token);
	attempt_release(&attempt);
	token_lock_release(&lock);
	return err;
}

enum err refresh_claimed(const struct domain *domain, struct token_lock *lock, int64_t deadline_ms)
{
	CLEANUP(problem_release) struct problem problem = { 0 };
	CLEANUP(token_release) struct token token = { 0 };
	struct refresh_call call = {
		.wish = token_wish(domain, -1),
		.forced = true, /* an error is told, not covered by the old token */
		.arrived_ms = clock_monotonic_ms(),
		.deadline_ms = deadline_ms,
	};
	struct attempt attempt = {
		.domain = domain,
		.call = &call,
		.lock = lock,
		.problem = &problem,
	};
	enum err err = token_check(&lock->row, &problem);

	if (err) {
		struct db_query query;

		/* Inactive, dead or revoked: not due until somebody changes that. */
		token_park_query(&query, lock->row.client_id);
		err = token_lock_commit(lock, &query);
		db_query_release(&query);
		return err;
	}
	err = attempt_run(&attempt, &token);
	attempt_release(&attempt);
	return err;
}

/* While the provider is known to hang nobody queues for a row: the token that works, or the
 * error, at once. ERR_AGAIN: it is not. */
static enum err refuse_while_open(const struct domain *domain, const struct refresh_call *call,
				  const struct token_row *row, struct token *ret_token,
				  struct problem *problem)
{
	enum err err = google_check(domain->google, &problem->retry_after_s);

	if (!err)
		return ERR_AGAIN;
	if (!may_answer(call, row))
		return err;
	problem->retry_after_s = 0;
	return token_from_row(domain, row, call->wish, ret_token);
}

int refresh_pause_ms(const struct domain *domain)
{
	int64_t back_ms = domain->shared->database.back_ms;

	return back_ms ? clock_left_ms(back_ms + SETTLE_MS) : 0;
}

/* A refresh token that another has spent and could not store the next of is not sent again: with a
 * provider that rotates that ends the grant. ERR_AGAIN: the way is free. */
static enum err let_others_settle(const struct domain *domain, const struct refresh_call *call,
				  const struct token_row *row, struct token *ret_token,
				  struct problem *problem)
{
	int64_t until_ms = refresh_wait_until_ms(domain, call->arrived_ms, call->deadline_ms);
	int pause_ms = refresh_pause_ms(domain);

	if (!pause_ms)
		return ERR_AGAIN;
	if (may_answer(call, row))
		return token_from_row(domain, row, call->wish, ret_token);
	if (pause_ms > clock_left_ms(until_ms)) {
		problem->retry_after_s = 1;
		return ERR_REFRESH_IN_PROGRESS;
	}
	clock_sleep_ms(pause_ms);
	return ERR_AGAIN;
}

/* A caller who lost time on the way, to a database that hangs perhaps, is told so all the sooner. */
static int64_t first_look_until_ms(const struct refresh_call *call)
{
	int64_t now_ms = clock_monotonic_ms();
	int64_t until_ms = call->arrived_ms + TOLD_AFTER_MS;

	if (until_ms > now_ms + DB_CALL_MS)
		return now_ms + DB_CALL_MS;
	return until_ms > now_ms + LOOK_MIN_MS ? until_ms : now_ms + LOOK_MIN_MS;
}

enum err refresh_get(const struct domain *domain, const struct refresh_call *call,
		     struct token *ret_token, struct problem *problem)
{
	struct token_row row = { 0 };
	struct db_query query;
	enum err err;

	if (call->branch_id)
		token_by_branch_query(&query, call->branch_id);
	else
		token_by_client_query(&query, call->client_id);
	err = db_exec(domain->db, &query, first_look_until_ms(call));
	if (!err && db_rows(&query))
		token_row(&query, 0, &row);
	if (!err)
		err = check_caller(call->caller, call->branch_id ? call->branch_id : row.branch_id);
	if (!err && !db_rows(&query))
		err = refresh_not_found(call);
	if (!err)
		err = token_check(&row, problem);
	if (!err)
		err = call->forced ? ERR_AGAIN
				   : answer_of_row(domain, &row, call, ret_token, problem);
	if (err == ERR_AGAIN)
		err = refuse_while_open(domain, call, &row, ret_token, problem);
	while (err == ERR_AGAIN) {
		err = let_others_settle(domain, call, &row, ret_token, problem);
		if (err == ERR_AGAIN)
			err = refresh_row(domain, call, &row, ret_token, problem);
	}
	db_query_release(&query);
	return err;
}
