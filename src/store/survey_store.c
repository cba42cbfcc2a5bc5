#include "store/survey_store.h"

#include "base/clock.h"
#include "store/sql.h"

#include "base/banned.h"

/* SQL reads better as it was written. */
/* clang-format off */
static const struct db_stmt SURVEY_SETTINGS = {
	.name = "survey_settings", .nparams = 1, .ncols = 1, .effect = DB_WRITES,
	.sql = "SELECT set_config('statement_timeout', $1, true)",
};

/* One pass over each table: clients are not joined, but for the few that are switched off. Writes
 * nothing, but must be sent once. */
static const struct db_stmt SURVEY = {
	.name = "survey", .nparams = 1, .ncols = 11, .effect = DB_WRITES,
	.sql = "WITH off AS MATERIALIZED (SELECT id FROM clients WHERE NOT is_active), "
	       "t AS (SELECT t.is_revoked, t.is_valid, t.expires_at, t.refresh_failures, t.refresh_failing_since "
	       "FROM tokens t WHERE NOT EXISTS (SELECT FROM off WHERE off.id = t.client_id)), "
	       "n AS (SELECT count(*) AS rows, "
	       "count(*) FILTER (WHERE is_revoked) AS revoked, "
	       "count(*) FILTER (WHERE NOT is_revoked AND NOT is_valid) AS dead, "
	       "count(*) FILTER (WHERE NOT is_revoked AND is_valid AND expires_at <= now()) AS expired, "
	       "count(*) FILTER (WHERE NOT is_revoked AND is_valid AND expires_at > now() "
	       "AND expires_at <= now() + $1::bigint * interval '1 second') AS expiring, "
	       "min(expires_at) FILTER (WHERE NOT is_revoked AND is_valid AND expires_at > now()) AS nearest, "
	       "count(*) FILTER (WHERE NOT is_revoked AND is_valid AND refresh_failures > 0) AS failing, "
	       "min(refresh_failing_since) FILTER (WHERE NOT is_revoked AND is_valid AND refresh_failures > 0) AS failing_since "
	       "FROM t) "
	       "SELECT (SELECT count(*) FROM clients) - (SELECT count(*) FROM off) - rows, "
	       "rows - revoked - dead - expired - expiring, expiring, expired, dead, revoked, "
	       "(SELECT count(*) FROM off), COALESCE(" SQL_US("nearest - now()") ", -1), failing, "
	       "COALESCE(greatest(" SQL_US("now() - failing_since") ", 0), 0), (SELECT count(*) FROM revocations) FROM n",
};
/* clang-format on */

enum err survey_read(struct db *db, int buffer_s, int limit_ms, struct survey_row *ret_row)
{
	CLEANUP(db_query_release) struct db_query begin;
	CLEANUP(db_query_release) struct db_query settings;
	CLEANUP(db_query_release) struct db_query query;
	struct db_query *batch[] = { &begin, &settings, &query };
	enum err err;

	db_query_init(&begin, &DB_BEGIN);
	db_query_init(&settings, &SURVEY_SETTINGS);
	db_query_int(&settings, limit_ms);
	db_query_init(&query, &SURVEY);
	db_query_int(&query, buffer_s);
	err = db_exec_atomic(db, batch, 3, clock_monotonic_ms() + limit_ms + DB_CALL_MS);
	if (!err)
		*ret_row = (struct survey_row){
			.none = db_int(&query, 0, 0),
			.valid = db_int(&query, 0, 1),
			.expiring = db_int(&query, 0, 2),
			.expired = db_int(&query, 0, 3),
			.reauthorization_required = db_int(&query, 0, 4),
			.revoked = db_int(&query, 0, 5),
			.inactive_clients = db_int(&query, 0, 6),
			.nearest_expiry_us = db_int(&query, 0, 7),
			.failing = db_int(&query, 0, 8),
			.oldest_failing_us = db_int(&query, 0, 9),
			.pending_revocations = db_int(&query, 0, 10),
		};
	db_rollback(db);
	return err;
}
