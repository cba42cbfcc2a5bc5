#include "base/metrics.h"

#include "base/banned.h"

static const int64_t bounds_us[METRICS_BOUNDS] = {
	500,    1000,   2500,   5000,    10000,   25000,   50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* 499: the caller was gone before there was an answer, as nginx has it. */
static const int statuses[METRICS_STATUSES - 1] = {
	200, 201, 204, 302, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 499, 500, 502, 503,
};

static const enum err outcomes[METRICS_OUTCOMES - 1] = {
	ERR_OK,
	ERR_REAUTHORIZATION_REQUIRED,
	ERR_CLIENT_CREDENTIALS_REJECTED,
	ERR_PROVIDER_ERROR,
	ERR_PROVIDER_UNAVAILABLE,
	ERR_REFRESH_IN_PROGRESS,
	ERR_DATABASE_UNAVAILABLE,
	ERR_SECRET_KEY_UNKNOWN,
};

int64_t metrics_bound_us(size_t i)
{
	return bounds_us[i];
}

int metrics_status(size_t i)
{
	return i < METRICS_STATUSES - 1 ? statuses[i] : 0;
}

const char *metrics_outcome(size_t i)
{
	if (i == METRICS_OUTCOMES - 1)
		return "other";
	return outcomes[i] ? err_info(outcomes[i])->code : "success";
}

const char *metrics_pool_name(enum metrics_pool pool)
{
	static const char *const names[METRICS_POOLS] = { "database", "exchange", "refresher" };

	return names[pool];
}

static size_t status_index(int status)
{
	size_t i = 0;

	while (i < METRICS_STATUSES - 1 && statuses[i] != status)
		i++;
	return i;
}

static size_t outcome_index(enum err err)
{
	size_t i = 0;

	while (i < METRICS_OUTCOMES - 1 && outcomes[i] != err)
		i++;
	return i;
}

void metrics_count(_Atomic uint64_t *counter, uint64_t more)
{
	/* Nobody else writes here: no locked instruction is needed. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
			      memory_order_relaxed);
}

void metrics_observe(struct metrics_histogram *histogram, int64_t us)
{
	size_t i = 0;

	if (us < 0)
		us = 0;
	while (i < METRICS_BOUNDS && us > bounds_us[i])
		i++;
	metrics_count(&histogram->sum_us, (uint64_t)us);
	metrics_count(&histogram->buckets[i], 1);
}

void metrics_count_request(struct metrics *metrics, size_t route, int status, int64_t us)
{
	if (!metrics)
		return;
	metrics_count(&metrics->requests[route][status_index(status)], 1);
	metrics_observe(&metrics->request_duration[route], us);
}

void metrics_count_provider_call(struct metrics *metrics, enum metrics_call call, enum err err,
				 int64_t us)
{
	if (!metrics)
		return;
	metrics_count(&metrics->provider_calls[call][outcome_index(err)], 1);
	metrics_observe(&metrics->provider_duration[call], us);
}

void metrics_count_refresh(struct metrics *metrics, enum err err)
{
	if (metrics)
		metrics_count(&metrics->refreshes[outcome_index(err)], 1);
}

void metrics_add_up(struct metrics *total, const struct metrics *metrics)
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)total;
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)metrics;

	for (size_t i = 0; i < sizeof(*metrics) / sizeof(*from); i++)
		metrics_count(&to[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}
