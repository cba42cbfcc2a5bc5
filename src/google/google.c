#include "google/google.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/mem.h"

#include "base/banned.h"

/* However long the provider asks for, it is asked again after a day. */
#define RETRY_AFTER_MAX_S 86400
/* libcurl looks at its own timeouts at least this often. */
#define TURN_MS 1000

struct google {
	struct google_settings settings;
	CURLM *multi;
	CURL *easy;
	const char *form; /* what is left to send of the call under way */
	size_t form_len;
	struct curl_slist *headers;
};

void google_answer_init(struct google_answer *answer)
{
	*answer = (struct google_answer){ 0 };
	strbuf_init(&answer->body, GOOGLE_ANSWER_MAX);
}

void google_answer_release(struct google_answer *answer)
{
	strbuf_release(&answer->body);
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct strbuf *body = arg;

	strbuf_put(body, data, size * count);
	/* Another number than was given makes libcurl end the transfer. */
	return strbuf_ok(body) ? size * count : 0;
}

/*
 * The form is read, not handed over: what libcurl cannot rewind it cannot send a second time by
 * itself when a kept connection dies under a request that the provider may have taken.
 */
static size_t give_form(char *to, size_t size, size_t count, void *arg)
{
	struct google *google = arg;
	size_t len = google->form_len < size * count ? google->form_len : size * count;

	memcpy(to, google->form, len);
	google->form += len;
	google->form_len -= len;
	return len;
}

static int refuse_to_rewind(void *arg, curl_off_t offset, int origin)
{
	(void)arg;
	(void)offset;
	(void)origin;
	return CURL_SEEKFUNC_FAIL;
}

static bool set_options(struct google *google)
{
	CURL *easy = google->easy;
	bool ok = true;

	ok &= !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	ok &= !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	/* libcurl's own defaults: nothing may turn them off unseen. */
	ok &= !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	ok &= !curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)google->settings.timeout_ms);
	ok &= !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)google->settings.timeout_ms);
	ok &= !curl_easy_setopt(easy, CURLOPT_USERAGENT, "token-service/" PACKAGE_VERSION);
	ok &= !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, google->headers);
	ok &= !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	ok &= !curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_POST, 1L);
	ok &= !curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_form);
	ok &= !curl_easy_setopt(easy, CURLOPT_READDATA, google);
	ok &= !curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, refuse_to_rewind);
	/* A name server that hangs must not hold the call past its deadline. */
	ok &= !curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	if (google->settings.ca_file)
		ok &= !curl_easy_setopt(easy, CURLOPT_CAINFO, google->settings.ca_file);
	return ok;
}

enum err google_new(const struct google_settings *settings, struct google **ret_google)
{
	struct google *google = mem_alloc(sizeof(*google));

	google->settings = *settings;
	google->multi = curl_multi_init();
	google->easy = curl_easy_init();
	google->headers = curl_slist_append(NULL, "Accept: application/json");
	if (!google->multi || !google->easy || !google->headers || !set_options(google)) {
		google_free(google);
		return ERR_INTERNAL;
	}
	*ret_google = google;
	return ERR_OK;
}

void google_free(struct google *google)
{
	if (!google)
		return;
	curl_easy_cleanup(google->easy);
	if (google->multi)
		curl_multi_cleanup(google->multi);
	curl_slist_free_all(google->headers);
	free(google);
}

const struct google_settings *google_settings(const struct google *google)
{
	return &google->settings;
}

enum err google_check(const struct google *google, int *ret_wait_s)
{
	if (!breaker_is_open(google->settings.token_breaker))
		return ERR_OK;
	*ret_wait_s = breaker_wait_s(google->settings.token_breaker);
	return ERR_PROVIDER_UNAVAILABLE;
}

static bool admits(struct google *google, struct breaker *breaker)
{
	return breaker_admits(breaker, google->settings.timeout_ms + 1000);
}

enum err google_admit(struct google *google, int *ret_wait_s)
{
	if (admits(google, google->settings.token_breaker))
		return ERR_OK;
	*ret_wait_s = breaker_wait_s(google->settings.token_breaker);
	return ERR_PROVIDER_UNAVAILABLE;
}

enum err google_check_revocation(const struct google *google)
{
	return breaker_is_open(google->settings.revoke_breaker) ? ERR_PROVIDER_UNAVAILABLE : ERR_OK;
}

enum err google_admit_revocation(struct google *google)
{
	return admits(google, google->settings.revoke_breaker) ? ERR_OK : ERR_PROVIDER_UNAVAILABLE;
}

/* Drives the one transfer to its end; libcurl's own timeout bounds it. */
static CURLcode transfer(struct google *google, struct alarm *alarm)
{
	int running = 1, left;

	for (;;) {
		CURLMsg *msg;

		if (curl_multi_perform(google->multi, &running) != CURLM_OK)
			return CURLE_FAILED_INIT;
		alarm_check(alarm);
		msg = curl_multi_info_read(google->multi, &left);
		if (msg && msg->msg == CURLMSG_DONE)
			return msg->data.result;
		if (!running)
			return CURLE_FAILED_INIT;
		if (curl_multi_poll(google->multi, NULL, 0, alarm_wait_ms(alarm, TURN_MS), NULL) !=
		    CURLM_OK)
			return CURLE_FAILED_INIT;
	}
}

static const char *code_of(CURLcode result)
{
	switch (result) {
	case CURLE_OPERATION_TIMEDOUT:
		return "timeout";
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "host_not_found";
	case CURLE_COULDNT_CONNECT:
		return "connection_refused";
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ISSUER_ERROR:
		return "tls_failed";
	default:
		return "connection_lost";
	}
}

static bool is_not_sent(CURLcode result)
{
	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
		return true;
	default:
		return false;
	}
}

/* The time that a header of the answer names; -1: it has none, or no time. */
static time_t header_time(CURL *easy, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return -1;
	return curl_getdate(header->value, NULL);
}

/* Seconds, or a date, which is held against the provider's own clock: this host's may be wrong. */
static int64_t retry_after_s(CURL *easy)
{
	curl_off_t seconds = 0;
	time_t until = header_time(easy, "Retry-After");
	time_t now = header_time(easy, "Date");

	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
	if (until != -1 && now != -1)
		seconds = until > now ? until - now : 0;
	if (seconds < 0) /* libcurl's, for some dates of long ago */
		seconds = 0;
	return seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S;
}

enum err google_post(struct google *google, const char *url, struct breaker *breaker,
		     const char *form, struct alarm *alarm, struct google_answer *ret_answer,
		     const char **ret_code)
{
	CURLcode result;
	long status = 0;

	if (curl_easy_setopt(google->easy, CURLOPT_URL, url) ||
	    curl_easy_setopt(google->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(form)) ||
	    curl_easy_setopt(google->easy, CURLOPT_WRITEDATA, &ret_answer->body) ||
	    curl_multi_add_handle(google->multi, google->easy) != CURLM_OK)
		return ERR_INTERNAL;
	google->form = form;
	google->form_len = strlen(form);
	result = transfer(google, alarm);
	curl_multi_remove_handle(google->multi, google->easy);
	google->form = NULL;
	google->form_len = 0;
	breaker_report(breaker, result == CURLE_OK || !strbuf_ok(&ret_answer->body));
	if (!strbuf_ok(&ret_answer->body))
		return ERR_PROVIDER_ERROR;
	if (result != CURLE_OK) {
		*ret_code = code_of(result);
		ret_answer->not_sent = is_not_sent(result);
		return ERR_PROVIDER_UNAVAILABLE;
	}
	curl_easy_getinfo(google->easy, CURLINFO_RESPONSE_CODE, &status);
	ret_answer->status = (int)status;
	ret_answer->retry_after_s = retry_after_s(google->easy);
	return ERR_OK;
}
