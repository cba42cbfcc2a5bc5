#include "support.h"

#include "base/json.h"
#include "base/strbuf.h"

static const struct {
	const char *text;
	enum json_type type; /* of the value */
} good[] = {
	{ "{}", json_type_object },
	{ "  { } \r\n\t", json_type_object },
	{ "[]", json_type_array },
	{ "null", json_type_null },
	{ "true", json_type_boolean },
	{ " false ", json_type_boolean },
	{ "0", json_type_int },
	{ "-0", json_type_int },
	{ "-17 ", json_type_int },
	{ "1.5", json_type_double },
	{ "1e5", json_type_double },
	{ "[1e05,1E-00,1e+0,0.00,-0.5,100,\"N'.00\\\"I.\"]", json_type_array },
	{ "\"\"", json_type_string },
	{ "\"\\u00e9\\ud83d\\ude00\\n\"", json_type_string },
	{ "123456789012345678901234567890", json_type_int }, /* saturates */
	{ "{\"a\":{\"b\":[1,2,{\"c\":null}]}}", json_type_object },
};

static void takes_one_json_text(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		size_t len = strlen(good[i].text);
		char *copy = exact_copy(good[i].text, len);
		struct json_object *value = NULL;

		CHECK_ROW(good[i].text, json_parse(copy, len, &value) == ERR_OK);
		CHECK_ROW(good[i].text, json_object_get_type(value) == good[i].type);
		json_release(&value);
		assert_null(value);
		free(copy);
	}
}

static const struct {
	const char *name;
	const char *text;
	size_t len; /* 0: strlen */
} bad[] = {
	{ "nothing", "", 0 },
	{ "only space", "  \n", 0 },
	{ "garbage behind", "{}x", 0 },
	{ "two texts", "{} {}", 0 },
	{ "two texts at once", "{}{}", 0 },
	{ "number and more", "1 2", 0 },
	{ "NUL behind", "{}\0", 3 },
	{ "NUL and more behind", "{}\0{}", 5 },
	{ "NUL within a string", "\"a\0b\"", 5 },
	{ "a comment", "{} // x", 0 },
	{ "a comment before", "/* x */ {}", 0 },
	{ "cut object", "{\"a\":1", 0 },
	{ "cut string", "\"abc", 0 },
	{ "cut literal", "tru", 0 },
	{ "longer literal", "true1", 0 },
	{ "literal in capitals", "True", 0 },
	{ "NULL in capitals", "NULL", 0 },
	{ "nan", "nan", 0 },
	{ "comma at the end of an object", "{\"a\":1,}", 0 },
	{ "comma at the end of an array", "[1,]", 0 },
	{ "no comma", "[1 2]", 0 },
	{ "no value", "{\"a\":}", 0 },
	{ "no colon", "{\"a\"}", 0 },
	{ "bare key", "{a:1}", 0 },
	{ "single quotes", "{'a':1}", 0 },
	{ "not a number", "NaN", 0 },
	{ "infinity", "[Infinity]", 0 },
	{ "minus infinity", "{\"a\":-Infinity}", 0 },
	{ "no digit behind the point", "1.", 0 },
	{ "exponent behind the point", "[1.e5]", 0 },
	{ "point behind the sign", "[-.5]", 0 },
	{ "two zeros", "[00]", 0 },
	{ "minus and leading zero", "-01", 0 },
	{ "control character in a string", "\"a\nb\"", 0 },
	{ "plus sign", "+1", 0 },
	{ "only a sign", "-", 0 },
	{ "leading zero", "01", 0 },
	{ "no digit before the point", ".5", 0 },
	{ "no exponent", "1e", 0 },
	{ "hexadecimal", "0x10", 0 },
	{ "unknown escape", "\"\\x41\"", 0 },
	{ "byte order mark", "\xef\xbb\xbf{}", 0 },
	{ "form feed is no space", "\f{}", 0 },
	{ "latin-1", "\"\xe9\"", 0 },
	{ "surrogate in UTF-8", "\"\xed\xa0\x80\"", 0 },
	{ "too long a form", "\"\xc0\xaf\"", 0 },
	{ "cut UTF-8", "\"\xc3\"", 0 },
};

static void refuses_everything_else_and_leaves_the_output_alone(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t len = bad[i].len ? bad[i].len : strlen(bad[i].text);
		char *copy = exact_copy(bad[i].text, len);
		struct json_object *untouched = (struct json_object *)&bad;
		struct json_object *value = untouched;

		CHECK_ROW(bad[i].name, json_parse(copy, len, &value) == ERR_MALFORMED_REQUEST);
		CHECK_ROW(bad[i].name, value == untouched);
		free(copy);
	}
}

static enum err parse_nested(int depth, const char *inner)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(1 << 20);
	struct json_object *value = NULL;
	enum err err;

	for (int i = 0; i < depth; i++)
		strbuf_putc(&text, '[');
	strbuf_puts(&text, inner);
	for (int i = 0; i < depth; i++)
		strbuf_putc(&text, ']');
	err = json_parse(text.data, text.len, &value);
	if (!err)
		json_release(&value);
	return err;
}

static void nests_sixteen_deep_at_most(void **state)
{
	assert_int_equal(parse_nested(16, ""), ERR_OK);
	assert_int_equal(parse_nested(17, ""), ERR_MALFORMED_REQUEST);
	assert_int_equal(parse_nested(15, "1"), ERR_OK); /* the number is the sixteenth */
	assert_int_equal(parse_nested(16, "1"), ERR_MALFORMED_REQUEST);
	assert_int_equal(parse_nested(100000, ""), ERR_MALFORMED_REQUEST);
}

static void takes_a_text_as_large_as_a_body_may_be(void **state)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(65536);
	CLEANUP(json_release) struct json_object *value = NULL;

	strbuf_puts(&text, "{\"a\":\"");
	while (text.len < 65536 - 2)
		strbuf_putc(&text, 'x');
	strbuf_puts(&text, "\"}");
	assert_true(strbuf_ok(&text));
	assert_int_equal(json_parse(text.data, text.len, &value), ERR_OK);
	assert_int_equal(strlen(json_get_string(value, "a")), 65536 - 8);
}

static void get_string_gives_strings_only(void **state)
{
	static const char text[] = "{\"s\":\"x\",\"empty\":\"\",\"nul\":\"a\\u0000b\",\"n\":1,"
				   "\"null\":null,\"o\":{},\"twice\":\"1\",\"twice\":\"2\"}";
	CLEANUP(json_release) struct json_object *obj = NULL;
	CLEANUP(json_release) struct json_object *list = json_object_new_array();

	assert_int_equal(json_parse(text, strlen(text), &obj), ERR_OK);
	assert_string_equal(json_get_string(obj, "s"), "x");
	assert_string_equal(json_get_string(obj, "empty"), "");
	assert_string_equal(json_get_string(obj, "twice"), "2");
	assert_null(json_get_string(obj, "nul")); /* a C string would be another value */
	assert_null(json_get_string(obj, "n"));
	assert_null(json_get_string(obj, "null"));
	assert_null(json_get_string(obj, "o"));
	assert_null(json_get_string(obj, "absent"));
	assert_null(json_get_string(list, "s"));
	assert_null(json_get_string(NULL, "s"));
}

static void wipe_string_leaves_nothing_of_it(void **state)
{
	static const char text[] =
		"{\"secret\":\"1//a refresh token that is longer than what is kept inside\","
		"\"nul\":\"a\\u0000b\",\"other\":\"stays\",\"n\":1,\"o\":{}}";
	static const char zeros[64];
	CLEANUP(json_release) struct json_object *obj = NULL;
	const char *secret, *nul;
	struct json_object *value;
	size_t len;

	assert_int_equal(json_parse(text, strlen(text), &obj), ERR_OK);
	secret = json_get_string(obj, "secret");
	len = strlen(secret);
	json_object_object_get_ex(obj, "nul", &value);
	nul = json_object_get_string(value);
	json_wipe_string(obj, "secret");
	json_wipe_string(obj, "nul");
	assert_true(len > 40);
	assert_memory_equal(secret, zeros, len);
	assert_memory_equal(nul, zeros, 3);
	json_wipe_string(obj, "n"); /* what is no string is left alone */
	json_wipe_string(obj, "o");
	json_wipe_string(obj, "absent");
	json_wipe_string(NULL, "secret");
	assert_string_equal(json_get_string(obj, "other"), "stays");
}

static void writes_compact_json(void **state)
{
	CLEANUP(json_release) struct json_object *obj = json_object_new_object();

	json_add_string(obj, "s", "a/b\"\xc3\xa9\n");
	json_add_string(obj, "none", NULL);
	json_add_int(obj, "i", INT64_MAX);
	json_add_bool(obj, "t", true);
	json_add_bool(obj, "f", false);
	assert_string_equal(json_text(obj),
			    "{\"s\":\"a/b\\\"\xc3\xa9\\n\",\"none\":null,\"i\":9223372036854775807,"
			    "\"t\":true,\"f\":false}");
}

static void noise_does_no_harm(void **state)
{
	static const char alphabet[] = "{}[]\":,\\u0dD8eE+-.19 trufalsn\xc3\xa9\xed\xa0";
	struct noise noise = { 1 };
	char text[64];

	for (int i = 0; i < 20000; i++) {
		size_t len = noise_text(&noise, alphabet, text, sizeof(text));
		char *copy = exact_copy(text, len);
		struct json_object *value = NULL;

		if (!json_parse(copy, len, &value)) {
			assert_non_null(json_text(value));
			json_release(&value);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_one_json_text),
		cmocka_unit_test(refuses_everything_else_and_leaves_the_output_alone),
		cmocka_unit_test(nests_sixteen_deep_at_most),
		cmocka_unit_test(takes_a_text_as_large_as_a_body_may_be),
		cmocka_unit_test(get_string_gives_strings_only),
		cmocka_unit_test(wipe_string_leaves_nothing_of_it),
		cmocka_unit_test(writes_compact_json),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
