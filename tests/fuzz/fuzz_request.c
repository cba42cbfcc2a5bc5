/*
 * Requests as nginx hands them on, through libfcgi, routes and handlers up to the database that is
 * not there: each gets one whole reply, its headers are lines of printable text, its JSON is JSON,
 * and a page has no script. Input: a line NAME=value for each parameter, an empty line, the body.
 */
#include "served.h"

#include "base/json.h"

#define PARAMS_MAX 60000

static void put_header(struct strbuf *out, char type, size_t size)
{
	const char header[] = { 1, type, 0, 1, (char)(size >> 8), (char)size, 0, 0 };

	strbuf_put(out, header, sizeof(header));
}

static void put_record(struct strbuf *out, char type, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		size_t part = size < 32768 ? size : 32768;

		put_header(out, type, part);
		strbuf_put(out, at, part);
		at += part;
		size -= part;
	}
	put_header(out, type, 0);
}

static void put_len(struct strbuf *out, size_t len)
{
	if (len >= 0x80) {
		strbuf_putc(out, (char)(len >> 24 | 0x80));
		strbuf_putc(out, (char)(len >> 16));
		strbuf_putc(out, (char)(len >> 8));
	}
	strbuf_putc(out, (char)len);
}

static void put_param(struct strbuf *out, const char *name, const char *value)
{
	put_len(out, strlen(name));
	put_len(out, strlen(value));
	strbuf_puts(out, name);
	strbuf_puts(out, value);
}

/* What nginx makes itself is what it is; everything else is the caller's. */
static void put_params(struct strbuf *out, struct fuzz_input *in)
{
	char *line = fuzz_line(in);

	for (; *line; line = fuzz_line(in)) {
		char *equals = strchr(line, '=');

		if (equals)
			*equals = '\0';
		if (strcmp(line, "CONTENT_LENGTH") != 0 && strcmp(line, "REQUEST_ID") != 0)
			put_param(out, line, equals ? equals + 1 : "");
		free(line);
	}
	free(line);
}

/* --- the reply ------------------------------------------------------------------------------------- */

static void check_headers(const char *headers, const char *end)
{
	while (headers < end) {
		const char *cr = strstr(headers, "\r\n");
		size_t name =
			strspn(headers, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");

		FUZZ_CHECK(cr && cr <= end && name && headers[name] == ':');
		for (const char *c = headers; c < cr; c++)
			FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
		headers = cr + 2;
	}
}

static void check_json(const char *body, size_t len, int status)
{
	CLEANUP(json_release) struct json_object *obj = NULL;

	FUZZ_CHECK(json_parse(body, len, &obj) == ERR_OK);
	if (status < 400 || json_get_string(obj, "status")) /* /health says it its own way */
		return;
	FUZZ_CHECK(json_get_string(obj, "error") && json_get_string(obj, "message"));
	FUZZ_CHECK(!strcmp(json_get_string(obj, "request_id"), "r-1"));
}

static void check_reply(const char *text, size_t len)
{
	const char *blank = strstr(text, "\r\n\r\n");
	const char *body = blank ? blank + 4 : NULL;
	const char *length, *type;
	int status;

	FUZZ_CHECK(body && !strncmp(text, "Status: ", 8));
	status = (int)strtol(text + 8, NULL, 10);
	FUZZ_CHECK(status >= 200 && status <= 503 && status != 500);
	check_headers(text, blank + 2);
	length = strstr(text, "\r\nContent-Length: ");
	type = strstr(text, "\r\nContent-Type: ");
	FUZZ_CHECK(!length == !type);
	len -= (size_t)(body - text);
	if (!length || length > blank) {
		FUZZ_CHECK(!len);
		return;
	}
	FUZZ_CHECK(strtoul(length + 18, NULL, 10) == len);
	if (!strncmp(type + 16, "application/json", 16))
		check_json(body, len, status);
	else if (!strncmp(type + 16, "text/html", 9))
		FUZZ_CHECK(utf8_valid(body, len, NULL) && !strcasestr(body, "<script"));
}

/* The content of every STDOUT record; ends with one END_REQUEST. */
static void take_apart(const struct strbuf *output, struct strbuf *text)
{
	int ends = 0;

	for (size_t at = 0; at < output->len;) {
		const uint8_t *record = (const uint8_t *)output->data + at;
		size_t size = (size_t)record[4] << 8 | record[5];

		FUZZ_CHECK(at + 8 + size + record[6] <= output->len && !ends);
		if (record[1] == 6)
			strbuf_put(text, record + 8, size);
		ends += record[1] == 3;
		at += 8 + size + record[6];
	}
	FUZZ_CHECK(ends == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char begin[8] = { 0, 1, 0, 0, 0, 0, 0, 0 }; /* a responder; close afterwards */
	static struct served served;
	CLEANUP(strbuf_release) struct strbuf params = STRBUF_INIT(PARAMS_MAX);
	CLEANUP(strbuf_release) struct strbuf bytes = STRBUF_INIT(SERVED_INPUT_MAX);
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(SERVED_OUTPUT_MAX);
	struct fuzz_input in = { data, size };
	char number[16];

	if (!served.conn)
		served_start(&served);
	put_params(&params, &in);
	snprintf(number, sizeof(number), "%zu", in.size);
	put_param(&params, "CONTENT_LENGTH", number);
	put_param(&params, "REQUEST_ID", "r-1");
	put_header(&bytes, 1, sizeof(begin));
	strbuf_put(&bytes, begin, sizeof(begin));
	put_record(&bytes, 4, params.data, params.len);
	put_record(&bytes, 5, in.data, in.size);
	if (!strbuf_ok(&params) || !strbuf_ok(&bytes))
		return -1;
	served_take(&served, bytes.data, bytes.len);
	FUZZ_CHECK(served.requests == 1);
	take_apart(&served.output, &text);
	check_reply(text.data, text.len);
	return 0;
}
