#include "api/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "api/routes.h"

#include "base/banned.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PREFIX "token_service_"

/* The samples of one family, under its name. */
typedef void put_fn(struct strbuf *out, const char *name, const struct metrics_view *view);

static void put_number(struct strbuf *out, const char *name, const char *labels, uint64_t value)
{
	strbuf_printf(out, PREFIX "%s%s %" PRIu64 "\n", name, labels, value);
}

/* Microseconds as seconds. */
static void put_seconds(struct strbuf *out, const char *name, int64_t us)
{
	strbuf_printf(out, PREFIX "%s %" PRId64 ".%06d\n", name, us / 1000000, (int)(us % 1000000));
}

/* @labels: as many as there are, each followed by a comma. */
static void put_histogram(struct strbuf *out, const char *name, const char *labels,
			  const struct metrics_histogram *histogram)
{
	int len = (int)strlen(labels);
	uint64_t count = 0;

	for (size_t i = 0; i < METRICS_BOUNDS; i++) {
		count += histogram->buckets[i];
		strbuf_printf(out, PREFIX "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
			      (double)metrics_bound_us(i) / 1e6, count);
	}
	count += histogram->buckets[METRICS_BOUNDS];
	strbuf_printf(out, PREFIX "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, count);
	if (len) /* here without the comma at their end */
		strbuf_printf(out,
			      PREFIX "%s_sum{%.*s} %.6f\n" PREFIX "%s_count{%.*s} %" PRIu64 "\n",
			      name, len - 1, labels, (double)histogram->sum_us / 1e6, name, len - 1,
			      labels, count);
	else
		strbuf_printf(out, PREFIX "%s_sum %.6f\n" PREFIX "%s_count %" PRIu64 "\n", name,
			      (double)histogram->sum_us / 1e6, name, count);
}

static const char *method_of(size_t route)
{
	return route_at(route) ? route_at(route)->method : "other";
}

/* Never the path itself: it names a branch, and callers can make up any number of them. */
static const char *pattern_of(size_t route)
{
	return route_at(route) ? route_at(route)->pattern : "unmatched";
}

static void put_requests_of(struct strbuf *out, const char *name, const struct metrics_view *view,
			    size_t route)
{
	for (size_t i = 0; i < METRICS_STATUSES; i++) {
		uint64_t count = view->total.requests[route][i];

		if (!count)
			continue;
		strbuf_printf(out, PREFIX "%s{method=\"%s\",route=\"%s\",status=\"", name,
			      method_of(route), pattern_of(route));
		if (metrics_status(i))
			strbuf_printf(out, "%d", metrics_status(i));
		else
			strbuf_puts(out, "other");
		strbuf_printf(out, "\"} %" PRIu64 "\n", count);
	}
}

static void put_requests(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	for (size_t route = 0; route < METRICS_ROUTES; route++)
		put_requests_of(out, name, view, route);
}

static bool is_seen(const struct metrics_histogram *histogram)
{
	for (size_t i = 0; i <= METRICS_BOUNDS; i++) {
		if (histogram->buckets[i])
			return true;
	}
	return false;
}

static void put_durations(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	for (size_t route = 0; route < METRICS_ROUTES; route++) {
		const struct metrics_histogram *histogram = &view->total.request_duration[route];
		CLEANUP(strbuf_release) struct strbuf labels = STRBUF_INIT(256);

		if (!is_seen(histogram))
			continue;
		strbuf_printf(&labels, "method=\"%s\",route=\"%s\",", method_of(route),
			      pattern_of(route));
		put_histogram(out, name, labels.data, histogram);
	}
}

static const char *const calls[METRICS_CALLS] = { "exchange", "refresh", "revoke" };

static void put_provider_calls(struct strbuf *out, const char *name,
			       const struct metrics_view *view)
{
	for (size_t call = 0; call < METRICS_CALLS; call++) {
		for (size_t i = 0; i < METRICS_OUTCOMES; i++)
			strbuf_printf(out, PREFIX "%s{call=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
				      name, calls[call], metrics_outcome(i),
				      view->total.provider_calls[call][i]);
	}
}

static void put_provider_durations(struct strbuf *out, const char *name,
				   const struct metrics_view *view)
{
	for (size_t call = 0; call < METRICS_CALLS; call++) {
		CLEANUP(strbuf_release) struct strbuf labels = STRBUF_INIT(64);

		strbuf_printf(&labels, "call=\"%s\",", calls[call]);
		put_histogram(out, name, labels.data, &view->total.provider_duration[call]);
	}
}

static void put_refreshes(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	for (size_t i = 0; i < METRICS_OUTCOMES; i++)
		strbuf_printf(out, PREFIX "%s{outcome=\"%s\"} %" PRIu64 "\n", name,
			      metrics_outcome(i), view->total.refreshes[i]);
}

static void put_lock_wait(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_histogram(out, name, "", &view->total.lock_wait);
}

static void put_number_of_pool(struct strbuf *out, const char *name, size_t pool, uint64_t value)
{
	strbuf_printf(out, PREFIX "%s{pool=\"%s\"} %" PRIu64 "\n", name,
		      metrics_pool_name((enum metrics_pool)pool), value);
}

#define PUT_WORKERS(field)                                                                         \
	static void put_workers_##field(struct strbuf *out, const char *name,                      \
					const struct metrics_view *view)                           \
	{                                                                                          \
		for (size_t i = 0; i < METRICS_POOLS; i++)                                         \
			put_number_of_pool(out, name, i, view->workers[i].field);                  \
	}

PUT_WORKERS(configured)
PUT_WORKERS(ready)
PUT_WORKERS(busy)
PUT_WORKERS(restarts)

static void put_reconnects(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_number(out, name, "", view->total.database_reconnects);
}

static void put_connect_failures(struct strbuf *out, const char *name,
				 const struct metrics_view *view)
{
	put_number(out, name, "", view->total.database_connect_failures);
}

static void put_logins_unreturned(struct strbuf *out, const char *name,
				  const struct metrics_view *view)
{
	put_number(out, name, "", view->total.logins_unreturned);
}

static void put_tokens(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	const struct metrics_survey *survey = view->survey;

	put_number(out, name, "{state=\"none\"}", (uint64_t)survey->none);
	put_number(out, name, "{state=\"valid\"}", (uint64_t)survey->valid);
	put_number(out, name, "{state=\"expiring\"}", (uint64_t)survey->expiring);
	put_number(out, name, "{state=\"expired\"}", (uint64_t)survey->expired);
	put_number(out, name, "{state=\"reauthorization_required\"}",
		   (uint64_t)survey->reauthorization_required);
	put_number(out, name, "{state=\"revoked\"}", (uint64_t)survey->revoked);
}

static void put_inactive(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_number(out, name, "", (uint64_t)view->survey->inactive_clients);
}

static void put_nearest_expiry(struct strbuf *out, const char *name,
			       const struct metrics_view *view)
{
	int64_t us = view->survey->nearest_expiry_us;

	if (us >= 0)
		put_seconds(out, name, us);
	else /* none will ever come */
		strbuf_printf(out, PREFIX "%s +Inf\n", name);
}

static void put_failing(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_number(out, name, "", (uint64_t)view->survey->failing);
}

static void put_oldest_failing(struct strbuf *out, const char *name,
			       const struct metrics_view *view)
{
	put_seconds(out, name, view->survey->oldest_failing_us);
}

static void put_revocations(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_number(out, name, "", (uint64_t)view->survey->pending_revocations);
}

static void put_taken(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	put_seconds(out, name, view->survey->taken_us);
}

static void put_build(struct strbuf *out, const char *name, const struct metrics_view *view)
{
	(void)view;
	put_number(out, name, "{version=\"" PACKAGE_VERSION "\"}", 1);
}

static const struct family {
	const char *name; /* without PREFIX */
	const char *type;
	const char *help;
	put_fn *put;
	bool surveyed; /* left out until the database was asked: a 0 would be a claim */
} families[] = {
	{ "build_info", "gauge", "Always 1; the version is a label.", put_build, false },
	{ "requests_total", "counter",
	  "Requests answered, by route pattern; status 499: the caller was gone.", put_requests,
	  false },
	{ "request_duration_seconds", "histogram",
	  "From the request's arrival at nginx to its answer.", put_durations, false },
	{ "provider_calls_total", "counter", "Calls to the provider, by kind and outcome.",
	  put_provider_calls, false },
	{ "provider_call_duration_seconds", "histogram", "How long calls to the provider took.",
	  put_provider_durations, false },
	{ "refreshes_total", "counter",
	  "Attempts to refresh a token, also those that the provider was not asked for.",
	  put_refreshes, false },
	{ "lock_wait_seconds", "histogram",
	  "How long requests waited for the lock of a token's row.", put_lock_wait, false },
	{ "workers_configured", "gauge", "Places for workers.", put_workers_configured, false },
	{ "workers_ready", "gauge",
	  "Workers that serve, with those that drain after a change of settings.",
	  put_workers_ready, false },
	{ "workers_busy", "gauge", "Workers that have something in hand.", put_workers_busy,
	  false },
	{ "worker_restarts_total", "counter",
	  "Workers that ended without being asked to, and were replaced.", put_workers_restarts,
	  false },
	{ "database_reconnects_total", "counter",
	  "Database connections opened again after they were lost.", put_reconnects, false },
	{ "database_connect_failures_total", "counter",
	  "Attempts to open a database connection that failed.", put_connect_failures, false },
	{ "logins_unreturned_total", "counter",
	  "Logins that were begun and had not come back when they expired.", put_logins_unreturned,
	  false },
	{ "tokens", "gauge", "Active clients by the state of their token.", put_tokens, true },
	{ "clients_inactive", "gauge", "Clients that are switched off, which tokens leaves out.",
	  put_inactive, true },
	{ "token_nearest_expiry_seconds", "gauge",
	  "From the survey to the next expiry of a live token; +Inf: there is none.",
	  put_nearest_expiry, true },
	{ "tokens_failing", "gauge", "Live grants whose last refresh failed.", put_failing, true },
	{ "oldest_failing_refresh_seconds", "gauge",
	  "For how long the refresh of a live grant has failed, of all the longest; 0: none fails.",
	  put_oldest_failing, true },
	{ "revocations_pending", "gauge",
	  "Grants given up here that the provider is yet to hear of.", put_revocations, true },
	{ "survey_timestamp_seconds", "gauge",
	  "When the database was asked for the gauges of tokens, clients and revocations; 0: not yet.",
	  put_taken, false },
};

enum err metrics_get_ask(struct call *call)
{
	struct metrics_view view;
	struct strbuf *out = &call->reply.body;

	call->view(call->worker_arg, &view);
	call->reply.status = 200;
	call->reply.content_type = CONTENT_TYPE;
	http_reply_header(&call->reply, "Cache-Control", "no-store");
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		const struct family *family = &families[i];

		if (family->surveyed && !view.survey->taken_us)
			continue;
		strbuf_printf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", family->name,
			      family->help, family->name, family->type);
		family->put(out, family->name, &view);
	}
	return strbuf_ok(out) ? ERR_OK : ERR_INTERNAL;
}
