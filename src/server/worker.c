#include "server/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "http/connection.h"

#include "base/banned.h"

/* Set by the signal handler, which has no arguments to reach anything else. */
static volatile sig_atomic_t stopping;

static void on_term(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

bool worker_is_stopping(void)
{
	sigset_t pending;

	/* ppoll() lets no signal in when it finds work at once: a worker with always something to do
	 * would never hear of it. */
	if (!stopping && !sigpending(&pending) && sigismember(&pending, SIGTERM))
		stopping = 1;
	return stopping;
}

int worker_poll(struct pollfd *fds, size_t count, int timeout_ms)
{
	struct timespec timeout = { .tv_sec = timeout_ms / 1000,
				    .tv_nsec = timeout_ms % 1000 * 1000000L };
	sigset_t none;

	sigemptyset(&none);
	return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, &none);
}

void worker_busy(struct worker *worker, int for_ms)
{
	worker->slot->deadline_ms = clock_monotonic_ms() + for_ms;
}

void worker_idle(struct worker *worker)
{
	worker->slot->deadline_ms = 0;
}

int worker_exchange_ms(const struct worker *worker)
{
	return 2 * worker->config->google_timeout_ms + 5000;
}

static bool claim_exchange(void *arg)
{
	struct worker *worker = arg;

	return board_claim_idle(worker->board, WORKER_EXCHANGE);
}

static void view(void *arg, struct metrics_view *ret_view)
{
	struct worker *worker = arg;

	board_view(worker->board, ret_view);
}

struct call *worker_call_new(struct worker *worker)
{
	struct call *call = call_new();

	call->domain = &worker->domain;
	call->claim_exchange = claim_exchange;
	call->view = view;
	call->worker_arg = worker;
	return call;
}

/* One line when the database goes away and one when it is back, not one for each call. */
void worker_log_database(struct worker *worker, enum err err, const char *request_id)
{
	enum err refusal = db_refusal(worker->domain.db);
	bool lost = err == ERR_DATABASE_UNAVAILABLE || refusal;

	/* A call that did not need the database says nothing of it. */
	if (lost == worker->database_lost || (!lost && db_fd(worker->domain.db) < 0))
		return;
	worker->database_lost = lost;
	if (refusal)
		LOG(&worker->log, LOG_ERROR, "secret key does not open the database",
		    LOG_STR("request_id", request_id), LOG_STR("error", err_info(refusal)->code));
	else if (lost)
		LOG(&worker->log, LOG_ERROR, "database unavailable",
		    LOG_STR("request_id", request_id),
		    LOG_STR("reason", db_last_error(worker->domain.db)));
	else
		LOG(&worker->log, LOG_INFO, "database available",
		    LOG_STR("request_id", request_id));
}

/* What an operator has to look at, what may pass, and what is everyday. */
enum log_level worker_log_level(enum err err)
{
	switch (err) {
	case ERR_REAUTHORIZATION_REQUIRED:
	case ERR_CLIENT_CREDENTIALS_REJECTED:
	case ERR_INSUFFICIENT_SCOPE:
	case ERR_PROVIDER_ERROR:
	case ERR_SECRET_KEY_UNKNOWN:
		return LOG_WARNING;
	default:
		return err && err_info(err)->status == 500 ? LOG_ERROR : LOG_DEBUG;
	}
}

/* Did somebody with a key read a token, or try to? What is handed on is told by the other pool. */
static bool is_token_read(const struct call *call)
{
	return call->caller.key_id && call->route && call->route->access == ACCESS_FETCHER &&
	       !call->handed_on;
}

void worker_call_done(struct worker *worker, const struct call *call, enum err err,
		      const char *failure)
{
	const char *method = call->route ? call->route->method : "";
	const char *route = call->route ? call->route->pattern : "";
	const char *code = err ? err_info(err)->code : "";
	/* A database that refuses them all was logged once. */
	enum log_level level = db_refusal(worker->domain.db) ? LOG_DEBUG : worker_log_level(err);

	int64_t answered_us = call->answered_us ? call->answered_us : clock_monotonic_us();

	worker->slot->requests++;
	/* What is handed on the other pool answers. */
	if (!call->handed_on)
		metrics_count_request(worker->domain.metrics, route_index(call->route),
				      call->reply.status, answered_us - call->arrived_us);
	/* Who had which token is told in the log: a row for each would make every read a write. */
	if (level < LOG_INFO && is_token_read(call))
		level = LOG_INFO;
	worker_log_database(worker, call->query.err ? call->query.err : err, call->request_id);
	LOG(&worker->log, level, "request", LOG_STR("request_id", call->request_id),
	    LOG_STR("method", method), LOG_STR("route", route),
	    LOG_NUM("key_id", call->caller.key_id), LOG_NUM("client_id", call->client_id),
	    LOG_NUM("status", call->reply.status), LOG_STR("error", code),
	    LOG_STR("provider_error", call->problem.provider_error), LOG_STR("database", failure),
	    LOG_NUM("duration_ms", (answered_us - call->arrived_us) / 1000));
}

static void set_up_signals(void)
{
	struct sigaction term = { .sa_handler = on_term };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t blocked;

	/* Only worker_poll() lets it in: an interrupted write would cut an answer short. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigaction(SIGTERM, &term, NULL);
	/* The terminal's, which the master acts on. */
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
}

/* For ps and top, whose names have 15 bytes; the command line stays the master's. */
static void take_name(enum worker_kind kind)
{
	char name[16];

	snprintf(name, sizeof(name), "token:%s", worker_kind_name(kind));
	prctl(PR_SET_NAME, name);
}

_Noreturn void worker_main(struct worker *worker)
{
	enum worker_kind kind = (enum worker_kind)worker->slot->kind;

	set_up_signals();
	take_name(kind);
	/* A master that is gone can end nobody. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != worker->master_pid)
		_exit(WORKER_EXIT_OK);
	if (http_init() ||
	    domain_init(&worker->domain, worker->config, &worker->board->shared,
			board_metrics(worker->board, worker->slot), kind != WORKER_DATABASE)) {
		LOG(&worker->log, LOG_ERROR, "worker cannot start");
		_exit(WORKER_EXIT_FAILED);
	}
	worker->slot->ready = true;
	if (kind == WORKER_EXCHANGE)
		worker_exchange_loop(worker);
	else if (kind == WORKER_REFRESHER)
		worker_refresher_loop(worker);
	else
		worker_database_loop(worker);
	domain_release(&worker->domain);
	exit(WORKER_EXIT_OK);
}
