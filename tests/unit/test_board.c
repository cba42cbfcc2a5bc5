#include "support.h"

#include <sys/wait.h>

#include "server/board.h"

static void slots_are_taken_once_and_freed(void **state)
{
	struct board *board;
	struct board_slot *a, *b;

	assert_int_equal(board_new(2, &board), ERR_OK);
	a = board_take(board, WORKER_DATABASE);
	b = board_take(board, WORKER_EXCHANGE);
	assert_non_null(a);
	assert_non_null(b);
	assert_ptr_not_equal(a, b);
	assert_null(board_take(board, WORKER_EXCHANGE)); /* full */
	a->requests = 9;
	a->deadline_ms = 99;
	board_slot_free(a);
	assert_ptr_equal(board_take(board, WORKER_EXCHANGE), a);
	assert_int_equal(a->kind, WORKER_EXCHANGE);
	assert_int_equal(a->requests, 0); /* of its new worker */
	assert_int_equal(a->deadline_ms, 0);
	board_free(board);
}

static void idle_is_one_of_the_kind_without_work(void **state)
{
	struct board *board;
	struct board_slot *a, *b, *other;

	assert_int_equal(board_new(3, &board), ERR_OK);
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	other = board_take(board, WORKER_DATABASE);
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	a = board_take(board, WORKER_EXCHANGE);
	b = board_take(board, WORKER_EXCHANGE);
	a->ready = other->ready = true;
	assert_false(b->ready);
	a->deadline_ms = 1;
	assert_false(board_claim_idle(board, WORKER_EXCHANGE)); /* b is not in its loop yet */
	b->ready = true;
	assert_true(board_claim_idle(board, WORKER_EXCHANGE)); /* b, promised now */
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	b->promised_until_ms = 1; /* the promise has passed */
	b->deadline_ms = 1;       /* and b is busy */
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	b->deadline_ms = 0;
	board_slot_free(b); /* a free slot is no worker */
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	assert_true(board_claim_idle(board, WORKER_DATABASE));
	other->deadline_ms = 1;
	board_free(board);
}

/* The workers of a pool share one listener: nobody can say which of those that wait takes a call. */
static void no_promise_while_one_that_waits_has_lost_its_database(void **state)
{
	struct board *board;
	struct board_slot *a, *b, *other;

	assert_int_equal(board_new(3, &board), ERR_OK);
	a = board_take(board, WORKER_EXCHANGE);
	b = board_take(board, WORKER_EXCHANGE);
	other = board_take(board, WORKER_DATABASE);
	a->ready = b->ready = other->ready = true;
	b->database_lost = true;
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	assert_true(board_claim_idle(board, WORKER_DATABASE)); /* another pool's */
	b->deadline_ms = 1;                                    /* busy, it takes no call */
	assert_true(board_claim_idle(board, WORKER_EXCHANGE));
	a->promised_until_ms = 0;
	b->deadline_ms = 0;
	assert_false(board_claim_idle(board, WORKER_EXCHANGE));
	b->database_lost = false;
	assert_true(board_claim_idle(board, WORKER_EXCHANGE));
	b->database_lost = true;
	board_slot_free(b);
	assert_ptr_equal(board_take(board, WORKER_EXCHANGE), b);
	assert_false(b->database_lost); /* its successor has lost nothing */
	board_free(board);
}

static void what_a_worker_writes_the_master_sees(void **state)
{
	struct board *board;
	struct board_slot *slot;
	int status;
	pid_t pid;

	assert_int_equal(board_new(1, &board), ERR_OK);
	slot = board_take(board, WORKER_EXCHANGE);
	pid = fork();
	if (pid == 0) {
		slot->requests++;
		slot->deadline_ms = 12345;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(slot->requests, 1);
	assert_int_equal(slot->deadline_ms, 12345);
	board_free(board);
	board_free(NULL);
}

/* A worker that dies takes no count with it, and its successor goes on from there. */
static void the_view_adds_up_and_outlives_workers(void **state)
{
	struct metrics_view *view = malloc(sizeof(*view));
	struct board *board;
	struct board_slot *a, *b;

	assert_int_equal(board_new(3, &board), ERR_OK);
	a = board_take(board, WORKER_DATABASE);
	b = board_take(board, WORKER_EXCHANGE);
	board->configured[WORKER_EXCHANGE] = 4;
	board->restarts[WORKER_DATABASE] = 7;
	a->ready = b->ready = true;
	b->deadline_ms = 1;
	metrics_count_request(board_metrics(board, a), 2, 200, 300);
	metrics_count_request(board_metrics(board, b), 2, 200, 600);
	board_view(board, view);
	assert_int_equal(view->total.requests[2][0], 2);
	assert_int_equal(view->workers[METRICS_POOL_DATABASE].ready, 1);
	assert_int_equal(view->workers[METRICS_POOL_DATABASE].busy, 0);
	assert_int_equal(view->workers[METRICS_POOL_DATABASE].restarts, 7);
	assert_int_equal(view->workers[METRICS_POOL_EXCHANGE].busy, 1);
	assert_int_equal(view->workers[METRICS_POOL_EXCHANGE].configured, 4);
	board_slot_free(a);
	board_view(board, view);
	assert_int_equal(view->total.requests[2][0], 2);
	assert_int_equal(view->workers[METRICS_POOL_DATABASE].ready, 0);
	assert_ptr_equal(board_take(board, WORKER_REFRESHER), a);
	metrics_count_request(board_metrics(board, a), 2, 200, 300);
	board_view(board, view);
	assert_int_equal(view->total.requests[2][0], 3);
	assert_ptr_equal(view->survey, &board->shared.survey);
	board_free(board);
	free(view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_are_taken_once_and_freed),
		cmocka_unit_test(idle_is_one_of_the_kind_without_work),
		cmocka_unit_test(no_promise_while_one_that_waits_has_lost_its_database),
		cmocka_unit_test(what_a_worker_writes_the_master_sees),
		cmocka_unit_test(the_view_adds_up_and_outlives_workers),
	};

	return cmocka_run_group_tests_name("board", tests, NULL, NULL);
}
