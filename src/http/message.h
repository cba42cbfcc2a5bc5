/*
 * A request as the service sees it, and the reply that it makes.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

#define HTTP_BODY_MAX 65536
#define HTTP_REQUEST_ID_SIZE 65 /* nginx lets 64 characters through */

/* Strings are borrowed from the connection until the reply is sent; never NULL unless said. */
struct http_request {
	const char *method;
	const char *target; /* path and query as the caller sent them, undecoded */
	const char *request_id;
	const char *content_type;  /* NULL: none */
	const char *cookie;        /* NULL: none */
	const char *accept;        /* NULL: none */
	const char *authorization; /* NULL: none */
	const char *host;          /* Host header; NULL: none */
	const char *scheme;        /* "http" or "https", as the caller's connection */
	bool is_local;             /* the caller is on this host, and nobody sent it on */
	int64_t arrived_ms;        /* wall clock, milliseconds since 1970 */
	struct strbuf body;        /* overflow set: it was over HTTP_BODY_MAX */
};

struct http_reply {
	int status;
	const char *content_type; /* NULL: no body */
	struct strbuf headers;    /* further header lines, each ended by CR LF */
	struct strbuf body;
};

void http_reply_init(struct http_reply *reply);
void http_reply_release(struct http_reply *reply);
void http_reply_reset(struct http_reply *reply);

/* Adds one header; a value with a control character is dropped whole (it would split the header). */
void http_reply_header(struct http_reply *reply, const char *name, const char *value);
void http_reply_header_number(struct http_reply *reply, const char *name, int64_t value);

/* True when the Accept header @accept (NULL: none) prefers text/html to JSON, as a browser's does. */
bool http_accept_prefers_html(const char *accept);

#endif
