/*
 * What is stored sealed, and where: every secret column has its place here. A row is named by
 * what is known before it is written and never changes.
 */
#ifndef DOMAIN_VAULT_H
#define DOMAIN_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/seal.h"

enum vault_column {
	VAULT_ACCESS_TOKEN,  /* tokens.access_token of clients.id */
	VAULT_CANARY,        /* secret_key_canary.sealed of "1" */
	VAULT_CLIENT_SECRET, /* clients.client_secret of clients.branch_id */
	VAULT_CODE_VERIFIER, /* oauth_states.code_verifier of the state's hash in hexadecimal */
	/* tokens.refresh_token of clients.id; revocations.token keeps that place when it is copied,
	 * with the id in revocations.token_client_id */
	VAULT_REFRESH_TOKEN,
};

/* As seal() and unseal(). @row is borrowed. */
MUST_CHECK enum err vault_seal(const struct keyring *keyring, enum vault_column column,
			       const char *row, const char *plain, char **ret_text);
MUST_CHECK enum err vault_open(const struct keyring *keyring, enum vault_column column,
			       const char *row, const char *text, struct secret *ret_plain);

/* The same for a row that a number names. @plain of NULL is ERR_OK and leaves @ret_text alone. */
MUST_CHECK enum err vault_seal_id(const struct keyring *keyring, enum vault_column column,
				  int64_t id, const char *plain, char **ret_text);
MUST_CHECK enum err vault_open_id(const struct keyring *keyring, enum vault_column column,
				  int64_t id, const char *text, struct secret *ret_plain);

/* Is @err one of those by which a value does not open? What it was is kept until it does. */
bool vault_is_closed(enum err err);

#endif
