#include "domain/revocation.h"

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/token.h"
#include "domain/vault.h"
#include "google/revoke_endpoint.h"
#include "store/client_store.h"
#include "store/revocation_store.h"
#include "store/token_store.h"

#include "base/banned.h"

#define RETRY_FIRST_S 10
#define RETRY_MAX_S 3600
#define GIVE_UP_S (7 * 86400)

void revocation_release(struct revocation *revocation)
{
	free(revocation->branch_id);
	*revocation = (struct revocation){ 0 };
}

static enum err exec(const struct domain *domain, struct db_query *query)
{
	return db_exec(domain->db, query, clock_monotonic_ms() + DB_CALL_MS);
}

/* Longer than one call to the provider may take. */
static int hold_s(const struct domain *domain)
{
	return domain->config->google_timeout_ms / 1000 + 5;
}

static int retry_in_s(int attempts)
{
	int seconds = attempts < 10 ? RETRY_FIRST_S << attempts : RETRY_MAX_S;

	return seconds > RETRY_MAX_S ? RETRY_MAX_S : seconds;
}

/* ERR_AGAIN: others try whether the endpoint still hangs; nothing was asked. */
static enum err tell_provider(const struct domain *domain, const struct revocation_row *row)
{
	CLEANUP(secret_release) struct secret token = { 0 };
	enum err err = vault_open_id(domain->keyring, VAULT_REFRESH_TOKEN, row->token_client_id,
				     row->token, &token);

	if (err)
		return err;
	/* With the token at hand: a turn that nobody uses would be one that others wait for. */
	if (google_admit_revocation(domain->google))
		return ERR_AGAIN;
	return revoke_endpoint_revoke(domain->google, token.data);
}

static enum err finish(const struct domain *domain, const struct revocation_row *row, enum err err)
{
	struct db_query query;
	enum err db_err;

	if (err)
		revocation_failed_query(&query, row->id, retry_in_s(row->attempts),
					vault_is_closed(err) ? INT_MAX : GIVE_UP_S);
	else
		revocation_done_query(&query, row->id);
	db_err = exec(domain, &query);
	db_query_release(&query);
	return db_err;
}

/* Takes revocation @id (0: the next that is due) and tells the provider. */
static enum err attempt(const struct domain *domain, int64_t id, bool *ret_revoked)
{
	CLEANUP(db_query_release) struct db_query query;
	struct revocation_row row;
	enum err err, db_err;

	*ret_revoked = false;
	db_query_init(&query, NULL);
	/* An endpoint that is known to hang is not asked; what is queued stays. */
	err = google_check_revocation(domain->google);
	if (err)
		return err;
	revocation_take_query(&query, id, hold_s(domain));
	err = exec(domain, &query);
	if (!err && !db_rows(&query))
		err = ERR_DB_NO_ROW;
	if (err)
		return err;
	revocation_row(&query, &row);
	err = row.is_shared ? ERR_OK : tell_provider(domain, &row);
	if (err == ERR_AGAIN) /* it was taken for a while, and is due again after that */
		return ERR_PROVIDER_UNAVAILABLE;
	*ret_revoked = !err && !row.is_shared;
	db_err = finish(domain, &row, err);
	return err ? err : db_err;
}

enum err revocation_retry(const struct domain *domain)
{
	bool revoked;

	return attempt(domain, 0, &revoked);
}

/*
 * Gives up the grant of the locked row together with @change, commits, and tries the provider
 * once. What fails there stays queued and is no error here.
 */
static enum err give_up(const struct domain *domain, struct token_lock *lock,
			struct db_query *change, bool *ret_revoked)
{
	struct db_query add;
	int64_t id = 0;
	enum err err;

	*ret_revoked = false;
	/* The refreshers leave it to this call for as long as that may take. */
	revocation_add_query(&add, lock->row.client_id, hold_s(domain));
	err = token_lock_run(lock, &add, 0);
	if (!err && db_rows(&add))
		id = db_int(&add, 0, 0);
	if (!err)
		err = token_lock_commit(lock, change);
	db_query_release(&add);
	if (!err && id && attempt(domain, id, ret_revoked))
		*ret_revoked = false;
	return err;
}

static enum err lock_row(const struct domain *domain, int64_t client_id, int64_t wait_until_ms,
			 struct token_lock *ret_lock, struct problem *problem)
{
	enum err err = token_lock(domain->db, client_id, clock_left_ms(wait_until_ms),
				  domain->config->google_timeout_ms + 5000, ret_lock);

	if (err == ERR_DB_NO_ROW)
		return ERR_CLIENT_NOT_FOUND;
	if (err != ERR_DB_LOCKED)
		return err;
	problem->retry_after_s = 1;
	return ERR_REFRESH_IN_PROGRESS;
}

/* A consent that came between the look at the client's grant and the deletion would go with it,
 * and the provider would never hear of that. */
static enum err lock_client(struct token_lock *lock, int64_t id, int64_t wait_until_ms,
			    struct problem *problem)
{
	struct db_query query;
	enum err err;

	client_lock_query(&query, id);
	err = token_lock_run(lock, &query, clock_left_ms(wait_until_ms));
	db_query_release(&query);
	if (err != ERR_DB_LOCKED)
		return err;
	problem->retry_after_s = 1;
	return ERR_REFRESH_IN_PROGRESS;
}

enum err revocation_delete_client(const struct domain *domain, const struct audit_actor *actor,
				  int64_t id, int64_t wait_until_ms, struct problem *problem)
{
	struct token_lock lock;
	struct db_query query;
	bool revoked;
	enum err err = lock_row(domain, id, wait_until_ms, &lock, problem);

	if (err)
		return err;
	client_delete_query(&query, id, actor);
	err = lock_client(&lock, id, wait_until_ms, problem);
	if (!err)
		err = give_up(domain, &lock, &query, &revoked);
	if (!err && !db_rows(&query))
		err = ERR_CLIENT_NOT_FOUND;
	db_query_release(&query);
	token_lock_release(&lock);
	return err;
}

/* The row is locked: whose is it, and is there something to revoke? */
static enum err check_row(const struct token_row *row, struct problem *problem)
{
	if (row->exists)
		return ERR_OK;
	token_set_login(row, problem);
	return ERR_AUTHORIZATION_REQUIRED;
}

enum err revocation_revoke(const struct domain *domain, const struct audit_actor *actor,
			   const char *branch_id, int64_t wait_until_ms,
			   struct revocation *ret_revocation, struct problem *problem)
{
	struct token_row row = { 0 };
	struct token_lock lock;
	struct db_query query;
	enum err err;

	token_by_branch_query(&query, branch_id);
	err = exec(domain, &query);
	if (!err && !db_rows(&query))
		err = ERR_BRANCH_NOT_FOUND;
	if (!err)
		token_row(&query, 0, &row);
	db_query_release(&query);
	if (err)
		return err;
	err = lock_row(domain, row.client_id, wait_until_ms, &lock, problem);
	if (err)
		return err;
	err = check_row(&lock.row, problem);
	if (!err) {
		token_revoked_query(&query, row.client_id, actor);
		err = give_up(domain, &lock, &query, &ret_revocation->provider_revoked);
		db_query_release(&query);
	}
	if (!err) {
		ret_revocation->client_id = lock.row.client_id;
		ret_revocation->branch_id = mem_strdup(lock.row.branch_id);
	}
	token_lock_release(&lock);
	return err;
}
