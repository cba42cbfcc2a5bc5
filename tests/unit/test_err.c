#include "support.h"

#include "base/err.h"

/* The errors that callers see, as the contract lists them: code and status are promises. */
static const struct {
	enum err err;
	int status;
	const char *code;
} rows[] = {
	{ ERR_MALFORMED_REQUEST, 400, "malformed_request" },
	{ ERR_INVALID_STATE, 400, "invalid_state" },
	{ ERR_PROVIDER_DENIED, 400, "provider_denied" },
	{ ERR_ISSUER_MISMATCH, 400, "issuer_mismatch" },
	{ ERR_UNAUTHENTICATED, 401, "unauthenticated" },
	{ ERR_FORBIDDEN, 403, "forbidden" },
	{ ERR_LOGIN_TICKET_REQUIRED, 403, "login_ticket_required" },
	{ ERR_WRONG_ACCOUNT, 403, "wrong_account" },
	{ ERR_CLIENT_INACTIVE, 403, "client_inactive" },
	{ ERR_NOT_FOUND, 404, "not_found" },
	{ ERR_CLIENT_NOT_FOUND, 404, "client_not_found" },
	{ ERR_BRANCH_NOT_FOUND, 404, "branch_not_found" },
	{ ERR_AUTHORIZATION_REQUIRED, 404, "authorization_required" },
	{ ERR_METHOD_NOT_ALLOWED, 405, "method_not_allowed" },
	{ ERR_BRANCH_EXISTS, 409, "branch_exists" },
	{ ERR_REAUTHORIZATION_REQUIRED, 409, "reauthorization_required" },
	{ ERR_BODY_TOO_LARGE, 413, "body_too_large" },
	{ ERR_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type" },
	{ ERR_VALIDATION_FAILED, 422, "validation_failed" },
	{ ERR_RATE_LIMITED, 429, "rate_limited" },
	{ ERR_CLIENT_CREDENTIALS_REJECTED, 502, "client_credentials_rejected" },
	{ ERR_INSUFFICIENT_SCOPE, 502, "insufficient_scope" },
	{ ERR_PROVIDER_ERROR, 502, "provider_error" },
	{ ERR_PROVIDER_UNAVAILABLE, 503, "provider_unavailable" },
	{ ERR_REFRESH_IN_PROGRESS, 503, "refresh_in_progress" },
	{ ERR_DATABASE_UNAVAILABLE, 503, "database_unavailable" },
	{ ERR_OVERLOADED, 503, "overloaded" },
	{ ERR_SECRET_KEY_UNKNOWN, 503, "secret_key_unknown" },
	{ ERR_SEALED_VALUE_DAMAGED, 500, "sealed_value_damaged" },
	{ ERR_SEALED_VALUE_MALFORMED, 500, "sealed_value_malformed" },
	{ ERR_INTERNAL, 500, "internal_error" },
};

static void every_public_error_has_its_status_and_code(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct err_info *info = err_info(rows[i].err);

		CHECK_ROW(rows[i].code, info->status == rows[i].status);
		CHECK_ROW(rows[i].code, !strcmp(info->code, rows[i].code));
	}
}

static void every_public_error_is_in_this_test(void **state)
{
	for (enum err err = ERR_OK + 1; err < ERR__COUNT; err++) {
		const struct err_info *info = err_info(err);
		size_t found = 0;

		for (size_t i = 0; i < COUNT(rows); i++)
			found += !strcmp(rows[i].code, info->code);
		CHECK_ROW(info->code, found == 1);
	}
}

static void messages_are_sentences_that_differ(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *message = err_info(rows[i].err)->message;
		size_t len = strlen(message);

		CHECK_ROW(rows[i].code, len > 20);
		CHECK_ROW(rows[i].code, message[0] >= 'A' && message[0] <= 'Z');
		CHECK_ROW(rows[i].code, message[len - 1] == '.');
		for (size_t k = 0; k < i; k++)
			CHECK_ROW(rows[i].code, strcmp(message, err_info(rows[k].err)->message));
	}
}

static void codes_are_plain_and_unique(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *code = err_info(rows[i].err)->code;

		CHECK_ROW(code, strspn(code, "abcdefghijklmnopqrstuvwxyz_") == strlen(code));
		for (size_t k = 0; k < i; k++)
			CHECK_ROW(code, strcmp(code, err_info(rows[k].err)->code));
	}
}

static void what_is_not_for_callers_is_told_as_internal(void **state)
{
	static const enum err inner[] = {
		ERR_OK,        ERR_AGAIN, ERR_CLOSED, ERR_CONFIG, ERR_DB_CONFLICT, ERR_DB_LOCKED,
		ERR_DB_NO_ROW, ERR_LIMIT, ERR_SYSTEM, ERR__COUNT, (enum err)1000,  (enum err) - 1,
	};

	for (size_t i = 0; i < COUNT(inner); i++)
		assert_ptr_equal(err_info(inner[i]), err_info(ERR_INTERNAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_public_error_has_its_status_and_code),
		cmocka_unit_test(every_public_error_is_in_this_test),
		cmocka_unit_test(messages_are_sentences_that_differ),
		cmocka_unit_test(codes_are_plain_and_unique),
		cmocka_unit_test(what_is_not_for_callers_is_told_as_internal),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
