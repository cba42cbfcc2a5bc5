"""Giving grants up: revoke, DELETE, is_active, and a refresh under way meanwhile; and the breaker. Two hosts, one
database."""

import time

import pytest

from support.flow import Browser, begin, connect, connect_fast, expire, register, rows, token_row
from support.hosts import (
    AFTER_INSERT, PATIENT, Gate, fetch, make_due, refused, results, start_fetch, start_herd, token_of, two_hosts, wait_for_waiters,
)
from support.processes import seconds, wait_until
from support.sealing import SEALS

DOWN = {"kind": "status", "status": 503, "body": "", "times": None}


@pytest.fixture
def hosts(make_service):
    return two_hosts(make_service, **PATIENT)


def connected(service, provider, seconds_left=3000, **fields):
    client = register(service, provider, **fields)
    return client, connect_fast(service, provider, client, expires_in=seconds_left)


def revoke_path(client):
    return f"/tokens/{client['branch_identifier']}/revoke"


def revoke(service, client):
    return service.post(revoke_path(client))


def served(host, client):
    """Its answer with a token; not yet when the provider stood still for the short time that it has."""
    answer = fetch(host, client)
    assert answer.status_code == 200 or answer.json().get("provider_error") == "timeout", answer.text
    return answer.status_code == 200 and answer


def is_live(provider, grant):
    return provider.introspect(grant["refresh_token"])["active"]


def queued(service):
    return service.database.one("SELECT count(*) FROM revocations")[0]


def retry_now(service):
    assert service.database.execute("UPDATE revocations SET retry_at = now()") > 0


def wait_for_empty_queue(service):
    wait_until(lambda: queued(service) == 0, 60, "the queue of revocations is empty")


# --- revoke ---------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_revoke(hosts, provider):
    """The provider is told, the row marked; readers and refreshers leave it alone; revoking again changes nothing."""
    a, b = hosts
    client, grant = connected(a, provider)
    answer = revoke(a, client)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "success": True, "message": "Token revoked successfully", "client_id": client["client_id"],
        "branch_id": client["branch_identifier"], "provider_revoked": True,
    }
    assert not is_live(provider, grant) and not provider.works(grant["access_token"])
    assert queued(a) == 0
    assert len(provider.log("revocation")) == 1

    again = revoke(b, client)
    assert again.status_code == 200 and again.json()["provider_revoked"] is False
    assert len(provider.log("revocation")) == 1
    body = refused(fetch(b, client), 409, "reauthorization_required")
    assert body["login_url"] == client["login_url"]
    refused(a.post("/tokens/refresh", json={"client_id": client["client_id"]}), 409, "reauthorization_required")
    assert a.get(f"/clients/{client['client_id']}").json()["token"]["state"] == "revoked"
    make_due(a, client)
    wait_until(lambda: token_row(a, client, "refresh_due_at")[0] is None, what="it is parked")
    assert provider.refreshes() == []


def test_revoke_what_is_not_there(hosts, provider):
    """Unknown branch, branch without consent: 404 with what to do."""
    a, _ = hosts
    refused(a.post("/tokens/no-such-branch/revoke"), 404, "branch_not_found")
    client = register(a, provider)
    body = refused(revoke(a, client), 404, "authorization_required")
    assert body["login_url"] == client["login_url"]
    assert provider.log("revocation") == []


def test_login_reconnects_a_revoked_branch(hosts, provider):
    """A new consent after revoke works, on both hosts, and comes due again."""
    a, b = hosts
    client, _ = connected(a, provider)
    assert revoke(a, client).status_code == 200
    answer = connect(a, provider, client)
    assert answer.status_code == 200, answer.text
    assert provider.works(token_of(fetch(b, client)))
    assert token_row(a, client, "is_revoked, is_valid, refresh_due_at IS NULL") == (False, True, False)


def test_dead_grant_is_not_revoked_again(hosts, provider):
    """invalid_grant before: nothing to tell the provider; still 200."""
    a, _ = hosts
    client, _ = connected(a, provider)
    a.database.execute("UPDATE tokens SET is_valid = false")
    answer = revoke(a, client)
    assert answer.status_code == 200 and answer.json()["provider_revoked"] is False
    assert provider.log("revocation") == []


@pytest.mark.parametrize("delete", [False, True], ids=["revoke", "delete"])
def test_shared_grant_is_revoked_with_its_last_branch(hosts, provider, delete):
    """Two branches with one OAuth client and e-mail: the provider may end the person's whole grant, so it is told
    only when the second goes; until then the other one works."""
    a, b = hosts
    id, secret = provider.client()
    (first, _), (second, grant) = (connected(a, provider, client_id=id, client_secret=secret) for _ in range(2))
    other_person, other_grant = connected(a, provider, client_id=id, client_secret=secret,
                                          workspace_email="other@example.test")
    provider.settings(revoke_person=False)

    def give_up(client):
        if delete:
            assert a.delete(f"/clients/{client['client_id']}").status_code == 204
            return None
        answer = revoke(a, client)
        assert answer.status_code == 200
        return answer.json()["provider_revoked"]

    assert give_up(first) in (False, None)
    assert provider.log("revocation") == [] and queued(a) == 0
    assert token_of(fetch(b, second)) == grant["access_token"] and is_live(provider, grant)
    assert give_up(second) in (True, None)
    assert [entry["token"] for entry in provider.log("revocation")] == [grant["refresh_token"]]
    assert not is_live(provider, grant)
    assert is_live(provider, other_grant) and token_of(fetch(b, other_person)) == other_grant["access_token"]


def test_shared_branches_revoked_at_once_end_the_grant(hosts, provider):
    """Both branches of one person revoked at the same time on two hosts: one of the two tells the provider."""
    for _ in range(5):
        id, secret = provider.client()
        (first, one), (second, two) = (connected(hosts[0], provider, client_id=id, client_secret=secret)
                                       for _ in range(2))
        answers = results([hosts[0].start("POST", revoke_path(first)), hosts[1].start("POST", revoke_path(second))])
        assert [answer.status_code for answer in answers] == [200, 200]
        assert any(answer.json()["provider_revoked"] for answer in answers)
        assert not is_live(provider, one) and not is_live(provider, two)
        assert queued(hosts[0]) == 0


# --- the provider is down -------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [DOWN, {"kind": "drop", "times": None}], ids=["503", "drop"])
@pytest.mark.parametrize("delete", [False, True], ids=["revoke", "delete"])
def test_revocation_is_queued_and_retried(hosts, provider, fault, delete):
    """The provider cannot be told: still 200 (204), queued; told later, the deletion of the client notwithstanding."""
    a, b = hosts
    client, grant = connected(a, provider)
    provider.fault(endpoint="revocation", **fault)
    [begun] = a.database.one("SELECT clock_timestamp()")
    if delete:
        assert a.delete(f"/clients/{client['client_id']}").status_code == 204
        assert a.get(f"/clients/{client['client_id']}").status_code == 404
        refused(fetch(b, client), 404, "branch_not_found")
        assert a.database.one("SELECT count(*) FROM tokens")[0] == 0
    else:
        answer = revoke(a, client)
        assert answer.status_code == 200 and answer.json()["provider_revoked"] is False
        refused(fetch(b, client), 409, "reauthorization_required")
    assert is_live(provider, grant)
    attempts, token, pause = a.database.one(
        "SELECT attempts, token, extract(epoch FROM retry_at - %s)::float FROM revocations", (begun,))
    token = SEALS.open("tokens", "refresh_token", client["client_id"], token)
    assert (attempts, token) == (1, grant["refresh_token"]) and 5 < pause <= 60

    retry_now(a)
    wait_until(lambda: a.database.one("SELECT attempts FROM revocations")[0] == 2, 60, "it is tried again")
    wait_until(lambda: a.database.one("SELECT retry_at > now() FROM revocations")[0], what="it is put off again")
    provider.clear_faults()
    retry_now(a)
    wait_for_empty_queue(a)
    assert not is_live(provider, grant)


@pytest.mark.parametrize("kind", ["hang", "drop"])
def test_revocation_endpoint_that_fails_does_not_stop_refreshing(make_service, provider, kind):
    """A queue of revocations that nobody takes: expired branches are served and refreshers refresh as ever."""
    a, b = two_hosts(make_service, GOOGLE_TIMEOUT_MS="1500", REFRESH_WAIT_MS="25000", REFRESHERS="1")
    given_up = [connected(a, provider)[0] for _ in range(8)]
    provider.fault(kind, endpoint="revocation", times=None)
    for number in range(20):
        a.database.execute(
            "INSERT INTO revocations (client_id, workspace_email, token, token_client_id)"
            " VALUES ('gone', 'nobody@example.test', %s, 4711)",
            (SEALS.seal("tokens", "refresh_token", 4711, f"token-{number}"),),
        )
    wait_until(lambda: len(provider.log("revocation")) >= 6, 90, "the endpoint has failed again and again")
    for client in given_up:
        expire(a, client)
        assert provider.works(token_of(wait_until(lambda: served(a, client), what="it is served")))
    due, grant = connected(b, provider, 3000)
    make_due(b, due)
    wait_until(lambda: token_row(b, due, "access_token")[0] != grant["access_token"], 60, "it is refreshed")
    assert queued(a) == 20


def test_reconnected_before_the_retry_is_not_revoked(hosts, provider):
    """A person who consents again before the queued revocation: it is dropped, the new grant lives."""
    a, b = hosts
    client, _ = connected(a, provider)
    provider.fault(endpoint="revocation", **DOWN)
    assert revoke(a, client).status_code == 200
    provider.clear_faults()
    assert connect(a, provider, client).status_code == 200
    made = len(provider.log("revocation"))
    retry_now(a)
    wait_for_empty_queue(a)
    assert len(provider.log("revocation")) == made
    assert provider.works(token_of(fetch(b, client)))


def test_old_revocation_is_given_up(hosts, provider):
    """A provider that refuses for a week: the entry goes, and does not stay for ever."""
    a, _ = hosts
    client, _ = connected(a, provider)
    provider.fault(endpoint="revocation", **DOWN)
    assert revoke(a, client).status_code == 200
    a.database.execute("UPDATE revocations SET created_at = now() - interval '8 days', attempts = 200")
    retry_now(a)
    wait_for_empty_queue(a)


def test_revoke_does_not_wait_for_a_held_provider_to_be_true(hosts, provider):
    """While the provider still holds the revocation, the branch is revoked for every reader already."""
    a, b = hosts
    client, _ = connected(a, provider)
    provider.fault("hold", endpoint="revocation")
    call = a.start("POST", revoke_path(client))
    provider.wait_for_requests(1, "revocation")
    refused(fetch(b, client), 409, "reauthorization_required")
    provider.release()
    answer = call.result(seconds(60))
    assert answer.status_code == 200 and answer.json()["provider_revoked"] is True


# --- races with a refresh under way ---------------------------------------------------------------


@pytest.fixture
def refreshing(hosts, provider):
    """A refresh under way on the first host, held at the provider, rotating: (client, call)."""
    provider.settings(rotate=True)
    client, _ = connected(hosts[0], provider, -10)
    provider.fault("hold", grant_type="refresh_token")
    call = start_fetch(hosts[0], client)
    provider.wait_for_requests(1)
    return client, call


@pytest.mark.parametrize("method", ["POST", "DELETE"], ids=["revoke", "delete"])
def test_grant_given_up_during_a_refresh(hosts, provider, refreshing, method):
    """It waits for the refresh and gives up what that brought; waiting readers are told, none gets a 500, and nothing
    is refreshed after it."""
    client, refresh = refreshing
    path = revoke_path(client) if method == "POST" else f"/clients/{client['client_id']}"
    giving_up = hosts[1].start(method, path)
    wait_for_waiters(hosts[0].database, 1)
    readers = start_herd(hosts, client, 4)
    wait_for_waiters(hosts[0].database, 5)
    provider.release()
    token_of(refresh.result(seconds(60)))  # what it was answered was true when it was committed
    assert giving_up.result(seconds(60)).status_code == (200 if method == "POST" else 204)
    for response in results(readers):
        if response.status_code != 200:  # before its turn came
            refused(response, *((409, "reauthorization_required") if method == "POST" else (404, "branch_not_found")))
    (entry,) = provider.refreshes()
    assert [each["token"] for each in provider.log("revocation")] == [entry["new_refresh_token"]]
    assert not provider.works(entry["access_token"])
    status = fetch(hosts[1], client).status_code
    assert status == (409 if method == "POST" else 404)
    assert len(provider.refreshes()) == 1


@pytest.mark.parametrize("method", ["POST", "DELETE"], ids=["revoke", "delete"])
def test_grant_given_up_during_a_refresh_that_takes_too_long(make_service, provider, method):
    """It waits no longer than REFRESH_WAIT_MS: 503 with Retry-After, nothing changed; later it goes through."""
    hosts = two_hosts(make_service, REFRESH_WAIT_MS="300", GOOGLE_TIMEOUT_MS="30000")
    client, _ = connected(hosts[0], provider, 3000)
    provider.fault("hold", grant_type="refresh_token")
    refresh = hosts[0].start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
    provider.wait_for_requests(1)
    path = revoke_path(client) if method == "POST" else f"/clients/{client['client_id']}"
    answer = hosts[1].request(method, path)
    refused(answer, 503, "refresh_in_progress")
    assert int(answer.headers["retry-after"]) >= 1
    assert token_row(hosts[0], client, "is_revoked") == (False,)
    assert provider.log("revocation") == [] and queued(hosts[0]) == 0
    provider.release()
    refresh.result(seconds(60))
    wait_until(lambda: hosts[1].request(method, path).status_code in (200, 204), what="it goes through")
    assert len(provider.log("revocation")) == 1


def test_client_deleted_while_its_first_consent_is_stored(hosts, provider):
    """The consent has a row that nobody else sees yet: DELETE waits for it, and gives up that grant as well."""
    a, b = hosts
    client = register(a, provider)
    with Browser(a) as browser, Gate(a.database, AFTER_INSERT) as gate:
        url = begin(browser, client)
        gate.shut()
        consent = a.run(browser.callback, url)
        gate.wait_for_update()
        deletion = b.start("DELETE", f"/clients/{client['client_id']}")
        wait_for_waiters(a.database, 1)
        gate.open()
        consent, deletion = results([consent, deletion])
    assert (consent.status_code, deletion.status_code) == (200, 204)
    assert rows(a, "clients") == rows(a, "tokens") == 0
    wait_for_empty_queue(a)
    assert len(provider.log("revocation")) == 1
    assert not provider.works(consent.json()["access_token"])


@pytest.mark.parametrize("again", [False, True], ids=["first consent", "consent again"])
def test_client_deleted_while_its_code_is_exchanged(hosts, provider, again):
    """The grant cannot be stored any more and is not kept at the provider either."""
    a, b = hosts
    provider.settings(revoke_person=False)  # or the deletion ends the new grant with the old one
    client = register(a, provider)
    if again:
        assert connect(a, provider, client).status_code == 200
    with Browser(a) as browser:
        url = begin(browser, client)
        provider.fault("hold_after", grant_type="authorization_code")
        consent = a.run(browser.callback, url)
        provider.wait_for_requests(1 + again, grant_type="authorization_code")
        assert b.delete(f"/clients/{client['client_id']}").status_code == 204
        provider.release()
        (consent,) = results([consent])
    refused(consent, 404, "client_not_found")
    *_, exchange = provider.log(grant_type="authorization_code")
    wait_for_empty_queue(a)
    assert not provider.works(exchange["access_token"])
    assert not provider.introspect(exchange["new_refresh_token"])["active"]


def test_revoked_while_a_refresher_works(make_service, provider):
    """The refresher's answer is stored, then revoked: it does not come back to life, and is not due again."""
    hosts = two_hosts(make_service, **PATIENT)
    provider.settings(rotate=True)
    client, _ = connected(hosts[0], provider)
    provider.fault("hold", grant_type="refresh_token")
    make_due(hosts[0], client)
    provider.wait_for_requests(1)
    call = hosts[1].start("POST", revoke_path(client))
    wait_for_waiters(hosts[0].database, 1)
    provider.release()
    assert call.result(seconds(60)).status_code == 200
    assert token_row(hosts[0], client, "is_revoked, refresh_due_at") == (True, None)
    assert not is_live(provider, {"refresh_token": token_row(hosts[0], client, "refresh_token")[0]})
    assert len(provider.refreshes()) == 1


def test_deactivated_during_a_refresh(hosts, provider, refreshing):
    """PATCH is_active false does not wait for the provider; the refresh is finished and stored, further readers get
    403, and active again the new token is there without a call."""
    client, refresh = refreshing
    path = f"/clients/{client['client_id']}"
    assert hosts[1].patch(path, json={"is_active": False}).status_code == 200
    assert not refresh.done()
    refused(fetch(hosts[1], client), 403, "client_inactive")
    provider.release()
    assert refresh.result(seconds(60)).status_code in (200, 403)
    refused(fetch(hosts[0], client), 403, "client_inactive")
    (entry,) = provider.refreshes()
    assert token_row(hosts[0], client, "access_token, is_valid") == (entry["access_token"], True)
    assert hosts[1].patch(path, json={"is_active": True}).status_code == 200
    assert token_of(fetch(hosts[0], client)) == entry["access_token"]
    assert len(provider.refreshes()) == 1


@pytest.mark.parametrize("failures", [0, 8], ids=["first", "ninth"])
def test_secret_changed_during_a_refresh_that_fails_for_the_old_one(hosts, provider, failures):
    """The refresh under way has the old secret and fails; the new secret counts from the next one on: the branch does
    not wait for a backoff that the old secret has earned."""
    client, _ = connected(hosts[0], provider, -10)
    hosts[0].database.execute("UPDATE tokens SET refresh_failures = %s", (failures,))
    provider.fault("hold", grant_type="refresh_token")
    refresh = start_fetch(hosts[0], client)
    provider.wait_for_requests(1)
    provider.client(client["client_oauth_id"], "a-new-secret")
    patched = hosts[1].patch(f"/clients/{client['client_id']}", json={"client_secret": "a-new-secret"})
    assert patched.status_code == 200
    assert not refresh.done()
    provider.release()
    refused(refresh.result(seconds(60)), 502, "client_credentials_rejected")
    assert token_row(hosts[0], client, "is_valid") == (True,)
    # A second of backoff may pass, minutes may not.
    wait_until(lambda: fetch(hosts[1], client).status_code == 200, 60, "the new secret is used")
    assert len(provider.refreshes()) == 2


# --- the breaker ----------------------------------------------------------------------------------


def trip(host, provider, number=5):
    """Transport failures, each of a branch of its own."""
    clients = [connected(host, provider, -10)[0] for _ in range(number)]
    for response in results([start_fetch(host, client) for client in clients]):
        refused(response, 503, "provider_unavailable")


def test_breaker_fails_fast_while_the_provider_hangs(make_service, provider):
    """Five calls without an answer: from then on callers of that host get 503 at once, with Retry-After and without a
    call, tokens that work are served, and rows that were not asked for are none the worse. The other host is not
    concerned. When the provider is back, so is the host, by itself."""
    a, b = two_hosts(make_service, GOOGLE_TIMEOUT_MS="1500", REFRESH_WAIT_MS="25000", REFRESHERS="0", EXCHANGE_WORKERS="8")
    expired, _ = connected(a, provider, -10)
    expiring, grant = connected(a, provider, 100)
    valid, valid_grant = connected(a, provider, 3000)
    provider.fault("hang", times=None)
    tripping = time.monotonic()
    trip(a, provider)
    made = len(provider.refreshes())

    longest = 0
    for _ in range(5):
        begun = time.monotonic()
        answer = fetch(a, expired)
        longest = max(longest, time.monotonic() - begun)
        refused(answer, 503, "provider_unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        # It opens 1.5 s after that at the earliest, for five seconds; a slow machine may come later.
        if time.monotonic() - tripping < 6:
            assert len(provider.refreshes()) == made
            assert token_row(a, expired, "refresh_failures, refresh_error, refresh_retry_at") == (0, None, None)
    answer = fetch(a, expiring)
    assert token_of(answer) == grant["access_token"] and answer.json()["stale"] is True
    assert token_of(fetch(a, valid)) == valid_grant["access_token"]
    refused(a.post("/tokens/refresh", json={"client_id": valid["client_id"]}), 503, "provider_unavailable")
    print(f"5 callers refused while it was open, the longest after {longest * 1e3:.0f} ms")

    provider.clear_faults()
    a.database.execute("UPDATE tokens SET refresh_retry_at = NULL")  # should a slow machine have let a call through
    assert provider.works(token_of(wait_until(lambda: served(b, expired), what="the other host serves it")))
    expire(a, expired)
    wait_until(lambda: fetch(a, expired).status_code == 200, 60, "the host is back")
    assert provider.works(token_of(fetch(a, expiring)))


def sweep(service, client):
    """Returns after a round of the housekeeping."""
    service.database.execute(
        "INSERT INTO oauth_states (state_hash, browser_hash, client_id, code_verifier, redirect_uri, expires_at)"
        " VALUES ('old', 'b', %s, 'c', 'd', now() - interval '1 minute')", (client["client_id"],))
    wait_until(lambda: rows(service, "oauth_states") == 0, 60, "the house is kept")


def test_breaker_leaves_its_one_call_to_who_has_something_to_revoke(make_service, provider):
    """Its time is over and nothing is queued: the housekeeping does not use the call up that tries, and the next grant
    that is given up ends at the provider at once."""
    host = make_service(env={**PATIENT, "REFRESHERS": "0"})
    client, grant = connected(host, provider)
    provider.fault("drop", endpoint="revocation", times=None)
    for _ in range(5):
        assert revoke(host, connected(host, provider)[0]).json()["provider_revoked"] is False
    provider.clear_faults()
    host.database.execute("DELETE FROM revocations")
    time.sleep(5.5)  # it opened before that, for five seconds
    for _ in range(2):  # the first may have begun before
        sweep(host, client)
    answer = revoke(host, client)
    assert answer.status_code == 200 and answer.json()["provider_revoked"] is True
    assert not is_live(provider, grant)


def test_breaker_lets_one_call_through_to_see(make_service, provider):
    """Its time is over and the provider still hangs: one call finds out, whatever the number of callers; the others
    are answered at once."""
    a, _ = two_hosts(make_service, GOOGLE_TIMEOUT_MS="4000", REFRESH_WAIT_MS="25000", REFRESHERS="0", EXCHANGE_WORKERS="16")
    provider.fault("hang", times=None)
    trip(a, provider)
    clients = [connected(a, provider, -10)[0] for _ in range(12)]
    made = len(provider.refreshes())

    def is_let_through():
        call = start_fetch(a, clients[0])
        wait_until(lambda: call.done() or len(provider.refreshes()) > made)
        return len(provider.refreshes()) > made

    wait_until(is_let_through, 60, "the breaker lets one through")
    for response in results([start_fetch(a, client) for client in clients[1:]]):
        refused(response, 503, "provider_unavailable")
    assert len(provider.refreshes()) <= made + 3  # further ones, should the machine be slow
    provider.clear_faults()
    wait_until(lambda: fetch(a, clients[0]).status_code == 200, 60, "the host is back")


def test_breaker_keeps_refreshers_from_pushing_rows_back(make_service, provider):
    """While it is open the refreshers claim nothing; when the provider is back they refresh what is due."""
    a, _ = two_hosts(make_service, GOOGLE_TIMEOUT_MS="1500", REFRESHERS="2", EXCHANGE_WORKERS="8")
    clients = [connected(a, provider, 3000) for _ in range(30)]
    provider.fault("hang", times=None)
    for client, _ in clients:
        make_due(a, client)
    provider.wait_for_requests(8)
    provider.clear_faults()
    wait_until(
        lambda: a.database.one("SELECT count(*) FROM tokens WHERE last_refreshed_at IS NULL")[0] == 0,
        90, "all are refreshed",
    )
    assert a.database.one("SELECT bool_and(is_valid) FROM tokens") == (True,)


def test_errors_of_the_provider_do_not_trip_the_breaker(make_service, provider):
    """A provider that answers, be it 500 or invalid_grant, is not hanging: other branches are refreshed."""
    a, _ = two_hosts(make_service, EXCHANGE_WORKERS="8", REFRESHERS="0")
    for fault in (
        {"kind": "status", "status": 500, "body": "<h1>no</h1>"}, {"kind": "oauth_error", "error": "invalid_grant"},
    ):
        provider.fault(times=12, **fault)
        bad = [connected(a, provider, -10)[0] for _ in range(12)]
        assert {response.status_code for response in results([start_fetch(a, each) for each in bad])} <= {409, 503}
    provider.clear_faults()
    good, _ = connected(a, provider, -10)
    assert provider.works(token_of(fetch(a, good)))
