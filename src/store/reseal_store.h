/*
 * Sealed columns, walked and replaced value by value; for the owner of the tables.
 */
#ifndef STORE_RESEAL_STORE_H
#define STORE_RESEAL_STORE_H

#include "store/db.h"

enum reseal_column {
	RESEAL_CLIENT_SECRET,
	RESEAL_ACCESS_TOKEN,
	RESEAL_REFRESH_TOKEN,
	RESEAL_CODE_VERIFIER,
	RESEAL_REVOCATION,
	RESEAL_CANARY, /* last: it tells that everything else is done */
	RESEAL__COUNT
};

/* "tokens.access_token" */
const char *reseal_column_name(enum reseal_column column);

/* At most @limit rows whose value is not @like (a LIKE pattern), behind the key @after ("": from
 * the first on); @after and @like are borrowed. */
void reseal_page_query(struct db_query *query, enum reseal_column column, const char *after,
		       const char *like, int limit);

struct reseal_row {
	const char *key;
	const char *row; /* what the value is sealed for, as domain/vault.h has it; NULL: unknown */
	const char *value;
};

void reseal_row(const struct db_query *query, int row, struct reseal_row *ret_row);

/* One row, one number: how many values are @like. */
void reseal_count_query(struct db_query *query, enum reseal_column column, const char *like);

/* Replaces the value of @row by @sealed; both are borrowed. No row: the value was changed
 * meanwhile, or another has the row locked. */
void reseal_replace_query(struct db_query *query, enum reseal_column column,
			  const struct reseal_row *row, const char *sealed);

#endif
