/*
 * The Unix sockets that nginx connects to. The master opens them, so that they outlive workers.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

struct listeners {
	int dir_fd;
	int database_fd;
	int exchange_fd;
	char *database_path;
	char *exchange_path;
};

/*
 * Opens database.sock and exchange.sock in @dir (made if need be), mode 0660. A socket that a
 * crashed master left is replaced; a second master in one directory is refused.
 * ERR_CONFIG: said in the log. Release with listeners_close(), which removes the sockets.
 */
MUST_CHECK enum err listeners_open(const char *dir, const struct log *log,
				   struct listeners *ret_listeners);
void listeners_close(struct listeners *listeners);

#endif
