#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "store/db_internal.h"

#include "base/banned.h"

/* From 1970 to 2000, from when PostgreSQL counts. */
#define EPOCH_2000_US (INT64_C(946684800) * 1000000)

void db_query_init(struct db_query *query, const struct db_stmt *stmt)
{
	*query = (struct db_query){ .stmt = stmt };
}

void db_query_release(struct db_query *query)
{
	if (!query->share)
		PQclear(query->result);
	else if (!--query->share->users) {
		PQclear(query->share->result);
		free(query->share);
	}
	free(query->failure);
	query->failure = NULL;
	query->result = NULL;
	query->share = NULL;
	query->first_row = 0;
}

static int next_param(struct db_query *query)
{
	/* A statement with more parameters than its query has room for is a mistake in the code. */
	if (query->nparams >= DB_PARAMS_MAX)
		abort();
	return query->nparams++;
}

void db_query_text(struct db_query *query, const char *value)
{
	query->values[next_param(query)] = value;
}

void db_query_int(struct db_query *query, int64_t value)
{
	int i = next_param(query);

	snprintf(query->numbers[i], sizeof(query->numbers[i]), "%" PRId64, value);
	query->values[i] = query->numbers[i];
}

void db_query_int_or_null(struct db_query *query, const int64_t *value)
{
	if (value)
		db_query_int(query, *value);
	else
		db_query_text(query, NULL);
}

void db_query_bool(struct db_query *query, bool value)
{
	db_query_text(query, value ? "t" : "f");
}

int db_rows(const struct db_query *query)
{
	return query->share ? query->rows : PQntuples(query->result);
}

bool db_is_null(const struct db_query *query, int row, int col)
{
	return PQgetisnull(query->result, query->first_row + row, col);
}

const char *db_text(const struct db_query *query, int row, int col)
{
	return db_is_null(query, row, col) ? NULL
					   : PQgetvalue(query->result, query->first_row + row, col);
}

/* Of two, four or eight bytes, the highest first. */
static int64_t integer(const char *data, int len)
{
	uint64_t value = (signed char)*data < 0 ? UINT64_MAX : 0;

	for (int i = 0; i < len; i++)
		value = value << 8 | (unsigned char)data[i];
	return (int64_t)value;
}

int64_t db_int(const struct db_query *query, int row, int col)
{
	const char *data = db_text(query, row, col);

	if (!data)
		return 0;
	return PQfformat(query->result, col)
		       ? integer(data, PQgetlength(query->result, query->first_row + row, col))
		       : strtoll(data, NULL, 10);
}

int64_t db_time(const struct db_query *query, int row, int col)
{
	int64_t value = db_int(query, row, col);

	if (db_is_null(query, row, col) || !PQfformat(query->result, col))
		return value;
	/* 'infinity' is the largest number. */
	return value > INT64_MAX - EPOCH_2000_US ? INT64_MAX : value + EPOCH_2000_US;
}

bool db_bool(const struct db_query *query, int row, int col)
{
	const char *data = db_text(query, row, col);

	return data && *data == (PQfformat(query->result, col) ? 1 : 't');
}
