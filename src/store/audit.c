#include "store/audit.h"

#include "base/banned.h"

void audit_bind(struct db_query *query, const struct audit_actor *actor)
{
	if (actor->key_id)
		db_query_int(query, actor->key_id);
	else
		db_query_text(query, NULL);
	db_query_text(query, actor->name);
	db_query_text(query, actor->request_id);
}
