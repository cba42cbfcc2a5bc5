/* token-service import: moves in from the database of the service that this one replaces. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "cli/command.h"

/* Takes IMPORT_PASSWORD out of the environment, as config_hide_secrets() does with its own. */
void import_hide_password(void);

int import_run(const struct arguments *args);

#endif
