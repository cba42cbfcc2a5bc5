/*
 * Moving in: pages of the database that clients and tokens come from, and what is written of them
 * here. For the owner of the tables.
 */
#ifndef STORE_IMPORT_STORE_H
#define STORE_IMPORT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/audit.h"

/* A client there, with the token that counts: the newest valid one, else the newest. Strings are
 * borrowed from the query and, as everything that comes from there, may be NULL. Times are in
 * microseconds; 0: NULL, or none between 1970 and 3000. */
struct import_source {
	int64_t id;
	const char *client_id;
	const char *client_secret;
	const char *redirect_uri;
	const char *branch_id;
	const char *workspace_email;
	const char *workspace_name;
	const char *is_active; /* "t", "f" */
	int64_t created_at_us;
	int64_t updated_at_us;

	int64_t token_id; /* 0: it has none; the rest is set only otherwise */
	const char *access_token;
	const char *refresh_token;
	const char *token_type;
	const char *scope;
	bool is_valid; /* and not revoked */
	bool is_revoked;
	int64_t expires_at_us;
	int64_t token_created_at_us;
	int64_t last_refreshed_at_us;
};

/* What is here under the id of a client there. */
struct import_target {
	int64_t id;
	int64_t now_us;       /* this database's clock */
	int64_t branch_owner; /* the other client that has the branch; 0: nobody */

	bool exists; /* the following fields are set only then */
	const char *client_id;
	const char *client_secret; /* sealed */
	const char *redirect_uri;
	const char *branch_id;
	const char *workspace_email;
	const char *workspace_name;
	bool is_active;
	int64_t updated_at_us;

	bool imported; /* it came by an import; the following fields are set only then */
	const char *client_mac;
	const char *token_mac; /* NULL: no token came */
	int64_t imported_grant_version;
	int64_t imported_consent_version;

	int64_t grant_version; /* 0: it has no token; the rest is set only otherwise */
	int64_t consent_version;
	bool is_valid;
	bool is_revoked;
	int64_t obtained_at_us; /* when what is stored was obtained */
};

/* For either side, once: each page is planned for the tables as they are by then. */
void import_plans_query(struct db_query *query);

/* Two booleans and two numbers in one row: are there tables of clients and tokens, is it a database
 * of this service itself, how many clients, and the highest id of clients or tokens. The numbers
 * fail where there are no tables. */
void import_source_kind_query(struct db_query *query);
void import_source_size_query(struct db_query *query);

/* At most @limit clients with an id above @after. */
void import_source_page_query(struct db_query *query, int64_t after, int limit);
void import_source_row(const struct db_query *query, int row, struct import_source *ret_row);

/* A row for each element of @clients, a JSON array of {id, branch_id}, in the order of the ids. */
void import_target_query(struct db_query *query, const char *clients);
void import_target_row(const struct db_query *query, int row, struct import_target *ret_row);

/*
 * What is written, each a JSON array, each answered with one number: of how many elements it was
 * true still that they were as they had been read. What is written is in imported_clients and in
 * the audit trail by the same statement. To be run in this order in one transaction: tokens are
 * locked before clients, as everywhere.
 *
 * inserts: {id, client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name,
 *   is_active, created_at_us, updated_at_us, mac}
 * tokens, of clients that came by an import: {client_id, token_id, access_token, refresh_token,
 *   token_type, scope, expires_at_us, began_us, due_us, refreshed_at_us, created_at_us,
 *   grant_version (as read; 0: none), mac}
 * ended grants: {client_id, revoked, grant_version, mac}
 * changes: as inserts, with updated_at_us as read
 */
void import_inserts_query(struct db_query *query, const char *rows);
void import_tokens_query(struct db_query *query, const char *rows);
void import_ended_query(struct db_query *query, const char *rows);
void import_changes_query(struct db_query *query, const char *rows);

/* Lets new ids of clients and tokens begin above @id, unless they do. */
void import_sequences_query(struct db_query *query, int64_t id);

#endif
