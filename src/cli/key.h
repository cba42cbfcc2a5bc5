/*
 * token-service key create | list | revoke: API keys, with the login of the tables' owner.
 */
#ifndef CLI_KEY_H
#define CLI_KEY_H

#include "cli/command.h"

int key_create_run(const struct arguments *args);
int key_list_run(const struct arguments *args);
int key_revoke_run(const struct arguments *args);

#endif
