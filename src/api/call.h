/*
 * One call on its way through a worker: request in, reply out.
 *
 * In the database pool a handler is two functions over one statement: ask() reads the request
 * and fills call->query (or leaves it empty, when no statement is needed), answer() turns the
 * result into the reply. In the exchange pool it is one function, run(), that does everything.
 * An error that any of them returns becomes the reply by call_fail().
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "base/json.h"
#include "base/json_out.h"
#include "domain/caller.h"
#include "domain/client.h"
#include "domain/domain.h"
#include "domain/key.h"
#include "domain/login.h"
#include "http/message.h"
#include "http/params.h"

#define CALL_ARGS_MAX 2
#define CALL_ARGS_TEXT_MAX 4096

struct route;

struct call {
	/* Set by the worker. */
	const struct domain *domain;
	const struct http_request *req;
	int64_t arrived_ms;             /* monotonic: when nginx had the request */
	int64_t arrived_us;             /* the same; of nginx's part to the millisecond */
	int64_t deadline_ms;            /* monotonic: when the worker must be done */
	bool (*claim_exchange)(void *); /* is a worker of the exchange pool idle? Then it is ours */
	void (*view)(void *, struct metrics_view *); /* what all workers have counted */
	void *worker_arg;                            /* of these two */
	void (*send)(struct call *);                 /* sends call->reply; only once */
	void *send_arg;

	/* Set on the way. */
	const struct route *route;
	struct caller caller;         /* borrows from the answer about its key until call_end() */
	char key_hash[KEY_HASH_SIZE]; /* of the key that is to be asked for; "": none */
	bool key_sent;
	bool handed_on;                        /* to the exchange pool */
	int64_t client_id;                     /* whose token was answered; 0: nobody's */
	char request_id[HTTP_REQUEST_ID_SIZE]; /* a copy: after an early answer req is gone */
	const char *args[CALL_ARGS_MAX]; /* decoded path segments of {…} in the route's pattern */
	struct db_query query;
	struct problem problem;
	struct json_object *body;
	struct http_reply reply;
	bool sent;
	int64_t answered_us; /* monotonic, of what was sent early; 0: it was not */

	/* Room that handlers use between ask and answer; not cleared between calls. */
	struct http_params params;
	struct login login;
	char pattern[CLIENT_SEARCH_MAX * 2 + 3];
	char args_text[CALL_ARGS_TEXT_MAX];
};

struct call *call_new(void);
void call_free(struct call *call);
/* Begins a call for @req; what the worker set otherwise stays. */
void call_begin(struct call *call, const struct http_request *req);
/* Lets go of what this call holds; before the next call_begin(). */
void call_end(struct call *call);

/* Reads the body as JSON into call->body: ERR_BODY_TOO_LARGE, ERR_UNSUPPORTED_MEDIA_TYPE,
 * ERR_MALFORMED_REQUEST. */
MUST_CHECK enum err call_read_json(struct call *call);
/* Reads the query string into call->params: ERR_MALFORMED_REQUEST. */
MUST_CHECK enum err call_read_params(struct call *call);
/* A whole number from a query parameter; @fallback when absent. ERR_VALIDATION_FAILED with a
 * fault: not from @min to @max. */
MUST_CHECK enum err call_param_int(struct call *call, const char *name, int64_t min, int64_t max,
				   int64_t fallback, int64_t *ret_value);
/* As whom this call is written down; borrows from @call. */
struct audit_actor call_actor(const struct call *call);
/* Path argument @index as a client's id. ERR_CLIENT_NOT_FOUND: it can be none's. */
MUST_CHECK enum err call_arg_id(const struct call *call, int index, int64_t *ret_id);

/* The reply is a JSON object, whose members are written in between. */
struct json_out call_begin_json(struct call *call, int status);
void call_end_json(struct call *call, struct json_out *body);
/* Makes @err the reply. */
void call_fail(struct call *call, enum err err);

#endif
