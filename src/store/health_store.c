#include "store/health_store.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt HEALTH = {
	.name = "health", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT 1",
};

static const struct db_stmt SCHEMA_DEPLOYED = {
	.name = "schema_deployed", .nparams = 1, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT EXISTS (SELECT FROM sqitch.changes WHERE project = 'token-service' AND change = $1)",
};
/* clang-format on */

void health_query(struct db_query *query)
{
	db_query_init(query, &HEALTH);
}

void schema_query(struct db_query *query, const char *change)
{
	db_query_init(query, &SCHEMA_DEPLOYED);
	db_query_text(query, change);
}

bool schema_is_deployed(const struct db_query *query)
{
	return db_rows(query) == 1 && db_bool(query, 0, 0);
}
