/* URLs: what is taken is http or https with a host of its own, begins as it was written, and a
 * login URL made from it leads to the same origin. */
#include "fuzz.h"

#include <ctype.h>
#include <strings.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "domain/client.h"
#include "google/url.h"

/* 512 characters, what a registration takes. */
#define REDIRECT_URI_MAX (512 * 4)

static void check_parts(const char *text, const struct url *url)
{
	char *end;
	long port = strtol(url->port, &end, 10);

	FUZZ_CHECK(*url->host && *url->path == '/');
	FUZZ_CHECK(!*end && port >= 0 && port <= 65535);
	for (const char *c = url->host; *c; c++)
		FUZZ_CHECK(!isupper((unsigned char)*c) && !strchr("/?#@\\ ", *c));
	FUZZ_CHECK(!strncmp(text, url->prefix, strlen(url->prefix)));
	FUZZ_CHECK(
		!strncasecmp(text, url->is_https ? "https://" : "http://", url->is_https ? 8 : 7));
	FUZZ_CHECK(url->has_fragment == (strchr(text, '#') != NULL));
	FUZZ_CHECK(url->has_userinfo || !strchr(url->prefix, '@'));
}

static void check_same_origin(const char *text, const struct url *url)
{
	CLEANUP(url_release) struct url other = { 0 };

	FUZZ_CHECK(url_parse(text, &other) == ERR_OK);
	FUZZ_CHECK(!strcmp(other.host, url->host) && !strcmp(other.port, url->port));
	FUZZ_CHECK(!strcmp(other.prefix, url->prefix));
	FUZZ_CHECK(other.is_https == url->is_https &&
		   url_is_loopback(&other) == url_is_loopback(url));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(url_release) struct url url = { 0 };
	CLEANUP(strbuf_release) struct strbuf made = STRBUF_INIT(3 * size + 64);
	struct fuzz_input in = { data, size };
	CLEANUP(mem_free_ptr) char *text = fuzz_rest(&in);
	CLEANUP(mem_free_ptr) char *login_url = NULL;

	if (url_parse(text, &url))
		return 0; /* NOLINT(clang-analyzer-unix.Malloc): CLEANUP frees it */
	check_parts(text, &url);
	strbuf_printf(&made, "%s%s", url.prefix, url.path);
	check_same_origin(made.data, &url);
	if (strlen(text) <= REDIRECT_URI_MAX)
		login_url = client_login_url(text, 7);
	if (login_url) {
		size_t len = strlen(login_url);

		check_same_origin(login_url, &url);
		FUZZ_CHECK(len > 14 && !strcmp(login_url + len - 14, "/oauth/login/7"));
	}
	return 0;
}
