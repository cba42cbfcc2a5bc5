#include "http/connection.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <fcgiapp.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/arrival.h"

#include "base/banned.h"

/* Longer than any request that nginx sends without a large body: what is longer is begun to be read
 * before it is whole. Shorter than what a socket takes without a reader. */
#define PEEK_MAX 65536
/* How soon to look again at a request of which a part is there: the kernel tells of every byte. */
#define PART_MS 5

/* How long nginx, which reads at once, may leave a full socket unread. */
#define SEND_MS 1000

struct http_connection {
	int listen_fd;
	FCGX_Request fcgi;
	int64_t owing_since_ms; /* monotonic; since when the peer owes a request; 0: it does not */
	bool is_part;           /* of a request, when it was looked at last */
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

	conn->listen_fd = listen_fd;
	/* Cannot fail: it only fills the struct. It gets no listener, for it would wait for what a
	 * peer sends, two seconds, with everybody else waiting too. */
	FCGX_InitRequest(&conn->fcgi, -1, FCGI_FAIL_ACCEPT_ON_INTR);
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

/* Without libfcgi's waiting for the peer to close, too: there is nothing that it should read. */
static void drop(struct http_connection *conn)
{
	conn->fcgi.detached = 1;
	http_connection_close(conn);
}

static void set_timeout(int fd, int option, int ms)
{
	struct timeval timeout = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout));
}

enum err http_connection_open(struct http_connection *conn)
{
	int fd = accept4(conn->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return ERR_AGAIN;
	/* Of a single read or write, which libfcgi takes for the peer's end. */
	set_timeout(fd, SO_RCVTIMEO, HTTP_ARRIVAL_MS);
	set_timeout(fd, SO_SNDTIMEO, SEND_MS);
	conn->fcgi.ipcFd = fd;
	conn->owing_since_ms = clock_monotonic_ms();
	conn->is_part = false;
	return ERR_OK;
}

/* Will nothing come any more? */
static bool has_peer_ended(const struct http_connection *conn)
{
	struct pollfd fd = { .fd = conn->fcgi.ipcFd, .events = POLLRDHUP };

	return poll(&fd, 1, 0) > 0;
}

static enum http_arrival look(const struct http_connection *conn)
{
	unsigned char bytes[PEEK_MAX];
	ssize_t n = recv(conn->fcgi.ipcFd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	bool whole;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? HTTP_NOTHING : HTTP_GONE;
	whole = n == sizeof(bytes) || arrival_is_whole(bytes, (size_t)n);
	explicit_bzero(bytes, (size_t)n);
	return whole || has_peer_ended(conn) ? HTTP_WHOLE : HTTP_PART;
}

enum http_arrival http_connection_arrival(struct http_connection *conn)
{
	enum http_arrival arrival = look(conn);
	int64_t now = clock_monotonic_ms();

	if (arrival == HTTP_PART && !conn->owing_since_ms)
		conn->owing_since_ms = now;
	conn->is_part = arrival == HTTP_PART;
	if (arrival == HTTP_GONE || (arrival != HTTP_WHOLE && conn->owing_since_ms &&
				     now - conn->owing_since_ms > HTTP_ARRIVAL_MS)) {
		drop(conn);
		return HTTP_GONE;
	}
	return arrival;
}

bool http_connection_owes(const struct http_connection *conn)
{
	return conn->fcgi.ipcFd >= 0 && conn->owing_since_ms;
}

struct pollfd http_connection_watch(const struct http_connection *conn, int *timeout_ms)
{
	int64_t left;

	if (http_connection_owes(conn)) {
		left = conn->is_part ? PART_MS
				     : clock_left_ms(conn->owing_since_ms + HTTP_ARRIVAL_MS) + 1;
		if (*timeout_ms < 0 || left < *timeout_ms)
			*timeout_ms = (int)left;
	}
	return (struct pollfd){
		.fd = conn->fcgi.ipcFd,
		.events = conn->is_part ? POLLRDHUP : POLLIN,
	};
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
	while ((n = FCGX_GetStr(chunk, sizeof(chunk), conn->fcgi.in)) > 0) {
		strbuf_put(&conn->request.body, chunk, (size_t)n);
		explicit_bzero(chunk, (size_t)n);
	}
	return FCGX_GetError(conn->fcgi.in) == 0;
}

enum err http_connection_read(struct http_connection *conn)
{
	struct http_request *req = &conn->request;

	conn->owing_since_ms = 0;
	/* libfcgi ends the request before, and would end its socket as well. */
	conn->fcgi.keepConnection = 1;
	if (FCGX_Accept_r(&conn->fcgi) < 0)
		return ERR_CLOSED;
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
	req->is_local = param_or_null(conn, "LOCAL_CALLER") != NULL;
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
	/* What else libfcgi would try to write at the end is not waited for a second time. */
	if (FCGX_GetError(out))
		shutdown(conn->fcgi.ipcFd, SHUT_RDWR);
	if (!keep)
		conn->fcgi.keepConnection = 0;
	FCGX_Finish_r(&conn->fcgi);
	if (!keep)
		http_connection_close(conn);
	strbuf_reset(&conn->request.body);
}
