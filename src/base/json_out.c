#include "base/json_out.h"

#include <string.h>

#include "base/clock.h"

#include "base/banned.h"

static void begin(struct json_out *out, const char *key)
{
	if (out->comma)
		strbuf_putc(out->to, ',');
	out->comma = true;
	if (!key)
		return;
	strbuf_putc(out->to, '"');
	strbuf_puts(out->to, key);
	strbuf_put(out->to, "\":", 2);
}

static void open(struct json_out *out, const char *key, char bracket)
{
	begin(out, key);
	strbuf_putc(out->to, bracket);
	out->comma = false;
}

static void close(struct json_out *out, char bracket)
{
	strbuf_putc(out->to, bracket);
	out->comma = true;
}

void json_out_begin_object(struct json_out *out, const char *key)
{
	open(out, key, '{');
}

void json_out_end_object(struct json_out *out)
{
	close(out, '}');
}

void json_out_begin_array(struct json_out *out, const char *key)
{
	open(out, key, '[');
}

void json_out_end_array(struct json_out *out)
{
	close(out, ']');
}

/* RFC 8259 section 7; what need not be escaped is not. */
static void put_escaped(struct strbuf *to, char c)
{
	static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
					['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };
	char letter = letters[(unsigned char)c];

	if (letter)
		strbuf_put(to, (const char[]){ '\\', letter }, 2);
	else
		strbuf_printf(to, "\\u%04x", (unsigned char)c);
}

static bool is_plain(char c)
{
	return (unsigned char)c >= ' ' && c != '"' && c != '\\';
}

static void put_quoted(struct strbuf *to, const char *s)
{
	strbuf_putc(to, '"');
	for (;;) {
		const char *end = s;

		while (is_plain(*end))
			end++;
		strbuf_put(to, s, (size_t)(end - s));
		if (!*end)
			break;
		put_escaped(to, *end);
		s = end + 1;
	}
	strbuf_putc(to, '"');
}

void json_out_string(struct json_out *out, const char *key, const char *value)
{
	begin(out, key);
	if (value)
		put_quoted(out->to, value);
	else
		strbuf_puts(out->to, "null");
}

void json_out_int(struct json_out *out, const char *key, int64_t value)
{
	begin(out, key);
	strbuf_put_int(out->to, value);
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
	json_out_raw(out, key, value ? "true" : "false");
}

void json_out_time(struct json_out *out, const char *key, int64_t unix_us)
{
	char text[CLOCK_RFC3339_SIZE];

	json_out_string(out, key, clock_rfc3339(unix_us, text));
}

void json_out_raw(struct json_out *out, const char *key, const char *json)
{
	begin(out, key);
	strbuf_puts(out->to, json);
}
