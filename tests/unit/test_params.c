#include "support.h"

#include "base/strbuf.h"
#include "http/params.h"

/* --- percent-encoding ------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	bool form;
	const char *decoded; /* NULL: refused */
} decode_rows[] = {
	{ "", false, "" },
	{ "abc", false, "abc" },
	{ "%41%62%7e", false, "Ab~" },
	{ "%c3%A9", false, "\xc3\xa9" },
	{ "a%2Fb", false, "a/b" },
	{ "%25", false, "%" },
	{ "%2541", false, "%41" }, /* once only */
	{ "a+b", false, "a+b" },
	{ "a+b%2B", true, "a b+" },
	{ "\xc3\xa9", false, "\xc3\xa9" },
	{ "%0a%7f", false, "\n\x7f" },
	{ "%", false, NULL },
	{ "a%", false, NULL },
	{ "%4", false, NULL },
	{ "%4g", false, NULL },
	{ "%g4", false, NULL },
	{ "%%41", false, NULL },
	{ "% 41", false, NULL },
	{ "%+1", true, NULL },
	{ "%00", false, NULL },
	{ "a%00b", false, NULL },
	{ "%ff", false, NULL },
	{ "%c3", false, NULL },
	{ "%c0%af", false, NULL },
	{ "%ed%a0%80", false, NULL },
	{ "\xff", false, NULL },
};

static void percent_decoding_is_strict(void **state)
{
	for (size_t i = 0; i < COUNT(decode_rows); i++) {
		const char *text = decode_rows[i].text;
		char *in = exact_copy(text, strlen(text));
		char *out = malloc(strlen(text) + 1); /* exactly as large as asked for */
		enum err err = http_percent_decode(in, strlen(text), decode_rows[i].form, out);

		if (decode_rows[i].decoded) {
			CHECK_ROW(text, err == ERR_OK);
			CHECK_ROW(text, !strcmp(out, decode_rows[i].decoded));
		} else {
			CHECK_ROW(text, err == ERR_MALFORMED_REQUEST);
		}
		free(in);
		free(out);
	}
}

static void decoding_reads_no_further_than_it_may(void **state)
{
	char out[4];

	/* The digits are there, but behind the end. */
	assert_int_equal(http_percent_decode("%41", 2, false, out), ERR_MALFORMED_REQUEST);
	assert_int_equal(http_percent_decode("%41", 1, false, out), ERR_MALFORMED_REQUEST);
	assert_int_equal(http_percent_decode("a%41", 1, false, out), ERR_OK);
	assert_string_equal(out, "a");
}

/* --- query strings --------------------------------------------------------------------------------- */

static void pairs_are_taken_apart(void **state)
{
	struct http_params params;

	assert_int_equal(http_params_parse("a=1&b=x%20y&c=p+q&d&e=&=f&g=h=i&%6a=k", &params),
			 ERR_OK);
	assert_int_equal(params.count, 8);
	assert_string_equal(http_params_get(&params, "a"), "1");
	assert_string_equal(http_params_get(&params, "b"), "x y");
	assert_string_equal(http_params_get(&params, "c"), "p q");
	assert_string_equal(http_params_get(&params, "d"), "");
	assert_string_equal(http_params_get(&params, "e"), "");
	assert_string_equal(http_params_get(&params, ""), "f");
	assert_string_equal(http_params_get(&params, "g"), "h=i");
	assert_string_equal(http_params_get(&params, "j"), "k");
	assert_null(http_params_get(&params, "A"));
	assert_null(http_params_get(&params, "z"));
}

static void separators_alone_are_no_pairs(void **state)
{
	static const char *const rows[] = { "", "&", "&&&&" };
	struct http_params params;

	for (size_t i = 0; i < COUNT(rows); i++) {
		CHECK_ROW(rows[i], http_params_parse(rows[i], &params) == ERR_OK);
		CHECK_ROW(rows[i], params.count == 0);
	}
	assert_int_equal(http_params_parse("&a=1&&b=2&", &params), ERR_OK);
	assert_int_equal(params.count, 2);
}

static void a_name_twice_is_refused(void **state)
{
	static const char *const rows[] = { "a=1&a=2",
					    "a=1&a=1",
					    "a&a",
					    "a=1&b=2&a",
					    "a=1&%61=2",
					    "=&=",
					    "state=x&code=y&state=z" };
	struct http_params params;

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i], http_params_parse(rows[i], &params) == ERR_MALFORMED_REQUEST);
}

static void bad_encoding_in_name_or_value_is_refused(void **state)
{
	static const char *const rows[] = { "a=%",   "%=a",       "a=%00", "%00=a",
					    "a=%ff", "a=1&b=%zz", "\xff=1" };
	struct http_params params;

	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK_ROW(rows[i], http_params_parse(rows[i], &params) == ERR_MALFORMED_REQUEST);
}

static enum err parse_count(int count, struct http_params *params)
{
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(4096);

	for (int i = 0; i < count; i++)
		strbuf_printf(&text, "&n%d=v%d", i, i);
	return http_params_parse(text.data, params);
}

static void takes_as_many_as_it_has_room_for(void **state)
{
	struct http_params params;

	assert_int_equal(parse_count(HTTP_PARAMS_MAX, &params), ERR_OK);
	assert_int_equal(params.count, HTTP_PARAMS_MAX);
	assert_string_equal(http_params_get(&params, "n31"), "v31");
	assert_int_equal(parse_count(HTTP_PARAMS_MAX + 1, &params), ERR_MALFORMED_REQUEST);
}

/*
 * The longest text that is taken, filled with @fill behind as many copies of @small ('@' is a
 * letter of each one's own) as there may be, in a block of exactly the struct's size: each pair's two NULs must fit where its separators were.
 */
static void check_full(const char *small, char fill)
{
	struct http_params *params = malloc(sizeof(*params));
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(HTTP_PARAMS_TEXT_MAX);

	for (int i = 0; i < HTTP_PARAMS_MAX - 1; i++) {
		for (const char *c = small; *c; c++)
			strbuf_putc(&text, *c == '@' ? (char)('A' + i) : *c);
	}
	strbuf_puts(&text, "z=");
	while (text.len < HTTP_PARAMS_TEXT_MAX - 2)
		strbuf_putc(&text, fill);
	assert_int_equal(http_params_parse(text.data, params), ERR_OK);
	assert_int_equal(params->count, HTTP_PARAMS_MAX);
	for (size_t i = 0; i < params->count; i++) {
		const char *value = params->list[i].value;

		/* Values that were not written point to a constant. */
		if (*value)
			assert_true(value + strlen(value) < params->text + sizeof(params->text));
		assert_true(params->list[i].name + strlen(params->list[i].name) <
			    params->text + sizeof(params->text));
	}
	strbuf_putc(&text, fill);
	assert_int_equal(http_params_parse(text.data, params), ERR_MALFORMED_REQUEST);
	free(params);
}

static void the_longest_text_fits(void **state)
{
	check_full("@&", 'x');
	check_full("@=&", 'x');
	check_full("&&@=&", '+');
	check_full("@=1&", '&');
	check_full("%23@&", '=');
}

static void noise_does_no_harm_to_params(void **state)
{
	struct noise noise = { 3 };
	struct http_params *params = malloc(sizeof(*params));
	char text[200];

	for (int i = 0; i < 20000; i++) {
		size_t len = noise_text(&noise, "abcdefgh&&&==%%0123456789+", text, sizeof(text));
		char *copy = exact_copy(text, len + 1);

		if (!http_params_parse(copy, params)) {
			assert_in_range(params->count, 0, HTTP_PARAMS_MAX);
			for (size_t k = 0; k < params->count; k++)
				assert_ptr_equal(http_params_get(params, params->list[k].name),
						 params->list[k].value);
		}
		free(copy);
	}
	free(params);
}

static void noise_does_no_harm_to_percent_decoding(void **state)
{
	struct noise noise = { 4 };
	char text[64];

	for (int i = 0; i < 20000; i++) {
		size_t len = noise_text(&noise, "%%%%0123456789abcdefAB+/", text, sizeof(text));
		char *in = exact_copy(text, len);
		char *out = malloc(len + 1);

		if (!http_percent_decode(in, len, i % 2, out))
			assert_true(strlen(out) <= len);
		free(in);
		free(out);
	}
}

/* What strbuf_put_percent() writes, http_percent_decode() reads back. */
static void decoding_undoes_encoding(void **state)
{
	static const char *const rows[] = { "", "plain", "a b&c=d%e+f/g?h#i",
					    "\xc3\xa9\xe2\x82\xac", "\x01\x7f\"'<>" };

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(256);
		char out[256];

		strbuf_put_percent(&text, rows[i]);
		CHECK_ROW(rows[i], http_percent_decode(text.data, text.len, true, out) == ERR_OK);
		CHECK_ROW(rows[i], !strcmp(out, rows[i]));
	}
}

/* --- cookies --------------------------------------------------------------------------------------- */

static const struct {
	const char *header;
	const char *value; /* of "id", in a room of 8 bytes; NULL: none */
} cookie_rows[] = {
	{ NULL, NULL },
	{ "", NULL },
	{ "id", NULL },
	{ "id=", NULL },
	{ "id=;", NULL },
	{ "id=x", "x" },
	{ "id=x;", "x" },
	{ "id=x ; a=b", "x" },
	{ "a=b; id=x", "x" },
	{ "a=b;id=x;c=d", "x" },
	{ "a=b;  \tid=x", "x" },
	{ "aid=y; id=x", "x" },
	{ "id2=y; id=x", "x" },
	{ "ID=y", NULL },
	{ "id =y", NULL },
	{ "a=id=y", NULL },
	{ "id=a=b", "a=b" },
	{ "id=1; id=2", "1" },
	{ "id=1234567", "1234567" },
	{ "id=12345678", NULL },
	{ "id=1234567  ", "1234567" },
	{ "id=  ", NULL },
	{ ";;; ; id=x", "x" },
	{ "__Host-id=y", NULL },
};

static void cookies_are_found_by_their_whole_name(void **state)
{
	for (size_t i = 0; i < COUNT(cookie_rows); i++) {
		const char *header = cookie_rows[i].header;
		char *value = malloc(8);
		bool found = http_cookie_get(header, "id", value, 8);

		CHECK_ROW(header ? header : "(none)", found == (cookie_rows[i].value != NULL));
		if (found)
			CHECK_ROW(header, same_text(value, cookie_rows[i].value));
		free(value);
	}
}

static void noise_does_no_harm_to_cookies(void **state)
{
	struct noise noise = { 5 };
	char text[64];

	for (int i = 0; i < 20000; i++) {
		size_t len = noise_text(&noise, "iiidd===;; \t\"", text, sizeof(text));
		char *copy = exact_copy(text, len + 1);
		char *value = malloc(8);

		if (http_cookie_get(copy, "id", value, 8))
			assert_in_range(strlen(value), 1, 7);
		free(copy);
		free(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percent_decoding_is_strict),
		cmocka_unit_test(decoding_reads_no_further_than_it_may),
		cmocka_unit_test(pairs_are_taken_apart),
		cmocka_unit_test(separators_alone_are_no_pairs),
		cmocka_unit_test(a_name_twice_is_refused),
		cmocka_unit_test(bad_encoding_in_name_or_value_is_refused),
		cmocka_unit_test(takes_as_many_as_it_has_room_for),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(noise_does_no_harm_to_params),
		cmocka_unit_test(noise_does_no_harm_to_percent_decoding),
		cmocka_unit_test(decoding_undoes_encoding),
		cmocka_unit_test(cookies_are_found_by_their_whole_name),
		cmocka_unit_test(noise_does_no_harm_to_cookies),
	};

	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
