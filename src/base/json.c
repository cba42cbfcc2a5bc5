#include "base/json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json_tokener.h>

#include "base/utf8.h"

#include "base/banned.h"

#define JSON_DEPTH_MAX 16

void json_release(struct json_object **obj)
{
	json_object_put(*obj);
	*obj = NULL;
}

static bool is_json_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Does a number with a superfluous zero in front begin at text[@i], a '0'? */
static bool is_leading_zero(const char *text, size_t len, size_t i)
{
	size_t sign = i && strchr("+-", text[i - 1]) ? 1 : 0;
	char before = i > sign ? text[i - sign - 1] : ' ';

	return i + 1 < len && is_digit(text[i + 1]) && !is_digit(before) && !strchr(".eE", before);
}

/* Does the '.' at text[@i] lack a digit on one of its sides? */
static bool is_bare_point(const char *text, size_t len, size_t i)
{
	return !i || !is_digit(text[i - 1]) || i + 1 == len || !is_digit(text[i + 1]);
}

/* The UTF-16 unit of the escape \uXXXX at text[@i], or -1. */
static int escaped_unit(const char *text, size_t len, size_t i)
{
	char digits[5] = "";

	if (len - i < 6 || text[i] != '\\' || text[i + 1] != 'u')
		return -1;
	memcpy(digits, text + i + 2, 4);
	return (int)strtol(digits, NULL, 16);
}

/* Is the escape at text[@i] half of a pair alone? json-c would put U+FFFD for it, which is another
 * string than was sent. Where it is a whole pair, *@i moves to the second half. */
static bool is_lone_surrogate(const char *text, size_t len, size_t *i)
{
	int unit = escaped_unit(text, len, *i);
	int low;

	if (unit < 0xD800 || unit > 0xDFFF)
		return false;
	low = unit < 0xDC00 ? escaped_unit(text, len, *i + 6 < len ? *i + 6 : len) : -1;
	*i += 6;
	return low < 0xDC00 || low > 0xDFFF;
}

/*
 * json-c's strict mode still takes what RFC 8259 does not: NaN and Infinity, names in single
 * quotes, "1.", "-.5", "00", control characters in strings, and half a surrogate pair. @text is valid UTF-8.
 */
static bool is_lenient(const char *text, size_t len)
{
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string && (unsigned char)c < ' ')
			return true;
		if (in_string && c == '\\') {
			if (is_lone_surrogate(text, len, &i))
				return true;
			i++;
		} else if (c == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (strchr("'IN", c) || (c == '0' && is_leading_zero(text, len, i)) ||
			 (c == '.' && is_bare_point(text, len, i)))
			return true;
	}
	return false;
}

enum err json_parse(const char *text, size_t len, struct json_object **ret_value)
{
	struct json_tokener *tok;
	struct json_object *value;
	enum json_tokener_error code;
	size_t end;

	/* json-c takes an int, and would take a NUL byte for the end of the text. */
	if (!len || len > INT_MAX || !utf8_valid(text, len, NULL) || is_lenient(text, len))
		return ERR_MALFORMED_REQUEST;
	tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tok)
		return ERR_INTERNAL;
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	value = json_tokener_parse_ex(tok, text, (int)len);
	code = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	if (code == json_tokener_continue) { /* a bare number ends only at the end of the text */
		value = json_tokener_parse_ex(tok, "", -1);
		code = json_tokener_get_error(tok);
		end = len;
	}
	json_tokener_free(tok);
	while (end < len && is_json_space(text[end]))
		end++;
	if (code != json_tokener_success || end != len) {
		json_object_put(value);
		return ERR_MALFORMED_REQUEST;
	}
	*ret_value = value;
	return ERR_OK;
}

/* NULL when absent or no string. */
static struct json_object *string_member(struct json_object *obj, const char *key)
{
	struct json_object *value;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return value;
}

const char *json_get_string(struct json_object *obj, const char *key)
{
	struct json_object *value = string_member(obj, key);
	const char *s;

	if (!value)
		return NULL;
	s = json_object_get_string(value);
	return strlen(s) == (size_t)json_object_get_string_len(value) ? s : NULL;
}

void json_wipe_string(struct json_object *obj, const char *key)
{
	struct json_object *value = string_member(obj, key);

	if (value)
		explicit_bzero((char *)json_object_get_string(value),
			       (size_t)json_object_get_string_len(value));
}

static void add(struct json_object *obj, const char *key, struct json_object *value)
{
	json_object_object_add_ex(obj, key, value, JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void json_add_string(struct json_object *obj, const char *key, const char *value)
{
	add(obj, key, value ? json_object_new_string(value) : NULL);
}

void json_add_int(struct json_object *obj, const char *key, int64_t value)
{
	add(obj, key, json_object_new_int64(value));
}

void json_add_bool(struct json_object *obj, const char *key, bool value)
{
	add(obj, key, json_object_new_boolean(value));
}

const char *json_text(struct json_object *obj)
{
	return json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
							   JSON_C_TO_STRING_NOSLASHESCAPE);
}
