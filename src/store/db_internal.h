/*
 * What db.c (the connection), db_hosts.c (to whom), db_pipeline.c (batches over it), db_gather.c (many
 * queries as one) and db_query.c (one of them) share.
 */
#ifndef STORE_DB_INTERNAL_H
#define STORE_DB_INTERNAL_H

#include <libpq-fe.h>

#include "base/strbuf.h"
#include "store/db.h"

#define DB_PREPARED_MAX 64

/* Of a URL, the one that is tried first at the front; NULL: the URL does not say. */
struct db_hosts {
	size_t count; /* at least 1 */
	char *names, *addresses, *ports;
};

struct db {
	PGconn *conn; /* NULL while there is none; in pipeline mode otherwise */
	const char *url;
	struct db_hosts hosts; /* of it */
	const char *password;  /* NULL: what the URL or libpq's own ways say */
	const struct db_stmt *prepared[DB_PREPARED_MAX]; /* on this connection */
	size_t nprepared;
	bool prepares;
	int64_t retry_at_ms; /* no connection attempt before */
	bool lost;           /* there was a connection, or an attempt, and there is none since */
	bool silent;         /* the server gave no answer in time: it gets less time to connect */
	int backoff_ms;
	struct alarm *alarm;          /* NULL: none */
	struct db_presence *presence; /* NULL: nobody wants to know */
	db_connect_fn *on_connect;    /* NULL: none */
	void *on_connect_arg;
	struct metrics *metrics; /* NULL: nothing is counted */
	bool connected_before;
	bool connecting;  /* on_connect runs */
	enum err refusal; /* what on_connect said of the last connection, while there is none */
	char last_error[256];
	char failure[256]; /* the first statement that failed since it was cleared */
};

/* A result of which several queries have a part; the last one that is released frees it. */
struct db_share {
	PGresult *result;
	size_t users;
};

/* Queries of one statement, and the one that is asked in their place. */
struct db_gathering {
	struct db_query query;
	struct db_query *members[DB_BATCH_MAX];
	size_t count; /* of them; 0: each is asked by itself */
	struct strbuf values;
};

/* Looks for queries that can be asked as one. @ret_queries, with room for @count, are those to ask
 * now; returns how many. db_gathering_release() once they were. */
size_t db_gather(struct db_gathering *gathering, struct db_query **queries, size_t count,
		 struct db_query **ret_queries);
/* Gives every member its part of the answer. false: the statement failed, each is to be asked by
 * itself. */
MUST_CHECK bool db_spread(struct db_gathering *gathering);
void db_gathering_release(struct db_gathering *gathering);

void db_hosts_init(struct db_hosts *hosts, const char *url);
void db_hosts_release(struct db_hosts *hosts);
/* From now on the next host is tried first. */
void db_hosts_next(struct db_hosts *hosts);

/* Waits until the socket is ready for @events (poll's) or @deadline_ms. */
MUST_CHECK enum err db_wait(struct db *db, short events, int64_t deadline_ms);
/* Closes; the next db_connect() may try at once. */
void db_close(struct db *db);
void db_set_error(struct db *db, const char *message);
/* The server is not there, or said good-bye. */
void db_note_away(struct db *db);
void db_set_failure(struct db *db, struct db_query *query, const char *sqlstate,
		    const char *message);

#endif
