#include "store/db_url.h"

#include <stddef.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/banned.h"

/* The value of @keyword in @options; NULL: unset or empty. */
static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options && options->keyword; options++) {
		if (!strcmp(options->keyword, keyword))
			return options->val && *options->val ? options->val : NULL;
	}
	return NULL;
}

static bool is_local(const char *host, size_t len)
{
	static const char *const names[] = { "", "localhost", "::1" };

	if (len && (*host == '/' || *host == '@')) /* a socket's directory, an abstract socket */
		return true;
	if (len > 4 && !strncmp(host, "127.", 4) && strspn(host, "0123456789.") >= len)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i]) == len && !strncmp(host, names[i], len))
			return true;
	}
	return false;
}

/* Every one of a comma list. */
static bool are_local(const char *hosts)
{
	for (;; hosts++) {
		size_t len = strcspn(hosts, ",");

		if (!is_local(hosts, len))
			return false;
		hosts += len;
		if (!*hosts)
			return true;
	}
}

static const char *either(const char *a, const char *b)
{
	return a ? a : b;
}

bool db_url_may_be_plaintext(const char *url)
{
	static const char *const no_tls[] = { "disable", "allow", "prefer" };
	PQconninfoOption *own = PQconninfoParse(url, NULL), *defaults = PQconndefaults();
	const char *host = either(value_of(own, "host"), value_of(defaults, "host"));
	/* which wins where both are given */
	const char *address = either(value_of(own, "hostaddr"), value_of(defaults, "hostaddr"));
	const char *mode = either(value_of(own, "sslmode"), value_of(defaults, "sslmode"));
	const char *hosts = either(address, host);
	bool local = hosts ? are_local(hosts) : !value_of(own, "service");
	bool plain = !mode;

	for (size_t i = 0; mode && i < sizeof(no_tls) / sizeof(no_tls[0]); i++)
		plain |= !strcmp(mode, no_tls[i]);
	PQconninfoFree(own);
	PQconninfoFree(defaults);
	return plain && !local;
}

bool db_url_has_password(const char *url)
{
	PQconninfoOption *own = PQconninfoParse(url, NULL);
	bool has = value_of(own, "password") || value_of(own, "sslpassword");

	PQconninfoFree(own);
	return has;
}
