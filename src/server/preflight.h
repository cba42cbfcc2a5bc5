/*
 * What is checked before any worker starts, in a process of its own: the master has no use for a
 * database connection.
 */
#ifndef SERVER_PREFLIGHT_H
#define SERVER_PREFLIGHT_H

#include "base/cleanup.h"
#include "base/config.h"
#include "base/err.h"

/*
 * Does SECRET_KEY open what the database holds? ERR_CONFIG: it does not, and a line on standard
 * error says so. A database that cannot be reached is no reason not to start: its connections are
 * asked the same once there are any.
 */
MUST_CHECK enum err preflight(const struct config *config);

#endif
