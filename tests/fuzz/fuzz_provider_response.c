/* Whole HTTP responses of the provider, read by libcurl from a socket on loopback: status,
 * Retry-After, length, encoding. Whatever comes, the call ends as its header says. */
#include "fuzz.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "google/token_endpoint.h"

#define TIMEOUT_MS 2000

/* The provider: answers each connection with the input of this moment, and closes it. */
struct provider {
	int listen_fd;
	char url[64];
	pthread_mutex_t lock;
	const uint8_t *data;
	size_t size;
};

static void answer_one(struct provider *provider, int fd)
{
	char request[4096];
	size_t sent = 0;

	if (recv(fd, request, sizeof(request), 0) > 0) {
		pthread_mutex_lock(&provider->lock);
		while (sent < provider->size) {
			ssize_t n = send(fd, provider->data + sent, provider->size - sent,
					 MSG_NOSIGNAL | MSG_DONTWAIT);

			if (n <= 0)
				break;
			sent += (size_t)n;
		}
		pthread_mutex_unlock(&provider->lock);
	}
	/* What was not read would make the close a reset. */
	shutdown(fd, SHUT_WR);
	while (recv(fd, request, sizeof(request), 0) > 0)
		;
	close(fd);
}

static void *serve(void *arg)
{
	struct provider *provider = arg;

	for (;;) {
		int fd = accept(provider->listen_fd, NULL, NULL);
		struct timeval patience = { .tv_usec = 200000 };

		FUZZ_CHECK(fd >= 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		answer_one(provider, fd);
	}
	return NULL;
}

static void provider_start(struct provider *provider)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	pthread_t thread;

	pthread_mutex_init(&provider->lock, NULL);
	provider->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FUZZ_CHECK(!bind(provider->listen_fd, (struct sockaddr *)&address, len));
	FUZZ_CHECK(!listen(provider->listen_fd, 16));
	FUZZ_CHECK(!getsockname(provider->listen_fd, (struct sockaddr *)&address, &len));
	snprintf(provider->url, sizeof(provider->url), "http://127.0.0.1:%d/token",
		 ntohs(address.sin_port));
	FUZZ_CHECK(!pthread_create(&thread, NULL, serve, provider));
	pthread_detach(thread);
}

static void give(struct provider *provider, const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&provider->lock);
	provider->data = data;
	provider->size = size;
	pthread_mutex_unlock(&provider->lock);
}

static void check(struct google *google)
{
	struct token_answer token = { 0 };
	struct provider_failure failure = { 0 };
	enum err err =
		token_endpoint_refresh(google, "id", "secret", "refresh", NULL, &token, &failure);

	FUZZ_CHECK(!failure.not_sent);
	FUZZ_CHECK(failure.retry_after_s >= 0 && failure.retry_after_s <= 86400);
	FUZZ_CHECK(!err == secret_is_set(&token.access_token));
	FUZZ_CHECK(err || (token.expires_in_s >= 1 && token.expires_in_s <= 86400));
	FUZZ_CHECK(!err || provider_code_is_plain(failure.code) ||
		   !strncmp(failure.code, "http_", 5));
	FUZZ_CHECK(!err || err == ERR_PROVIDER_UNAVAILABLE || err == ERR_PROVIDER_ERROR ||
		   err == ERR_REAUTHORIZATION_REQUIRED || err == ERR_CLIENT_CREDENTIALS_REJECTED);
	token_answer_release(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct provider provider;
	static struct breaker breaker;
	struct google_settings settings = { .token_url = provider.url,
					    .timeout_ms = TIMEOUT_MS,
					    .token_breaker = &breaker,
					    .revoke_breaker = &breaker };
	struct google *google = NULL;

	if (!provider.listen_fd)
		provider_start(&provider);
	unsetenv("http_proxy");
	give(&provider, data, size);
	/* A handle of its own: no connection is left from the input before. */
	FUZZ_CHECK(google_new(&settings, &google) == ERR_OK);
	check(google);
	google_free(google);
	give(&provider, NULL, 0);
	return 0;
}
