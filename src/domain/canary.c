#include "domain/canary.h"

#include <string.h>

#include "base/mem.h"
#include "domain/vault.h"
#include "store/canary_store.h"

#include "base/banned.h"

static const char ROW[] = "1";
static const char PLAIN[] = "token-service";

/* ERR_DB_NO_ROW: there is none yet. */
static enum err open_canary(const struct keyring *keyring, struct db *db, int64_t deadline_ms,
			    bool *ret_has_table)
{
	CLEANUP(db_query_release) struct db_query query;
	CLEANUP(secret_release) struct secret plain = { 0 };
	enum err err;

	canary_query(&query);
	err = db_exec(db, &query, deadline_ms);
	*ret_has_table = strcmp(query.sqlstate, "42P01") != 0; /* undefined_table */
	if (!err && !db_rows(&query))
		err = ERR_DB_NO_ROW;
	return err ? err : vault_open(keyring, VAULT_CANARY, ROW, db_text(&query, 0, 0), &plain);
}

static enum err make_canary(const struct keyring *keyring, struct db *db, int64_t deadline_ms)
{
	CLEANUP(db_query_release) struct db_query query = { 0 };
	CLEANUP(mem_free_ptr) char *sealed = NULL;
	enum err err = vault_seal(keyring, VAULT_CANARY, ROW, PLAIN, &sealed);

	if (err)
		return err;
	canary_insert_query(&query, sealed);
	return db_exec(db, &query, deadline_ms);
}

enum err canary_look(void *keyring, struct db *db, int64_t deadline_ms)
{
	bool has_table = true;
	enum err err = open_canary(keyring, db, deadline_ms, &has_table);

	if (!has_table)
		db_clear_failure(db);
	return has_table && err != ERR_DB_NO_ROW ? err : ERR_OK;
}

enum err canary_check(void *keyring, struct db *db, int64_t deadline_ms)
{
	bool has_table = true;
	enum err err = open_canary(keyring, db, deadline_ms, &has_table);

	if (!has_table) {
		db_clear_failure(db);
		return ERR_OK;
	}
	if (err != ERR_DB_NO_ROW)
		return err;
	err = make_canary(keyring, db, deadline_ms);
	/* Somebody else's may have been faster. */
	return err ? err : open_canary(keyring, db, deadline_ms, &has_table);
}
