#include "domain/import_judge.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"

#include "base/banned.h"

enum import_client import_judge_client(const struct import_source *source,
				       const struct import_target *target,
				       const struct import_likeness *likeness,
				       const char **ret_reason)
{
	*ret_reason = NULL;
	if (!target->exists && target->imported)
		return IMPORT_CLIENT_DELETED;
	if (!target->exists && target->branch_owner) {
		*ret_reason = "its branch_id is another client's here";
		return IMPORT_CLIENT_REFUSED;
	}
	if (!target->exists)
		return IMPORT_CLIENT_NEW;
	if (!target->imported) {
		*ret_reason = "its id is that of a client that was registered here";
		return IMPORT_CLIENT_REFUSED;
	}
	/* What is sealed for the client is sealed for its branch. */
	if (strcmp(source->branch_id, target->branch_id) != 0) {
		*ret_reason =
			"its branch_id was changed there since it came, which it cannot be here";
		return IMPORT_CLIENT_REFUSED;
	}
	if (likeness->same)
		return IMPORT_CLIENT_SAME;
	if (likeness->there_as_it_came || !likeness->here_as_it_came)
		return IMPORT_CLIENT_KEPT;
	return IMPORT_CLIENT_CHANGED;
}

int64_t import_obtained_at_us(const struct import_source *source)
{
	return source->last_refreshed_at_us > source->token_created_at_us
		       ? source->last_refreshed_at_us
		       : source->token_created_at_us;
}

/* NULL, or why the service could do nothing with it. */
static const char *fault_of(const struct import_source *source)
{
	if (!source->access_token || !*source->access_token)
		return "its newest valid token has no access_token: connect the branch again";
	if (!source->refresh_token || !*source->refresh_token)
		return "its newest valid token has no refresh_token: connect the branch again";
	if (source->token_type && strcasecmp(source->token_type, "Bearer") != 0)
		return "its newest valid token is no bearer token: connect the branch again";
	if (source->scope && !utf8_valid(source->scope, strlen(source->scope), NULL))
		return "its newest valid token has a scope that is not UTF-8: connect the branch again";
	return NULL;
}

/* One that is to be stored, if it can be. */
static enum import_token judge_new(const struct import_source *source, const char **ret_reason)
{
	*ret_reason = fault_of(source);
	return *ret_reason ? IMPORT_TOKEN_REFUSED : IMPORT_TOKEN_STORED;
}

/* There is none that is valid there. */
static enum import_token judge_ended(const struct import_source *source,
				     const struct import_target *target, bool untouched,
				     const char **ret_reason)
{
	if (!target->grant_version) {
		*ret_reason = source->is_revoked ? "its newest token is revoked"
						 : "its newest token is not valid";
		return IMPORT_TOKEN_NONE;
	}
	if (!untouched) {
		*ret_reason = "it was changed here since, and ended there";
		return IMPORT_TOKEN_KEPT;
	}
	return target->is_valid && !target->is_revoked ? IMPORT_TOKEN_ENDED : IMPORT_TOKEN_SAME;
}

enum import_token import_judge_token(const struct import_source *source,
				     const struct import_target *target, bool as_it_came,
				     const char **ret_reason)
{
	bool untouched = target->grant_version == target->imported_grant_version;

	*ret_reason = NULL;
	if (!source->token_id)
		return target->grant_version ? IMPORT_TOKEN_SAME : IMPORT_TOKEN_NONE;
	if (!source->is_valid)
		return judge_ended(source, target, untouched, ret_reason);
	if (!target->grant_version)
		return judge_new(source, ret_reason);
	if (untouched)
		return as_it_came ? IMPORT_TOKEN_SAME : judge_new(source, ret_reason);
	if (target->consent_version != target->imported_consent_version) {
		*ret_reason = "it was connected here since";
		return IMPORT_TOKEN_KEPT;
	}
	if (target->is_revoked) {
		*ret_reason = "it was revoked here since";
		return IMPORT_TOKEN_KEPT;
	}
	if (as_it_came || import_obtained_at_us(source) <= target->obtained_at_us)
		return IMPORT_TOKEN_REFRESHED;
	return judge_new(source, ret_reason);
}
