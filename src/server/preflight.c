#include "server/preflight.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain/preflight.h"
#include "server/worker.h"

#include "base/banned.h"

/* The system's resolver keeps no deadline of ours. */
#define GIVE_UP_S 60

static void tell(const struct log *log, char *warnings)
{
	char *save = NULL;

	for (char *line = strtok_r(warnings, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (log)
			LOG(log, LOG_WARNING, "preflight", LOG_STR("reason", line));
		else
			fprintf(stderr, "warning: %s\n", line);
	}
}

typedef enum err (*look_fn)(struct domain *domain, FILE *faults, FILE *warnings);

static enum err look(const struct config *config, bool calls_provider, look_fn look_at,
		     FILE *warnings)
{
	struct domain_shared shared = { 0 };
	struct domain domain;
	enum err err = domain_init(&domain, config, &shared, NULL, calls_provider);

	if (!err)
		err = look_at(&domain, stderr, warnings);
	domain_release(&domain);
	return err;
}

static int check(const struct config *config, const struct log *log, pid_t parent)
{
	char *text = NULL;
	size_t size = 0;
	FILE *warnings;
	enum err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it ended before that */
		return WORKER_EXIT_FAILED;
	alarm(GIVE_UP_S);
	warnings = open_memstream(&text, &size);
	if (!warnings)
		return WORKER_EXIT_FAILED;
	err = look(config, false, preflight_database, warnings);
	if (!err && !secret_equal(&config->database_exchange_url, &config->database_url))
		err = look(config, true, preflight_exchange_database, warnings);
	if (!fclose(warnings))
		tell(log, text);
	free(text);
	if (err && err != ERR_CONFIG)
		return WORKER_EXIT_FAILED;
	return err ? WORKER_EXIT_CONFIG : WORKER_EXIT_OK;
}

enum err preflight(const struct config *config, const struct log *log)
{
	char unasked[] = "the database could not be asked whether it is ready";
	pid_t parent = getpid();
	int status = 0;
	pid_t pid;

	/* Ignored, as a careless parent may leave it, the child's status would be lost. */
	signal(SIGCHLD, SIG_DFL);
	pid = fork();
	if (!pid)
		_exit(check(config, log, parent));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_CONFIG)
		return ERR_CONFIG;
	/* No reason not to start: the workers' connections ask for the key. */
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != WORKER_EXIT_OK)
		tell(log, unasked);
	return ERR_OK;
}
