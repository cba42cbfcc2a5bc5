"""GET /metrics: every number moves when what it counts happens, and adds up over all workers."""

import functools
import os
import signal
import time

import pytest

from support import keys, metrics
from support.answers import all_workers
from support.flow import Browser, connect, connected, expire, path_of, register
from support.hosts import PATIENT, in_one_of_three_rounds, locked, results, timed, unexcused
from support.keys import REQUIRED, bearer
from support.processes import wait_until
from support.trouble import sessions, terminate

TOKENS = "/tokens/{branch_id}"
SURVEYED = {"tokens", "clients_inactive", "token_nearest_expiry_seconds", "tokens_failing", "oldest_failing_refresh_seconds",
            "revocations_pending"}


# --- requests -------------------------------------------------------------------------------------


def test_requests_are_counted_by_route_method_and_status(service, provider):
    """By the route's pattern; a path that is none, or takes no such method, is one series whatever it is."""
    client = connected(service, provider)
    before = metrics.read(service)
    assert service.get(path_of(client)).status_code == 200
    assert service.get("/tokens/nobody").status_code == 404
    assert service.patch(f"/clients/{client['client_id']}", json={"workspace_email": "none"}).status_code == 422
    assert service.get("/no-such-path").status_code == 404
    assert service.delete("/tokens/refresh").status_code == 405
    assert service.request("HEAD", path_of(client)).status_code == 200
    expected = [
        (2, {"method": "GET", "route": TOKENS, "status": "200"}),
        (1, {"method": "GET", "route": TOKENS, "status": "404"}),
        (1, {"method": "PATCH", "route": "/clients/{client_id}", "status": "422"}),
        (1, {"method": "other", "route": "unmatched", "status": "404"}),
        (1, {"method": "other", "route": "unmatched", "status": "405"}),
    ]

    def more(now, labels):
        return now.value("requests_total", **labels) - before.value("requests_total", **labels)

    # A worker counts what it has answered; that of these very calls there may be more of.
    own = (1, {"method": "GET", "route": "/metrics", "status": "200"})
    after = metrics.wait_for(
        service, lambda now: all(more(now, labels) >= number for number, labels in [*expected, own]), "all of it is counted")
    for number, labels in expected:
        assert more(after, labels) == number, labels
    routes = after.labels("requests_total", "route")
    assert routes <= {pattern for _, pattern in keys.routes()} | {"unmatched"}
    assert client["branch_identifier"] not in after.text and "nobody" not in after.text and "no-such-path" not in after.text


@pytest.mark.parametrize("method, route, body, of_fetcher", [
    ("POST", "/tokens/refresh", {"branch_id": "nobody"}, None),  # a fetcher may
    ("POST", f"{TOKENS}/revoke", None, 403),
    ("DELETE", "/clients/{client_id}", None, 403),
    ("PATCH", "/clients/{client_id}", {"client_secret": "another"}, 403),
])
def test_refusals_of_what_the_other_pool_does_are_counted(make_service, database, cluster, method, route, body, of_fetcher):
    """The database pool refuses a key before it hands the call on, or cannot look it up: once each, like any other."""
    service = make_service({**REQUIRED, **PATIENT})
    fetcher = keys.create(database, "fetcher", "--branches", "other-*")
    path = route.replace("{branch_id}", "nobody").replace("{client_id}", "1")

    def refuse(key, status):
        """Asked once; counted once."""
        before = metrics.read(service)
        answer = service.request(method, path, headers=bearer(key), **({"json": body} if body else {}))
        assert answer.status_code == status, answer.text
        labels = {"method": method, "route": route}
        after = metrics.wait_for(
            service, lambda now: now.value("request_duration_seconds_count", **labels)
            > before.value("request_duration_seconds_count", **labels), f"the {status}")
        labels["status"] = str(status)
        assert after.value("requests_total", **labels) - before.value("requests_total", **labels) == 1

    refuse(f"tsk_{'A' * 43}", 401)  # well-formed: it is asked for
    if of_fetcher:
        refuse(fetcher, of_fetcher)
    with cluster.stopped():
        refuse(fetcher, 503)


def test_many_requests_at_once_are_counted_exactly(make_service, provider):
    """Over all workers of both pools, each once, also when one pool hands it on to the other."""

    def play():
        service = make_service(PATIENT)
        clients = [connected(service, provider) for _ in range(8)]
        all_workers(service)
        before = metrics.read(service)
        for client in clients:
            expire(service, client)
        calls = [service.run(timed, functools.partial(service.get, path_of(clients[i % 8]))) for i in range(400)]
        answers = results(calls)
        assert [answer.text for answer in unexcused(answers, len(calls))] == []
        late = [answer.text for _, _, answer in answers if answer.status_code != 200]
        if late:
            return late[:3]
        count = "request_duration_seconds_count"  # the last that is written of a request
        after = metrics.wait_for(
            service, lambda now: now.value(count, route=TOKENS) - before.value(count, route=TOKENS) >= 400, "all are counted")
        for name, labels in (("requests_total", {}), (count, {}), ("request_duration_seconds_bucket", {"le": "+Inf"})):
            assert after.value(name, route=TOKENS, **labels) - before.value(name, route=TOKENS, **labels) == 400, name
        assert after.value("refreshes_total", outcome="success") - before.value("refreshes_total", outcome="success") == 8
        return None

    in_one_of_three_rounds(play)


def test_a_request_takes_as_long_as_its_caller_waits(service, provider):
    """Including the way over the other pool: 400 ms of the provider are in the histogram of the route."""
    client = connected(service, provider, expires_in=-10)
    provider.fault("delay", ms=400)
    before = metrics.read(service)
    begun = time.monotonic()
    assert service.get(path_of(client)).status_code == 200
    after = metrics.wait_for(service, lambda now: now.value("request_duration_seconds_count", route=TOKENS), "the request")
    longest = time.monotonic() - begun

    def more(name, **labels):
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("request_duration_seconds_count", route=TOKENS) == 1
    assert more("request_duration_seconds_bucket", route=TOKENS, le="0.25") == 0
    assert more("request_duration_seconds_bucket", route=TOKENS, le="+Inf") == 1
    assert 0.4 <= more("request_duration_seconds_sum", route=TOKENS) <= longest + 0.1
    assert more("provider_call_duration_seconds_bucket", call="refresh", le="0.25") == 0
    assert more("provider_call_duration_seconds_sum", call="refresh") >= 0.4


def test_the_wait_for_a_free_worker_is_part_of_a_request(make_service, provider):
    """A call that nobody has taken up yet costs its caller time as well."""
    service = make_service({**PATIENT, "EXCHANGE_WORKERS": "1"})
    first, second = connected(service, provider, expires_in=-10), connected(service, provider, expires_in=-10)
    provider.fault("hold")
    calls = [service.start("GET", path_of(first))]
    provider.wait_for_requests(1)
    calls.append(service.start("GET", path_of(second)))
    # Handed on by the database pool, and not yet taken up.
    wait_until(lambda: len([event for event in service.log_events("request") if event["route"] == TOKENS]) == 2)
    service.database.execute("SELECT pg_sleep(0.5)")
    provider.release()
    assert [call.result().status_code for call in calls] == [200, 200]
    now = metrics.wait_for(service, lambda now: now.value("request_duration_seconds_count", route=TOKENS) >= 2, "both")
    assert now.value("request_duration_seconds_count", route=TOKENS) == 2
    assert now.value("request_duration_seconds_bucket", route=TOKENS, le="0.25") == 0


# --- the provider ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault, outcome", [
    (None, "success"),
    ({"kind": "oauth_error", "error": "invalid_grant"}, "reauthorization_required"),
    ({"kind": "oauth_error", "error": "invalid_client"}, "client_credentials_rejected"),
    ({"kind": "status", "status": 200, "body": "{}"}, "provider_error"),
    ({"kind": "status", "status": 503}, "provider_unavailable"),
    ({"kind": "drop"}, "provider_unavailable"),
])
def test_provider_calls_and_refreshes_are_counted_by_outcome(make_service, provider, fault, outcome):
    """Whatever the caller is told, who may still get a token that works."""
    service = make_service(PATIENT)
    client = connected(service, provider, expires_in=100)
    if fault:
        provider.fault(**fault)
    before = metrics.read(service)
    service.post("/tokens/refresh", json={"client_id": client["client_id"]})
    after = metrics.wait_for(
        service, lambda now: now.value("refreshes_total") > before.value("refreshes_total"), "the refresh is counted")
    for name, labels in (("provider_calls_total", {"call": "refresh"}), ("refreshes_total", {})):
        changed = {
            each: number for each in after.labels(name, "outcome")
            if (number := after.value(name, outcome=each, **labels) - before.value(name, outcome=each, **labels))
        }
        assert changed == {outcome: 1}, name
    assert after.value("provider_call_duration_seconds_count", call="refresh") - before.value(
        "provider_call_duration_seconds_count", call="refresh") == 1


def test_exchange_and_revocation_are_calls_of_their_own(service, provider):
    """Each with its outcome and its latency; what the provider is yet to hear of is a gauge."""
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    provider.fault("status", endpoint="revocation", times=None, status=503)
    assert service.post(f"{path_of(client)}/revoke").status_code == 200
    after = metrics.read(service)
    assert after.value("provider_calls_total", call="exchange", outcome="success") == 1
    assert after.value("provider_calls_total", call="exchange") == 1
    assert after.value("provider_calls_total", call="revoke", outcome="provider_unavailable") == 1
    assert after.value("provider_call_duration_seconds_count", call="exchange") == 1
    assert after.value("provider_call_duration_seconds_count", call="revoke") == 1
    assert metrics.survey(service).value("revocations_pending") == 1


# --- waits, workers, connections ------------------------------------------------------------------


def test_waiting_for_a_row_is_measured(make_service, provider):
    """The wait for the lock that another holds; one that nobody holds is had at once."""
    service = make_service(PATIENT)
    client = connected(service, provider, expires_in=-10)
    row = "SELECT FROM tokens WHERE client_id = %s FOR UPDATE"
    with locked(service.database, row, (client["client_id"],)):
        call = service.start("GET", path_of(client))
        wait_until(lambda: metrics.read(service).value("workers_busy", pool="exchange") == 1)
        before = metrics.read(service)
        assert before.value("lock_wait_seconds_count") == 0
        wait_until(lambda: service.database.one("SELECT count(*) FROM pg_locks WHERE NOT granted")[0] == 1)
        service.database.execute("SELECT pg_sleep(0.5)")
    assert call.result().status_code == 200
    after = metrics.read(service)
    assert after.value("lock_wait_seconds_count") == 1
    assert after.value("lock_wait_seconds_bucket", le="0.25") == 0
    assert after.value("lock_wait_seconds_sum") >= 0.5


def test_a_killed_worker_is_counted_and_takes_no_count_with_it(service, provider):
    """The sums are what they were, its successor goes on in its place; ready and configured are the same again."""
    client = connected(service, provider)
    all_workers(service)
    for _ in range(50):
        service.get(path_of(client))
    before = metrics.wait_for(
        service, lambda now: now.value("workers_ready", pool="database") == 2 and now.value("requests_total", route=TOKENS) == 50,
        "both are ready, all is counted")
    for pid in service.worker_pids("database"):
        os.kill(pid, signal.SIGKILL)
    after = metrics.wait_for(
        service, lambda now: now.value("worker_restarts_total", pool="database") == 2
        and now.value("workers_ready", pool="database") == 2, "two restarts")
    assert after.value("requests_total", route=TOKENS) == before.value("requests_total", route=TOKENS) == 50
    assert after.value("worker_restarts_total") == 2
    for (name, labels), value in before.samples.items():
        if name.endswith(("_total", "_bucket", "_sum", "_count")):
            assert after.samples[name, labels] >= value, name


def test_a_reload_is_no_restart_and_keeps_the_counts(service, provider):
    """Other settings show as configured; the counters go on over the change of all workers."""
    client = connected(service, provider)
    assert service.get(path_of(client)).status_code == 200
    before = metrics.read(service)
    for pool, number in (("database", 2), ("exchange", 4), ("refresher", 1)):
        assert before.value("workers_configured", pool=pool) == number
    service.reload_and_wait({"DATABASE_WORKERS": "3", "EXCHANGE_WORKERS": "2"})
    assert service.get(path_of(client)).status_code == 200
    after = metrics.wait_for(
        service, lambda now: now.value("workers_ready") == 6 == now.value("workers_configured"), "the new workers")
    assert after.value("workers_configured", pool="database") == 3
    assert after.value("worker_restarts_total") == 0
    assert after.value("requests_total", route=TOKENS, status="200") == 2


def test_connections_that_are_opened_again_are_counted(make_service, database, provider):
    """A worker's first one is not."""
    # Always directly: a pooler in between opens its own again, and keeps the workers'.
    service = make_service({"DATABASE_URL": database.url})
    client = connected(service, provider)
    assert service.get(path_of(client)).status_code == 200
    assert metrics.read(service).value("database_reconnects_total") == 0
    for pid in sessions(service.database):
        terminate(service.database, pid)
    wait_until(lambda: service.get(path_of(client)).status_code == 200 and metrics.read(service).value("database_reconnects_total"))


def test_metrics_are_there_without_the_database(service, cluster, provider):
    """At once, when they are needed most: the failures to connect are in them."""
    connected(service, provider)
    survey = metrics.survey(service)
    with cluster.stopped():
        wait_until(lambda: service.get("/health").status_code == 503)
        after = metrics.wait_for(service, lambda now: now.value("database_connect_failures_total"), "a failure to connect")
        assert after.value("requests_total", route="/health", status="503")
        assert after.value("tokens", state="valid") == survey.value("tokens", state="valid") == 1
        assert after.value("survey_timestamp_seconds") >= survey.value("survey_timestamp_seconds")


# --- the survey -----------------------------------------------------------------------------------


def test_what_the_database_was_never_asked_is_not_claimed(service, cluster, provider):
    """No "0 tokens fail" from a host that could not look yet."""
    connected(service, provider)
    service.terminate()
    service.wait_exit()
    with cluster.stopped():
        service.start_master()
        wait_until(lambda: service.get("/metrics").status_code == 200, what="the service answers")
        now = metrics.read(service)
        assert now.names() & SURVEYED == set() and now.value("survey_timestamp_seconds") == 0
    assert metrics.survey(service).names() >= SURVEYED


def test_tokens_are_counted_by_state(service, provider):
    """In the words of GET /clients, which says the same of each; clients that are switched off stand aside."""
    clients = {}
    for state, seconds in {"valid": 3000, "expiring": 250, "expired": -10, "reauthorization_required": 3000, "revoked": 3000, "off": 60}.items():
        clients[state] = connected(service, provider, expires_in=seconds)
    clients["none"] = register(service, provider)
    for state, change in {"reauthorization_required": "is_valid = false", "revoked": "is_revoked = true"}.items():
        service.database.execute(f"UPDATE tokens SET {change} WHERE client_id = %s", (clients[state]["client_id"],))
    assert service.patch(f"/clients/{clients.pop('off')['client_id']}", json={"is_active": False}).status_code == 200
    for state, client in clients.items():
        assert service.get(f"/clients/{client['client_id']}").json()["token"]["state"] == state
    now = metrics.survey(service)
    assert now.labels("tokens", "state") == set(clients)
    assert {state: now.value("tokens", state=state) for state in clients} == dict.fromkeys(clients, 1)
    assert now.value("clients_inactive") == 1
    assert 150 < now.value("token_nearest_expiry_seconds") <= 250


def test_without_a_live_token_the_nearest_expiry_is_never(service, provider):
    """No number of seconds that an alert could take for a short one."""
    connected(service, provider, expires_in=-10)
    now = metrics.survey(service)
    assert now.value("token_nearest_expiry_seconds") == float("inf")
    assert (now.value("tokens_failing"), now.value("oldest_failing_refresh_seconds")) == (0, 0)


def test_a_refresh_that_fails_grows_old(service, provider):
    """From the first failure on, over further ones; a good refresh ends it."""
    client = connected(service, provider, expires_in=-10)
    provider.fault("status", status=503, times=2)
    assert service.get(path_of(client)).status_code == 503
    service.database.execute("UPDATE tokens SET refresh_failing_since = now() - interval '1 hour', refresh_retry_at = NULL")
    assert service.get(path_of(client)).status_code == 503
    now = metrics.survey(service)
    assert now.value("tokens_failing") == 1
    assert 3600 <= now.value("oldest_failing_refresh_seconds") < 3900
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    assert service.get(path_of(client)).status_code == 200
    now = metrics.survey(service)
    assert (now.value("tokens_failing"), now.value("oldest_failing_refresh_seconds")) == (0, 0)
    expire(service, client)
    provider.fault("status", status=503)
    assert service.get(path_of(client)).status_code == 503
    assert 0 <= metrics.survey(service).value("oldest_failing_refresh_seconds") < 300, "a new failure is a new begin"


def test_a_failure_from_before_the_upgrade_is_old_from_its_next_one_on(service, provider):
    """Rows that failed before anybody wrote since when."""
    client = connected(service, provider, expires_in=-10)
    provider.fault("status", status=503, times=1)
    service.database.execute("UPDATE tokens SET refresh_failures = 3, refresh_failing_since = NULL")
    assert service.get(path_of(client)).status_code == 503
    assert service.database.one("SELECT refresh_failures, refresh_failing_since IS NOT NULL FROM tokens") == (4, True)


def test_a_clock_that_was_set_back_breaks_no_scrape(service, provider):
    """After a failover the database's clock may be behind what it wrote."""
    client = connected(service, provider, expires_in=-10)
    provider.fault("status", status=503, times=1)
    assert service.get(path_of(client)).status_code == 503
    service.database.execute("UPDATE tokens SET refresh_failing_since = now() + interval '1 hour'")
    now = metrics.survey(service)
    assert (now.value("tokens_failing"), now.value("oldest_failing_refresh_seconds")) == (1, 0)


def test_logins_that_never_came_back_are_counted(service, provider):
    """Once each, when they have expired; one that came back is none."""
    client = register(service, provider)
    with Browser(service) as browser:
        for _ in range(3):
            browser.login(client)
        assert connect(service, provider, client).status_code == 200
    service.database.execute("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
    metrics.wait_for(service, lambda now: now.value("logins_unreturned_total") == 3, "the housekeeping")
    assert metrics.survey(service).value("logins_unreturned_total") == 3


def test_one_worker_of_a_host_makes_the_survey(make_service, provider):
    """However many refreshers there are: between two surveys lies the interval."""
    service = make_service({"REFRESHERS": "4"})
    connected(service, provider)
    metrics.survey(service)
    stamps = set()
    wait_until(lambda: stamps.add(metrics.read(service).value("survey_timestamp_seconds")) or len(stamps) == 3, 120)
    first, second, third = sorted(stamps)
    assert second - first >= 9 and third - second >= 9


# --- who may read them ----------------------------------------------------------------------------


def test_whoever_is_on_the_host_needs_no_key(make_service, database, cluster):
    """Also without the database; whoever a proxy sent on needs an admin's."""
    service = make_service(REQUIRED)
    admin, fetcher = keys.create(database, "admin"), keys.create(database, "fetcher")
    assert service.get("/metrics").status_code == 200
    for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        elsewhere = {name: "for=192.0.2.1"}
        for key, status in ((None, 401), (fetcher, 403), (admin, 200)):
            headers = {**elsewhere, **(bearer(key) if key else {})}
            assert service.get("/metrics", headers=headers).status_code == status, name
    with cluster.stopped():
        wait_until(lambda: service.get("/health").status_code == 503)
        assert service.get("/metrics").status_code == 200


def test_a_trusted_proxy_of_the_host_does_not_make_its_callers_local(make_site, database):
    """Its caller is somebody else, whatever the headers say."""
    site = make_site(env=REQUIRED, trusted_proxy="127.0.0.2", admin_network=["0.0.0.0/0"])
    proxy = site.client("127.0.0.2")
    assert site.get("/metrics").status_code == 200
    for address in ("192.0.2.1", "127.0.0.1"):
        assert site.get("/metrics", client=proxy, headers={"X-Forwarded-For": address}).status_code == 401
