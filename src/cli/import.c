#include "cli/import.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/environment.h"
#include "base/mem.h"
#include "domain/canary.h"
#include "domain/import.h"
#include "domain/settings.h"
#include "domain/vault.h"
#include "store/db_url.h"

#include "base/banned.h"

#define PASSWORD "IMPORT_PASSWORD"
/* libpq would show it to the original's host, too. */
#define OWN_PASSWORD "PGPASSWORD"
#define BATCH_DEFAULT 1000
#define CONNECT_MS 30000
#define PROGRESS_MS 2000

void import_hide_password(void)
{
	environment_hide(PASSWORD);
}

/* Never repeats @from: its password would be in the terminal, too. */
static bool check_from(const char *from, const struct config *config)
{
	if (!from) {
		fputs("token-service import: --from is missing: the original's database\n", stderr);
		return false;
	}
	if (settings_check_database("--from", from, config, stderr))
		return false;
	if (!db_url_has_password(from))
		return true;
	fputs("token-service import: --from must not have a password, which everybody on this host can "
	      "read there: take it out, and set the environment variable " PASSWORD "\n",
	      stderr);
	return false;
}

static bool something_is_left(const struct import *import)
{
	return import->clients[IMPORT_CLIENT_REFUSED] || import->tokens[IMPORT_TOKEN_REFUSED] ||
	       import->moved;
}

static void print_counts(const struct import *import)
{
	const int64_t *clients = import->clients, *tokens = import->tokens;
	const struct {
		const char *what;
		int64_t count;
	} rows[] = {
		{ "clients read", import->read },
		{ "clients imported", clients[IMPORT_CLIENT_NEW] },
		{ "clients brought up to date", clients[IMPORT_CLIENT_CHANGED] },
		{ "clients that are here already", clients[IMPORT_CLIENT_SAME] },
		{ "clients changed here since, left as they are", clients[IMPORT_CLIENT_KEPT] },
		{ "clients deleted here since, left out", clients[IMPORT_CLIENT_DELETED] },
		{ "clients skipped", clients[IMPORT_CLIENT_REFUSED] },
		{ "tokens imported", tokens[IMPORT_TOKEN_STORED] },
		{ "tokens that are here already", tokens[IMPORT_TOKEN_SAME] },
		{ "tokens that have ended there", tokens[IMPORT_TOKEN_ENDED] },
		{ "tokens refreshed here since, left as they are", tokens[IMPORT_TOKEN_REFRESHED] },
		{ "tokens connected or revoked here since, left as they are",
		  tokens[IMPORT_TOKEN_KEPT] },
		{ "clients without a valid token", tokens[IMPORT_TOKEN_NONE] },
		{ "tokens skipped", tokens[IMPORT_TOKEN_REFUSED] },
	};

	puts(import->dry_run ? "dry run: nothing was written; this is what an import would do"
			     : "import:");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%9" PRId64 "  %s\n", rows[i].count, rows[i].what);
	if (import->moved)
		printf("%9" PRId64 "  rows that were changed here meanwhile: run it again\n",
		       import->moved);
}

static enum err import_pages(struct import *import)
{
	int64_t tell_at_ms = clock_monotonic_ms() + PROGRESS_MS;
	bool more = true;
	enum err err = import_begin(import);

	while (!err && more) {
		err = import_next(import, &more);
		if (clock_left_ms(tell_at_ms))
			continue;
		fprintf(stderr, "import: %" PRId64 " of %" PRId64 " clients\n", import->read,
			import->total);
		tell_at_ms = clock_monotonic_ms() + PROGRESS_MS;
	}
	return err ? err : import_end(import);
}

static void tell_error(const struct import *import, enum err err)
{
	const char *whose = import->failed == import->source ? "--from" : "DATABASE_ADMIN_URL";

	if (vault_is_closed(err))
		fprintf(stderr, "SECRET_KEY: does not open what this database holds (%s): %s\n",
			err_info(err)->code, err_info(err)->message);
	else if (err == ERR_DATABASE_UNAVAILABLE)
		fprintf(stderr, "token-service import: the database of %s cannot be reached: %s\n",
			whose, db_last_error(import->failed));
	else if (err != ERR_CONFIG && import->failed)
		fprintf(stderr, "token-service import: the database of %s refused: %s\n", whose,
			db_failure(import->failed));
	else if (err != ERR_CONFIG)
		fprintf(stderr,
			"token-service import: a client after the %" PRId64
			" that were read could not be made ready: %s\n",
			import->read, err_info(err)->code);
	if (import->read)
		fputs("token-service import: not finished; what was imported stays, run it again\n",
		      stderr);
}

static enum err open_database(struct import *import, struct db *db)
{
	enum err err = db_connect(db, clock_monotonic_ms() + CONNECT_MS);

	if (err)
		import->failed = db;
	return err;
}

static int run(struct import *import, const struct domain *domain)
{
	enum err err;

	/* A dry run makes no canary. */
	db_on_connect(import->target, import->dry_run ? canary_look : canary_check,
		      domain->keyring);
	environment_hide(OWN_PASSWORD);
	db_set_password(import->target, environment_get(OWN_PASSWORD));
	db_set_password(import->source, environment_get(PASSWORD));
	err = open_database(import, import->target);
	if (!err)
		err = open_database(import, import->source);
	if (!err)
		err = import_pages(import);
	if (err)
		tell_error(import, err);
	if (!err || import->read)
		print_counts(import);
	return err == ERR_CONFIG ? EXIT_USAGE : err || something_is_left(import) ? EXIT_FAILED : 0;
}

int import_run(const struct arguments *args)
{
	CLEANUP(mem_free_ptr) char *from = args->from ? config_database_url(args->from) : NULL;
	struct domain_shared shared = { 0 };
	struct domain domain;
	struct config config;
	struct import import = {
		.domain = &domain,
		.remarks = stderr,
		.dry_run = args->dry_run != NULL,
	};
	int status = EXIT_FAILED;

	if (!command_batch("import", args->batch, BATCH_DEFAULT, &import.page) ||
	    settings_load(args->env_file, stderr, &config))
		return EXIT_USAGE;
	if (!check_from(from, &config)) {
		config_release(&config);
		return EXIT_USAGE;
	}
	import.source = db_new(from);
	import.target = db_new(config.database_admin_url.data);
	if (!domain_init(&domain, &config, &shared, NULL, false))
		status = run(&import, &domain);
	else
		fputs("token-service import: SECRET_KEY cannot be used\n", stderr);
	domain_release(&domain);
	db_free(import.source);
	db_free(import.target);
	config_release(&config);
	return status;
}
