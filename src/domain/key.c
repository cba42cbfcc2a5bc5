#include "domain/key.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "crypto/random.h"

#include "base/banned.h"

#define PREFIX_LEN (sizeof(KEY_PREFIX) - 1)
#define IDS_MAX ((size_t)DB_BATCH_MAX * 24) /* 20 digits and a comma for each */

static bool is_well_formed(const char *key)
{
	size_t len = KEY_SIZE - 1;

	return strlen(key) == len && !strncmp(key, KEY_PREFIX, PREFIX_LEN) &&
	       strspn(key + PREFIX_LEN, BASE64URL_ALPHABET) == len - PREFIX_LEN;
}

enum err key_hash(const char *key, char *ret_hash)
{
	if (!is_well_formed(key))
		return ERR_UNAUTHENTICATED;
	ret_hash[0] = '\\';
	ret_hash[1] = 'x';
	return digest_sha256_hex(key, ret_hash + 2);
}

void key_ask(const char *hash, struct db_query *query)
{
	key_by_hash_query(query, hash);
}

enum err key_answer(const struct db_query *query, struct caller *ret_caller)
{
	struct key_row row;

	if (query->err)
		return query->err;
	if (!db_rows(query))
		return ERR_UNAUTHENTICATED;
	key_row(query, &row);
	if (row.is_revoked || row.is_expired)
		return ERR_UNAUTHENTICATED;
	*ret_caller = (struct caller){
		.access = !strcmp(row.role, "admin") ? ACCESS_ADMIN : ACCESS_FETCHER,
		.key_id = row.id,
		.branches = row.branches,
	};
	return ERR_OK;
}

/* The key's id; 0: it is not good, or its use was noted within the last minute. */
static int64_t id_to_note(const struct db_query *query)
{
	struct key_row row;

	if (query->err || !db_rows(query))
		return 0;
	key_row(query, &row);
	return row.is_revoked || row.is_expired || row.is_use_noted ? 0 : row.id;
}

void keys_note_use(const struct domain *domain, const struct db_query *queries, size_t count)
{
	CLEANUP(strbuf_release) struct strbuf ids = STRBUF_INIT(IDS_MAX);
	CLEANUP(db_query_release) struct db_query used;

	db_query_init(&used, NULL);
	for (size_t i = 0; i < count; i++) {
		int64_t id = id_to_note(&queries[i]);

		if (!id)
			continue;
		strbuf_putc(&ids, ids.len ? ',' : '{');
		strbuf_put_int(&ids, id);
	}
	if (!ids.len)
		return;
	strbuf_putc(&ids, '}');
	if (!strbuf_ok(&ids))
		return;
	keys_used_query(&used, ids.data);
	(void)!db_exec(domain->db, &used, clock_monotonic_ms() + DB_CALL_MS);
}

enum err key_create(struct db *db, struct key_fields *fields, char *ret_key, int64_t *ret_id,
		    int64_t *ret_expires_at_us)
{
	CLEANUP(db_query_release) struct db_query query;
	char key[KEY_SIZE], hash[KEY_HASH_SIZE];
	enum err err;

	db_query_init(&query, NULL);
	memcpy(key, KEY_PREFIX, PREFIX_LEN);
	err = random_base64url(KEY_RANDOM_SIZE, key + PREFIX_LEN);
	if (!err)
		err = key_hash(key, hash);
	if (err)
		return err;
	fields->hash = hash;
	key_insert_query(&query, fields);
	err = db_exec(db, &query, clock_monotonic_ms() + DB_CALL_MS);
	fields->hash = NULL;
	if (!err) {
		memcpy(ret_key, key, KEY_SIZE);
		*ret_id = db_int(&query, 0, 0);
		*ret_expires_at_us = db_int(&query, 0, 1);
	}
	explicit_bzero(key, sizeof(key));
	return err;
}

enum err key_revoke(struct db *db, int64_t id, bool *ret_revoked)
{
	CLEANUP(db_query_release) struct db_query query;
	enum err err;

	key_revoke_query(&query, id);
	err = db_exec(db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (err)
		return err;
	if (!db_bool(&query, 0, 0))
		return ERR_NOT_FOUND;
	*ret_revoked = db_bool(&query, 0, 1);
	return ERR_OK;
}
