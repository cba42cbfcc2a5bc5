#include "domain/health.h"

#include "schema_change.h"
#include "store/health_store.h"

#include "base/banned.h"

void health_ask(struct db_query *query)
{
	health_query(query);
}

void readiness_ask(struct db_query *query)
{
	schema_query(query, SCHEMA_CHANGES);
}

bool readiness_answer(const struct db_query *query)
{
	return !query->err && !schema_pending(query);
}
