#include "http/params.h"

#include <string.h>

#include "base/utf8.h"

#include "base/banned.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err http_percent_decode(const char *s, size_t len, bool form, char *ret_text)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = len - i > 2 ? hex_digit(s[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return ERR_MALFORMED_REQUEST;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (form && c == '+') {
			c = ' ';
		}
		ret_text[out++] = c;
	}
	ret_text[out] = '\0';
	return utf8_valid(ret_text, out, NULL) ? ERR_OK : ERR_MALFORMED_REQUEST;
}

/* Decodes one name or value to @at and moves @at behind its NUL. */
static enum err decode_to(char **at, const char *s, size_t len, const char **ret)
{
	enum err err = http_percent_decode(s, len, true, *at);

	if (err)
		return err;
	*ret = *at;
	*at += strlen(*at) + 1;
	return ERR_OK;
}

static enum err parse_pair(struct http_params *params, const char *pair, size_t len, char **at)
{
	const char *equals = memchr(pair, '=', len);
	size_t name_len = equals ? (size_t)(equals - pair) : len;
	struct http_param param = { .value = "" };
	enum err err;

	if (params->count == HTTP_PARAMS_MAX)
		return ERR_MALFORMED_REQUEST;
	err = decode_to(at, pair, name_len, &param.name);
	if (!err && equals)
		err = decode_to(at, equals + 1, len - name_len - 1, &param.value);
	if (err)
		return err;
	if (http_params_get(params, param.name))
		return ERR_MALFORMED_REQUEST;
	params->list[params->count++] = param;
	return ERR_OK;
}

enum err http_params_parse(const char *s, struct http_params *ret_params)
{
	char *at = ret_params->text;

	ret_params->count = 0;
	/* Decoding never lengthens; each name and each value takes a NUL where it had a separator. */
	if (strlen(s) + 2 > sizeof(ret_params->text))
		return ERR_MALFORMED_REQUEST;
	while (*s) {
		size_t len = strcspn(s, "&");

		if (len) {
			enum err err = parse_pair(ret_params, s, len, &at);

			if (err)
				return err;
		}
		s += len + (s[len] == '&');
	}
	return ERR_OK;
}

const char *http_params_get(const struct http_params *params, const char *name)
{
	for (size_t i = 0; i < params->count; i++) {
		if (!strcmp(params->list[i].name, name))
			return params->list[i].value;
	}
	return NULL;
}

bool http_cookie_get(const char *header, const char *name, char *ret_value, size_t size)
{
	size_t name_len = strlen(name);

	while (header && *header) {
		size_t len;

		header += strspn(header, " \t;");
		len = strcspn(header, ";");
		if (len > name_len && !strncmp(header, name, name_len) && header[name_len] == '=') {
			const char *value = header + name_len + 1;
			size_t value_len = len - name_len - 1;

			while (value_len &&
			       (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
				value_len--;
			if (!value_len || value_len >= size)
				return false;
			memcpy(ret_value, value, value_len);
			ret_value[value_len] = '\0';
			return true;
		}
		header += len;
	}
	return false;
}
