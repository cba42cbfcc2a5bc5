#include "support.h"

#include "base/strbuf.h"
#include "domain/validate.h"

#define BASE                                                                                       \
	"{\"client_id\":\"id\",\"client_secret\":\"secret\","                                      \
	"\"redirect_uri\":\"http://localhost:8002/auth/callback\",\"branch_id\":\"b-1\","          \
	"\"workspace_email\":\"w@example.com\"}"

struct trial {
	struct json_object *body;
	struct client_fields fields;
	struct problem problem;
	enum err err;
};

/* "" when all is well, else "field: message" of every fault, one a line. */
static void faults_text(const struct trial *trial, struct strbuf *text)
{
	size_t count = trial->problem.faults ? json_object_array_length(trial->problem.faults) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *fault = json_object_array_get_idx(trial->problem.faults, i);

		strbuf_printf(text, "%s: %s\n", json_get_string(fault, "field"),
			      json_get_string(fault, "message"));
	}
}

static void trial_release(struct trial *trial)
{
	json_release(&trial->body);
	problem_release(&trial->problem);
}

enum kind {
	REGISTER,
	REGISTER_IN_PRODUCTION,
	CHANGE,
};

static void trial_run(struct trial *trial, enum kind kind, const char *json)
{
	bool production = kind == REGISTER_IN_PRODUCTION;

	*trial = (struct trial){ 0 };
	if (json_parse(json, strlen(json), &trial->body))
		fail_msg("the test's own JSON is wrong: %s", json);
	trial->err = kind == CHANGE ? client_validate_change(trial->body, false, &trial->fields,
							     &trial->problem)
				    : client_validate(trial->body, production, &trial->fields,
						      &trial->problem);
}

/* BASE with member @field as the JSON text @value (NULL: without it). */
static void make_body(const char *field, const char *value, struct strbuf *to)
{
	struct json_object *body = NULL, *member = NULL;

	assert_int_equal(json_parse(BASE, strlen(BASE), &body), ERR_OK);
	json_object_object_del(body, field);
	if (value) {
		if (json_parse(value, strlen(value), &member))
			fail_msg("the test's own JSON is wrong: %s", value);
		json_object_object_add(body, field, member);
	}
	strbuf_puts(to, json_text(body));
	json_release(&body);
}

/* One field of a registration; @fault NULL: it is good. */
static void check_field(enum kind kind, const char *field, const char *value, const char *fault)
{
	CLEANUP(strbuf_release) struct strbuf json = STRBUF_INIT(8192);
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT(8192);
	CLEANUP(strbuf_release) struct strbuf expected = STRBUF_INIT(8192);
	CLEANUP(trial_release) struct trial t;

	make_body(field, value, &json);
	trial_run(&t, kind, json.data);
	faults_text(&t, &said);
	if (fault)
		strbuf_printf(&expected, "%s: %s\n", field, fault);
	if (strcmp(said.data, expected.data) != 0)
		fail_msg("%s = %s: said \"%s\", expected \"%s\"", field, value ? value : "(absent)",
			 said.data, expected.data);
	assert_int_equal(t.err, fault ? ERR_VALIDATION_FAILED : ERR_OK);
}

static const char EMAIL_FAULT[] = "must be an e-mail address, such as workspace@company.com";
static const char BRANCH_FAULT[] = "must not contain control characters or '/', nor be '.' or '..'";
static const char URL_FAULT[] = "must be an absolute http or https URL, such as "
				"https://tokens.company.com/auth/callback";
static const char HTTPS_FAULT[] =
	"must be https in production (http only for localhost, 127.0.0.1 and [::1])";

static void a_good_registration_is_read_whole(void **state)
{
	CLEANUP(trial_release) struct trial t;

	trial_run(&t, REGISTER_IN_PRODUCTION, BASE);
	assert_int_equal(t.err, ERR_OK);
	assert_null(t.problem.faults);
	assert_string_equal(t.fields.client_id, "id");
	assert_string_equal(t.fields.client_secret, "secret");
	assert_string_equal(t.fields.redirect_uri, "http://localhost:8002/auth/callback");
	assert_string_equal(t.fields.branch_id, "b-1");
	assert_string_equal(t.fields.workspace_email, "w@example.com");
	assert_null(t.fields.workspace_name);
}

static void fields_that_must_be_there_are_strings(void **state)
{
	static const char *const fields[] = { "client_id", "client_secret", "redirect_uri",
					      "branch_id", "workspace_email" };
	static const char *const values[] = { "null", "1", "true", "[]", "{}" };

	for (size_t i = 0; i < COUNT(fields); i++) {
		check_field(REGISTER, fields[i], NULL, "is required");
		for (size_t k = 0; k < COUNT(values); k++)
			check_field(REGISTER, fields[i], values[k], "must be a string");
		check_field(REGISTER, fields[i], "\"a\\u0000b\"", "must not contain NUL");
	}
	check_field(REGISTER, "workspace_name", NULL, NULL);
	check_field(REGISTER, "workspace_name", "null", NULL);
	check_field(REGISTER, "workspace_name", "\"\"", NULL);
	check_field(REGISTER, "workspace_name", "1", "must be a string");
}

/* A JSON string of @chars characters of @character, between @begin and @end. */
static void make_string(const char *begin, const char *character, size_t chars, const char *end,
			struct strbuf *to)
{
	strbuf_reset(to);
	strbuf_printf(to, "\"%s", begin);
	for (size_t i = strlen(begin) + strlen(end); i < chars; i++)
		strbuf_puts(to, character);
	strbuf_printf(to, "%s\"", end);
}

static void lengths_count_characters(void **state)
{
	static const struct {
		const char *field;
		size_t min, max;
		const char *begin, *end, *fault;
	} rows[] = {
		{ "client_id", 1, 255, "", "", "must have 1 to 255 characters" },
		{ "client_secret", 1, 512, "", "", "must have 1 to 512 characters" },
		{ "redirect_uri", 1, 512, "https://a/", "", "must have 1 to 512 characters" },
		{ "branch_id", 1, 255, "", "", "must have 1 to 255 characters" },
		{ "workspace_email", 1, 255, "", "@a", "must have 1 to 255 characters" },
		{ "workspace_name", 0, 255, "", "", "must have 0 to 255 characters" },
	};
	static const char *const characters[] = { "x", "\xc3\xa9", "\xf0\x9f\x98\x80" };
	CLEANUP(strbuf_release) struct strbuf value = STRBUF_INIT(4096);

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t k = 0; k < COUNT(characters); k++) {
			make_string(rows[i].begin, characters[k], rows[i].max, rows[i].end, &value);
			check_field(REGISTER, rows[i].field, value.data, NULL);
			make_string(rows[i].begin, characters[k], rows[i].max + 1, rows[i].end,
				    &value);
			check_field(REGISTER, rows[i].field, value.data, rows[i].fault);
		}
		check_field(REGISTER, rows[i].field, "\"\"", rows[i].min ? rows[i].fault : NULL);
	}
}

static void branch_ids_fit_into_a_path(void **state)
{
	static const char *const good[] = { "\"a b\"",      "\"...\"",   "\"h\xc3\xa9\"",
					    "\"a%2Fb\"",    "\"a?b#c\"", "\"a\\\\b\"",
					    "\".a\"",       "\"..a\"",   "\"\\u00a0\"",
					    "\"<script>\"", "\"%00\"",   "\"' OR 1\"" };
	static const char *const bad[] = { "\"a/b\"",     "\"/\"",       "\".\"",
					   "\"..\"",      "\"a\\n\"",    "\"\\u0001\"",
					   "\"\\u007f\"", "\"\\u0080\"", "\"\\u009f\"",
					   "\"\\t\"" };

	for (size_t i = 0; i < COUNT(good); i++)
		check_field(REGISTER, "branch_id", good[i], NULL);
	for (size_t i = 0; i < COUNT(bad); i++)
		check_field(REGISTER, "branch_id", bad[i], BRANCH_FAULT);
}

static void emails_look_like_addresses(void **state)
{
	static const char *const good[] = { "\"a@b\"", "\"a.b+c@d.example\"",
					    "\"h\xc3\xa9@\xc3\xa9.example\"",
					    "\"o'neil@a.example\"" };
	static const char *const bad[] = { "\"a\"",          "\"@\"",     "\"a@\"",
					   "\"@b\"",         "\"a@b@c\"", "\"a b@c\"",
					   "\"a@b,c@d\"",    "\"a@b;\"",  "\"<a@b>\"",
					   "\"a@.b\"",       "\"a@b.\"",  "\"a@b\\n\"",
					   "\"\\\"a\\\"@b\"" };

	for (size_t i = 0; i < COUNT(good); i++)
		check_field(REGISTER, "workspace_email", good[i], NULL);
	for (size_t i = 0; i < COUNT(bad); i++)
		check_field(REGISTER, "workspace_email", bad[i], EMAIL_FAULT);
}

static void redirect_uris_are_absolute(void **state)
{
	static const struct {
		const char *value, *fault, *fault_in_production;
	} rows[] = {
		{ "\"https://a.example/auth/callback\"", NULL, NULL },
		{ "\"http://localhost:8002/auth/callback\"", NULL, NULL },
		{ "\"http://127.0.0.1/cb\"", NULL, NULL },
		{ "\"http://[::1]:8002/cb\"", NULL, NULL },
		{ "\"http://a.example/auth/callback\"", NULL, HTTPS_FAULT },
		{ "\"http://localhost.example/\"", NULL, HTTPS_FAULT },
		{ "\"https://a.example/#x\"", "must not have a fragment ('#')",
		  "must not have a fragment ('#')" },
		{ "\"/auth/callback\"", URL_FAULT, URL_FAULT },
		{ "\"a.example\"", URL_FAULT, URL_FAULT },
		{ "\"ftp://a.example/\"", URL_FAULT, URL_FAULT },
		{ "\"javascript:alert(1)\"", URL_FAULT, URL_FAULT },
		{ "\"https://user:pass@a.example/\"", URL_FAULT, URL_FAULT },
		{ "\"http://localhost@a.example/\"", URL_FAULT, URL_FAULT },
		{ "\"https://a.example/\\r\\nX: y\"", URL_FAULT, URL_FAULT },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		check_field(REGISTER, "redirect_uri", rows[i].value, rows[i].fault);
		check_field(REGISTER_IN_PRODUCTION, "redirect_uri", rows[i].value,
			    rows[i].fault_in_production);
	}
}

static void all_faults_are_told_at_once(void **state)
{
	CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT(4096);
	CLEANUP(trial_release) struct trial t;

	trial_run(&t, REGISTER,
		  "{\"branch_id\":\"a/b\",\"workspace_email\":\"x\",\"client_id\":7,"
		  "\"workspace_name\":7,\"unknown\":[1]}");
	faults_text(&t, &said);
	assert_int_equal(t.err, ERR_VALIDATION_FAILED);
	assert_string_equal(said.data,
			    "client_id: must be a string\nclient_secret: is required\n"
			    "redirect_uri: is required\nbranch_id: must not contain control "
			    "characters or '/', nor be '.' or '..'\nworkspace_email: must be an "
			    "e-mail address, such as workspace@company.com\n"
			    "workspace_name: must be a string\n");
}

static void a_body_that_is_no_object_is_one_fault(void **state)
{
	static const char *const bodies[] = { "null", "[]", "1", "\"x\"", "true" };
	static const enum kind kinds[] = { REGISTER, CHANGE };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		for (size_t k = 0; k < COUNT(kinds); k++) {
			CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT(4096);
			CLEANUP(trial_release) struct trial t;

			trial_run(&t, kinds[k], bodies[i]);
			faults_text(&t, &said);
			CHECK_ROW(bodies[i], t.err == ERR_VALIDATION_FAILED);
			CHECK_ROW(bodies[i], !strcmp(said.data, "body: must be a JSON object\n"));
		}
	}
}

static const struct {
	const char *body;
	const char *said;
} change_rows[] = {
	{ "{}", "" },
	{ "{\"unknown\":1}", "" },
	{ "{\"client_secret\":\"new\"}", "" },
	{ "{\"is_active\":false}", "" },
	{ "{\"workspace_name\":null}", "" },
	{ "{\"client_secret\":\"\"}", "client_secret: must have 1 to 512 characters\n" },
	{ "{\"client_secret\":null}", "client_secret: must be a string\n" },
	{ "{\"redirect_uri\":null}", "redirect_uri: must be a string\n" },
	{ "{\"workspace_email\":\"x\"}",
	  "workspace_email: must be an e-mail address, such as workspace@company.com\n" },
	{ "{\"client_id\":\"x\"}",
	  "client_id: cannot be changed; register another client instead\n" },
	{ "{\"branch_id\":null}",
	  "branch_id: cannot be changed; register another client instead\n" },
	{ "{\"is_active\":\"true\"}", "is_active: must be true or false\n" },
	{ "{\"is_active\":null}", "is_active: must be true or false\n" },
	{ "{\"is_active\":1}", "is_active: must be true or false\n" },
	{ "{\"is_active\":0,\"client_secret\":5}",
	  "client_secret: must be a string\nis_active: must be true or false\n" },
};

static void changes_are_checked_by_the_same_rules(void **state)
{
	for (size_t i = 0; i < COUNT(change_rows); i++) {
		CLEANUP(strbuf_release) struct strbuf said = STRBUF_INIT(4096);
		CLEANUP(trial_release) struct trial t;

		trial_run(&t, CHANGE, change_rows[i].body);
		faults_text(&t, &said);
		CHECK_ROW(change_rows[i].body, !strcmp(said.data, change_rows[i].said));
		CHECK_ROW(change_rows[i].body,
			  t.err == (*change_rows[i].said ? ERR_VALIDATION_FAILED : ERR_OK));
	}
}

static void a_change_holds_what_was_named_and_no_more(void **state)
{
	CLEANUP(trial_release) struct trial some;
	CLEANUP(trial_release) struct trial clear;

	trial_run(&some, CHANGE, "{\"client_secret\":\"new\",\"is_active\":true}");
	assert_string_equal(some.fields.client_secret, "new");
	assert_string_equal(some.fields.is_active, "true");
	assert_null(some.fields.redirect_uri);
	assert_null(some.fields.workspace_email);
	assert_null(some.fields.workspace_name);
	assert_false(some.fields.clear_workspace_name);
	trial_run(&clear, CHANGE, "{\"workspace_name\":null,\"is_active\":false}");
	assert_true(clear.fields.clear_workspace_name);
	assert_string_equal(clear.fields.is_active, "false");
	assert_null(clear.fields.client_secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_registration_is_read_whole),
		cmocka_unit_test(fields_that_must_be_there_are_strings),
		cmocka_unit_test(lengths_count_characters),
		cmocka_unit_test(branch_ids_fit_into_a_path),
		cmocka_unit_test(emails_look_like_addresses),
		cmocka_unit_test(redirect_uris_are_absolute),
		cmocka_unit_test(all_faults_are_told_at_once),
		cmocka_unit_test(a_body_that_is_no_object_is_one_fault),
		cmocka_unit_test(changes_are_checked_by_the_same_rules),
		cmocka_unit_test(a_change_holds_what_was_named_and_no_more),
	};

	return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
