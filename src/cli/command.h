/*
 * Subcommands: names, options, help. A command is a row of main.c's table.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/config.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* What was given; NULL: it was not. */
struct arguments {
	const char *batch;
	const char *branches;
	const char *dry_run; /* a flag: "" */
	const char *env_file;
	const char *expires;
	const char *from;
	const char *label;
	const char *no_database; /* a flag: "" */
	const char *role;
	const char *socket_dir;
	const char *operand; /* what stands by itself */
};

struct command {
	const char *name;    /* "serve", "key create" */
	const char *usage;   /* what follows the name */
	const char *options; /* letters of command.c's option table; "e" reads the configuration */
	const char *operand; /* what must stand by itself; NULL: nothing may */
	const char *help;
	int (*run)(const struct arguments *args); /* returns the exit status */
};

/* The rows of a batch, --batch's @text; @fallback when NULL. False, after a complaint of @command's:
 * not a whole number from 1 to 10000. */
MUST_CHECK bool command_batch(const char *command, const char *text, int fallback, int *ret_batch);

/* Finds the command that @argv names and runs it; or helps, or complains. Returns the exit status. */
int command_run(const struct command *commands, size_t count, int argc, char **argv);

#endif
