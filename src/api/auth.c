#include "api/auth.h"

#include <string.h>
#include <strings.h>

#include "api/routes.h"

#include "base/banned.h"

/* What follows "Bearer" in the Authorization header (RFC 9110 section 11.4: any case, blanks);
 * NULL: another scheme, or none. */
static const char *bearer_token(const char *authorization)
{
	static const char scheme[] = "Bearer";
	size_t len = sizeof(scheme) - 1;

	if (!authorization || strncasecmp(authorization, scheme, len) != 0)
		return NULL;
	authorization += len;
	if (*authorization && *authorization != ' ')
		return NULL;
	return authorization + strspn(authorization, " ");
}

enum err auth_begin(struct call *call)
{
	const char *key;

	if (call->domain->config->api_auth == API_AUTH_OFF) {
		call->caller = (struct caller){ .access = ACCESS_ADMIN };
		return ERR_OK;
	}
	if (call->route->access == ACCESS_OPEN)
		return ERR_OK;
	/* Also while the database is away, which would know the key. */
	if ((call->route->flags & ROUTE_OPEN_LOCALLY) && call->req->is_local)
		return ERR_OK;
	key = bearer_token(call->req->authorization);
	call->key_sent = key != NULL;
	return key ? key_hash(key, call->key_hash) : ERR_UNAUTHENTICATED;
}

/* The branch that the path names; NULL: none, or it could not be read. */
static const char *branch_of(const struct call *call)
{
	return strstr(call->route->pattern, "{branch_id}") ? call->args[0] : NULL;
}

enum err auth_decide(struct call *call, const struct db_query *query)
{
	struct caller caller;
	const char *branch_id = branch_of(call);
	enum err err = key_answer(query, &caller);

	if (err)
		return err;
	call->caller = caller;
	if (caller.access < call->route->access)
		return ERR_FORBIDDEN;
	/* Said whether there is such a branch or not. */
	if (branch_id && !caller_may_use_branch(&caller, branch_id))
		return ERR_FORBIDDEN;
	return ERR_OK;
}

void auth_add_challenge(struct call *call, enum err err)
{
	const char *challenge = "Bearer realm=\"token-service\"";

	if (err == ERR_FORBIDDEN)
		challenge = "Bearer realm=\"token-service\", error=\"insufficient_scope\"";
	else if (call->key_sent)
		challenge = "Bearer realm=\"token-service\", error=\"invalid_token\"";
	http_reply_header(&call->reply, "WWW-Authenticate", challenge);
}
