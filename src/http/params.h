/*
 * Percent-encoding, query strings and cookies: names and values from outside.
 */
#ifndef HTTP_PARAMS_H
#define HTTP_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define HTTP_PARAMS_MAX 32
#define HTTP_PARAMS_TEXT_MAX 8192

/*
 * Decodes @len bytes at @s into @ret_text (room for @len + 1 bytes); '+' becomes a space
 * when @form. ERR_MALFORMED_REQUEST: bad percent-encoding, NUL, or no UTF-8 after decoding.
 */
MUST_CHECK enum err http_percent_decode(const char *s, size_t len, bool form, char *ret_text);

struct http_param {
	const char *name;
	const char *value;
};

/* Decoded name=value pairs; the strings live as long as this. */
struct http_params {
	struct http_param list[HTTP_PARAMS_MAX];
	size_t count;
	char text[HTTP_PARAMS_TEXT_MAX];
};

/* Reads an application/x-www-form-urlencoded string (RFC 6749 appendix B; a query string too).
 * ERR_MALFORMED_REQUEST: bad encoding, a name twice, too long, or more than 32 of them. */
MUST_CHECK enum err http_params_parse(const char *s, struct http_params *ret_params);

/* NULL when absent. */
const char *http_params_get(const struct http_params *params, const char *name);

/* Copies the value of cookie @name out of the Cookie header @header (may be NULL) into
 * @ret_value, @size bytes; false when absent, empty or too long (RFC 6265 section 4.2). */
bool http_cookie_get(const char *header, const char *name, char *ret_value, size_t size);

#endif
