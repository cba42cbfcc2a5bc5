/*
 * One event a line on standard error, as JSON or text. Only the places that handle an error
 * log it (master, workers, main); everything below returns.
 *
 *	LOG(log, LOG_INFO, "worker started", LOG_STR("pool", "database"), LOG_NUM("pid", pid));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARNING,
	LOG_ERROR,
};

enum log_format {
	LOG_FORMAT_JSON,
	LOG_FORMAT_TEXT,
};

struct strbuf;

struct log {
	enum log_level level; /* lowest that is written */
	enum log_format format;
	int fd;
	struct strbuf *held; /* lines that log_flush() writes; NULL: each is written at once */
};

/* The cap for struct log's @held: what a pipe takes in one piece, so that lines of several
 * processes do not mix (PIPE_BUF of Linux). */
#define LOG_HELD_MAX 4096

struct log_field {
	const char *key; /* NULL ends the list */
	const char *str; /* NULL: @num counts */
	int64_t num;
};

static inline const char *log_text(const char *s)
{
	return s ? s : "";
}

#define LOG_STR(key_, value) ((struct log_field){ .key = (key_), .str = log_text(value) })
#define LOG_NUM(key_, value) ((struct log_field){ .key = (key_), .num = (value) })

#define LOG(log, level, event, ...)                                                                \
	log_write(log, level,                                                                      \
		  (const struct log_field[]){ LOG_STR("event", event), ##__VA_ARGS__, { 0 } })

/* @fields[0] is the event; the list ends with a NULL key. Never fails: a line that cannot be
 * written is lost. A warning or an error is not held, and takes along what is. */
void log_write(const struct log *log, enum log_level level, const struct log_field *fields);

/* Writes what @log holds. */
void log_flush(const struct log *log);

#endif
