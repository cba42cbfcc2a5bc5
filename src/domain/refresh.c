#include "domain/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/vault.h"

#include "base/banned.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 300000
/* Within one call, for what never reached the provider. */
#define TRIES_MAX 3
#define TRY_AGAIN_MAX_MS 300
#define TRY_AGAIN_WITHIN_MS 2000
/* What the server lets the transaction idle beyond one whole call to the provider. */
#define IDLE_MARGIN_MS 5000
/* Since it arrived, a call does not look at its row for longer; but for so long it does. */
#define TOLD_AFTER_MS 2200
#define LOOK_MIN_MS 500
/* A forced refresh is not done more often than this. */
#define FORCED_EVERY_US (1 * US_PER_S)

/* One refresh while its row is locked. */
struct attempt {
	const struct domain *domain;
	const struct refresh_call *call;
	struct token_lock *lock;
	struct alarm alarm;          /* when the caller has waited long enough */
	struct secret client_secret; /* opened for the provider */
	struct secret refresh_token;
	struct token_answer answer;
	struct provider_failure failure;
	struct problem *problem;
};

/* The database's clock now: its time of the lock, and what has passed here since. */
static int64_t now_us(const struct attempt *attempt)
{
	return attempt->lock->row.now_us +
	       (clock_monotonic_ms() - attempt->lock->locked_at_ms) * 1000;
}

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

/* Does the token work for longer than a caller is kept waiting? Then it is answered by then. */
static bool is_soft(const struct token_row *row, const struct refresh_call *call)
{
	return !call->forced && row->expires_at_us - row->now_us > REFRESH_SOFT_WAIT_MS * 1000;
}

static int idle_timeout_ms(const struct domain *domain)
{
	return domain->config->google_timeout_ms + IDLE_MARGIN_MS;
}

static enum err not_found(const struct refresh_call *call)
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

/* Doubling from a second, a quarter of jitter either way. */
static int64_t backoff_us(int failures)
{
	int64_t ms = failures < 9 ? (int64_t)BACKOFF_FIRST_MS << failures : BACKOFF_MAX_MS;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	ms = ms * 3 / 4 + random() % (ms / 2 + 1);
	return (ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms) * 1000;
}

/* Writes the failure into the locked row and commits; @row becomes what it is then. */
static enum err store_failure(struct attempt *attempt, enum err err, struct token_row *row)
{
	CLEANUP(mem_free_ptr) char *refresh_token = NULL;
	struct token_failure failure = {
		.client_id = row->client_id,
		.refresh_error = err_info(err)->code,
		.provider_error = attempt->failure.code,
		.grant_is_dead = err == ERR_REAUTHORIZATION_REQUIRED,
		.refresh_began_at_us = row->now_us,
	};
	struct db_query query;
	enum err db_err =
		vault_seal_id(attempt->domain->keyring, VAULT_REFRESH_TOKEN, row->client_id,
			      attempt->answer.refresh_token.data, &refresh_token);

	if (db_err)
		return db_err;
	failure.refresh_token = refresh_token;
	row->now_us = now_us(attempt); /* the call took its time */
	failure.refresh_retry_at_us = row->now_us + backoff_us(row->refresh_failures);
	if (attempt->failure.retry_after_s > 0)
		failure.provider_retry_at_us =
			row->now_us + attempt->failure.retry_after_s * US_PER_S;
	token_failed_query(&query, &failure);
	db_err = token_lock_commit(attempt->lock, &query);
	db_query_release(&query);
	if (db_err)
		return db_err;
	row->refresh_error = failure.refresh_error;
	row->provider_error = failure.provider_error;
	row->refresh_retry_at_us = failure.refresh_retry_at_us;
	row->provider_retry_at_us = failure.provider_retry_at_us;
	if (err != ERR_CLIENT_CREDENTIALS_REJECTED)
		return ERR_OK;
	token_forgive_query(&query, row->client_id, row->oauth_client_secret);
	db_err = db_exec(attempt->domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	db_query_release(&query);
	return db_err;
}

/* Tells the caller what a refresh that failed with @err means for it: the token while it works. */
static enum err answer_failure(struct attempt *attempt, enum err err, const struct token_row *row,
			       struct token *ret_token)
{
	struct problem *problem = attempt->problem;

	if (err != ERR_REAUTHORIZATION_REQUIRED && !attempt->call->forced &&
	    row->expires_at_us > row->now_us) {
		return token_from_row(attempt->domain, row, attempt->call->wish, ret_token);
	}
	if (err != ERR_REAUTHORIZATION_REQUIRED)
		return token_stored_error(row, problem);
	snprintf(problem->provider_error, sizeof(problem->provider_error), "%s",
		 attempt->failure.code);
	token_set_login(row, problem);
	return err;
}

/*
 * Another grant is in the row than the one that was locked: by our own COMMIT, whose answer was
 * lost, or by somebody who took the lock that we lost. Whosever it is, it is the one that counts.
 */
static enum err answer_newer(struct attempt *attempt, struct token *ret_token)
{
	CLEANUP(db_query_release) struct db_query query;
	struct token_row row;
	enum err err;

	token_by_client_query(&query, attempt->lock->row.client_id);
	err = db_exec(attempt->domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (!err && !db_rows(&query))
		err = not_found(attempt->call);
	if (err)
		return err;
	token_row(&query, 0, &row);
	err = token_check(&row, attempt->problem);
	if (!err && row.expires_at_us <= row.now_us) {
		attempt->problem->retry_after_s = 1;
		err = ERR_REFRESH_IN_PROGRESS;
	}
	if (!err)
		err = token_from_row(attempt->domain, &row, attempt->call->wish, ret_token);
	return err;
}

/*
 * The provider gave a token and our transaction did not end well: the database went away, or
 * refused. What the provider gave must not be lost: store it where the row is still the one that
 * was locked, until the deadline. ERR_DB_NO_ROW: it is not.
 */
static enum err settle(struct attempt *attempt, const struct token_update *update)
{
	const struct domain *domain = attempt->domain;
	struct db_query query;
	int64_t last_try_ms = attempt->call->deadline_ms - DB_CALL_MS;
	enum err err;

	do {
		token_refreshed_query(&query, update, attempt->lock->row.grant_version,
				      attempt->call->forced_by);
		err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
		if (!err && !db_rows(&query))
			err = ERR_DB_NO_ROW;
		db_query_release(&query);
		alarm_check(&attempt->alarm);
		if (err && err != ERR_DB_NO_ROW)
			nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
	} while (err && err != ERR_DB_NO_ROW && clock_left_ms(last_try_ms) > 0);
	return err;
}

/* Writes what the provider gave into the locked row, commits, and answers it. */
static enum err store_success(struct attempt *attempt, struct token *ret_token)
{
	const struct token_row *row = &attempt->lock->row;
	struct token_answer *answer = &attempt->answer;
	CLEANUP(mem_free_ptr) char *access_token = NULL, *refresh_token = NULL;
	/* The lifetime counts from before the request was sent. */
	int64_t expires_at_us = row->now_us + answer->expires_in_s * US_PER_S;
	struct token_update update = {
		.client_id = row->client_id,
		.token_type = answer->token_type,
		.scope = answer->scope,
		.expires_at_us = expires_at_us,
		.refresh_began_at_us = row->now_us,
		.refresh_due_at_us = token_due_at(attempt->domain, row->now_us, expires_at_us),
	};
	struct token_row fresh = *row;
	struct db_query query;
	enum err err = vault_seal_id(attempt->domain->keyring, VAULT_ACCESS_TOKEN, row->client_id,
				     answer->access_token.data, &access_token);

	if (!err)
		err = vault_seal_id(attempt->domain->keyring, VAULT_REFRESH_TOKEN, row->client_id,
				    answer->refresh_token.data, &refresh_token);
	if (err)
		return err;
	update.access_token = access_token;
	update.refresh_token = refresh_token;
	token_refreshed_query(&query, &update, row->grant_version, attempt->call->forced_by);
	err = token_lock_commit(attempt->lock, &query);
	db_query_release(&query);
	if (err) {
		/* Our own row lock would be in the way. */
		token_lock_rollback(attempt->lock);
		err = settle(attempt, &update);
	}
	if (err == ERR_DB_NO_ROW)
		return answer_newer(attempt, ret_token);
	if (err)
		return err;
	fresh.now_us = now_us(attempt);
	fresh.access_token = update.access_token;
	fresh.token_type = update.token_type;
	fresh.scope = update.scope ? update.scope : row->scope;
	fresh.expires_at_us = expires_at_us;
	fresh.refresh_error = NULL;
	return token_from_row(attempt->domain, &fresh, attempt->call->wish, ret_token);
}

/* The caller has waited long enough: the token that still works, or "in progress". */
static void answer_early(void *arg)
{
	struct attempt *attempt = arg;
	struct token_row row = attempt->lock->row;
	CLEANUP(token_release) struct token token = { 0 };
	enum err err = ERR_OK;

	row.now_us = now_us(attempt);
	if (row.expires_at_us > row.now_us && !attempt->call->forced) {
		err = token_from_row(attempt->domain, &row, attempt->call->wish, &token);
	} else {
		err = ERR_REFRESH_IN_PROGRESS;
		attempt->problem->retry_after_s = 1;
	}
	attempt->call->early(attempt->call->early_arg, err, &token, attempt->problem);
}

static struct alarm alarm_of(struct attempt *attempt)
{
	const struct refresh_call *call = attempt->call;
	int64_t soft_ms = call->arrived_ms + REFRESH_SOFT_WAIT_MS;
	struct alarm alarm = {
		.at_ms = call->arrived_ms + attempt->domain->config->refresh_wait_ms,
		.arg = attempt,
	};

	if (call->early)
		alarm.fn = answer_early;
	if (is_soft(&attempt->lock->row, call) && alarm.at_ms > soft_ms)
		alarm.at_ms = soft_ms;
	return alarm;
}

/*
 * One request to the provider; another only where the first surely never reached it. A request
 * that may have been taken is not sent twice: with a provider that rotates refresh tokens the
 * second would use a spent one, which ends the grant.
 */
static enum err ask_provider(struct attempt *attempt)
{
	const struct domain *domain = attempt->domain;
	const struct token_row *row = &attempt->lock->row;
	/* A try that begins so late still ends before the server ends the idle transaction. */
	int64_t last_start_ms = attempt->lock->locked_at_ms + TRY_AGAIN_WITHIN_MS;
	enum err err;

	attempt->alarm = alarm_of(attempt);
	/* From here on the caller may be answered while the database is waited for as well. */
	db_set_alarm(domain->db, &attempt->alarm);
	for (int tries = 1;; tries++) {
		err = token_endpoint_refresh(domain->google, row->oauth_client_id,
					     attempt->client_secret.data,
					     attempt->refresh_token.data, &attempt->alarm,
					     &attempt->answer, &attempt->failure);
		if (err != ERR_PROVIDER_UNAVAILABLE || !attempt->failure.not_sent ||
		    tries == TRIES_MAX || clock_left_ms(last_start_ms) <= TRY_AGAIN_MAX_MS)
			return err;
		nanosleep(&(struct timespec){ .tv_nsec = random() % TRY_AGAIN_MAX_MS * 1000000L },
			  NULL);
	}
}

/* What the provider is to be shown. */
static enum err open_secrets(struct attempt *attempt)
{
	const struct keyring *keyring = attempt->domain->keyring;
	const struct token_row *row = &attempt->lock->row;
	enum err err = vault_open(keyring, VAULT_CLIENT_SECRET, row->branch_id,
				  row->oauth_client_secret, &attempt->client_secret);

	if (!err)
		err = vault_open_id(keyring, VAULT_REFRESH_TOKEN, row->client_id,
				    row->refresh_token, &attempt->refresh_token);
	return err;
}

static void release_attempt(struct attempt *attempt)
{
	token_answer_release(&attempt->answer);
	secret_release(&attempt->client_secret);
	secret_release(&attempt->refresh_token);
}

/* The refresh failed with @err: writes that down and tells the caller what it means. */
static enum err fail(struct attempt *attempt, enum err err, struct token_row *row,
		     struct token *ret_token)
{
	enum err db_err = store_failure(attempt, err, row);

	if (!db_err)
		return answer_failure(attempt, err, row, ret_token);
	/* Not stored, it costs no caller a token that works, nor is it anybody's word yet that the
	 * grant is dead: another may have refreshed it when this lock was lost. */
	if (attempt->call->forced || row->expires_at_us <= row->now_us)
		return db_err;
	return token_from_row(attempt->domain, row, attempt->call->wish, ret_token);
}

/* The row is locked and needs a new token. */
static enum err call_provider(struct attempt *attempt, struct token *ret_token)
{
	const struct domain *domain = attempt->domain;
	struct token_row row = attempt->lock->row;
	enum err err;
	int wait_s = 0;

	/* Begun only when it can be finished: with a provider that rotates refresh tokens, an
	 * answer that nobody waits for is a lost grant. */
	if (clock_left_ms(attempt->call->deadline_ms) <
	    domain->config->google_timeout_ms + 2 * DB_CALL_MS) {
		attempt->problem->retry_after_s = 1;
		return ERR_REFRESH_IN_PROGRESS;
	}
	err = open_secrets(attempt);
	if (err)
		return fail(attempt, err, &row, ret_token);
	/* A provider that is known to hang is not asked, and the row is none the worse for it. */
	err = google_admit(domain->google, &wait_s);
	if (err) {
		row.refresh_error = err_info(err)->code;
		row.refresh_retry_at_us = row.now_us + wait_s * US_PER_S;
		return answer_failure(attempt, err, &row, ret_token);
	}
	err = ask_provider(attempt);
	if (!err)
		return store_success(attempt, ret_token);
	if (err == ERR_INTERNAL)
		return err;
	return fail(attempt, err, &row, ret_token);
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
	return err == ERR_AGAIN ? call_provider(attempt, ret_token) : err;
}

/* @branch_id: NULL: there is no such client, which a caller with some branches must not learn. */
static enum err check_caller(const struct caller *caller, const char *branch_id)
{
	bool may = branch_id ? caller_may_use_branch(caller, branch_id)
			     : caller_is_admin(caller) || !caller->branches;

	return may ? ERR_OK : ERR_FORBIDDEN;
}

/* Takes the lock; a reader whose token still works does not wait for it. */
static enum err refresh_row(const struct domain *domain, const struct refresh_call *call,
			    const struct token_row *seen, struct token *ret_token,
			    struct problem *problem)
{
	struct token_lock lock;
	struct attempt attempt = {
		.domain = domain,
		.call = call,
		.lock = &lock,
		.problem = problem,
	};
	bool works = seen->expires_at_us > seen->now_us;
	int64_t until_ms = refresh_wait_until_ms(domain, call->arrived_ms, call->deadline_ms);
	int wait_ms = works && !call->forced ? 0 : clock_left_ms(until_ms);
	enum err err;

	err = token_lock(domain->db, seen->client_id, wait_ms, idle_timeout_ms(domain), &lock);
	if (err == ERR_DB_LOCKED && works && !call->forced) {
		return token_from_row(domain, seen, call->wish, ret_token);
	}
	if (err == ERR_DB_LOCKED) {
		problem->retry_after_s = 1;
		return ERR_REFRESH_IN_PROGRESS;
	}
	if (err)
		return err == ERR_DB_NO_ROW ? not_found(call) : err;
	err = refresh_locked(&attempt, ret_token);
	db_set_alarm(domain->db, NULL);
	token_lock_release(&lock);
	release_attempt(&attempt);
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
	err = call_provider(&attempt, &token);
	db_set_alarm(domain->db, NULL);
	release_attempt(&attempt);
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
	if (call->forced || row->expires_at_us <= row->now_us)
		return err;
	problem->retry_after_s = 0;
	return token_from_row(domain, row, call->wish, ret_token);
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
		err = not_found(call);
	if (!err)
		err = token_check(&row, problem);
	if (!err)
		err = call->forced ? ERR_AGAIN
				   : answer_of_row(domain, &row, call, ret_token, problem);
	if (err == ERR_AGAIN)
		err = refuse_while_open(domain, call, &row, ret_token, problem);
	if (err == ERR_AGAIN)
		err = refresh_row(domain, call, &row, ret_token, problem);
	db_query_release(&query);
	return err;
}
