/*
 * FastCGI connections from nginx; the only user of libfcgi.
 *
 * A connection is empty, or holds a socket that nginx keeps open between requests, or is
 * inside a request: http_connection_accept() begins one, http_connection_reply() ends it.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

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

/* The kept socket between requests, to poll; -1 when there is none. */
int http_connection_fd(const struct http_connection *conn);

/* True when nginx has closed the kept socket: close it instead of accepting from it. */
bool http_connection_peer_closed(const struct http_connection *conn);
void http_connection_close(struct http_connection *conn);

/*
 * Reads one whole request: from the kept socket, else from a newly accepted one. Blocks once
 * nginx began to send. ERR_AGAIN: nobody there. ERR_CLOSED: it went away within its body.
 * After either the connection is empty.
 */
MUST_CHECK enum err http_connection_accept(struct http_connection *conn);

/* The request being served; borrowed until the reply. */
const struct http_request *http_connection_request(const struct http_connection *conn);

/* Sends @reply and ends the request. The socket stays open for the next one only when @keep
 * and nginx both want it. */
void http_connection_reply(struct http_connection *conn, const struct http_reply *reply, bool keep);

#endif
