#ifndef STORE_DB_URL_H
#define STORE_DB_URL_H

#include <stdbool.h>

/*
 * May a connection to @url (db_url_is_valid()) go over a network without TLS? Hosts that are Unix
 * sockets or loopback are no network; libpq's environment variables (PGHOST, PGSSLMODE, …) count.
 * A host that stands in a service file is not seen, and taken for a remote one.
 */
bool db_url_may_be_plaintext(const char *url);

/* Is there a password in @url (db_url_is_valid()), or one of a key's file? */
bool db_url_has_password(const char *url);

#endif
