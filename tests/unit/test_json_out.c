#include "support.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_out.h"
#include "base/utf8.h"

/* RFC 8259 section 7: what has to be escaped, and nothing else. */
static const struct {
	const char *value;
	const char *json;
} strings[] = {
	{ NULL, "null" },
	{ "", "\"\"" },
	{ "plain", "\"plain\"" },
	{ "\"", "\"\\\"\"" },
	{ "\\", "\"\\\\\"" },
	{ "\\\"\\", "\"\\\\\\\"\\\\\"" },
	{ "a/b", "\"a/b\"" },
	{ "\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\"" },
	{ "\x01\x07\x0b\x1b\x1f", "\"\\u0001\\u0007\\u000b\\u001b\\u001f\"" },
	{ "\x7f", "\"\x7f\"" },
	{ "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
	{ "</script>&'", "\"</script>&'\"" },
};

static void a_string_is_escaped_where_it_has_to_be(void **state)
{
	for (size_t i = 0; i < COUNT(strings); i++) {
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(100);
		struct json_out out = { .to = &text };

		json_out_string(&out, NULL, strings[i].value);
		CHECK_ROW(strings[i].json, !strcmp(text.data, strings[i].json));
	}
}

static void members_and_elements_are_separated_by_commas(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(1000);
	struct json_out out = { .to = &text };

	json_out_begin_object(&out, NULL);
	json_out_begin_array(&out, "list");
	json_out_int(&out, NULL, 1);
	json_out_begin_object(&out, NULL);
	json_out_end_object(&out);
	json_out_begin_array(&out, NULL);
	json_out_end_array(&out);
	json_out_end_array(&out);
	json_out_begin_object(&out, "inner");
	json_out_bool(&out, "t", true);
	json_out_bool(&out, "f", false);
	json_out_end_object(&out);
	json_out_raw(&out, "raw", "[2]");
	json_out_time(&out, "at", 1768580000123456);
	json_out_end_object(&out);
	assert_string_equal(text.data,
			    "{\"list\":[1,{},[]],\"inner\":{\"t\":true,\"f\":false},\"raw\":[2],"
			    "\"at\":\"2026-01-16T16:13:20.123456Z\"}");
}

static void the_cap_is_found_in_the_strbuf(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(7);
	struct json_out out = { .to = &text };

	json_out_string(&out, NULL, "12345");
	assert_true(strbuf_ok(&text));
	json_out_end_object(&out);
	assert_false(strbuf_ok(&text));
}

/* The same two members by this and by json-c, whose bytes these have to be. */
static void check_like_json_c(const char *string, int64_t number)
{
	CLEANUP(json_release) struct json_object *obj = json_object_new_object();
	CLEANUP(strbuf_release) struct strbuf ours = STRBUF_INIT(4096);
	struct json_out out = { .to = &ours };

	json_add_string(obj, "string", string);
	json_add_int(obj, "number", number);
	json_out_begin_object(&out, NULL);
	json_out_string(&out, "string", string);
	json_out_int(&out, "number", number);
	json_out_end_object(&out);
	assert_string_equal(ours.data, json_text(obj));
}

static void bytes_are_those_of_json_c(void **state)
{
	static const int64_t numbers[] = { 0, -1, 1768580000123456, INT64_MAX, INT64_MIN };
	char every[256];

	for (int c = 1; c < 0x80; c++)
		every[c - 1] = (char)c;
	every[0x7f] = '\0';
	for (size_t i = 0; i < COUNT(numbers); i++)
		check_like_json_c(every, numbers[i]);
	for (size_t i = 0; i < COUNT(strings); i++)
		check_like_json_c(strings[i].value, 0);
}

static void noise_has_the_bytes_of_json_c(void **state)
{
	static const char alphabet[] = "ab \"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xe2\x82\xac";
	struct noise noise = { 1 };
	int valid = 0;
	char text[64];

	for (int i = 0; i < 50000; i++) {
		size_t len = noise_text(&noise, alphabet, text, sizeof(text) - 1);

		text[len] = '\0';
		if (!utf8_valid(text, len, NULL))
			continue;
		check_like_json_c(text, (int64_t)noise_next(&noise));
		valid++;
	}
	assert_true(valid > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_is_escaped_where_it_has_to_be),
		cmocka_unit_test(members_and_elements_are_separated_by_commas),
		cmocka_unit_test(the_cap_is_found_in_the_strbuf),
		cmocka_unit_test(bytes_are_those_of_json_c),
		cmocka_unit_test(noise_has_the_bytes_of_json_c),
	};

	return cmocka_run_group_tests_name("json_out", tests, NULL, NULL);
}
