#include "cli/key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "domain/key.h"
#include "domain/settings.h"
#include "domain/validate.h"

#include "base/banned.h"

#define DAY_S INT64_C(86400)
#define EXPIRES_MAX_S (3650 * DAY_S)
#define TEXT_MAX 255

/* "90d", "12h", "30m", "45s" → seconds; false: none of these, or not from 1 s to 10 years. */
static bool parse_expires(const char *text, int64_t *ret_seconds)
{
	static const struct {
		const char *unit;
		int64_t seconds;
	} units[] = { { "d", DAY_S }, { "h", 3600 }, { "m", 60 }, { "s", 1 } };
	char *end;
	long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (errno || number < 1 || number > EXPIRES_MAX_S / units[i].seconds)
			return false;
		*ret_seconds = number * units[i].seconds;
		return true;
	}
	return false;
}

static bool is_text(const char *text)
{
	size_t chars = 0;

	return utf8_valid(text, strlen(text), &chars) && chars >= 1 && chars <= TEXT_MAX &&
	       !has_control_characters(text);
}

static bool complain(const char *what)
{
	fprintf(stderr, "token-service key create: %s\n", what);
	return false;
}

/* Says everything that is wrong, not only the first. */
static bool read_fields(const struct arguments *args, struct key_fields *fields)
{
	bool fetcher = args->role && !strcmp(args->role, "fetcher");
	bool good = true;

	*fields = (struct key_fields){ .role = args->role,
				       .label = args->label,
				       .branches = args->branches };
	if (!fetcher && (!args->role || strcmp(args->role, "admin") != 0))
		good = complain("--role must be admin or fetcher");
	if (!args->label || !is_text(args->label))
		good = complain(
			"--label must have 1 to 255 characters, none of them a control character");
	if (args->branches && !fetcher)
		good = complain("--branches is for fetchers: an admin key has every branch");
	else if (args->branches &&
		 (!is_text(args->branches) || !branch_id_is_plain(args->branches)))
		good = complain(
			"--branches must be a pattern such as 'acme-*' of 1 to 255 characters, without '/'");
	if (args->expires && !parse_expires(args->expires, &fields->expires_in_s))
		good = complain(
			"--expires must be a number of days (90d), hours (12h), minutes (30m) or "
			"seconds (45s), at most 3650d");
	return good;
}

/* A connection to the owner's database; NULL: the configuration has faults. */
static struct db *open_database(const struct arguments *args, struct config *config)
{
	return settings_load(args->env_file, stderr, config)
		       ? NULL
		       : db_new(config->database_admin_url.data);
}

static int close_database(struct db *db, struct config *config, enum err err)
{
	if (err == ERR_DATABASE_UNAVAILABLE)
		fprintf(stderr, "token-service: the database cannot be reached: %s\n",
			db_last_error(db));
	else if (err)
		fprintf(stderr, "token-service: the database refused: %s\n", db_failure(db));
	db_free(db);
	config_release(config);
	return err ? EXIT_FAILED : 0;
}

int key_create_run(const struct arguments *args)
{
	char key[KEY_SIZE], time[CLOCK_RFC3339_SIZE];
	struct key_fields fields;
	struct config config;
	struct db *db;
	int64_t id = 0, expires_at_us = 0;
	enum err err;

	if (!read_fields(args, &fields))
		return EXIT_USAGE;
	db = open_database(args, &config);
	if (!db)
		return EXIT_USAGE;
	err = key_create(db, &fields, key, &id, &expires_at_us);
	if (!err) {
		fprintf(stderr,
			"Key %" PRId64
			" (%s, %s) is good %s%s. This is the only time that it is shown:\n",
			id, fields.role, fields.label,
			expires_at_us ? "until " : "until it is revoked",
			expires_at_us ? clock_rfc3339(expires_at_us, time) : "");
		puts(key);
		explicit_bzero(key, sizeof(key));
	}
	return close_database(db, &config, err);
}

static const char *time_or(int64_t us, const char *otherwise, char *buf)
{
	return us ? clock_rfc3339(us, buf) : otherwise;
}

static void print_key(const struct key_list_row *row)
{
	char created[CLOCK_RFC3339_SIZE], expires[CLOCK_RFC3339_SIZE], used[CLOCK_RFC3339_SIZE];

	printf("%-6" PRId64 " %-8s %-8s %-27s %-27s %-27s %-16s %s\n", row->id, row->role,
	       row->state, clock_rfc3339(row->created_at_us, created),
	       time_or(row->expires_at_us, "never", expires),
	       time_or(row->last_used_at_us, "never", used), row->branches ? row->branches : "*",
	       row->label);
}

int key_list_run(const struct arguments *args)
{
	struct config config;
	struct db_query query;
	struct db *db = open_database(args, &config);
	enum err err;

	if (!db)
		return EXIT_USAGE;
	key_list_query(&query);
	err = db_exec(db, &query, clock_monotonic_ms() + DB_CALL_MS);
	if (!err)
		printf("%-6s %-8s %-8s %-27s %-27s %-27s %-16s %s\n", "ID", "ROLE", "STATE",
		       "CREATED", "EXPIRES", "LAST USED", "BRANCHES", "LABEL");
	for (int i = 0; !err && i < db_rows(&query); i++) {
		struct key_list_row row;

		key_list_row(&query, i, &row);
		print_key(&row);
	}
	db_query_release(&query);
	return close_database(db, &config, err);
}

int key_revoke_run(const struct arguments *args)
{
	const char *text = args->operand;
	int64_t id = strtoll(text, NULL, 10);
	bool revoked = false;
	struct config config;
	struct db *db;
	enum err err;

	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 18 || id < 1) {
		fprintf(stderr,
			"token-service key revoke: '%s' is no id; see token-service key list\n",
			text);
		return EXIT_USAGE;
	}
	db = open_database(args, &config);
	if (!db)
		return EXIT_USAGE;
	err = key_revoke(db, id, &revoked);
	if (err == ERR_NOT_FOUND) {
		fprintf(stderr, "token-service key revoke: there is no key %" PRId64 "\n", id);
		(void)close_database(db, &config, ERR_OK);
		return EXIT_FAILED;
	}
	if (!err)
		printf("key %" PRId64 " %s\n", id, revoked ? "is revoked" : "was revoked before");
	return close_database(db, &config, err);
}
