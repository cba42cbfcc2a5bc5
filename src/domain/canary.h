/*
 * Is the configured key the one that this database's values are sealed under? Asked of one value
 * that is sealed for nothing else, before anything is served.
 */
#ifndef DOMAIN_CANARY_H
#define DOMAIN_CANARY_H

#include "crypto/keyring.h"
#include "store/db.h"

/*
 * For db_on_connect(): @keyring opens the canary, which is made where there is none. A database
 * whose tables are older than the canary has nothing to ask. ERR_SECRET_KEY_UNKNOWN,
 * ERR_SEALED_VALUE_DAMAGED, ERR_SEALED_VALUE_MALFORMED, or the database's.
 */
MUST_CHECK enum err canary_check(void *keyring, struct db *db, int64_t deadline_ms);
/* The same, and makes none. */
MUST_CHECK enum err canary_look(void *keyring, struct db *db, int64_t deadline_ms);

#endif
