#include "http/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/banned.h"

#define REPLY_HEADERS_MAX 20480
#define REPLY_BODY_MAX                                                                             \
	(16 * 1024 * 1024) /* a page of 1,000 clients, every field at its longest and escaped */

void http_reply_init(struct http_reply *reply)
{
	*reply = (struct http_reply){ 0 };
	strbuf_init(&reply->headers, REPLY_HEADERS_MAX);
	strbuf_init(&reply->body, REPLY_BODY_MAX);
}

void http_reply_release(struct http_reply *reply)
{
	strbuf_release(&reply->headers);
	strbuf_release(&reply->body);
}

void http_reply_reset(struct http_reply *reply)
{
	reply->status = 0;
	reply->content_type = NULL;
	strbuf_reset(&reply->headers);
	strbuf_reset(&reply->body);
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
	for (const char *s = value; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return;
	}
	strbuf_printf(&reply->headers, "%s: %s\r\n", name, value);
}

void http_reply_header_number(struct http_reply *reply, const char *name, int64_t value)
{
	strbuf_printf(&reply->headers, "%s: %" PRId64 "\r\n", name, value);
}

/* NaN and what is out of range too: no int could hold them. */
static int weight_of(double q)
{
	if (!(q > 0))
		return 0;
	return q < 1 ? (int)(q * 1000) : 1000;
}

/* The weight of @type in one element of an Accept header (RFC 9110 section 12.5.1), 0 to 1000,
 * or -1 when the element is about something else. */
static int element_weight(const char *element, size_t len, const char *type)
{
	size_t type_len = strcspn(element, ",; \t");
	const char *q;

	if (type_len > len)
		type_len = len;
	if (type_len != strlen(type) || strncasecmp(element, type, type_len) != 0)
		return -1;
	for (q = element + type_len; q + 2 < element + len; q++) {
		if ((*q == 'q' || *q == 'Q') && q[1] == '=')
			return weight_of(strtod(q + 2, NULL));
	}
	return 1000;
}

static int accept_weight(const char *accept, const char *type)
{
	int best = -1;

	while (*accept) {
		size_t len;
		int weight;

		accept += strspn(accept, ", \t");
		len = strcspn(accept, ",");
		weight = len ? element_weight(accept, len, type) : -1;
		if (weight > best)
			best = weight;
		accept += len;
	}
	return best;
}

bool http_accept_prefers_html(const char *accept)
{
	int html;

	if (!accept)
		return false;
	html = accept_weight(accept, "text/html");
	return html > 0 && html > accept_weight(accept, "application/json");
}
