"""GET /tokens/{branch_id} and POST /tokens/refresh: who asks the provider, when, and who is answered what."""

import datetime
import time
import urllib.parse

import pytest

from support.flow import connect, connect_fast, expire, register, token_row
from support.hosts import PATIENT, SOFT_WAIT_S, results, wait_for_waiters
from support.processes import seconds, wait_until
from support.trouble import frozen

PROVIDER_DOWN = {"kind": "status", "status": 503, "body": "", "times": None}


@pytest.fixture
def service(make_service):
    """One that outlasts a machine which stands still; tests that are about a limit have a service of their own."""
    return make_service(PATIENT)


@pytest.fixture
def client(service, provider):
    """A registered branch without a grant."""
    return register(service, provider)


def fetch(service, client, **params):
    return service.get(f"/tokens/{client['branch_identifier']}", params=params)


def wait_for_exchange(service):
    """Until a worker of that pool serves: before that a token inside the buffer is answered as it is."""
    wait_until(lambda: service.post("/tokens/refresh", json={"branch_id": "nobody"}).status_code == 404)


def fetch_inside_the_buffer(service, client, **params):
    """The answer that tells what came of the refresh: the next call's, where the provider took over a second."""
    wait_for_exchange(service)
    response = fetch(service, client, **params)
    if response.elapsed.total_seconds() < SOFT_WAIT_S:
        return response
    # Waits for the refresh, which has the row locked; where it has failed, the next call is not to try again.
    service.database.execute("UPDATE tokens SET refresh_retry_at = refresh_retry_at + interval '1 minute'")
    return fetch(service, client, **params)


def refresh(service, client, **kwargs):
    return service.post("/tokens/refresh", json={"client_id": client["client_id"]}, **kwargs)


def answered(response, status=200):
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()


def refused(response, status, code):
    body = answered(response, status)
    assert body["error"] == code, body
    assert "access_token" not in body
    return body


def stored_token(service, client):
    return token_row(service, client, "access_token")[0]


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_fresh_token_is_answered_without_the_provider(service, provider, client):
    """More than the buffer left: the stored token, as often as it is asked for, and no provider call."""
    grant = connect_fast(service, provider, client, expires_in=600)
    for _ in range(5):
        body = answered(fetch(service, client))
        assert body["access_token"] == grant["access_token"]
        assert body["stale"] is False
        assert 600 - seconds(60) < body["expires_in"] <= 600
        assert "refresh_error" not in body
    assert provider.log() == []


def test_expires_at_and_expires_in_agree(service, provider, client):
    """Both tell the same moment."""
    connect_fast(service, provider, client, expires_in=2000)
    before = datetime.datetime.now(datetime.timezone.utc)
    body = answered(fetch(service, client))
    after = datetime.datetime.now(datetime.timezone.utc)
    expires_at = datetime.datetime.fromisoformat(body["expires_at"].replace("Z", "+00:00"))
    assert (expires_at - after).total_seconds() - 1 <= body["expires_in"] <= (expires_at - before).total_seconds()


def test_head_is_get_without_a_body(service, provider, client):
    """HEAD /tokens/{branch_id} has the status and no body."""
    connect_fast(service, provider, client)
    response = service.request("HEAD", f"/tokens/{client['branch_identifier']}")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.memcheck
def test_order_of_the_checks(service, provider, client):
    """branch_not_found, client_inactive, authorization_required, reauthorization_required: in this order."""
    refused(service.get("/tokens/nobody"), 404, "branch_not_found")
    refused(service.post("/tokens/refresh", json={"branch_id": "nobody"}), 404, "branch_not_found")
    refused(service.post("/tokens/refresh", json={"client_id": 4711}), 404, "client_not_found")

    for call in (fetch, refresh):
        body = refused(call(service, client), 404, "authorization_required")
        assert body["login_url"] == client["login_url"]
    service.patch(f"/clients/{client['client_id']}", json={"is_active": False})
    for call in (fetch, refresh):
        refused(call(service, client), 403, "client_inactive")

    connect_fast(service, provider, client, expires_in=-10)
    service.database.execute("UPDATE tokens SET is_valid = false")
    for call in (fetch, refresh):
        refused(call(service, client), 403, "client_inactive")
    service.patch(f"/clients/{client['client_id']}", json={"is_active": True})
    for call in (fetch, refresh):
        body = refused(call(service, client), 409, "reauthorization_required")
        assert body["login_url"] == client["login_url"]
    assert provider.log() == []


def test_inactive_client_gets_no_token_even_a_fresh_one(service, provider, client):
    """is_active is looked at for every answer."""
    connect_fast(service, provider, client)
    service.patch(f"/clients/{client['client_id']}", json={"is_active": False})
    refused(fetch(service, client), 403, "client_inactive")
    refused(refresh(service, client), 403, "client_inactive")
    service.patch(f"/clients/{client['client_id']}", json={"is_active": True})
    answered(fetch(service, client))
    assert provider.log() == []


def test_revoked_token_is_not_handed_out(service, provider, client):
    """is_revoked is looked at, though the token has not expired."""
    connect_fast(service, provider, client)
    service.database.execute("UPDATE tokens SET is_revoked = true")
    for call in (fetch, refresh):
        refused(call(service, client), 409, "reauthorization_required")
    assert provider.log() == []


@pytest.mark.parametrize("branch_id", ["a b", "ä-ö", "100%", "a+b", "a?b#c", "..a", "%2F", "日本"])
def test_branch_ids_are_percent_decoded(service, provider, branch_id):
    """Every branch id that can be registered can be fetched."""
    client = register(service, provider, branch_id=branch_id)
    grant = connect_fast(service, provider, client)
    path = "".join(f"%{byte:02X}" for byte in branch_id.encode())
    assert answered(service.get(f"/tokens/{path}"))["access_token"] == grant["access_token"]
    assert answered(service.get(f"/tokens/{path}"))["branch_id"] == branch_id


def test_reads_at_once_get_each_its_own_answer(make_service, provider):
    """What is ready at once is asked of the database as one: whatever their names are, whoever else is asked for, and
    however often; one that is not there, not connected or inactive is told so, and only that one."""
    service = make_service({"DATABASE_WORKERS": "1", "REFRESHERS": "0"})
    names = ["plain", 'quo"te', "back\\slash", "ä-日本", "[1]", "{a,b}", "null"]
    clients = {name: register(service, provider, branch_id=name) for name in [*names, "unconnected", "inactive"]}
    wanted = {name: connect_fast(service, provider, clients[name])["access_token"] for name in [*names, "inactive"]}
    service.database.execute("UPDATE clients SET is_active = false WHERE branch_id = 'inactive'")
    wanted.update({"unconnected": "authorization_required", "inactive": "client_inactive",
                   "absent": "branch_not_found", "ctrl\x01": "branch_not_found"})
    asked = [*wanted, *names]

    def are_asked_as_one():
        with frozen(service):
            calls = [service.start("GET", "/tokens/" + urllib.parse.quote(name, safe="")) for name in asked]
            time.sleep(0.1)  # they are on their way; if not all of them are, there is another time
        answers = results(calls)
        if any(response.status_code == 503 for response in answers):
            return False  # the machine stood still as well, for longer than nginx or a call of the database waits
        for name, response in zip(asked, answers):
            body = response.json()
            assert body.get("access_token", body.get("error")) == wanted[name], f"{name}: {response.text}"
            assert body.get("branch_id", name) == name
        return service.database.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                    " AND query LIKE '%WITH ORDINALITY%' AND usename = 'token_service_worker'") > (0,)

    wait_until(are_asked_as_one, what="they are asked of the database as one")
    assert provider.log() == []


# --- expired --------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_expired_token_is_refreshed(service, provider, client):
    """The caller gets the new token, which works, with its lifetime; it is stored for the next one."""
    grant = connect_fast(service, provider, client, expires_in=-10)
    body = answered(fetch(service, client))
    assert body["message"] == "Token retrieved successfully"
    assert body["access_token"] != grant["access_token"]
    assert provider.works(body["access_token"])
    assert body["stale"] is False
    assert 3600 - seconds(60) < body["expires_in"] <= 3600
    assert answered(fetch(service, client))["access_token"] == body["access_token"]
    (entry,) = provider.log()
    assert entry["grant_type"] == "refresh_token"
    assert entry["refresh_token"] == grant["refresh_token"]


def test_thirty_callers_of_an_expired_token(service, provider, client):
    """One expiry, one request to the provider: all 30 get 200 and the same token."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("hold")
    calls = [service.start("GET", f"/tokens/{client['branch_identifier']}") for _ in range(30)]
    provider.wait_for_requests(1)
    provider.release()
    bodies = [answered(response) for response in results(calls)]
    assert {body["access_token"] for body in bodies} == {stored_token(service, client)}
    assert [entry["result"] for entry in provider.log()] == ["ok"]


def test_callers_on_two_hosts(make_service, provider):
    """The same when the callers come over two hosts that share the database."""
    hosts = [make_service(PATIENT), make_service(PATIENT)]
    client = register(hosts[0], provider)
    connect_fast(hosts[0], provider, client, expires_in=-10)
    provider.fault("hold")
    calls = [hosts[i % 2].start("GET", f"/tokens/{client['branch_identifier']}") for i in range(20)]
    provider.wait_for_requests(1)
    provider.release()
    assert len({answered(response)["access_token"] for response in results(calls)}) == 1
    assert len(provider.log()) == 1


def test_many_branches_expire_at_once(service, provider):
    """Each of 12 branches is refreshed once, whatever the mix of callers."""
    clients = [register(service, provider) for _ in range(12)]
    for each in clients:
        connect_fast(service, provider, each, expires_in=-10)
    calls = [service.start("GET", f"/tokens/{each['branch_identifier']}") for _ in range(4) for each in clients]
    bodies = [answered(response) for response in results(calls)]
    assert len({body["access_token"] for body in bodies}) == len(clients)
    counts = provider.counts()
    assert counts["grant_types"]["refresh_token"]["requests"] == len(clients)
    assert counts["max_overlap"] == 1


def test_slow_provider_and_an_expired_token(make_service, provider):
    """After REFRESH_WAIT_MS the caller is told to come back; the refresh goes on and is there then."""
    service = make_service(env={**PATIENT, "REFRESH_WAIT_MS": "200"})
    client = register(service, provider)
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("hold")
    response = fetch(service, client)
    refused(response, 503, "refresh_in_progress")
    assert int(response.headers["retry-after"]) >= 1
    provider.wait_for_requests(1)  # a slow machine may have sent it only after that
    assert provider.counts()["open"] == 1  # it was answered while the provider still had the request
    refused(fetch(service, client), 503, "refresh_in_progress")  # one that waits for the other's refresh
    provider.release()
    token = wait_until(lambda: fetch(service, client).status_code == 200 and stored_token(service, client))
    assert provider.works(token)
    assert len(provider.log()) == 1


# --- inside the buffer ----------------------------------------------------------------------------


def test_token_inside_the_buffer_is_refreshed(service, provider, client):
    """The caller that refreshes waits for the new token when the provider is fast."""
    connect_fast(service, provider, client, expires_in=299)
    body = answered(fetch_inside_the_buffer(service, client))
    (entry,) = provider.log()
    assert body["access_token"] == entry["access_token"]
    assert body["stale"] is False


def test_buffer_is_configurable(make_service, provider):
    """TOKEN_EXPIRY_BUFFER decides: 0 means that a token is used to its last second."""
    service = make_service(env={"TOKEN_EXPIRY_BUFFER": "0"})
    client = register(service, provider)
    grant = connect_fast(service, provider, client, expires_in=120)
    body = answered(fetch(service, client))
    assert (body["access_token"], body["stale"]) == (grant["access_token"], False)
    assert provider.log() == []


@pytest.mark.memcheck
def test_slow_provider_inside_the_buffer(service, provider, client):
    """Nobody waits for a slow provider while the token works: it is answered as stale; the refresh is stored later."""
    grant = connect_fast(service, provider, client, expires_in=250)
    wait_for_exchange(service)
    provider.fault("hold")
    first = service.start("GET", f"/tokens/{client['branch_identifier']}")
    provider.wait_for_requests(1)
    others = [answered(fetch(service, client)) for _ in range(5)]
    for body in [*others, answered(first.result(seconds(60)))]:
        assert body["access_token"] == grant["access_token"]
        assert body["stale"] is True
        assert "refresh_error" not in body
    assert provider.counts()["open"] == 1  # all of them while the provider still had the request
    provider.release()
    token = wait_until(lambda: (now := stored_token(service, client)) != grant["access_token"] and now)
    assert provider.works(token)
    body = answered(fetch(service, client))
    assert (body["access_token"], body["stale"]) == (token, False)
    assert len(provider.log()) == 1


def test_stuck_provider_starves_nobody(make_service, provider):
    """With every exchange worker held by the provider, tokens that work are still answered."""
    service = make_service(env={"EXCHANGE_WORKERS": "2", **PATIENT})
    stuck = [register(service, provider) for _ in range(2)]
    fresh, expiring = register(service, provider), register(service, provider)
    for each in stuck:
        connect_fast(service, provider, each, expires_in=-10)
    connect_fast(service, provider, fresh)
    grant = connect_fast(service, provider, expiring, expires_in=250)
    provider.fault("hold", times=None)
    calls = [service.start("GET", f"/tokens/{each['branch_identifier']}") for each in stuck]
    provider.wait_for_requests(2)
    assert answered(fetch(service, fresh))["stale"] is False
    body = answered(fetch(service, expiring))
    assert (body["access_token"], body["stale"]) == (grant["access_token"], True)
    assert provider.counts()["open"] == 2  # both still held
    provider.clear_faults()
    results(calls)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (PROVIDER_DOWN, "provider_unavailable"),
        ({"kind": "drop", "times": None}, "provider_unavailable"),
        ({"kind": "status", "status": 200, "body": "<html>", "times": None}, "provider_error"),
        ({"kind": "oauth_error", "error": "invalid_request", "times": None}, "provider_error"),
        ({"kind": "oauth_error", "error": "invalid_client", "times": None}, "client_credentials_rejected"),
    ],
    ids=["503", "drop", "html", "invalid_request", "invalid_client"],
)
def test_failing_provider_costs_no_token_that_works(service, provider, client, fault, code):
    """Inside the buffer a failure is told beside the token, as stale; within the backoff nobody asks again."""
    grant = connect_fast(service, provider, client, expires_in=250)
    provider.fault(**fault)
    body = answered(fetch_inside_the_buffer(service, client))
    service.database.execute("UPDATE tokens SET refresh_retry_at = now() + interval '1 minute'")
    for body in (body, answered(fetch(service, client))):
        assert body["access_token"] == grant["access_token"]
        assert body["stale"] is True
        assert body["refresh_error"] == code
    assert len(provider.log()) == 1
    service.database.execute("UPDATE tokens SET refresh_retry_at = now()")
    provider.clear_faults()
    body = answered(fetch_inside_the_buffer(service, client))
    assert body["stale"] is False and "refresh_error" not in body
    assert provider.works(body["access_token"])


def test_provider_that_is_not_there(make_service, provider):
    """Connection refused: the same."""
    service = make_service(env={"GOOGLE_TOKEN_URL": "http://127.0.0.1:1/token", **PATIENT})
    client = register(service, provider)
    connect_fast(service, provider, client, expires_in=250)
    body = answered(fetch_inside_the_buffer(service, client))
    assert (body["stale"], body["refresh_error"]) == (True, "provider_unavailable")
    expire(service, client)
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    body = refused(fetch(service, client), 503, "provider_unavailable")
    assert body["provider_error"] == "connection_refused"


def test_invalid_grant_inside_the_buffer(service, provider, client):
    """A dead grant is told at once: the token is not handed out any more."""
    connect_fast(service, provider, client, expires_in=250)
    provider.revoke(client_id=client["client_oauth_id"])
    refused(fetch_inside_the_buffer(service, client), 409, "reauthorization_required")


# --- backoff --------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_expired_token_and_provider_down(service, provider, client):
    """503 with Retry-After; nobody asks again before the backoff is over, then it works."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault(**PROVIDER_DOWN)
    response = fetch(service, client)
    body = refused(response, 503, "provider_unavailable")
    assert body["provider_error"] == "http_503"
    assert response.headers["retry-after"] in ("1", "2")
    service.database.execute("UPDATE tokens SET refresh_retry_at = now() + interval '1 minute'")
    for response in [fetch(service, client) for _ in range(3)]:
        body = refused(response, 503, "provider_unavailable")
        assert body["provider_error"] == "http_503"
        assert 60 - seconds(50) < int(response.headers["retry-after"]) <= 60
    assert len(provider.log()) == 1

    provider.clear_faults()
    service.database.execute("UPDATE tokens SET refresh_retry_at = now()")
    assert provider.works(answered(fetch(service, client))["access_token"])
    assert token_row(service, client, "refresh_failures, refresh_retry_at, refresh_error") == (0, None, None)


@pytest.mark.parametrize(
    ("failures", "low", "high"), [(0, 0.75, 1.25), (1, 1.5, 2.5), (5, 24, 40), (9, 225, 300), (900, 225, 300)]
)
def test_backoff_doubles(service, provider, client, failures, low, high):
    """1 s, doubling with every failure, a quarter of jitter, never over 300 s."""
    connect_fast(service, provider, client, expires_in=-10)
    service.database.execute("UPDATE tokens SET refresh_failures = %s", (failures,))
    provider.fault(**PROVIDER_DOWN)
    refused(fetch(service, client), 503, "provider_unavailable")
    # The pause begins between the two, however long the machine takes from one to the other.
    longest, shortest, counted = token_row(
        service, client, "extract(epoch FROM refresh_retry_at - refresh_began_at)::float,"
        " extract(epoch FROM refresh_retry_at - updated_at)::float, refresh_failures"
    )
    assert low <= longest and shortest <= high + 0.01
    assert counted == failures + 1


def test_retry_after_of_the_provider_wins(service, provider, client):
    """A longer Retry-After is kept to, by readers and by forced refreshes alike, and told to the callers."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("status", status=429, headers={"Retry-After": "120"}, body={"error": "rate_limit"})
    first = fetch(service, client)
    assert first.headers["retry-after"] == "120"
    service.database.execute("UPDATE tokens SET refresh_began_at = now() - interval '1 hour'")
    for response in (first, fetch(service, client), refresh(service, client)):
        refused(response, 503, "provider_unavailable")
        assert 120 - seconds(60) < int(response.headers["retry-after"]) <= 120
    assert len(provider.log()) == 1


def test_invalid_grant(service, provider, client):
    """409 with login_url and the provider's code; from then on the provider is not asked any more."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.revoke(client_id=client["client_oauth_id"])
    for response in (fetch(service, client), fetch(service, client), refresh(service, client)):
        body = refused(response, 409, "reauthorization_required")
        assert body["login_url"] == client["login_url"]
        assert body["provider_error"] == "invalid_grant"
    assert len(provider.log()) == 1
    assert token_row(service, client, "is_valid, refresh_due_at") == (False, None)


def test_only_invalid_grant_ends_a_grant(service, provider, client):
    """Whatever else the provider says, the grant is tried again later."""
    connect_fast(service, provider, client, expires_in=-10)
    faults = [
        {"kind": "oauth_error", "error": error, "status": status}
        for error in ("invalid_client", "unauthorized_client", "invalid_request", "invalid_scope", "access_denied")
        for status in (400, 401)
    ]
    faults += [{"kind": "status", "status": status, "body": ""} for status in (302, 400, 401, 403, 404, 500, 502, 504)]
    faults += [{"kind": "rewrite", "remove": ["access_token"]}, {"kind": "rewrite", "set": {"access_token": ""}}]
    faults += [{"kind": "rewrite", "set": {"expires_in": bad}} for bad in (-1, 0, "soon", [], True)]
    for fault in faults:
        provider.fault(**fault)
        assert fetch(service, client).status_code in (502, 503), fault
        assert provider.faults() == [], fault
        service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    answered(fetch(service, client))


@pytest.mark.parametrize("retry", [fetch, refresh])
def test_rejected_credentials_and_their_correction(service, provider, client, retry):
    """The secret was changed at the provider: 502; a PATCH with the right one clears the backoff."""
    grant = connect_fast(service, provider, client, expires_in=-10)
    _, secret = provider.client(client["client_oauth_id"])
    for response in (fetch(service, client), fetch(service, client)):
        body = refused(response, 502, "client_credentials_rejected")
        assert body["provider_error"] == "invalid_client"
    service.database.execute("UPDATE tokens SET refresh_retry_at = now() + interval '1 minute'")
    assert service.patch(f"/clients/{client['client_id']}", json={"client_secret": secret}).status_code == 200
    body = answered(retry(service, client))
    assert provider.works(body["access_token"])
    assert token_row(service, client, "refresh_token, is_valid") == (grant["refresh_token"], True)


# --- what a refresh stores ------------------------------------------------------------------------


def test_rotated_refresh_token_is_used_next_time(service, provider, client):
    """A new refresh token replaces the old one. The provider ends the grant when an old one comes again."""
    grant = connect_fast(service, provider, client, expires_in=-10)
    provider.settings(rotate=True)
    used = [grant["refresh_token"]]
    for _ in range(3):
        assert provider.works(answered(fetch(service, client))["access_token"])
        used.append(token_row(service, client, "refresh_token")[0])
        expire(service, client)
    assert len(set(used)) == 4
    assert [entry["refresh_token"] for entry in provider.log()] == used[:3]


def test_refresh_token_stays_when_none_comes(service, provider, client):
    """A refresh answer without refresh_token keeps the old one."""
    grant = connect_fast(service, provider, client, expires_in=-10)
    for _ in range(2):
        answered(fetch(service, client))
        assert provider.log()[-1]["new_refresh_token"] is None
        assert token_row(service, client, "refresh_token") == (grant["refresh_token"],)
        expire(service, client)


@pytest.mark.parametrize("value", [None, "", 7, "a b"])
def test_unusable_refresh_token_does_not_replace_a_good_one(service, provider, client, value):
    """Nor does one that is null, empty or no token at all."""
    grant = connect_fast(service, provider, client, expires_in=-10)
    provider.fault("rewrite", set={"refresh_token": value})
    answered(fetch(service, client))
    assert token_row(service, client, "refresh_token") == (grant["refresh_token"],)


def test_rotated_refresh_token_of_a_bad_answer_is_kept(service, provider, client):
    """The answer has a new refresh token and no usable access token: the old one is spent, so the new one is stored."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.settings(rotate=True)
    provider.fault("rewrite", remove=["access_token"])
    refused(fetch(service, client), 502, "provider_error")
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    assert provider.works(answered(fetch(service, client))["access_token"])


@pytest.mark.parametrize(("answer", "lifetime"), [(1234, 1234), (999999999, 86400), ("1800", 1800)])
def test_lifetime_is_the_providers(service, provider, client, answer, lifetime):
    """expires_in counts from before the request; a very long one is looked at again after a day."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("rewrite", set={"expires_in": answer})
    body = answered(fetch(service, client))
    assert lifetime - seconds(60) < body["expires_in"] <= lifetime
    life = token_row(service, client, "extract(epoch FROM expires_at - refresh_began_at)::float")[0]
    assert abs(life - lifetime) < 0.001


def test_refresh_is_counted_and_dated(service, provider, client):
    """grant_version counts up, last_refreshed_at and refresh_due_at are set."""
    connect_fast(service, provider, client, expires_in=-10)
    (version,) = token_row(service, client, "grant_version")
    answered(fetch(service, client))
    columns = "grant_version, last_refreshed_at IS NOT NULL, refresh_due_at BETWEEN now() AND expires_at"
    assert token_row(service, client, columns) == (version + 1, True, True)


# --- min_ttl --------------------------------------------------------------------------------------


def test_min_ttl_asks_for_more_than_the_buffer(service, provider, client):
    """A caller that needs 900 s gets a token that has them."""
    grant = connect_fast(service, provider, client, expires_in=600)
    assert answered(fetch(service, client))["access_token"] == grant["access_token"]
    body = answered(fetch_inside_the_buffer(service, client, min_ttl=900))
    assert body["access_token"] != grant["access_token"]
    assert body["expires_in"] > 900
    assert len(provider.log()) == 1


def test_min_ttl_asks_for_less_than_the_buffer(service, provider, client):
    """A caller that is content with little does not cause a refresh, and is told that the token is not stale."""
    grant = connect_fast(service, provider, client, expires_in=200)
    for min_ttl in (0, 60):
        body = answered(fetch(service, client, min_ttl=min_ttl))
        assert (body["access_token"], body["stale"]) == (grant["access_token"], False)
    assert provider.log() == []


@pytest.mark.parametrize("value", ["-1", "3001", "x", "", "1.5", "99999999999999999999", " 1"])
def test_bad_min_ttl(service, provider, client, value):
    """0 to 3000, or 422 with the field's name."""
    connect_fast(service, provider, client)
    body = refused(fetch(service, client, min_ttl=value), 422, "validation_failed")
    assert [fault["field"] for fault in body["detail"]] == ["min_ttl"]


def test_min_ttl_beyond_the_tokens_life(service, provider, client):
    """Tokens that never live so long are refreshed once, not with every call, and are answered as stale."""
    provider.settings(access_token_ttl=600)
    connect_fast(service, provider, client, expires_in=-10)
    begun = time.monotonic()
    for _ in range(20):
        assert answered(fetch(service, client, min_ttl=3000))["stale"] is True
    assert len(provider.log()) <= 1 + (time.monotonic() - begun) / 30


def test_tokens_that_live_shorter_than_the_buffer(service, provider, client):
    """They do not make every call a provider call: the row is left alone for 2 s after a refresh."""
    provider.settings(access_token_ttl=60)
    connect_fast(service, provider, client, expires_in=-10)
    begun = time.monotonic()
    for _ in range(20):
        assert answered(fetch(service, client))["stale"] is True
    assert len(provider.log()) <= 1 + (time.monotonic() - begun) / 2


# --- POST /tokens/refresh -------------------------------------------------------------------------


@pytest.mark.memcheck
@pytest.mark.parametrize("key", ["client_id", "branch_id"])
def test_forced_refresh(service, provider, client, key):
    """A fresh token is refreshed all the same, by either name of the branch."""
    grant = connect_fast(service, provider, client)
    value = {"client_id": client["client_id"], "branch_id": client["branch_identifier"]}[key]
    body = answered(service.post("/tokens/refresh", json={key: value}))
    assert body["message"] == "Token refreshed successfully"
    assert body["client_id"] == client["client_id"]
    assert body["branch_id"] == client["branch_identifier"]
    assert body["refresh_token"] is None
    assert body["access_token"] != grant["access_token"]
    assert provider.works(body["access_token"])
    assert stored_token(service, client) == body["access_token"]
    assert len(provider.log()) == 1


def test_ten_forced_refreshes_at_once(make_service, provider):
    """All succeed with a token that works, and the provider is asked at most twice."""
    service = make_service(env={"EXCHANGE_WORKERS": "10", **PATIENT})
    client = register(service, provider)
    connect_fast(service, provider, client)
    provider.fault("hold")
    body = {"client_id": client["client_id"]}
    calls = [service.start("POST", "/tokens/refresh", json=body) for _ in range(10)]
    provider.wait_for_requests(1)
    wait_for_waiters(service.database, 9)  # one that comes after the second refresh has begun might ask for a third
    provider.release()
    tokens = {answered(response)["access_token"] for response in results(calls)}
    assert len(provider.log()) <= 2
    assert tokens <= {entry["access_token"] for entry in provider.log()}
    assert all(provider.works(token) for token in tokens)
    assert provider.counts()["max_overlap"] == 1


def test_forced_refresh_during_a_readers(service, provider, client):
    """A forced refresh waits for the one under way and asks at most once more."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("hold")
    reader = service.start("GET", f"/tokens/{client['branch_identifier']}")
    provider.wait_for_requests(1)
    forced = service.start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
    provider.release()
    answered(reader.result(seconds(60)))
    assert answered(forced.result(seconds(60)))["access_token"] == stored_token(service, client)
    assert len(provider.log()) <= 2
    assert provider.counts()["max_overlap"] == 1


def test_forced_refresh_ignores_our_own_backoff(service, provider, client):
    """An operator who knows that the provider is back need not wait."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("status", status=503, body="")
    refused(fetch(service, client), 503, "provider_unavailable")
    service.database.execute(
        "UPDATE tokens SET refresh_retry_at = now() + interval '5 minutes',"
        " refresh_began_at = now() - interval '1 hour'"
    )
    refused(fetch(service, client), 503, "provider_unavailable")
    answered(refresh(service, client))
    answered(fetch(service, client))
    assert len(provider.log()) == 2


def test_forced_refresh_and_a_failing_provider(service, provider, client):
    """It was asked for a new token, so it says that there is none, though the old one works; that one stays."""
    grant = connect_fast(service, provider, client)
    provider.fault(**PROVIDER_DOWN)
    response = refresh(service, client)
    refused(response, 503, "provider_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert answered(fetch(service, client))["access_token"] == grant["access_token"]


def test_forced_refresh_and_a_slow_provider(make_service, provider):
    """refresh_in_progress after REFRESH_WAIT_MS; the new token is there later."""
    service = make_service(env={**PATIENT, "REFRESH_WAIT_MS": "200"})
    client = register(service, provider)
    grant = connect_fast(service, provider, client)
    provider.fault("hold")
    response = refresh(service, client)
    refused(response, 503, "refresh_in_progress")
    provider.wait_for_requests(1)
    assert provider.counts()["open"] == 1
    assert answered(fetch(service, client))["access_token"] == grant["access_token"]
    provider.release()
    token = wait_until(lambda: (now := stored_token(service, client)) != grant["access_token"] and now)
    assert provider.works(token)


def test_forced_refreshes_come_at_most_once_a_second(service, provider, client):
    """A caller in a loop does not become the provider's problem."""
    connect_fast(service, provider, client)
    begun = time.monotonic()
    for _ in range(20):
        answered(refresh(service, client))
    assert len(provider.log()) <= 2 + (time.monotonic() - begun)


def test_forced_refresh_of_a_real_consent(service, provider, client):
    """The refresh token of a consent through the browser works, as often as needed."""
    first = connect(service, provider, client).json()["access_token"]
    seen = {first}
    for _ in range(3):
        expire(service, client, seconds_left=3000)
        token = answered(refresh(service, client))["access_token"]
        assert provider.works(token)
        seen.add(token)
    assert len(seen) == 4


def test_consent_during_a_refresh(service, provider, client):
    """A consent that comes while the provider has a refresh is not overwritten by it."""
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("hold", grant_type="refresh_token")
    reader = service.start("GET", f"/tokens/{client['branch_identifier']}")
    provider.wait_for_requests(1)
    consent = service.run(connect, service, provider, client)
    provider.wait_for_requests(1, grant_type="authorization_code")
    provider.release()
    token = answered(consent.result(seconds(60)))["access_token"]
    answered(reader.result(seconds(60)))
    assert stored_token(service, client) == token
    assert provider.works(token)
