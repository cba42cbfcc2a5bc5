#include "api/health.h"

#include "base/clock.h"
#include "domain/health.h"

#include "base/banned.h"

#define SERVICE "Token Generation Service"

enum err root_ask(struct call *call)
{
	bool production = call->domain->config->environment == ENVIRONMENT_PRODUCTION;
	struct json_out body = call_begin_json(call, 200);

	json_out_string(&body, "service", SERVICE);
	json_out_string(&body, "version", PACKAGE_VERSION);
	json_out_string(&body, "status", "running");
	json_out_string(&body, "environment", production ? "production" : "development");
	call_end_json(call, &body);
	return ERR_OK;
}

enum err health_get_ask(struct call *call)
{
	health_ask(&call->query);
	return ERR_OK;
}

enum err health_get_answer(struct call *call)
{
	bool good = !call->query.err;
	struct json_out body = call_begin_json(call, good ? 200 : 503);

	json_out_string(&body, "status", good ? "healthy" : "unhealthy");
	json_out_string(&body, "service", SERVICE);
	json_out_string(&body, "version", PACKAGE_VERSION);
	json_out_time(&body, "timestamp", clock_unix_us());
	json_out_string(&body, "database", good ? "connected" : "disconnected");
	if (!good)
		http_reply_header_number(&call->reply, "Retry-After", 1);
	call_end_json(call, &body);
	return ERR_OK;
}

enum err health_live_ask(struct call *call)
{
	struct json_out body = call_begin_json(call, 200);

	json_out_string(&body, "status", "alive");
	call_end_json(call, &body);
	return ERR_OK;
}

enum err health_ready_ask(struct call *call)
{
	readiness_ask(&call->query);
	return ERR_OK;
}

enum err health_ready_answer(struct call *call)
{
	bool ready = readiness_answer(&call->query);
	bool connected = call->query.err != ERR_DATABASE_UNAVAILABLE;
	struct json_out body = call_begin_json(call, ready ? 200 : 503);

	json_out_string(&body, "status", ready ? "ready" : "not_ready");
	json_out_string(&body, "database", connected ? "connected" : "disconnected");
	if (connected)
		json_out_string(&body, "schema", ready ? "migrated" : "migrations_pending");
	if (!ready)
		http_reply_header_number(&call->reply, "Retry-After", 1);
	call_end_json(call, &body);
	return ERR_OK;
}
