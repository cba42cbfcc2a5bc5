#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/envfile.h"
#include "base/environment.h"
#include "base/mem.h"
#include "base/origin.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include "base/banned.h"

enum option_type {
	TYPE_ENUM,
	TYPE_NUMBER,
	TYPE_ORIGINS,
	TYPE_SCOPE,
	TYPE_SECRET,
	TYPE_STRING,
	TYPE_URL,
};

struct option {
	const char *name;
	enum option_type type;
	size_t offset;
	int min, max;
	const char *fallback;       /* NULL: none */
	const char *const *choices; /* TYPE_ENUM: names of 0, 1, …, NULL */
	const char *help;
	bool required;
	bool is_database; /* TYPE_SECRET: in SQLAlchemy's spelling, too */
};

#define FIELD(field) offsetof(struct config, field)
#define OPT_DATABASE(name_, field, required_, help_)                                               \
	{                                                                                          \
		.name = #name_, .type = TYPE_SECRET, .offset = FIELD(field), .is_database = true,  \
		.required = (required_), .help = (help_)                                           \
	}
#define OPT_ENUM(name_, field, choices_, fallback_, help_)                                         \
	{                                                                                          \
		.name = #name_, .type = TYPE_ENUM, .offset = FIELD(field), .choices = (choices_),  \
		.fallback = (fallback_), .help = (help_)                                           \
	}
#define OPT_INT(name_, field, min_, max_, fallback_, help_)                                        \
	{                                                                                          \
		.name = #name_, .type = TYPE_NUMBER, .offset = FIELD(field), .min = (min_),        \
		.max = (max_), .fallback = #fallback_, .help = (help_)                             \
	}
#define OPT_MSEC OPT_INT
#define OPT_SECONDS OPT_INT
#define OPT_ORIGINS(name_, field, help_)                                                           \
	{                                                                                          \
		.name = #name_, .type = TYPE_ORIGINS, .offset = FIELD(field), .help = (help_)      \
	}
#define OPT_PER_CORE(name_, field, min_, max_, help_)                                              \
	{                                                                                          \
		.name = #name_, .type = TYPE_NUMBER, .offset = FIELD(field), .min = (min_),        \
		.max = (max_), .fallback = "one per core", .help = (help_)                         \
	}
#define OPT_SCOPE(name_, field, fallback_, help_)                                                  \
	{                                                                                          \
		.name = #name_, .type = TYPE_SCOPE, .offset = FIELD(field),                        \
		.fallback = (fallback_), .help = (help_)                                           \
	}
#define OPT_SECRET(name_, field, fallback_, help_)                                                 \
	{                                                                                          \
		.name = #name_, .type = TYPE_SECRET, .offset = FIELD(field),                       \
		.fallback = (fallback_), .help = (help_)                                           \
	}
#define OPT_STRING(name_, field, fallback_, help_)                                                 \
	{                                                                                          \
		.name = #name_, .type = TYPE_STRING, .offset = FIELD(field),                       \
		.fallback = (fallback_), .help = (help_)                                           \
	}
#define OPT_URL(name_, field, fallback_, help_)                                                    \
	{                                                                                          \
		.name = #name_, .type = TYPE_URL, .offset = FIELD(field), .fallback = (fallback_), \
		.help = (help_)                                                                    \
	}

static const char *const api_auths[] = { "off", "required", NULL };
static const char *const refuse_accept[] = { "refuse", "accept", NULL };
static const char *const environments[] = { "development", "production", NULL };
static const char *const off_on[] = { "off", "on", NULL };
static const char *const log_formats[] = { "json", "text", NULL };
static const char *const log_levels[] = { "DEBUG", "INFO", "WARNING", "ERROR", NULL };

/* clang-format off */
static const struct option options[] = {
	OPT_ORIGINS(ALLOWED_ORIGINS, allowed_origins,
		"origins whose pages may read answers, comma-separated, as https://app.example.com; '*' is none"),
	OPT_ENUM(API_AUTH, api_auth, api_auths, NULL,
		"whether callers need an API key; when unset required in production, off in development"),
	OPT_ENUM(API_AUTH_OFF_IN_PRODUCTION, api_auth_off_in_production, refuse_accept, "refuse",
		"accept: production may run with API_AUTH=off"),
	OPT_DATABASE(DATABASE_ADMIN_URL, database_admin_url, false,
		"the owner of the tables, for migrations and API keys; DATABASE_URL when unset"),
	OPT_DATABASE(DATABASE_EXCHANGE_URL, database_exchange_url, false,
		"where exchange workers and refreshers, whose transactions are long, reach the database; DATABASE_URL when unset"),
	OPT_ENUM(DATABASE_PLAINTEXT_IN_PRODUCTION, database_plaintext_in_production, refuse_accept, "refuse",
		"accept: production may reach a database on another host without TLS"),
	OPT_ENUM(DATABASE_PREPARED_STATEMENTS, database_prepared_statements, off_on, "on",
		"off: each statement is sent whole, for a pooler that cannot carry prepared ones (PgBouncer before 1.21)"),
	OPT_DATABASE(DATABASE_URL, database_url, true,
		"PostgreSQL: a libpq URL or keyword string; several hosts may be named"),
	OPT_PER_CORE(DATABASE_WORKERS, database_workers, 1, 64,
		"processes for calls that need only the database"),
	OPT_ENUM(ENVIRONMENT, environment, environments, "development",
		"production asks for https redirect URIs and refuses what is unsafe"),
	OPT_INT(EXCHANGE_WORKERS, exchange_workers, 1, 256, 16,
		"processes for calls that talk to the provider"),
	OPT_URL(GOOGLE_AUTH_URL, google_auth_url, "https://accounts.google.com/o/oauth2/v2/auth",
		"the provider's authorization endpoint"),
	OPT_STRING(GOOGLE_CA_FILE, google_ca_file, NULL,
		"PEM file of the authorities that may sign the provider's certificate; the system's when unset"),
	OPT_URL(GOOGLE_ISSUER, google_issuer, NULL,
		"what the callback's iss must be; the origin of GOOGLE_AUTH_URL when unset"),
	OPT_URL(GOOGLE_REVOKE_URL, google_revoke_url, "https://oauth2.googleapis.com/revoke",
		"the provider's revocation endpoint"),
	OPT_SCOPE(GOOGLE_SCOPE, google_scope, "business.manage",
		"what is asked for; a name without :// is taken as https://www.googleapis.com/auth/<name>"),
	OPT_MSEC(GOOGLE_TIMEOUT_MS, google_timeout_ms, 500, 60000, 10000,
		"milliseconds; the whole deadline of one call to the provider"),
	OPT_URL(GOOGLE_TOKEN_URL, google_token_url, "https://oauth2.googleapis.com/token",
		"the provider's token endpoint"),
	OPT_SECONDS(LOGIN_TICKET_TTL, login_ticket_ttl_s, 60, 2592000, 86400,
		"seconds; how long a login link with a ticket may be opened"),
	OPT_ENUM(LOG_FORMAT, log_format, log_formats, "json",
		"one JSON object a line, or text"),
	OPT_ENUM(LOG_LEVEL, log_level, log_levels, "INFO",
		"the least important events that are logged"),
	OPT_INT(PORT, port, 1, 65535, 8002,
		"where nginx listens"),
	OPT_INT(REFRESHERS, refreshers, 0, 64, 2,
		"processes that refresh tokens ahead of their readers; 0 leaves it to the readers"),
	OPT_SECONDS(REFRESH_AHEAD, refresh_ahead_s, 0, 3000, 300,
		"seconds before TOKEN_EXPIRY_BUFFER begins in which refreshers refresh"),
	OPT_MSEC(REFRESH_WAIT_MS, refresh_wait_ms, 100, 60000, 4500,
		"milliseconds; how long a caller of an expired token waits for its refresh"),
	OPT_SECRET(SECRET_KEY, secret_key, CONFIG_DEVELOPMENT_KEY,
		"what stored secrets are sealed under; no blanks or commas"),
	OPT_SECRET(SECRET_KEY_PREVIOUS, secret_key_previous, NULL,
		"comma list of further keys that open what was sealed under them"),
	OPT_SECONDS(STATE_TTL, state_ttl_s, 30, 86400, 600,
		"seconds; how long a login may take from its begin to its callback"),
	OPT_SECONDS(TOKEN_EXPIRY_BUFFER, token_expiry_buffer_s, 0, 3000, 300,
		"seconds before expiry in which a token is refreshed"),
	OPT_ENUM(VERIFY_WORKSPACE_EMAIL, verify_workspace_email, off_on, "off",
		"on: a consent counts only when it is given as the client's workspace_email"),
};
/* clang-format on */

/* Until it is known what it depends on. */
#define API_AUTH_UNSET (-1)

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static void *field(struct config *config, const struct option *opt)
{
	return (char *)config + opt->offset;
}

static int cores(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 64 ? 64 : (int)n;
}

static bool parse_number(const struct option *opt, const char *value, int *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || end == value || *end || n < opt->min || n > opt->max)
		return false;
	*ret = (int)n;
	return true;
}

static bool parse_enum(const struct option *opt, const char *value, int *ret)
{
	for (int i = 0; opt->choices[i]; i++) {
		if (!strcasecmp(opt->choices[i], value)) {
			*ret = i;
			return true;
		}
	}
	return false;
}

/* Sent bare, Google answers invalid_scope. */
static char *expand_scope(const char *value)
{
	CLEANUP(strbuf_release) struct strbuf out = STRBUF_INIT(4096);
	CLEANUP(mem_free_ptr) char *copy = mem_strdup(value);
	char *save = NULL;

	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		bool whole = strstr(s, "://") || !strcmp(s, "openid") || !strcmp(s, "email") ||
			     !strcmp(s, "profile");

		strbuf_printf(&out, "%s%s%s", out.len ? " " : "",
			      whole ? "" : "https://www.googleapis.com/auth/", s);
	}
	return strbuf_ok(&out) && out.len ? mem_strdup(out.data) : NULL;
}

static bool looks_like_url(const char *value)
{
	const char *host = !strncmp(value, "https://", 8)  ? value + 8
			   : !strncmp(value, "http://", 7) ? value + 7
							   : NULL;

	return host && *host && *host != '/' && !strpbrk(value, " \t\r\n\"<>#");
}

/* SQLAlchemy's spelling, which the service that this one replaces used. */
char *config_database_url(const char *value)
{
	static const char sqlalchemy[] = "postgresql+psycopg2://";
	CLEANUP(strbuf_release) struct strbuf url = STRBUF_INIT(8192);

	if (strncmp(value, sqlalchemy, sizeof(sqlalchemy) - 1) != 0)
		return mem_strdup(value);
	strbuf_printf(&url, "postgresql://%s", value + sizeof(sqlalchemy) - 1);
	return strbuf_ok(&url) ? mem_strdup(url.data) : NULL;
}

static void fault(FILE *faults, const struct option *opt, const char *value)
{
	fprintf(faults, "%s: ", opt->name);
	if (!value) {
		fprintf(faults, "is not set; it is needed: %s\n", opt->help);
		return;
	}
	if (opt->type != TYPE_SECRET)
		fprintf(faults, "'%s' is not allowed; ", value);
	switch (opt->type) {
	case TYPE_ENUM:
		fputs("allowed is", faults);
		for (int i = 0; opt->choices[i]; i++)
			fprintf(faults, "%s %s", i ? " or" : "", opt->choices[i]);
		fputc('\n', faults);
		break;
	case TYPE_NUMBER:
		fprintf(faults, "allowed is a whole number from %d to %d (default %s)\n", opt->min,
			opt->max, opt->fallback);
		break;
	case TYPE_URL:
		fputs("allowed is an absolute http:// or https:// URL without a fragment\n",
		      faults);
		break;
	default:
		fprintf(faults, "allowed is: %s\n", opt->help);
	}
}

/* Stores @value (NULL: unset and without default) into its field; false when it is wrong. */
static bool option_set(struct config *config, const struct option *opt, const char *value)
{
	CLEANUP(mem_free_ptr) char *url = NULL;
	char **text = field(config, opt);

	if (!value)
		return !opt->required;
	if (!utf8_valid(value, strlen(value), NULL))
		return false;
	switch (opt->type) {
	case TYPE_ENUM:
		return parse_enum(opt, value, field(config, opt));
	case TYPE_NUMBER:
		if (value == opt->fallback && *value == 'o') { /* "one per core" */
			*(int *)field(config, opt) = cores();
			return true;
		}
		return parse_number(opt, value, field(config, opt));
	case TYPE_SCOPE:
		*text = expand_scope(value);
		return *text != NULL;
	case TYPE_SECRET:
		if (opt->offset == FIELD(secret_key) && strpbrk(value, ", \t"))
			return false; /* it could not be named in SECRET_KEY_PREVIOUS */
		url = opt->is_database ? config_database_url(value) : mem_strdup(value);
		secret_set(field(config, opt), url);
		return url != NULL;
	case TYPE_URL:
		if (!looks_like_url(value))
			return false;
		*text = mem_strdup(value);
		return true;
	case TYPE_ORIGINS:
		if (!origins_valid(value))
			return false;
		*text = mem_strdup(value);
		return true;
	case TYPE_STRING:
		*text = mem_strdup(value);
		return true;
	}
	return false;
}

static void set_unless_set(struct secret *secret, const struct secret *fallback)
{
	if (!secret_is_set(secret) && secret_is_set(fallback))
		secret_set(secret, fallback->data);
}

enum err config_load(const char *env_file, FILE *faults, struct config *ret_config)
{
	return config_load_checked(env_file, NULL, faults, ret_config);
}

enum err config_load_checked(const char *env_file, config_check_fn *check, FILE *faults,
			     struct config *ret_config)
{
	CLEANUP(envfile_release) struct envfile file = { 0 };
	struct config config = { .api_auth = API_AUTH_UNSET };
	enum err err = ERR_OK;

	if (env_file && envfile_read(env_file, faults, &file))
		return ERR_CONFIG;
	for (size_t i = 0; i < OPTIONS; i++) {
		const char *value = environment_get(options[i].name);

		if (!value)
			value = envfile_get(&file, options[i].name);
		if (!value || !*value) /* empty means unset, as compose files write it */
			value = options[i].fallback;
		if (!option_set(&config, &options[i], value)) {
			fault(faults, &options[i], value);
			err = ERR_CONFIG;
		}
	}
	/* What depends on another option, which may itself be faulty. */
	if (config.api_auth == API_AUTH_UNSET)
		config.api_auth = config.environment == ENVIRONMENT_PRODUCTION ? API_AUTH_REQUIRED
									       : API_AUTH_OFF;
	set_unless_set(&config.database_admin_url, &config.database_url);
	set_unless_set(&config.database_exchange_url, &config.database_url);
	if (!config.google_issuer && config.google_auth_url)
		config.google_issuer = origin_of_url(config.google_auth_url);
	if (check && check(&config, env_file, faults))
		err = ERR_CONFIG;
	if (err) {
		config_release(&config);
		return err;
	}
	*ret_config = config;
	return ERR_OK;
}

void config_hide_secrets(void)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (options[i].type == TYPE_SECRET)
			environment_hide(options[i].name);
	}
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		switch (options[i].type) {
		case TYPE_SECRET:
			secret_release(field(config, &options[i]));
			break;
		case TYPE_ORIGINS:
		case TYPE_SCOPE:
		case TYPE_STRING:
		case TYPE_URL:
			free(*(char **)field(config, &options[i]));
			break;
		case TYPE_ENUM:
		case TYPE_NUMBER:
			break;
		}
	}
	*config = (struct config){ 0 };
}

void config_help(FILE *out)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		const struct option *opt = &options[i];

		fprintf(out, "  %-20s %s", opt->name, opt->help);
		if (opt->required)
			fputs(" (required)", out);
		else if (opt->fallback)
			fprintf(out, " (default %s)", opt->fallback);
		fputc('\n', out);
	}
}
