#include "domain/authorization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/identity.h"
#include "domain/login_link.h"
#include "domain/nonce.h"
#include "domain/scope.h"
#include "domain/token.h"
#include "domain/vault.h"
#include "store/login_store.h"
#include "store/revocation_store.h"
#include "store/token_store.h"

#include "base/banned.h"

void consent_release(struct consent *consent)
{
	free(consent->oauth_client_id);
	free(consent->branch_id);
	secret_release(&consent->access_token);
	*consent = (struct consent){ 0 };
}

/* Uses the state up if this browser began it. One row, or ERR_INVALID_STATE. */
static enum err consume_state(const struct domain *domain, const struct login_callback *callback,
			      struct db_query *query)
{
	char state_hash[NONCE_HASH_SIZE], browser_hashes[2][NONCE_HASH_SIZE];
	const char *hashes[2] = { NULL, NULL };
	enum err err;

	db_query_init(query, NULL);
	if (!nonce_is_one(callback->state))
		return ERR_INVALID_STATE;
	err = nonce_hash(callback->state, state_hash);
	for (int i = 0; !err && i < 2; i++) {
		if (!nonce_is_one(callback->cookies[i]))
			continue;
		err = nonce_hash(callback->cookies[i], browser_hashes[i]);
		hashes[i] = browser_hashes[i];
	}
	if (err)
		return err;
	login_consume_query(query, state_hash, hashes[0], hashes[1]);
	err = db_exec(domain->db, query, clock_monotonic_ms() + DB_CALL_MS);
	return !err && !db_rows(query) ? ERR_INVALID_STATE : err;
}

/* Did the right person allow all that was asked for? */
static enum err check_grant(const struct domain *domain, const struct login_row *login,
			    struct token_answer *answer, struct problem *problem)
{
	CLEANUP(mem_free_ptr) char *asked = scope_asked(domain->config);
	struct identity_wish wish = {
		.issuer = domain->config->google_issuer,
		.client_id = login->client_id,
		.email = login->workspace_email,
		.now_us = login->now_us,
	};
	const char *reason = NULL;
	enum err err = ERR_OK;

	/* RFC 6749 section 5.1: without a scope it is what was asked for. */
	if (!answer->scope)
		answer->scope = mem_strdup(asked);
	if (!scope_covers(answer->scope, asked))
		return ERR_INSUFFICIENT_SCOPE;
	if (domain->config->verify_workspace_email)
		err = identity_check(&wish, answer->id_token.data, &reason);
	if (err)
		snprintf(problem->provider_error, sizeof(problem->provider_error), "%s", reason);
	return err;
}

/* Opens what the exchange needs. */
static enum err open_login(const struct domain *domain, const struct login_callback *callback,
			   const struct login_row *login, struct secret *ret_client_secret,
			   struct secret *ret_code_verifier)
{
	char state_hash[NONCE_HASH_SIZE];
	enum err err = nonce_hash(callback->state, state_hash);

	if (!err)
		err = vault_open(domain->keyring, VAULT_CLIENT_SECRET, login->branch_id,
				 login->client_secret, ret_client_secret);
	if (!err)
		err = vault_open(domain->keyring, VAULT_CODE_VERIFIER, nonce_row(state_hash),
				 login->code_verifier, ret_code_verifier);
	return err;
}

static enum err exchange_code(const struct domain *domain, const struct login_callback *callback,
			      const struct login_row *login, struct token_answer *answer,
			      struct problem *problem)
{
	CLEANUP(secret_release) struct secret client_secret = { 0 };
	CLEANUP(secret_release) struct secret code_verifier = { 0 };
	struct provider_failure failure = { 0 };
	enum err err = open_login(domain, callback, login, &client_secret, &code_verifier);

	/* A provider that is known to hang costs no worker its whole deadline here either. */
	if (!err)
		err = google_admit(domain->google, &problem->retry_after_s);
	if (err)
		return err;
	err = token_endpoint_exchange(domain->google, login->client_id, client_secret.data,
				      callback->code, code_verifier.data, login->redirect_uri,
				      answer, &failure);
	snprintf(problem->provider_error, sizeof(problem->provider_error), "%s", failure.code);
	/* Here it is about the code, which was used, is too old, or is another client's. */
	if (err == ERR_REAUTHORIZATION_REQUIRED)
		return ERR_PROVIDER_ERROR;
	if (err == ERR_PROVIDER_UNAVAILABLE)
		problem->retry_after_s = failure.retry_after_s > 0 ? (int)failure.retry_after_s : 5;
	if (err)
		return err;
	if (!secret_is_set(&answer->refresh_token)) {
		snprintf(problem->provider_error, sizeof(problem->provider_error),
			 "no_refresh_token");
		return ERR_PROVIDER_ERROR;
	}
	return ERR_OK;
}

/* Did our COMMIT take effect although its answer was lost? A version that has moved on does not
 * say so: refreshes of the old grant count it up as well. ERR_DB_CONFLICT: it did not; else the
 * query's. */
static enum err check_stored(const struct domain *domain, const struct token_update *update)
{
	CLEANUP(db_query_release) struct db_query query;
	struct token_row row = { 0 };
	enum err err;

	token_by_client_query(&query, update->client_id);
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (err)
		return err;
	if (db_rows(&query))
		token_row(&query, 0, &row);
	return row.exists && !strcmp(row.access_token, update->access_token) ? ERR_OK
									     : ERR_DB_CONFLICT;
}

/* As long as there is time, a database that is away is waited for: the code is used up. */
static enum err store_until(const struct domain *domain, const struct login_row *login,
			    const struct token_update *update, const struct audit_actor *actor,
			    int64_t last_try_ms)
{
	const int64_t *version = login->has_ticket ? &login->ticket_version : NULL;
	bool unclear = false;
	enum err err;

	for (;;) {
		err = token_store_grant(domain->db, update, version, actor,
					clock_left_ms(last_try_ms));
		/* Perhaps it was we who came first, by a COMMIT whose answer was lost. */
		if (err == ERR_DB_CONFLICT && unclear)
			err = check_stored(domain, update);
		if (err != ERR_DATABASE_UNAVAILABLE || !clock_left_ms(last_try_ms))
			return err;
		unclear = true;
		domain_wait_to_store(domain);
		if (!check_stored(domain, update))
			return ERR_OK;
	}
}

/* The client was deleted meanwhile, which could not give up what came only now. */
static enum err give_up(const struct domain *domain, const struct login_row *login,
			const char *refresh_token, int64_t last_try_ms)
{
	const struct revocation_grant grant = {
		.client_id = login->client_id,
		.workspace_email = login->workspace_email,
		.token = refresh_token,
		.token_client_id = login->id,
	};

	for (;;) {
		struct db_query query;
		enum err err;

		revocation_add_grant_query(&query, &grant);
		err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
		db_query_release(&query);
		if (err != ERR_DATABASE_UNAVAILABLE || !clock_left_ms(last_try_ms))
			return err ? err : ERR_CLIENT_NOT_FOUND;
		domain_wait_to_store(domain);
	}
}

static enum err store_grant(const struct domain *domain, const struct login_callback *callback,
			    const struct login_row *login, const struct token_answer *answer,
			    struct consent *ret_consent)
{
	CLEANUP(token_update_release) struct token_update update = { 0 };
	int64_t last_try_ms = callback->deadline_ms - 2 * DB_CALL_MS;
	enum err err = token_update_seal(domain, login->id, answer, login->now_us, &update);

	if (err)
		return err;
	err = store_until(domain, login, &update, &callback->actor, last_try_ms);
	if (err == ERR_DB_NO_ROW)
		return give_up(domain, login, update.refresh_token, last_try_ms);
	if (err == ERR_DB_CONFLICT)
		return ERR_INVALID_STATE;
	if (err)
		return err == ERR_DB_LOCKED ? ERR_REFRESH_IN_PROGRESS : err;
	ret_consent->oauth_client_id = mem_strdup(login->client_id);
	ret_consent->branch_id = mem_strdup(login->branch_id);
	ret_consent->expires_at_us = update.expires_at_us;
	secret_set(&ret_consent->access_token, answer->access_token.data);
	return ERR_OK;
}

/* Began the login without the ticket that is needed, or was there a consent since it began? */
static bool is_overtaken(const struct domain *domain, const struct login_row *login)
{
	if (!login->has_ticket)
		return login_needs_ticket(domain->config);
	return login->ticket_version != login->consent_version;
}

static enum err check_callback(const struct domain *domain, const struct login_callback *callback,
			       const struct login_row *login, struct problem *problem)
{
	if (login->is_expired || is_overtaken(domain, login))
		return ERR_INVALID_STATE;
	if (!login->is_active)
		return ERR_CLIENT_INACTIVE;
	/* RFC 9207 section 2.4; Google sends iss without saying so in its metadata. */
	if (callback->iss && strcmp(callback->iss, domain->config->google_issuer) != 0)
		return ERR_ISSUER_MISMATCH;
	if (callback->error) {
		if (provider_code_is_plain(callback->error))
			snprintf(problem->provider_error, sizeof(problem->provider_error), "%s",
				 callback->error);
		return ERR_PROVIDER_DENIED;
	}
	return callback->code && *callback->code ? ERR_OK : ERR_MALFORMED_REQUEST;
}

enum err login_finish(const struct domain *domain, const struct login_callback *callback,
		      struct consent *ret_consent, struct problem *problem)
{
	CLEANUP(token_answer_release) struct token_answer answer = { 0 };
	CLEANUP(db_query_release) struct db_query query;
	struct login_row login;
	enum err err = consume_state(domain, callback, &query);

	if (err)
		return err;
	login_row(&query, &login);
	problem_set_login(problem, &(struct login_target){
					   .redirect_uri = login.redirect_uri,
					   .client_id = login.id,
					   .consent_version = login.consent_version,
					   .now_us = login.now_us,
				   });
	err = check_callback(domain, callback, &login, problem);
	if (!err)
		err = exchange_code(domain, callback, &login, &answer, problem);
	if (!err)
		err = check_grant(domain, &login, &answer, problem);
	if (!err)
		err = store_grant(domain, callback, &login, &answer, ret_consent);
	return err;
}
