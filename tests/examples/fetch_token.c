/*
 * fetch_token BRANCH: prints a working access token, with libcurl and json-c.
 *
 *	cc -o fetch_token fetch_token.c $(pkg-config --cflags --libs libcurl json-c)
 *
 * Exit status 3: a person has to connect the branch (again); the link is on standard error.
 * TOKEN_SERVICE_URL: where the service is. TOKEN_SERVICE_KEY: the API key, where one is required.
 */
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPTS 5
#define ANSWER_MAX 65536

struct answer {
	char text[ANSWER_MAX];
	size_t len;
};

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
	struct answer *answer = arg;
	size_t len = size * count;

	if (len >= ANSWER_MAX - answer->len)
		return 0; /* ends the transfer */
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	answer->text[answer->len] = '\0';
	return len;
}

static const char *member(struct json_object *answer, const char *name)
{
	return json_object_get_string(json_object_object_get(answer, name));
}

/* What the program ends with; -1: ask again. */
static int tell(long status, struct json_object *answer)
{
	const char *error = member(answer, "error"), *login_url = member(answer, "login_url");

	if (status == 200 && member(answer, "access_token")) {
		puts(member(answer, "access_token"));
		return 0;
	}
	if (status == 429 || status == 503)
		return -1;
	fprintf(stderr, "%s: %s\n%s\n", error ? error : "error",
		error ? member(answer, "message") : "no answer of the token service",
		login_url ? login_url : "");
	return error && (!strcmp(error, "authorization_required") ||
			 !strcmp(error, "reauthorization_required")) ? 3 : 1;
}

static int ask(CURL *curl)
{
	static struct answer answer;
	struct json_object *json;
	curl_off_t wait_s = 0;
	CURLcode code;
	long status = 0;
	int exit_status;

	answer.len = 0;
	answer.text[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
	code = curl_easy_perform(curl);
	if (code) {
		fprintf(stderr, "%s\n", curl_easy_strerror(code));
		return 1;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	json = json_tokener_parse(answer.text);
	exit_status = tell(status, json);
	json_object_put(json);
	if (exit_status < 0) {
		curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s);
		sleep(wait_s ? (unsigned)wait_s : 1);
	}
	return exit_status;
}

int main(int argc, char **argv)
{
	const char *base = getenv("TOKEN_SERVICE_URL"), *key = getenv("TOKEN_SERVICE_KEY");
	struct curl_slist *headers = NULL;
	char url[2048], header[512], *branch;
	int exit_status = -1;
	CURL *curl;

	if (argc != 2 || curl_global_init(CURL_GLOBAL_DEFAULT) || !(curl = curl_easy_init()))
		return 2;
	branch = curl_easy_escape(curl, argv[1], 0);
	snprintf(url, sizeof(url), "%s/tokens/%s", base ? base : "http://token-service:8002", branch);
	curl_free(branch);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (key) {
		snprintf(header, sizeof(header), "Authorization: Bearer %s", key);
		headers = curl_slist_append(headers, header);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	}
	for (int i = 0; i < ATTEMPTS && exit_status < 0; i++)
		exit_status = ask(curl);
	if (exit_status < 0)
		fputs("the token service is busy\n", stderr);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	return exit_status < 0 ? 1 : exit_status;
}
