#include "server/board.h"

#include <sys/mman.h>

#include "base/banned.h"

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

bool board_has_idle(const struct board *board, enum worker_kind kind)
{
	for (size_t i = 0; i < board->count; i++) {
		if ((int)board->slots[i].kind == (int)kind && board->slots[i].deadline_ms == 0)
			return true;
	}
	return false;
}
