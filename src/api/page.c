#include "api/page.h"

#include "base/banned.h"

#define STYLE                                                                                      \
	":root{color-scheme:light dark;background:Canvas;color:CanvasText}"                        \
	"body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0 1rem}" \
	"h1{font-size:1.5rem}p.small{opacity:.7;font-size:.875rem}"

/* The SHA-256 of STYLE: no other style and no script at all runs in these pages. A unit test
 * keeps the two together. */
#define STYLE_SHA256 "YBLtlHfzF7ZrdDYTTAJBfPg5UHpmv3QWW7cD3jON95w="

static void begin_page(struct call *call, int status, const char *title)
{
	struct http_reply *reply = &call->reply;

	reply->status = status;
	reply->content_type = "text/html; charset=utf-8";
	http_reply_header(reply, "Cache-Control", "no-store");
	http_reply_header(reply, "Referrer-Policy", "no-referrer");
	http_reply_header(reply, "Content-Security-Policy",
			  "default-src 'none'; style-src 'sha256-" STYLE_SHA256
			  "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	strbuf_reset(&reply->body);
	strbuf_printf(&reply->body,
		      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		      "<meta name=\"viewport\" content=\"width=device-width\">\n"
		      "<title>%s</title>\n<style>" STYLE
		      "</style>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n",
		      title, title);
}

static void end_page(struct call *call)
{
	struct strbuf *body = &call->reply.body;

	strbuf_puts(body, "<p class=\"small\">Request ");
	strbuf_put_html(body, call->request_id);
	strbuf_puts(body, "</p>\n</main>\n</body>\n</html>\n");
}

void page_reply_connected(struct call *call, const char *branch_id)
{
	struct strbuf *body = &call->reply.body;

	begin_page(call, 200, "Workspace connected");
	strbuf_puts(body, "<p>Branch <strong>");
	strbuf_put_html(body, branch_id);
	strbuf_puts(body, "</strong> is connected. Its access is kept fresh from now on; "
			  "nothing more is to be done.</p>\n<p>You can close this window.</p>\n");
	end_page(call);
}

void page_reply_error(struct call *call, const struct err_info *info, const char *login_url)
{
	struct strbuf *body = &call->reply.body;

	begin_page(call, info->status, "The workspace is not connected");
	strbuf_puts(body, "<p>");
	strbuf_put_html(body, info->message);
	strbuf_puts(body, "</p>\n");
	if (login_url) {
		strbuf_puts(body, "<p><a href=\"");
		strbuf_put_html(body, login_url);
		strbuf_puts(body, "\">Begin again</a></p>\n");
	}
	strbuf_printf(body, "<p class=\"small\">Error <code>%s</code>", info->code);
	if (*call->problem.provider_error) {
		strbuf_puts(body, ", provider: <code>");
		strbuf_put_html(body, call->problem.provider_error);
		strbuf_puts(body, "</code>");
	}
	strbuf_puts(body, "</p>\n");
	end_page(call);
}
