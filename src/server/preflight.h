/*
 * What is checked before any worker starts, in a process of its own: the master has no use for a
 * database connection.
 */
#ifndef SERVER_PREFLIGHT_H
#define SERVER_PREFLIGHT_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/err.h"
#include "base/log.h"

/*
 * Is the database one to serve from (domain/preflight.h)? ERR_CONFIG: it is not, and standard error
 * has a line for each fault. Warnings go to @log; NULL: they are lines of standard error too.
 */
MUST_CHECK enum err preflight(const struct config *config, const struct log *log);

#endif
