/*
 * Scopes: which are asked for, and whether those that were granted are enough.
 */
#ifndef DOMAIN_SCOPE_H
#define DOMAIN_SCOPE_H

#include <stdbool.h>

#include "base/config.h"

/* What a login asks for: GOOGLE_SCOPE, and what VERIFY_WORKSPACE_EMAIL needs beside it.
 * Space-separated; freed by the caller. */
char *scope_asked(const struct config *config);

/* Does the space-separated list @granted hold every scope of @wanted? "email" and "profile" are
 * the same as the full names that Google answers for them. */
bool scope_covers(const char *granted, const char *wanted);

#endif
