#include "domain/caller.h"

#include <fnmatch.h>

#include "base/banned.h"

bool caller_may_use_branch(const struct caller *caller, const char *branch_id)
{
	if (caller->access < ACCESS_FETCHER)
		return false;
	if (caller_is_admin(caller) || !caller->branches)
		return true;
	return fnmatch(caller->branches, branch_id, 0) == 0;
}
