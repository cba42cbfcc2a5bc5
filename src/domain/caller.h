/*
 * Who makes a call, what it may therefore do, and (struct audit_actor) as whom it is written down.
 */
#ifndef DOMAIN_CALLER_H
#define DOMAIN_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/audit.h"

/* Each includes those before it. */
enum access {
	ACCESS_OPEN,    /* anybody */
	ACCESS_FETCHER, /* reads and refreshes tokens, of the branches that its key names */
	ACCESS_ADMIN,   /* everything */
};

/* Begins as { 0 }: somebody unknown. */
struct caller {
	enum access access;   /* the most that it may */
	int64_t key_id;       /* api_keys.id; 0: no key was asked for */
	const char *branches; /* pattern of fnmatch(3), borrowed; NULL: every branch */
};

static inline bool caller_is_admin(const struct caller *caller)
{
	return caller->access == ACCESS_ADMIN;
}

/* May it use branch @branch_id, there or not? */
bool caller_may_use_branch(const struct caller *caller, const char *branch_id);

#endif
