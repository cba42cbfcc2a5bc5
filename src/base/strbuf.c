#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define INT64_DIGITS_MAX 19

char strbuf_empty[1];

void strbuf_init(struct strbuf *sb, size_t cap)
{
	*sb = (struct strbuf)STRBUF_INIT(cap);
}

void strbuf_release(struct strbuf *sb)
{
	if (sb->size) {
		explicit_bzero(sb->data, sb->size);
		free(sb->data);
	}
	strbuf_init(sb, sb->cap);
}

void strbuf_reset(struct strbuf *sb)
{
	if (sb->size)
		explicit_bzero(sb->data, sb->len + 1);
	sb->len = 0;
	sb->overflow = false;
}

/* Makes room for @more bytes and the NUL; false past the cap. */
static bool strbuf_grow(struct strbuf *sb, size_t more)
{
	size_t need, size;
	char *data;

	if (sb->overflow || more > sb->cap - sb->len) {
		sb->overflow = true;
		return false;
	}
	need = sb->len + more + 1;
	if (need <= sb->size)
		return true;
	size = sb->size ? sb->size * 2 : 256;
	while (size < need)
		size *= 2;
	if (size > sb->cap + 1)
		size = sb->cap + 1;
	/* Not realloc: the old block may hold a secret and would be freed unwiped. */
	data = mem_alloc(size);
	memcpy(data, sb->data, sb->len);
	if (sb->size) {
		explicit_bzero(sb->data, sb->size);
		free(sb->data);
	}
	sb->data = data;
	sb->size = size;
	return true;
}

void strbuf_put_growing(struct strbuf *sb, const void *data, size_t len)
{
	if (!len || !strbuf_grow(sb, len))
		return;
	memcpy(sb->data + sb->len, data, len);
	sb->len += len;
	sb->data[sb->len] = '\0';
}

void strbuf_put_int(struct strbuf *sb, int64_t value)
{
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char digits[INT64_DIGITS_MAX + 1];
	char *first = digits + sizeof(digits);

	do {
		*--first = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		*--first = '-';
	strbuf_put(sb, first, (size_t)(digits + sizeof(digits) - first));
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
	size_t room = sb->overflow ? 0 : sb->size - sb->len;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(room ? sb->data + sb->len : NULL, room, fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < room) {
		sb->len += (size_t)len;
		return;
	}
	if (room) /* what did have room */
		explicit_bzero(sb->data + sb->len, room);
	if (len < 0)
		sb->overflow = true;
	if (len <= 0 || !strbuf_grow(sb, (size_t)len))
		return;
	va_start(ap, fmt);
	vsnprintf(sb->data + sb->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	sb->len += (size_t)len;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void strbuf_put_percent(struct strbuf *sb, const char *s)
{
	for (; *s; s++) {
		if (is_unreserved(*s))
			strbuf_putc(sb, *s);
		else
			strbuf_printf(sb, "%%%02X", (unsigned char)*s);
	}
}

void strbuf_put_html(struct strbuf *sb, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			strbuf_puts(sb, "&amp;");
			break;
		case '<':
			strbuf_puts(sb, "&lt;");
			break;
		case '>':
			strbuf_puts(sb, "&gt;");
			break;
		case '"':
			strbuf_puts(sb, "&quot;");
			break;
		case '\'':
			strbuf_puts(sb, "&#39;");
			break;
		default:
			strbuf_putc(sb, *s);
		}
	}
}
