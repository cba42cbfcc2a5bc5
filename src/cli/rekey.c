/*
 * Values are sealed anew one by one, each in a statement of its own that does nothing when the
 * value has changed: the service goes on beside it, and a run that was cut off is simply run again.
 */
#include "cli/rekey.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/keyring.h"
#include "domain/settings.h"
#include "domain/vault.h"
#include "store/reseal_store.h"

#include "base/banned.h"

#define BATCH_DEFAULT 500
/* A page may have to pass over a whole table. */
#define CALL_MS 60000
#define AGAIN_MS 200

struct rekey {
	struct db *db;
	struct keyring *keyring;
	char like[SEAL_HEAD_SIZE + 1]; /* what is under the current key */
	int batch;
	int patience_ms; /* how long others may keep rows locked */
	bool tells;      /* values that do not open are named: in the first round */
	int64_t resealed, current, failed;
};

/* What one walk over a column came to. */
struct pass {
	int64_t resealed, failed, left;
};

/* Up to DB_BATCH_MAX replacements, which share a round trip. */
struct round {
	struct db_query queries[DB_BATCH_MAX];
	char *sealed[DB_BATCH_MAX];
	size_t count;
};

static enum vault_column vault_column(enum reseal_column column)
{
	static const enum vault_column columns[RESEAL__COUNT] = {
		[RESEAL_CLIENT_SECRET] = VAULT_CLIENT_SECRET,
		[RESEAL_ACCESS_TOKEN] = VAULT_ACCESS_TOKEN,
		[RESEAL_REFRESH_TOKEN] = VAULT_REFRESH_TOKEN,
		[RESEAL_CODE_VERIFIER] = VAULT_CODE_VERIFIER,
		[RESEAL_REVOCATION] = VAULT_REFRESH_TOKEN,
		[RESEAL_CANARY] = VAULT_CANARY,
	};

	return columns[column];
}

static enum err exec(const struct rekey *rekey, struct db_query *query)
{
	return db_exec(rekey->db, query, clock_monotonic_ms() + CALL_MS);
}

/* Sends the round and empties it. */
static enum err replace(const struct rekey *rekey, struct round *round, struct pass *pass)
{
	struct db_query *queries[DB_BATCH_MAX];
	enum err err = ERR_OK;

	for (size_t i = 0; i < round->count; i++)
		queries[i] = &round->queries[i];
	if (round->count)
		db_run(rekey->db, queries, round->count, clock_monotonic_ms() + CALL_MS);
	for (size_t i = 0; i < round->count; i++) {
		if (!err)
			err = round->queries[i].err;
		if (!round->queries[i].err && db_rows(&round->queries[i]))
			pass->resealed++;
		else
			pass->left++;
		db_query_release(&round->queries[i]);
		free(round->sealed[i]);
	}
	round->count = 0;
	return err;
}

/* The value of @row under the current key; freed by the caller. */
static enum err seal_anew(const struct rekey *rekey, enum reseal_column column,
			  const struct reseal_row *row, char **ret_sealed)
{
	CLEANUP(secret_release) struct secret plain = { 0 };
	enum vault_column place = vault_column(column);
	const char *name = row->row ? row->row : "";
	enum err err = vault_open(rekey->keyring, place, name, row->value, &plain);

	return err ? err : vault_seal(rekey->keyring, place, name, plain.data, ret_sealed);
}

static enum err reseal_page(const struct rekey *rekey, enum reseal_column column,
			    const struct db_query *page, bool tells, struct pass *pass)
{
	struct round round = { .count = 0 };
	enum err err = ERR_OK;

	for (int i = 0; !err && i < db_rows(page); i++) {
		struct reseal_row row;
		enum err value_err;

		reseal_row(page, i, &row);
		value_err = seal_anew(rekey, column, &row, &round.sealed[round.count]);
		if (value_err) {
			pass->failed++;
			if (tells)
				fprintf(stderr, "rekey: %s, row %s: %s; left as it is\n",
					reseal_column_name(column), row.key,
					err_info(value_err)->code);
			continue;
		}
		reseal_replace_query(&round.queries[round.count], column, &row,
				     round.sealed[round.count]);
		if (++round.count == DB_BATCH_MAX)
			err = replace(rekey, &round, pass);
	}
	/* also after an error: what it holds is freed */
	return err ? err : replace(rekey, &round, pass);
}

/* Once over the column. @tells: values that do not open are named. */
static enum err walk(const struct rekey *rekey, enum reseal_column column, bool tells,
		     struct pass *pass)
{
	CLEANUP(mem_free_ptr) char *after = mem_strdup("");
	int rows;

	do {
		CLEANUP(db_query_release) struct db_query page;
		enum err err;

		reseal_page_query(&page, column, after, rekey->like, rekey->batch);
		err = exec(rekey, &page);
		if (!err)
			err = reseal_page(rekey, column, &page, tells, pass);
		if (err)
			return err;
		rows = db_rows(&page);
		if (rows) {
			char *last = mem_strdup(db_text(&page, rows - 1, 0));

			free(after);
			after = last;
			fprintf(stderr, "rekey: %s: %" PRId64 " re-sealed\n",
				reseal_column_name(column), pass->resealed);
		}
	} while (rows == rekey->batch);
	return ERR_OK;
}

/* Walks over the column until nothing is left that another had locked or changed meanwhile. */
static enum err rekey_column(struct rekey *rekey, enum reseal_column column)
{
	int64_t give_up_ms = clock_monotonic_ms() + rekey->patience_ms;
	struct pass pass;
	bool tells = rekey->tells;

	for (;;) {
		enum err err;

		pass = (struct pass){ 0 };
		err = walk(rekey, column, tells, &pass);
		rekey->resealed += pass.resealed;
		if (err)
			return err;
		if (!pass.left)
			break;
		tells = false;
		if (pass.resealed)
			give_up_ms = clock_monotonic_ms() + rekey->patience_ms;
		if (!clock_left_ms(give_up_ms)) {
			fprintf(stderr, "rekey: %s: %" PRId64 " rows stay locked; run it again\n",
				reseal_column_name(column), pass.left);
			break;
		}
		clock_sleep_ms(AGAIN_MS);
	}
	rekey->failed += pass.failed + pass.left;
	return ERR_OK;
}

static enum err count_current(struct rekey *rekey)
{
	enum err err = ERR_OK;

	for (int column = 0; !err && column < RESEAL__COUNT; column++) {
		CLEANUP(db_query_release) struct db_query query;

		reseal_count_query(&query, (enum reseal_column)column, rekey->like);
		err = exec(rekey, &query);
		if (!err)
			rekey->current += db_int(&query, 0, 0);
	}
	return err;
}

/* Rounds, until one finds nothing to do: a host may write under the old key while this runs. */
static enum err rekey_all(struct rekey *rekey)
{
	enum err err = count_current(rekey);
	int64_t resealed_before;

	rekey->tells = true;
	do {
		resealed_before = rekey->resealed;
		rekey->failed = 0;
		for (int column = 0; !err && column < RESEAL__COUNT; column++)
			err = rekey_column(rekey, (enum reseal_column)column);
		rekey->tells = false;
	} while (!err && rekey->resealed > resealed_before);
	printf("%" PRId64 " re-sealed, %" PRId64 " already current, %" PRId64
	       " could not be re-sealed%s\n",
	       rekey->resealed, rekey->current, rekey->failed,
	       err ? "; not finished, run it again" : "");
	return err;
}

static int run(const struct config *config, struct rekey *rekey)
{
	char head[SEAL_HEAD_SIZE];
	enum err err = keyring_new(config->secret_key.data, config->secret_key_previous.data,
				   &rekey->keyring);

	if (err) {
		fputs("token-service rekey: SECRET_KEY cannot be used\n", stderr);
		return EXIT_FAILED;
	}
	seal_head(rekey->keyring, head);
	snprintf(rekey->like, sizeof(rekey->like), "%s%%", head);
	/* A refresh holds its row for as long as the provider and the settling may take. */
	rekey->patience_ms = 3 * config->google_timeout_ms + 10000;
	rekey->db = db_new(config->database_admin_url.data);
	err = rekey_all(rekey);
	if (err == ERR_DATABASE_UNAVAILABLE)
		fprintf(stderr, "token-service rekey: the database cannot be reached: %s\n",
			db_last_error(rekey->db));
	else if (err)
		fprintf(stderr, "token-service rekey: the database refused: %s\n",
			db_failure(rekey->db));
	return err || rekey->failed ? EXIT_FAILED : 0;
}

int rekey_run(const struct arguments *args)
{
	struct rekey rekey = { 0 };
	struct config config;
	int status;

	if (!command_batch("rekey", args->batch, BATCH_DEFAULT, &rekey.batch) ||
	    settings_load(args->env_file, stderr, &config))
		return EXIT_USAGE;
	status = run(&config, &rekey);
	db_free(rekey.db);
	keyring_free(rekey.keyring);
	config_release(&config);
	return status;
}
