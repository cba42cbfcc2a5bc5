#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/strbuf.h"

#include "base/banned.h"

/* A full queue makes nginx answer 502 at once; the kernel cuts this to net.core.somaxconn. */
#define BACKLOG 4096

static enum err refuse(const struct log *log, const char *path, const char *reason)
{
	LOG(log, LOG_ERROR, "cannot listen", LOG_STR("path", path), LOG_STR("reason", reason));
	return ERR_CONFIG;
}

static char *join(const char *dir, const char *name)
{
	CLEANUP(strbuf_release) struct strbuf path = STRBUF_INIT(4096);

	strbuf_printf(&path, "%s/%s", dir, name);
	return mem_strdup(path.data);
}

/* A lock on the directory, held as long as the master lives, says whose sockets these are. */
static enum err lock_dir(const char *dir, const struct log *log, int *ret_fd)
{
	int fd;

	/* nginx has to pass, whatever the umask. Who passes a directory that was there before is for
	 * whoever made it to say. */
	if (mkdir(dir, 0755) ? errno != EEXIST : chmod(dir, 0755))
		return refuse(log, dir, strerror(errno));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return refuse(log, dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return refuse(
			log, dir,
			"another token-service uses this directory; choose one with --socket-dir");
	}
	*ret_fd = fd;
	return ERR_OK;
}

static enum err open_socket(const char *path, const struct log *log, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return refuse(
			log, path,
			"the path is longer than the 107 bytes of a Unix socket; use a shorter --socket-dir");
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse(log, path, strerror(errno));
	if (unlink(path) && errno != ENOENT) {
		close(fd);
		return refuse(log, path, strerror(errno));
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(path, 0660) ||
	    listen(fd, BACKLOG)) {
		int error = errno;

		close(fd);
		return refuse(log, path, strerror(error));
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err listeners_open(const char *dir, const struct log *log, struct listeners *ret_listeners)
{
	struct listeners listeners = { .dir_fd = -1, .database_fd = -1, .exchange_fd = -1 };
	enum err err = lock_dir(dir, log, &listeners.dir_fd);

	if (err)
		return err;
	listeners.database_path = join(dir, "database.sock");
	listeners.exchange_path = join(dir, "exchange.sock");
	err = open_socket(listeners.database_path, log, &listeners.database_fd);
	if (!err)
		err = open_socket(listeners.exchange_path, log, &listeners.exchange_fd);
	if (err)
		listeners_close(&listeners);
	else
		*ret_listeners = listeners;
	return err;
}

static void close_socket(int fd, char *path)
{
	if (fd >= 0) {
		unlink(path);
		close(fd);
	}
	free(path);
}

void listeners_close(struct listeners *listeners)
{
	close_socket(listeners->database_fd, listeners->database_path);
	close_socket(listeners->exchange_fd, listeners->exchange_path);
	if (listeners->dir_fd >= 0)
		close(listeners->dir_fd);
	*listeners = (struct listeners){ .dir_fd = -1, .database_fd = -1, .exchange_fd = -1 };
}
