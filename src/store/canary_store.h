/*
 * The secret_key_canary table: one value, sealed under the key that sealed everything else.
 */
#ifndef STORE_CANARY_STORE_H
#define STORE_CANARY_STORE_H

#include "store/db.h"

/* No row or one: the sealed text. */
void canary_query(struct db_query *query);
/* Stores @sealed where there is none yet. */
void canary_insert_query(struct db_query *query, const char *sealed);

#endif
