#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/settings.h"
#include "server/board.h"
#include "server/listener.h"
#include "server/preflight.h"
#include "server/worker.h"

#include "base/banned.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
#define ALIVE_MS 30000 /* a worker that lived so long begins its backoff anew */
#define TERM_TO_KILL_MS 1000
#define TICK_MS 200
/* How long a worker that is to be replaced waits for its successors to be in their loops. */
#define RETIRE_MAX_MS 20000
/* Room for as many workers as any configuration may ask for, and for those of older ones that
 * still drain: a reload must not be short of it. */
#define WORKERS_MAX (64 + 256 + 64)
#define GENERATIONS 3

/* A place that is to be filled with a worker. */
struct place {
	enum worker_kind kind;
	pid_t pid; /* 0: empty */
	int64_t start_at_ms;
	int backoff_ms;
};

/* A process that runs, whether it still has a place or drains. */
struct child {
	pid_t pid; /* 0: free */
	struct board_slot *slot;
	int64_t started_ms;
	int drain_ms;         /* of the configuration that it was started with */
	int64_t retire_at_ms; /* to be replaced, at this time at the latest; 0: it stays */
	int64_t kill_at_ms;   /* 0: not asked to stop */
};

struct supervisor {
	struct config config;
	const char *env_file;
	struct log log;
	struct listeners listeners;
	struct board *board;
	struct place *places;
	size_t nplaces;
	struct child *children; /* as many as the board has slots */
	sigset_t signals;
	bool stopping;
	int exit_status;
};

static int drain_ms(const struct supervisor *sup)
{
	return 2 * sup->config.google_timeout_ms + 6000;
}

static struct log log_of(const struct config *config)
{
	return (struct log){
		.level = (enum log_level)config->log_level,
		.format = (enum log_format)config->log_format,
		.fd = STDERR_FILENO,
	};
}

static struct place *add_places(struct place *place, enum worker_kind kind, int count)
{
	for (int i = 0; i < count; i++)
		(place++)->kind = kind;
	return place;
}

/* Empty places for what the configuration asks for. */
static void make_places(struct supervisor *sup)
{
	/* Without refreshers one process still keeps house. */
	int nrefreshers = sup->config.refreshers ? sup->config.refreshers : 1;
	struct place *place;

	free(sup->places);
	sup->nplaces = (size_t)sup->config.database_workers + (size_t)sup->config.exchange_workers +
		       (size_t)nrefreshers;
	sup->places = place = mem_alloc(sup->nplaces * sizeof(*sup->places));
	place = add_places(place, WORKER_DATABASE, sup->config.database_workers);
	place = add_places(place, WORKER_EXCHANGE, sup->config.exchange_workers);
	add_places(place, WORKER_REFRESHER, nrefreshers);
}

static void tell_places(struct supervisor *sup)
{
	int configured[WORKER_KINDS] = { 0 };

	for (size_t i = 0; i < sup->nplaces; i++)
		configured[sup->places[i].kind]++;
	for (size_t i = 0; i < WORKER_KINDS; i++)
		sup->board->configured[i] = configured[i];
}

static void run_child(struct supervisor *sup, struct board_slot *slot, pid_t master_pid)
{
	struct worker worker = {
		.config = &sup->config,
		.log = sup->log,
		.board = sup->board,
		.slot = slot,
		.listen_fd = slot->kind == WORKER_EXCHANGE ? sup->listeners.exchange_fd
							   : sup->listeners.database_fd,
		.master_pid = master_pid,
	};

	/* A lock belongs to all who have the descriptor open: the workers must not outlive it. */
	close(sup->listeners.dir_fd);
	worker_main(&worker);
}

static struct child *free_child(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->board->count; i++) {
		if (!sup->children[i].pid)
			return &sup->children[i];
	}
	return NULL;
}

static void back_off(struct place *place)
{
	place->backoff_ms = place->backoff_ms ? place->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (place->backoff_ms > BACKOFF_MAX_MS)
		place->backoff_ms = BACKOFF_MAX_MS;
	place->start_at_ms = clock_monotonic_ms() + place->backoff_ms;
}

static void start_worker(struct supervisor *sup, struct place *place)
{
	struct board_slot *slot = board_take(sup->board, place->kind);
	struct child *child = free_child(sup);
	pid_t master_pid = getpid(), pid;

	if (!slot || !child) { /* three generations drain at once: wait for the oldest */
		if (slot)
			board_slot_free(slot);
		LOG(&sup->log, LOG_WARNING, "no room for a worker while others drain",
		    LOG_STR("pool", worker_kind_name(place->kind)));
		back_off(place);
		return;
	}
	pid = fork();
	if (pid == 0)
		run_child(sup, slot, master_pid);
	if (pid < 0) {
		LOG(&sup->log, LOG_ERROR, "cannot fork", LOG_STR("reason", strerror(errno)));
		board_slot_free(slot);
		back_off(place);
		return;
	}
	place->pid = pid;
	*child = (struct child){ .pid = pid,
				 .slot = slot,
				 .started_ms = clock_monotonic_ms(),
				 .drain_ms = drain_ms(sup) };
	LOG(&sup->log, LOG_DEBUG, "worker started", LOG_STR("pool", worker_kind_name(place->kind)),
	    LOG_NUM("pid", pid));
}

static void start_due(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->nplaces && !sup->stopping; i++) {
		if (!sup->places[i].pid && !clock_left_ms(sup->places[i].start_at_ms))
			start_worker(sup, &sup->places[i]);
	}
}

static void stop_child(struct child *child, int kill_in_ms)
{
	if (!child->pid || child->kill_at_ms)
		return;
	child->kill_at_ms = clock_monotonic_ms() + kill_in_ms;
	kill(child->pid, SIGTERM);
}

static void stop_all(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->board->count; i++)
		stop_child(&sup->children[i], sup->children[i].drain_ms);
}

static void log_death(struct supervisor *sup, const struct child *child, int status)
{
	const char *pool = worker_kind_name((enum worker_kind)child->slot->kind);

	if (WIFSIGNALED(status))
		LOG(&sup->log, LOG_ERROR, "worker killed", LOG_STR("pool", pool),
		    LOG_NUM("pid", child->pid), LOG_NUM("signal", WTERMSIG(status)));
	else if (WEXITSTATUS(status) != WORKER_EXIT_OK)
		LOG(&sup->log, LOG_ERROR, "worker failed", LOG_STR("pool", pool),
		    LOG_NUM("pid", child->pid), LOG_NUM("status", WEXITSTATUS(status)));
}

static void empty_place(struct supervisor *sup, const struct child *child)
{
	for (size_t i = 0; i < sup->nplaces; i++) {
		struct place *place = &sup->places[i];

		if (place->pid != child->pid)
			continue;
		place->pid = 0;
		if (clock_monotonic_ms() - child->started_ms >= ALIVE_MS)
			place->backoff_ms = 0;
		back_off(place);
		if (!sup->stopping)
			sup->board->restarts[place->kind]++;
	}
}

static void reap(struct supervisor *sup)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < sup->board->count; i++) {
			struct child *child = &sup->children[i];

			if (child->pid != pid)
				continue;
			log_death(sup, child, status);
			empty_place(sup, child);
			board_slot_free(child->slot);
			*child = (struct child){ 0 };
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_CONFIG) {
			sup->exit_status = WORKER_EXIT_CONFIG;
			sup->stopping = true;
			stop_all(sup);
		}
	}
}

/* A worker past the deadline of what it has in hand hangs: TERM, then KILL. */
static void enforce_deadlines(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->board->count; i++) {
		struct child *child = &sup->children[i];
		int64_t deadline_ms;

		if (!child->pid)
			continue;
		/* Read once: the worker may be done, and say so, between two looks. */
		deadline_ms = child->slot->deadline_ms;
		if (child->kill_at_ms && !clock_left_ms(child->kill_at_ms)) {
			kill(child->pid, SIGKILL);
		} else if (deadline_ms && !clock_left_ms(deadline_ms) && !child->kill_at_ms) {
			LOG(&sup->log, LOG_ERROR, "worker past its deadline",
			    LOG_NUM("pid", child->pid));
			stop_child(child, TERM_TO_KILL_MS);
		}
	}
}

static bool has_place(const struct supervisor *sup, const struct child *child)
{
	for (size_t i = 0; i < sup->nplaces; i++) {
		if (sup->places[i].pid == child->pid)
			return true;
	}
	return false;
}

/* Does every place of @kind have a worker that is in its loop? */
static bool is_staffed(const struct supervisor *sup, enum worker_kind kind)
{
	size_t places = 0, ready = 0;

	for (size_t i = 0; i < sup->nplaces; i++)
		places += sup->places[i].kind == kind;
	for (size_t i = 0; i < sup->board->count; i++) {
		const struct child *child = &sup->children[i];

		ready += child->pid && child->slot->kind == (int)kind && child->slot->ready &&
			 has_place(sup, child);
	}
	return ready == places;
}

/* Workers that were replaced go on until their successors serve: between them there is no gap. */
static void retire_replaced(struct supervisor *sup)
{
	for (size_t i = 0; i < sup->board->count; i++) {
		struct child *child = &sup->children[i];

		if (child->pid && child->retire_at_ms &&
		    (is_staffed(sup, (enum worker_kind)child->slot->kind) ||
		     !clock_left_ms(child->retire_at_ms)))
			stop_child(child, child->drain_ms);
	}
}

/* New places first: the old workers go on until the new ones take over. */
static void reload(struct supervisor *sup)
{
	struct config config;

	if (settings_load(sup->env_file, stderr, &config)) {
		LOG(&sup->log, LOG_ERROR,
		    "reload refused: the configuration has faults, the old one stays");
		return;
	}
	config_release(&sup->config);
	sup->config = config;
	sup->log = log_of(&sup->config);
	make_places(sup);
	tell_places(sup);
	start_due(sup);
	for (size_t i = 0; i < sup->board->count; i++) {
		struct child *child = &sup->children[i];

		if (child->pid && !child->retire_at_ms && !has_place(sup, child))
			child->retire_at_ms = clock_monotonic_ms() + RETIRE_MAX_MS;
	}
	LOG(&sup->log, LOG_INFO, "reloaded");
}

static void on_signal(struct supervisor *sup, int signal_number)
{
	switch (signal_number) {
	case SIGTERM:
	case SIGINT:
		if (!sup->stopping)
			LOG(&sup->log, LOG_INFO, "stopping");
		sup->stopping = true;
		stop_all(sup);
		break;
	case SIGHUP:
		if (!sup->stopping)
			reload(sup);
		break;
	default: /* SIGCHLD: the loop reaps */
		break;
	}
}

static bool has_children(const struct supervisor *sup)
{
	for (size_t i = 0; i < sup->board->count; i++) {
		if (sup->children[i].pid)
			return true;
	}
	return false;
}

static void supervise(struct supervisor *sup)
{
	struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };

	while (!sup->stopping || has_children(sup)) {
		int signal_number;

		start_due(sup);
		signal_number = sigtimedwait(&sup->signals, NULL, &tick);
		if (signal_number > 0)
			on_signal(sup, signal_number);
		reap(sup);
		retire_replaced(sup);
		enforce_deadlines(sup);
	}
}

static void block_signals(struct supervisor *sup)
{
	sigemptyset(&sup->signals);
	sigaddset(&sup->signals, SIGTERM);
	sigaddset(&sup->signals, SIGINT);
	sigaddset(&sup->signals, SIGHUP);
	sigaddset(&sup->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &sup->signals, NULL);
	/* Ignored, as a careless parent may leave it, children would vanish unseen. */
	signal(SIGCHLD, SIG_DFL);
}

static int run_workers(struct supervisor *sup)
{
	size_t capacity = WORKERS_MAX * GENERATIONS;

	if (board_new(capacity, &sup->board))
		return 1;
	tell_places(sup);
	sup->exit_status = 0;
	sup->children = mem_alloc(capacity * sizeof(*sup->children));
	if (!strcmp(sup->config.secret_key.data, CONFIG_DEVELOPMENT_KEY))
		LOG(&sup->log, LOG_WARNING,
		    "SECRET_KEY is not set: stored secrets are sealed under a key that everybody knows");
	LOG(&sup->log, LOG_INFO, "started", LOG_STR("version", PACKAGE_VERSION),
	    LOG_NUM("database_workers", sup->config.database_workers),
	    LOG_NUM("exchange_workers", sup->config.exchange_workers),
	    LOG_NUM("refreshers", sup->config.refreshers));
	supervise(sup);
	LOG(&sup->log, LOG_INFO, "stopped");
	return sup->exit_status;
}

static bool is_root_in_production(const struct config *config)
{
	return config->environment == ENVIRONMENT_PRODUCTION && geteuid() == 0;
}

int supervisor_run(struct config *config, const char *env_file, const char *socket_dir)
{
	struct supervisor sup = { .config = *config, .env_file = env_file };

	*config = (struct config){ 0 };
	if (is_root_in_production(&sup.config)) {
		fputs("token-service serve: must not run as root in production; give it a user of its own (systemd: User= in its unit)\n",
		      stderr);
		config_release(&sup.config);
		return 2;
	}
	sup.log = log_of(&sup.config);
	block_signals(&sup);
	make_places(&sup);
	sup.exit_status = 2;
	if (!preflight(&sup.config, &sup.log) &&
	    !listeners_open(socket_dir, &sup.log, &sup.listeners)) {
		sup.exit_status = run_workers(&sup);
		listeners_close(&sup.listeners);
	}
	free(sup.children);
	free(sup.places);
	board_free(sup.board);
	config_release(&sup.config);
	return sup.exit_status;
}
