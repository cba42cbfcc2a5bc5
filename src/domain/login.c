#include "domain/login.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "domain/client.h"
#include "domain/login_link.h"
#include "domain/scope.h"
#include "domain/vault.h"
#include "google/url.h"
#include "store/login_store.h"

#include "base/banned.h"

#define URL_MAX 16384

/* Reuses the browser's cookie, so that two tabs do not break each other's login. */
static enum err take_cookie(const char *cookie, char *ret_browser, char *ret_hash)
{
	enum err err = ERR_OK;

	if (nonce_is_one(cookie))
		memcpy(ret_browser, cookie, NONCE_SIZE);
	else
		err = nonce_new(ret_browser);
	return err ? err : nonce_hash(ret_browser, ret_hash);
}

static enum err seal_verifier(const struct domain *domain, struct login *login)
{
	CLEANUP(mem_free_ptr) char *sealed = NULL;
	enum err err = vault_seal(domain->keyring, VAULT_CODE_VERIFIER,
				  nonce_row(login->state_hash), login->code_verifier, &sealed);

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
		err = nonce_new(login->state);
	for (int i = 0; !err && i < 2; i++)
		err = take_cookie(cookies[i], login->browsers[i], login->browser_hashes[i]);
	if (!err)
		err = nonce_new(login->code_verifier);
	if (!err)
		err = nonce_hash(login->state, login->state_hash);
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
