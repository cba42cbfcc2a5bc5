#include "support.h"

#include "base/cleanup.h"
#include "http/message.h"

static const struct {
	const char *accept;
	bool html;
} accept_rows[] = {
	/* browsers */
	{ "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8", true },
	{ "text/html", true },
	{ "TEXT/HTML", true },
	{ "text/html;q=1e300", true },
	{ "text/html;charset=utf-8", true },
	{ "text/html;q=0.9, application/json;q=0.8", true },
	{ "application/json;q=0.1, text/html;q=0.2", true },
	{ "image/png, text/html;q=0.001", true },
	{ "text/html , application/json;q=0", true },

	/* programs */
	{ NULL, false },
	{ "", false },
	{ "*/*", false },
	{ "application/json", false },
	{ "application/json, text/html", false }, /* alike: JSON is what callers read */
	{ "text/html, application/json", false },
	{ "text/html;q=0.5, application/json", false },
	{ "text/html;q=0", false },
	{ "text/html;q=0.0", false },
	{ "text/html;q=nan", false },
	{ "text/html;q=-1e300", false },
	{ "text/htmlx", false },
	{ "text/htm", false },
	{ "xtext/html", false },
	{ "text/*", false },
	{ ",,, ,", false },
	{ "application/json;x=text/html", false },
};

static void accept_says_whether_a_person_looks(void **state)
{
	for (size_t i = 0; i < COUNT(accept_rows); i++)
		CHECK_ROW(accept_rows[i].accept ? accept_rows[i].accept : "(none)",
			  http_accept_prefers_html(accept_rows[i].accept) == accept_rows[i].html);
}

static void noise_does_no_harm_to_accept(void **state)
{
	struct noise noise = { 6 };
	char text[64] = "text/html";

	for (int i = 0; i < 20000; i++) {
		size_t len = noise_text(&noise, ";;q==.0123, \tqQ", text + 9, sizeof(text) - 9);
		char *copy = exact_copy(text, 9 + len + 1);

		http_accept_prefers_html(copy);
		free(copy);
	}
}

static void headers_are_lines_that_cannot_be_split(void **state)
{
	CLEANUP(http_reply_release) struct http_reply reply;

	http_reply_init(&reply);
	http_reply_header(&reply, "Location", "/a?b=c");
	http_reply_header(&reply, "Evil", "x\r\nSet-Cookie: y=z");
	http_reply_header(&reply, "Evil", "x\ny");
	http_reply_header(&reply, "Evil", "x\ty");
	http_reply_header(&reply, "Evil", "x\x7f");
	http_reply_header_number(&reply, "Retry-After", 17);
	assert_string_equal(reply.headers.data, "Location: /a?b=c\r\nRetry-After: 17\r\n");
}

static void reset_empties_all_of_a_reply(void **state)
{
	CLEANUP(http_reply_release) struct http_reply reply;

	http_reply_init(&reply);
	reply.status = 200;
	reply.content_type = "text/plain";
	strbuf_puts(&reply.body, "body");
	http_reply_header(&reply, "A", "b");
	http_reply_reset(&reply);
	assert_int_equal(reply.status, 0);
	assert_null(reply.content_type);
	assert_string_equal(reply.headers.data, "");
	assert_string_equal(reply.body.data, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_says_whether_a_person_looks),
		cmocka_unit_test(noise_does_no_harm_to_accept),
		cmocka_unit_test(headers_are_lines_that_cannot_be_split),
		cmocka_unit_test(reset_empties_all_of_a_reply),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
