#include "support.h"

#include "domain/caller.h"

static void a_fetcher_has_the_branches_that_its_pattern_names(void **state)
{
	static const struct {
		const char *branches, *branch_id;
		bool may;
	} rows[] = {
		{ NULL, "acme-1", true },         { "*", "acme-1", true },
		{ "acme-*", "acme-1", true },     { "acme-*", "acme-", true },
		{ "acme-*", "acme", false },      { "acme-*", "xacme-1", false },
		{ "acme-*", "ACME-1", false },    { "acme-?", "acme-12", false },
		{ "acme-[0-9]", "acme-7", true }, { "acme-[0-9]", "acme-x", false },
		{ "acme", "acme", true },         { "*-north", "a/b-north", true },
		{ "*", ".hidden", true },         { "acme-\\*", "acme-1", false },
		{ "acme-\\*", "acme-*", true },   { "", "acme-1", false },
		{ "[", "acme-1", false },         { "caf\xc3\xa9-*", "caf\xc3\xa9-1", true },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct caller caller = { .access = ACCESS_FETCHER, .branches = rows[i].branches };

		CHECK_ROW(rows[i].branches ? rows[i].branches : "none",
			  caller_may_use_branch(&caller, rows[i].branch_id) == rows[i].may);
	}
}

static void an_admin_has_every_branch(void **state)
{
	struct caller caller = { .access = ACCESS_ADMIN, .branches = "acme-*" };

	assert_true(caller_is_admin(&caller));
	assert_true(caller_may_use_branch(&caller, "other-1"));
}

static void somebody_unknown_has_no_branch(void **state)
{
	struct caller caller = { 0 };

	assert_false(caller_is_admin(&caller));
	assert_false(caller_may_use_branch(&caller, "acme-1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fetcher_has_the_branches_that_its_pattern_names),
		cmocka_unit_test(an_admin_has_every_branch),
		cmocka_unit_test(somebody_unknown_has_no_branch),
	};

	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
