#include "server/preflight.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "domain/domain.h"
#include "server/worker.h"

#include "base/banned.h"

static bool is_refusal(enum err err)
{
	return err == ERR_SECRET_KEY_UNKNOWN || err == ERR_SEALED_VALUE_DAMAGED ||
	       err == ERR_SEALED_VALUE_MALFORMED;
}

static int check(const struct config *config)
{
	struct domain_shared shared = { 0 };
	struct domain domain;
	enum err err = domain_init(&domain, config, &shared, false);

	if (!err)
		err = db_connect(domain.db, clock_monotonic_ms() + DB_CALL_MS);
	domain_release(&domain);
	if (!is_refusal(err))
		return WORKER_EXIT_OK;
	fprintf(stderr, "SECRET_KEY: does not open what this database holds (%s): %s\n",
		err_info(err)->code, err_info(err)->message);
	return WORKER_EXIT_CONFIG;
}

enum err preflight(const struct config *config)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(check(config));
	/* Without a child there is nobody to ask: the workers' connections do. */
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == WORKER_EXIT_CONFIG
		       ? ERR_CONFIG
		       : ERR_OK;
}
