#include "domain/vault.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/banned.h"

#define ID_SIZE 24

static struct seal_place place_of(enum vault_column column, const char *row)
{
	static const struct seal_place places[] = {
		[VAULT_ACCESS_TOKEN] = { .table = "tokens", .column = "access_token" },
		[VAULT_CANARY] = { .table = "secret_key_canary", .column = "sealed" },
		[VAULT_CLIENT_SECRET] = { .table = "clients", .column = "client_secret" },
		[VAULT_CODE_VERIFIER] = { .table = "oauth_states", .column = "code_verifier" },
		[VAULT_REFRESH_TOKEN] = { .table = "tokens", .column = "refresh_token" },
	};
	struct seal_place place = places[column];

	place.row = row;
	return place;
}

enum err vault_seal(const struct keyring *keyring, enum vault_column column, const char *row,
		    const char *plain, char **ret_text)
{
	struct seal_place place = place_of(column, row);

	return seal(keyring, &place, plain, ret_text);
}

enum err vault_open(const struct keyring *keyring, enum vault_column column, const char *row,
		    const char *text, struct secret *ret_plain)
{
	struct seal_place place = place_of(column, row);

	return unseal(keyring, &place, text, ret_plain);
}

enum err vault_seal_id(const struct keyring *keyring, enum vault_column column, int64_t id,
		       const char *plain, char **ret_text)
{
	char row[ID_SIZE];

	if (!plain)
		return ERR_OK;
	snprintf(row, sizeof(row), "%" PRId64, id);
	return vault_seal(keyring, column, row, plain, ret_text);
}

enum err vault_open_id(const struct keyring *keyring, enum vault_column column, int64_t id,
		       const char *text, struct secret *ret_plain)
{
	char row[ID_SIZE];

	snprintf(row, sizeof(row), "%" PRId64, id);
	return vault_open(keyring, column, row, text, ret_plain);
}

bool vault_is_closed(enum err err)
{
	return err == ERR_SECRET_KEY_UNKNOWN || err == ERR_SEALED_VALUE_DAMAGED ||
	       err == ERR_SEALED_VALUE_MALFORMED;
}
