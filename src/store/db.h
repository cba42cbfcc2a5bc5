/*
 * One connection to PostgreSQL; with the other files of this folder the only user of libpq.
 *
 * Statements go out in pipeline mode: a batch shares one round trip. Every wait has a
 * deadline; one that passes gives the connection up. A lost connection is opened again by the
 * next call, after a backoff, and what only read is sent once more.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alarm.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/metrics.h"

#define DB_CALL_MS 1500 /* a call that waits for no lock gives up after this */
#define DB_PARAMS_MAX 16
#define DB_BATCH_MAX 128

/* How an error in one statement reaches others of its batch, and what may be sent twice. */
enum db_effect {
	DB_READS,  /* shares a sync; sent again when the connection is lost or a neighbour fails */
	DB_WRITES, /* a sync of its own; sent once */
};

struct db_stmt {
	const char *name; /* of the prepared statement, unique */
	const char *sql;
	int nparams;
	int ncols;
	enum db_effect effect;
	bool binary; /* its results come as PostgreSQL has them: no digits to make, none to read */
	/* The same for many values of its one parameter: of a JSON array of them it gives at most one
	 * row each, with the value's place in the array, from 1, as its last column. NULL: there is none. */
	const struct db_stmt *of_many;
	bool takes_long; /* looks at many rows: others should not wait for it */
	bool for_owner;  /* of the tables, with DATABASE_ADMIN_URL: the workers may not run it */
};

/* A statement with its parameters, then its result. Text parameters are borrowed until the run;
 * numbers are kept inside, so that a query must not be copied once it has parameters. */
struct db_query {
	const struct db_stmt *stmt; /* NULL: nothing to ask */
	int nparams;                /* bound so far */
	const char *values[DB_PARAMS_MAX];
	char numbers[DB_PARAMS_MAX][24];

	enum err err;
	char sqlstate[6];       /* of the error; "" when it was none of PostgreSQL's */
	char *failure;          /* of the statement, for the log: as db_failure(); NULL: none */
	void *result;           /* PGresult */
	struct db_share *share; /* whose result it is; NULL: its own */
	int first_row, rows;    /* of a shared result: which are this query's */
	bool sent;              /* it reached the connection: a write may have happened */
};

void db_query_init(struct db_query *query, const struct db_stmt *stmt);
void db_query_release(struct db_query *query);
void db_query_text(struct db_query *query, const char *value); /* NULL is NULL */
void db_query_int(struct db_query *query, int64_t value);
void db_query_int_or_null(struct db_query *query, const int64_t *value); /* NULL is NULL */
void db_query_bool(struct db_query *query, bool value);

/* The result of a run without error. */
int db_rows(const struct db_query *query);
/* Column @col of row @row; text is borrowed until db_query_release(), NULL for NULL. */
const char *db_text(const struct db_query *query, int row, int col);
int64_t db_int(const struct db_query *query, int row, int col); /* 0 for NULL */
bool db_bool(const struct db_query *query, int row, int col);   /* false for NULL */
/* A timestamptz of a .binary statement, or what SQL_US() made of one: microseconds since 1970. */
int64_t db_time(const struct db_query *query, int row, int col); /* 0 for NULL */
bool db_is_null(const struct db_query *query, int row, int col);

struct db;

/* Is @url a libpq URL or keyword string? Says nothing of why not: that may hold its password. */
bool db_url_is_valid(const char *url);

/* @url is borrowed. Does not connect. */
struct db *db_new(const char *url);
/* For connections from now on, unless @url has one. Borrowed; NULL: none. */
void db_set_password(struct db *db, const char *password);
/* false: statements are sent whole each time, for a pooler between here and the server that does
 * not carry prepared ones from one of its connections to another. true at first. */
void db_set_prepares(struct db *db, bool prepares);
void db_free(struct db *db);

/*
 * Asks something of every new connection, over @db, before anything else runs there. Not ERR_OK:
 * the connection is closed, and calls have that error until one is good.
 */
typedef enum err db_connect_fn(void *arg, struct db *db, int64_t deadline_ms);
/* @arg is borrowed. */
void db_on_connect(struct db *db, db_connect_fn *fn, void *arg);
/* What it said of the last connection; ERR_OK: nothing against it. */
enum err db_refusal(const struct db *db);

/* Counts connections that are opened again, or cannot be. Borrowed; NULL: nothing is counted. */
void db_set_metrics(struct db *db, struct metrics *metrics);

/* What all who share it know of the server, monotonic; zero at the begin. */
struct db_presence {
	_Atomic int64_t away_ms; /* when somebody saw last that it was not there, or went */
	_Atomic int64_t
		back_ms; /* when somebody had a connection again, the first time after that */
};

/* @presence: borrowed; NULL: nobody wants to know. */
void db_set_presence(struct db *db, struct db_presence *presence);
/* For what must not be lost: the next attempt to connect is made at once. */
void db_skip_backoff(struct db *db);

/* Was the connection lost, or could it not be made, and is there none since? */
bool db_is_lost(const struct db *db);
/* The socket, to poll for a server that goes away while nothing is asked; -1 without one. */
int db_fd(const struct db *db);
/* Call when db_fd() is readable between runs: notices that the server closed. */
void db_check(struct db *db);
/* Opens the connection if need be and the backoff allows it. */
MUST_CHECK enum err db_connect(struct db *db, int64_t deadline_ms);
/* Rings also while this connection waits; NULL: none. Borrowed. */
void db_set_alarm(struct db *db, struct alarm *alarm);
/* What statements failed with since db_clear_failure(), for the log: "statement: SQLSTATE message". */
const char *db_failure(const struct db *db);
void db_clear_failure(struct db *db);
/* What the last failed connection attempt or lost connection said, for the log; "" for nothing. */
const char *db_last_error(const struct db *db);

/*
 * Runs @count independent queries (at most DB_BATCH_MAX) in one round trip, many of one statement
 * as one of its .of_many, and sets each one's err: ERR_OK; what db_on_connect()'s function said;
 * ERR_DATABASE_UNAVAILABLE: no answer by @deadline_ms (monotonic), none but that it was cancelled,
 * or no connection; ERR_DB_CONFLICT, ERR_DB_LOCKED; ERR_DB_NO_ROW: a foreign key met no row;
 * ERR_INTERNAL: the statement failed, see sqlstate.
 */
void db_run(struct db *db, struct db_query **queries, size_t count, int64_t deadline_ms);

/* The same for one; returns its err. */
MUST_CHECK enum err db_exec(struct db *db, struct db_query *query, int64_t deadline_ms);

/*
 * Runs @queries as the next statements of a transaction in one round trip: none is sent twice,
 * and the first error ends the transaction (db_rollback()). Returns the first error.
 */
MUST_CHECK enum err db_exec_atomic(struct db *db, struct db_query **queries, size_t count,
				   int64_t deadline_ms);

/* BEGIN, to stand first in a db_exec_atomic(). */
extern const struct db_stmt DB_BEGIN;
/* Runs @last (NULL: nothing) and commits, in one round trip. ERR_DATABASE_UNAVAILABLE: it is
 * unknown whether the transaction took effect. */
MUST_CHECK enum err db_commit_after(struct db *db, struct db_query *last, int64_t deadline_ms);
/* Never fails: a connection that cannot roll back is closed, which does the same. */
void db_rollback(struct db *db);

#endif
