/*
 * What every worker process is made of; the loops are in worker_database.c and worker_exchange.c.
 */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "api/call.h"
#include "base/config.h"
#include "base/log.h"
#include "server/board.h"

/* Exit statuses that mean something to the master. */
#define WORKER_EXIT_OK 0
#define WORKER_EXIT_FAILED 1
#define WORKER_EXIT_CONFIG 2 /* starting it again is of no use */

struct worker {
	const struct config *config;
	struct log log;
	struct board *board;
	struct board_slot *slot;
	int listen_fd;
	pid_t master_pid;

	struct domain domain;
	bool database_lost; /* as it was logged last */
};

/* Runs in the child after fork() and never returns. */
_Noreturn void worker_main(struct worker *worker);

void worker_database_loop(struct worker *worker);
void worker_exchange_loop(struct worker *worker);
void worker_refresher_loop(struct worker *worker);

/* True once the master asked this worker to finish. */
bool worker_is_stopping(void);
/* Waits for @fds (timeout in ms, -1: none), the only place where the master's signal gets in. */
int worker_poll(struct pollfd *fds, size_t count, int timeout_ms);

void worker_busy(struct worker *worker, int for_ms);
void worker_idle(struct worker *worker);
/* How long a worker that calls the provider may be busy: two calls and what lies around them. */
int worker_exchange_ms(const struct worker *worker);
/* Logs when the database goes away and when it is back, after each use of it. @request_id: of the
 * call that found out; "": none. */
void worker_log_database(struct worker *worker, enum err err, const char *request_id);
enum log_level worker_log_level(enum err err);

/* A call with what this worker gives every one of its calls. */
struct call *worker_call_new(struct worker *worker);
/* Logs what is worth it about a call that was answered, and counts it. @failure: what its statements
 * failed with; "": nothing. */
void worker_call_done(struct worker *worker, const struct call *call, enum err err,
		      const char *failure);

#endif
