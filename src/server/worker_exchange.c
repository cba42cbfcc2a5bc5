/*
 * The exchange pool's loop: one request at a time, which may wait for a row lock and for the
 * provider. nginx does not keep these connections: a worker that held an idle one would leave
 * other requests waiting in the socket's queue.
 */
#include <stdlib.h>

#include "api/auth.h"
#include "api/routes.h"
#include "base/clock.h"
#include "http/connection.h"
#include "server/worker.h"

#include "base/banned.h"

/* No answer was sent; nginx's own number for it. */
#define CALLER_GONE 499
/* A worker that has lost its database looks for it by itself so often, a quarter more or less: no
 * sooner than its connection's backoff lets it, and a fleet does not come as one. */
#define SEEK_EVERY_MS 1000

static void send_reply(struct call *call)
{
	if (!call->sent) {
		http_connection_reply(call->send_arg, &call->reply, false);
		call->answered_us = clock_monotonic_us();
	}
	call->sent = true;
}

/* Asked again although the database pool has asked: between the two lies nginx. */
static enum err authenticate(struct call *call, struct db_query *key)
{
	enum err err = auth_begin(call);

	if (err || !*call->key_hash)
		return err;
	key_ask(call->key_hash, key);
	(void)!db_exec(call->domain->db, key, clock_monotonic_ms() + DB_CALL_MS);
	return auth_decide(call, key);
}

static enum err run(struct call *call, struct db_query *key)
{
	enum err found = routes_find(call);
	enum err err;

	if (!call->route)
		return found;
	err = authenticate(call, key);
	if (err || found)
		return err ? err : found;
	/* A reader that is gone asks for nothing any more: those behind it in the queue do. */
	if (route_is_handed_read(call->route) && http_connection_peer_closed(call->send_arg))
		return ERR_CLOSED;
	if (call->route->run)
		return call->route->run(call);
	/* nginx sends only what it was redirected here for, and the callback. */
	return ERR_NOT_FOUND;
}

static void serve(struct worker *worker, struct http_connection *conn, struct call *call)
{
	CLEANUP(db_query_release) struct db_query key;
	enum err err;

	db_query_init(&key, NULL);
	call_begin(call, http_connection_request(conn));
	call->send_arg = conn;
	call->deadline_ms = worker->slot->deadline_ms;
	err = run(call, &key);
	if (err == ERR_CLOSED) {
		http_connection_close(conn);
		call->reply.status = CALLER_GONE;
		err = ERR_OK;
	} else {
		if (err && !call->sent)
			call_fail(call, err);
		send_reply(call);
	}
	worker_call_done(worker, call, err, db_failure(worker->domain.db));
	db_clear_failure(worker->domain.db);
	call_end(call);
}

/* Waits for the whole request, HTTP_ARRIVAL_MS at most, and reads it. */
static bool receive(struct http_connection *conn)
{
	enum http_arrival arrival;

	if (http_connection_open(conn))
		return false;
	while ((arrival = http_connection_arrival(conn)) == HTTP_NOTHING || arrival == HTTP_PART) {
		int timeout_ms = -1;
		struct pollfd fd = http_connection_watch(conn, &timeout_ms);

		poll(&fd, 1, timeout_ms);
	}
	return arrival == HTTP_WHOLE && !http_connection_read(conn);
}

/* To be said before this worker is idle: whose token still works must not be sent to one that can
 * only refuse. @ret_seek_at_ms (monotonic) is set where the database is to be looked for. */
static void note_database(struct worker *worker, int64_t *ret_seek_at_ms)
{
	bool lost = db_is_lost(worker->domain.db);

	worker->slot->database_lost = lost;
	if (lost && !clock_left_ms(*ret_seek_at_ms))
		*ret_seek_at_ms = clock_monotonic_ms() + SEEK_EVERY_MS * 3 / 4 +
				  random() % (SEEK_EVERY_MS / 2);
}

/* Nobody who could have been answered otherwise is the one to find out that it is still away. */
static void seek_database(struct worker *worker, int64_t *ret_seek_at_ms)
{
	enum err err;

	worker_busy(worker, worker_exchange_ms(worker));
	err = db_connect(worker->domain.db, clock_monotonic_ms() + DB_CALL_MS);
	worker_log_database(worker, err, "");
	note_database(worker, ret_seek_at_ms);
	worker_idle(worker);
}

static void take_call(struct worker *worker, struct http_connection *conn, struct call *call,
		      int64_t *ret_seek_at_ms)
{
	/* Busy before it is accepted: the database pool must not count on this worker. */
	worker_busy(worker, worker_exchange_ms(worker));
	if (receive(conn)) {
		worker_busy(worker, worker_exchange_ms(worker));
		serve(worker, conn, call);
		note_database(worker, ret_seek_at_ms);
	}
	worker_idle(worker);
}

void worker_exchange_loop(struct worker *worker)
{
	struct http_connection *conn = http_connection_new(worker->listen_fd);
	struct call *call = worker_call_new(worker);
	int64_t seek_at_ms = 0;

	call->send = send_reply;
	while (!worker_is_stopping()) {
		bool lost = worker->slot->database_lost;
		struct pollfd fds[] = {
			{ .fd = worker->listen_fd, .events = POLLIN },
			{ .fd = db_fd(worker->domain.db), .events = POLLIN },
		};

		if (worker_poll(fds, 2, lost ? clock_left_ms(seek_at_ms) : -1) < 0)
			continue;
		if (fds[1].revents) {
			db_check(worker->domain.db);
			note_database(worker, &seek_at_ms);
		}
		if (fds[0].revents)
			take_call(worker, conn, call, &seek_at_ms);
		else if (lost && !clock_left_ms(seek_at_ms))
			seek_database(worker, &seek_at_ms);
	}
	call_free(call);
	http_connection_free(conn);
}
