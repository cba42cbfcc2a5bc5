/*
 * The database pool's loop: many kept connections in one process. All requests that are there at
 * once go to the database together, in one round trip, and are answered in order.
 *
 * A worker that held only one kept connection would starve those of other nginx processes; see
 * also the keepalive setting in nginx/http.conf.in, which stays below CONNECTIONS.
 */
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "http/connection.h"
#include "server/worker.h"

#include "base/banned.h"

/* Each may bring a statement of its own and one about its key. */
#define CONNECTIONS (DB_BATCH_MAX / 2)
/* A round of requests reads from nginx, asks the database (a second time for what comes_second(),
 * a third time to note which keys were used) for DB_CALL_MS at most each time, and answers. */
#define ROUND_MS 8000
/* How long a stopping worker still waits for a request on its way over an idle connection. */
#define LINGER_MS 200

struct lane {
	struct http_connection *conn;
	struct call *call;
	bool asked;           /* waits for the database in this round */
	enum err err;         /* what ask() made of it; told to those whose key is good */
	struct db_query *key; /* the question about its key; NULL: none is needed */
};

struct database_loop {
	struct worker *worker;
	struct strbuf lines; /* of this round, which go to the log together */
	struct lane lanes[CONNECTIONS];
	struct db_query keys[CONNECTIONS]; /* of this round, each once */
	size_t nkeys;
	struct pollfd fds[CONNECTIONS + 2];
	int64_t stop_at_ms; /* monotonic; 0: not stopping */
};

static void loop_init(struct database_loop *loop, struct worker *worker)
{
	loop->worker = worker;
	strbuf_init(&loop->lines, LOG_HELD_MAX);
	worker->log.held = &loop->lines;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		loop->lanes[i].conn = http_connection_new(worker->listen_fd);
		loop->lanes[i].call = worker_call_new(worker);
	}
}

static void loop_release(struct database_loop *loop)
{
	loop->worker->log.held = NULL;
	strbuf_release(&loop->lines);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		http_connection_free(loop->lanes[i].conn);
		call_free(loop->lanes[i].call);
	}
}

/* What a statement of this lane failed with, for the log: others ran in the same round trip. */
static const char *failure_of(const struct lane *lane)
{
	if (lane->call->query.failure)
		return lane->call->query.failure;
	return lane->key && lane->key->failure ? lane->key->failure : "";
}

static void reply(struct database_loop *loop, struct lane *lane, enum err err)
{
	struct call *call = lane->call;

	if (err)
		call_fail(call, err);
	http_connection_reply(lane->conn, &call->reply, !loop->stop_at_ms);
	worker_call_done(loop->worker, call, err, failure_of(lane));
	call_end(call);
	lane->asked = false;
}

/* The round's question about the key with @hash, which is borrowed; callers share keys. */
static struct db_query *ask_key(struct database_loop *loop, const char *hash)
{
	struct db_query *key;

	for (size_t i = 0; i < loop->nkeys; i++) {
		if (!strcmp(loop->keys[i].values[0], hash))
			return &loop->keys[i];
	}
	key = &loop->keys[loop->nkeys++];
	key_ask(hash, key);
	return key;
}

static enum err ask(struct call *call)
{
	if (call->route->pool != POOL_EXCHANGE)
		return call->route->ask(call);
	route_to_exchange(call);
	return ERR_OK;
}

/* Reads the request at @lane and asks its question; what needs no database is answered. */
static void begin(struct database_loop *loop, struct lane *lane)
{
	struct call *call = lane->call;
	enum err err = http_connection_read(lane->conn);

	if (err)
		return;
	call_begin(call, http_connection_request(lane->conn));
	lane->key = NULL;
	lane->err = routes_find(call);
	err = call->route ? auth_begin(call) : lane->err;
	if (!err && *call->key_hash)
		lane->key = ask_key(loop, call->key_hash);
	if (!err && !lane->err && call->route)
		lane->err = ask(call);
	lane->asked = !err && (lane->key || (!lane->err && call->query.stmt));
	if (!lane->asked)
		reply(loop, lane, err ? err : lane->err);
}

/* Only what is there whole is read: a slow peer is waited for by nobody else. */
static void begin_if_whole(struct database_loop *loop, struct lane *lane)
{
	if (http_connection_arrival(lane->conn) == HTTP_WHOLE)
		begin(loop, lane);
}

static void begin_kept(struct database_loop *loop)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (loop->fds[i].revents || http_connection_owes(loop->lanes[i].conn))
			begin_if_whole(loop, &loop->lanes[i]);
	}
}

static void begin_new(struct database_loop *loop)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct lane *lane = &loop->lanes[i];

		if (http_connection_fd(lane->conn) >= 0 || lane->asked)
			continue;
		if (http_connection_open(lane->conn))
			return;
		begin_if_whole(loop, lane);
	}
}

/* What only reads goes along with the keys, in the first round trip, and is thrown away if its key
 * is not good. What writes has to wait for its key; and what may wait itself, for a lock or for many
 * rows, must not hold up the others. */
static bool comes_second(const struct lane *lane)
{
	const struct db_stmt *stmt = lane->call->query.stmt;

	return lane->err || !stmt || stmt->effect == DB_WRITES || stmt->takes_long;
}

static void run(struct database_loop *loop, struct db_query **queries, size_t count)
{
	if (count)
		db_run(loop->worker->domain.db, queries, count, clock_monotonic_ms() + DB_CALL_MS);
}

/* All keys, and every statement that does not come later. */
static void ask_first(struct database_loop *loop)
{
	struct db_query *queries[DB_BATCH_MAX];
	size_t count = 0;

	for (size_t i = 0; i < loop->nkeys; i++)
		queries[count++] = &loop->keys[i];
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct lane *lane = &loop->lanes[i];

		if (lane->asked && !comes_second(lane))
			queries[count++] = &lane->call->query;
	}
	run(loop, queries, count);
}

/* Answers @lane after the first round trip, unless its own statement comes only now: true. */
static bool must_ask_again(struct database_loop *loop, struct lane *lane)
{
	struct call *call = lane->call;
	enum err err = lane->key ? auth_decide(call, lane->key) : ERR_OK;

	if (!err)
		err = lane->err;
	if (!err && call->query.stmt) {
		if (comes_second(lane))
			return true;
		err = call->route->answer(call);
	}
	reply(loop, lane, err);
	return false;
}

static void ask_and_answer(struct database_loop *loop)
{
	struct db_query *queries[CONNECTIONS];
	struct lane *again[CONNECTIONS];
	size_t count = 0;

	ask_first(loop);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		struct lane *lane = &loop->lanes[i];

		if (!lane->asked || !must_ask_again(loop, lane))
			continue;
		queries[count] = &lane->call->query;
		again[count++] = lane;
	}
	/* What was answered is told before anything that may take long. */
	log_flush(&loop->worker->log);
	run(loop, queries, count);
	for (size_t i = 0; i < count; i++)
		reply(loop, again[i], again[i]->call->route->answer(again[i]->call));
}

/* The callers have their answers, only the next ones wait for this. */
static void note_keys(struct database_loop *loop)
{
	keys_note_use(&loop->worker->domain, loop->keys, loop->nkeys);
	for (size_t i = 0; i < loop->nkeys; i++)
		db_query_release(&loop->keys[i]);
	loop->nkeys = 0;
}

/* Fills loop->fds: the connections, then the listener, then the database. Returns how long to wait,
 * milliseconds, -1: for ever. */
static int watch(struct database_loop *loop)
{
	int timeout_ms = loop->stop_at_ms ? clock_left_ms(loop->stop_at_ms) : -1;
	bool room = false;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		loop->fds[i] = http_connection_watch(loop->lanes[i].conn, &timeout_ms);
		room |= loop->fds[i].fd < 0;
	}
	loop->fds[CONNECTIONS] = (struct pollfd){
		.fd = room && !loop->stop_at_ms ? loop->worker->listen_fd : -1,
		.events = POLLIN,
	};
	loop->fds[CONNECTIONS + 1] = (struct pollfd){
		.fd = db_fd(loop->worker->domain.db),
		.events = POLLIN,
	};
	return timeout_ms;
}

static bool has_kept(const struct database_loop *loop)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (http_connection_fd(loop->lanes[i].conn) >= 0)
			return true;
	}
	return false;
}

/* Is there nothing left to wait for? */
static bool is_drained(struct database_loop *loop)
{
	if (!worker_is_stopping())
		return false;
	if (!loop->stop_at_ms)
		loop->stop_at_ms = clock_monotonic_ms() + LINGER_MS;
	return !has_kept(loop) || !clock_left_ms(loop->stop_at_ms);
}

void worker_database_loop(struct worker *worker)
{
	struct database_loop *loop = mem_alloc(sizeof(*loop));

	loop_init(loop, worker);
	while (!is_drained(loop)) {
		int timeout_ms = watch(loop);

		if (worker_poll(loop->fds, CONNECTIONS + 2, timeout_ms) < 0)
			continue;
		if (loop->fds[CONNECTIONS + 1].revents)
			db_check(worker->domain.db);
		worker_busy(worker, ROUND_MS);
		begin_kept(loop);
		if (loop->fds[CONNECTIONS].revents)
			begin_new(loop);
		ask_and_answer(loop);
		log_flush(&worker->log);
		note_keys(loop);
		worker_idle(worker);
	}
	loop_release(loop);
	free(loop);
}
