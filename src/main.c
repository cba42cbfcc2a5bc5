/*
 * token-service: arguments → subcommand.
 */
#include <stdio.h>

#include "base/process.h"
#include "cli/command.h"
#include "cli/import.h"
#include "cli/key.h"
#include "cli/rekey.h"
#include "domain/settings.h"
#include "server/preflight.h"
#include "server/supervisor.h"

#include "base/banned.h"

#define SOCKET_DIR "/run/token-service"

static int run_serve(const struct arguments *args)
{
	struct config config;

	if (settings_load(args->env_file, stderr, &config))
		return EXIT_USAGE;
	if (process_drop_stdin()) {
		perror("/dev/null");
		config_release(&config);
		return EXIT_FAILED;
	}
	return supervisor_run(&config, args->env_file,
			      args->socket_dir ? args->socket_dir : SOCKET_DIR);
}

static int run_check_config(const struct arguments *args)
{
	struct config config;
	enum err err;

	if (settings_load(args->env_file, stderr, &config))
		return EXIT_USAGE;
	err = args->no_database ? ERR_OK : preflight(&config, NULL);
	config_release(&config);
	if (err)
		return EXIT_USAGE;
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
	{ "serve", "[--env-file FILE] [--socket-dir DIR]", "es", NULL,
	  "Runs the master and its workers in the foreground; nginx reaches them through\n"
	  "database.sock and exchange.sock in DIR (default " SOCKET_DIR ").\n"
	  "SIGTERM drains and stops; SIGHUP reads FILE again and replaces the workers.\n",
	  run_serve },
	{ "check-config", "[--no-database] [--env-file FILE]", "de", NULL,
	  "Reads the configuration and says what is wrong with it, a line for each fault: that of the\n"
	  "settings, then that of the database as serve would find it, which is not written to.\n"
	  "--no-database leaves out the latter.\n",
	  run_check_config },
	{ "key create",
	  "--role admin|fetcher --label TEXT [--branches GLOB] [--expires 90d] [--env-file FILE]",
	  "belrx", NULL,
	  "Makes an API key and prints it, this once, alone on standard output.\n"
	  "An admin key may make every call; a fetcher key reads and refreshes the tokens of\n"
	  "the branches that GLOB ('acme-*') matches, or of all.\n"
	  "--expires takes days (90d), hours (12h), minutes (30m) or seconds (45s); without it the\n"
	  "key is good until it is revoked. Works in DATABASE_ADMIN_URL.\n",
	  key_create_run },
	{ "key list", "[--env-file FILE]", "e", NULL,
	  "Lists the API keys: what they may do, until when, when they were last used (to the\n"
	  "minute). The keys themselves are not kept.\n",
	  key_list_run },
	{ "key revoke", "ID [--env-file FILE]", "e", "ID",
	  "Ends the API key with this id (see 'token-service key list'), from the next call on.\n",
	  key_revoke_run },
	{ "import", "--from URL [--dry-run] [--batch N] [--env-file FILE]", "efny", NULL,
	  "Copies the clients of the service that this one replaces out of its database, each with its\n"
	  "newest valid token, into DATABASE_ADMIN_URL; ids stay. URL is a libpq URL or keyword string\n"
	  "without a password, which comes in IMPORT_PASSWORD or PGPASSFILE (PGPASSWORD is for here).\n"
	  "Nothing is written there. N clients at a time (default 1000); a run that was cut off is run\n"
	  "again, and one that is run again brings only what has changed there. What was changed here\n"
	  "since it came is left as it is, and named. --dry-run says what would be done, and does\n"
	  "nothing. Exit status 1: something was skipped, and is named.\n",
	  import_run },
	{ "rekey", "[--batch N] [--env-file FILE]", "en", NULL,
	  "Seals everything that is stored sealed anew under SECRET_KEY, while the service goes on:\n"
	  "N values at a time (default 500). What SECRET_KEY_PREVIOUS opens needs it no more after\n"
	  "that. A run that was cut off is run again. Works in DATABASE_ADMIN_URL. Exit status 1:\n"
	  "something was left as it was, and is named.\n",
	  rekey_run },
	{ "version", "", "", NULL, "Prints the version.\n", run_version },
};

int main(int argc, char **argv)
{
	if (process_protect()) {
		perror("token-service: cannot protect its memory");
		return EXIT_FAILED;
	}
	config_hide_secrets();
	import_hide_password();
	return command_run(commands, sizeof(commands) / sizeof(commands[0]), argc, argv);
}
