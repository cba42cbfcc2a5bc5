#include "support.h"

#include "base/mem.h"
#include "domain/scope.h"

#define BUSINESS "https://www.googleapis.com/auth/business.manage"
#define EMAIL "https://www.googleapis.com/auth/userinfo.email"
#define PROFILE "https://www.googleapis.com/auth/userinfo.profile"

static void every_wanted_scope_must_be_granted(void **state)
{
	static const struct {
		const char *granted, *wanted;
		bool covers;
	} rows[] = {
		{ BUSINESS, BUSINESS, true },
		{ "openid " BUSINESS, BUSINESS, true },
		{ BUSINESS "  openid", "openid  " BUSINESS, true },
		{ BUSINESS, BUSINESS " openid", false },
		{ BUSINESS ".readonly", BUSINESS, false },
		{ "x" BUSINESS, BUSINESS, false },
		{ "https://www.googleapis.com/auth/business", BUSINESS, false },
		{ "", BUSINESS, false },
		{ " ", BUSINESS, false },
		{ BUSINESS "," EMAIL, BUSINESS, false },
		{ "", "", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].granted,
			  scope_covers(rows[i].granted, rows[i].wanted) == rows[i].covers);
}

/* Google answers the OpenID Connect scopes in full. */
static void full_and_short_names_are_one_scope(void **state)
{
	static const struct {
		const char *granted, *wanted;
		bool covers;
	} rows[] = {
		{ EMAIL " openid " BUSINESS, BUSINESS " openid email", true },
		{ PROFILE " " EMAIL, "email profile", true },
		{ "email profile", EMAIL " " PROFILE, true },
		{ "email", "profile", false },
		{ EMAIL, "profile", false },
		{ PROFILE, "email", false },
		{ EMAIL ".readonly", "email", false },
		{ "userinfo.email", "email", false },
		{ "https://evil.example/auth/userinfo.email", "email", false },
		{ "https://www.googleapis.com/auth/openid", "openid", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i].granted,
			  scope_covers(rows[i].granted, rows[i].wanted) == rows[i].covers);
}

static void the_address_is_asked_for_only_where_it_is_checked(void **state)
{
	static const struct {
		const char *scope;
		int verify;
		const char *asked;
	} rows[] = {
		{ BUSINESS, 0, BUSINESS },
		{ BUSINESS, 1, BUSINESS " openid email" },
		{ BUSINESS " openid", 1, BUSINESS " openid email" },
		{ "email " BUSINESS " openid", 1, "email " BUSINESS " openid" },
		{ "openid " EMAIL, 1, "openid " EMAIL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct config config = { .google_scope = (char *)rows[i].scope,
					 .verify_workspace_email = rows[i].verify };
		CLEANUP(mem_free_ptr) char *asked = scope_asked(&config);

		CHECK_ROW(rows[i].asked, same_text(asked, rows[i].asked));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_wanted_scope_must_be_granted),
		cmocka_unit_test(full_and_short_names_are_one_scope),
		cmocka_unit_test(the_address_is_asked_for_only_where_it_is_checked),
	};

	return cmocka_run_group_tests_name("scope", tests, NULL, NULL);
}
