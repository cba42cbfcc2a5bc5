/*
 * A growing string with a cap. Past the cap nothing is added and strbuf_ok() turns false
 * for good, so that a row of appends needs one check at its end.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strbuf {
	char *data; /* NUL-terminated, never NULL */
	size_t len;
	size_t size; /* allocated, at most cap + 1; 0 while data is the shared empty string */
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

void strbuf_put_int(struct strbuf *sb, int64_t value); /* decimal */
__attribute__((format(printf, 2, 3))) void strbuf_printf(struct strbuf *sb, const char *fmt, ...);

/* strbuf_put() where there is no room yet, or nothing to put. */
void strbuf_put_growing(struct strbuf *sb, const void *data, size_t len);

static inline void strbuf_put(struct strbuf *sb, const void *data, size_t len)
{
	if (!len || len >= sb->size - sb->len || sb->overflow) {
		strbuf_put_growing(sb, data, len);
		return;
	}
	memcpy(sb->data + sb->len, data, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

static inline void strbuf_puts(struct strbuf *sb, const char *s)
{
	strbuf_put(sb, s, strlen(s));
}

static inline void strbuf_putc(struct strbuf *sb, char c)
{
	strbuf_put(sb, &c, 1);
}

/* Adds @s percent-encoded: everything but RFC 3986 unreserved characters. */
void strbuf_put_percent(struct strbuf *sb, const char *s);
/* Adds @s with the five characters that mean something in HTML replaced. */
void strbuf_put_html(struct strbuf *sb, const char *s);

static inline bool strbuf_ok(const struct strbuf *sb)
{
	return !sb->overflow;
}

#endif
