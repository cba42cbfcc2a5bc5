#include "base/err.h"

#include <stddef.h>

#include "base/banned.h"

static const struct err_info table[ERR__COUNT] = {
	[ERR_MALFORMED_REQUEST] = { 400, "malformed_request",
				    "The request could not be read. Send valid percent-encoding, each query parameter "
				    "once, and a body that is JSON in UTF-8." },
	[ERR_INVALID_STATE] = { 400, "invalid_state",
				"This login is unknown, was used already, has expired, or began in another browser. "
				"Begin again from the login link." },
	[ERR_PROVIDER_DENIED] = { 400, "provider_denied",
				  "The provider did not give access. Begin again from the login link and allow the "
				  "requested access." },
	[ERR_ISSUER_MISMATCH] = { 400, "issuer_mismatch",
				  "The answer came from another issuer than the configured one. Nothing was stored; "
				  "check GOOGLE_ISSUER and begin again from the login link." },
	[ERR_UNAUTHENTICATED] = { 401, "unauthenticated",
				  "An API key is needed. Send 'Authorization: Bearer <key>' with a key that is valid." },
	[ERR_FORBIDDEN] = { 403, "forbidden",
			    "This API key may not make this call. Use a key with the right role and branches." },
	[ERR_LOGIN_TICKET_REQUIRED] = { 403, "login_ticket_required",
					"This login link is not complete, has expired, or was used already. Ask an "
					"administrator for a new one: login_url of GET /clients/{id}." },
	[ERR_WRONG_ACCOUNT] = { 403, "wrong_account",
				"The consent was not given by the workspace's address. Nothing was stored; begin again "
				"from the login link and sign in as that address." },
	[ERR_CLIENT_INACTIVE] = { 403, "client_inactive",
				  "This client is switched off. Set is_active to true with PATCH /clients/{id} to use it." },
	[ERR_NOT_FOUND] = { 404, "not_found", "There is nothing at this path. Check the URL." },
	[ERR_CLIENT_NOT_FOUND] = { 404, "client_not_found",
				   "No client has this id. Register it with POST /clients, or look it up with GET /clients." },
	[ERR_BRANCH_NOT_FOUND] = { 404, "branch_not_found",
				   "No client is registered for this branch. Register it with POST /clients." },
	[ERR_AUTHORIZATION_REQUIRED] = { 404, "authorization_required",
					 "Nobody has connected this branch yet. Open login_url in a browser and allow access." },
	[ERR_METHOD_NOT_ALLOWED] = { 405, "method_not_allowed",
				     "This path does not take this method. The Allow header names those it takes." },
	[ERR_BRANCH_EXISTS] = { 409, "branch_exists",
				"This branch is registered already. Change it with PATCH /clients/{id}, or choose "
				"another branch_id." },
	[ERR_REAUTHORIZATION_REQUIRED] = { 409, "reauthorization_required",
					   "The provider no longer honours this branch's grant. Open login_url in a browser and "
					   "allow access again." },
	[ERR_BODY_TOO_LARGE] = { 413, "body_too_large",
				 "The request body is over 64 KiB. Send a smaller one." },
	[ERR_UNSUPPORTED_MEDIA_TYPE] = { 415, "unsupported_media_type",
					 "The body must be JSON. Send it with 'Content-Type: application/json'." },
	[ERR_VALIDATION_FAILED] = { 422, "validation_failed",
				    "Some fields are wrong. 'detail' lists every one of them; correct them and send again." },
	[ERR_RATE_LIMITED] = { 429, "rate_limited",
			       "Too many requests from this address. Try again shortly; "
			       "Retry-After says in how many seconds." },
	[ERR_CLIENT_CREDENTIALS_REJECTED] = { 502, "client_credentials_rejected",
					      "The provider rejected the client id or secret. Correct the secret with "
					      "PATCH /clients/{id}; the grant itself is kept." },
	[ERR_INSUFFICIENT_SCOPE] = { 502, "insufficient_scope",
				     "The person allowed less than this service needs. Nothing was stored; begin again from "
				     "the login link and allow everything that is asked for." },
	[ERR_PROVIDER_ERROR] = { 502, "provider_error",
				 "The provider answered something that is no token. Try again; if it lasts, look at "
				 "GOOGLE_TOKEN_URL and the service's log." },
	[ERR_PROVIDER_UNAVAILABLE] = { 503, "provider_unavailable",
				       "The provider cannot be reached or is failing. Try again shortly; "
				       "Retry-After says in how many seconds." },
	[ERR_REFRESH_IN_PROGRESS] = { 503, "refresh_in_progress",
				      "The token is being refreshed and is not there yet. Try again shortly; "
				      "Retry-After says in how many seconds." },
	[ERR_DATABASE_UNAVAILABLE] = { 503, "database_unavailable",
				       "The database cannot be reached. Try again shortly; "
				       "Retry-After says in how many seconds." },
	[ERR_OVERLOADED] = { 503, "overloaded",
			     "The service has more to do than it can. Try again shortly; "
			     "Retry-After says in how many seconds." },
	[ERR_SECRET_KEY_UNKNOWN] = { 503, "secret_key_unknown",
				     "What is stored was sealed under a key that this service does not have. Nothing was "
				     "changed; add the key to SECRET_KEY_PREVIOUS and try again." },
	[ERR_SEALED_VALUE_DAMAGED] = { 500, "sealed_value_damaged",
				       "A stored value does not open: it was altered, cut short, or moved from another row. "
				       "It is kept as it is; restore it from a backup, or set or connect it anew." },
	[ERR_SEALED_VALUE_MALFORMED] = { 500, "sealed_value_malformed",
					 "A stored value is not a sealed one. It is kept as it is; restore it from a backup, "
					 "or set or connect it anew." },
	[ERR_INTERNAL] = { 500, "internal_error",
			   "The service met an error of its own. Its log has more under this request_id." },
};

const struct err_info *err_info(enum err err)
{
	if (err <= ERR_OK || err >= ERR__COUNT || !table[err].code)
		return &table[ERR_INTERNAL];
	return &table[err];
}

const char *err_message_without_link(enum err err)
{
	switch (err) {
	case ERR_AUTHORIZATION_REQUIRED:
		return "Nobody has connected this branch yet. Ask an administrator for a login link.";
	case ERR_REAUTHORIZATION_REQUIRED:
		return "The provider no longer honours this branch's grant. Ask an administrator for a login "
		       "link.";
	default:
		return err_info(err)->message;
	}
}
