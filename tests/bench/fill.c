/*
 * fill clients|tokens FIRST LAST: rows of branches FIRST to LAST for PostgreSQL's COPY, sealed as
 * the service seals them, each under a key for its row: a minute for what an import of as many
 * takes ten for.
 *
 * From the environment: SECRET_KEY, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET. Branch 7 is "branch-7",
 * its client's id is 7, its access token is that of token_of().
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "domain/vault.h"

#include "base/banned.h"

/* As long as Google's. */
#define ACCESS_TOKEN_LEN 220
#define REFRESH_TOKEN_LEN 103
#define TOKEN_SIZE (ACCESS_TOKEN_LEN + 1)
#define BRANCH_SIZE 32

/* Nothing is refreshed while the benchmark runs; the fleet was not authorised in one second. */
#define LIFE_US (24 * 3600 * US_PER_S)
#define SPREAD_US (12 * 3600 * US_PER_S)
#define DUE_BEFORE_US (600 * US_PER_S)

struct fill {
	struct keyring *keyring;
	const char *oauth_client_id, *oauth_client_secret;
	int64_t now_us;
};

/* "at-7-aaaa…", @len characters; the peers' tables have the same (tests/bench/speed/rows.py). */
static const char *token_of(const char *mark, int64_t id, size_t len, char *buf)
{
	size_t head = (size_t)snprintf(buf, TOKEN_SIZE, "%s-%" PRId64 "-", mark, id);

	memset(buf + head, *mark, len - head);
	buf[len] = '\0';
	return buf;
}

static enum err put_client(const struct fill *fill, int64_t id)
{
	CLEANUP(mem_free_ptr) char *secret = NULL;
	char branch[BRANCH_SIZE];
	enum err err;

	snprintf(branch, sizeof(branch), "branch-%" PRId64, id);
	err = vault_seal(fill->keyring, VAULT_CLIENT_SECRET, branch, fill->oauth_client_secret,
			 &secret);
	if (!err)
		printf("%" PRId64 "\t%s\t%s\thttp://localhost:8002/auth/callback\t%s\t"
		       "owner-%" PRId64 "@example.test\tExample Workspace\n",
		       id, fill->oauth_client_id, secret, branch, id);
	return err;
}

static enum err put_token(const struct fill *fill, int64_t id)
{
	CLEANUP(mem_free_ptr) char *access = NULL, *refresh = NULL;
	char token[TOKEN_SIZE], expires[CLOCK_RFC3339_SIZE], due[CLOCK_RFC3339_SIZE];
	int64_t expires_us = fill->now_us + LIFE_US + id * 7919 % SPREAD_US;
	enum err err = vault_seal_id(fill->keyring, VAULT_ACCESS_TOKEN, id,
				     token_of("at", id, ACCESS_TOKEN_LEN, token), &access);

	if (!err)
		err = vault_seal_id(fill->keyring, VAULT_REFRESH_TOKEN, id,
				    token_of("rt", id, REFRESH_TOKEN_LEN, token), &refresh);
	if (!err)
		printf("%" PRId64
		       "\t%s\t%s\thttps://www.googleapis.com/auth/business.manage\t%s\t%s\n",
		       id, access, refresh, clock_rfc3339(expires_us, expires),
		       clock_rfc3339(expires_us - DUE_BEFORE_US, due));
	return err;
}

int main(int argc, char **argv)
{
	struct fill fill = {
		.oauth_client_id = getenv("OAUTH_CLIENT_ID"),
		.oauth_client_secret = getenv("OAUTH_CLIENT_SECRET"),
		.now_us = clock_unix_us(),
	};
	const char *key = getenv("SECRET_KEY");
	bool clients = argc == 4 && !strcmp(argv[1], "clients");
	enum err err;

	if (argc != 4 || (!clients && strcmp(argv[1], "tokens") != 0) || !key ||
	    !fill.oauth_client_id || !fill.oauth_client_secret) {
		fputs("usage: SECRET_KEY=… OAUTH_CLIENT_ID=… OAUTH_CLIENT_SECRET=… "
		      "fill clients|tokens FIRST LAST\n",
		      stderr);
		return 2;
	}
	err = keyring_new(key, NULL, &fill.keyring);
	for (int64_t id = strtoll(argv[2], NULL, 10), last = strtoll(argv[3], NULL, 10);
	     !err && id <= last; id++)
		err = clients ? put_client(&fill, id) : put_token(&fill, id);
	keyring_free(fill.keyring);
	if (err)
		fprintf(stderr, "fill: %s\n", err_info(err)->code);
	return err || fflush(stdout) ? 1 : 0;
}
