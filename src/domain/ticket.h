/*
 * Login tickets: who holds one may bind an account of the provider to one client, until it
 * expires or somebody has done so.
 *
 * A ticket is "<expiry>.<consent version>.<mac>": seconds since 1970, how many consents the client
 * had when it was made, and base64url of HMAC-SHA256 over client, expiry and version under a key
 * of its own, derived from SECRET_KEY.
 */
#ifndef DOMAIN_TICKET_H
#define DOMAIN_TICKET_H

#include <stdint.h>

#include "crypto/digest.h"
#include "crypto/keyring.h"

/* Room for the two numbers, their dots, and the mac. */
#define TICKET_SIZE (20 + 1 + 20 + 1 + BASE64URL_SIZE(SHA256_SIZE))

struct ticket {
	int64_t client_id; /* clients.id */
	int64_t expires_at_s;
	int64_t consent_version;
};

/* Writes @ticket, signed with the current key, into @ret_text (TICKET_SIZE bytes). */
MUST_CHECK enum err ticket_write(const struct keyring *keyring, const struct ticket *ticket,
				 char *ret_text);

/*
 * Reads @text as a ticket for client @client_id; any key of @keyring will do. Whether it has
 * expired or its consent version is still the client's is the caller's question.
 * ERR_LOGIN_TICKET_REQUIRED: it is none (NULL too), or not one of ours for this client.
 */
MUST_CHECK enum err ticket_read(const struct keyring *keyring, const char *text, int64_t client_id,
				struct ticket *ret_ticket);

#endif
