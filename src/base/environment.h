/*
 * The process's environment variables, some of which are secrets: /proc/PID/environ shows them to
 * whoever may look into the process, and every program that it starts inherits them.
 */
#ifndef BASE_ENVIRONMENT_H
#define BASE_ENVIRONMENT_H

/* The variable's value, hidden or not; NULL: not set. Borrowed, until the variable is hidden anew. */
const char *environment_get(const char *name);

/*
 * Takes @name out of the environment and keeps its value for environment_get(). What stood there
 * is overwritten in place, for the kernel shows a process's first environment as it was laid out
 * at its start. Nothing happens when it is not set. @name is borrowed for ever.
 */
void environment_hide(const char *name);

#endif
