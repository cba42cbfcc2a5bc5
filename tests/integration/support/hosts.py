"""Two hosts over one database, and what tests of refreshing ask of them."""

import contextlib
import time

from .processes import seconds, wait_until

# Settings of a service that outlasts a machine which stands still for seconds: what a test holds open on purpose is not
# ended by a limit that it is not about.
PATIENT = {"REFRESH_WAIT_MS": "25000", "GOOGLE_TIMEOUT_MS": "30000"}
# A caller with a token that works who waited as long may have been answered before the refresh was over.
SOFT_WAIT_S = 0.95
# Who is refused after so long had a database that did not answer, for 1.5 s; the worker asks it again within so long.
DB_CALL_S, ASKED_AGAIN_S = 1.4, 1.25
# Who was given up by nginx, after 5 s.
GIVEN_UP_S = 4.9
# The key of the advisory lock that Gate's trigger asks for.
GATE = 4711


def two_hosts(make_service, database=None, **env):
    """Two Services over one database, both with these settings."""
    env = {"REFRESHERS": "2", **env}
    return tuple(make_service(env=env, database=database) for _ in range(2))


def fetch(service, client, **params):
    return service.get(f"/tokens/{client['branch_identifier']}", params=params)


def start_fetch(service, client):
    return service.start("GET", f"/tokens/{client['branch_identifier']}")


def start_herd(hosts, client, number):
    """So many readers at once, shared out among the hosts."""
    return [start_fetch(hosts[i % len(hosts)], client) for i in range(number)]


def results(calls):
    return [call.result(seconds(90)) for call in calls]


def in_one_of_three_rounds(play):
    """play() gives what took too long, nothing in at least one round: the machine may stand still in the others.

    What else play() asserts counts in each.
    """
    for _ in range(3):
        late = play()
        if not late:
            return
    raise AssertionError(f"too late in each of three rounds, in the last one: {late}")


def timed(call):
    """(begun, ended, response) of call(), monotonic."""
    begun = time.monotonic()
    response = call()
    return begun, time.monotonic(), response


def is_without_database(answer):
    """Refused for a database that was not there in time."""
    return answer.status_code == 503 and answer.json()["error"] == "database_unavailable"


def unexcused(answers, at_most):
    """The responses of (begun, ended, response) that failed, but for those of a machine that stood still.

    That is a database which did not answer in time, with what its workers refuse until they ask it again, and a call that
    nginx gave up: where either happened to at most so many calls. More are no accident.
    """
    failed = [(*each, each[2].json()["error"]) for each in answers if each[2].status_code not in (200, 201)]

    def that_took(limit, code):
        found = [(begun, ended) for begun, ended, _, error in failed if error == code and ended - begun >= limit]
        return found if len(found) <= at_most else []

    frozen = that_took(DB_CALL_S, "database_unavailable")
    given_up = that_took(GIVEN_UP_S, "overloaded")

    def is_excused(begun, ended, error):
        if error == "overloaded":
            return (begun, ended) in given_up
        return error == "database_unavailable" and any(
            ended > end - DB_CALL_S and begun < end + ASKED_AGAIN_S for _, end in frozen)

    return [response for begun, ended, response, error in failed if not is_excused(begun, ended, error)]


def token_of(response):
    assert response.status_code == 200, response.text
    return response.json()["access_token"]


def refused(response, status, code):
    assert response.status_code == status, response.text
    body = response.json()
    assert body["error"] == code, body
    assert "access_token" not in body
    return body


def make_due(service, client, seconds_ago=1):
    """Leaves the row to the refreshers."""
    touched = service.database.execute(
        "UPDATE tokens SET refresh_due_at = now() - %s * interval '1 second' WHERE client_id = %s",
        (seconds_ago, client["client_id"]),
    )
    assert touched == 1, "the client has no token"


def waiting_for_locks(database):
    """How many sessions wait for somebody else's lock."""
    return database.one(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )[0]


def wait_for_waiters(database, number):
    wait_until(lambda: waiting_for_locks(database) >= number, what=f"{number} sessions wait for a lock")


@contextlib.contextmanager
def locked(database, statement, params=None):
    """A transaction of the test's own, open inside the block."""
    connection = database.connect()
    try:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute(statement, params)
            yield cursor
    finally:
        connection.close()


BEFORE_UPDATE = "TRIGGER gate BEFORE UPDATE ON tokens"
# After PostgreSQL's own trigger, which goes by name too and locks the client's key.
AFTER_INSERT = "TRIGGER gate AFTER INSERT ON tokens"
AT_COMMIT = "CONSTRAINT TRIGGER gate AFTER INSERT OR UPDATE ON tokens DEFERRABLE INITIALLY DEFERRED"


class Gate:
    """Holds every UPDATE of tokens, or what else the trigger says, inside the server until open().

    Not by a lock that is waited for: lock_timeout would end that.
    """

    def __init__(self, database, trigger=BEFORE_UPDATE):
        self.database = database
        self.connection = database.connect()
        database.execute(
            f"""CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                WHILE NOT pg_try_advisory_xact_lock_shared({GATE}) LOOP
                    PERFORM pg_sleep(0.002);
                END LOOP;
                RETURN NEW;
            END $$;
            CREATE {trigger} FOR EACH ROW EXECUTE FUNCTION gate()"""
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open()

    def shut(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (GATE,))

    def _held(self):
        return self.database.all(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )

    def wait_for_update(self):
        """Until one stands before it; the pid of its server process."""
        return wait_until(self._held, what="a statement before the gate")[0][0]

    def open(self):
        """Its lock ends with the connection."""
        self.connection.close()
