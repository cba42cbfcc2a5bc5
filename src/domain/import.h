/*
 * Moving in from the database of the service that this one replaces: its clients and tokens, page
 * by page, each page in a transaction of its own. An import that was cut off is run again, and one
 * that is run again brings only what has changed there since.
 */
#ifndef DOMAIN_IMPORT_H
#define DOMAIN_IMPORT_H

#include <stdio.h>

#include "domain/domain.h"
#include "domain/import_judge.h"

/* Begins as { 0 } with what is borrowed filled in. */
struct import {
	const struct domain *domain; /* for its settings and keyring */
	struct db *source, *target;
	FILE *remarks; /* a line for each client with something to say; no secrets */
	bool dry_run;  /* nothing is written */
	int page;      /* clients in a page */

	struct db *failed;  /* after an error: whose it was */
	int64_t total;      /* clients there when it began */
	int64_t highest_id; /* of clients and tokens there, as far as they were read */
	int64_t after;      /* the last id that was read */
	int64_t read;
	int64_t clients[IMPORT_CLIENT__COUNT];
	int64_t tokens[IMPORT_TOKEN__COUNT];
	int64_t moved; /* rows that changed here between their reading and their writing */
};

/* Looks at both sides, and lets new ids here begin above those there. ERR_CONFIG: the source is
 * none that can be imported; a remark says why. Else the database's errors. */
MUST_CHECK enum err import_begin(struct import *import);
/* Imports the next page. @ret_more: it was a whole one. */
MUST_CHECK enum err import_next(struct import *import, bool *ret_more);
/* After the last page: new ids begin above what was added there meanwhile, too. */
MUST_CHECK enum err import_end(struct import *import);

#endif
