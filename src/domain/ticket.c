#include "domain/ticket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/mac.h"

#include "base/banned.h"

static const char LABEL[] = "login ticket";

/* What is signed: three numbers of at most 20 characters. */
#define SIGNED_SIZE 64

static void signed_text(const struct ticket *ticket, char *ret_text)
{
	snprintf(ret_text, SIGNED_SIZE, "%" PRId64 ".%" PRId64 ".%" PRId64, ticket->client_id,
		 ticket->expires_at_s, ticket->consent_version);
}

enum err ticket_write(const struct keyring *keyring, const struct ticket *ticket, char *ret_text)
{
	char text[SIGNED_SIZE], mac_text[BASE64URL_SIZE(MAC_SIZE)];
	unsigned char mac[MAC_SIZE];
	enum err err;

	signed_text(ticket, text);
	err = mac_sign(keyring, KEYRING_CURRENT, LABEL, text, mac);
	if (err)
		return err;
	base64url_encode(mac, sizeof(mac), mac_text);
	snprintf(ret_text, TICKET_SIZE, "%" PRId64 ".%" PRId64 ".%s", ticket->expires_at_s,
		 ticket->consent_version, mac_text);
	return ERR_OK;
}

/* The number that *@text begins with, which moves behind the dot that ends it. As it was written:
 * zeros before it would make another text of the same ticket. */
static bool read_number(const char **text, int64_t *ret_number)
{
	size_t len = strspn(*text, "0123456789");

	if (!len || len > 19 || (*text)[len] != '.' || (len > 1 && **text == '0'))
		return false;
	errno = 0;
	*ret_number = strtoll(*text, NULL, 10);
	*text += len + 1;
	return !errno;
}

enum err ticket_read(const struct keyring *keyring, const char *text, int64_t client_id,
		     struct ticket *ret_ticket)
{
	struct ticket ticket = { .client_id = client_id };
	unsigned char mac[BASE64URL_BYTES(TICKET_SIZE)];
	char good[SIGNED_SIZE];
	size_t len = 0;
	enum err err;

	if (!text || strlen(text) >= TICKET_SIZE || !read_number(&text, &ticket.expires_at_s) ||
	    !read_number(&text, &ticket.consent_version) || !base64url_decode(text, mac, &len) ||
	    len != MAC_SIZE)
		return ERR_LOGIN_TICKET_REQUIRED;
	signed_text(&ticket, good);
	err = mac_verify(keyring, LABEL, good, mac);
	if (err)
		return err == ERR_FORBIDDEN ? ERR_LOGIN_TICKET_REQUIRED : err;
	*ret_ticket = ticket;
	return ERR_OK;
}
