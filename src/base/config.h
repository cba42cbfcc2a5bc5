/*
 * The configuration: environment variables, and the same names from an environment file.
 * The environment wins. One table in config.c is the list of options.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"

enum environment {
	ENVIRONMENT_DEVELOPMENT,
	ENVIRONMENT_PRODUCTION,
};

enum api_auth {
	API_AUTH_OFF,
	API_AUTH_REQUIRED,
};

/* SECRET_KEY where none is set: known to everybody, so that development has no other way than
 * production. */
#define CONFIG_DEVELOPMENT_KEY "development-only-secret-key"

struct config {
	char *allowed_origins;                /* as given; NULL: none. nginx is who uses it */
	int api_auth;                         /* enum api_auth */
	int api_auth_off_in_production;       /* boolean */
	struct secret database_admin_url;     /* database_url when it is unset */
	struct secret database_exchange_url;  /* database_url when it is unset */
	int database_plaintext_in_production; /* boolean */
	int database_prepared_statements;     /* boolean */
	struct secret database_url;           /* holds a password */
	int database_workers;
	int environment; /* enum environment */
	int exchange_workers;
	char *google_auth_url;
	char *google_ca_file; /* NULL: the system's */
	char *google_issuer;  /* NULL until config_load(): then the origin of google_auth_url */
	char *google_revoke_url;
	char *google_scope; /* space-separated, every one in full */
	int google_timeout_ms;
	char *google_token_url;
	int log_format; /* enum log_format */
	int log_level;  /* enum log_level */
	int login_ticket_ttl_s;
	int port;
	int refresh_ahead_s;
	int refresh_wait_ms;
	int refreshers;
	struct secret secret_key;          /* never unset */
	struct secret secret_key_previous; /* comma list; unset: none */
	int state_ttl_s;
	int token_expiry_buffer_s;
	int verify_workspace_email; /* boolean */
};

/*
 * Reads the environment, and under it @env_file (NULL: none), into @ret_config.
 * ERR_CONFIG: at least one fault; each was written to @faults as a line that names the
 * variable, what is wrong and what is allowed, and never a secret's value.
 * @ret_config is released with config_release() on success only.
 */
MUST_CHECK enum err config_load(const char *env_file, FILE *faults, struct config *ret_config);
/*
 * @config as it was read, in which the fields of faulty options are unset: the further faults are
 * written to @faults, as above, and make it ERR_CONFIG.
 */
typedef enum err config_check_fn(const struct config *config, const char *env_file, FILE *faults);

/* The same; @check's faults come with the others. */
MUST_CHECK enum err config_load_checked(const char *env_file, config_check_fn *check, FILE *faults,
					struct config *ret_config);
void config_release(struct config *config);

/* Takes the secrets out of the process's environment, where others could read them; config_load()
 * still finds them. */
void config_hide_secrets(void);

/* Writes every option with its default and meaning, for --help. */
void config_help(FILE *out);

/* @url as libpq takes it: SQLAlchemy's postgresql+psycopg2:// is put right. Freed by the caller;
 * NULL: it is too long. */
char *config_database_url(const char *url);

#endif
