/*
 * Many queries of one statement, asked as one: what PostgreSQL and libpq do for a statement, to
 * begin it and to describe its columns, costs more than the row that a read is about.
 */
#include "base/json_out.h"
#include "base/mem.h"
#include "store/db_internal.h"

#include "base/banned.h"

/* Fewer are sooner done one by one (seen: at four it is the same). */
#define GATHER_MIN 6
#define VALUES_MAX (1024 * 1024)

/* The first that can be asked for many; NULL: none. */
static const struct db_stmt *find_stmt(struct db_query **queries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (queries[i]->stmt->of_many)
			return queries[i]->stmt;
	}
	return NULL;
}

static void put_values(struct db_gathering *gathering)
{
	struct json_out out = { .to = &gathering->values };

	json_out_begin_array(&out, NULL);
	for (size_t i = 0; i < gathering->count; i++)
		json_out_string(&out, NULL, gathering->members[i]->values[0]);
	json_out_end_array(&out);
}

size_t db_gather(struct db_gathering *gathering, struct db_query **queries, size_t count,
		 struct db_query **ret_queries)
{
	const struct db_stmt *stmt = find_stmt(queries, count);
	size_t others = 0;
	bool is_worth_it;

	gathering->count = 0;
	strbuf_init(&gathering->values, VALUES_MAX);
	db_query_init(&gathering->query, NULL);
	for (size_t i = 0; i < count; i++) {
		if (stmt && queries[i]->stmt == stmt)
			gathering->members[gathering->count++] = queries[i];
		else
			ret_queries[others++] = queries[i];
	}
	is_worth_it = stmt && gathering->count >= GATHER_MIN;
	if (is_worth_it)
		put_values(gathering);
	if (!is_worth_it || !strbuf_ok(&gathering->values)) {
		gathering->count = 0;
		for (size_t i = 0; i < count; i++)
			ret_queries[i] = queries[i];
		return count;
	}
	db_query_init(&gathering->query, stmt->of_many);
	db_query_text(&gathering->query, gathering->values.data);
	ret_queries[others++] = &gathering->query;
	return others;
}

/* Gives every member its row, or none. */
static void share_rows(struct db_gathering *gathering)
{
	struct db_query *query = &gathering->query;
	struct db_share *share = mem_alloc(sizeof(*share));
	int rows = db_rows(query);

	share->result = query->result;
	share->users = gathering->count;
	for (size_t i = 0; i < gathering->count; i++) {
		gathering->members[i]->result = share->result;
		gathering->members[i]->share = share;
		gathering->members[i]->rows = 0;
	}
	for (int row = 0; row < rows; row++) {
		int64_t place = db_int(query, row, query->stmt->ncols - 1);
		struct db_query *member = gathering->members[place - 1];

		member->first_row = row;
		member->rows = 1;
	}
	query->result = NULL;
}

bool db_spread(struct db_gathering *gathering)
{
	struct db_query *query = &gathering->query;

	/* One whose value PostgreSQL does not take must not fail the others. */
	if (query->err && *query->sqlstate)
		return false;
	for (size_t i = 0; i < gathering->count; i++) {
		db_query_release(gathering->members[i]);
		gathering->members[i]->err = query->err;
	}
	if (gathering->count && !query->err)
		share_rows(gathering);
	return true;
}

void db_gathering_release(struct db_gathering *gathering)
{
	db_query_release(&gathering->query);
	strbuf_release(&gathering->values);
}
