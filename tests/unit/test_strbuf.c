#include "support.h"

#include "base/cleanup.h"
#include "base/strbuf.h"

static void begins_empty_and_terminated(void **state)
{
	struct strbuf sb = STRBUF_INIT(10);

	assert_string_equal(sb.data, "");
	assert_int_equal(sb.len, 0);
	assert_true(strbuf_ok(&sb));
	strbuf_release(&sb); /* nothing was allocated: must do no harm */
	strbuf_release(&sb);
}

static void appends_of_every_kind_follow_one_another(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(100);

	strbuf_puts(&sb, "a");
	strbuf_putc(&sb, 'b');
	strbuf_put(&sb, "c\0d", 3);
	strbuf_printf(&sb, "%d%s", 42, "e");
	strbuf_printf(&sb, "%s", "");
	strbuf_put(&sb, NULL, 0);
	assert_int_equal(sb.len, 8);
	assert_memory_equal(sb.data, "abc\0d42e", 9); /* the NUL behind it too */
	assert_true(strbuf_ok(&sb));
}

static void takes_exactly_its_cap(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(5);

	strbuf_puts(&sb, "12345");
	assert_true(strbuf_ok(&sb));
	strbuf_putc(&sb, '6');
	assert_false(strbuf_ok(&sb));
	assert_string_equal(sb.data, "12345");
}

static void an_append_over_the_cap_adds_nothing_at_all(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(5);

	strbuf_puts(&sb, "123");
	strbuf_puts(&sb, "456");
	assert_string_equal(sb.data, "123");
	assert_false(strbuf_ok(&sb));
}

static void after_an_overflow_what_would_fit_is_not_taken_either(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(5);

	strbuf_printf(&sb, "%s", "123456");
	strbuf_puts(&sb, "1");
	strbuf_putc(&sb, '2');
	strbuf_printf(&sb, "%d", 3);
	assert_string_equal(sb.data, "");
	assert_false(strbuf_ok(&sb));
}

static void a_cap_of_zero_takes_nothing(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(0);

	strbuf_puts(&sb, "");
	assert_true(strbuf_ok(&sb));
	strbuf_putc(&sb, 'x');
	assert_false(strbuf_ok(&sb));
	assert_string_equal(sb.data, "");
}

static void grows_across_many_reallocations(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(100000);

	for (int i = 0; i < 100000; i++)
		strbuf_putc(&sb, (char)('a' + i % 26));
	assert_true(strbuf_ok(&sb));
	assert_int_equal(sb.len, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(sb.data[i], 'a' + i % 26);
	assert_int_equal(strlen(sb.data), 100000);
}

static void put_int_is_decimal(void **state)
{
	static const int64_t numbers[] = { 0,  1,   -1,        9,         10,
					   99, 100, INT64_MAX, INT64_MIN, 1768580000123456 };

	for (size_t i = 0; i < COUNT(numbers); i++) {
		CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(32);
		char text[32];

		snprintf(text, sizeof(text), "%lld", (long long)numbers[i]);
		strbuf_put_int(&sb, numbers[i]);
		CHECK_ROW(text, !strcmp(sb.data, text));
	}
}

/* Whether there is room, or it has to grow, or the cap ends it. */
static void printf_adds_all_or_nothing_at_any_length(void **state)
{
	char text[600];

	for (size_t before = 0; before < 600; before += 7) {
		for (size_t len = 0; before + len < 600; len += 13) {
			CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(550);
			bool fits;

			memset(text, 'b', before);
			memset(text + before, 'p', len);
			text[before + len] = '\0';
			strbuf_put(&sb, text, before);
			fits = strbuf_ok(&sb) && before + len <= 550;
			strbuf_printf(&sb, "%s", text + before);
			assert_int_equal(strbuf_ok(&sb), fits);
			if (!fits)
				text[before <= 550 ? before : 0] = '\0';
			assert_string_equal(sb.data, text);
			assert_int_equal(sb.len, strlen(text));
		}
	}
}

static void printf_over_the_cap_leaves_nothing_behind(void **state)
{
	static const char wiped[8];
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(10);

	strbuf_puts(&sb, "ab");
	strbuf_printf(&sb, "%s", "a secret that is too long");
	assert_string_equal(sb.data, "ab");
	assert_memory_equal(sb.data + 2, wiped, sizeof(wiped));
}

static void reset_wipes_empties_and_takes_again(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(8);
	char *data;

	strbuf_puts(&sb, "secret");
	strbuf_puts(&sb, "too long");
	data = sb.data;
	strbuf_reset(&sb);
	assert_true(strbuf_ok(&sb));
	assert_int_equal(sb.len, 0);
	assert_ptr_equal(sb.data, data);
	assert_memory_equal(data, "\0\0\0\0\0\0\0", 7);
	strbuf_puts(&sb, "again");
	assert_string_equal(sb.data, "again");
}

static void release_leaves_a_buffer_that_works(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(8);

	strbuf_puts(&sb, "12345678");
	strbuf_release(&sb);
	assert_string_equal(sb.data, "");
	strbuf_puts(&sb, "12345678");
	assert_true(strbuf_ok(&sb));
	strbuf_putc(&sb, '9');
	assert_false(strbuf_ok(&sb)); /* the cap is still there */
}

static void percent_leaves_only_unreserved_characters(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(4096);
	CLEANUP(strbuf_release) struct strbuf expected = STRBUF_INIT(4096);
	char all[256];

	for (int c = 1; c < 256; c++) {
		all[c - 1] = (char)c;
		/* RFC 3986 section 2.3 */
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~", c))
			strbuf_putc(&expected, (char)c);
		else
			strbuf_printf(&expected, "%%%02X", (unsigned)c);
	}
	all[255] = '\0';
	strbuf_put_percent(&sb, all);
	assert_string_equal(sb.data, expected.data);
}

static void percent_works_on_bytes(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(64);

	strbuf_put_percent(&sb, "a b+c/d?\xc3\xa9&=");
	assert_string_equal(sb.data, "a%20b%2Bc%2Fd%3F%C3%A9%26%3D");
}

static void html_leaves_nothing_that_ends_text_or_an_attribute(void **state)
{
	CLEANUP(strbuf_release) struct strbuf sb = STRBUF_INIT(128);

	strbuf_put_html(&sb, "<a href=\"x\">'&amp;' \xc3\xa9");
	assert_string_equal(sb.data, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39; \xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_empty_and_terminated),
		cmocka_unit_test(appends_of_every_kind_follow_one_another),
		cmocka_unit_test(takes_exactly_its_cap),
		cmocka_unit_test(an_append_over_the_cap_adds_nothing_at_all),
		cmocka_unit_test(after_an_overflow_what_would_fit_is_not_taken_either),
		cmocka_unit_test(a_cap_of_zero_takes_nothing),
		cmocka_unit_test(grows_across_many_reallocations),
		cmocka_unit_test(put_int_is_decimal),
		cmocka_unit_test(printf_adds_all_or_nothing_at_any_length),
		cmocka_unit_test(printf_over_the_cap_leaves_nothing_behind),
		cmocka_unit_test(reset_wipes_empties_and_takes_again),
		cmocka_unit_test(release_leaves_a_buffer_that_works),
		cmocka_unit_test(percent_leaves_only_unreserved_characters),
		cmocka_unit_test(percent_works_on_bytes),
		cmocka_unit_test(html_leaves_nothing_that_ends_text_or_an_attribute),
	};

	return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
