#include "server/board.h"

#include <sys/mman.h>

#include "base/clock.h"

#include "base/banned.h"

/* From the answer that redirects to the accept in the exchange pool. */
#define PROMISE_MS 100

/* Workers' counters do not share a cache line. */
#define METRICS_SIZE ((sizeof(struct metrics) + 63) / 64 * 64)

const char *worker_kind_name(enum worker_kind kind)
{
	return kind == WORKER_NONE ? "" : metrics_pool_name((enum metrics_pool)(kind - 1));
}

static size_t slots_size(size_t count)
{
	return (sizeof(struct board) + count * sizeof(struct board_slot) + 63) / 64 * 64;
}

static size_t board_size(size_t count)
{
	return slots_size(count) + count * METRICS_SIZE;
}

enum err board_new(size_t count, struct board **ret_board)
{
	struct board *board = mmap(NULL, board_size(count), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return ERR_SYSTEM;
	board->count = count; /* the rest is zero */
	*ret_board = board;
	return ERR_OK;
}

void board_free(struct board *board)
{
	if (board)
		munmap(board, board_size(board->count));
}

struct board_slot *board_take(struct board *board, enum worker_kind kind)
{
	for (size_t i = 0; i < board->count; i++) {
		if (board->slots[i].kind == WORKER_NONE) {
			board->slots[i].deadline_ms = 0;
			board->slots[i].promised_until_ms = 0;
			board->slots[i].ready = false;
			board->slots[i].database_lost = false;
			board->slots[i].requests = 0;
			board->slots[i].counted = true;
			board->slots[i].kind = kind;
			return &board->slots[i];
		}
	}
	return NULL;
}

void board_slot_free(struct board_slot *slot)
{
	slot->kind = WORKER_NONE;
	slot->deadline_ms = 0;
}

static bool is_idle(const struct board_slot *slot, enum worker_kind kind)
{
	return (int)slot->kind == (int)kind && slot->ready && slot->deadline_ms == 0;
}

bool board_claim_idle(struct board *board, enum worker_kind kind)
{
	int64_t now_ms = clock_monotonic_ms();

	for (size_t i = 0; i < board->count; i++) {
		if (is_idle(&board->slots[i], kind) && board->slots[i].database_lost)
			return false;
	}
	for (size_t i = 0; i < board->count; i++) {
		struct board_slot *slot = &board->slots[i];
		int64_t promised_ms = slot->promised_until_ms;

		if (is_idle(slot, kind) && promised_ms <= now_ms &&
		    atomic_compare_exchange_strong(&slot->promised_until_ms, &promised_ms,
						   now_ms + PROMISE_MS))
			return true;
	}
	return false;
}

static struct metrics *metrics_at(const struct board *board, size_t i)
{
	char *at = (char *)board + slots_size(board->count) + i * METRICS_SIZE;

	return (void *)at; /* both sizes are multiples of its alignment */
}

struct metrics *board_metrics(struct board *board, struct board_slot *slot)
{
	return metrics_at(board, (size_t)(slot - board->slots));
}

static void view_slot(const struct board_slot *slot, struct metrics_view *view)
{
	int kind = slot->kind;
	struct metrics_workers *workers;

	if (kind == WORKER_NONE || !slot->ready)
		return;
	workers = &view->workers[kind - 1];
	workers->ready++;
	workers->busy += slot->deadline_ms != 0;
}

void board_view(const struct board *board, struct metrics_view *ret_view)
{
	*ret_view = (struct metrics_view){ .survey = &board->shared.survey };
	for (size_t i = 0; i < METRICS_POOLS; i++) {
		ret_view->workers[i].configured = (uint64_t)board->configured[i + 1];
		ret_view->workers[i].restarts = board->restarts[i + 1];
	}
	for (size_t i = 0; i < board->count; i++) {
		/* To read what nobody has written would cost memory. */
		if (!board->slots[i].counted)
			continue;
		view_slot(&board->slots[i], ret_view);
		metrics_add_up(&ret_view->total, metrics_at(board, i));
	}
}
