#include "support.h"

#include "base/utf8.h"

#define INVALID SIZE_MAX

static const struct {
	const char *name;
	const char *bytes;
	size_t len;
	size_t chars;
} rows[] = {
	{ "empty", "", 0, 0 },
	{ "ascii", "abc", 3, 3 },
	{ "U+0001", "\x01", 1, 1 },
	{ "U+007F", "\x7f", 1, 1 },
	{ "U+0080, the first of two bytes", "\xc2\x80", 2, 1 },
	{ "U+07FF, the last of two bytes", "\xdf\xbf", 2, 1 },
	{ "U+0800, the first of three", "\xe0\xa0\x80", 3, 1 },
	{ "U+D7FF, before the surrogates", "\xed\x9f\xbf", 3, 1 },
	{ "U+E000, after the surrogates", "\xee\x80\x80", 3, 1 },
	{ "U+FFFF, the last of three", "\xef\xbf\xbf", 3, 1 },
	{ "U+FEFF, byte order mark", "\xef\xbb\xbf", 3, 1 },
	{ "U+10000, the first of four", "\xf0\x90\x80\x80", 4, 1 },
	{ "U+10FFFF, the last of all", "\xf4\x8f\xbf\xbf", 4, 1 },
	{ "mixed", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 11, 5 },

	{ "NUL", "\0", 1, INVALID },
	{ "NUL within", "a\0b", 3, INVALID },
	{ "NUL in two bytes", "\xc0\x80", 2, INVALID },
	{ "NUL in three bytes", "\xe0\x80\x80", 3, INVALID },
	{ "'/' in two bytes", "\xc0\xaf", 2, INVALID },
	{ "U+007F in two bytes", "\xc1\xbf", 2, INVALID },
	{ "U+07FF in three bytes", "\xe0\x9f\xbf", 3, INVALID },
	{ "U+FFFF in four bytes", "\xf0\x8f\xbf\xbf", 4, INVALID },
	{ "U+D800, first surrogate", "\xed\xa0\x80", 3, INVALID },
	{ "U+DFFF, last surrogate", "\xed\xbf\xbf", 3, INVALID },
	{ "U+110000", "\xf4\x90\x80\x80", 4, INVALID },
	{ "lead F5", "\xf5\x80\x80\x80", 4, INVALID },
	{ "lead F8, five bytes", "\xf8\x88\x80\x80\x80", 5, INVALID },
	{ "FE", "\xfe", 1, INVALID },
	{ "FF", "\xff", 1, INVALID },
	{ "lone continuation", "\x80", 1, INVALID },
	{ "continuation after ascii", "a\xbf", 2, INVALID },
	{ "two bytes cut short", "\xc3", 1, INVALID },
	{ "three bytes cut to two", "\xe2\x82", 2, INVALID },
	{ "four bytes cut to three", "\xf0\x9f\x98", 3, INVALID },
	{ "cut by ascii", "\xe2\x82z", 3, INVALID },
	{ "cut by a lead", "\xe2\xe2\x82\xac", 4, INVALID },
};

static void tells_well_formed_from_not(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *copy = exact_copy(rows[i].bytes, rows[i].len);
		size_t chars = 77;
		bool valid = utf8_valid(copy, rows[i].len, &chars);

		CHECK_ROW(rows[i].name, valid == (rows[i].chars != INVALID));
		CHECK_ROW(rows[i].name, utf8_valid(copy, rows[i].len, NULL) == valid);
		if (valid)
			CHECK_ROW(rows[i].name, chars == rows[i].chars);
		else
			CHECK_ROW(rows[i].name, chars == 77); /* untouched */
		free(copy);
	}
}

/* Writes @code as RFC 3629 section 3 says. */
static size_t encode(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xC0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xE0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3F));
		out[2] = (char)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3F));
	out[2] = (char)(0x80 | (code >> 6 & 0x3F));
	out[3] = (char)(0x80 | (code & 0x3F));
	return 4;
}

static void every_code_point_is_judged_right(void **state)
{
	/* All below U+3000, all around the surrogates, every 97th of the rest. */
	for (uint32_t code = 1; code < 0x120000;
	     code += code < 0x3000 || code >> 12 == 0xD ? 1 : 97) {
		bool expected = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
		char text[4];
		size_t chars = 0;
		size_t len = encode(code, text);

		if (utf8_valid(text, len, &chars) != expected || (expected && chars != 1))
			fail_msg("U+%04X is judged wrong", code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_well_formed_from_not),
		cmocka_unit_test(every_code_point_is_judged_right),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
