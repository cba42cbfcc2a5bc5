/*
 * Moving in, the decisions: what becomes of a client, and of its token, that may have come here
 * before and may have been changed since, there, here, or on both sides. Nothing that was done
 * here is undone.
 */
#ifndef DOMAIN_IMPORT_JUDGE_H
#define DOMAIN_IMPORT_JUDGE_H

#include "store/import_store.h"

enum import_client {
	IMPORT_CLIENT_NEW,
	IMPORT_CLIENT_CHANGED, /* there, and not here */
	IMPORT_CLIENT_SAME,
	IMPORT_CLIENT_KEPT,    /* it was changed here since it came */
	IMPORT_CLIENT_DELETED, /* here, since it came */
	IMPORT_CLIENT_REFUSED,
	IMPORT_CLIENT__COUNT
};

/* How the fields of a client compare. */
struct import_likeness {
	bool same;             /* there and here */
	bool there_as_it_came; /* there and when it came */
	bool here_as_it_came;  /* here and when it came */
};

/* @ret_reason: of a refusal; borrowed for ever, NULL otherwise. */
enum import_client import_judge_client(const struct import_source *source,
				       const struct import_target *target,
				       const struct import_likeness *likeness,
				       const char **ret_reason);

enum import_token {
	IMPORT_TOKEN_NONE, /* there is none there, or none that is valid, and none has come */
	IMPORT_TOKEN_STORED,
	IMPORT_TOKEN_SAME,
	IMPORT_TOKEN_ENDED,     /* what came is revoked or not valid there by now */
	IMPORT_TOKEN_REFRESHED, /* here, since it came: it is the newer one */
	IMPORT_TOKEN_KEPT,      /* it was connected or revoked here since it came */
	IMPORT_TOKEN_REFUSED,
	IMPORT_TOKEN__COUNT
};

/* @as_it_came: the token there is the one that came with the last import. @ret_reason: why it is
 * none, refused or kept; borrowed for ever, NULL otherwise. */
enum import_token import_judge_token(const struct import_source *source,
				     const struct import_target *target, bool as_it_came,
				     const char **ret_reason);

/* When the token there was obtained; 0: it does not say. */
int64_t import_obtained_at_us(const struct import_source *source);

#endif
