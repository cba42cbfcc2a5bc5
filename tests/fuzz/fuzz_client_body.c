/* Bodies of POST and PATCH /clients: what passes keeps the rules, and what does not names its
 * faults. Input: '1' for production or anything else, then the JSON text. */
#include "fuzz.h"

#include "base/json.h"
#include "domain/validate.h"
#include "google/url.h"

static void check_text(const char *value, size_t max_chars, bool required)
{
	size_t chars = 0;

	FUZZ_CHECK(value || !required);
	if (!value)
		return;
	FUZZ_CHECK(utf8_valid(value, strlen(value), &chars));
	FUZZ_CHECK(chars <= max_chars && (chars || !required));
}

static void check_redirect_uri(const char *value, bool production)
{
	CLEANUP(url_release) struct url url = { 0 };

	FUZZ_CHECK(url_parse(value, &url) == ERR_OK);
	FUZZ_CHECK(!url.has_fragment && !url.has_userinfo);
	FUZZ_CHECK(!production || url.is_https || url_is_loopback(&url));
}

static void check_fields(const struct client_fields *fields, bool production, bool all)
{
	check_text(fields->client_id, 255, all);
	check_text(fields->client_secret, 512, all);
	check_text(fields->redirect_uri, 512, all);
	check_text(fields->branch_id, 255, all);
	check_text(fields->workspace_email, 255, all);
	check_text(fields->workspace_name, 255, false);
	if (fields->redirect_uri)
		check_redirect_uri(fields->redirect_uri, production);
	if (fields->branch_id)
		FUZZ_CHECK(branch_id_is_plain(fields->branch_id) &&
			   !strchr(fields->branch_id, '/'));
	if (fields->workspace_email)
		FUZZ_CHECK(strchr(fields->workspace_email, '@') &&
			   !strpbrk(fields->workspace_email, "\r\n \t"));
}

static void check_faults(struct json_object *faults)
{
	FUZZ_CHECK(json_object_is_type(faults, json_type_array));
	FUZZ_CHECK(json_object_array_length(faults) > 0);
	for (size_t i = 0; i < json_object_array_length(faults); i++) {
		struct json_object *fault = json_object_array_get_idx(faults, i);

		FUZZ_CHECK(json_get_string(fault, "field") && json_get_string(fault, "message"));
	}
}

static bool registers(struct json_object *body, bool production)
{
	struct client_fields fields = { 0 };
	struct problem problem = { 0 };
	enum err err = client_validate(body, production, &fields, &problem);

	FUZZ_CHECK(!err || err == ERR_VALIDATION_FAILED);
	if (!err)
		check_fields(&fields, production, true);
	else
		check_faults(problem.faults);
	problem_release(&problem);
	return !err;
}

static void change(struct json_object *body, bool production)
{
	struct client_fields fields = { 0 };
	struct problem problem = { 0 };
	enum err err = client_validate_change(body, production, &fields, &problem);

	FUZZ_CHECK(!err || err == ERR_VALIDATION_FAILED);
	if (!err) {
		check_fields(&fields, production, false);
		FUZZ_CHECK(!fields.client_id && !fields.branch_id);
		FUZZ_CHECK(!(fields.clear_workspace_name && fields.workspace_name));
	} else {
		check_faults(problem.faults);
	}
	problem_release(&problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_release) struct json_object *body = NULL;
	struct fuzz_input in = { data, size };
	bool production = fuzz_byte(&in) == '1';

	if (json_parse((const char *)in.data, in.size, &body))
		return 0;
	/* Production is only ever stricter. */
	if (registers(body, true))
		FUZZ_CHECK(registers(body, false));
	else
		(void)registers(body, production);
	change(body, production);
	return 0;
}
