/*
 * The survey of all rows, for the metrics: made now and then by one worker of each host, so that
 * nobody who asks for the metrics waits for it.
 */
#ifndef DOMAIN_SURVEY_H
#define DOMAIN_SURVEY_H

#include "domain/domain.h"

/* How long the database may take over it; with what lies around it: SURVEY_MAX_MS. */
#define SURVEY_LIMIT_MS 10000
#define SURVEY_MAX_MS (SURVEY_LIMIT_MS + 2 * DB_CALL_MS)

/* Makes it if it is due and no other worker has just begun it. ERR_DB_NO_ROW: it is not due;
 * ERR_DB_LOCKED: the database took too long, it is tried again later; ERR_DATABASE_UNAVAILABLE,
 * ERR_INTERNAL. */
MUST_CHECK enum err survey_make(const struct domain *domain);

#endif
