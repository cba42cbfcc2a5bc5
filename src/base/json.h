/*
 * json-c with this project's limits and defaults; what answers are written with is base/json_out.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* For CLEANUP(json_release) struct json_object *obj. */
void json_release(struct json_object **obj);

/* Parses exactly one JSON text of UTF-8, nesting at most 16 deep.
 * ERR_MALFORMED_REQUEST: it is none. @ret_value is the caller's (json_release); it may be
 * NULL on success, for the text "null". */
MUST_CHECK enum err json_parse(const char *text, size_t len, struct json_object **ret_value);

/* The string member @key of @obj, borrowed; NULL when absent, no string, or with a NUL in it. */
const char *json_get_string(struct json_object *obj, const char *key);

/* Wipes the string member @key of @obj, where it has one: json-c frees strings as they are. */
void json_wipe_string(struct json_object *obj, const char *key);

/* Add a member; NULL strings become null. @key is borrowed for as long as @obj lives. */
void json_add_string(struct json_object *obj, const char *key, const char *value);
void json_add_int(struct json_object *obj, const char *key, int64_t value);
void json_add_bool(struct json_object *obj, const char *key, bool value);

/* @obj as compact JSON, borrowed from it. */
const char *json_text(struct json_object *obj);

#endif
