#include "store/db.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/db_internal.h"

#include "base/banned.h"

#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 1000
/* For a connection to a server that was silent: with the round that noticed it, a caller who
 * waited for that round is still told in less than two such rounds. */
#define CONNECT_AGAIN_MS 800

bool db_url_is_valid(const char *url)
{
	PQconninfoOption *options;
	bool valid;

	/* libpq takes a word alone for a database's name, but not here. */
	if (!strchr(url, '=') && !strstr(url, "://"))
		return false;
	options = PQconninfoParse(url, NULL);
	valid = options != NULL;
	for (PQconninfoOption *option = options; option && option->keyword; option++) {
		/* which libpq looks at only when it connects */
		if (option->val && !strcmp(option->keyword, "port"))
			valid = strspn(option->val, "0123456789,") == strlen(option->val);
	}
	PQconninfoFree(options);
	return valid;
}

struct db *db_new(const char *url)
{
	struct db *db = mem_alloc(sizeof(*db));

	db->url = url;
	db_hosts_init(&db->hosts, url);
	db->prepares = true;
	return db;
}

void db_set_prepares(struct db *db, bool prepares)
{
	db->prepares = prepares;
}

void db_set_password(struct db *db, const char *password)
{
	db->password = password;
}

void db_free(struct db *db)
{
	if (!db)
		return;
	db_close(db);
	db_hosts_release(&db->hosts);
	free(db);
}

void db_on_connect(struct db *db, db_connect_fn *fn, void *arg)
{
	db->on_connect = fn;
	db->on_connect_arg = arg;
}

void db_set_metrics(struct db *db, struct metrics *metrics)
{
	db->metrics = metrics;
}

void db_set_presence(struct db *db, struct db_presence *presence)
{
	db->presence = presence;
}

void db_note_away(struct db *db)
{
	if (db->presence)
		db->presence->away_ms = clock_monotonic_ms();
}

void db_skip_backoff(struct db *db)
{
	db->retry_at_ms = 0;
}

void db_close(struct db *db)
{
	PQfinish(db->conn);
	db->conn = NULL;
	db->lost = true;
	db->nprepared = 0;
}

void db_set_alarm(struct db *db, struct alarm *alarm)
{
	db->alarm = alarm;
}

enum err db_refusal(const struct db *db)
{
	return db->refusal;
}

bool db_is_lost(const struct db *db)
{
	return db->lost;
}

int db_fd(const struct db *db)
{
	return db->conn ? PQsocket(db->conn) : -1;
}

const char *db_last_error(const struct db *db)
{
	return db->last_error;
}

/* libpq's messages have several lines; the log's events have one. */
void db_set_error(struct db *db, const char *message)
{
	size_t len;

	snprintf(db->last_error, sizeof(db->last_error), "%s", message ? message : "");
	len = strlen(db->last_error);
	while (len && db->last_error[len - 1] == '\n')
		db->last_error[--len] = '\0';
	for (char *s = db->last_error; (s = strchr(s, '\n')); s++)
		*s = ' ';
}

void db_set_failure(struct db *db, struct db_query *query, const char *sqlstate,
		    const char *message)
{
	char failure[sizeof(db->failure)];

	snprintf(failure, sizeof(failure), "%s: %s %s", query->stmt->name, sqlstate,
		 message ? message : "");
	free(query->failure);
	query->failure = mem_strdup(failure);
	if (!*db->failure)
		memcpy(db->failure, failure, sizeof(failure));
}

const char *db_failure(const struct db *db)
{
	return db->failure;
}

void db_clear_failure(struct db *db)
{
	db->failure[0] = '\0';
}

enum err db_wait(struct db *db, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd fd = { .fd = PQsocket(db->conn), .events = events };
		int left_ms = clock_left_ms(deadline_ms);
		int n = poll(&fd, 1, alarm_wait_ms(db->alarm, left_ms));

		if (n > 0)
			return ERR_OK;
		alarm_check(db->alarm);
		if ((n < 0 && errno == EINTR) || (n == 0 && clock_left_ms(deadline_ms) > 0))
			continue;
		db->silent = n == 0;
		db_set_error(db, n ? strerror(errno) : "no answer in time");
		return ERR_DATABASE_UNAVAILABLE;
	}
}

void db_check(struct db *db)
{
	if (!db->conn)
		return;
	if (PQconsumeInput(db->conn) && PQstatus(db->conn) == CONNECTION_OK && !PQisBusy(db->conn))
		return;
	/* Nothing was asked: what came is the server's good-bye. */
	db_set_error(db, PQerrorMessage(db->conn));
	db_note_away(db);
	db_close(db);
}

static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

static enum err connect_poll(struct db *db, int64_t deadline_ms)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (!db->conn || PQstatus(db->conn) == CONNECTION_BAD)
		return ERR_DATABASE_UNAVAILABLE;
	while (status != PGRES_POLLING_OK) {
		enum err err = db_wait(db, status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
				       deadline_ms);

		if (err)
			return err;
		status = PQconnectPoll(db->conn);
		if (status == PGRES_POLLING_FAILED)
			return ERR_DATABASE_UNAVAILABLE;
	}
	if (PQsetnonblocking(db->conn, 1) || !PQenterPipelineMode(db->conn))
		return ERR_DATABASE_UNAVAILABLE;
	return ERR_OK;
}

/* Doubling, with a quarter of jitter either way: a fleet of workers does not come as one. */
static void back_off(struct db *db)
{
	int jitter;

	db->backoff_ms = db->backoff_ms ? db->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (db->backoff_ms > BACKOFF_MAX_MS)
		db->backoff_ms = BACKOFF_MAX_MS;
	jitter = (int)(random() % (db->backoff_ms / 2)) - db->backoff_ms / 4;
	db->retry_at_ms = clock_monotonic_ms() + db->backoff_ms + jitter;
}

/* Lets db_on_connect()'s function see the new connection; its statements must not open another. */
static enum err ask_on_connect(struct db *db, int64_t deadline_ms)
{
	enum err err;

	if (!db->on_connect)
		return ERR_OK;
	db->connecting = true;
	err = db->on_connect(db->on_connect_arg, db, deadline_ms);
	db->connecting = false;
	return err;
}

static void note_connect(struct db *db, enum err err)
{
	/* Of those who saw it go the first one to come back says so, or who comes before them. */
	if (!err && db->presence && db->presence->away_ms > db->presence->back_ms)
		db->presence->back_ms = clock_monotonic_ms();
	if (db->metrics && err)
		metrics_count(&db->metrics->database_connect_failures, 1);
	else if (db->metrics && db->connected_before)
		metrics_count(&db->metrics->database_reconnects, 1);
	db->connected_before |= !err;
}

static enum err connect_once(struct db *db, int64_t deadline_ms)
{
	/* "dbname" takes a whole URL or keyword string when it is to be expanded. */
	const char *const keys[] = { "password",        "dbname", "host",
				     "hostaddr",        "port",   "fallback_application_name",
				     "client_encoding", NULL };
	const char *const values[] = { db->password,    db->url,
				       db->hosts.names, db->hosts.addresses,
				       db->hosts.ports, "token-service",
				       "UTF8",          NULL };
	enum err err;

	db_set_error(db, "");
	db->silent = false;
	db->conn = PQconnectStartParams(keys, values, 1);
	if (db->conn)
		PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
	err = connect_poll(db, deadline_ms);
	if (err && db->conn && !*db->last_error)
		db_set_error(db, PQerrorMessage(db->conn));
	if (err)
		db_close(db);
	return err;
}

/* A host that is silent must not use up the time of those that come after it. */
static enum err connect_in_turn(struct db *db, int64_t deadline_ms)
{
	bool was_silent = db->silent;
	enum err err = ERR_DATABASE_UNAVAILABLE;

	for (size_t left = db->hosts.count; err && left; left--) {
		err = connect_once(db,
				   clock_monotonic_ms() + clock_left_ms(deadline_ms) / (int)left);
		if (!db->silent)
			break;
		db_hosts_next(&db->hosts);
	}
	db->silent |= was_silent;
	return err;
}

enum err db_connect(struct db *db, int64_t deadline_ms)
{
	enum err err;

	if (db->conn)
		return ERR_OK;
	if (db->connecting)
		return ERR_DATABASE_UNAVAILABLE;
	if (clock_monotonic_ms() < db->retry_at_ms)
		return db->refusal ? db->refusal : ERR_DATABASE_UNAVAILABLE;
	if (db->silent && clock_left_ms(deadline_ms) > CONNECT_AGAIN_MS)
		deadline_ms = clock_monotonic_ms() + CONNECT_AGAIN_MS;
	db->refusal = ERR_OK;
	err = connect_in_turn(db, deadline_ms);
	if (err) {
		db_note_away(db);
	} else {
		err = ask_on_connect(db, deadline_ms);
		if (err && err != ERR_DATABASE_UNAVAILABLE)
			db->refusal = err;
	}
	note_connect(db, err);
	if (err) {
		db_close(db);
		back_off(db);
		return err;
	}
	db->lost = false;
	db->silent = false;
	db->backoff_ms = 0;
	db->retry_at_ms = 0;
	return ERR_OK;
}
