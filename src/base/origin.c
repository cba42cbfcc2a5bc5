#include "base/origin.h"

#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

/* "https://" and the longest host and port. */
#define ORIGIN_MAX 270

static bool is_port(const char *text, size_t len)
{
	static const char digits[] = "0123456789";

	return len >= 1 && len <= 5 && *text != '0' && strspn(text, digits) >= len;
}

static bool is_host(const char *text, size_t len)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";
	static const char address[] = "0123456789abcdef:.";

	if (len > 2 && text[0] == '[')
		return text[len - 1] == ']' && strspn(text + 1, address) == len - 2;
	return len && strspn(text, name) >= len && !strchr(".-", text[0]) &&
	       !strchr(".-", text[len - 1]);
}

static bool is_origin(const char *text, size_t len)
{
	size_t scheme = !strncmp(text, "https://", 8) ? 8 : !strncmp(text, "http://", 7) ? 7 : 0;
	const char *host = text + scheme;
	const char *end = text + len;
	size_t host_len;

	if (!scheme || scheme >= len || len > ORIGIN_MAX)
		return false;
	/* An IPv6 address has colons of its own. */
	host_len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	if (host_len > (size_t)(end - host))
		host_len = (size_t)(end - host);
	if (!is_host(host, host_len))
		return false;
	host += host_len;
	return host == end || (*host == ':' && is_port(host + 1, (size_t)(end - host) - 1));
}

bool origins_valid(const char *list)
{
	static const char separators[] = ", ";
	size_t count = 0;

	for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
		size_t len = strcspn(list, separators);

		if (!is_origin(list, len))
			return false;
		list += len;
		count++;
	}
	return count > 0;
}

char *origin_of_url(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return mem_strndup(url, (size_t)(host - url) + strcspn(host, "/?"));
}
