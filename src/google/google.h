/*
 * Calls to the provider; this folder is the only user of libcurl.
 *
 * One handle for each worker: it keeps the TLS connection alive between calls.
 */
#ifndef GOOGLE_GOOGLE_H
#define GOOGLE_GOOGLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alarm.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/metrics.h"
#include "base/strbuf.h"
#include "google/breaker.h"

#define GOOGLE_ANSWER_MAX 65536

/* All strings are borrowed. */
struct google_settings {
	const char *token_url;
	const char *revoke_url;
	const char *ca_file; /* NULL: the system's */
	int timeout_ms;      /* the whole deadline of one call */
	/* Shared by the host's workers; one for each endpoint, which may fail by itself. */
	struct breaker *token_breaker;
	struct breaker *revoke_breaker;
	struct metrics *metrics; /* NULL: nothing is counted */
};

struct google;

/* ERR_INTERNAL: libcurl refused. */
MUST_CHECK enum err google_new(const struct google_settings *settings, struct google **ret_google);
void google_free(struct google *google);
const struct google_settings *google_settings(const struct google *google);

struct google_answer {
	int status;
	bool not_sent;         /* no connection came about: the provider knows of nothing */
	int64_t retry_after_s; /* 0: the provider named none */
	struct strbuf body;
};

/* May the token endpoint be asked, or is it known to hang? Then ERR_PROVIDER_UNAVAILABLE, and
 * @ret_wait_s gets the seconds until it is worth asking again. */
MUST_CHECK enum err google_check(const struct google *google, int *ret_wait_s);
/* The same just before a call, which it may make the one that tries. */
MUST_CHECK enum err google_admit(struct google *google, int *ret_wait_s);
/* The two of the revocation endpoint. */
MUST_CHECK enum err google_check_revocation(const struct google *google);
MUST_CHECK enum err google_admit_revocation(struct google *google);

/*
 * POSTs the form @form (application/x-www-form-urlencoded) to @url and reads the whole answer;
 * redirects are not followed. @breaker hears how it went.
 * ERR_PROVIDER_UNAVAILABLE: no whole answer by the deadline; @ret_code gets a short code that
 * says why. ERR_PROVIDER_ERROR: the answer was over GOOGLE_ANSWER_MAX.
 * @ret_answer was initialised by google_answer_init() and is released by the caller either way.
 */
MUST_CHECK enum err google_post(struct google *google, const char *url, struct breaker *breaker,
				const char *form, struct alarm *alarm,
				struct google_answer *ret_answer, const char **ret_code);

void google_answer_init(struct google_answer *answer);
void google_answer_release(struct google_answer *answer);

#endif
