/* token-service rekey: everything that is stored sealed goes under the current SECRET_KEY. */
#ifndef CLI_REKEY_H
#define CLI_REKEY_H

#include "cli/command.h"

int rekey_run(const struct arguments *args);

#endif
