#include "support.h"

#include "google/url.h"

static const struct {
	const char *text;
	const char *scheme;
	const char *host, *port, *path, *prefix;
} good[] = {
	{ "http://a", "http", "a", "80", "/", "http://a" },
	{ "https://a", "https", "a", "443", "/", "https://a" },
	{ "https://a.example/b/c?d=e", "https", "a.example", "443", "/b/c", "https://a.example" },
	{ "https://A.Example:8443/B", "https", "a.example", "8443", "/B",
	  "https://A.Example:8443" },
	{ "HTTPS://a/", "https", "a", "443", "/", "HTTPS://a" },
	{ "http://a:", "http", "a", "80", "/", "http://a:" },
	{ "http://a:65535/", "http", "a", "65535", "/", "http://a:65535" },
	{ "http://a?b", "http", "a", "80", "/", "http://a" },
	{ "http://[::1]:8002/x", "http", "[::1]", "8002", "/x", "http://[::1]:8002" },
	{ "http://a/?next=http://b/", "http", "a", "80", "/", "http://a" },
	{ "http://a//b", "http", "a", "80", "//b", "http://a" },
	{ "http://a/h\xc3\xa9", "http", "a", "80", "/h\xc3\xa9", "http://a" },
	{ "http://a/%2Fb", "http", "a", "80", "/%2Fb", "http://a" },
};

static void takes_urls_apart(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		CLEANUP(url_release) struct url url = { 0 };
		const char *text = good[i].text;

		CHECK_ROW(text, url_parse(text, &url) == ERR_OK);
		CHECK_ROW(text, url.is_https == !strcmp(good[i].scheme, "https"));
		CHECK_ROW(text, !strcmp(url.host, good[i].host));
		CHECK_ROW(text, !strcmp(url.port, good[i].port));
		CHECK_ROW(text, !strcmp(url.path, good[i].path));
		CHECK_ROW(text, !strcmp(url.prefix, good[i].prefix));
		CHECK_ROW(text, !url.has_userinfo && !url.has_fragment);
	}
}

static const char *const bad[] = {
	"",
	"a",
	"/",
	"a/b",
	"//a/b",
	"a.example/auth/callback",
	"http:",
	"http:/a",
	"http:a",
	"http://",
	"http://:80",
	"https://?a",
	"https://#a",
	"http:////a",
	"ftp://a/",
	"file:///etc/passwd",
	"javascript:alert(1)",
	"data:text/html,x",
	"x?http://a",
	"http://a:65536",
	"http://a:80x/",
	"http://a:-1/",
	"http://[::1",
	"http://[::g]/",
	"http://a;b/",
	/* what a browser sends on differently than it was written */
	"http://a/b c",
	" http://a/",
	"http://a/\n",
	"http://a/\x01",
	"http://a/\x7f",
	"http://a\\b",
	"http://a/b\\c",
	"http://a/\"",
	"http://a/<b>",
	"http://a/`",
	"http://a/{b}",
	"http://a/|",
	"http://a/^",
};

static void refuses_what_is_no_absolute_http_url(void **state)
{
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct url url = { .port = (char *)bad };

		CHECK_ROW(bad[i], url_parse(bad[i], &url) == ERR_MALFORMED_REQUEST);
		CHECK_ROW(bad[i], url.port == (char *)bad); /* untouched */
	}
}

static void userinfo_and_fragment_are_seen(void **state)
{
	static const struct {
		const char *text;
		bool userinfo, fragment;
	} rows[] = {
		{ "http://user@a/", true, false },     { "http://user:pass@a/", true, false },
		{ "http://:pass@a/", true, false },    { "http://@a/", true, false },
		{ "http://a/@b", false, false },       { "http://a/#", false, true },
		{ "http://a/#fragment", false, true }, { "http://a#f", false, true },
		{ "http://a/%23", false, false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(url_release) struct url url = { 0 };

		CHECK_ROW(rows[i].text, url_parse(rows[i].text, &url) == ERR_OK);
		CHECK_ROW(rows[i].text, url.has_userinfo == rows[i].userinfo);
		CHECK_ROW(rows[i].text, url.has_fragment == rows[i].fragment);
	}
}

static void loopback_is_three_names_only(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
	} rows[] = {
		{ "http://localhost/", true },
		{ "http://LOCALHOST:8002/", true },
		{ "http://127.0.0.1/", true },
		{ "http://[::1]:80/", true },
		{ "http://localhost.example/", false },
		{ "http://notlocalhost/", false },
		{ "http://127.0.0.2/", false },
		{ "http://127.0.0.1.example/", false },
		{ "http://[::2]/", false },
		{ "http://0.0.0.0/", false },
		{ "http://localhost@a/", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		CLEANUP(url_release) struct url url = { 0 };

		CHECK_ROW(rows[i].text, url_parse(rows[i].text, &url) == ERR_OK);
		CHECK_ROW(rows[i].text, url_is_loopback(&url) == rows[i].loopback);
	}
}

static void noise_does_no_harm(void **state)
{
	struct noise noise = { 7 };
	char text[80];

	for (int i = 0; i < 20000; i++) {
		size_t begin = (size_t)snprintf(text, 8, "%s", i % 3 ? "http://" : "");
		size_t len = noise_text(&noise, "htp::///ab.c[]@?#%0123456789", text + begin,
					sizeof(text) - 7);
		char *copy = exact_copy(text, begin + len + 1);
		struct url url = { 0 };

		if (!url_parse(copy, &url)) {
			assert_true(url.host && *url.host && url.port && url.path);
			assert_int_equal(*url.path, '/');
			assert_memory_equal(url.prefix, copy, strlen(url.prefix));
		}
		url_release(&url);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_urls_apart),
		cmocka_unit_test(refuses_what_is_no_absolute_http_url),
		cmocka_unit_test(userinfo_and_fragment_are_seen),
		cmocka_unit_test(loopback_is_three_names_only),
		cmocka_unit_test(noise_does_no_harm),
	};

	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
