#include "support.h"

#include <errno.h>
#include <limits.h>

#include "base/json.h"
#include "base/log.h"
#include "base/strbuf.h"

/* What @log writes, through a pipe that nobody has to wait for. */
struct sink {
	struct log log;
	int read_fd;
	char text[65536];
};

static void sink_open(struct sink *sink, enum log_format format, enum log_level level)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	sink->read_fd = fds[0];
	sink->log = (struct log){ .fd = fds[1], .format = format, .level = level };
}

/* What was written since the last time. */
static const char *sink_read(struct sink *sink)
{
	ssize_t len = read(sink->read_fd, sink->text, sizeof(sink->text) - 1);

	sink->text[len > 0 ? len : 0] = '\0';
	return sink->text;
}

static void sink_close(struct sink *sink)
{
	close(sink->read_fd);
	close(sink->log.fd);
}

static bool is_time(const char *s)
{
	static const char shape[] = "0000-00-00T00:00:00.000000Z";

	for (size_t i = 0; i < sizeof(shape) - 1; i++) {
		if (shape[i] == '0' ? s[i] < '0' || s[i] > '9' : s[i] != shape[i])
			return false;
	}
	return true;
}

static void json_is_one_object_a_line(void **state)
{
	CLEANUP(json_release) struct json_object *obj = NULL;
	CLEANUP(sink_close) struct sink sink;
	const char *line;

	sink_open(&sink, LOG_FORMAT_JSON, LOG_DEBUG);
	LOG(&sink.log, LOG_WARNING, "it happened", LOG_STR("who", "a \"b\"\nc\x01\xc3\xa9"),
	    LOG_NUM("count", -5), LOG_STR("none", (const char *)NULL));
	line = sink_read(&sink);
	assert_int_equal(strchr(line, '\n') - line, strlen(line) - 1);
	assert_int_equal(json_parse(line, strlen(line), &obj), ERR_OK);
	assert_int_equal(json_object_object_length(obj), 6);
	assert_true(is_time(json_get_string(obj, "time")));
	assert_string_equal(json_get_string(obj, "level"), "WARNING");
	assert_string_equal(json_get_string(obj, "event"), "it happened");
	assert_string_equal(json_get_string(obj, "who"), "a \"b\"\nc\x01\xc3\xa9");
	assert_string_equal(json_get_string(obj, "none"), "");
	assert_int_equal(json_object_get_int64(json_object_object_get(obj, "count")), -5);
}

static void text_is_time_level_event_and_pairs(void **state)
{
	CLEANUP(sink_close) struct sink sink;
	const char *line;

	sink_open(&sink, LOG_FORMAT_TEXT, LOG_DEBUG);
	LOG(&sink.log, LOG_ERROR, "it happened", LOG_STR("who", "a b"), LOG_NUM("min", INT64_MIN),
	    LOG_STR("none", (const char *)NULL));
	line = sink_read(&sink);
	assert_true(is_time(line));
	assert_string_equal(line + 27,
			    " ERROR it happened who=\"a b\" min=-9223372036854775808 none=\n");
}

static void text_from_outside_cannot_begin_a_line_of_its_own(void **state)
{
	CLEANUP(sink_close) struct sink sink;

	sink_open(&sink, LOG_FORMAT_TEXT, LOG_DEBUG);
	LOG(&sink.log, LOG_INFO, "bad\nevent", LOG_STR("who", "a\r\nb\x1b[31m\x7f\t\xc3\xa9"));
	assert_string_equal(sink_read(&sink) + 27, " INFO bad?event who=a??b?[31m??\xc3\xa9\n");
}

static void text_from_outside_cannot_add_a_pair(void **state)
{
	static const struct {
		const char *value, *line;
	} cases[] = {
		{ "a outcome=good", "who=\"a outcome=good\"" },
		{ "a\" outcome=\"good", "who=\"a\\\" outcome=\\\"good\"" },
		{ "a\\ b", "who=\"a\\\\ b\"" },
		{ "", "who=" },
		{ "a/b?c", "who=a/b?c" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(sink_close) struct sink sink;
		const char *line;

		sink_open(&sink, LOG_FORMAT_TEXT, LOG_DEBUG);
		LOG(&sink.log, LOG_INFO, "x", LOG_STR("who", cases[i].value), LOG_NUM("n", 1));
		line = strstr(sink_read(&sink), "who=");
		assert_non_null(line);
		assert_int_equal(strncmp(line, cases[i].line, strlen(cases[i].line)), 0);
		assert_string_equal(line + strlen(cases[i].line), " n=1\n");
	}
}

static void bytes_that_are_no_utf8_do_not_reach_the_line(void **state)
{
	static const char bad[] = "a\xff\xc3(\xe2\x82\xc3\xa9\xc3";
	static const char clean[] = "a?"
				    "?("
				    "??\xc3\xa9?";
	CLEANUP(json_release) struct json_object *obj = NULL;
	CLEANUP(sink_close) struct sink json;
	CLEANUP(sink_close) struct sink text;
	const char *line;

	sink_open(&json, LOG_FORMAT_JSON, LOG_DEBUG);
	LOG(&json.log, LOG_INFO, "x", LOG_STR("who", bad));
	line = sink_read(&json);
	assert_int_equal(json_parse(line, strlen(line), &obj), ERR_OK);
	assert_string_equal(json_get_string(obj, "who"), clean);
	sink_open(&text, LOG_FORMAT_TEXT, LOG_DEBUG);
	LOG(&text.log, LOG_INFO, "x", LOG_STR("who", bad));
	line = strstr(sink_read(&text), "who=");
	assert_non_null(line);
	assert_int_equal(strncmp(line + 4, clean, strlen(clean)), 0);
}

static void below_the_level_nothing_is_written(void **state)
{
	static const enum log_level levels[] = { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

	for (size_t lowest = 0; lowest < COUNT(levels); lowest++) {
		for (size_t level = 0; level < COUNT(levels); level++) {
			CLEANUP(sink_close) struct sink sink;

			sink_open(&sink, LOG_FORMAT_TEXT, levels[lowest]);
			LOG(&sink.log, levels[level], "x");
			assert_int_equal(*sink_read(&sink) != '\0', level >= lowest);
		}
	}
}

static void every_level_has_its_name(void **state)
{
	static const char *const names[] = { "DEBUG", "INFO", "WARNING", "ERROR" };

	for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
		CLEANUP(sink_close) struct sink sink;
		char expected[32];

		sink_open(&sink, LOG_FORMAT_TEXT, LOG_DEBUG);
		LOG(&sink.log, (enum log_level)level, "x");
		snprintf(expected, sizeof(expected), " %s x\n", names[level]);
		assert_string_equal(sink_read(&sink) + 27, expected);
	}
}

static void an_event_too_long_is_still_a_line_of_its_own(void **state)
{
	static const enum log_format formats[] = { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };
	char *text = malloc(9001);

	memset(text, 'x', 9000);
	text[9000] = '\0';
	for (size_t i = 0; i < COUNT(formats); i++) {
		CLEANUP(sink_close) struct sink sink;
		const char *line;

		sink_open(&sink, formats[i], LOG_DEBUG);
		LOG(&sink.log, LOG_ERROR, "too long", LOG_STR("text", text));
		line = sink_read(&sink);
		assert_non_null(strstr(line, "too long"));
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	}
	free(text);
}

static void a_log_that_cannot_be_written_is_no_error(void **state)
{
	struct log log = { .fd = -1, .format = LOG_FORMAT_JSON, .level = LOG_DEBUG };

	LOG(&log, LOG_ERROR, "lost", LOG_NUM("n", 1));
}

/* In packets: what one write() wrote is what one read() reads. */
static void sink_hold(struct sink *sink, struct strbuf *held)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK | O_DIRECT), 0);
	sink->read_fd = fds[0];
	sink->log = (struct log){ .fd = fds[1], .level = LOG_DEBUG, .held = held };
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

/* Two lines, in this order. */
static void assert_first_and_second(const char *text)
{
	assert_int_equal(count_lines(text), 2);
	assert_true(strstr(text, "first") < strstr(text, "second"));
}

static void held_lines_are_written_together_in_their_order(void **state)
{
	CLEANUP(strbuf_release) struct strbuf held = STRBUF_INIT(LOG_HELD_MAX);
	CLEANUP(sink_close) struct sink sink;

	sink_hold(&sink, &held);
	LOG(&sink.log, LOG_INFO, "first");
	LOG(&sink.log, LOG_INFO, "second");
	assert_string_equal(sink_read(&sink), "");
	log_flush(&sink.log);
	assert_first_and_second(sink_read(&sink));
	log_flush(&sink.log);
	assert_string_equal(sink_read(&sink), "");
}

static void a_warning_is_written_at_once_after_what_is_held(void **state)
{
	CLEANUP(strbuf_release) struct strbuf held = STRBUF_INIT(LOG_HELD_MAX);
	CLEANUP(sink_close) struct sink sink;

	sink_hold(&sink, &held);
	LOG(&sink.log, LOG_INFO, "first");
	LOG(&sink.log, LOG_WARNING, "second");
	assert_first_and_second(sink_read(&sink));
}

/* Longer writes could be cut by those of other processes. */
static void each_write_of_held_lines_fits_a_pipe_and_ends_with_a_line(void **state)
{
	CLEANUP(strbuf_release) struct strbuf held = STRBUF_INIT(LOG_HELD_MAX);
	CLEANUP(sink_close) struct sink sink;
	size_t lines = 0;
	const char *text;

	sink_hold(&sink, &held);
	for (int i = 0; i < 200; i++)
		LOG(&sink.log, LOG_INFO, "one of many", LOG_NUM("number", i));
	log_flush(&sink.log);
	while (*(text = sink_read(&sink))) {
		assert_in_range(strlen(text), 1, PIPE_BUF);
		assert_int_equal(text[strlen(text) - 1], '\n');
		lines += count_lines(text);
	}
	assert_int_equal(lines, 200);
}

static void a_line_too_long_to_hold_keeps_its_place(void **state)
{
	CLEANUP(strbuf_release) struct strbuf held = STRBUF_INIT(LOG_HELD_MAX);
	CLEANUP(sink_close) struct sink sink;
	char text[LOG_HELD_MAX + 1] = "";

	memset(text, 'x', LOG_HELD_MAX);
	sink_hold(&sink, &held);
	LOG(&sink.log, LOG_INFO, "first");
	LOG(&sink.log, LOG_INFO, "long", LOG_STR("text", text));
	LOG(&sink.log, LOG_INFO, "last");
	assert_non_null(strstr(sink_read(&sink), "first"));
	assert_non_null(strstr(sink_read(&sink), "long"));
	assert_int_equal(count_lines(sink_read(&sink)), 1);
	assert_string_equal(sink_read(&sink), "");
	log_flush(&sink.log);
	assert_non_null(strstr(sink_read(&sink), "last"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_one_object_a_line),
		cmocka_unit_test(text_is_time_level_event_and_pairs),
		cmocka_unit_test(text_from_outside_cannot_begin_a_line_of_its_own),
		cmocka_unit_test(text_from_outside_cannot_add_a_pair),
		cmocka_unit_test(bytes_that_are_no_utf8_do_not_reach_the_line),
		cmocka_unit_test(below_the_level_nothing_is_written),
		cmocka_unit_test(every_level_has_its_name),
		cmocka_unit_test(an_event_too_long_is_still_a_line_of_its_own),
		cmocka_unit_test(held_lines_are_written_together_in_their_order),
		cmocka_unit_test(a_warning_is_written_at_once_after_what_is_held),
		cmocka_unit_test(each_write_of_held_lines_fits_a_pipe_and_ends_with_a_line),
		cmocka_unit_test(a_line_too_long_to_hold_keeps_its_place),
		cmocka_unit_test(a_log_that_cannot_be_written_is_no_error),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
