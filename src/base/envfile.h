/*
 * Environment files: lines of NAME=VALUE as systemd and Docker write them. Blank lines and
 * lines that begin with # are passed over; a value may stand in single or double quotes;
 * nothing is expanded.
 */
#ifndef BASE_ENVFILE_H
#define BASE_ENVFILE_H

#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/err.h"

struct envfile {
	char *text; /* names and values point into it */
	size_t len;
	struct envfile_entry *entries;
	size_t count;
};

/* ERR_CONFIG: not readable, or a line that is no setting; said on @faults with its number. */
MUST_CHECK enum err envfile_read(const char *path, FILE *faults, struct envfile *ret_file);
const char *envfile_get(const struct envfile *file,
			const char *name);  /* the last one; NULL: none */
void envfile_release(struct envfile *file); /* wipes */

#endif
