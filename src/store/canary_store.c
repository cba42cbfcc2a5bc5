#include "store/canary_store.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt CANARY = {
	.name = "canary", .nparams = 0, .ncols = 1, .effect = DB_READS,
	.sql = "SELECT sealed FROM secret_key_canary WHERE id = 1",
};

static const struct db_stmt CANARY_INSERT = {
	.name = "canary_insert", .nparams = 1, .ncols = 0, .effect = DB_WRITES,
	.sql = "INSERT INTO secret_key_canary (id, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING",
};
/* clang-format on */

void canary_query(struct db_query *query)
{
	db_query_init(query, &CANARY);
}

void canary_insert_query(struct db_query *query, const char *sealed)
{
	db_query_init(query, &CANARY_INSERT);
	db_query_text(query, sealed);
}
