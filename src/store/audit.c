#include "store/audit.h"

#include "base/banned.h"

void audit_bind(struct db_query *query, const struct audit_actor *actor)
{
	db_query_text(query, actor->key_hash);
	db_query_text(query, actor->name);
	db_query_text(query, actor->request_id);
}
