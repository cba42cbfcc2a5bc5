/* JSON: exactly the texts of RFC 8259 (with a limit of depth, and no half surrogate pairs) are
 * taken, as a recogniser that knows nothing of json-c says; what is taken is written and read again
 * without change. A string of any bytes is written by base/json_out as by json-c. */
#include "fuzz.h"

#include <math.h>

#include <json-c/linkhash.h>

#include "base/json.h"
#include "base/json_out.h"

#define DEPTH_MAX 16

/* --- the recogniser: every function moves *at behind what it names, or says no -------------------- */

struct text {
	const char *at;
	const char *end;
};

static bool value(struct text *t, int depth);

static char peek(const struct text *t)
{
	return t->at < t->end ? *t->at : '\0';
}

static bool take(struct text *t, char c)
{
	if (peek(t) != c || t->at == t->end)
		return false;
	t->at++;
	return true;
}

static void space(struct text *t)
{
	while (t->at < t->end && strchr(" \t\r\n", *t->at) && *t->at)
		t->at++;
}

static bool digits(struct text *t)
{
	const char *begin = t->at;

	while (peek(t) >= '0' && peek(t) <= '9')
		t->at++;
	return t->at > begin;
}

static bool number(struct text *t)
{
	take(t, '-');
	if (!take(t, '0') && !digits(t))
		return false;
	if (take(t, '.') && !digits(t))
		return false;
	if (take(t, 'e') || take(t, 'E')) {
		if (!take(t, '+'))
			take(t, '-');
		return digits(t);
	}
	return true;
}

/* The unit of \uXXXX; -1: none. */
static int unit(struct text *t)
{
	int code = 0;

	if (t->end - t->at < 6 || t->at[0] != '\\' || t->at[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		const char *hex = "0123456789abcdef0123456789ABCDEF";
		const char *digit = t->at[i] ? strchr(hex, t->at[i]) : NULL;

		if (!digit)
			return -1;
		code = code * 16 + (int)(digit - hex) % 16;
	}
	t->at += 6;
	return code;
}

static bool escape(struct text *t)
{
	int high, low;

	if (t->end - t->at >= 2 && t->at[1] && strchr("\"\\/bfnrt", t->at[1])) {
		t->at += 2;
		return true;
	}
	high = unit(t);
	if (high < 0xD800 || high > 0xDFFF)
		return high >= 0;
	low = high < 0xDC00 ? unit(t) : -1;
	return low >= 0xDC00 && low <= 0xDFFF;
}

static bool string(struct text *t)
{
	if (!take(t, '"'))
		return false;
	while (t->at < t->end && *t->at != '"') {
		if ((unsigned char)*t->at < ' ' || (*t->at == '\\' && !escape(t)))
			return false;
		if (t->at < t->end && *t->at != '\\' && *t->at != '"' &&
		    (unsigned char)*t->at >= ' ')
			t->at++;
	}
	return take(t, '"');
}

static bool word(struct text *t, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(t->end - t->at) < len || memcmp(t->at, text, len) != 0)
		return false;
	t->at += len;
	return true;
}

static bool members(struct text *t, int depth, char close, bool named)
{
	t->at++;
	space(t);
	if (take(t, close))
		return true;
	do {
		space(t);
		if (named && !string(t))
			return false;
		space(t);
		if ((named && !take(t, ':')) || !value(t, depth + 1))
			return false;
		space(t);
	} while (take(t, ','));
	return take(t, close);
}

static bool value(struct text *t, int depth)
{
	space(t);
	if (depth >= DEPTH_MAX)
		return false;
	switch (peek(t)) {
	case '{':
		return members(t, depth, '}', true);
	case '[':
		return members(t, depth, ']', false);
	case '"':
		return string(t);
	case 't':
		return word(t, "true");
	case 'f':
		return word(t, "false");
	case 'n':
		return word(t, "null");
	default:
		return number(t);
	}
}

static bool is_json(const char *text, size_t len)
{
	struct text t = { text, text + len };

	if (!utf8_valid(text, len, NULL) || !value(&t, 0))
		return false;
	space(&t);
	return t.at == t.end;
}

/* --- the check ---------------------------------------------------------------------------------- */

/* A number that no double holds is read as infinity, which cannot be written as JSON. */
static bool has_infinity(struct json_object *obj)
{
	if (json_object_is_type(obj, json_type_double))
		return isinf(json_object_get_double(obj));
	if (json_object_is_type(obj, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(obj); i++) {
			if (has_infinity(json_object_array_get_idx(obj, i)))
				return true;
		}
	}
	if (json_object_is_type(obj, json_type_object)) {
		json_object_object_foreach(obj, key, member)
		{
			(void)key;
			if (has_infinity(member))
				return true;
		}
	}
	return false;
}

static void check_written(struct json_object *obj)
{
	CLEANUP(json_release) struct json_object *again = NULL;
	const char *text = json_text(obj);
	size_t len = strlen(text);

	if (has_infinity(obj))
		return;
	FUZZ_CHECK(utf8_valid(text, len, NULL));
	FUZZ_CHECK(is_json(text, len));
	FUZZ_CHECK(json_parse(text, len, &again) == ERR_OK);
	FUZZ_CHECK(json_object_equal(obj, again));
}

/* The input as a string, whatever it is: as json-c has it. */
static void check_string(const char *text, size_t len)
{
	CLEANUP(json_release)
	struct json_object *theirs = json_object_new_string_len(text, (int)len);
	CLEANUP(strbuf_release) struct strbuf ours = STRBUF_INIT(len * 6 + 2);
	struct json_out out = { .to = &ours };

	json_out_string(&out, NULL, json_object_get_string(theirs));
	FUZZ_CHECK(strbuf_ok(&ours));
	FUZZ_CHECK(memchr(text, '\0', len) || !strcmp(ours.data, json_text(theirs)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_release) struct json_object *obj = NULL;
	/* The text has no NUL behind it, and may hold some. */
	char *text = malloc(size ? size : 1);
	bool taken;

	FUZZ_CHECK(text != NULL);
	if (size)
		memcpy(text, data, size);
	taken = !json_parse(text, size, &obj);
	FUZZ_CHECK(taken == is_json(text, size));
	if (taken)
		check_written(obj);
	check_string(text, size);
	free(text);
	return 0;
}
