/*
 * token-service: arguments → subcommand.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/process.h"
#include "server/supervisor.h"
#include "store/db.h"

#include "base/banned.h"

#define EXIT_USAGE 2

struct arguments {
	const char *env_file;
	const char *socket_dir;
};

struct command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *help;
	int (*run)(const struct arguments *args);
	bool takes_config;
};

/* The configuration, checked with what only the libraries know. */
static enum err load(const struct arguments *args, struct config *ret_config)
{
	enum err err = config_load(args->env_file, stderr, ret_config);

	if (err || db_url_is_valid(ret_config->database_url.data))
		return err;
	fputs("DATABASE_URL: is not allowed; allowed is a libpq URL (postgresql://…) or keyword string (host=… dbname=…)\n",
	      stderr);
	config_release(ret_config);
	return ERR_CONFIG;
}

static int run_serve(const struct arguments *args)
{
	struct config config;

	if (load(args, &config))
		return EXIT_USAGE;
	if (process_drop_stdin()) {
		perror("/dev/null");
		config_release(&config);
		return EXIT_FAILURE;
	}
	return supervisor_run(&config, args->env_file, args->socket_dir);
}

static int run_check_config(const struct arguments *args)
{
	struct config config;

	if (load(args, &config))
		return EXIT_USAGE;
	config_release(&config);
	puts("configuration is good");
	return 0;
}

static int run_version(const struct arguments *args)
{
	(void)args;
	puts("token-service " PACKAGE_VERSION);
	return 0;
}

static const struct command commands[] = {
	{ "serve", "[--env-file FILE] [--socket-dir DIR]",
	  "Runs the master and its workers in the foreground; nginx reaches them through\n"
	  "database.sock and exchange.sock in DIR (default /run/token-service).\n"
	  "SIGTERM drains and stops; SIGHUP reads FILE again and replaces the workers.\n",
	  run_serve, true },
	{ "check-config", "[--env-file FILE]",
	  "Reads the configuration and says what is wrong with it, a line for each fault.\n",
	  run_check_config, true },
	{ "version", "", "Prints the version.\n", run_version, false },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	fputs("usage: token-service COMMAND [OPTION …]\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  token-service %s %s\n", commands[i].name, commands[i].usage);
	fputs("\n'token-service COMMAND --help' says more. Exit status: 0 good, 2 usage or configuration,\n"
	      "1 anything else.\n",
	      out);
}

static void print_command_help(const struct command *command)
{
	printf("usage: token-service %s %s\n\n%s", command->name, command->usage, command->help);
	if (command->takes_config) {
		puts("\nEnvironment, or lines of --env-file FILE (the environment wins):");
		config_help(stdout);
	}
}

static int run_command(const struct command *command, int argc, char **argv)
{
	static const struct option options[] = {
		{ "env-file", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "socket-dir", required_argument, NULL, 's' },
		{ 0 },
	};
	struct arguments args = { .socket_dir = "/run/token-service" };
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			print_command_help(command);
			return 0;
		}
		if (option == 'e' && command->takes_config)
			args.env_file = optarg;
		else if (option == 's' && command->run == run_serve)
			args.socket_dir = optarg;
		else if (option == '?') /* getopt_long() said why */
			return EXIT_USAGE;
		else {
			fprintf(stderr, "token-service %s: takes no --%s; see --help\n",
				command->name, option == 'e' ? "env-file" : "socket-dir");
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "token-service %s: '%s' is one argument too many\n", command->name,
			argv[optind]);
		return EXIT_USAGE;
	}
	return command->run(&args);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (process_protect()) {
		perror("token-service: cannot protect its memory");
		return EXIT_FAILURE;
	}
	config_hide_secrets();
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_usage(stdout);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return run_command(&commands[i], argc - 1, argv + 1);
	}
	if (*name)
		fprintf(stderr, "token-service: there is no command '%s'\n", name);
	print_usage(stderr);
	return EXIT_USAGE;
}
