/*
 * Absolute URLs, taken apart by libcurl's parser.
 */
#ifndef GOOGLE_URL_H
#define GOOGLE_URL_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"

struct url {
	bool is_https;
	bool has_fragment;
	bool has_userinfo;
	char *host;   /* lower case, an IPv6 address in brackets */
	char *port;   /* as a number, the scheme's own when none was written */
	char *path;   /* "/" at least */
	char *prefix; /* what stands before the path: "https://host:8443" */
};

/* ERR_MALFORMED_REQUEST: no absolute http or https URL. Release with url_release(). */
MUST_CHECK enum err url_parse(const char *text, struct url *ret_url);
void url_release(struct url *url);

/* localhost, 127.0.0.1, [::1] */
bool url_is_loopback(const struct url *url);

#endif
