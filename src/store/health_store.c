#include "store/health_store.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt HEALTH = {
	.name = "health", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT 1",
};

static const struct db_stmt SCHEMA_PENDING = {
	.name = "schema_pending", .nparams = 1, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT string_agg(c.name, ', ' ORDER BY c.number) "
	       "FROM unnest(string_to_array($1, ' ')) WITH ORDINALITY AS c (name, number) "
	       "WHERE NOT EXISTS (SELECT FROM sqitch.changes "
	       "WHERE project = 'token-service' AND change = c.name)",
};

static const struct db_stmt TABLES = {
	.name = "tables", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT to_regclass('clients') IS NOT NULL",
};
/* clang-format on */

void health_query(struct db_query *query)
{
	db_query_init(query, &HEALTH);
}

void schema_query(struct db_query *query, const char *changes)
{
	db_query_init(query, &SCHEMA_PENDING);
	db_query_text(query, changes);
}

const char *schema_pending(const struct db_query *query)
{
	return db_text(query, 0, 0);
}

void tables_query(struct db_query *query)
{
	db_query_init(query, &TABLES);
}
