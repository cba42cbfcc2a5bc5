/*
 * What a process that holds secrets does for itself, whoever started it.
 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "base/cleanup.h"
#include "base/err.h"

/*
 * Nobody but root reads the process's memory, no core of it is written, no program that it could
 * start gets more rights than it has, and what it creates is its owner's alone. Children that are
 * forked inherit all of that. Opens what is closed of descriptors 0 to 2 as /dev/null, so that no
 * socket takes the place of a standard stream.
 * ERR_SYSTEM: the kernel refused something; errno says why.
 */
MUST_CHECK enum err process_protect(void);

/* Standard input becomes /dev/null: nothing is read from it. ERR_SYSTEM as above. */
MUST_CHECK enum err process_drop_stdin(void);

#endif
