#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/db_internal.h"

#include "base/banned.h"

/* What is sent comes back in this order. */
enum step_kind {
	STEP_PREPARE,
	STEP_EXECUTE,
	STEP_SYNC,
};

struct step {
	enum step_kind kind;
	struct db_query *query;
};

struct batch {
	struct step steps[DB_BATCH_MAX * 3 + 1];
	size_t count, done;
	size_t synced; /* steps before this one are committed, or failed */
	bool lost;     /* the connection is of no use any more */
};

/* Until a query has its answer; never seen by callers of db_run(). */
#define PENDING ERR_AGAIN

const struct db_stmt DB_BEGIN = { .name = "begin",
				  .sql = "BEGIN ISOLATION LEVEL READ COMMITTED",
				  .effect = DB_WRITES };
static const struct db_stmt DB_COMMIT = { .name = "commit", .sql = "COMMIT", .effect = DB_WRITES };
static const struct db_stmt DB_ROLLBACK = { .name = "rollback",
					    .sql = "ROLLBACK",
					    .effect = DB_WRITES };

static bool is_prepared(const struct db *db, const struct db_stmt *stmt)
{
	for (size_t i = 0; i < db->nprepared; i++) {
		if (db->prepared[i] == stmt)
			return true;
	}
	return false;
}

static void forget_prepared(struct db *db, const struct db_stmt *stmt)
{
	for (size_t i = 0; i < db->nprepared; i++) {
		if (db->prepared[i] == stmt)
			db->prepared[i] = db->prepared[--db->nprepared];
	}
}

static void add_step(struct batch *batch, enum step_kind kind, struct db_query *query)
{
	batch->steps[batch->count++] = (struct step){ .kind = kind, .query = query };
}

static bool send_prepared(struct db *db, struct batch *batch, struct db_query *query)
{
	const struct db_stmt *stmt = query->stmt;

	if (!is_prepared(db, stmt)) {
		if (db->nprepared == DB_PREPARED_MAX ||
		    !PQsendPrepare(db->conn, stmt->name, stmt->sql, stmt->nparams, NULL))
			return false;
		db->prepared[db->nprepared++] = stmt;
		add_step(batch, STEP_PREPARE, query);
	}
	return PQsendQueryPrepared(db->conn, stmt->name, stmt->nparams, query->values, NULL, NULL,
				   stmt->binary);
}

static bool send_query(struct db *db, struct batch *batch, struct db_query *query)
{
	const struct db_stmt *stmt = query->stmt;

	if (db->prepares ? !send_prepared(db, batch, query)
			 : !PQsendQueryParams(db->conn, stmt->sql, stmt->nparams, NULL,
					      query->values, NULL, NULL, stmt->binary))
		return false;
	query->sent = true;
	add_step(batch, STEP_EXECUTE, query);
	return true;
}

static bool send_sync(struct db *db, struct batch *batch)
{
	add_step(batch, STEP_SYNC, NULL);
	return PQpipelineSync(db->conn);
}

static void send_batch(struct db *db, struct batch *batch, struct db_query **queries, size_t count,
		       bool atomic)
{
	for (size_t i = 0; i < count && !batch->lost; i++) {
		if (queries[i]->err != PENDING)
			continue;
		db_query_release(queries[i]); /* of a round that was lost */
		batch->lost = !send_query(db, batch, queries[i]);
		if (!batch->lost && !atomic && queries[i]->stmt->effect == DB_WRITES)
			batch->lost = !send_sync(db, batch);
	}
	if (!batch->lost && batch->count && batch->steps[batch->count - 1].kind != STEP_SYNC)
		batch->lost = !send_sync(db, batch);
}

/* Errors that are about the connection or what is kept on it, not about the statement:
 * class 08 and 57P (connection, shutdown), a server that became read-only, and a prepared
 * statement that is gone or no longer fits its table. */
static bool is_connection_error(const char *sqlstate)
{
	return !strncmp(sqlstate, "08", 2) || !strncmp(sqlstate, "57P", 3) ||
	       !strcmp(sqlstate, "25006") || !strcmp(sqlstate, "26000") ||
	       !strcmp(sqlstate, "0A000");
}

static enum err error_of(const char *sqlstate)
{
	if (!strcmp(sqlstate, "23505"))
		return ERR_DB_CONFLICT;
	if (!strcmp(sqlstate, "23503"))
		return ERR_DB_NO_ROW;
	/* Both are set for waits on a lock: lock_timeout counts each lock of a queue anew. */
	if (!strcmp(sqlstate, "55P03") || !strcmp(sqlstate, "57014"))
		return ERR_DB_LOCKED;
	return ERR_INTERNAL;
}

static void set_failed(struct db *db, struct batch *batch, struct db_query *query,
		       const PGresult *result)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	/* FATAL and PANIC end the session, whatever their code. */
	if (!sqlstate || is_connection_error(sqlstate) ||
	    (severity && strcmp(severity, "ERROR") != 0)) {
		db_set_error(db, message ? message : PQresultErrorMessage(result));
		batch->lost = true;
		return;
	}
	db_set_failure(db, query, sqlstate, message);
	snprintf(query->sqlstate, sizeof(query->sqlstate), "%s", sqlstate);
	query->err = error_of(sqlstate);
	/* It waits for no lock: the server, or whoever runs it, had no time for it. */
	if (query->err == ERR_DB_LOCKED && query->stmt->effect == DB_READS)
		query->err = ERR_DATABASE_UNAVAILABLE;
}

/* The statements since the last sync are committed only now: until then a commit may fail. */
static void take_sync(struct batch *batch)
{
	for (size_t i = batch->synced; i < batch->done; i++) {
		struct db_query *query = batch->steps[i].query;

		if (batch->steps[i].kind == STEP_EXECUTE && query->result && query->err == PENDING)
			query->err = ERR_OK;
	}
	batch->synced = ++batch->done;
}

/* The commit itself failed: so did every statement since the last sync. */
static void fail_sync(struct db *db, struct batch *batch, const PGresult *result)
{
	for (size_t i = batch->synced; i < batch->done; i++) {
		struct db_query *query = batch->steps[i].query;

		if (batch->steps[i].kind != STEP_EXECUTE || !query->result)
			continue;
		db_query_release(query);
		set_failed(db, batch, query, result);
	}
}

/* Takes one result of the step that is due; @result is consumed. */
static void take_result(struct db *db, struct batch *batch, PGresult *result)
{
	struct step *step = &batch->steps[batch->done];
	struct db_query *query = step->query;

	switch (PQresultStatus(result)) {
	case PGRES_PIPELINE_SYNC:
		take_sync(batch);
		break;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		if (step->kind == STEP_EXECUTE) {
			query->result = result;
			return;
		}
		break;
	case PGRES_PIPELINE_ABORTED: /* a neighbour failed: stays PENDING */
		if (step->kind == STEP_PREPARE)
			forget_prepared(db, query->stmt);
		break;
	default:
		if (step->kind == STEP_PREPARE)
			forget_prepared(db, query->stmt);
		if (step->kind == STEP_SYNC)
			fail_sync(db, batch, result);
		else
			set_failed(db, batch, query, result);
	}
	PQclear(result);
}

static void receive_batch(struct db *db, struct batch *batch, int64_t deadline_ms)
{
	while (!batch->lost && batch->done < batch->count) {
		int unsent = PQflush(db->conn);

		while (!batch->lost && batch->done < batch->count && !PQisBusy(db->conn)) {
			PGresult *result = PQgetResult(db->conn);

			if (result)
				take_result(db, batch, result);
			else if (PQstatus(db->conn) == CONNECTION_BAD)
				batch->lost = true;
			else if (batch->steps[batch->done].kind != STEP_SYNC)
				batch->done++; /* NULL ends a statement's results */
		}
		if (batch->lost || batch->done == batch->count)
			break;
		if (unsent < 0 || db_wait(db, unsent ? POLLIN | POLLOUT : POLLIN, deadline_ms) ||
		    !PQconsumeInput(db->conn)) {
			if (!*db->last_error)
				db_set_error(db, PQerrorMessage(db->conn));
			batch->lost = true;
		}
	}
}

/* One round trip for all that is pending; false when the connection was lost in it. */
static bool run_once(struct db *db, struct db_query **queries, size_t count, bool atomic,
		     int64_t deadline_ms)
{
	struct batch batch = { 0 };

	db_set_error(db, "");
	send_batch(db, &batch, queries, count, atomic);
	receive_batch(db, &batch, deadline_ms);
	if (batch.lost) {
		/* One that only takes its time keeps what is locked. */
		if (!db->silent)
			db_note_away(db);
		db_close(db);
	}
	return !batch.lost;
}

static size_t count_pending(struct db_query **queries, size_t count)
{
	size_t pending = 0;

	for (size_t i = 0; i < count; i++)
		pending += queries[i]->err == PENDING;
	return pending;
}

static void begin(struct db_query **queries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		db_query_release(queries[i]);
		queries[i]->err = PENDING;
		queries[i]->sent = false;
	}
}

/* After a loss: a write that may have happened must not be sent again. */
static void give_up_writes(struct db_query **queries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct db_query *query = queries[i];

		if (query->err == PENDING && query->sent && query->stmt->effect == DB_WRITES)
			query->err = ERR_DATABASE_UNAVAILABLE;
	}
}

static void run_each(struct db *db, struct db_query **queries, size_t count, int64_t deadline_ms)
{
	bool lost_before = false;
	enum err err = ERR_DATABASE_UNAVAILABLE;

	begin(queries, count);
	/* Each further round has at least one query fewer, or follows the one loss that is forgiven. */
	while (count_pending(queries, count)) {
		if (clock_left_ms(deadline_ms) == 0)
			break;
		err = db_connect(db, deadline_ms);
		if (err)
			break;
		err = ERR_DATABASE_UNAVAILABLE;
		if (run_once(db, queries, count, false, deadline_ms))
			continue;
		give_up_writes(queries, count);
		if (lost_before)
			break;
		lost_before = true;
	}
	for (size_t i = 0; i < count; i++) {
		if (queries[i]->err == PENDING)
			queries[i]->err = err;
	}
}

void db_run(struct db *db, struct db_query **queries, size_t count, int64_t deadline_ms)
{
	struct db_gathering gathering;
	struct db_query *asked[DB_BATCH_MAX];
	size_t nasked = db_gather(&gathering, queries, count, asked);

	run_each(db, asked, nasked, deadline_ms);
	if (!db_spread(&gathering))
		run_each(db, gathering.members, gathering.count, deadline_ms);
	db_gathering_release(&gathering);
}

enum err db_exec(struct db *db, struct db_query *query, int64_t deadline_ms)
{
	db_run(db, &query, 1, deadline_ms);
	return query->err;
}

enum err db_exec_atomic(struct db *db, struct db_query **queries, size_t count, int64_t deadline_ms)
{
	bool begins = count && queries[0]->stmt == &DB_BEGIN;
	enum err err = ERR_OK;

	/* A BEGIN that met a dead connection has done nothing and may come again; later statements
	 * may not: a new connection would be a new transaction. */
	for (int attempt = 0; attempt < (begins ? 2 : 1); attempt++) {
		begin(queries, count);
		err = begins ? db_connect(db, deadline_ms) : ERR_OK;
		if (err || !db->conn)
			return err ? err : ERR_DATABASE_UNAVAILABLE;
		if (run_once(db, queries, count, true, deadline_ms) || !clock_left_ms(deadline_ms))
			break;
	}
	for (size_t i = 0; i < count; i++) {
		if (queries[i]->err == PENDING)
			queries[i]->err = ERR_DATABASE_UNAVAILABLE;
		/* What came after the first error was not run and says nothing. */
		if (!err)
			err = queries[i]->err;
	}
	return err;
}

enum err db_commit_after(struct db *db, struct db_query *last, int64_t deadline_ms)
{
	struct db_query commit;
	struct db_query *batch[2] = { last, &commit };
	enum err err;

	db_query_init(&commit, &DB_COMMIT);
	err = db_exec_atomic(db, last ? batch : batch + 1, last ? 2 : 1, deadline_ms);
	/* COMMIT of a transaction that has failed answers ROLLBACK, without an error. */
	if (!err && strcmp(PQcmdStatus(commit.result), "COMMIT") != 0)
		err = ERR_INTERNAL;
	db_query_release(&commit);
	return err;
}

void db_rollback(struct db *db)
{
	struct db_query query, *list = &query;

	if (!db->conn)
		return;
	db_query_init(&query, &DB_ROLLBACK);
	if (db_exec_atomic(db, &list, 1, clock_monotonic_ms() + DB_CALL_MS))
		db_close(db);
	db_query_release(&query);
}
