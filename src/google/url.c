#include "google/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/mem.h"

#include "base/banned.h"

/* A copy of @part that free() frees; NULL when the URL has none. */
static char *get_part(CURLU *handle, CURLUPart part, unsigned int flags)
{
	char *value = NULL, *copy;

	if (curl_url_get(handle, part, &value, flags) != CURLUE_OK)
		return NULL;
	copy = mem_strdup(value);
	curl_free(value);
	return copy;
}

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static enum err take_apart(CURLU *handle, const char *text, struct url *url)
{
	CLEANUP(mem_free_ptr) char *scheme = get_part(handle, CURLUPART_SCHEME, 0);
	CLEANUP(mem_free_ptr) char *user = get_part(handle, CURLUPART_USER, 0);
	CLEANUP(mem_free_ptr) char *password = get_part(handle, CURLUPART_PASSWORD, 0);
	size_t scheme_len = strcspn(text, ":");
	const char *slashes = text + scheme_len;

	url->host = get_part(handle, CURLUPART_HOST, 0);
	url->port = get_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	url->path = get_part(handle, CURLUPART_PATH, 0);
	url->has_fragment = strchr(text, '#') != NULL;
	url->has_userinfo = user || password;
	/* libcurl forgives a missing slash, which browsers read differently. */
	if (!scheme || strncmp(slashes, "://", 3) != 0 || strchr("/?#", slashes[3]) || !url->host ||
	    !*url->host || !url->port || !url->path)
		return ERR_MALFORMED_REQUEST;
	lower(url->host);
	url->is_https = !strcmp(scheme, "https");
	if (!url->is_https && strcmp(scheme, "http") != 0)
		return ERR_MALFORMED_REQUEST;
	url->prefix = mem_strndup(text, (size_t)(slashes + 3 - text) + strcspn(slashes + 3, "/?#"));
	return ERR_OK;
}

enum err url_parse(const char *text, struct url *ret_url)
{
	struct url url = { 0 };
	CURLU *handle = curl_url();
	enum err err = ERR_MALFORMED_REQUEST;

	if (!handle)
		return ERR_INTERNAL;
	/* What a browser would send on differently than it was written is refused. */
	if (!strpbrk(text, " \t\r\n\\\"<>^`{|}") &&
	    curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK)
		err = take_apart(handle, text, &url);
	curl_url_cleanup(handle);
	if (err)
		url_release(&url);
	else
		*ret_url = url;
	return err;
}

void url_release(struct url *url)
{
	free(url->host);
	free(url->port);
	free(url->path);
	free(url->prefix);
	*url = (struct url){ 0 };
}

bool url_is_loopback(const struct url *url)
{
	return !strcmp(url->host, "localhost") || !strcmp(url->host, "127.0.0.1") ||
	       !strcmp(url->host, "[::1]");
}
