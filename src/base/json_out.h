/*
 * JSON written straight into a strbuf, compact, one member after the other; nothing is built in
 * between. The bytes are those that json-c writes of the same values.
 *
 *	struct json_out out = { .to = &body };
 *
 *	json_out_begin_object(&out, NULL);
 *	json_out_string(&out, "name", name);
 *	json_out_end_object(&out);
 */
#ifndef BASE_JSON_OUT_H
#define BASE_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

struct json_out {
	struct strbuf *to; /* strbuf_ok() says at the end whether all of it had room */
	bool comma;        /* is due before what comes next */
};

/* @key: of a member of an object, written as it is; NULL outside of one. */
void json_out_begin_object(struct json_out *out, const char *key);
void json_out_end_object(struct json_out *out);
void json_out_begin_array(struct json_out *out, const char *key);
void json_out_end_array(struct json_out *out);

/* @value is UTF-8; NULL becomes null. */
void json_out_string(struct json_out *out, const char *key, const char *value);
void json_out_int(struct json_out *out, const char *key, int64_t value);
void json_out_bool(struct json_out *out, const char *key, bool value);
void json_out_time(struct json_out *out, const char *key, int64_t unix_us); /* RFC 3339 */
/* @json is a JSON text. */
void json_out_raw(struct json_out *out, const char *key, const char *json);

#endif
