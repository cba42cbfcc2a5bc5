/*
 * Is the database one to serve from? Asked once, before anything is served.
 */
#ifndef DOMAIN_PREFLIGHT_H
#define DOMAIN_PREFLIGHT_H

#include <stdio.h>

#include "domain/domain.h"

/*
 * Does SECRET_KEY open what the database holds, are all migrations applied, and is every
 * redirect_uri one that production takes? Connects @domain, which must not be connected yet, and
 * writes nothing to the database. ERR_CONFIG: @faults has a line for each fault. What is no reason
 * not to start is a line of @warnings: a database that cannot be reached, as its connections are
 * asked for the key once there are any; and, in development, migrations that are to come.
 */
MUST_CHECK enum err preflight_database(struct domain *domain, FILE *faults, FILE *warnings);

/* The same of @domain that calls the provider, where it has a database URL of its own: that it
 * leads to a database with this service's tables, whose values SECRET_KEY opens. */
MUST_CHECK enum err preflight_exchange_database(struct domain *domain, FILE *faults,
						FILE *warnings);

#endif
