/*
 * The scoreboard: what each worker is doing, in memory that the master and all workers share.
 */
#ifndef SERVER_BOARD_H
#define SERVER_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/metrics.h"
#include "domain/domain.h"

/* A pool's kind is its enum metrics_pool and one. */
enum worker_kind {
	WORKER_NONE, /* the slot is free */
	WORKER_DATABASE = METRICS_POOL_DATABASE + 1,
	WORKER_EXCHANGE = METRICS_POOL_EXCHANGE + 1,
	WORKER_REFRESHER = METRICS_POOL_REFRESHER + 1,
	WORKER_KINDS,
};

/* "": WORKER_NONE. */
const char *worker_kind_name(enum worker_kind kind);

struct board_slot {
	_Atomic int kind;            /* enum worker_kind */
	_Atomic int64_t deadline_ms; /* monotonic: when the work in hand must be done; 0: idle */
	_Atomic int64_t
		promised_until_ms; /* monotonic: a caller is on its way to this idle worker */
	_Atomic bool ready;        /* the worker is in its loop */
	_Atomic bool
		database_lost; /* it would refuse a call, and looks for the database by itself */
	_Atomic uint64_t requests; /* answered */
	_Atomic bool counted;      /* somebody has written into its metrics; stays so */
};

/* In the same memory, behind the slots: a struct metrics for each. */
struct board {
	struct domain_shared shared;
	_Atomic int configured[WORKER_KINDS]; /* places for workers */
	_Atomic uint64_t restarts[WORKER_KINDS];
	size_t count;
	struct board_slot slots[];
};

/* @count free slots, in memory that stays shared across fork(). ERR_SYSTEM. */
MUST_CHECK enum err board_new(size_t count, struct board **ret_board);
void board_free(struct board *board);

/* A free slot, taken for a worker of @kind; NULL: none. Only the master takes and frees. */
struct board_slot *board_take(struct board *board, enum worker_kind kind);
void board_slot_free(struct board_slot *slot);

/* What the worker of @slot counts into: never set back, so that it outlives the worker. */
struct metrics *board_metrics(struct board *board, struct board_slot *slot);
/* Adds everything up. @ret_view borrows the survey. */
void board_view(const struct board *board, struct metrics_view *ret_view);

/* Promises a waiting worker of @kind to the caller for as long as a redirect takes; false: all
 * are busy or promised, or one that has lost its database waits as well: the kernel may give the
 * call to that one. */
bool board_claim_idle(struct board *board, enum worker_kind kind);

#endif
