#include "server/board.h"

#include <sys/mman.h>

#include "base/clock.h"

#include "base/banned.h"

/* From the answer that redirects to the accept in the exchange pool. */
#define PROMISE_MS 100

static size_t board_size(size_t count)
{
	return sizeof(struct board) + count * sizeof(struct board_slot);
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
			board->slots[i].requests = 0;
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

bool board_claim_idle(struct board *board, enum worker_kind kind)
{
	int64_t now_ms = clock_monotonic_ms();

	for (size_t i = 0; i < board->count; i++) {
		struct board_slot *slot = &board->slots[i];
		int64_t promised_ms = slot->promised_until_ms;

		if ((int)slot->kind == (int)kind && slot->ready && slot->deadline_ms == 0 &&
		    promised_ms <= now_ms &&
		    atomic_compare_exchange_strong(&slot->promised_until_ms, &promised_ms,
						   now_ms + PROMISE_MS))
			return true;
	}
	return false;
}
