#include "domain/login_link.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "domain/client.h"
#include "domain/ticket.h"

#include "base/banned.h"

#define URL_MAX 4096

bool login_needs_ticket(const struct config *config)
{
	return config->environment == ENVIRONMENT_PRODUCTION ||
	       config->api_auth == API_AUTH_REQUIRED;
}

char *login_link_url(const struct domain *domain, const struct caller *caller,
		     const struct login_target *target)
{
	CLEANUP(mem_free_ptr) char *bare = NULL;
	CLEANUP(strbuf_release) struct strbuf url = STRBUF_INIT(URL_MAX);
	struct ticket ticket;
	char text[TICKET_SIZE];

	if (!target->redirect_uri)
		return NULL;
	bare = client_login_url(target->redirect_uri, target->client_id);
	if (!bare || !login_needs_ticket(domain->config))
		return mem_strdup(bare);
	ticket = (struct ticket){
		.client_id = target->client_id,
		.expires_at_s = target->now_us / US_PER_S + domain->config->login_ticket_ttl_s,
		.consent_version = target->consent_version,
	};
	if (!caller_is_admin(caller) || ticket_write(domain->keyring, &ticket, text))
		return NULL;
	strbuf_printf(&url, "%s?ticket=%s", bare, text);
	explicit_bzero(text, sizeof(text));
	return strbuf_ok(&url) ? mem_strdup(url.data) : NULL;
}
