#include "domain/domain.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "domain/canary.h"

#include "base/banned.h"

enum err domain_init(struct domain *domain, const struct config *config,
		     struct domain_shared *shared, struct metrics *metrics, bool calls_provider)
{
	struct google_settings settings = {
		.token_url = config->google_token_url,
		.revoke_url = config->google_revoke_url,
		.ca_file = config->google_ca_file,
		.timeout_ms = config->google_timeout_ms,
		.token_breaker = &shared->token_breaker,
		.revoke_breaker = &shared->revoke_breaker,
		.metrics = metrics,
	};
	unsigned int seed;
	enum err err = random_bytes(&seed, sizeof(seed));

	*domain = (struct domain){ .config = config, .shared = shared, .metrics = metrics };
	/* For jitter; workers forked from one master must not draw the same. */
	srandom(seed);
	if (!err && calls_provider)
		err = google_new(&settings, &domain->google);
	if (!err)
		err = keyring_new(config->secret_key.data, config->secret_key_previous.data,
				  &domain->keyring);
	if (err)
		return err;
	/* Where a pooler is in between, transactions that are held while the provider is asked must not
	 * take the connections that reads need. */
	domain->db = db_new(calls_provider ? config->database_exchange_url.data
					   : config->database_url.data);
	db_set_prepares(domain->db, config->database_prepared_statements);
	db_on_connect(domain->db, canary_check, domain->keyring);
	db_set_metrics(domain->db, metrics);
	db_set_presence(domain->db, &shared->database);
	return ERR_OK;
}

void domain_release(struct domain *domain)
{
	google_free(domain->google);
	db_free(domain->db);
	keyring_free(domain->keyring);
	*domain = (struct domain){ 0 };
}

void domain_wait_to_store(const struct domain *domain)
{
	clock_sleep_ms(STORE_AGAIN_MS);
	db_skip_backoff(domain->db);
}

void problem_release(struct problem *problem)
{
	free((char *)problem->login.redirect_uri);
	json_object_put(problem->faults);
	*problem = (struct problem){ 0 };
}

void problem_set_login(struct problem *problem, const struct login_target *target)
{
	free((char *)problem->login.redirect_uri);
	problem->login = *target;
	problem->login.redirect_uri = mem_strdup(target->redirect_uri);
}

void problem_add_fault(struct problem *problem, const char *field, const char *message)
{
	struct json_object *fault = json_object_new_object();

	json_add_string(fault, "field", field);
	json_add_string(fault, "message", message);
	if (!problem->faults)
		problem->faults = json_object_new_array();
	json_object_array_add(problem->faults, fault);
}
