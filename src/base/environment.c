#include "base/environment.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"

#include "base/banned.h"

struct hidden {
	struct hidden *next;
	const char *name;
	struct secret value;
};

/* As the environment itself, one for the process: a reload must find again what was hidden. */
static struct hidden *hidden;

static struct hidden *find(const char *name)
{
	for (struct hidden *each = hidden; each; each = each->next) {
		if (!strcmp(each->name, name))
			return each;
	}
	return NULL;
}

const char *environment_get(const char *name)
{
	const char *value = getenv(name);
	const struct hidden *found = value ? NULL : find(name);

	return found ? found->value.data : value;
}

void environment_hide(const char *name)
{
	size_t len = strlen(name);
	struct hidden *entry = find(name);

	if (!getenv(name))
		return;
	if (!entry) {
		entry = mem_alloc(sizeof(*entry));
		*entry = (struct hidden){ .next = hidden, .name = name };
		hidden = entry;
	}
	secret_set(&entry->value, getenv(name));
	/* It may be there more than once: execve() takes any list. */
	for (char **each = environ; *each; each++) {
		if (!strncmp(*each, name, len) && (*each)[len] == '=')
			explicit_bzero(*each + len + 1, strlen(*each + len + 1));
	}
	unsetenv(name);
}
