#include "domain/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "domain/validate.h"
#include "domain/vault.h"
#include "google/url.h"

#include "base/banned.h"

/* A redirect_uri has at most 512 characters of 4 bytes. */
#define LOGIN_URL_MAX (512 * 4 + 64)

char *client_login_url(const char *redirect_uri, int64_t id)
{
	static const char callback[] = "/auth/callback";
	CLEANUP(url_release) struct url url = { 0 };
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(LOGIN_URL_MAX);
	size_t path_len, prefix_len = 0;

	if (url_parse(redirect_uri, &url))
		return NULL;
	path_len = strlen(url.path);
	if (path_len >= sizeof(callback) - 1 &&
	    !strcmp(url.path + path_len - (sizeof(callback) - 1), callback))
		prefix_len = path_len - (sizeof(callback) - 1);
	strbuf_printf(&text, "%s%.*s/oauth/login/%" PRId64, url.prefix, (int)prefix_len, url.path,
		      id);
	return mem_strdup(text.data);
}

/* Puts the sealed secret into @body in the place of the plain one. */
static enum err seal_secret(const struct domain *domain, const char *branch_id,
			    struct json_object *body, struct client_fields *fields)
{
	CLEANUP(mem_free_ptr) char *sealed = NULL;
	enum err err = vault_seal(domain->keyring, VAULT_CLIENT_SECRET, branch_id,
				  fields->client_secret, &sealed);

	if (err)
		return err;
	json_wipe_string(body, "client_secret");
	json_object_object_add(body, "client_secret", json_object_new_string(sealed));
	fields->client_secret = json_get_string(body, "client_secret");
	return ERR_OK;
}

enum err client_register_ask(const struct domain *domain, const struct audit_actor *actor,
			     struct json_object *body, struct db_query *query,
			     struct problem *problem)
{
	bool production = domain->config->environment == ENVIRONMENT_PRODUCTION;
	struct client_fields fields = { 0 };
	enum err err = client_validate(body, production, &fields, problem);

	if (!err)
		err = seal_secret(domain, fields.branch_id, body, &fields);
	if (!err)
		client_insert_query(query, &fields, actor);
	return err;
}

enum err client_change_ask(const struct domain *domain, const struct audit_actor *actor, int64_t id,
			   const char *branch_id, struct json_object *body, struct db_query *query,
			   struct problem *problem)
{
	bool production = domain->config->environment == ENVIRONMENT_PRODUCTION;
	struct client_fields fields = { 0 };
	enum err err = client_validate_change(body, production, &fields, problem);

	if (!err && fields.client_secret)
		err = seal_secret(domain, branch_id, body, &fields);
	if (!err)
		client_update_query(query, id, &fields, actor);
	return err;
}

void client_get_ask(int64_t id, struct db_query *query)
{
	client_by_id_query(query, id);
}

enum err client_answer(const struct db_query *query, struct client_row *ret_row)
{
	if (query->err == ERR_DB_CONFLICT)
		return ERR_BRANCH_EXISTS;
	if (query->err)
		return query->err;
	if (!db_rows(query))
		return ERR_CLIENT_NOT_FOUND;
	client_row(query, 0, ret_row);
	return ERR_OK;
}

void client_page_ask(const struct domain *domain, const struct client_page *page, char *pattern,
		     struct db_query *query)
{
	struct client_page asked = *page;
	const char *search = page->search;
	char *out = pattern;

	if (search) {
		*out++ = '%';
		for (; *search; search++) {
			if (strchr("%_\\", *search))
				*out++ = '\\';
			*out++ = *search;
		}
		*out++ = '%';
		*out = '\0';
	}
	asked.search = search ? pattern : NULL;
	asked.buffer_s = domain->config->token_expiry_buffer_s;
	client_page_query(query, &asked);
}

bool client_token_state_is_known(const char *state)
{
	static const char *const states[] = {
		"none", "valid", "expiring", "expired", "reauthorization_required", "revoked",
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(state, states[i]))
			return true;
	return false;
}

const char *client_token_state(const struct domain *domain, const struct client_row *row)
{
	int64_t left_us = row->expires_at_us - row->now_us;

	if (!row->has_token)
		return "none";
	if (row->is_revoked)
		return "revoked";
	if (!row->is_valid)
		return "reauthorization_required";
	if (left_us <= 0)
		return "expired";
	return left_us <= domain->config->token_expiry_buffer_s * US_PER_S ? "expiring" : "valid";
}
