/*
 * What can go wrong, and the one table that says how each error is told to a caller.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
	ERR_OK = 0,

	/* Told to callers: status, code and message are in the table of err.c. */
	ERR_MALFORMED_REQUEST,
	ERR_INVALID_STATE,
	ERR_PROVIDER_DENIED,
	ERR_ISSUER_MISMATCH,
	ERR_UNAUTHENTICATED,
	ERR_FORBIDDEN,
	ERR_LOGIN_TICKET_REQUIRED,
	ERR_WRONG_ACCOUNT,
	ERR_CLIENT_INACTIVE,
	ERR_NOT_FOUND,
	ERR_CLIENT_NOT_FOUND,
	ERR_BRANCH_NOT_FOUND,
	ERR_AUTHORIZATION_REQUIRED,
	ERR_METHOD_NOT_ALLOWED,
	ERR_BRANCH_EXISTS,
	ERR_REAUTHORIZATION_REQUIRED,
	ERR_BODY_TOO_LARGE,
	ERR_UNSUPPORTED_MEDIA_TYPE,
	ERR_VALIDATION_FAILED,
	ERR_RATE_LIMITED,
	ERR_CLIENT_CREDENTIALS_REJECTED,
	ERR_INSUFFICIENT_SCOPE,
	ERR_PROVIDER_ERROR,
	ERR_PROVIDER_UNAVAILABLE,
	ERR_REFRESH_IN_PROGRESS,
	ERR_DATABASE_UNAVAILABLE,
	ERR_OVERLOADED,
	ERR_SECRET_KEY_UNKNOWN,
	ERR_SEALED_VALUE_DAMAGED,
	ERR_SEALED_VALUE_MALFORMED,
	ERR_INTERNAL,

	/* Between modules only; a caller that meets one sees ERR_INTERNAL. */
	ERR_AGAIN,       /* nothing there yet */
	ERR_CLOSED,      /* the peer went away */
	ERR_CONFIG,      /* a wrong setting; the faults were collected */
	ERR_DB_CONFLICT, /* a unique constraint refused the row */
	ERR_DB_LOCKED,   /* the row lock was not to be had in time */
	ERR_DB_NO_ROW,   /* the statement matched nothing */
	ERR_LIMIT,       /* a buffer's or a table's cap */
	ERR_SYSTEM,      /* errno says more */

	ERR__COUNT
};

struct err_info {
	int status;          /* HTTP status */
	const char *code;    /* stable: callers compare it */
	const char *message; /* what happened, and what to do about it */
};

/* Status, code and message of @err; those of ERR_INTERNAL for one that is not for callers. */
const struct err_info *err_info(enum err err);

/* The message of @err for a caller who is told no login_url. */
const char *err_message_without_link(enum err err);

#endif
