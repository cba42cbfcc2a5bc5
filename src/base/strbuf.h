/*
 * A growing string with a cap. Past the cap nothing is added and strbuf_ok() turns false
 * for good, so that a row of appends needs one check at its end.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *data; /* NUL-terminated, never NULL */
	size_t len;
	size_t size; /* allocated; 0 while data is the shared empty string */
	size_t cap;  /* most bytes of content */
	bool overflow;
};

extern char strbuf_empty[];

#define STRBUF_INIT(cap_)                                                                          \
	{                                                                                          \
		.data = strbuf_empty, .cap = (cap_)                                                \
	}

void strbuf_init(struct strbuf *sb, size_t cap);
void strbuf_release(struct strbuf *sb); /* wipes: buffers often hold secrets */
void strbuf_reset(struct strbuf *sb);   /* empty again, allocation kept, content wiped */

void strbuf_put(struct strbuf *sb, const void *data, size_t len);
void strbuf_puts(struct strbuf *sb, const char *s);
void strbuf_putc(struct strbuf *sb, char c);
__attribute__((format(printf, 2, 3))) void strbuf_printf(struct strbuf *sb, const char *fmt, ...);

/* Adds @s percent-encoded: everything but RFC 3986 unreserved characters. */
void strbuf_put_percent(struct strbuf *sb, const char *s);
/* Adds @s with the five characters that mean something in HTML replaced. */
void strbuf_put_html(struct strbuf *sb, const char *s);

static inline bool strbuf_ok(const struct strbuf *sb)
{
	return !sb->overflow;
}

#endif
