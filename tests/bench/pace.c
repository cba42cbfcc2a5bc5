/*
 * pace: GET requests at a fixed rate, whatever the server does (an open loop), and how long each
 * answer took, counted from when its request was due.
 *
 * h2load does not do: with --rps it counts from when a request is sent, so that of all those which a
 * stalled server kept waiting for a free connection only the few that were already sent are slow
 * (seen: a second's stall at 200/s, 10 connections: 10 slow answers of 800, not 200). wrk2, which
 * does it right, is not in Debian.
 *
 * pace --port N --rate R --seconds S --connections C --path PREFIX --first A --last B [--key K]
 *
 * Each request is for PREFIX and a random number from A to B, at 127.0.0.1. Prints one JSON object;
 * what could not be answered within 10 s of the last request counts as unanswered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include "base/banned.h"

#define REQUEST_SIZE 512
#define ANSWER_SIZE 32768
#define EVENTS 256
#define STATUSES 600
#define GRACE_US (10 * US_PER_S)
#define NS_PER_US 1000

struct options {
	long port, seconds, connections, first, last;
	double rate;
	const char *path, *key;
};

struct connection {
	int fd;         /* -1: none yet, or not any more */
	bool busy;      /* a request is under way */
	int64_t due_us; /* of that request */
	char request[REQUEST_SIZE];
	size_t unsent; /* bytes of the request; all or nothing goes out at once */
	char answer[ANSWER_SIZE];
	size_t len;
};

struct pace {
	struct options options;
	int epoll;
	struct connection *connections;
	long at; /* where the search for a free connection goes on: each has its turn */
	int64_t begun_us;
	long total, sent, answered, broken;
	long statuses[STATUSES];
	uint32_t *latencies_us; /* of those that were answered */
};

static int64_t due_us(const struct pace *pace, long number)
{
	return pace->begun_us + (int64_t)((double)number * 1e6 / pace->options.rate);
}

/* --- one connection ----------------------------------------------------------------------------- */

static void hang_up(struct connection *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

static void give_up(struct pace *pace, struct connection *conn)
{
	hang_up(conn);
	pace->broken += conn->busy;
	conn->busy = false;
}

static bool dial(const struct pace *pace, struct connection *conn)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)pace->options.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.ptr = conn };

	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return conn->fd >= 0 &&
	       (!connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) ||
		errno == EINPROGRESS) &&
	       !epoll_ctl(pace->epoll, EPOLL_CTL_ADD, conn->fd, &event);
}

/* False: the connection is broken. */
static bool flush_request(struct connection *conn)
{
	ssize_t n;

	if (!conn->unsent)
		return true;
	n = send(conn->fd, conn->request, conn->unsent, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN; /* not connected yet */
	if ((size_t)n != conn->unsent)
		return false;
	conn->unsent = 0;
	return true;
}

static void ask(struct pace *pace, struct connection *conn, int64_t due)
{
	const struct options *options = &pace->options;
	long number = options->first + random() % (options->last - options->first + 1);

	conn->unsent = (size_t)snprintf(
		conn->request, sizeof(conn->request),
		"GET %s%ld HTTP/1.1\r\nHost: 127.0.0.1:%ld\r\nAuthorization: Bearer %s\r\n\r\n",
		options->path, number, options->port, options->key);
	conn->busy = true;
	conn->due_us = due;
	conn->len = 0;
	if ((conn->fd < 0 && !dial(pace, conn)) || !flush_request(conn))
		give_up(pace, conn);
}

/* --- answers ------------------------------------------------------------------------------------ */

static void count_answer(struct pace *pace, struct connection *conn)
{
	long status = strtol(conn->answer + strlen("HTTP/1.1 "), NULL, 10);

	if (status < 0 || status >= STATUSES)
		status = 0;
	pace->statuses[status]++;
	pace->latencies_us[pace->answered++] = (uint32_t)(clock_monotonic_us() - conn->due_us);
	conn->busy = false;
}

/* Takes the answer if it is there whole. False: it is none that this understands. */
static bool take_answer(struct pace *pace, struct connection *conn)
{
	char *end = strstr(conn->answer, "\r\n\r\n");
	const char *length, *closing;
	size_t whole;

	if (!end)
		return conn->len < ANSWER_SIZE - 1;
	*end = '\0'; /* a search ends with the headers */
	length = strcasestr(conn->answer, "\r\ncontent-length:");
	closing = strcasestr(conn->answer, "\r\nconnection: close");
	*end = '\r';
	if (!length || strncmp(conn->answer, "HTTP/1.1 ", strlen("HTTP/1.1 ")) != 0)
		return false;
	whole = (size_t)(end - conn->answer) + 4 +
		strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
	if (whole >= ANSWER_SIZE || conn->len > whole)
		return false;
	if (conn->len < whole)
		return true;
	count_answer(pace, conn);
	if (closing)
		hang_up(conn);
	return true;
}

static void receive(struct pace *pace, struct connection *conn)
{
	bool whole_so_far = true;

	while (conn->fd >= 0 && whole_so_far) {
		ssize_t n =
			recv(conn->fd, conn->answer + conn->len, ANSWER_SIZE - 1 - conn->len, 0);

		if (n < 0 && errno == EAGAIN)
			return;
		/* Between two requests the server may close. */
		if (n <= 0)
			break;
		conn->len += (size_t)n;
		conn->answer[conn->len] = '\0';
		whole_so_far = conn->busy && take_answer(pace, conn);
	}
	if (conn->fd >= 0)
		give_up(pace, conn);
}

/* --- the run ------------------------------------------------------------------------------------ */

static struct connection *free_connection(struct pace *pace)
{
	for (long i = 0; i < pace->options.connections; i++) {
		struct connection *conn = &pace->connections[pace->at];

		pace->at = (pace->at + 1) % pace->options.connections;
		if (!conn->busy)
			return conn;
	}
	return NULL;
}

/* Sends what is due; returns how long to wait for the next, microseconds. */
static int64_t send_due(struct pace *pace, int64_t until_us)
{
	int64_t now = clock_monotonic_us();

	while (pace->sent < pace->total) {
		int64_t due = due_us(pace, pace->sent);
		struct connection *conn = due <= now ? free_connection(pace) : NULL;

		if (due > now)
			return due - now;
		if (!conn)
			break;
		pace->sent++;
		ask(pace, conn, due);
	}
	return until_us > now ? until_us - now : 0;
}

static void handle(struct pace *pace, const struct epoll_event *event)
{
	struct connection *conn = event->data.ptr;

	if (conn->fd < 0)
		return;
	if (!flush_request(conn))
		give_up(pace, conn);
	else if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		receive(pace, conn);
}

static void run(struct pace *pace)
{
	int64_t until_us = due_us(pace, pace->total) + GRACE_US;
	struct epoll_event events[EVENTS];

	while (pace->answered + pace->broken < pace->total && clock_monotonic_us() < until_us) {
		int64_t wait_us = send_due(pace, until_us);
		struct timespec timeout = { .tv_sec = wait_us / US_PER_S,
					    .tv_nsec = wait_us % US_PER_S * NS_PER_US };
		int count = epoll_pwait2(pace->epoll, events, EVENTS, &timeout, NULL);

		for (int i = 0; i < count; i++)
			handle(pace, &events[i]);
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static void print(struct pace *pace)
{
	CLEANUP(json_release) struct json_object *result = json_object_new_object();
	struct json_object *statuses = json_object_new_object();
	static const struct {
		const char *name;
		long of_10000;
	} shares[] = {
		{ "p50_us", 5000 },  { "p90_us", 9000 },  { "p99_us", 9900 },
		{ "p999_us", 9990 }, { "max_us", 10000 },
	};

	qsort(pace->latencies_us, (size_t)pace->answered, sizeof(uint32_t), compare);
	json_add_int(result, "requests", pace->total);
	json_add_int(result, "unanswered", pace->total - pace->answered);
	for (size_t i = 0; pace->answered && i < sizeof(shares) / sizeof(shares[0]); i++)
		json_add_int(result, shares[i].name,
			     pace->latencies_us[(pace->answered - 1) * shares[i].of_10000 / 10000]);
	for (int status = 0; status < STATUSES; status++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", status);
		if (pace->statuses[status])
			json_object_object_add(statuses, name,
					       json_object_new_int64(pace->statuses[status]));
	}
	json_object_object_add(result, "statuses", statuses);
	puts(json_text(result));
}

/* --- options ------------------------------------------------------------------------------------ */

static bool parse(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "connections", required_argument, NULL, 'c' },
		{ "path", required_argument, NULL, 'u' },
		{ "first", required_argument, NULL, 'a' },
		{ "last", required_argument, NULL, 'b' },
		{ "key", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int name;

	*options = (struct options){ .path = "/", .key = "none" };
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (name) {
		case 'p':
			options->port = strtol(optarg, NULL, 10);
			break;
		case 'r':
			options->rate = strtod(optarg, NULL);
			break;
		case 's':
			options->seconds = strtol(optarg, NULL, 10);
			break;
		case 'c':
			options->connections = strtol(optarg, NULL, 10);
			break;
		case 'u':
			options->path = optarg;
			break;
		case 'a':
			options->first = strtol(optarg, NULL, 10);
			break;
		case 'b':
			options->last = strtol(optarg, NULL, 10);
			break;
		case 'k':
			options->key = optarg;
			break;
		default:
			return false;
		}
	}
	return optind == argc && options->port > 0 && options->rate > 0 && options->seconds > 0 &&
	       options->connections > 0 && options->last >= options->first &&
	       strlen(options->path) + strlen(options->key) < REQUEST_SIZE / 2;
}

int main(int argc, char **argv)
{
	struct pace pace = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	struct options *options = &pace.options;

	if (!parse(argc, argv, options)) {
		fputs("usage: pace --port N --rate R --seconds S --connections C --path PREFIX "
		      "--first A --last B [--key K]\n",
		      stderr);
		return 2;
	}
	pace.total = (long)(options->rate * (double)options->seconds);
	if (pace.total < 1)
		pace.total = 1;
	pace.connections = mem_alloc(sizeof(struct connection) * (size_t)options->connections);
	pace.latencies_us = mem_alloc(sizeof(uint32_t) * (size_t)pace.total);
	for (long i = 0; i < options->connections; i++)
		pace.connections[i].fd = -1;
	srandom((unsigned)getpid());
	pace.begun_us = clock_monotonic_us();
	run(&pace);
	print(&pace);
	for (long i = 0; i < options->connections; i++)
		hang_up(&pace.connections[i]);
	close(pace.epoll);
	free(pace.connections);
	free(pace.latencies_us);
	return 0;
}
