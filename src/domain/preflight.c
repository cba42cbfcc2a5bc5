#include "domain/preflight.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "domain/canary.h"
#include "domain/validate.h"
#include "domain/vault.h"
#include "schema_change.h"
#include "store/client_store.h"
#include "store/health_store.h"

#include "base/banned.h"

/* It may have to pass over a whole table. */
#define CALL_MS 10000
/* All pages of clients; with the calls before them below what preflight() gives this. */
#define PAGES_MS 20000
#define PAGE 500
#define NAMED_MAX 20 /* clients that have a line of their own */

static enum err exec(struct domain *domain, struct db_query *query)
{
	return db_exec(domain->db, query, clock_monotonic_ms() + CALL_MS);
}

/* @setting: what names the database. @ret_asked: there is one to ask more of. */
static enum err check_key(struct domain *domain, const char *setting, FILE *faults, FILE *warnings,
			  bool *ret_asked)
{
	enum err err;

	db_on_connect(domain->db, canary_look, domain->keyring);
	err = db_connect(domain->db, clock_monotonic_ms() + DB_CALL_MS);
	*ret_asked = !err;
	if (vault_is_closed(err)) {
		fprintf(faults, "SECRET_KEY: does not open what %s holds (%s): %s\n",
			strcmp(setting, "DATABASE_URL") ? setting : "this database",
			err_info(err)->code, err_info(err)->message);
		return ERR_CONFIG;
	}
	if (err)
		fprintf(warnings, "%s: the database cannot be asked whether it is ready: %s\n",
			setting,
			*db_last_error(domain->db) ? db_last_error(domain->db)
						   : db_failure(domain->db));
	return ERR_OK;
}

static enum err ask_tables(struct domain *domain, bool *ret_there)
{
	CLEANUP(db_query_release) struct db_query query;
	enum err err;

	tables_query(&query);
	err = exec(domain, &query);
	*ret_there = !err && db_bool(&query, 0, 0);
	return err;
}

/* @has_tables: without Sqitch's records they have to tell. */
static enum err check_migrations(struct domain *domain, bool has_tables, FILE *faults,
				 FILE *warnings)
{
	CLEANUP(db_query_release) struct db_query query;
	bool production = domain->config->environment == ENVIRONMENT_PRODUCTION;
	const char *pending;
	enum err err;

	schema_query(&query, SCHEMA_CHANGES);
	err = exec(domain, &query);
	if (err == ERR_DATABASE_UNAVAILABLE || (err && has_tables)) {
		fputs("the database does not tell which migrations are applied: sqitch.changes cannot be read\n",
		      warnings);
		return ERR_OK;
	}
	pending = err ? "all" : schema_pending(&query);
	if (!pending)
		return ERR_OK;
	fprintf(production ? faults : warnings,
		"the database: migrations are pending (%s); apply them with scripts/migrate deploy\n",
		pending);
	return production ? ERR_CONFIG : ERR_OK;
}

/* A line for each of the first ones in @page; counts them all. */
static void check_page(const struct db_query *page, FILE *faults, int64_t *count)
{
	for (int i = 0; i < db_rows(page); i++) {
		const char *fault = redirect_uri_fault(db_text(page, i, 1), true);

		if (fault && ++*count <= NAMED_MAX)
			fprintf(faults, "clients: the redirect_uri of client %" PRId64 " %s\n",
				db_int(page, i, 0), fault);
	}
}

static enum err check_redirect_uris(struct domain *domain, FILE *faults, FILE *warnings)
{
	int64_t deadline_ms = clock_monotonic_ms() + PAGES_MS;
	int64_t after = 0, count = 0;
	int rows;

	do {
		CLEANUP(db_query_release) struct db_query page;

		client_not_https_query(&page, after, PAGE);
		if (!clock_left_ms(deadline_ms) || exec(domain, &page)) {
			fputs("clients: whether every redirect_uri is https could not be asked\n",
			      warnings);
			break;
		}
		rows = db_rows(&page);
		check_page(&page, faults, &count);
		if (rows)
			after = db_int(&page, rows - 1, 0);
	} while (rows == PAGE);
	if (count > NAMED_MAX)
		fprintf(faults,
			"clients: %" PRId64
			" more have a redirect_uri that production does not take\n",
			count - NAMED_MAX);
	return count ? ERR_CONFIG : ERR_OK;
}

enum err preflight_database(struct domain *domain, FILE *faults, FILE *warnings)
{
	bool asked, has_tables;
	enum err err = check_key(domain, "DATABASE_URL", faults, warnings, &asked);
	enum err uris_err = ERR_OK;

	if (!asked)
		return err;
	if (ask_tables(domain, &has_tables)) {
		fputs("the database: whether it is migrated could not be asked\n", warnings);
		return ERR_OK;
	}
	err = check_migrations(domain, has_tables, faults, warnings);
	if (domain->config->environment == ENVIRONMENT_PRODUCTION && has_tables)
		uris_err = check_redirect_uris(domain, faults, warnings);
	return err ? err : uris_err;
}

enum err preflight_exchange_database(struct domain *domain, FILE *faults, FILE *warnings)
{
	bool asked, has_tables;
	enum err err = check_key(domain, "DATABASE_EXCHANGE_URL", faults, warnings, &asked);

	if (!asked)
		return err;
	if (ask_tables(domain, &has_tables)) {
		fputs("DATABASE_EXCHANGE_URL: whether it is migrated could not be asked\n",
		      warnings);
		return ERR_OK;
	}
	if (has_tables)
		return ERR_OK;
	fputs("DATABASE_EXCHANGE_URL: this database has not the service's tables; it has to lead to the one of DATABASE_URL\n",
	      faults);
	return ERR_CONFIG;
}
