#ifndef STORE_HEALTH_STORE_H
#define STORE_HEALTH_STORE_H

#include "store/db.h"

/* Answers whenever the database does. */
void health_query(struct db_query *query);

/* Which of @changes (names with a blank between them) is not deployed? Fails where Sqitch's tables
 * are not there, or not under the name that scripts/migrate gives them. */
void schema_query(struct db_query *query, const char *changes);
/* Their names, with commas, borrowed from the query; NULL: none. */
const char *schema_pending(const struct db_query *query);

/* One row, true: the tables of the first migration are there. Never fails for their lack. */
void tables_query(struct db_query *query);

#endif
