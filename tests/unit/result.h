/*
 * Queries as a run leaves them, without a database: results are made by libpq itself. That the
 * columns come in this order is what the integration tests show.
 */
#ifndef UNIT_RESULT_H
#define UNIT_RESULT_H

#include <libpq-fe.h>

#include "crypto/keyring.h"
#include "store/db.h"
#include "support.h"

/* Gives @query a result of @nrows rows with @ncols columns each; @values go row by row, NULL is
 * NULL. db_query_release() frees it. */
static inline void query_set_rows(struct db_query *query, int ncols, int nrows,
				  const char *const *values)
{
	PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns[32] = { 0 };
	char name[] = "column";

	assert_non_null(result);
	assert_in_range(ncols, 1, COUNT(columns));
	for (int col = 0; col < ncols; col++)
		columns[col].name = name;
	assert_true(PQsetResultAttrs(result, ncols, columns));
	for (int i = 0; i < nrows * ncols; i++) {
		char *value = values[i] ? strdup(values[i]) : NULL;

		assert_true(PQsetvalue(result, i / ncols, i % ncols, value,
				       value ? (int)strlen(value) : -1));
		free(value);
	}
	db_query_release(query);
	query->result = result;
	query->err = ERR_OK;
}

/* The columns of token_by_branch_query() and token_by_client_query(). */
enum token_column {
	TC_ACCESS_TOKEN,
	TC_TOKEN_TYPE,
	TC_SCOPE,
	TC_EXPIRES_AT,
	TC_IS_VALID,
	TC_IS_REVOKED,
	TC_REFRESH_BEGAN_AT,
	TC_REFRESH_RETRY_AT,
	TC_PROVIDER_RETRY_AT,
	TC_REFRESH_ERROR,
	TC_PROVIDER_ERROR,
	TC_CONSENT_VERSION,
	TC_ID,
	TC_BRANCH_ID,
	TC_REDIRECT_URI,
	TC_IS_ACTIVE,
	TC_NOW,
	TC__COUNT
};

/* "access-1" as the access token of client 7, under DOMAIN_KEY; made with Python's cryptography. */
#define DOMAIN_KEY "the-secret-key-of-the-unit-tests"
#define SEALED_ACCESS_1 "v1.56dc7fd1.nW9a93l0__PJ3qL3LCoV87w56jGUnKPs1AJSx80Fx1U05UHJ"

static inline struct keyring *test_keyring(void)
{
	struct keyring *keyring = NULL;

	assert_int_equal(keyring_new(DOMAIN_KEY, NULL, &keyring), ERR_OK);
	return keyring;
}

/* One row: a good token at 1,000 s that expires at 4,600 s. */
#define TOKEN_ROW_GOOD                                                                             \
	{                                                                                          \
		[TC_ACCESS_TOKEN] = SEALED_ACCESS_1, [TC_TOKEN_TYPE] = "Bearer",                   \
		[TC_SCOPE] = "scope-1", [TC_EXPIRES_AT] = "4600000000", [TC_IS_VALID] = "t",       \
		[TC_IS_REVOKED] = "f", [TC_ID] = "7", [TC_BRANCH_ID] = "branch-1",                 \
		[TC_REDIRECT_URI] = "https://tokens.example.com/auth/callback",                    \
		[TC_IS_ACTIVE] = "t", [TC_NOW] = "1000000000",                                     \
	}

/* The columns of everything that gives a client_row. */
enum client_column {
	CC_ID,
	CC_CLIENT_ID,
	CC_REDIRECT_URI,
	CC_BRANCH_ID,
	CC_WORKSPACE_EMAIL,
	CC_WORKSPACE_NAME,
	CC_IS_ACTIVE,
	CC_CREATED_AT,
	CC_UPDATED_AT,
	CC_HAS_TOKEN,
	CC_IS_VALID,
	CC_IS_REVOKED,
	CC_EXPIRES_AT,
	CC_LAST_REFRESHED_AT,
	CC_REFRESH_ERROR,
	CC_NOW,
	CC_CONSENT_VERSION,
	CC_PROVIDER_ERROR,
	CC_RETRY_AT,
	CC__COUNT
};

/* One row: a client that nobody connected yet, made at 1768580000.123456. */
#define CLIENT_ROW_NEW                                                                             \
	{                                                                                          \
		[CC_ID] = "7", [CC_CLIENT_ID] = "google-1",                                        \
		[CC_REDIRECT_URI] = "http://localhost:8002/auth/callback",                         \
		[CC_BRANCH_ID] = "branch-1", [CC_WORKSPACE_EMAIL] = "w@example.com",               \
		[CC_IS_ACTIVE] = "t", [CC_CREATED_AT] = "1768580000123456",                        \
		[CC_UPDATED_AT] = "1768580001000000", [CC_HAS_TOKEN] = "f",                        \
		[CC_NOW] = "1768580002000000",                                                     \
	}

#endif
