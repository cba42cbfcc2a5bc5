"""Who may call: API keys at the gate, on every route, in the same round trip as the call itself."""

import contextlib
import threading
import time

import psycopg2
import pytest

from support import keys
from support.flow import connect_fast, expire, register, registration, rows
from support.hosts import PATIENT, locked, results, timed, two_hosts, unexcused, waiting_for_locks
from support.proxy import CountingProxy
from support.keys import REQUIRED, acting, bearer
from support.processes import wait_until
from support.trouble import frozen

BRANCHES = "acme-*"
UNKNOWN = "tsk_" + "A" * 43


def all_cells(status):
    return dict.fromkeys(("none", "unknown", "expired", "revoked", "other", "fetcher", "admin"), status)


def cells(other, fetcher, admin):
    """For a call that needs a key."""
    return {**all_cells(401), "other": other, "fetcher": fetcher, "admin": admin}


# Every route of the program, with the status for each kind of caller.
TABLE = {
    ("GET", "/"): all_cells(200),
    ("GET", "/health"): all_cells(200),
    ("GET", "/health/live"): all_cells(200),
    ("GET", "/health/ready"): all_cells(200),
    ("GET", "/oauth/login/{client_id}"): all_cells(302),
    ("GET", "/auth/callback"): all_cells(400),
    ("GET", "/metrics"): cells(403, 403, 200),
    ("POST", "/clients"): cells(403, 403, 201),
    ("GET", "/clients"): cells(403, 403, 200),
    ("GET", "/clients/{client_id}"): cells(403, 403, 200),
    ("PATCH", "/clients/{client_id}"): cells(403, 403, 200),
    ("DELETE", "/clients/{client_id}"): cells(403, 403, 204),
    ("GET", "/tokens/{branch_id}"): cells(403, 200, 200),
    ("POST", "/tokens/{branch_id}/revoke"): cells(403, 403, 200),
    ("POST", "/tokens/refresh"): cells(403, 200, 200),
}


class Callers:
    """A key of each kind; None: no key."""

    def __init__(self, database):
        self.keys = {
            "none": None,
            "unknown": UNKNOWN,
            "expired": keys.create(database, "admin", "--expires", "1h"),
            "revoked": keys.create(database, "admin"),
            "other": keys.create(database, "fetcher", "--branches", "other-*"),
            "fetcher": keys.create(database, "fetcher", "--branches", BRANCHES),
            "admin": keys.create(database, "admin"),
        }
        keys.expire(database, self.keys["expired"])
        keys.revoke(database, self.keys["revoked"])

    def headers(self, kind):
        return bearer(self.keys[kind]) if self.keys[kind] else {}


@pytest.fixture
def service(make_service):
    return make_service(REQUIRED)


@pytest.fixture
def callers(database):
    return Callers(database)


def connected(service, provider, callers, branch_id, **grant):
    """A client that an administrator registered, with a token; login_url is of after that."""
    with acting(service, callers.keys["admin"]):
        client = register(service, provider, branch_id=branch_id)
        connect_fast(service, provider, client, **grant)
        return service.get(f"/clients/{client['client_id']}").json()


def call(service, client, method, pattern, **kwargs):
    """The route's call for this client."""
    branch = client["branch_identifier"]
    path = pattern.format(client_id=client["client_id"], branch_id=branch)
    if pattern.startswith("/oauth/login/"):
        path = client["login_url"].removeprefix(service.url)
    if pattern == "/metrics":  # on this host it is open to callers of it
        kwargs["headers"] = {**kwargs["headers"], "X-Forwarded-For": "192.0.2.1"}
    body = {
        ("POST", "/clients"): registration(service, branch_id=f"{branch}-more"),
        ("PATCH", "/clients/{client_id}"): {"workspace_name": "Changed"},
        ("POST", "/tokens/refresh"): {"branch_id": branch},
    }.get((method, pattern))
    return service.request(method, path, json=body, **kwargs)


# --- the table -----------------------------------------------------------------------------------


def test_table_has_every_route_of_the_program():
    """A route that is added needs a row, and one that is open is said to be."""
    routes = keys.routes()
    assert routes.keys() == TABLE.keys()
    for route, access in routes.items():
        statuses = TABLE[route]
        opened = statuses["none"] != 401
        assert (access == "OPEN") == opened, route
        assert (access == "FETCHER") == (not opened and statuses["fetcher"] < 300), route


@pytest.mark.parametrize("method, pattern", TABLE, ids=[f"{method} {pattern}" for method, pattern in TABLE])
def test_each_caller_gets_what_its_key_allows(service, provider, callers, method, pattern):
    """No key, unknown, expired, revoked, fetcher of another branch, fetcher, admin: a status for each."""
    got, answers = {}, {}
    for kind in TABLE[method, pattern]:
        client = connected(service, provider, callers, f"acme-{kind}")
        answers[kind] = call(service, client, method, pattern, headers=callers.headers(kind))
        got[kind] = answers[kind].status_code
    assert got == TABLE[method, pattern]
    for kind, answer in answers.items():
        if answer.status_code in (401, 403):
            code = {401: "unauthenticated", 403: "forbidden"}[answer.status_code]
            assert answer.json()["error"] == code
            assert "token" not in answer.json() and "login_url" not in answer.json()
            assert answer.headers["www-authenticate"] == {
                "none": 'Bearer realm="token-service"',
                401: 'Bearer realm="token-service", error="invalid_token"',
                403: 'Bearer realm="token-service", error="insufficient_scope"',
            }["none" if kind == "none" else answer.status_code]


def test_refused_calls_change_nothing(service, provider, callers, database):
    """Neither a row nor the provider hears of a caller that may not."""
    client = connected(service, provider, callers, "acme-1")
    before = database.all("SELECT * FROM clients"), database.all("SELECT * FROM tokens")
    for method, pattern in TABLE:
        for kind, status in TABLE[method, pattern].items():
            if status in (401, 403):
                assert call(service, client, method, pattern, headers=callers.headers(kind)).status_code == status
    assert (database.all("SELECT * FROM clients"), database.all("SELECT * FROM tokens")) == before
    assert provider.refreshes() == [] and rows(service, "revocations") == 0


# --- finer points --------------------------------------------------------------------------------


def test_key_comes_before_everything_that_is_wrong_with_the_call(service, callers):
    """Only a path that is none and a method that it does not take are told to strangers."""
    bad = [
        ("POST", "/clients", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        ("POST", "/clients", {"content": b"x=1"}),
        ("POST", "/clients", {"json": {}}),
        ("POST", "/tokens/refresh", {"json": []}),
        ("GET", "/clients?limit=0", {}),
        ("GET", "/clients/no-number", {}),
        ("GET", "/tokens/%ff", {}),
        ("GET", "/tokens/nobody?min_ttl=x", {}),
    ]
    for method, path, options in bad:
        for kind in ("none", "unknown", "revoked"):
            headers = {**options.get("headers", {}), **callers.headers(kind)}
            answer = service.request(method, path, **{**options, "headers": headers})
            assert answer.status_code == 401, (path, kind)
        with acting(service, callers.keys["admin"]):
            assert service.request(method, path, **options).status_code in (400, 404, 415, 422), path
    assert service.get("/nothing").status_code == 404
    assert service.request("PUT", "/clients").status_code == 405


def test_fetcher_does_not_learn_which_branches_there_are(service, provider, callers):
    """403 for every branch but its own, there or not, by name or by number."""
    client = connected(service, provider, callers, "secret-1")
    with acting(service, callers.keys["fetcher"]):
        answers = [
            service.get("/tokens/secret-1"),
            service.get("/tokens/secret-2"),
            service.post("/tokens/refresh", json={"branch_id": "secret-1"}),
            service.post("/tokens/refresh", json={"branch_id": "secret-2"}),
            service.post("/tokens/refresh", json={"client_id": client["client_id"]}),
            service.post("/tokens/refresh", json={"client_id": client["client_id"] + 1}),
        ]
        assert [answer.json()["error"] for answer in answers] == ["forbidden"] * len(answers)
        assert service.get("/tokens/acme-9").json()["error"] == "branch_not_found"
        assert service.post("/tokens/refresh", json={"branch_id": "acme-9"}).json()["error"] == "branch_not_found"
    assert provider.refreshes() == []


def test_fetcher_without_a_pattern_has_every_branch(service, provider, callers, database):
    client = connected(service, provider, callers, "any-1")
    with acting(service, keys.create(database, "fetcher")):
        assert service.get("/tokens/any-1").status_code == 200
        assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200
        assert service.post("/tokens/refresh", json={"client_id": 99999}).json()["error"] == "client_not_found"


def test_exchange_pool_asks_for_the_key_too(service, provider, callers):
    """An expired token is refreshed for a fetcher of its branch, for nobody else."""
    client = connected(service, provider, callers, "acme-1", expires_in=-10)
    for kind, status in cells(403, 200, 200).items():
        expire(service, client)
        answer = service.get("/tokens/acme-1", headers=callers.headers(kind))
        assert answer.status_code == status, kind
    assert len(provider.refreshes()) == 2


@pytest.mark.parametrize("header", ["", "Bearer", "Basic {key}", "{key}", "Bearer{key}", "Bearer {key}x",
                                    "Bearer {key} x", "Bearer x{key}", "Token {key}", "Bearer \xe9"])
def test_only_a_bearer_key_is_a_key(service, callers, header):
    value = header.format(key=callers.keys["admin"]).encode("latin-1")
    answer = service.get("/clients", headers={"Authorization": value})
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthenticated")


def test_scheme_is_read_in_any_case(service, callers):
    """RFC 9110: the scheme's name has no case, and blanks may follow."""
    for scheme in ("Bearer ", "bearer ", "BEARER   "):
        headers = {"Authorization": scheme + callers.keys["admin"]}
        assert service.get("/clients", headers=headers).status_code == 200


def test_no_key_is_asked_for_where_it_is_off(make_service):
    """Development's default; and a wrong key does no harm there."""
    service = make_service()
    assert service.get("/clients").status_code == 200
    assert service.get("/clients", headers=bearer(UNKNOWN)).status_code == 200


def test_database_away_lets_nobody_in(service, callers):
    """503, not 200 and not 401: the key may be good."""
    with service.database.cluster.stopped():
        for method, path in (("GET", "/clients"), ("POST", "/tokens/refresh"), ("GET", "/tokens/acme-1")):
            answer = service.request(method, path, headers=callers.headers("admin"))
            assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
    wait_until(lambda: service.get("/clients", headers=callers.headers("admin")).status_code == 200)


# --- revoked, replaced -----------------------------------------------------------------------------


def test_revoked_key_is_refused_from_the_next_call_on(make_service, database):
    """On both hosts, over connections that are kept."""
    hosts = two_hosts(make_service, **REQUIRED)
    for _ in range(3):
        key = keys.create(database, "admin")
        for host in hosts:
            for _ in range(4):
                assert host.get("/clients", headers=bearer(key)).status_code == 200
        keys.revoke(database, key)
        for host in hosts:
            for _ in range(4):
                assert host.get("/clients", headers=bearer(key)).status_code == 401


def test_key_expires_by_itself(service, database):
    key = keys.create(database, "admin", "--expires", "1h")
    assert service.get("/clients", headers=bearer(key)).status_code == 200
    database.execute("UPDATE api_keys SET expires_at = now() + interval '1 second'")
    wait_until(lambda: service.get("/clients", headers=bearer(key)).status_code == 401, what="the key expires")


def test_keys_are_replaced_under_load_without_a_failed_call(make_service, provider, database):
    """The new key is created, handed out, and only then the old one revoked: not one call is refused."""
    hosts = two_hosts(make_service, **REQUIRED, **PATIENT)
    current = [keys.create(database, "admin")]
    with acting(hosts[0], current[0]):
        client = register(hosts[0], provider, branch_id="acme-1")
    connect_fast(hosts[0], provider, client)
    answers, stop = [[] for _ in range(8)], threading.Event()

    def load(number):
        while not stop.is_set():
            host, headers = hosts[number % 2], bearer(current[0])
            if number < 6:
                answer = timed(lambda: host.get("/tokens/acme-1", headers=headers))
            else:
                answer = timed(lambda: host.post("/tokens/refresh", json={"branch_id": "acme-1"}, headers=headers))
            answers[number].append(answer)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()

    def good():
        return [sum(answer.status_code == 200 for _, _, answer in each) for each in answers]

    def wait_for_calls():
        """Until each caller has had a good answer to a call that began after now."""
        before = good()
        wait_until(lambda: all(now > n + 1 for now, n in zip(good(), before)), what="all callers are answered")

    try:
        for _ in range(3):
            wait_for_calls()
            old, current[0] = current[0], keys.create(database, "fetcher", "--branches", BRANCHES)
            wait_for_calls()
            keys.revoke(database, old)
        wait_for_calls()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    failed = unexcused([answer for each in answers for answer in each], len(answers))
    assert not failed, [answer.text for answer in failed]


# --- what it costs ---------------------------------------------------------------------------------


@pytest.fixture
def make_proxy(database):
    """A CountingProxy that outlives the services of the test: ask for it before make_service."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(CountingProxy(database.cluster.sockets))


def counted(proxy, make_service, database, env):
    """A Service with one database worker, behind the proxy; all others, the housekeeping among them, are not."""
    url = database.url.replace(str(database.cluster.sockets), str(proxy.directory))
    assert url != database.url
    return make_service({"DATABASE_URL": url, "DATABASE_EXCHANGE_URL": database.url, "DATABASE_WORKERS": "1", **env})


@pytest.mark.parametrize("env, statements, writes", [({}, 1, 1), (REQUIRED, 2, 2)], ids=["off", "required"])
def test_key_is_checked_in_the_round_trip_of_the_call(make_proxy, make_service, provider, database, env, statements,
                                                      writes):
    """A read is one round trip, with a key and without; a write waits for its key: two."""
    proxy = make_proxy()
    service = counted(proxy, make_service, database, env)
    service.client.headers.update(bearer(keys.create(database, "admin")))
    client = register(service, provider)
    connect_fast(service, provider, client)
    path = f"/tokens/{client['branch_identifier']}"
    assert service.get(path).status_code == 200  # what is prepared, and the note of the key's use
    wait_until(proxy.is_idle)
    before = proxy.counts()
    for _ in range(20):
        assert service.get(path).status_code == 200
    assert proxy.since(before) == {"syncs": 20, "executes": 20 * statements}
    before = proxy.counts()
    register(service, provider)
    assert proxy.since(before) == {"syncs": writes, "executes": writes}


def test_strangers_cost_the_database_nothing_or_one_look(make_proxy, make_service, database):
    """What is no key is refused unasked; for an unknown one nothing but the key is looked up, and nothing written."""
    proxy = make_proxy()
    service = counted(proxy, make_service, database, REQUIRED)
    assert service.get("/health").status_code == 200
    wait_until(proxy.is_idle)
    for headers, expected in ((None, 0), (bearer("tsk_short"), 0), (bearer(UNKNOWN), 1)):
        before = proxy.counts()
        assert service.post("/clients", json=registration(service), headers=headers).status_code == 401
        assert service.delete("/clients/1", headers=headers).status_code == 401
        assert proxy.since(before) == {"syncs": 2 * expected, "executes": 2 * expected}


def test_calls_that_come_together_share_the_question_about_their_key(make_proxy, make_service, provider, database):
    """A key is asked for once in a round of requests, however many bring it; and what they read is one statement,
    from six of them on."""
    proxy = make_proxy()
    service = counted(proxy, make_service, database, REQUIRED)
    with acting(service, keys.create(database, "admin")):
        client = register(service, provider)
        connect_fast(service, provider, client)
        path = f"/tokens/{client['branch_identifier']}"
        assert service.get(path).status_code == 200
        wait_until(proxy.is_idle)
        before = proxy.counts()
        with frozen(service):  # what is asked would be waited for only 1.5 s
            calls = [service.start("GET", path) for _ in range(40)]
            time.sleep(0.1)  # they are on their way
        assert {each.result(60).status_code for each in calls} == {200}
    asked = proxy.since(before)
    assert asked["syncs"] < 40
    assert 2 * asked["syncs"] <= asked["executes"] <= min(6 * asked["syncs"], 40 + asked["syncs"])


def count_updates(database):
    """Every UPDATE of api_keys leaves a row in updates."""
    database.execute(
        "CREATE TABLE updates (at timestamptz DEFAULT clock_timestamp());"
        "CREATE FUNCTION count_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
        " BEGIN INSERT INTO public.updates DEFAULT VALUES; RETURN NEW; END $$;"
        "CREATE TRIGGER count_update AFTER UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION count_update()")


def updates(database):
    return database.one("SELECT count(*) FROM updates")[0]


def test_use_of_a_key_is_noted_once_a_minute(make_service, database):
    """However many calls and hosts; a read is no write."""
    key = keys.create(database, "admin")
    count_updates(database)
    hosts = two_hosts(make_service, **REQUIRED)
    calls = [hosts[i % 2].start("GET", "/clients", headers=bearer(key)) for i in range(60)]
    assert {each.result(60).status_code for each in calls} == {200}
    wait_until(lambda: updates(database) == 1)
    for host in hosts * 3:
        assert host.get("/clients", headers=bearer(key)).status_code == 200
    assert updates(database) == 1
    database.execute("ALTER TABLE api_keys DISABLE TRIGGER count_update;"
                     "UPDATE api_keys SET last_used_at = now() - interval '61 seconds';"
                     "ALTER TABLE api_keys ENABLE TRIGGER count_update")
    for host in hosts * 3:
        assert host.get("/clients", headers=bearer(key)).status_code == 200
    wait_until(lambda: updates(database) == 2)
    age = database.one("SELECT extract(epoch FROM now() - last_used_at) FROM api_keys")[0]
    assert 0 <= age < 60


def test_refused_key_is_not_noted_as_used(service, callers, database):
    for kind in ("expired", "revoked"):
        assert service.get("/clients", headers=callers.headers(kind)).status_code == 401
    assert service.get("/clients", headers=callers.headers("admin")).status_code == 200
    wait_until(lambda: database.one("SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL")[0] == 1)


def test_locked_key_row_is_in_nobodys_way(make_service, callers, database):
    """Somebody holds the key's row: the note is left out, and nobody waits for the row, or gives a connection up for it."""
    service = make_service({**REQUIRED, "DATABASE_WORKERS": "1"})

    def call():
        assert service.get("/clients", headers=callers.headers("admin")).status_code == 200

    def sessions():
        return database.all("SELECT pid FROM pg_stat_activity WHERE usename = 'token_service_worker'"
                            " AND datname = current_database() AND query ~ 'api_keys' ORDER BY pid")

    with locked(database, "SELECT * FROM api_keys FOR UPDATE"):
        call()
        before = wait_until(sessions, what="the key's use is noted, after the answer")
        for _ in range(4):
            call()  # the worker is done with the note of the one before
            assert waiting_for_locks(database) == 0
            wait_until(lambda: sessions() == before, what="the same session notes it")
        assert database.one("SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL")[0] == 0


def test_locked_keys_are_noted_by_nobody_but_all_at_once(make_service, database):
    """Eight keys of one round, and a table that cannot be written: the worker waits once, and lives."""
    service = make_service({**REQUIRED, "DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    mine = [keys.create(database, "admin") for _ in range(8)]
    worker = service.worker_pids("database")
    with locked(database, "LOCK TABLE api_keys IN SHARE MODE"):
        with frozen(service):
            calls = [service.start("GET", "/clients", headers=bearer(key)) for key in mine]
            time.sleep(0.1)  # they are on their way
        assert {answer.status_code for answer in results(calls)} == {200}
        assert service.get("/clients", headers=bearer(mine[0])).status_code == 200
    assert service.worker_pids("database") == worker and not service.log_events("worker past its deadline")
    for key in mine:
        assert service.get("/clients", headers=bearer(key)).status_code == 200
    wait_until(lambda: database.one("SELECT count(*) FROM api_keys WHERE last_used_at IS NOT NULL")[0] == len(mine))


def test_bad_key_is_told_nothing_of_the_request(service, callers, provider):
    """What else is wrong is for those whose key is good: the detail is the message, as of every 401."""
    answer = service.get("/tokens/acme-1?min_ttl=no", headers=callers.headers("revoked"))
    assert answer.status_code == 401 and answer.json()["detail"] == answer.json()["message"]
    answer = service.post("/clients", headers=callers.headers("fetcher"), json={})
    assert answer.status_code == 403 and answer.json()["detail"] == answer.json()["message"]


# --- what can be seen ------------------------------------------------------------------------------


def test_read_of_a_token_is_a_line_of_the_log(make_service, provider, callers, database):
    """At the default level: whose key, which client, how it ended; one line each, also through the exchange pool."""
    service = make_service({**REQUIRED, "LOG_LEVEL": "INFO"})
    client = connected(service, provider, callers, "acme-1")
    fetcher = callers.headers("fetcher")
    assert service.get("/tokens/acme-1", headers=fetcher).status_code == 200
    expire(service, client)
    assert service.get("/tokens/acme-1", headers=fetcher).status_code == 200
    assert service.post("/tokens/refresh", json={"branch_id": "acme-1"}, headers=fetcher).status_code == 200
    assert service.get("/tokens/acme-7", headers=fetcher).status_code == 404
    wait_until(lambda: len(service.log_events("request")) >= 4)
    key_id = keys.id_of(database, callers.keys["fetcher"])
    seen = [(each["level"], each["key_id"], each["method"], each["route"], each["client_id"], each["status"], each["error"])
            for each in service.log_events("request")]
    branch, refresh = "/tokens/{branch_id}", "/tokens/refresh"
    assert sorted(seen) == sorted([
        ("INFO", key_id, "GET", branch, client["client_id"], 200, ""),
        ("INFO", key_id, "GET", branch, client["client_id"], 200, ""),
        ("INFO", key_id, "POST", refresh, client["client_id"], 200, ""),
        ("INFO", key_id, "GET", branch, 0, 404, "branch_not_found"),
    ])


def test_keys_are_nowhere_to_be_read(service, provider, callers, database):
    """Not in the logs at DEBUG, of the service, nginx and PostgreSQL, nor in the tables."""
    connected(service, provider, callers, "acme-1")
    for method, pattern in TABLE:
        for kind, key in callers.keys.items():
            call(service, {"client_id": 1, "branch_identifier": "acme-1", "login_url": f"{service.url}/oauth/login/1"},
                 method, pattern, headers=callers.headers(kind))
            if key:
                service.get(f"/tokens/{kind}", headers={"Authorization": f"Bearer {key}x"})
    seen = {
        "log": service.stderr(), "nginx": service.nginx_error_log(), "tables": database.dump(),
        "access log": service.nginx.whole_access_log(),
        "postgresql": database.cluster.log.read_text(errors="replace"),
    }
    assert service.log_events("request") and "/clients" in seen["access log"]
    for key in filter(None, callers.keys.values()):
        assert [name for name, text in seen.items() if key[4:] in text] == []


def test_workers_login_cannot_make_or_change_keys(database):
    """Whoever takes a worker over gains no key: it reads, and writes one column."""
    keys.create(database, "admin")
    refused = [
        "INSERT INTO api_keys (key_hash, role, label) VALUES (sha256('x'), 'admin', 'x')",
        "DELETE FROM api_keys",
        "TRUNCATE api_keys",
        *(f"UPDATE api_keys SET {change}" for change in (
            "key_hash = sha256('x')", "role = 'admin'", "label = ''", "branches = NULL", "created_at = now()",
            "expires_at = NULL", "revoked_at = NULL", "id = DEFAULT")),
    ]
    for statement in refused:
        assert_refused(database, statement)
    as_worker(database, "UPDATE api_keys SET last_used_at = now()")
    as_worker(database, "SELECT * FROM api_keys")


def as_worker(database, statement):
    connection = psycopg2.connect(database.url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def assert_refused(database, statement):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        as_worker(database, statement)
