#include "domain/settings.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/key_strength.h"
#include "crypto/certificates.h"
#include "google/url.h"
#include "store/db.h"
#include "store/db_url.h"

#include "base/banned.h"

enum err settings_check_database(const char *name, const char *url, const struct config *config,
				 FILE *faults)
{
	if (!db_url_is_valid(url)) {
		fprintf(faults,
			"%s: is not allowed; allowed is a libpq URL (postgresql://…) or keyword string (host=… dbname=…)\n",
			name);
		return ERR_CONFIG;
	}
	if (config->environment != ENVIRONMENT_PRODUCTION ||
	    config->database_plaintext_in_production || !db_url_may_be_plaintext(url))
		return ERR_OK;
	fprintf(faults,
		"%s: does not insist on TLS towards another host; in production add sslmode=verify-full (or at least require), "
		"or, where nobody else is on that network, set DATABASE_PLAINTEXT_IN_PRODUCTION=accept\n",
		name);
	return ERR_CONFIG;
}

static enum err check_database(const char *name, const struct secret *value,
			       const struct config *config, FILE *faults)
{
	/* One that is not set was said already. */
	return value->data ? settings_check_database(name, value->data, config, faults) : ERR_OK;
}

/* The others are the first where they are not set: nothing is said twice. */
static enum err check_databases(const struct config *config, FILE *faults)
{
	enum err err = check_database("DATABASE_URL", &config->database_url, config, faults);

	if (!secret_equal(&config->database_admin_url, &config->database_url) &&
	    check_database("DATABASE_ADMIN_URL", &config->database_admin_url, config, faults))
		err = ERR_CONFIG;
	if (!secret_equal(&config->database_exchange_url, &config->database_url) &&
	    check_database("DATABASE_EXCHANGE_URL", &config->database_exchange_url, config, faults))
		err = ERR_CONFIG;
	return err;
}

static enum err check_ca_file(const struct config *config, FILE *faults)
{
	const char *path = config->google_ca_file;
	FILE *file = path ? fopen(path, "re") : NULL;

	if (!path)
		return ERR_OK;
	if (!file) {
		fprintf(faults, "GOOGLE_CA_FILE: '%s' cannot be read: %s\n", path, strerror(errno));
		return ERR_CONFIG;
	}
	fclose(file);
	if (certificates_load(path))
		return ERR_OK;
	fprintf(faults, "GOOGLE_CA_FILE: '%s' has no certificate (PEM)\n", path);
	return ERR_CONFIG;
}

static enum err check_api_auth(const struct config *config, FILE *faults)
{
	if (config->api_auth == API_AUTH_REQUIRED || config->api_auth_off_in_production)
		return ERR_OK;
	fputs("API_AUTH: 'off' lets everybody administer; production needs required, or, where something in front of it "
	      "decides who may call, API_AUTH_OFF_IN_PRODUCTION=accept\n",
	      faults);
	return ERR_CONFIG;
}

static enum err check_secret_key(const struct config *config, FILE *faults)
{
	const char *key = config->secret_key.data, *weakness;

	if (!key) /* said already */
		return ERR_OK;
	weakness = strcmp(key, CONFIG_DEVELOPMENT_KEY)
			   ? key_weakness(key)
			   : "is not set, or is the one that everybody knows";
	if (!weakness)
		return ERR_OK;
	fprintf(faults,
		"SECRET_KEY: %s; production needs 32 random characters at least: openssl rand -hex 32\n",
		weakness);
	return ERR_CONFIG;
}

static enum err check_url(const char *name, const char *text, FILE *faults)
{
	CLEANUP(url_release) struct url url = { 0 };

	if (!text || (!url_parse(text, &url) && (url.is_https || url_is_loopback(&url))))
		return ERR_OK;
	fprintf(faults,
		"%s: '%s' is not allowed; in production allowed is https (http only for localhost, 127.0.0.1 and [::1])\n",
		name, text);
	return ERR_CONFIG;
}

static enum err check_urls(const struct config *config, FILE *faults)
{
	const struct {
		const char *name, *url;
	} urls[] = {
		{ "GOOGLE_AUTH_URL", config->google_auth_url },
		{ "GOOGLE_ISSUER", config->google_issuer },
		{ "GOOGLE_REVOKE_URL", config->google_revoke_url },
		{ "GOOGLE_TOKEN_URL", config->google_token_url },
	};
	enum err err = ERR_OK;

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		if (check_url(urls[i].name, urls[i].url, faults))
			err = ERR_CONFIG;
	}
	return err;
}

/* Pipes, such as a service manager may hand over, have no place where others could find them. */
static enum err check_env_file(const char *path, FILE *faults)
{
	struct stat file;

	if (!path || stat(path, &file) || !S_ISREG(file.st_mode) ||
	    !(file.st_mode & (S_IWGRP | S_IWOTH | S_IROTH)))
		return ERR_OK;
	fprintf(faults,
		"%s: others may %s it; in production it has to be mode 0640 or less: chmod 600\n",
		path, file.st_mode & (S_IWGRP | S_IWOTH) ? "change" : "read");
	return ERR_CONFIG;
}

static enum err check(const struct config *config, const char *env_file, FILE *faults)
{
	enum err err = check_databases(config, faults);

	if (check_ca_file(config, faults))
		err = ERR_CONFIG;
	if (config->environment != ENVIRONMENT_PRODUCTION)
		return err;
	if (check_api_auth(config, faults))
		err = ERR_CONFIG;
	if (check_secret_key(config, faults))
		err = ERR_CONFIG;
	if (check_urls(config, faults))
		err = ERR_CONFIG;
	if (check_env_file(env_file, faults))
		err = ERR_CONFIG;
	return err;
}

enum err settings_load(const char *env_file, FILE *faults, struct config *ret_config)
{
	return config_load_checked(env_file, check, faults, ret_config);
}
