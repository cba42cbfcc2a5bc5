/*
 * The rules for a token that is there: may it be answered, is it fresh enough, when is it due.
 * Time is the database's throughout.
 */
#ifndef DOMAIN_TOKEN_H
#define DOMAIN_TOKEN_H

#include "domain/domain.h"
#include "store/token_store.h"

/* A token as it is answered. Begins as { 0 }; owned: token_release(). */
struct token {
	int64_t client_id; /* clients.id */
	char *branch_id;
	struct secret access_token;
	char *token_type;
	char *scope;
	int64_t expires_at_us;
	int64_t expires_in_s;
	bool stale;                /* fewer seconds left than were asked for */
	const char *refresh_error; /* a code of base/err.c; NULL: the last attempt was good */
};

void token_release(struct token *token);

/* How many seconds a caller wants a token to live on. */
struct token_wish {
	int required_s;
	int buffer_s; /* how many are wanted without being asked for */
};

struct token_wish token_wish(const struct domain *domain, int min_ttl_s /* -1: not named */);

/* Says that a person must connect this row's client. */
void token_set_login(const struct token_row *row, struct problem *problem);

/*
 * May this row's token be answered at all? In this order: ERR_CLIENT_INACTIVE,
 * ERR_AUTHORIZATION_REQUIRED, ERR_REAUTHORIZATION_REQUIRED (both with a login_url).
 */
MUST_CHECK enum err token_check(const struct token_row *row, struct problem *problem);

enum token_verdict {
	TOKEN_FRESH,         /* answer it */
	TOKEN_LEFT_ALONE,    /* works, but is not to be refreshed now: answer it as stale */
	TOKEN_WANTS_REFRESH, /* works; refresh if that is cheap, else answer it as stale */
	TOKEN_NEEDS_REFRESH, /* has expired */
	TOKEN_BACKING_OFF,   /* has expired, and the provider is not to be asked yet */
};

enum token_verdict token_judge(const struct token_row *row, struct token_wish wish);

/* Copies what is answered out of @row, and opens its access token. The errors of unseal(). */
MUST_CHECK enum err token_from_row(const struct domain *domain, const struct token_row *row,
				   struct token_wish wish, struct token *ret_token);

/* The error that the last refresh of @row met, with the time until the next attempt. */
enum err token_stored_error(const struct token_row *row, struct problem *problem);

/* When a refresher should take a token that was fetched at @began_us and expires at @expires_at_us. */
int64_t token_due_at(const struct domain *domain, int64_t began_us, int64_t expires_at_us);

/*
 * What the provider's @answer to a request that began at @began_us is stored as: the lifetime
 * counts from then. @ret_update, { 0 } before, owns its two tokens, which are sealed, also after an
 * error: token_update_release(). The rest is borrowed from @answer.
 */
MUST_CHECK enum err token_update_seal(const struct domain *domain, int64_t client_id,
				      const struct token_answer *answer, int64_t began_us,
				      struct token_update *ret_update);
void token_update_release(struct token_update *update);

/* GET /tokens/{branch_id} in the database pool, over one statement. */
void token_get_ask(const char *branch_id, struct db_query *query);
/*
 * ERR_OK: @ret_token. ERR_AGAIN: it is to be refreshed first; where @ret_token is set all the
 * same, it still works and may be answered instead. ERR_BRANCH_NOT_FOUND, token_check()'s, those
 * of unseal(), a stored error, ERR_PROVIDER_UNAVAILABLE (it has expired, and the provider is known
 * to hang), or the query's.
 */
MUST_CHECK enum err token_get_answer(const struct domain *domain, const struct db_query *query,
				     struct token_wish wish, struct token *ret_token,
				     struct problem *problem);

#endif
