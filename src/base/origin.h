/*
 * Web origins as a browser writes them: RFC 6454 section 6.2.
 */
#ifndef BASE_ORIGIN_H
#define BASE_ORIGIN_H

#include <stdbool.h>

/*
 * Is @list a comma list of origins, blanks around them allowed, at least one? Each is http:// or
 * https://, a host in lower case, and a port where it is not the default one: what scripts/render-nginx
 * takes. No '*': every page would be allowed.
 */
bool origins_valid(const char *list);

/* What stands before the path of the http:// or https:// URL @url. The caller frees it. */
char *origin_of_url(const char *url);

#endif
