/* Log lines: whatever the values are, one line comes out; in JSON it parses and its values are those
 * that were given. Input: "j" or "t" for the format, then a value a line, "#" before a number. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

#define LINE_MAX_BYTES 8192
#define FIELDS_MAX 4
#define EVENT_MAX 500 /* events are the service's own words */

static size_t write_line(enum log_format format, const struct log_field *fields, char *line,
			 size_t room)
{
	struct log log = { .level = LOG_DEBUG, .format = format };
	ssize_t len;

	log.fd = memfd_create("log", MFD_CLOEXEC);
	FUZZ_CHECK(log.fd >= 0);
	log_write(&log, LOG_INFO, fields);
	len = pread(log.fd, line, room, 0);
	close(log.fd);
	FUZZ_CHECK(len > 0 && (size_t)len < room);
	return (size_t)len;
}

static void check_json(const char *line, size_t len, const struct log_field *fields)
{
	CLEANUP(json_release) struct json_object *obj = NULL;
	const struct log_field event_only[] = { fields[0], { 0 } };

	FUZZ_CHECK(json_parse(line, len, &obj) == ERR_OK);
	FUZZ_CHECK(json_get_string(obj, "time") && !strcmp(json_get_string(obj, "level"), "INFO"));
	if (json_get_string(obj, "fields")) /* too long: only the event is there */
		fields = event_only;
	for (; fields->key; fields++) {
		const char *text = json_get_string(obj, fields->key);
		struct json_object *number = NULL;

		if (fields->str) {
			FUZZ_CHECK(text != NULL);
			FUZZ_CHECK(!fuzz_is_utf8(fields->str) || !strcmp(text, fields->str));
		} else {
			FUZZ_CHECK(json_object_object_get_ex(obj, fields->key, &number));
			FUZZ_CHECK(json_object_get_int64(number) == fields->num);
		}
	}
}

static void check_text(const char *line, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		FUZZ_CHECK((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[FIELDS_MAX] = { "event", "a", "b", "c" };
	struct log_field fields[FIELDS_MAX + 1] = { 0 };
	char *values[FIELDS_MAX] = { 0 };
	char line[LINE_MAX_BYTES + 2];
	struct fuzz_input in = { data, size };
	enum log_format format = fuzz_byte(&in) == 't' ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
	size_t len;

	for (int i = 0; i < FIELDS_MAX && (in.size || !i); i++) {
		values[i] = fuzz_line(&in);
		if (!i && strlen(values[i]) > EVENT_MAX)
			values[i][EVENT_MAX] = '\0';
		fields[i] = i && *values[i] == '#'
				    ? LOG_NUM(keys[i], strtoll(values[i] + 1, NULL, 10))
				    : LOG_STR(keys[i], values[i]);
	}
	len = write_line(format, fields, line, sizeof(line));
	FUZZ_CHECK(memchr(line, '\n', len) == line + len - 1);
	FUZZ_CHECK(utf8_valid(line, len, NULL));
	if (format == LOG_FORMAT_JSON)
		check_json(line, len, fields);
	else
		check_text(line, len);
	for (int i = 0; i < FIELDS_MAX; i++)
		free(values[i]);
	return 0;
}
