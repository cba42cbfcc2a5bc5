/*
 * Several hosts in one URL. libpq leaves one that does not answer only where it waits by itself,
 * in PQconnectdb(): here every one gets a share of the time, and the next one's turn comes first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db_internal.h"

#include "base/banned.h"

static size_t count_items(const char *list)
{
	size_t count = 1;

	for (; (list = strchr(list, ',')); list++)
		count++;
	return count;
}

void db_hosts_init(struct db_hosts *hosts, const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);

	*hosts = (struct db_hosts){ .count = 1 };
	for (PQconninfoOption *option = options; option && option->keyword; option++) {
		if (!strcmp(option->keyword, "host"))
			hosts->names = mem_strdup(option->val);
		else if (!strcmp(option->keyword, "hostaddr"))
			hosts->addresses = mem_strdup(option->val);
		else if (!strcmp(option->keyword, "port"))
			hosts->ports = mem_strdup(option->val);
	}
	PQconninfoFree(options);
	/* libpq counts the addresses where there are any. */
	if (hosts->addresses)
		hosts->count = count_items(hosts->addresses);
	else if (hosts->names)
		hosts->count = count_items(hosts->names);
}

void db_hosts_release(struct db_hosts *hosts)
{
	free(hosts->names);
	free(hosts->addresses);
	free(hosts->ports);
}

/* "a,b,c" becomes "b,c,a"; what is the same for all hosts has no comma. */
static void rotate(char *list)
{
	char *comma = list ? strchr(list, ',') : NULL;
	size_t len, rest;
	char *first;

	if (!comma)
		return;
	len = (size_t)(comma - list);
	rest = strlen(comma + 1);
	first = mem_strndup(list, len);
	memmove(list, comma + 1, rest);
	list[rest] = ',';
	memcpy(list + rest + 1, first, len);
	free(first);
}

void db_hosts_next(struct db_hosts *hosts)
{
	rotate(hosts->names);
	rotate(hosts->addresses);
	rotate(hosts->ports);
}
