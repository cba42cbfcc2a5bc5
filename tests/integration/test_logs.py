"""What the log says of each request: one line, one event, with the request's id, its route, how it ended and how long it
took. What it must not say is in test_secrecy.py."""

import json
import os
import re
import signal
import socket
import time

import pytest

from support import keys
from support.answers import JSON
from support.flow import connected, expire, path_of, registration
from support.keys import REQUIRED
from support.hosts import PATIENT, results
from support.processes import wait_until
from support.trouble import frozen

FIELDS = {"time", "level", "event", "request_id", "method", "route", "key_id", "client_id", "status", "error",
          "provider_error", "database", "duration_ms"}


def lines_of(service, request_id):
    """The log's events that name it, a moment behind the answer perhaps; those of two pools in no order."""
    return wait_until(
        lambda: [event for event in service.log_events() if event.get("request_id") == request_id],
        what=f"a line of {request_id}",
    )


def answers(service, provider):
    """{request id: (route, status, error)} of calls to every route, refused and served."""
    client = connected(service, provider)
    due, failing, other = (connected(service, provider) for _ in range(3))
    expire(service, due)
    expire(service, failing)
    path, id = path_of(client), client["client_id"]
    calls = [
        ("GET", "/", "/", 200, {}), ("GET", "/health", "/health", 200, {}), ("GET", "/health/live", "/health/live", 200, {}),
        ("GET", "/health/ready", "/health/ready", 200, {}), ("GET", "/metrics", "/metrics", 200, {}),
        ("POST", "/clients", "/clients", 201, {"json": registration(service)}),
        ("POST", "/clients", "/clients", 422, {"json": {}}),
        ("POST", "/clients", "/clients", 400, {"content": "{", "headers": JSON}),
        ("POST", "/clients", "/clients", 415, {"content": "{}"}),
        ("GET", "/clients", "/clients", 200, {}), ("GET", "/clients?limit=no", "/clients", 422, {}),
        ("GET", f"/clients/{id}", "/clients/{client_id}", 200, {}),
        ("PATCH", f"/clients/{id}", "/clients/{client_id}", 200, {"json": {"workspace_name": "x"}}),
        ("DELETE", "/clients/999999", "/clients/{client_id}", 404, {}),
        ("GET", "/oauth/login/999999", "/oauth/login/{client_id}", 404, {}),
        ("GET", "/auth/callback?state=x&code=y", "/auth/callback", 400, {}),
        ("GET", path, "/tokens/{branch_id}", 200, {}), ("GET", path_of(due), "/tokens/{branch_id}", 200, {}),
        ("GET", "/tokens/nobody", "/tokens/{branch_id}", 404, {}), ("GET", "/tokens/%ff", "/tokens/{branch_id}", 400, {}),
        ("POST", "/tokens/refresh", "/tokens/refresh", 422, {"json": {}}),
        ("POST", "/tokens/refresh", "/tokens/refresh", 200, {"json": {"client_id": id}}),
        ("POST", f"{path_of(other)}/revoke", "/tokens/{branch_id}/revoke", 200, {}),
        ("GET", "/no-such-path", "", 404, {}), ("DELETE", "/tokens/refresh", "", 405, {}),
    ]
    told = {}
    for number, (method, target, route, status, options) in enumerate(calls):
        options["headers"] = {**options.get("headers", {}), "X-Request-Id": f"call-{number}"}
        answer = service.request(method, target, **options)
        assert answer.status_code == status, (method, target, answer.text)
        error = "" if status < 400 else answer.json()["error"]
        told[f"call-{number}"] = (route, status, error)
    provider.fault("status", status=503)
    answer = service.get(path_of(failing), headers={"X-Request-Id": "failing"})
    assert answer.status_code == 503
    told["failing"] = ("/tokens/{branch_id}", 503, "provider_unavailable")
    assert {route for route, _, _ in told.values()} == {pattern for _, pattern in keys.routes()} | {""}
    return told


def test_every_request_has_its_line(service, provider):
    """Served or refused, by either pool: its id, its route's pattern, its status and error, and how long it took."""
    told = answers(service, provider)
    for request_id, (route, status, error) in told.items():
        # Of a call that was handed on the other pool has a line as well, before or after it.
        line = wait_until(lambda: next((line for line in lines_of(service, request_id) if line["status"] == status), None))
        assert set(line) == FIELDS and line["event"] == "request", line
        assert (line["route"], line["status"], line["error"]) == (route, status, error), line
        assert 0 <= line["duration_ms"] < 60000
    [failing] = [line for line in lines_of(service, "failing") if line["error"]]
    assert failing["provider_error"] == "http_503"
    for line in service.stderr().splitlines():
        assert {"time", "level", "event"} <= set(json.loads(line))


def test_text_has_the_same_in_one_line(make_service, provider):
    """LOG_FORMAT=text: each event is one line that begins with its time, level and name."""
    service = make_service({"LOG_FORMAT": "text"})
    told = answers(service, provider)
    # What was handed on has a line of either pool; both may come after the answer, in any order.
    wait_until(lambda: all(re.search(f"request_id={each} .* status={status} .* duration_ms=\\d+\n", service.stderr())
                           for each, (_, status, _) in told.items()))
    for line in service.stderr().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (DEBUG|INFO|WARNING|ERROR) [a-zA-Z]", line), line
    for request_id, (route, status, error) in told.items():
        line = next(line for line in service.stderr().splitlines()
                    if f"request_id={request_id} " in line and f" status={status} " in line)
        assert f" route={route} " in line and f" status={status} error={error} " in line, line
        assert re.search(r" duration_ms=\d+$", line), line


def test_a_caller_who_went_away_leaves_a_line(make_service, provider):
    """It waited in the queue of the exchange pool, and was gone before its turn: status 499, in log and metrics."""
    service = make_service({**PATIENT, "EXCHANGE_WORKERS": "1"})
    first, second = connected(service, provider, expires_in=-10), connected(service, provider, expires_in=-10)
    provider.fault("hold")
    waiting = service.start("GET", path_of(first))
    provider.wait_for_requests(1)
    with socket.create_connection(("localhost", service.nginx.port)) as sock:
        sock.sendall(f"GET {path_of(second)} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: went-away\r\n\r\n".encode())
        lines_of(service, "went-away")  # of the database pool, which handed it on
    wait_until(lambda: [line for line in service.access_log() if line["request_id"] == "went-away"])
    provider.release()
    assert waiting.result().status_code == 200
    last = wait_until(lambda: len(lines := lines_of(service, "went-away")) == 2 and lines[-1])
    assert (last["status"], last["route"], last["error"]) == (499, "/tokens/{branch_id}", "")
    assert len(provider.refreshes()) == 1
    assert 'route="/tokens/{branch_id}",status="499"} 1' in service.get("/metrics").text


@pytest.mark.parametrize("level, levels", [
    ("DEBUG", {"DEBUG", "INFO", "WARNING", "ERROR"}), ("INFO", {"INFO", "WARNING", "ERROR"}),
    ("WARNING", {"WARNING", "ERROR"}), ("ERROR", {"ERROR"}),
])
def test_log_level_is_the_lowest_that_is_written(make_service, provider, level, levels):
    """An everyday request, a start, a grant that is dead, and a worker that was killed: one of each level."""
    service = make_service({"LOG_LEVEL": level})
    client = connected(service, provider, expires_in=-10)
    provider.fault("oauth_error", error="invalid_grant")
    assert service.get(path_of(client)).status_code == 409
    assert service.get("/health").status_code == 200
    os.kill(service.worker_pids()[0], signal.SIGKILL)
    wait_until(lambda: service.log_events("worker killed"))
    assert {event["level"] for event in service.log_events()} == levels


def test_what_a_request_met_carries_its_id(make_service, provider, cluster):
    """The one line that says the database is gone names the call that found out."""
    service = make_service({**REQUIRED, "REFRESHERS": "0"})
    with cluster.stopped():
        ids = [f"met-{number}" for number in range(20)]
        for each in ids:
            assert service.get("/health", headers={"X-Request-Id": each}).status_code == 503
        found = wait_until(lambda: [event for event in service.log_events("database unavailable") if event["request_id"]])
        assert {event["request_id"] for event in found} <= set(ids)
        # Who works for nobody has nobody's id.
        wait_until(lambda: [event for event in service.log_events("database unavailable") if not event["request_id"]], 60)


def test_failure_in_the_database_is_told_of_the_call_that_had_it(make_service, database, provider):
    """Five calls that are ready at once, and one worker: the second's statement is refused, only its line says so."""
    service = make_service({"DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    client = connected(service, provider)
    shown, name = f"/clients/{client['client_id']}", "workspace_name"
    others = ", ".join(column for (column,) in database.all(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'clients' AND column_name <> %s", (name,)))
    database.execute("REVOKE SELECT ON clients FROM token_service_worker")
    database.execute(f"GRANT SELECT ({others}) ON clients TO token_service_worker")
    targets = {"first": path_of(client), "second": shown, "third": path_of(client), "fourth": shown, "fifth": path_of(client)}
    with frozen(service):
        calls = [service.start("GET", target, headers={"X-Request-Id": id}) for id, target in targets.items()]
        time.sleep(0.1)  # they are on their way
    assert [answer.status_code for answer in results(calls)] == [200, 500, 200, 500, 200]
    for id, target in targets.items():
        told = lines_of(service, id)[-1]["database"]
        assert ("42501" in told) == (target == shown), f"{id}: {told}"
    assert service.get("/health/live", headers={"X-Request-Id": "after"}).status_code == 200
    assert lines_of(service, "after")[-1]["database"] == ""
