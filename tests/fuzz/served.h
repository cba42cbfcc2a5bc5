/*
 * A worker of both pools in one, without a database that answers: bytes go in at its socket as
 * nginx would send them, through libfcgi, the routes and the handlers, and what comes out is kept.
 */
#ifndef FUZZ_SERVED_H
#define FUZZ_SERVED_H

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "fuzz.h"
#include "http/connection.h"

/*
 * For LeakSanitizer: libfcgi loses two small blocks of a request that ends in the middle of its
 * parameters; tests/valgrind.supp says the same to valgrind. Everything else is looked at.
 */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libfcgi.so\n";
}

/*
 * libfcgi allocates what the lengths of a parameter claim, up to twice 2 GiB, before it reads the
 * parameter, and asserts that it got that. Only nginx can write to a worker's socket, and a worker
 * that ends is replaced; here memory has a limit, and such a claim ends its connection alone.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

static jmp_buf served_gave_up;

/* Takes the C library's place; what else is asserted is a finding. */
_Noreturn void __assert_fail(const char *assertion, const char *file, unsigned line,
			     const char *function)
{
	if (!strcmp(file, "fcgiapp.c") && strstr(assertion, "size == 0 || result != "))
		longjmp(served_gave_up, 1);
	fprintf(stderr, "%s:%u: %s: not so: %s\n", file, line, function, assertion);
	abort();
}

/* A socket takes as much without a reader. */
#define SERVED_INPUT_MAX 65536
#define SERVED_OUTPUT_MAX (16 << 20)

struct served {
	struct sockaddr_un address;
	socklen_t address_len;
	int listen_fd;
	struct config config;
	struct domain_shared shared;
	struct metrics metrics;
	struct domain domain;
	struct http_connection *conn;
	struct call *call;
	int requests; /* of this input */

	/* nginx' side of the socket */
	int fd;
	struct strbuf output;
};

static void served_send(struct call *call)
{
	if (!call->sent)
		http_connection_reply(call->send_arg, &call->reply, true);
	call->sent = true;
}

static bool served_no_exchange(void *arg)
{
	(void)arg;
	return false;
}

static void served_view(void *arg, struct metrics_view *ret_view)
{
	struct served *served = arg;

	*ret_view = (struct metrics_view){ .survey = &served->shared.survey };
	metrics_add_up(&ret_view->total, &served->metrics);
}

static inline void served_start(struct served *served)
{
	setenv("DATABASE_URL", "host=/nonexistent user=nobody dbname=none", 1);
	FUZZ_CHECK(config_load(NULL, stderr, &served->config) == ERR_OK);
	/* An address that the kernel chooses, in no directory. */
	served->address.sun_family = AF_UNIX;
	served->address_len = sizeof(served->address);
	served->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FUZZ_CHECK(
		!bind(served->listen_fd, (struct sockaddr *)&served->address, sizeof(sa_family_t)));
	FUZZ_CHECK(!listen(served->listen_fd, 16));
	FUZZ_CHECK(!getsockname(served->listen_fd, (struct sockaddr *)&served->address,
				&served->address_len));
	FUZZ_CHECK(http_init() == ERR_OK);
	FUZZ_CHECK(domain_init(&served->domain, &served->config, &served->shared, &served->metrics,
			       true) == ERR_OK);
	served->conn = http_connection_new(served->listen_fd);
	served->call = call_new();
	served->call->domain = &served->domain;
	served->call->claim_exchange = served_no_exchange;
	served->call->view = served_view;
	served->call->worker_arg = served;
	served->call->send = served_send;
	served->call->send_arg = served->conn;
	strbuf_init(&served->output, SERVED_OUTPUT_MAX);
}

static enum err served_run(struct served *served)
{
	struct call *call = served->call;
	struct db_query *query = &call->query;
	enum err err = routes_find(call);

	if (err)
		return err;
	if (!call->route->ask)
		return call->route->run(call);
	err = call->route->ask(call);
	if (err || !query->stmt)
		return err;
	db_run(served->domain.db, &query, 1, clock_monotonic_ms() + 100);
	FUZZ_CHECK(query->err); /* there is no database */
	return call->route->answer(call);
}

static void served_serve(struct served *served)
{
	struct call *call = served->call;
	enum err err;

	served->requests++;
	call_begin(call, http_connection_request(served->conn));
	call->deadline_ms = clock_monotonic_ms() + 1000;
	err = served_run(served);
	if (err && !call->sent)
		call_fail(call, err);
	served_send(call);
	call_end(call);
}

static void *served_read(void *arg)
{
	struct served *served = arg;
	char chunk[65536];
	ssize_t n;

	while ((n = read(served->fd, chunk, sizeof(chunk))) > 0)
		strbuf_put(&served->output, chunk, (size_t)n);
	return NULL;
}

/* Sends @data as one connection and serves it to its end; the answer is in served->output. */
static inline void served_take(struct served *served, const void *data, size_t size)
{
	pthread_t reader;

	FUZZ_CHECK(size <= SERVED_INPUT_MAX);
	served->requests = 0;
	strbuf_reset(&served->output);
	served->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(!connect(served->fd, (struct sockaddr *)&served->address, served->address_len));
	FUZZ_CHECK(send(served->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size);
	FUZZ_CHECK(!shutdown(served->fd, SHUT_WR));
	FUZZ_CHECK(!pthread_create(&reader, NULL, served_read, served));
	FUZZ_CHECK(!http_connection_open(served->conn));
	if (!setjmp(served_gave_up)) {
		/* Nothing more will come. */
		while (http_connection_arrival(served->conn) == HTTP_WHOLE) {
			if (!http_connection_read(served->conn))
				served_serve(served);
			if (http_connection_fd(served->conn) < 0)
				break;
		}
	}
	http_connection_close(served->conn);
	FUZZ_CHECK(!pthread_join(reader, NULL));
	close(served->fd);
}

#endif
