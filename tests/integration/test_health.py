"""/health, /health/live, /health/ready and /: what a supervisor and a load balancer see."""

import re
import time

import pytest

from support.flow import connect_fast, expire, refused, register, registration
from support.processes import seconds, wait_until

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
    workers_before = service.worker_pids()
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
