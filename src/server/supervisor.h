/*
 * The master: opens the sockets, forks the workers, starts them again when they die, ends those
 * past their deadline, and drains all on SIGTERM or SIGINT. SIGHUP starts workers with the
 * environment file read again, then drains the old ones.
 */
#ifndef SERVER_SUPERVISOR_H
#define SERVER_SUPERVISOR_H

#include "base/config.h"

/* Takes @config over. Returns the program's exit status. */
int supervisor_run(struct config *config, const char *env_file, const char *socket_dir);

#endif
