#include "domain/validate.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "google/url.h"

#include "base/banned.h"

/* NULL, or what is wrong with @value. */
typedef const char *check_fn(const char *value, bool production);

struct rule {
	const char *field;
	size_t max_chars;
	bool required;   /* in a registration */
	bool changeable; /* by a PATCH */
	check_fn *check; /* NULL: length only */
	size_t offset;   /* in struct client_fields */
};

bool has_control_characters(const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		/* C0, DEL, and C1 (U+0080 to U+009F, which UTF-8 writes as C2 80 to C2 9F) */
		if (c < 0x20 || c == 0x7f || (c == 0xC2 && (unsigned char)s[1] < 0xA0))
			return true;
	}
	return false;
}

bool branch_id_is_plain(const char *branch_id)
{
	return !has_control_characters(branch_id) && !strchr(branch_id, '/') &&
	       strcmp(branch_id, ".") != 0 && strcmp(branch_id, "..") != 0;
}

static const char *check_branch(const char *value, bool production)
{
	(void)production;
	return branch_id_is_plain(value)
		       ? NULL
		       : "must not contain control characters or '/', nor be '.' or '..'";
}

static const char *check_email(const char *value, bool production)
{
	const char *at = strchr(value, '@');

	(void)production;
	if (!at || at == value || !at[1] || strchr(at + 1, '@') || has_control_characters(value) ||
	    strpbrk(value, " ,;<>\"") || at[1] == '.' || value[strlen(value) - 1] == '.')
		return "must be an e-mail address, such as workspace@company.com";
	return NULL;
}

const char *redirect_uri_fault(const char *value, bool production)
{
	CLEANUP(url_release) struct url url = { 0 };

	if (url_parse(value, &url) || url.has_userinfo)
		return "must be an absolute http or https URL, such as "
		       "https://tokens.company.com/auth/callback";
	if (url.has_fragment)
		return "must not have a fragment ('#')";
	if (production && !url.is_https && !url_is_loopback(&url))
		return "must be https in production (http only for localhost, 127.0.0.1 and [::1])";
	return NULL;
}

#define FIELD(name) offsetof(struct client_fields, name)

static const struct rule rules[] = {
	{ "client_id", 255, true, false, NULL, FIELD(client_id) },
	{ "client_secret", 512, true, true, NULL, FIELD(client_secret) },
	{ "redirect_uri", 512, true, true, redirect_uri_fault, FIELD(redirect_uri) },
	{ "branch_id", 255, true, false, check_branch, FIELD(branch_id) },
	{ "workspace_email", 255, true, true, check_email, FIELD(workspace_email) },
	{ "workspace_name", 255, false, true, NULL, FIELD(workspace_name) },
};

static void add_length_fault(struct problem *problem, const struct rule *rule)
{
	char message[64];

	snprintf(message, sizeof(message), "must have %d to %zu characters", rule->required ? 1 : 0,
		 rule->max_chars);
	problem_add_fault(problem, rule->field, message);
}

static void apply_rule(const struct rule *rule, struct json_object *value, bool production,
		       struct client_fields *fields, struct problem *problem)
{
	const char *text, *fault;
	size_t chars = 0;

	if (!json_object_is_type(value, json_type_string)) {
		problem_add_fault(problem, rule->field, "must be a string");
		return;
	}
	text = json_object_get_string(value);
	if (!utf8_valid(text, (size_t)json_object_get_string_len(value), &chars)) {
		problem_add_fault(problem, rule->field, "must not contain NUL");
		return;
	}
	if (chars > rule->max_chars || (rule->required && !chars)) {
		add_length_fault(problem, rule);
		return;
	}
	fault = rule->check ? rule->check(text, production) : NULL;
	if (fault)
		problem_add_fault(problem, rule->field, fault);
	else
		*(const char **)(void *)((char *)fields + rule->offset) = text;
}

static enum err require_object(struct json_object *body, struct problem *problem)
{
	if (json_object_is_type(body, json_type_object))
		return ERR_OK;
	problem_add_fault(problem, "body", "must be a JSON object");
	return ERR_VALIDATION_FAILED;
}

enum err client_validate(struct json_object *body, bool production,
			 struct client_fields *ret_fields, struct problem *problem)
{
	enum err err = require_object(body, problem);

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct json_object *value = NULL;
		bool there = json_object_object_get_ex(body, rules[i].field, &value);

		if (rules[i].required && !there)
			problem_add_fault(problem, rules[i].field, "is required");
		else if (value || rules[i].required)
			apply_rule(&rules[i], value, production, ret_fields, problem);
	}
	return problem->faults ? ERR_VALIDATION_FAILED : ERR_OK;
}

enum err client_validate_change(struct json_object *body, bool production,
				struct client_fields *ret_fields, struct problem *problem)
{
	struct json_object *value = NULL;
	enum err err = require_object(body, problem);

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!json_object_object_get_ex(body, rules[i].field, &value))
			continue;
		if (!rules[i].changeable)
			problem_add_fault(problem, rules[i].field,
					  "cannot be changed; register another client instead");
		else if (!value && !rules[i].required)
			ret_fields->clear_workspace_name = true;
		else
			apply_rule(&rules[i], value, production, ret_fields, problem);
	}
	if (json_object_object_get_ex(body, "is_active", &value)) {
		if (!json_object_is_type(value, json_type_boolean))
			problem_add_fault(problem, "is_active", "must be true or false");
		else
			ret_fields->is_active = json_object_get_boolean(value) ? "true" : "false";
	}
	return problem->faults ? ERR_VALIDATION_FAILED : ERR_OK;
}
