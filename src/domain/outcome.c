#include "domain/outcome.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/vault.h"

#include "base/banned.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 300000

/* Doubling from a second, a quarter of jitter either way. */
static int64_t backoff_us(int failures)
{
	int64_t ms = failures < 9 ? (int64_t)BACKOFF_FIRST_MS << failures : BACKOFF_MAX_MS;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	ms = ms * 3 / 4 + random() % (ms / 2 + 1);
	return (ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms) * 1000;
}

/* What a transaction that ended badly was to store: one of the two is set. */
struct unsettled {
	const struct token_update *update;
	const struct token_failure *failure;
};

static void settle_query(struct db_query *query, const struct attempt *attempt,
			 const struct unsettled *what)
{
	int64_t grant_version = attempt->lock->row.grant_version;

	if (what->failure)
		token_failed_query(query, what->failure, grant_version);
	else
		token_refreshed_query(query, what->update, grant_version, attempt->call->forced_by);
}

/*
 * The provider gave a token and our transaction did not end well: the database went away, or
 * refused. What the provider gave must not be lost: store it where the row is still the one that
 * was locked, until the deadline. ERR_DB_NO_ROW: it is not.
 */
static enum err settle(struct attempt *attempt, const struct unsettled *what)
{
	struct db_query query;
	int64_t last_try_ms = attempt->call->deadline_ms - DB_CALL_MS;
	enum err err;

	/* Our own row lock would be in the way. */
	token_lock_rollback(attempt->lock);
	do {
		settle_query(&query, attempt, what);
		err = db_exec(attempt->domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
		if (!err && !db_rows(&query))
			err = ERR_DB_NO_ROW;
		db_query_release(&query);
		alarm_check(&attempt->alarm);
		if (err && err != ERR_DB_NO_ROW)
			domain_wait_to_store(attempt->domain);
	} while (err && err != ERR_DB_NO_ROW && clock_left_ms(last_try_ms) > 0);
	return err;
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
	row->now_us = attempt_now_us(attempt); /* the call took its time */
	failure.refresh_retry_at_us = row->now_us + backoff_us(row->refresh_failures);
	if (attempt->failure.retry_after_s > 0)
		failure.provider_retry_at_us =
			row->now_us + attempt->failure.retry_after_s * US_PER_S;
	token_failed_query(&query, &failure, row->grant_version);
	db_err = token_lock_commit(attempt->lock, &query);
	db_query_release(&query);
	/* A provider that rotates may have spent the old one with the answer that was no token. */
	if (db_err && refresh_token && !settle(attempt, &(struct unsettled){ .failure = &failure }))
		db_err = ERR_OK;
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

enum err outcome_tell_failure(struct attempt *attempt, enum err err, const struct token_row *row,
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

enum err outcome_fail(struct attempt *attempt, enum err err, struct token_row *row,
		      struct token *ret_token)
{
	enum err db_err = store_failure(attempt, err, row);

	if (!db_err)
		return outcome_tell_failure(attempt, err, row, ret_token);
	/* Not stored, it costs no caller a token that works, nor is it anybody's word yet that the
	 * grant is dead: another may have refreshed it when this lock was lost. */
	if (attempt->call->forced || row->expires_at_us <= row->now_us)
		return db_err;
	return token_from_row(attempt->domain, row, attempt->call->wish, ret_token);
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
		err = refresh_not_found(attempt->call);
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

enum err outcome_store(struct attempt *attempt, struct token *ret_token)
{
	const struct token_row *row = &attempt->lock->row;
	CLEANUP(token_update_release) struct token_update update = { 0 };
	struct token_row fresh = *row;
	struct db_query query;
	enum err err = token_update_seal(attempt->domain, row->client_id, &attempt->answer,
					 row->now_us, &update);

	if (err)
		return err;
	token_refreshed_query(&query, &update, row->grant_version, attempt->call->forced_by);
	err = token_lock_commit(attempt->lock, &query);
	db_query_release(&query);
	if (err)
		err = settle(attempt, &(struct unsettled){ .update = &update });
	if (err == ERR_DB_NO_ROW)
		return answer_newer(attempt, ret_token);
	if (err)
		return err;
	fresh.now_us = attempt_now_us(attempt);
	fresh.access_token = update.access_token;
	fresh.token_type = update.token_type;
	fresh.scope = update.scope ? update.scope : row->scope;
	fresh.expires_at_us = update.expires_at_us;
	fresh.refresh_error = NULL;
	return token_from_row(attempt->domain, &fresh, attempt->call->wish, ret_token);
}
