"""/health, /health/live, /health/ready and /: what a supervisor and a load balancer see."""

import re
import socket
import time

import pytest

from support.answers import all_workers
from support.flow import connect_fast, expire, refused, register, registration
from support.hosts import in_one_of_three_rounds, is_without_database, locked, results, waiting_for_locks
from support.processes import seconds, wait_until
from support.trouble import frozen, sessions, terminate

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NAME = "Token Generation Service"


@pytest.mark.memcheck
def test_root(service):
    """GET / says what this is."""
    response = service.get("/")
    assert response.status_code == 200
    body = response.json()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", body["version"])
    assert body == {
        "service": NAME, "version": body["version"], "status": "running", "environment": "development",
    }


@pytest.mark.memcheck
def test_health(service):
    """GET /health with the original's fields; never from a cache."""
    response = service.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert TIME.fullmatch(body["timestamp"])
    assert body == {
        "status": "healthy", "service": NAME, "version": service.get("/").json()["version"],
        "timestamp": body["timestamp"], "database": "connected",
    }
    assert response.headers["cache-control"] == "no-store"
    assert service.get("/health").json()["timestamp"] > body["timestamp"]


@pytest.mark.memcheck
def test_live_and_ready(service):
    """Both 200, ready with what it looked at."""
    live, ready = service.get("/health/live"), service.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (
        200, {"status": "ready", "database": "connected", "schema": "migrated"},
    )


def test_head(service):
    """Load balancers like to ask with HEAD."""
    for path in ("/", "/health", "/health/live", "/health/ready"):
        response = service.request("HEAD", path)
        assert (response.status_code, response.content) == (200, b"")


def test_not_ready_without_migrations(make_service, make_database):
    """On a database without tables: alive and healthy, not ready; ready once it is migrated, without a restart."""
    database = make_database(migrated=False)
    service = make_service(database=database)
    response = service.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "not_ready", "database": "connected", "schema": "migrations_pending"}
    assert int(response.headers["retry-after"]) >= 1
    assert service.get("/health/live").status_code == 200
    assert service.get("/health").status_code == 200
    database.migrate("deploy")
    wait_until(lambda: service.get("/health/ready").status_code == 200, what="ready after the migration")
    assert service.post("/clients", json=registration(service)).status_code == 201


def test_not_ready_with_the_last_migration_taken_back(make_service, make_database):
    """A schema that is older than the program is told apart from one that fits."""
    database = make_database()
    service = make_service(database=database)
    assert service.get("/health/ready").status_code == 200
    database.migrate("revert", "-y")
    response = service.get("/health/ready")
    assert (response.status_code, response.json()["schema"]) == (503, "migrations_pending")
    database.migrate("deploy")
    wait_until(lambda: service.get("/health/ready").status_code == 200, what="ready after the migration")


def test_starts_without_a_database(cluster, make_service):
    """A service that comes up before its database answers, and works once the database is there."""
    with cluster.stopped():
        service = make_service()
        assert service.get("/health/live").status_code == 200
        assert service.get("/health").status_code == 503
    wait_until(lambda: service.get("/health").status_code == 200, what="healthy again")
    register(service)


def test_database_goes_away_and_comes_back(cluster, service, provider):
    """Every call that needs it is 503 within seconds, live and / go on; all of it works again by itself."""
    client = register(service, provider)
    connect_fast(service, provider, client)
    branch, number = client["branch_identifier"], client["client_id"]
    calls = [
        ("GET", "/clients", {}),
        ("POST", "/clients", {"json": registration(service)}),
        ("GET", f"/clients/{number}", {}),
        ("PATCH", f"/clients/{number}", {"json": {"is_active": True}}),
        ("DELETE", f"/clients/{number}", {}),
        ("GET", f"/tokens/{branch}", {}),
        ("POST", "/tokens/refresh", {"json": {"branch_id": branch}}),
        ("GET", f"/oauth/login/{number}", {}),
        ("GET", "/auth/callback?code=x&state=" + "A" * 43, {"headers": {"Cookie": "token_service_login=" + "A" * 43}}),
    ]
    workers_before = all_workers(service)
    with cluster.stopped():
        for method, path, options in calls:
            begun = time.monotonic()
            response = service.request(method, path, **options)
            refused(response, 503, "database_unavailable")
            assert int(response.headers["retry-after"]) >= 1, path
            assert time.monotonic() - begun < seconds(15), path
        response = service.get("/health")
        assert response.status_code == 503
        assert (response.json()["status"], response.json()["database"]) == ("unhealthy", "disconnected")
        response = service.get("/health/ready")
        assert (response.status_code, response.json()) == (503, {"status": "not_ready", "database": "disconnected"})
        assert service.get("/health/live").status_code == 200
        assert service.get("/").status_code == 200
        told = len(service.log_events("database unavailable"))
        assert 1 <= told <= len(workers_before)  # once for each worker, not for each call
    wait_until(lambda: service.get("/health").status_code == 200, what="healthy again")
    wait_until(lambda: service.get("/health/ready").status_code == 200, what="ready again")
    expire(service, client)
    assert wait_until(
        lambda: (got := service.get(f"/tokens/{branch}")).status_code == 200 and got, what="a refresh again"
    ).json()["stale"] is False
    assert service.worker_pids() == workers_before  # nobody had to be restarted
    assert provider.log()[0]["result"] == "ok"


@pytest.fixture
def silent_port():
    """A port at which everybody may connect, and is never answered: a server that hangs, or whose network swallows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_silent_host_leaves_time_for_the_next_one(make_service, database, provider, silent_port):
    """Of several hosts in DATABASE_URL the first does not answer: no call fails for it, at the start and after a cut."""
    url = (f"host=127.0.0.1,{database.cluster.sockets} port={silent_port},5432 dbname={database.name}"
           " user=token_service_worker target_session_attrs=read-write")
    service = make_service({"DATABASE_URL": url, "DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    client = register(service, provider)
    grant = connect_fast(service, provider, client)

    def read():
        return service.get(f"/tokens/{client['branch_identifier']}")

    def play():
        wait_until(lambda: read().status_code == 200, what="its worker is connected")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'token_service_worker'"
                         " AND datname = current_database()")
        answer = read()
        # The good host has half of a call's time, and the machine may stand still for so long.
        if is_without_database(answer):
            return answer.text
        assert answer.status_code == 200 and answer.json()["access_token"] == grant["access_token"], answer.text
        return None

    in_one_of_three_rounds(play)


def test_calls_that_were_given_up_leave_no_session_behind(make_service, database, provider):
    """Whatever keeps the table: a session whose worker has given up ends, though its lock never comes."""
    service = make_service({"DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    client = register(service, provider)
    with locked(database, "LOCK TABLE clients IN ACCESS EXCLUSIVE MODE"):
        for _ in range(3):
            refused(service.get(f"/tokens/{client['branch_identifier']}"), 503, "database_unavailable")
        wait_until(lambda: waiting_for_locks(database) == 0, what="nobody waits who was given up")
    assert wait_until(lambda: service.get(f"/clients/{client['client_id']}").status_code == 200)


def test_cancelled_read_is_a_database_that_has_no_time(make_service, database, provider):
    """A statement_timeout that an administrator has set: 503 and worth another try, no error of the service."""
    service = make_service({"DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    client = register(service, provider)
    database.execute(f"ALTER ROLE token_service_worker IN DATABASE {database.name} SET statement_timeout = '500ms'")
    for session in sessions(database):
        terminate(database, session)
    with locked(database, "LOCK TABLE clients IN ACCESS EXCLUSIVE MODE"):
        refused(service.get(f"/tokens/{client['branch_identifier']}"), 503, "database_unavailable")


def test_call_that_waits_for_a_lock_holds_up_no_read(make_service, database, provider):
    """They are ready at once and in one worker: the read is answered, the login is told."""
    service = make_service({"DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    client = register(service, provider)
    grant = connect_fast(service, provider, client)
    with locked(database, "LOCK TABLE oauth_states IN ACCESS EXCLUSIVE MODE"):
        with frozen(service):
            login = service.start("GET", f"/oauth/login/{client['client_id']}")
            reads = [service.start("GET", f"/tokens/{client['branch_identifier']}") for _ in range(3)]
            time.sleep(0.1)  # they are on their way
        for answer in results(reads):
            assert answer.status_code == 200 and answer.json()["access_token"] == grant["access_token"], answer.text
        refused(results([login])[0], 503, "database_unavailable")


def test_terminated_connections_are_not_noticed(service, provider):
    """An administrator who ends the workers' connections costs no caller an error."""
    client = register(service, provider)
    connect_fast(service, provider, client)
    for _ in range(3):
        service.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'token_service_worker'"
        )
        for _ in range(4):
            assert service.get(f"/tokens/{client['branch_identifier']}").status_code == 200
            assert service.get("/health").status_code == 200
