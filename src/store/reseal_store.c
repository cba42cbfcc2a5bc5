#include "store/reseal_store.h"

#include "base/banned.h"

struct column {
	const char *name;
	struct db_stmt page, count, replace;
};

#define ID "COALESCE(NULLIF($1::text, '')::bigint, 0)"
#define HASH "decode($1::text, 'hex')"

/* The old value is compared, so that nothing is written over that came meanwhile; a row that a
 * refresh holds is passed over, so that neither waits for the other. */
/* clang-format off */
#define COLUMN(table, value, key, key_text, given, row, owner)                                      \
	{                                                                                          \
		.name = table "." value,                                                           \
		.page = { .name = "reseal_page_" table "_" value, .nparams = 3, .ncols = 3,        \
			  .effect = DB_READS,                                                      \
			  .sql = "SELECT " key_text ", " row ", " value " FROM " table             \
				 " WHERE " key " > " given " AND " value " NOT LIKE $2 "           \
				 "ORDER BY " key " LIMIT $3::bigint" },                            \
		.count = { .name = "reseal_count_" table "_" value, .nparams = 1, .ncols = 1,      \
			   .effect = DB_READS,                                                     \
			   .sql = "SELECT count(*) FROM " table " WHERE " value " LIKE $1" },      \
		.replace = { .name = "reseal_" table "_" value, .nparams = 3, .ncols = 1,          \
			     .effect = DB_WRITES, .for_owner = (owner),                             \
			     .sql = "UPDATE " table " SET " value " = $3 WHERE " key               \
				    " = (SELECT " key " FROM " table " WHERE " key " = " given     \
				    " AND " value " = $2 FOR UPDATE SKIP LOCKED) RETURNING 1" },   \
	}
/* clang-format on */

static const struct column columns[RESEAL__COUNT] = {
	[RESEAL_CLIENT_SECRET] =
		COLUMN("clients", "client_secret", "id", "id::text", ID, "branch_id", false),
	[RESEAL_ACCESS_TOKEN] =
		COLUMN("tokens", "access_token", "id", "id::text", ID, "client_id::text", false),
	[RESEAL_REFRESH_TOKEN] =
		COLUMN("tokens", "refresh_token", "id", "id::text", ID, "client_id::text", false),
	[RESEAL_CODE_VERIFIER] =
		COLUMN("oauth_states", "code_verifier", "state_hash", "encode(state_hash, 'hex')",
		       HASH, "encode(state_hash, 'hex')", false),
	[RESEAL_REVOCATION] = COLUMN("revocations", "token", "id", "id::text", ID,
				     "token_client_id::text", false),
	[RESEAL_CANARY] =
		COLUMN("secret_key_canary", "sealed", "id", "id::text", ID, "id::text", true),
};

const char *reseal_column_name(enum reseal_column column)
{
	return columns[column].name;
}

void reseal_page_query(struct db_query *query, enum reseal_column column, const char *after,
		       const char *like, int limit)
{
	db_query_init(query, &columns[column].page);
	db_query_text(query, after);
	db_query_text(query, like);
	db_query_int(query, limit);
}

void reseal_row(const struct db_query *query, int row, struct reseal_row *ret_row)
{
	*ret_row = (struct reseal_row){
		.key = db_text(query, row, 0),
		.row = db_text(query, row, 1),
		.value = db_text(query, row, 2),
	};
}

void reseal_count_query(struct db_query *query, enum reseal_column column, const char *like)
{
	db_query_init(query, &columns[column].count);
	db_query_text(query, like);
}

void reseal_replace_query(struct db_query *query, enum reseal_column column,
			  const struct reseal_row *row, const char *sealed)
{
	db_query_init(query, &columns[column].replace);
	db_query_text(query, row->key);
	db_query_text(query, row->value);
	db_query_text(query, sealed);
}
