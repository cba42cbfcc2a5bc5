#ifndef STORE_HEALTH_STORE_H
#define STORE_HEALTH_STORE_H

#include <stdbool.h>

#include "store/db.h"

/* Answers whenever the database does. */
void health_query(struct db_query *query);

/* One row, true where the migration @change is deployed. */
void schema_query(struct db_query *query, const char *change);
bool schema_is_deployed(const struct db_query *query);

#endif
