#include "base/log.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include "base/banned.h"

#define LOG_LINE_MAX 8192

static const char *const level_names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };

/* What readers of the log cannot take is a '?': bytes that are no UTF-8, and control characters
 * where the format does not escape them, for a value from outside must not be able to begin a line
 * of its own. */
static void put_clean(struct strbuf *line, const char *s, bool escaped)
{
	while (*s) {
		size_t len = utf8_sequence(s);
		bool bad = !len || (!escaped && ((unsigned char)*s < ' ' || *s == 0x7f));

		strbuf_put(line, bad ? "?" : s, bad ? 1 : len);
		s += len ? len : 1;
	}
}

static void put_string(struct json_out *out, const char *key, const char *value)
{
	CLEANUP(strbuf_release) struct strbuf clean = STRBUF_INIT(LOG_LINE_MAX);
	size_t len = strlen(value);

	if (len < LOG_LINE_MAX && utf8_valid(value, len, NULL)) {
		json_out_string(out, key, value);
		return;
	}
	put_clean(&clean, value, true);
	/* Past its cap it fills the line, which is then too long. */
	json_out_string(out, key, clean.data);
}

static void format_json(struct strbuf *line, enum log_level level, const struct log_field *fields)
{
	struct json_out out = { .to = line };

	json_out_begin_object(&out, NULL);
	json_out_time(&out, "time", clock_unix_us());
	json_out_string(&out, "level", level_names[level]);
	for (; fields->key; fields++) {
		if (fields->str)
			put_string(&out, fields->key, fields->str);
		else
			json_out_int(&out, fields->key, fields->num);
	}
	json_out_end_object(&out);
}

/* logfmt: a value that could be taken for more than one pair stands in quotes. */
static void put_text_value(struct strbuf *line, const char *value)
{
	CLEANUP(strbuf_release) struct strbuf clean = STRBUF_INIT(LOG_LINE_MAX);

	if (!value[strcspn(value, " =\"\\")]) {
		put_clean(line, value, false);
		return;
	}
	put_clean(&clean, value, false);
	strbuf_putc(line, '"');
	for (const char *s = clean.data; *s; s++) {
		if (*s == '"' || *s == '\\')
			strbuf_putc(line, '\\');
		strbuf_putc(line, *s);
	}
	strbuf_putc(line, '"');
}

static void format_text(struct strbuf *line, enum log_level level, const struct log_field *fields)
{
	char time[CLOCK_RFC3339_SIZE];

	strbuf_printf(line, "%s %s ", clock_rfc3339(clock_unix_us(), time), level_names[level]);
	put_clean(line, fields->str, false);
	for (fields++; fields->key; fields++) {
		strbuf_printf(line, " %s=", fields->key);
		if (fields->str)
			put_text_value(line, fields->str);
		else
			strbuf_put_int(line, fields->num);
	}
}

static void format_line(const struct log *log, struct strbuf *line, enum log_level level,
			const struct log_field *fields)
{
	if (log->format == LOG_FORMAT_JSON)
		format_json(line, level, fields);
	else
		format_text(line, level, fields);
	strbuf_putc(line, '\n');
}

/* One write, so that lines of several processes do not mix. */
static void put_out(const struct log *log, const struct strbuf *lines)
{
	ssize_t ignored = write(log->fd, lines->data, lines->len);

	(void)ignored;
}

void log_flush(const struct log *log)
{
	if (!log->held || !log->held->len)
		return;
	put_out(log, log->held);
	strbuf_reset(log->held);
}

static void hold(const struct log *log, enum log_level level, const struct strbuf *line)
{
	if (log->held->len + line->len > LOG_HELD_MAX)
		log_flush(log);
	if (line->len > LOG_HELD_MAX)
		put_out(log, line);
	else
		strbuf_put(log->held, line->data, line->len);
	if (level >= LOG_WARNING)
		log_flush(log);
}

void log_write(const struct log *log, enum log_level level, const struct log_field *fields)
{
	CLEANUP(strbuf_release) struct strbuf line = STRBUF_INIT(LOG_LINE_MAX);

	if (level < log->level)
		return;
	format_line(log, &line, level, fields);
	if (!strbuf_ok(&line)) {
		strbuf_reset(&line);
		format_line(log, &line, level,
			    (const struct log_field[]){
				    fields[0], LOG_STR("fields", "over 8 KiB, left out"), { 0 } });
	}
	if (log->held)
		hold(log, level, &line);
	else
		put_out(log, &line);
}
