/*
 * hello SOCKET WORKERS: the loop of the service's database pool (src/server/worker_database.c) with
 * nothing in it: many kept connections in one process, every request that is there whole is read and
 * answered with a constant. It is what the loop, libfcgi and nginx leave for the work itself.
 *
 * The service's own http layer, linked; of the loop this has the shape, for the real one cannot run
 * without routes and a database.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/connection.h"

#include "base/banned.h"

#define CONNECTIONS 64 /* as many as a worker of the service holds */
#define BACKLOG 1024
#define WORKERS_MAX 64

struct loop {
	struct http_connection *conns[CONNECTIONS];
	struct http_reply reply;
	struct pollfd fds[CONNECTIONS + 1];
	int listen_fd;
};

static void answer_if_whole(struct loop *loop, struct http_connection *conn)
{
	if (http_connection_arrival(conn) == HTTP_WHOLE && !http_connection_read(conn))
		http_connection_reply(conn, &loop->reply, true);
}

static void answer_kept(struct loop *loop)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (loop->fds[i].revents || http_connection_owes(loop->conns[i]))
			answer_if_whole(loop, loop->conns[i]);
	}
}

static void answer_new(struct loop *loop)
{
	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (http_connection_fd(loop->conns[i]) >= 0)
			continue;
		if (http_connection_open(loop->conns[i]))
			return;
		answer_if_whole(loop, loop->conns[i]);
	}
}

static int watch(struct loop *loop)
{
	int timeout_ms = -1;
	bool room = false;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		loop->fds[i] = http_connection_watch(loop->conns[i], &timeout_ms);
		room |= loop->fds[i].fd < 0;
	}
	loop->fds[CONNECTIONS] = (struct pollfd){
		.fd = room ? loop->listen_fd : -1,
		.events = POLLIN,
	};
	return timeout_ms;
}

static _Noreturn void serve(int listen_fd)
{
	static struct loop loop;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (http_init())
		_exit(1);
	/* libfcgi's would have it finish its requests first. */
	signal(SIGTERM, SIG_DFL);
	loop.listen_fd = listen_fd;
	http_reply_init(&loop.reply);
	loop.reply.status = 200;
	loop.reply.content_type = "text/plain";
	strbuf_puts(&loop.reply.body, "hello\n");
	for (size_t i = 0; i < CONNECTIONS; i++)
		loop.conns[i] = http_connection_new(listen_fd);
	for (;;) {
		int timeout_ms = watch(&loop);

		if (poll(loop.fds, CONNECTIONS + 1, timeout_ms) < 0)
			continue;
		answer_kept(&loop);
		if (loop.fds[CONNECTIONS].revents)
			answer_new(&loop);
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, BACKLOG)) {
		perror(path);
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	long workers = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	int listen_fd;

	if (workers < 1 || workers > WORKERS_MAX) {
		fputs("usage: hello SOCKET WORKERS\n", stderr);
		return 2;
	}
	listen_fd = listen_at(argv[1]);
	for (long i = 0; i < workers; i++) {
		if (fork() == 0)
			serve(listen_fd);
	}
	/* A worker that ends is a fault; the others go with this one. */
	wait(NULL);
	return 1;
}
