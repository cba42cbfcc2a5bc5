#ifndef DOMAIN_HEALTH_H
#define DOMAIN_HEALTH_H

#include <stdbool.h>

#include "domain/domain.h"

void health_ask(struct db_query *query);
/* Is the database there and migrated as far as this program needs? */
void readiness_ask(struct db_query *query);
bool readiness_answer(const struct db_query *query);

#endif
