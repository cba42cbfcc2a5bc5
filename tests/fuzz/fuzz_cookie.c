/* Cookie headers: a value that is found stands in the header behind its name, whole and plain.
 * Input: the cookie's name, a newline, the header. */
#include "fuzz.h"

#include "base/strbuf.h"
#include "http/params.h"

/* Does a pair of @header begin with @name and '='? Said independently of the code under test. */
static bool has_pair(const char *header, const char *name, const char *value)
{
	CLEANUP(strbuf_release) struct strbuf pair = STRBUF_INIT(1 << 20);

	strbuf_printf(&pair, "%s=%s", name, value);
	for (const char *at = header; (at = strstr(at, pair.data)); at++) {
		const char *end = at + pair.len;

		if ((at == header || strchr(" \t;", at[-1])) && strchr(" \t;", *end))
			return true;
	}
	return false;
}

static void check(const char *header, const char *name, size_t room)
{
	char *value = malloc(room);
	char *again = malloc(room);
	CLEANUP(strbuf_release) struct strbuf pair = STRBUF_INIT(1 << 20);

	FUZZ_CHECK(value && again);
	if (http_cookie_get(header, name, value, room)) {
		size_t len = strlen(value);

		FUZZ_CHECK(len && len < room);
		FUZZ_CHECK(!strchr(value, ';'));
		FUZZ_CHECK(!strchr(" \t", value[len - 1]));
		FUZZ_CHECK(has_pair(header, name, value));
		strbuf_printf(&pair, "other=1; %s=%s; last=2", name, value);
		FUZZ_CHECK(http_cookie_get(pair.data, name, again, room));
		FUZZ_CHECK(!strcmp(again, value));
	}
	free(value);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *name = fuzz_line(&in);
	char *header = fuzz_rest(&in);

	/* Names are the service's own: tokens of RFC 6265, and not those of the check. */
	if (*name && !strpbrk(name, " \t;=") && strcmp(name, "other") != 0) {
		check(header, name, 128);
		check(header, name, 2);
		check(header, "__Host-token_service_login", 128);
	}
	free(name);
	free(header);
	return 0;
}
