#include "domain/import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "crypto/mac.h"
#include "domain/token.h"
#include "domain/validate.h"
#include "domain/vault.h"

#include "base/banned.h"

/* A page may have to pass over a whole table there, and to wait for refreshes here. */
#define CALL_MS 60000
/* What is registered there between one import and the next keeps its id, although clients are
 * registered here by then. */
#define IDS_AHEAD 1000
#define TEXT_MAX (1024 * 1024)
#define HOUR_US (3600 * US_PER_S)

static const char CLIENT_LABEL[] = "imported client";
static const char TOKEN_LABEL[] = "imported token";

/* What is to be written of a page. */
struct writes {
	struct json_object *inserts, *tokens, *ended, *changes;
};

static void writes_init(struct writes *writes)
{
	writes->inserts = json_object_new_array();
	writes->tokens = json_object_new_array();
	writes->ended = json_object_new_array();
	writes->changes = json_object_new_array();
}

static void writes_release(struct writes *writes)
{
	json_object_put(writes->inserts);
	json_object_put(writes->tokens);
	json_object_put(writes->ended);
	json_object_put(writes->changes);
}

/* --- what came, to be recognised ---------------------------------------------------------------- */

/* Unlike any other list of values: with the length of each. */
static void add_value(struct strbuf *text, const char *value)
{
	if (value)
		strbuf_printf(text, "%zu:%s,", strlen(value), value);
	else
		strbuf_puts(text, "-,");
}

static void there_text(const struct import_source *source, struct strbuf *text)
{
	add_value(text, source->client_id);
	add_value(text, source->client_secret);
	add_value(text, source->redirect_uri);
	add_value(text, source->branch_id);
	add_value(text, source->workspace_email);
	add_value(text, source->workspace_name);
	add_value(text, source->is_active);
}

static void here_text(const struct import_target *target, const char *secret, struct strbuf *text)
{
	add_value(text, target->client_id);
	add_value(text, secret);
	add_value(text, target->redirect_uri);
	add_value(text, target->branch_id);
	add_value(text, target->workspace_email);
	add_value(text, target->workspace_name);
	add_value(text, target->is_active ? "t" : "f");
}

static void token_text(const struct import_source *source, struct strbuf *text)
{
	add_value(text, source->access_token);
	add_value(text, source->refresh_token);
	add_value(text, source->token_type);
	add_value(text, source->scope);
	strbuf_printf(text, "%" PRId64 ",%" PRId64 ",%d,%d", source->token_id,
		      source->expires_at_us, source->is_valid, source->is_revoked);
}

static enum err sign(const struct import *import, const char *label, const struct strbuf *text,
		     char *ret_mac)
{
	unsigned char mac[MAC_SIZE];
	enum err err = strbuf_ok(text) ? mac_sign(import->domain->keyring, KEYRING_CURRENT, label,
						  text->data, mac)
				       : ERR_LIMIT;

	if (!err)
		base64url_encode(mac, sizeof(mac), ret_mac);
	return err;
}

/* One that no key of the keyring has signed is taken for a change. */
static bool is_signed(const struct import *import, const char *label, const struct strbuf *text,
		      const char *mac_text)
{
	unsigned char mac[BASE64URL_BYTES(BASE64URL_SIZE(MAC_SIZE))];
	size_t len = 0;

	return mac_text && strlen(mac_text) < BASE64URL_SIZE(MAC_SIZE) && strbuf_ok(text) &&
	       base64url_decode(mac_text, mac, &len) && len == MAC_SIZE &&
	       !mac_verify(import->domain->keyring, label, text->data, mac);
}

/* --- clients ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static void remark(const struct import *import, int64_t id,
							 const char *fmt, ...)
{
	va_list args;

	fprintf(import->remarks, "client %" PRId64 ": ", id);
	va_start(args, fmt);
	vfprintf(import->remarks, fmt, args);
	va_end(args);
	fputc('\n', import->remarks);
}

static void remark_faults(const struct import *import, int64_t id, struct json_object *faults)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(TEXT_MAX);

	for (size_t i = 0; i < json_object_array_length(faults); i++) {
		struct json_object *fault = json_object_array_get_idx(faults, i);

		strbuf_printf(&text, "%s%s %s", i ? "; " : "", json_get_string(fault, "field"),
			      json_get_string(fault, "message"));
	}
	remark(import, id, "skipped: %s", text.data);
}

/* As POST /clients would take it? ERR_VALIDATION_FAILED: a remark says what is wrong. */
static enum err validate(const struct import *import, const struct import_source *source)
{
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "client_id", source->client_id },
		{ "client_secret", source->client_secret },
		{ "redirect_uri", source->redirect_uri },
		{ "branch_id", source->branch_id },
		{ "workspace_email", source->workspace_email },
		{ "workspace_name", source->workspace_name },
	};
	CLEANUP(json_release) struct json_object *body = json_object_new_object();
	CLEANUP(problem_release) struct problem problem = { 0 };
	struct client_fields valid = { 0 };
	bool production = import->domain->config->environment == ENVIRONMENT_PRODUCTION;
	enum err err;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = fields[i].value;

		if (value && !utf8_valid(value, strlen(value), NULL))
			problem_add_fault(&problem, fields[i].name, "must be UTF-8");
		if (value)
			json_add_string(body, fields[i].name, value);
	}
	if (!source->is_active)
		problem_add_fault(&problem, "is_active", "must not be NULL");
	err = client_validate(body, production, &valid, &problem);
	json_wipe_string(body, "client_secret");
	if (!problem.faults)
		return err;
	remark_faults(import, source->id, problem.faults);
	return ERR_VALIDATION_FAILED;
}

static enum err compare(const struct import *import, const struct import_source *source,
			const struct import_target *target, struct import_likeness *ret_likeness)
{
	CLEANUP(strbuf_release) struct strbuf there = STRBUF_INIT(TEXT_MAX);
	CLEANUP(strbuf_release) struct strbuf here = STRBUF_INIT(TEXT_MAX);
	CLEANUP(secret_release) struct secret secret = { 0 };
	enum err err = ERR_OK;

	if (!target->exists || !target->imported)
		return ERR_OK;
	err = vault_open(import->domain->keyring, VAULT_CLIENT_SECRET, target->branch_id,
			 target->client_secret, &secret);
	if (err)
		return err;
	there_text(source, &there);
	here_text(target, secret.data, &here);
	ret_likeness->same = !strcmp(there.data, here.data);
	ret_likeness->there_as_it_came =
		is_signed(import, CLIENT_LABEL, &there, target->client_mac);
	ret_likeness->here_as_it_came = is_signed(import, CLIENT_LABEL, &here, target->client_mac);
	return ERR_OK;
}

/* 0 is NULL. */
static void add_time(struct json_object *row, const char *name, int64_t us)
{
	if (us)
		json_add_int(row, name, us);
}

static enum err add_client(const struct import *import, const struct import_source *source,
			   const struct import_target *target, struct json_object *to)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(TEXT_MAX);
	CLEANUP(mem_free_ptr) char *sealed = NULL;
	char mac[BASE64URL_SIZE(MAC_SIZE)];
	int64_t created_us = source->created_at_us ? source->created_at_us : target->now_us;
	int64_t updated_us = source->updated_at_us ? source->updated_at_us : created_us;
	struct json_object *row;
	enum err err = vault_seal(import->domain->keyring, VAULT_CLIENT_SECRET, source->branch_id,
				  source->client_secret, &sealed);

	there_text(source, &text);
	if (!err)
		err = sign(import, CLIENT_LABEL, &text, mac);
	if (err)
		return err;
	row = json_object_new_object();
	json_add_int(row, "id", source->id);
	json_add_string(row, "client_id", source->client_id);
	json_add_string(row, "client_secret", sealed);
	json_add_string(row, "redirect_uri", source->redirect_uri);
	json_add_string(row, "branch_id", source->branch_id);
	json_add_string(row, "workspace_email", source->workspace_email);
	json_add_string(row, "workspace_name", source->workspace_name);
	json_add_bool(row, "is_active", *source->is_active == 't');
	json_add_int(row, "created_at_us", created_us);
	json_add_int(row, "updated_at_us", target->exists ? target->updated_at_us : updated_us);
	json_add_string(row, "mac", mac);
	json_object_array_add(to, row);
	return ERR_OK;
}

static enum err take_client(struct import *import, const struct import_source *source,
			    const struct import_target *target, struct writes *writes,
			    enum import_client *ret_verdict)
{
	struct import_likeness likeness = { 0 };
	const char *reason = NULL;
	enum err err = validate(import, source);

	*ret_verdict = IMPORT_CLIENT_REFUSED;
	if (err)
		return err == ERR_VALIDATION_FAILED ? ERR_OK : err;
	err = compare(import, source, target, &likeness);
	if (vault_is_closed(err)) {
		remark(import, source->id, "skipped: its client_secret here does not open (%s)",
		       err_info(err)->code);
		return ERR_OK;
	}
	if (err)
		return err;
	*ret_verdict = import_judge_client(source, target, &likeness, &reason);
	switch (*ret_verdict) {
	case IMPORT_CLIENT_NEW:
		return add_client(import, source, target, writes->inserts);
	case IMPORT_CLIENT_CHANGED:
		return add_client(import, source, target, writes->changes);
	case IMPORT_CLIENT_KEPT:
		remark(import, source->id, "left as it is: it was changed here since it came");
		break;
	case IMPORT_CLIENT_DELETED:
		remark(import, source->id, "left out: it was deleted here since it came");
		break;
	case IMPORT_CLIENT_REFUSED:
		remark(import, source->id, "skipped: %s", reason);
		break;
	case IMPORT_CLIENT_SAME:
	case IMPORT_CLIENT__COUNT:
		break;
	}
	return ERR_OK;
}

/* --- tokens ------------------------------------------------------------------------------------- */

static enum err add_token(const struct import *import, const struct import_source *source,
			  const struct import_target *target, const char *mac,
			  struct json_object *to)
{
	const struct domain *domain = import->domain;
	CLEANUP(mem_free_ptr) char *access_token = NULL;
	CLEANUP(mem_free_ptr) char *refresh_token = NULL;
	/* One that does not say when it expires is refreshed when it is first asked for. */
	int64_t expires_us = source->expires_at_us ? source->expires_at_us : target->now_us;
	int64_t obtained_us = import_obtained_at_us(source);
	int64_t began_us = obtained_us ? obtained_us : expires_us - HOUR_US;
	struct json_object *row;
	enum err err = vault_seal_id(domain->keyring, VAULT_ACCESS_TOKEN, source->id,
				     source->access_token, &access_token);

	if (!err)
		err = vault_seal_id(domain->keyring, VAULT_REFRESH_TOKEN, source->id,
				    source->refresh_token, &refresh_token);
	if (err)
		return err;
	if (began_us > expires_us)
		began_us = expires_us;
	if (began_us > target->now_us)
		began_us = target->now_us;
	row = json_object_new_object();
	json_add_int(row, "client_id", source->id);
	json_add_int(row, "token_id", source->token_id);
	json_add_string(row, "access_token", access_token);
	json_add_string(row, "refresh_token", refresh_token);
	json_add_string(row, "token_type", "Bearer");
	json_add_string(row, "scope", source->scope ? source->scope : "");
	json_add_int(row, "expires_at_us", expires_us);
	json_add_int(row, "began_us", began_us);
	json_add_int(row, "due_us", token_due_at(domain, began_us, expires_us));
	add_time(row, "refreshed_at_us", source->last_refreshed_at_us);
	json_add_int(row, "created_at_us",
		     source->token_created_at_us ? source->token_created_at_us : began_us);
	json_add_int(row, "grant_version", target->grant_version);
	json_add_string(row, "mac", mac);
	json_object_array_add(to, row);
	return ERR_OK;
}

static void add_ended(const struct import_source *source, const struct import_target *target,
		      const char *mac, struct json_object *to)
{
	struct json_object *row = json_object_new_object();

	json_add_int(row, "client_id", source->id);
	json_add_bool(row, "revoked", source->is_revoked);
	json_add_int(row, "grant_version", target->grant_version);
	json_add_string(row, "mac", mac);
	json_object_array_add(to, row);
}

/* For a dry run: what is worth a look, although it is imported. */
static void remark_token(const struct import *import, const struct import_source *source,
			 const struct import_target *target)
{
	char time[CLOCK_RFC3339_SIZE];

	if (!import->dry_run)
		return;
	if (!source->expires_at_us)
		remark(import, source->id,
		       "its token does not say when it expires: it is taken for expired");
	else if (source->expires_at_us <= target->now_us)
		remark(import, source->id,
		       "its token has expired (%s): it is refreshed when it is first asked for",
		       clock_rfc3339(source->expires_at_us, time));
}

static enum err take_token(struct import *import, const struct import_source *source,
			   const struct import_target *target, struct writes *writes,
			   enum import_token *ret_verdict)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(TEXT_MAX);
	char mac[BASE64URL_SIZE(MAC_SIZE)];
	const char *reason = NULL;
	enum err err;

	token_text(source, &text);
	*ret_verdict = import_judge_token(
		source, target, is_signed(import, TOKEN_LABEL, &text, target->token_mac), &reason);
	err = sign(import, TOKEN_LABEL, &text, mac);
	if (!err && *ret_verdict == IMPORT_TOKEN_STORED)
		err = add_token(import, source, target, mac, writes->tokens);
	if (err == ERR_LIMIT) {
		*ret_verdict = IMPORT_TOKEN_REFUSED;
		reason = "its newest valid token is too long: connect the branch again";
		err = ERR_OK;
	}
	if (err)
		return err;
	if (*ret_verdict == IMPORT_TOKEN_STORED)
		remark_token(import, source, target);
	if (*ret_verdict == IMPORT_TOKEN_ENDED)
		add_ended(source, target, mac, writes->ended);
	if (*ret_verdict == IMPORT_TOKEN_REFUSED)
		remark(import, source->id, "its token is skipped: %s", reason);
	if (*ret_verdict == IMPORT_TOKEN_KEPT)
		remark(import, source->id, "its token is left as it is: %s", reason);
	if (*ret_verdict == IMPORT_TOKEN_NONE && reason)
		remark(import, source->id, "comes without a token: %s", reason);
	return ERR_OK;
}

/* --- pages -------------------------------------------------------------------------------------- */

static enum err exec(struct import *import, struct db *db, struct db_query *query)
{
	enum err err = db_exec(db, query, clock_monotonic_ms() + CALL_MS);

	if (err)
		import->failed = db;
	return err;
}

/* Adds the query that writes @rows, if there are any, to the transaction. */
static void add_write(struct json_object *rows, void (*write)(struct db_query *, const char *),
		      struct db_query *query, struct db_query **batch, size_t *count)
{
	if (!json_object_array_length(rows))
		return;
	write(query, json_text(rows));
	batch[(*count)++] = query;
}

static enum err write_page(struct import *import, const struct writes *writes)
{
	struct db_query begin, queries[4] = { 0 };
	struct db_query *batch[5] = { &begin };
	size_t count = 1, wanted, written = 0;
	enum err err;

	db_query_init(&begin, &DB_BEGIN);
	add_write(writes->inserts, import_inserts_query, &queries[0], batch, &count);
	add_write(writes->tokens, import_tokens_query, &queries[1], batch, &count);
	add_write(writes->ended, import_ended_query, &queries[2], batch, &count);
	add_write(writes->changes, import_changes_query, &queries[3], batch, &count);
	if (import->dry_run || count == 1)
		return ERR_OK;
	err = db_exec_atomic(import->target, batch, count, clock_monotonic_ms() + CALL_MS);
	for (size_t i = 1; !err && i < count; i++)
		written += (size_t)db_int(batch[i], 0, 0);
	if (err)
		db_rollback(import->target);
	else
		err = db_commit_after(import->target, NULL, clock_monotonic_ms() + CALL_MS);
	for (size_t i = 0; i < count; i++)
		db_query_release(batch[i]);
	if (err)
		import->failed = import->target;
	wanted = json_object_array_length(writes->inserts) +
		 json_object_array_length(writes->tokens) +
		 json_object_array_length(writes->ended) +
		 json_object_array_length(writes->changes);
	if (!err)
		import->moved += (int64_t)(wanted - written);
	return err;
}

static void note_ids(struct import *import, const struct import_source *source)
{
	if (source->id > import->highest_id)
		import->highest_id = source->id;
	if (source->token_id > import->highest_id)
		import->highest_id = source->token_id;
}

static enum err take_page(struct import *import, const struct db_query *page,
			  const struct db_query *here, struct writes *writes)
{
	enum err err = ERR_OK;

	for (int i = 0; !err && i < db_rows(page); i++) {
		struct import_source source;
		struct import_target target;
		enum import_client client;
		enum import_token token;

		import_source_row(page, i, &source);
		import_target_row(here, i, &target);
		note_ids(import, &source);
		err = take_client(import, &source, &target, writes, &client);
		if (err)
			break;
		import->clients[client]++;
		if (client == IMPORT_CLIENT_REFUSED || client == IMPORT_CLIENT_DELETED)
			continue;
		err = take_token(import, &source, &target, writes, &token);
		if (!err)
			import->tokens[token]++;
	}
	return err;
}

/* Asks what is here of the clients in @page. */
static enum err ask_here(struct import *import, const struct db_query *page, struct db_query *here)
{
	CLEANUP(json_release) struct json_object *clients = json_object_new_array();
	enum err err;

	for (int i = 0; i < db_rows(page); i++) {
		struct json_object *client = json_object_new_object();
		struct import_source source;

		import_source_row(page, i, &source);
		json_add_int(client, "id", source.id);
		/* One that is no UTF-8 is refused before it is compared. */
		if (source.branch_id &&
		    utf8_valid(source.branch_id, strlen(source.branch_id), NULL))
			json_add_string(client, "branch_id", source.branch_id);
		json_object_array_add(clients, client);
	}
	import_target_query(here, json_text(clients));
	err = exec(import, import->target, here);
	here->values[0] = NULL;
	if (!err && db_rows(here) != db_rows(page))
		err = ERR_INTERNAL;
	return err;
}

enum err import_next(struct import *import, bool *ret_more)
{
	CLEANUP(db_query_release) struct db_query page, here = { 0 };
	struct import before;
	struct writes writes;
	enum err err;
	int rows;

	import_source_page_query(&page, import->after, import->page);
	err = exec(import, import->source, &page);
	if (err)
		return err;
	rows = db_rows(&page);
	*ret_more = rows == import->page;
	if (!rows)
		return ERR_OK;
	err = ask_here(import, &page, &here);
	if (err)
		return err;
	before = *import;
	writes_init(&writes);
	err = take_page(import, &page, &here, &writes);
	if (!err)
		err = write_page(import, &writes);
	writes_release(&writes);
	if (err) {
		/* What was counted of this page was not written. */
		memcpy(import->clients, before.clients, sizeof(before.clients));
		memcpy(import->tokens, before.tokens, sizeof(before.tokens));
		return err;
	}
	import->after = db_int(&page, rows - 1, 0);
	import->read += rows;
	return ERR_OK;
}

static enum err check_source(struct import *import)
{
	CLEANUP(db_query_release) struct db_query kind, size = { 0 };
	enum err err;

	import_source_kind_query(&kind);
	err = exec(import, import->source, &kind);
	if (err)
		return err;
	if (!db_bool(&kind, 0, 0) || db_bool(&kind, 0, 1)) {
		fputs(db_bool(&kind, 0, 1)
			      ? "--from is a database of token-service itself: move that with pg_dump\n"
			      : "--from has no tables clients and tokens\n",
		      import->remarks);
		return ERR_CONFIG;
	}
	import_source_size_query(&size);
	err = exec(import, import->source, &size);
	if (err)
		return err;
	import->total = db_int(&size, 0, 0);
	import->highest_id = db_int(&size, 0, 1);
	return ERR_OK;
}

static enum err plan_anew(struct import *import, struct db *db)
{
	CLEANUP(db_query_release) struct db_query plans;

	import_plans_query(&plans);
	return exec(import, db, &plans);
}

static enum err raise_sequences(struct import *import, int64_t id)
{
	CLEANUP(db_query_release) struct db_query sequences;

	import_sequences_query(&sequences, id);
	return exec(import, import->target, &sequences);
}

enum err import_begin(struct import *import)
{
	enum err err = check_source(import);

	if (!err)
		err = plan_anew(import, import->source);
	if (!err)
		err = plan_anew(import, import->target);
	import->after = INT64_MIN;
	if (err || import->dry_run || !import->total)
		return err;
	return raise_sequences(import, import->highest_id + IDS_AHEAD);
}

enum err import_end(struct import *import)
{
	return import->dry_run ? ERR_OK : raise_sequences(import, import->highest_id);
}
