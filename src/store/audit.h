/*
 * The audit trail: who did what. Its rows are written by the very statements that do what they
 * tell of, so that neither is there without the other.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/db.h"

struct audit_actor {
	/* As key_by_hash_query() takes it; NULL: without a key. Not the key's id: a statement is bound
	 * while the question about the key is still under way. */
	const char *key_hash;
	const char *name;       /* by which way: "api", "browser" */
	const char *request_id; /* NULL: none */
};

/* For a common table expression: SQL_AUDIT(…) "FROM …". @key, @name and @request are the three
 * parameters in a row that audit_bind() binds; @what are the values of action, client_id,
 * branch_id and detail. */
#define SQL_AUDIT(key, name, request, what)                                                        \
	"INSERT INTO audit_log (actor_key_id, actor, request_id, action, client_id, branch_id, "   \
	"detail) SELECT (SELECT k.id FROM api_keys k WHERE k.key_hash = " key "::bytea), " name    \
	"::text, " request "::text, " what " "

/* Binds the next three parameters; @actor's strings are borrowed until the run. */
void audit_bind(struct db_query *query, const struct audit_actor *actor);

#endif
