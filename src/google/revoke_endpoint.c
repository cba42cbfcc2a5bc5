#include "google/revoke_endpoint.h"

#include "base/clock.h"

#include "base/banned.h"

#define FORM_MAX 16384

static enum err ask(struct google *google, const char *token)
{
	CLEANUP(google_answer_release) struct google_answer answer;
	CLEANUP(strbuf_release) struct strbuf form = STRBUF_INIT(FORM_MAX);
	const char *code;
	enum err err;

	google_answer_init(&answer);
	strbuf_puts(&form, "token=");
	strbuf_put_percent(&form, token);
	if (!strbuf_ok(&form))
		return ERR_INTERNAL;
	err = google_post(google, google_settings(google)->revoke_url,
			  google_settings(google)->revoke_breaker, form.data, NULL, &answer, &code);
	if (err)
		return err;
	/* 400 is Google's answer for a token that is dead already. */
	if (answer.status == 200 || answer.status == 400)
		return ERR_OK;
	return answer.status >= 500 || answer.status == 429 ? ERR_PROVIDER_UNAVAILABLE
							    : ERR_PROVIDER_ERROR;
}

enum err revoke_endpoint_revoke(struct google *google, const char *token)
{
	int64_t begun_us = clock_monotonic_us();
	enum err err = ask(google, token);

	metrics_count_provider_call(google_settings(google)->metrics, METRICS_REVOKE, err,
				    clock_monotonic_us() - begun_us);
	return err;
}
