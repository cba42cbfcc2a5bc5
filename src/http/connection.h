/*
 * FastCGI connections from nginx; the only user of libfcgi.
 *
 * A connection is empty, or holds a socket whose peer is to send a request (one that nginx keeps
 * open between requests, too), or is inside a request: http_connection_read() begins one,
 * http_connection_reply() ends it.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <poll.h>
#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "http/message.h"

struct http_connection;

/* Once in each worker, after its own signal handlers are set (libfcgi keeps those); ignores
 * SIGPIPE. ERR_SYSTEM: libfcgi refused. */
MUST_CHECK enum err http_init(void);

/* Requests come from the listening socket @listen_fd, which is non-blocking and stays the caller's. */
struct http_connection *http_connection_new(int listen_fd);
void http_connection_free(struct http_connection *conn);

/* How long a peer may take from its connection, or from a request's first byte, until the request
 * is there: nginx has it whole before it connects. */
#define HTTP_ARRIVAL_MS 2000

enum http_arrival {
	HTTP_NOTHING,
	HTTP_PART,
	HTTP_WHOLE, /* or as much as will come, or more than fits: read it */
	HTTP_GONE,  /* the peer went away, or took too long: the connection is empty now */
};

/* Takes the next peer that waits at the listening socket into the empty @conn. ERR_AGAIN: nobody
 * is there. */
MUST_CHECK enum err http_connection_open(struct http_connection *conn);

/* What is there of the next request; never waits. Not within a request. */
enum http_arrival http_connection_arrival(struct http_connection *conn);

/* Has the peer connected, or begun to send, and not yet sent a whole request? */
bool http_connection_owes(const struct http_connection *conn);

/* What to poll for before the next http_connection_arrival() (fd -1 when @conn is empty), and
 * @timeout_ms (-1: none) is shortened to when to ask at the latest. */
struct pollfd http_connection_watch(const struct http_connection *conn, int *timeout_ms);

/* The socket, -1 when there is none. */
int http_connection_fd(const struct http_connection *conn);

/* True when the peer has closed the socket. */
bool http_connection_peer_closed(const struct http_connection *conn);
void http_connection_close(struct http_connection *conn);

/* Reads one whole request, HTTP_WHOLE. ERR_CLOSED: it was none, or took too long; the connection is
 * empty. */
MUST_CHECK enum err http_connection_read(struct http_connection *conn);

/* The request being served; borrowed until the reply. */
const struct http_request *http_connection_request(const struct http_connection *conn);

/* Sends @reply and ends the request. The socket stays open for the next one only when @keep
 * and nginx both want it. */
void http_connection_reply(struct http_connection *conn, const struct http_reply *reply, bool keep);

#endif
