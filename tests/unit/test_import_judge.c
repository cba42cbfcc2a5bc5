#include "support.h"

#include "base/clock.h"
#include "domain/import_judge.h"

#define S US_PER_S

/* --- clients ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool exists, imported, other_branch;
	int64_t branch_owner;
	struct import_likeness likeness; /* same; there, here as it came */
	enum import_client verdict;
} client_rows[] = {
	{ "not here", false, false, false, 0, { 0 }, IMPORT_CLIENT_NEW },
	{ "its branch is another's", false, false, false, 7, { 0 }, IMPORT_CLIENT_REFUSED },
	{ "deleted here", false, true, false, 0, { 0 }, IMPORT_CLIENT_DELETED },
	{ "deleted here, its branch again", false, true, false, 7, { 0 }, IMPORT_CLIENT_DELETED },
	{ "registered here", true, false, false, 0, { .same = true }, IMPORT_CLIENT_REFUSED },
	{ "branch renamed", true, true, true, 0, { 0 }, IMPORT_CLIENT_REFUSED },
	{ "nothing changed", true, true, false, 0, { true, true, true }, IMPORT_CLIENT_SAME },
	{ "the same change on both sides",
	  true,
	  true,
	  false,
	  0,
	  { true, false, false },
	  IMPORT_CLIENT_SAME },
	{ "changed here", true, true, false, 0, { false, true, false }, IMPORT_CLIENT_KEPT },
	{ "changed there", true, true, false, 0, { false, false, true }, IMPORT_CLIENT_CHANGED },
	{ "changed on both sides",
	  true,
	  true,
	  false,
	  0,
	  { false, false, false },
	  IMPORT_CLIENT_KEPT },
};

static void what_was_done_here_to_a_client_is_not_undone(void **state)
{
	for (size_t i = 0; i < COUNT(client_rows); i++) {
		struct import_source source = { .branch_id = "branch" };
		struct import_target target = {
			.exists = client_rows[i].exists,
			.imported = client_rows[i].imported,
			.branch_id = client_rows[i].other_branch ? "other" : "branch",
			.branch_owner = client_rows[i].branch_owner,
		};
		const char *reason = "";
		enum import_client verdict =
			import_judge_client(&source, &target, &client_rows[i].likeness, &reason);

		CHECK_ROW(client_rows[i].name, verdict == client_rows[i].verdict);
		CHECK_ROW(client_rows[i].name,
			  (reason != NULL) == (verdict == IMPORT_CLIENT_REFUSED));
	}
}

/* --- tokens ----------------------------------------------------------------------------------------- */

enum state { NOTHING, VALID, INVALID, REVOKED };

/* clang-format off */
static const struct {
	const char *name;
	enum state there;
	int64_t there_at_s;     /* when what is there was obtained */
	int came, is;           /* versions of the grant here: as it came, as it is */
	enum state here;
	int64_t here_at_s;
	int consents;           /* here, since it came */
	bool as_it_came;        /* there */
	enum import_token verdict;
} token_rows[] = {
	{ "none anywhere",           NOTHING, 0,   0, 0, NOTHING, 0,   0, false, IMPORT_TOKEN_NONE },
	{ "none there",              NOTHING, 0,   0, 1, VALID,   0,   1, false, IMPORT_TOKEN_SAME },
	{ "first",                   VALID,   100, 0, 0, NOTHING, 0,   0, false, IMPORT_TOKEN_STORED },
	{ "revoked before it came",  REVOKED, 100, 0, 0, NOTHING, 0,   0, false, IMPORT_TOKEN_NONE },
	{ "invalid before it came",  INVALID, 100, 0, 0, NOTHING, 0,   0, false, IMPORT_TOKEN_NONE },
	/* untouched here */
	{ "as it came",              VALID,   100, 1, 1, VALID,   100, 0, true,  IMPORT_TOKEN_SAME },
	{ "changed there",           VALID,   200, 1, 1, VALID,   100, 0, false, IMPORT_TOKEN_STORED },
	{ "older there",             VALID,   50,  1, 1, VALID,   100, 0, false, IMPORT_TOKEN_STORED },
	{ "revoked there",           REVOKED, 100, 1, 1, VALID,   100, 0, false, IMPORT_TOKEN_ENDED },
	{ "invalid there",           INVALID, 100, 1, 1, VALID,   100, 0, false, IMPORT_TOKEN_ENDED },
	{ "ended by the last one",   INVALID, 100, 2, 2, INVALID, 100, 0, true,  IMPORT_TOKEN_SAME },
	{ "valid again there",       VALID,   100, 2, 2, REVOKED, 100, 0, false, IMPORT_TOKEN_STORED },
	/* refreshed here */
	{ "refreshed here",          VALID,   100, 1, 2, VALID,   200, 0, true,  IMPORT_TOKEN_REFRESHED },
	{ "earlier there",           VALID,   150, 1, 2, VALID,   200, 0, false, IMPORT_TOKEN_REFRESHED },
	{ "at the same time",        VALID,   200, 1, 2, VALID,   200, 0, false, IMPORT_TOKEN_REFRESHED },
	{ "later there",             VALID,   250, 1, 2, VALID,   200, 0, false, IMPORT_TOKEN_STORED },
	{ "dead here, later there",  VALID,   250, 1, 2, INVALID, 100, 0, false, IMPORT_TOKEN_STORED },
	{ "ended there",             INVALID, 100, 1, 2, VALID,   200, 0, false, IMPORT_TOKEN_KEPT },
	/* done by a person here */
	{ "connected, none came",    VALID,   250, 0, 1, VALID,   100, 1, false, IMPORT_TOKEN_KEPT },
	{ "connected anew",          VALID,   250, 1, 2, VALID,   100, 1, false, IMPORT_TOKEN_KEPT },
	{ "revoked here",            VALID,   250, 1, 2, REVOKED, 100, 0, false, IMPORT_TOKEN_KEPT },
	{ "revoked, as it came",     VALID,   100, 1, 2, REVOKED, 100, 0, true,  IMPORT_TOKEN_KEPT },
};
/* clang-format on */

static struct import_source there(enum state state, int64_t at_s)
{
	return (struct import_source){
		.token_id = state == NOTHING ? 0 : 1,
		.access_token = "a",
		.refresh_token = "r",
		.is_valid = state == VALID,
		.is_revoked = state == REVOKED,
		.token_created_at_us = 1,
		.last_refreshed_at_us = at_s * S,
	};
}

static void the_newer_token_counts_and_what_a_person_did_here(void **state)
{
	for (size_t i = 0; i < COUNT(token_rows); i++) {
		struct import_source source = there(token_rows[i].there, token_rows[i].there_at_s);
		struct import_target target = {
			.imported_grant_version = token_rows[i].came,
			.grant_version = token_rows[i].is,
			.imported_consent_version = token_rows[i].came ? 1 : 0,
			.consent_version = (token_rows[i].came ? 1 : 0) + token_rows[i].consents,
			.is_valid = token_rows[i].here != INVALID,
			.is_revoked = token_rows[i].here == REVOKED,
			.obtained_at_us = token_rows[i].here_at_s * S,
		};
		const char *reason = "";
		enum import_token verdict =
			import_judge_token(&source, &target, token_rows[i].as_it_came, &reason);
		bool told = verdict == IMPORT_TOKEN_KEPT ||
			    (verdict == IMPORT_TOKEN_NONE && source.token_id);

		CHECK_ROW(token_rows[i].name, verdict == token_rows[i].verdict);
		CHECK_ROW(token_rows[i].name, (reason != NULL) == told);
	}
}

static void a_token_of_no_use_is_refused_with_a_reason(void **state)
{
	static const struct {
		const char *access_token, *refresh_token, *token_type;
		const char *reason; /* a word of it; NULL: it is taken */
	} rows[] = {
		{ NULL, "r", NULL, "access_token" },  { "", "r", NULL, "access_token" },
		{ "a", NULL, NULL, "refresh_token" }, { "a", "", NULL, "refresh_token" },
		{ "a", "r", "mac", "bearer" },        { "a", "r", NULL, NULL },
		{ "a", "r", "bearer", NULL },         { "a", "r", "Bearer", NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct import_source source = there(VALID, 100);
		struct import_target target = { 0 };
		const char *reason = "";
		enum import_token verdict;

		source.access_token = rows[i].access_token;
		source.refresh_token = rows[i].refresh_token;
		source.token_type = rows[i].token_type;
		verdict = import_judge_token(&source, &target, false, &reason);
		assert_int_equal(verdict,
				 rows[i].reason ? IMPORT_TOKEN_REFUSED : IMPORT_TOKEN_STORED);
		assert_true(rows[i].reason ? strstr(reason, rows[i].reason) != NULL : !reason);
	}
}

static void a_scope_that_the_database_would_refuse_costs_no_other_client_its_page(void **state)
{
	struct import_source source = there(VALID, 100);
	struct import_target target = { 0 };
	const char *reason = NULL;

	(void)state;
	source.scope = "caf\xe9";
	assert_int_equal(import_judge_token(&source, &target, false, &reason),
			 IMPORT_TOKEN_REFUSED);
	assert_non_null(strstr(reason, "UTF-8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_here_to_a_client_is_not_undone),
		cmocka_unit_test(a_token_of_no_use_is_refused_with_a_reason),
		cmocka_unit_test(
			a_scope_that_the_database_would_refuse_costs_no_other_client_its_page),
		cmocka_unit_test(the_newer_token_counts_and_what_a_person_did_here),
	};

	return cmocka_run_group_tests_name("import_judge", tests, NULL, NULL);
}
