/* Accept headers: a page goes only to who names text/html, and never where JSON is wanted as much. */
#include "fuzz.h"

#include <strings.h>

#include "base/strbuf.h"
#include "http/message.h"

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *accept = fuzz_rest(&in);
	CLEANUP(strbuf_release) struct strbuf more = STRBUF_INIT(size + 64);
	bool html = http_accept_prefers_html(accept);

	FUZZ_CHECK(!html || strcasestr(accept, "text/html"));
	FUZZ_CHECK(http_accept_prefers_html(accept) == html);
	/* JSON at full weight wins, before and behind. */
	strbuf_printf(&more, "%s,application/json", accept);
	FUZZ_CHECK(!http_accept_prefers_html(more.data));
	strbuf_reset(&more);
	strbuf_printf(&more, "application/json,%s", accept);
	FUZZ_CHECK(!http_accept_prefers_html(more.data));
	/* Another type, and empty elements, change nothing. */
	strbuf_reset(&more);
	strbuf_printf(&more, "image/png;q=0.3, ,%s", accept);
	FUZZ_CHECK(http_accept_prefers_html(more.data) == html);
	free(accept);
	return 0;
}
