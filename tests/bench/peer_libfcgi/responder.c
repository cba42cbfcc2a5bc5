/*
 * responder SOCKET WORKERS: GET /tokens/{branch_id} as libfcgi's own manual has it: a process takes
 * one request at a time, asks one prepared statement, and answers with json-c. No keys, no sealing,
 * no log, no refresh. DATABASE_URL: a database with the original's tables.
 */
#include <fcgiapp.h>
#include <json-c/json.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 1024
#define WORKERS_MAX 64
#define PREFIX "/tokens/"

#define STATEMENT "token"
#define SQL                                                                                        \
	"SELECT c.id, t.access_token, to_char(t.expires_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), "     \
	"t.token_type FROM clients c JOIN tokens t ON t.client_id = c.id "                         \
	"WHERE c.branch_id = $1 AND t.is_valid ORDER BY t.created_at DESC LIMIT 1"

static PGconn *connect_database(void)
{
	const char *url = getenv("DATABASE_URL");
	PGconn *conn = PQconnectdb(url ? url : "");
	PGresult *result = PQprepare(conn, STATEMENT, SQL, 1, NULL);

	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		fprintf(stderr, "responder: %s", PQerrorMessage(conn));
		_exit(1);
	}
	PQclear(result);
	return conn;
}

static void put_text(struct json_object *obj, const char *key, const char *value)
{
	json_object_object_add(obj, key, json_object_new_string(value));
}

static struct json_object *answer_of(const PGresult *result, const char *branch)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(obj, "success", json_object_new_boolean(true));
	put_text(obj, "message", "Token retrieved successfully");
	json_object_object_add(obj, "client_id",
			       json_object_new_int64(strtoll(PQgetvalue(result, 0, 0), NULL, 10)));
	put_text(obj, "branch_id", branch);
	put_text(obj, "access_token", PQgetvalue(result, 0, 1));
	json_object_object_add(obj, "refresh_token", NULL);
	put_text(obj, "expires_at", PQgetvalue(result, 0, 2));
	put_text(obj, "token_type", PQgetvalue(result, 0, 3));
	return obj;
}

static void send_json(FCGX_Request *request, const char *status, struct json_object *obj)
{
	size_t len;
	const char *text = json_object_to_json_string_length(obj, JSON_C_TO_STRING_PLAIN, &len);

	FCGX_FPrintF(request->out,
		     "Status: %s\r\nContent-Type: application/json\r\n"
		     "Content-Length: %d\r\n\r\n",
		     status, (int)len);
	FCGX_PutStr(text, (int)len, request->out);
}

static void answer(PGconn *conn, FCGX_Request *request)
{
	const char *uri = FCGX_GetParam("DOCUMENT_URI", request->envp);
	const char *branch =
		uri && !strncmp(uri, PREFIX, strlen(PREFIX)) ? uri + strlen(PREFIX) : "";
	PGresult *result = PQexecPrepared(conn, STATEMENT, 1, &branch, NULL, NULL, 0);
	struct json_object *obj;

	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
		obj = answer_of(result, branch);
		send_json(request, "200 OK", obj);
	} else {
		obj = json_object_new_object();
		put_text(obj, "detail", "Not found");
		send_json(request, "404 Not Found", obj);
	}
	json_object_put(obj);
	PQclear(result);
}

static _Noreturn void serve(int listen_fd)
{
	FCGX_Request request;
	PGconn *conn;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	conn = connect_database();
	FCGX_InitRequest(&request, listen_fd, 0);
	while (FCGX_Accept_r(&request) == 0) {
		answer(conn, &request);
		FCGX_Finish_r(&request);
	}
	_exit(1);
}

int main(int argc, char **argv)
{
	long workers = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	int listen_fd;

	if (workers < 1 || workers > WORKERS_MAX) {
		fputs("usage: responder SOCKET WORKERS\n", stderr);
		return 2;
	}
	if (FCGX_Init() || (listen_fd = FCGX_OpenSocket(argv[1], BACKLOG)) < 0)
		return 1;
	/* libfcgi's would have it finish its request first. */
	signal(SIGTERM, SIG_DFL);
	for (long i = 0; i < workers; i++) {
		if (fork() == 0)
			serve(listen_fd);
	}
	/* A worker that ends is a fault; the others go with this one. */
	wait(NULL);
	return 1;
}
