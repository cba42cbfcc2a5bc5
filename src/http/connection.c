#include "http/connection.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <fcgiapp.h>

#include "base/clock.h"
#include "base/mem.h"

#include "base/banned.h"

struct http_connection {
	FCGX_Request fcgi;
	struct http_request request;
};

enum err http_init(void)
{
	/* How long a closing socket lingers for a peer that stays: nginx is local and reads at once. */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "50", 1);
	if (FCGX_Init())
		return ERR_SYSTEM;
	signal(SIGPIPE, SIG_IGN);
	return ERR_OK;
}

struct http_connection *http_connection_new(int listen_fd)
{
	struct http_connection *conn = mem_alloc(sizeof(*conn));

	/* Cannot fail: it only fills the struct. */
	FCGX_InitRequest(&conn->fcgi, listen_fd, FCGI_FAIL_ACCEPT_ON_INTR);
	conn->fcgi.ipcFd = -1;
	strbuf_init(&conn->request.body, HTTP_BODY_MAX);
	return conn;
}

void http_connection_free(struct http_connection *conn)
{
	if (!conn)
		return;
	http_connection_close(conn);
	strbuf_release(&conn->request.body);
	free(conn);
}

int http_connection_fd(const struct http_connection *conn)
{
	return conn->fcgi.ipcFd;
}

bool http_connection_peer_closed(const struct http_connection *conn)
{
	char byte;
	ssize_t n = recv(conn->fcgi.ipcFd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void http_connection_close(struct http_connection *conn)
{
	FCGX_Free(&conn->fcgi, 1);
	conn->fcgi.ipcFd = -1;
	strbuf_reset(&conn->request.body);
}

static const char *param(const struct http_connection *conn, const char *name)
{
	return FCGX_GetParam(name, conn->fcgi.envp);
}

static const char *param_or(const struct http_connection *conn, const char *name, const char *other)
{
	const char *value = param(conn, name);

	return value ? value : other;
}

/* A header that the caller did not send comes as an empty parameter or not at all. */
static const char *param_or_null(const struct http_connection *conn, const char *name)
{
	const char *value = param(conn, name);

	return value && *value ? value : NULL;
}

/* nginx's $msec: "1768580000.123". */
static int64_t parse_arrived_ms(const char *msec)
{
	int64_t now = clock_unix_ms();
	char *end;
	double seconds;

	if (!msec)
		return now;
	seconds = strtod(msec, &end);
	/* Same host, same clock: a time in the future or hours old is a clock that was set; what is
	 * no number at all is neither. */
	if (end == msec || !(seconds * 1000 <= (double)now) ||
	    !(seconds * 1000 >= (double)(now - 3600 * 1000)))
		return now;
	return (int64_t)(seconds * 1000);
}

/* The whole body, to its end also when it is too long: what stays unread would be taken for
 * the begin of the next request on a kept socket. */
static bool read_body(struct http_connection *conn)
{
	char chunk[8192];
	int n;

	strbuf_reset(&conn->request.body);
	while ((n = FCGX_GetStr(chunk, sizeof(chunk), conn->fcgi.in)) > 0)
		strbuf_put(&conn->request.body, chunk, (size_t)n);
	explicit_bzero(chunk, sizeof(chunk));
	return FCGX_GetError(conn->fcgi.in) == 0;
}

enum err http_connection_accept(struct http_connection *conn)
{
	struct http_request *req = &conn->request;

	/* A kept socket that fails is closed by libfcgi, which then tries the listener. */
	if (FCGX_Accept_r(&conn->fcgi) < 0)
		return ERR_AGAIN;
	if (!read_body(conn)) {
		http_connection_close(conn);
		return ERR_CLOSED;
	}
	req->method = param_or(conn, "REQUEST_METHOD", "");
	req->target = param_or(conn, "REQUEST_URI", "");
	req->request_id = param_or(conn, "REQUEST_ID", "");
	req->scheme = param_or(conn, "REQUEST_SCHEME", "http");
	req->content_type = param_or_null(conn, "CONTENT_TYPE");
	req->cookie = param_or_null(conn, "HTTP_COOKIE");
	req->accept = param_or_null(conn, "HTTP_ACCEPT");
	req->authorization = param_or_null(conn, "HTTP_AUTHORIZATION");
	req->host = param_or_null(conn, "HTTP_HOST");
	req->arrived_ms = parse_arrived_ms(param(conn, "REQUEST_ARRIVED"));
	return ERR_OK;
}

const struct http_request *http_connection_request(const struct http_connection *conn)
{
	return &conn->request;
}

/* nginx passes the reason phrase on, and leaves it empty when there is none. */
static const char *reason_phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 204, "No Content" },
		{ 302, "Found" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Status";
}

void http_connection_reply(struct http_connection *conn, const struct http_reply *reply, bool keep)
{
	FCGX_Stream *out = conn->fcgi.out;

	/* Nobody to tell when nginx went away: what the request did is committed already. */
	FCGX_FPrintF(out, "Status: %d %s\r\n", reply->status, reason_phrase(reply->status));
	if (reply->content_type)
		FCGX_FPrintF(out, "Content-Type: %s\r\nContent-Length: %d\r\n", reply->content_type,
			     (int)reply->body.len);
	FCGX_PutStr(reply->headers.data, (int)reply->headers.len, out);
	FCGX_PutStr("\r\n", 2, out);
	if (reply->content_type)
		FCGX_PutStr(reply->body.data, (int)reply->body.len, out);
	if (!keep)
		conn->fcgi.keepConnection = 0;
	FCGX_Finish_r(&conn->fcgi);
	if (!keep)
		http_connection_close(conn);
	strbuf_reset(&conn->request.body);
}
