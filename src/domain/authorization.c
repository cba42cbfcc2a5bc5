#include "domain/authorization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "domain/client.h"
#include "domain/identity.h"
#include "domain/login_link.h"
#include "domain/scope.h"
#include "domain/vault.h"
#include "google/url.h"
#include "store/login_store.h"
#include "store/revocation_store.h"
#include "store/token_store.h"

#include "base/banned.h"

#define URL_MAX 16384

static bool is_nonce(const char *s)
{
	return s && strlen(s) == NONCE_SIZE - 1 &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
		       NONCE_SIZE - 1;
}

static enum err hash_text(const char *s, char *ret_text)
{
	ret_text[0] = '\\';
	ret_text[1] = 'x';
	return digest_sha256_hex(s, ret_text + 2);
}

/* Reuses the browser's cookie, so that two tabs do not break each other's login. */
static enum err take_cookie(const char *cookie, char *ret_browser, char *ret_hash)
{
	enum err err = ERR_OK;

	if (is_nonce(cookie))
		memcpy(ret_browser, cookie, NONCE_SIZE);
	else
		err = random_base64url(32, ret_browser);
	return err ? err : hash_text(ret_browser, ret_hash);
}

/* The row of a state, as vault.h has it: its hash without bytea's "\x". */
static const char *state_row(const char *state_hash)
{
	return state_hash + 2;
}

static enum err seal_verifier(const struct domain *domain, struct login *login)
{
	CLEANUP(mem_free_ptr) char *sealed = NULL;
	enum err err = vault_seal(domain->keyring, VAULT_CODE_VERIFIER,
				  state_row(login->state_hash), login->code_verifier, &sealed);

	if (!err)
		snprintf(login->sealed_verifier, sizeof(login->sealed_verifier), "%s", sealed);
	return err;
}

/* Keeps what a ticket in @text says where one is needed. */
static enum err take_ticket(const struct domain *domain, int64_t client_id, const char *text,
			    struct login *login)
{
	enum err err;

	login->ticket_text[0] = '\0';
	if (!login_needs_ticket(domain->config))
		return ERR_OK;
	err = ticket_read(domain->keyring, text, client_id, &login->ticket);
	if (!err)
		snprintf(login->ticket_text, sizeof(login->ticket_text), "%s", text);
	return err;
}

enum err login_begin_ask(const struct domain *domain, int64_t client_id, const char *ticket,
			 const char *const cookies[2], struct login *login, struct db_query *query)
{
	enum err err = take_ticket(domain, client_id, ticket, login);

	if (!err)
		err = random_base64url(32, login->state);
	for (int i = 0; !err && i < 2; i++)
		err = take_cookie(cookies[i], login->browsers[i], login->browser_hashes[i]);
	if (!err)
		err = random_base64url(32, login->code_verifier);
	if (!err)
		err = hash_text(login->state, login->state_hash);
	if (!err)
		err = seal_verifier(domain, login);
	if (err)
		return err;
	login_begin_query(query, &(struct login_begin){
					 .client_id = client_id,
					 .state_hash = login->state_hash,
					 .secure_browser_hash = login->browser_hashes[0],
					 .plain_browser_hash = login->browser_hashes[1],
					 .code_verifier = login->sealed_verifier,
					 .ttl_s = domain->config->state_ttl_s,
					 .has_ticket = *login->ticket_text,
					 .ticket_version = login->ticket.consent_version,
					 .ticket_expires_at_s = login->ticket.expires_at_s,
				 });
	return ERR_OK;
}

/* Is @host (a Host header) the authority of @url? */
static bool is_host_of(const char *host, const struct url *url)
{
	size_t len = strlen(url->host);

	if (strncasecmp(host, url->host, len) != 0)
		return false;
	if (host[len] == ':')
		return !strcmp(host + len + 1, url->port);
	return !host[len] && !strcmp(url->port, url->is_https ? "443" : "80");
}

static void put_param(struct strbuf *url, const char *name, const char *value)
{
	strbuf_printf(url, "&%s=", name);
	strbuf_put_percent(url, value);
}

static enum err put_consent_url(const struct domain *domain, const struct login *login,
				const struct login_client_row *client, struct strbuf *url)
{
	unsigned char digest[SHA256_SIZE];
	char challenge[BASE64URL_SIZE(SHA256_SIZE)];
	CLEANUP(mem_free_ptr) char *scope = scope_asked(domain->config);
	enum err err = digest_sha256(login->code_verifier, strlen(login->code_verifier), digest);

	if (err)
		return err;
	base64url_encode(digest, sizeof(digest), challenge);
	strbuf_puts(url, domain->config->google_auth_url);
	strbuf_puts(url, strchr(domain->config->google_auth_url, '?') ? "&response_type=code"
								      : "?response_type=code");
	put_param(url, "client_id", client->client_id);
	put_param(url, "redirect_uri", client->redirect_uri);
	put_param(url, "scope", scope);
	put_param(url, "state", login->state);
	put_param(url, "code_challenge", challenge);
	put_param(url, "code_challenge_method", "S256");
	/* Google gives a refresh token only for offline access, and a new one only on consent. */
	put_param(url, "access_type", "offline");
	put_param(url, "prompt", "consent");
	put_param(url, "login_hint", client->workspace_email);
	return strbuf_ok(url) ? ERR_OK : ERR_INTERNAL;
}

enum err login_begin_answer(const struct domain *domain, const struct login *login,
			    const struct db_query *query, const char *host,
			    struct login_redirect *ret_redirect)
{
	CLEANUP(url_release) struct url url = { 0 };
	struct login_client_row client;

	if (query->err)
		return query->err;
	if (!db_rows(query))
		return ERR_CLIENT_NOT_FOUND;
	login_client_row(query, &client);
	if (!client.ticket_is_good)
		return ERR_LOGIN_TICKET_REQUIRED;
	if (!client.is_active)
		return ERR_CLIENT_INACTIVE;
	if (url_parse(client.redirect_uri, &url))
		return ERR_INTERNAL;
	strbuf_init(&ret_redirect->url, URL_MAX);
	if (host && !is_host_of(host, &url)) {
		CLEANUP(mem_free_ptr)
		char *login_url = client_login_url(client.redirect_uri, client.id);

		/* The mark ends what would be a loop where a proxy changes Host. */
		strbuf_printf(&ret_redirect->url, "%s?redirected=1", login_url);
		if (*login->ticket_text)
			strbuf_printf(&ret_redirect->url, "&ticket=%s", login->ticket_text);
		ret_redirect->sets_cookie = false;
		return ERR_OK;
	}
	ret_redirect->sets_cookie = true;
	ret_redirect->cookie_is_secure = url.is_https;
	return put_consent_url(domain, login, &client, &ret_redirect->url);
}

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
	char state_hash[HASH_TEXT_SIZE], browser_hashes[2][HASH_TEXT_SIZE];
	const char *hashes[2] = { NULL, NULL };
	enum err err;

	query->result = NULL;
	if (!is_nonce(callback->state))
		return ERR_INVALID_STATE;
	err = hash_text(callback->state, state_hash);
	for (int i = 0; !err && i < 2; i++) {
		if (!is_nonce(callback->cookies[i]))
			continue;
		err = hash_text(callback->cookies[i], browser_hashes[i]);
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
	char state_hash[HASH_TEXT_SIZE];
	enum err err = hash_text(callback->state, state_hash);

	if (!err)
		err = vault_open(domain->keyring, VAULT_CLIENT_SECRET, login->branch_id,
				 login->client_secret, ret_client_secret);
	if (!err)
		err = vault_open(domain->keyring, VAULT_CODE_VERIFIER, state_row(state_hash),
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
		nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
		if (!check_stored(domain, update))
			return ERR_OK;
	}
}

/* The client was deleted meanwhile, which could not give up what came only now. */
static enum err give_up(const struct domain *domain, const struct login_row *login,
			const char *refresh_token)
{
	struct db_query query;
	enum err err;

	revocation_add_grant_query(&query, &(struct revocation_grant){
						   .client_id = login->client_id,
						   .workspace_email = login->workspace_email,
						   .token = refresh_token,
						   .token_client_id = login->id,
					   });
	err = db_exec(domain->db, &query, clock_monotonic_ms() + DB_CALL_MS);
	db_query_release(&query);
	return err ? err : ERR_CLIENT_NOT_FOUND;
}

static enum err store_grant(const struct domain *domain, const struct login_callback *callback,
			    const struct login_row *login, const struct token_answer *answer,
			    struct consent *ret_consent)
{
	CLEANUP(mem_free_ptr) char *access_token = NULL, *refresh_token = NULL;
	int64_t expires_at_us = login->now_us + answer->expires_in_s * US_PER_S;
	struct token_update update = {
		.client_id = login->id,
		.token_type = answer->token_type,
		.scope = answer->scope,
		.expires_at_us = expires_at_us,
		.refresh_began_at_us = login->now_us,
		.refresh_due_at_us = token_due_at(domain, login->now_us, expires_at_us),
	};
	enum err err = vault_seal_id(domain->keyring, VAULT_ACCESS_TOKEN, login->id,
				     answer->access_token.data, &access_token);

	if (!err)
		err = vault_seal_id(domain->keyring, VAULT_REFRESH_TOKEN, login->id,
				    answer->refresh_token.data, &refresh_token);
	if (err)
		return err;
	update.access_token = access_token;
	update.refresh_token = refresh_token;
	err = store_until(domain, login, &update, &callback->actor,
			  callback->deadline_ms - 2 * DB_CALL_MS);
	if (err == ERR_DB_NO_ROW)
		return give_up(domain, login, refresh_token);
	if (err == ERR_DB_CONFLICT)
		return ERR_INVALID_STATE;
	if (err)
		return err == ERR_DB_LOCKED ? ERR_REFRESH_IN_PROGRESS : err;
	ret_consent->oauth_client_id = mem_strdup(login->client_id);
	ret_consent->branch_id = mem_strdup(login->branch_id);
	ret_consent->expires_at_us = expires_at_us;
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
