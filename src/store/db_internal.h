/*
 * What db.c (the connection) and db_pipeline.c (batches over it) share.
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include <libpq-fe.h>

#include "store/db.h"

#define DB_PREPARED_MAX 64

struct db {
	PGconn *conn; /* NULL while there is none; in pipeline mode otherwise */
	const char *url;
	const char *password; /* NULL: what the URL or libpq's own ways say */
	const struct db_stmt *prepared[DB_PREPARED_MAX]; /* on this connection */
	size_t nprepared;
	bool prepares;
	int64_t retry_at_ms; /* no connection attempt before */
	bool silent;         /* the server gave no answer in time: it gets less time to connect */
	int backoff_ms;
	struct alarm *alarm;       /* NULL: none */
	db_connect_fn *on_connect; /* NULL: none */
	void *on_connect_arg;
	struct metrics *metrics; /* NULL: nothing is counted */
	bool connected_before;
	bool connecting;  /* on_connect runs */
	enum err refusal; /* what on_connect said of the last connection, while there is none */
	char last_error[256];
	char failure[256]; /* the first statement that failed since it was cleared */
};

/* Waits until the socket is ready for @events (poll's) or @deadline_ms. */
MUST_CHECK enum err db_wait(struct db *db, short events, int64_t deadline_ms);
/* Closes; the next db_connect() may try at once. */
void db_close(struct db *db);
void db_set_error(struct db *db, const char *message);
void db_set_failure(struct db *db, const char *stmt, const char *sqlstate, const char *message);

#endif
