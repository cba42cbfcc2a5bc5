/*
 * The tokens table: statements, and their rows. The row lock taken by token_lock() is the only
 * thing that keeps two processes from refreshing one grant.
 */
#ifndef STORE_TOKEN_STORE_H
#define STORE_TOKEN_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/audit.h"

/* A client and its token; strings are borrowed from the query or lock that it was read from. */
struct token_row {
	int64_t client_id; /* clients.id */
	const char *branch_id;
	const char *redirect_uri;
	bool is_active;
	int64_t now_us; /* the database's clock, after any wait for the lock */

	bool exists; /* the rest is set only then */
	const char *access_token;
	const char *token_type;
	const char *scope;
	int64_t expires_at_us;
	bool is_valid;
	bool is_revoked;
	int64_t refresh_began_at_us;  /* when the last attempt to refresh began; 0: never */
	int64_t refresh_retry_at_us;  /* own backoff; 0: none */
	int64_t provider_retry_at_us; /* the provider's Retry-After; 0: none */
	const char *refresh_error;    /* a code of base/err.c; NULL: the last attempt was good */
	const char *provider_error;   /* the provider's own code; NULL: none */
	int64_t consent_version;      /* how many consents there were; 0 without a row */

	/* Of a locked row only. */
	int64_t grant_version;
	int refresh_failures; /* in a row */
	const char *refresh_token;
	const char *oauth_client_id;
	const char *oauth_client_secret;
};

/* No row or one, without the fields of a locked row. */
void token_by_branch_query(struct db_query *query, const char *branch_id);
void token_by_client_query(struct db_query *query, int64_t client_id);
void token_row(const struct db_query *query, int row, struct token_row *ret_row);

/* A transaction that holds one token row. */
struct token_lock {
	struct db *db;
	struct db_query begin, settings, token, client;
	struct token_row row;
	int64_t locked_at_ms; /* monotonic: this host's time of row.now_us */
	int64_t due_at_us;    /* of a claimed row: when it was due */
};

/*
 * Begins a transaction and locks the token row of client @client_id, waiting at most @wait_ms
 * for another holder (0: not at all); the server ends the transaction when it idles for
 * @idle_ms. Then reads the client, so that what is read is as new as the lock.
 * ERR_DB_LOCKED: another holder; ERR_DB_NO_ROW: no such client; ERR_DATABASE_UNAVAILABLE,
 * ERR_INTERNAL: the database; after each the transaction is over. A client that has no token
 * yet is no error: row.exists is false.
 * After success token_lock_commit() or token_lock_release() ends it.
 */
MUST_CHECK enum err token_lock(struct db *db, int64_t client_id, int wait_ms, int idle_ms,
			       struct token_lock *ret_lock);
/* Runs one more statement in the transaction; it may wait @wait_ms for another lock. */
MUST_CHECK enum err token_lock_run(struct token_lock *lock, struct db_query *query, int wait_ms);

/*
 * Locks the most urgent row that is due since @from_us, if any, as token_lock() does; other
 * holders' rows are passed over. ERR_DB_NO_ROW: none is due.
 */
MUST_CHECK enum err token_claim(struct db *db, int64_t from_us, int idle_ms,
				struct token_lock *ret_lock);
/* Columns, microseconds: now; when the next row that is not due before @from_us is, NULL when none will
 * be. One row. */
void token_next_due_query(struct db_query *query, int64_t from_us);
/* Columns, microseconds: now. One row. */
void token_clock_query(struct db_query *query);

/* Runs @query (NULL: nothing) as the last statement of the transaction and commits, in one round
 * trip. ERR_DATABASE_UNAVAILABLE: it is unknown whether it took effect. The lock is gone either
 * way; the row's strings stay until the release. */
MUST_CHECK enum err token_lock_commit(struct token_lock *lock, struct db_query *query);
/* Rolls back what was not committed; the row's strings stay until the release. */
void token_lock_rollback(struct token_lock *lock);
/* The same, and lets go of the row. */
void token_lock_release(struct token_lock *lock);

/* A new grant, or what a refresh brought. */
struct token_update {
	int64_t client_id;
	const char *access_token;
	const char *refresh_token; /* NULL: keep the old one */
	const char *token_type;
	const char *scope; /* NULL: keep the old one */
	int64_t expires_at_us;
	int64_t refresh_began_at_us; /* when the request to the provider was about to begin */
	int64_t refresh_due_at_us;
};

/* Stores what a refresh brought where the row still has @grant_version; returns one row when it
 * did, none when the row is gone or was changed meanwhile. @forced_by: for the audit trail; NULL:
 * nobody, it was needed. */
void token_refreshed_query(struct db_query *query, const struct token_update *update,
			   int64_t grant_version, const struct audit_actor *forced_by);

/* A refresh that failed. */
struct token_failure {
	int64_t client_id;
	const char *refresh_error;  /* a code of base/err.c */
	const char *provider_error; /* the provider's own code */
	bool grant_is_dead;
	int64_t refresh_retry_at_us;  /* ignored for a dead grant */
	int64_t provider_retry_at_us; /* 0: the provider named none */
	int64_t refresh_began_at_us;
	const char *refresh_token; /* NULL: keep the old one */
};

/* As token_refreshed_query(). A grant that is dead, or has another refresh token, is another one: what
 * somebody has still to store for the old one does not come over it. */
void token_failed_query(struct db_query *query, const struct token_failure *failure,
			int64_t grant_version);

/* Ends the backoff of a row whose client has another secret than @used_secret by now. */
void token_forgive_query(struct db_query *query, int64_t client_id, const char *used_secret);

/* Takes a row from the refreshers until its client is active again. */
void token_park_query(struct db_query *query, int64_t client_id);
/* Marks the grant as revoked here; in the audit trail it is @actor's doing, unless it was that before. */
void token_revoked_query(struct db_query *query, int64_t client_id,
			 const struct audit_actor *actor);

/* Stores a new grant as @actor, whatever was there or (where @consent_version is not NULL) only
 * while there were so many consents; waits for a refresh under way at most @wait_ms.
 * ERR_DB_LOCKED: longer; ERR_DB_NO_ROW: the client is gone; ERR_DB_CONFLICT: another consent came
 * first; else as token_lock(). */
MUST_CHECK enum err token_store_grant(struct db *db, const struct token_update *update,
				      const int64_t *consent_version,
				      const struct audit_actor *actor, int wait_ms);

#endif
