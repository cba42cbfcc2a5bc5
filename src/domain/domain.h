/*
 * What the rules of this folder work with, and what they say beside an error.
 */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "base/config.h"
#include "base/err.h"
#include "base/json.h"
#include "base/metrics.h"
#include "crypto/keyring.h"
#include "google/google.h"
#include "google/token_endpoint.h"
#include "store/db.h"

/* What all workers of a host share; in shared memory, zero at the begin. */
struct domain_shared {
	struct breaker token_breaker, revoke_breaker;
	struct metrics_survey survey;
	struct db_presence database;
};

/* One for each worker. */
struct domain {
	const struct config *config;  /* borrowed */
	struct domain_shared *shared; /* borrowed */
	struct metrics *metrics;      /* borrowed; NULL: nothing is counted */
	struct db *db;
	struct keyring *keyring;
	struct google *google; /* NULL in workers that do not call the provider */
};

/* Does not connect to anything yet. @shared and @metrics (NULL: nothing is counted) are borrowed.
 * ERR_INTERNAL: a library refused. */
MUST_CHECK enum err domain_init(struct domain *domain, const struct config *config,
				struct domain_shared *shared, struct metrics *metrics,
				bool calls_provider);
void domain_release(struct domain *domain);

/* What must not be lost is stored again so soon while the database is away. */
#define STORE_AGAIN_MS 100
/* Waits for that long; the next try then connects at once, whatever the connection's backoff. */
void domain_wait_to_store(const struct domain *domain);

/* Whom a login link is for, and what its ticket has to say. */
struct login_target {
	const char *redirect_uri; /* NULL: there is no link */
	int64_t client_id;        /* clients.id */
	int64_t consent_version;  /* how many consents it has had */
	int64_t now_us;           /* the database's clock */
};

/* What a caller is told beside the error itself. Begins as { 0 }. */
struct problem {
	int retry_after_s;                       /* 0: not said */
	char provider_error[PROVIDER_CODE_SIZE]; /* "": none */
	struct login_target login;  /* where a person must act; owns its redirect_uri */
	struct json_object *faults; /* of ERR_VALIDATION_FAILED: {field, message} … */
};

void problem_release(struct problem *problem);
/* A person must act: copies @target. */
void problem_set_login(struct problem *problem, const struct login_target *target);
void problem_add_fault(struct problem *problem, const char *field, const char *message);

#endif
