/*
 * What the rules of this folder work with, and what they say beside an error.
 */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "base/config.h"
#include "base/err.h"
#include "base/json.h"
#include "crypto/keyring.h"
#include "google/google.h"
#include "google/token_endpoint.h"
#include "store/db.h"

/* What all workers of a host share; in shared memory, zero at the begin. */
struct domain_shared {
	struct breaker token_breaker, revoke_breaker;
};

/* One for each worker. */
struct domain {
	const struct config *config;        /* borrowed */
	const struct domain_shared *shared; /* borrowed */
	struct db *db;
	struct keyring *keyring;
	struct google *google; /* NULL in workers that do not call the provider */
};

/* Does not connect to anything yet. @shared is borrowed. ERR_INTERNAL: a library refused. */
MUST_CHECK enum err domain_init(struct domain *domain, const struct config *config,
				struct domain_shared *shared, bool calls_provider);
void domain_release(struct domain *domain);

/* What a caller is told beside the error itself. Begins as { 0 }. */
struct problem {
	int retry_after_s;                       /* 0: not said */
	char provider_error[PROVIDER_CODE_SIZE]; /* "": none */
	char *login_url;                         /* where a person must act; NULL: nowhere */
	struct json_object *faults; /* of ERR_VALIDATION_FAILED: {field, message} … */
};

void problem_release(struct problem *problem);
/* "…/auth/callback" → "…/oauth/login/{id}", whatever stands before it. */
void problem_set_login_url(struct problem *problem, const char *redirect_uri, int64_t client_id);
void problem_add_fault(struct problem *problem, const char *field, const char *message);

#endif
