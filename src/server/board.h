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
#include "domain/domain.h"

enum worker_kind {
	WORKER_NONE, /* the slot is free */
	WORKER_DATABASE,
	WORKER_EXCHANGE,
	WORKER_REFRESHER,
};

struct board_slot {
	_Atomic int kind;            /* enum worker_kind */
	_Atomic int64_t deadline_ms; /* monotonic: when the work in hand must be done; 0: idle */
	_Atomic int64_t
		promised_until_ms; /* monotonic: a caller is on its way to this idle worker */
	_Atomic bool ready;        /* the worker is in its loop */
	_Atomic uint64_t requests; /* answered */
};

struct board {
	struct domain_shared shared;
	size_t count;
	struct board_slot slots[];
};

/* @count free slots, in memory that stays shared across fork(). ERR_SYSTEM. */
MUST_CHECK enum err board_new(size_t count, struct board **ret_board);
void board_free(struct board *board);

/* A free slot, taken for a worker of @kind; NULL: none. Only the master takes and frees. */
struct board_slot *board_take(struct board *board, enum worker_kind kind);
void board_slot_free(struct board_slot *slot);

/* Promises a waiting worker of @kind to the caller for as long as a redirect takes; false: all
 * are busy or promised. */
bool board_claim_idle(struct board *board, enum worker_kind kind);

#endif
