#include "domain/attempt.h"

#include <stdlib.h>

#include "base/clock.h"
#include "domain/outcome.h"
#include "domain/vault.h"

#include "base/banned.h"

/* Within one call, for what never reached the provider. */
#define TRIES_MAX 3
#define TRY_AGAIN_MAX_MS 300
#define TRY_AGAIN_WITHIN_MS 2000

int64_t attempt_now_us(const struct attempt *attempt)
{
	return attempt->lock->row.now_us +
	       (clock_monotonic_ms() - attempt->lock->locked_at_ms) * 1000;
}

/* Does the token work for longer than a caller is kept waiting? Then it is answered by then. */
static bool is_soft(const struct token_row *row, const struct refresh_call *call)
{
	return !call->forced && row->expires_at_us - row->now_us > REFRESH_SOFT_WAIT_MS * 1000;
}

/* The caller has waited long enough: the token that still works, or "in progress". */
static void answer_early(void *arg)
{
	struct attempt *attempt = arg;
	struct token_row row = attempt->lock->row;
	CLEANUP(token_release) struct token token = { 0 };
	enum err err = ERR_OK;

	row.now_us = attempt_now_us(attempt);
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
		clock_sleep_ms((int)(random() % TRY_AGAIN_MAX_MS));
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

void attempt_release(struct attempt *attempt)
{
	db_set_alarm(attempt->domain->db, NULL);
	token_answer_release(&attempt->answer);
	secret_release(&attempt->client_secret);
	secret_release(&attempt->refresh_token);
}

/* @ret_outcome: how the refresh went, which is not what its caller is told. */
static enum err run(struct attempt *attempt, struct token *ret_token, enum err *ret_outcome)
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
		return *ret_outcome = ERR_REFRESH_IN_PROGRESS;
	}
	*ret_outcome = err = open_secrets(attempt);
	if (err)
		return outcome_fail(attempt, err, &row, ret_token);
	/* A provider that is known to hang is not asked, and the row is none the worse for it. */
	*ret_outcome = err = google_admit(domain->google, &wait_s);
	if (err) {
		row.refresh_error = err_info(err)->code;
		row.refresh_retry_at_us = row.now_us + wait_s * US_PER_S;
		return outcome_tell_failure(attempt, err, &row, ret_token);
	}
	*ret_outcome = err = ask_provider(attempt);
	if (!err)
		return *ret_outcome = outcome_store(attempt, ret_token);
	if (err == ERR_INTERNAL)
		return err;
	return outcome_fail(attempt, err, &row, ret_token);
}

enum err attempt_run(struct attempt *attempt, struct token *ret_token)
{
	enum err outcome;
	enum err err = run(attempt, ret_token, &outcome);

	metrics_count_refresh(attempt->domain->metrics, outcome);
	return err;
}
