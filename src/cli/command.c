#include "cli/command.h"

#include <getopt.h>
#include <string.h>

#include "base/number.h"

#include "base/banned.h"

#define BATCH_MAX 10000

static const struct option options[] = {
	{ "batch", required_argument, NULL, 'n' },
	{ "branches", required_argument, NULL, 'b' },
	{ "dry-run", no_argument, NULL, 'y' },
	{ "env-file", required_argument, NULL, 'e' },
	{ "expires", required_argument, NULL, 'x' },
	{ "from", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "label", required_argument, NULL, 'l' },
	{ "no-database", no_argument, NULL, 'd' },
	{ "role", required_argument, NULL, 'r' },
	{ "socket-dir", required_argument, NULL, 's' },
	{ 0 },
};

/* Where the value of option @letter goes. */
static const char **place_of(struct arguments *args, int letter)
{
	switch (letter) {
	case 'b':
		return &args->branches;
	case 'n':
		return &args->batch;
	case 'd':
		return &args->no_database;
	case 'e':
		return &args->env_file;
	case 'f':
		return &args->from;
	case 'l':
		return &args->label;
	case 'r':
		return &args->role;
	case 's':
		return &args->socket_dir;
	case 'y':
		return &args->dry_run;
	default:
		return &args->expires;
	}
}

static const char *name_of(int letter)
{
	const struct option *option = options;

	while (option->val != letter)
		option++;
	return option->name;
}

static void print_help(const struct command *command)
{
	printf("usage: token-service %s %s\n\n%s", command->name, command->usage, command->help);
	if (strchr(command->options, 'e')) {
		puts("\nEnvironment, or lines of --env-file FILE (the environment wins):");
		config_help(stdout);
	}
}

/* Fills @args. ERR_CONFIG: a complaint was written. ERR_CLOSED: only help was wanted. */
static enum err read_arguments(const struct command *command, int argc, char **argv,
			       struct arguments *args)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (letter == 'h') {
			print_help(command);
			return ERR_CLOSED;
		}
		if (letter == '?') /* getopt_long() said why */
			return ERR_CONFIG;
		if (!strchr(command->options, letter)) {
			fprintf(stderr, "token-service %s: takes no --%s; see --help\n",
				command->name, name_of(letter));
			return ERR_CONFIG;
		}
		*place_of(args, letter) = optarg ? optarg : "";
	}
	if (optind < argc && command->operand)
		args->operand = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "token-service %s: '%s' is one argument too many\n", command->name,
			argv[optind]);
		return ERR_CONFIG;
	}
	if (command->operand && !args->operand) {
		fprintf(stderr, "token-service %s: %s is missing; see --help\n", command->name,
			command->operand);
		return ERR_CONFIG;
	}
	return ERR_OK;
}

/* Commands whose name begins with @group (NULL: all). */
static void print_usage(const struct command *commands, size_t count, const char *group, FILE *out)
{
	size_t len = group ? strlen(group) : 0;

	fprintf(out, "usage: token-service %s%sCOMMAND [OPTION …]\n\n", group ? group : "",
		group ? " " : "");
	for (size_t i = 0; i < count; i++) {
		if (!group ||
		    (!strncmp(commands[i].name, group, len) && commands[i].name[len] == ' '))
			fprintf(out, "  token-service %s %s\n", commands[i].name,
				commands[i].usage);
	}
	fputs("\n'token-service COMMAND --help' says more. Exit status: 0 good, 2 usage or configuration,\n"
	      "1 anything else.\n",
	      out);
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

/* How many words of @words are @name; 0: they are not. */
static int match(const char *name, char **words)
{
	size_t len = strcspn(name, " ");

	if (strlen(words[0]) != len || strncmp(words[0], name, len) != 0)
		return 0;
	if (!name[len])
		return 1;
	return words[1] && !strcmp(words[1], name + len + 1) ? 2 : 0;
}

static const char *find_group(const struct command *commands, size_t count, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < count; i++) {
		if (!strncmp(commands[i].name, word, len) && commands[i].name[len] == ' ')
			return word;
	}
	return NULL;
}

bool command_batch(const char *command, const char *text, int fallback, int *ret_batch)
{
	int64_t n = fallback;

	if (text && !number_parse(text, 1, BATCH_MAX, &n)) {
		fprintf(stderr, "token-service %s: --batch must be a whole number from 1 to %d\n",
			command, BATCH_MAX);
		return false;
	}
	*ret_batch = (int)n;
	return true;
}

int command_run(const struct command *commands, size_t count, int argc, char **argv)
{
	const char *group = argc > 1 ? find_group(commands, count, argv[1]) : NULL;
	const char *word = group ? argv[2] : argv[1];

	for (size_t i = 0; argc > 1 && i < count; i++) {
		struct arguments args = { 0 };
		int words = match(commands[i].name, argv + 1);
		enum err err;

		if (!words)
			continue;
		err = read_arguments(&commands[i], argc - words, argv + words, &args);
		if (err)
			return err == ERR_CLOSED ? 0 : EXIT_USAGE;
		return commands[i].run(&args);
	}
	if (word && is_help(word)) {
		print_usage(commands, count, group, stdout);
		return 0;
	}
	if (word)
		fprintf(stderr, "token-service%s%s: there is no command '%s'\n", group ? " " : "",
			group ? group : "", word);
	print_usage(commands, count, group, stderr);
	return EXIT_USAGE;
}
