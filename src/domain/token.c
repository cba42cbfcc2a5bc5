#include "domain/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/vault.h"

#include "base/banned.h"

/* After a refresh a reader leaves the row alone for so long, or a token that lives shorter than
 * the buffer would make every read a provider call. */
#define LEAVE_ALONE_US (2 * US_PER_S)
#define LEAVE_ALONE_MIN_TTL_US (30 * US_PER_S)

void token_release(struct token *token)
{
	free(token->branch_id);
	free(token->token_type);
	free(token->scope);
	secret_release(&token->access_token);
	*token = (struct token){ 0 };
}

struct token_wish token_wish(const struct domain *domain, int min_ttl_s)
{
	int buffer_s = domain->config->token_expiry_buffer_s;

	return (struct token_wish){
		.required_s = min_ttl_s < 0 ? buffer_s : min_ttl_s,
		.buffer_s = buffer_s,
	};
}

void token_set_login(const struct token_row *row, struct problem *problem)
{
	problem_set_login(problem, &(struct login_target){
					   .redirect_uri = row->redirect_uri,
					   .client_id = row->client_id,
					   .consent_version = row->consent_version,
					   .now_us = row->now_us,
				   });
}

enum err token_check(const struct token_row *row, struct problem *problem)
{
	enum err err = ERR_OK;

	if (!row->is_active)
		return ERR_CLIENT_INACTIVE;
	if (!row->exists)
		err = ERR_AUTHORIZATION_REQUIRED;
	else if (!row->is_valid || row->is_revoked)
		err = ERR_REAUTHORIZATION_REQUIRED;
	if (err)
		token_set_login(row, problem);
	if (err == ERR_REAUTHORIZATION_REQUIRED)
		snprintf(problem->provider_error, sizeof(problem->provider_error), "%s",
			 row->is_revoked ? "" : "invalid_grant");
	return err;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t retry_at(const struct token_row *row)
{
	return later(row->refresh_retry_at_us, row->provider_retry_at_us);
}

enum token_verdict token_judge(const struct token_row *row, struct token_wish wish)
{
	int64_t left_us = row->expires_at_us - row->now_us;
	/* Wanted by min_ttl alone? */
	bool has_buffer = left_us > wish.buffer_s * US_PER_S;
	int64_t leave_alone_us = has_buffer ? LEAVE_ALONE_MIN_TTL_US : LEAVE_ALONE_US;

	if (left_us > wish.required_s * US_PER_S)
		return TOKEN_FRESH;
	if (retry_at(row) > row->now_us)
		return left_us > 0 ? TOKEN_LEFT_ALONE : TOKEN_BACKING_OFF;
	if (left_us <= 0)
		return TOKEN_NEEDS_REFRESH;
	if (!row->refresh_error && row->now_us - row->refresh_began_at_us < leave_alone_us)
		return TOKEN_LEFT_ALONE;
	return TOKEN_WANTS_REFRESH;
}

/* One of the codes of base/err.c: what is stored is among them. */
static enum err error_of_code(const char *code)
{
	for (enum err err = ERR_OK + 1; err < ERR__COUNT; err++) {
		if (!strcmp(err_info(err)->code, code))
			return err;
	}
	return ERR_PROVIDER_ERROR;
}

enum err token_from_row(const struct domain *domain, const struct token_row *row,
			struct token_wish wish, struct token *ret_token)
{
	CLEANUP(secret_release) struct secret access_token = { 0 };
	int64_t left_us = row->expires_at_us - row->now_us;
	enum err err = vault_open_id(domain->keyring, VAULT_ACCESS_TOKEN, row->client_id,
				     row->access_token, &access_token);

	if (err)
		return err;
	token_release(ret_token);
	*ret_token = (struct token){
		.client_id = row->client_id,
		.branch_id = mem_strdup(row->branch_id),
		.token_type = mem_strdup(row->token_type),
		.scope = mem_strdup(row->scope),
		.expires_at_us = row->expires_at_us,
		.expires_in_s = left_us > 0 ? left_us / US_PER_S : 0,
		.stale = left_us <= wish.required_s * US_PER_S,
	};
	if (ret_token->stale && row->refresh_error)
		ret_token->refresh_error = err_info(error_of_code(row->refresh_error))->code;
	secret_move(&ret_token->access_token, &access_token);
	return ERR_OK;
}

enum err token_stored_error(const struct token_row *row, struct problem *problem)
{
	int64_t wait_us = retry_at(row) - row->now_us;

	problem->retry_after_s = wait_us > 0 ? (int)((wait_us + US_PER_S - 1) / US_PER_S) : 1;
	if (row->provider_error)
		snprintf(problem->provider_error, sizeof(problem->provider_error), "%s",
			 row->provider_error);
	return row->refresh_error ? error_of_code(row->refresh_error) : ERR_PROVIDER_UNAVAILABLE;
}

int64_t token_due_at(const struct domain *domain, int64_t began_us, int64_t expires_at_us)
{
	int64_t life_us = expires_at_us - began_us;
	int64_t ahead_us =
		(domain->config->token_expiry_buffer_s + domain->config->refresh_ahead_s) *
		US_PER_S;
	int64_t due_us, earliest_us;

	/* A tenth of its life at most, and only earlier: a fleet that was connected in one
	 * afternoon does not come due in one second. */
	due_us = expires_at_us - ahead_us -
		 (int64_t)((double)random() / RAND_MAX * (double)life_us / 10);
	earliest_us = began_us + later(10 * US_PER_S, life_us / 10);
	return later(due_us, earliest_us);
}

void token_get_ask(const char *branch_id, struct db_query *query)
{
	token_by_branch_query(query, branch_id);
}

enum err token_get_answer(const struct domain *domain, const struct db_query *query,
			  struct token_wish wish, struct token *ret_token, struct problem *problem)
{
	CLEANUP(token_release) struct token token = { 0 };
	const struct breaker *breaker = &domain->shared->token_breaker;
	struct token_row row;
	enum token_verdict verdict;
	enum err err;

	if (query->err)
		return query->err;
	if (!db_rows(query))
		return ERR_BRANCH_NOT_FOUND;
	token_row(query, 0, &row);
	err = token_check(&row, problem);
	if (err)
		return err;
	/* One that does not open is told, not written over by a refresh. */
	err = token_from_row(domain, &row, wish, &token);
	if (err)
		return err;
	verdict = token_judge(&row, wish);
	if (verdict == TOKEN_BACKING_OFF)
		return token_stored_error(&row, problem);
	if (verdict == TOKEN_NEEDS_REFRESH && breaker_is_open(breaker)) {
		problem->retry_after_s = breaker_wait_s(breaker);
		return ERR_PROVIDER_UNAVAILABLE;
	}
	if (verdict == TOKEN_NEEDS_REFRESH)
		return ERR_AGAIN;
	token_release(ret_token);
	*ret_token = token;
	token = (struct token){ 0 };
	return verdict == TOKEN_WANTS_REFRESH && !breaker_is_open(breaker) ? ERR_AGAIN : ERR_OK;
}

enum err token_update_seal(const struct domain *domain, int64_t client_id,
			   const struct token_answer *answer, int64_t began_us,
			   struct token_update *ret_update)
{
	int64_t expires_at_us = began_us + answer->expires_in_s * US_PER_S;
	char *access_token = NULL, *refresh_token = NULL;
	enum err err = vault_seal_id(domain->keyring, VAULT_ACCESS_TOKEN, client_id,
				     answer->access_token.data, &access_token);

	if (!err)
		err = vault_seal_id(domain->keyring, VAULT_REFRESH_TOKEN, client_id,
				    answer->refresh_token.data, &refresh_token);
	*ret_update = (struct token_update){
		.client_id = client_id,
		.access_token = access_token,
		.refresh_token = refresh_token,
		.token_type = answer->token_type,
		.scope = answer->scope,
		.expires_at_us = expires_at_us,
		.refresh_began_at_us = began_us,
		.refresh_due_at_us = token_due_at(domain, began_us, expires_at_us),
	};
	return err;
}

void token_update_release(struct token_update *update)
{
	free((char *)update->access_token);
	free((char *)update->refresh_token);
	*update = (struct token_update){ 0 };
}
