"""A host whose clock is ten minutes off: every decision is made by the database's clock.

The service, and its nginx with it, run under libfaketime; PostgreSQL and these tests have the true time.
"""

import email.utils
import time
from datetime import datetime, timezone

import pytest
from support import flow, processes, trouble
from support.hosts import PATIENT
from support.processes import wait_until
from support.service import WRAPPER

OFFSETS = {"+10m": 600, "-10m": -600}
SLACK_S = processes.seconds(60)  # far below ten minutes, far above what a test takes

# A wrapper such as valgrind may not bear it; the program itself does, or these tests fail.
pytestmark = pytest.mark.skipif(bool(WRAPPER) and not trouble.can_fake_time(), reason="does not run under libfaketime with this wrapper")


@pytest.fixture(params=OFFSETS)
def offset(request):
    return request.param


@pytest.fixture
def make_host(make_service, monkeypatch, offset):
    """make_host(nginx=True, **settings): a host whose clock is off; nginx=False: not that of its nginx."""

    def make(nginx=True, **settings):
        with trouble.host_clock(monkeypatch, offset, nginx):
            host = make_service({"REFRESHERS": "0", **PATIENT, **settings})
        # Or the test would prove nothing.
        said = datetime.fromisoformat(host.get("/health").json()["timestamp"].replace("Z", "+00:00"))
        assert abs((said - datetime.now(timezone.utc)).total_seconds() - OFFSETS[offset]) < SLACK_S
        return host

    return make


class Branch:
    def __init__(self, host, provider, expires_in):
        self.host, self.provider = host, provider
        self.client = flow.register(host, provider)
        self.id = self.client["branch_identifier"]
        self.token = flow.connect_fast(host, provider, self.client, expires_in=expires_in)["access_token"]

    def get(self, **params):
        return self.host.get(f"/tokens/{self.id}", params=params)

    def get_new(self, **params):
        """The first answer that is not the stale token: nobody waits for a provider that takes over a second."""
        return wait_until(lambda: not (answer := self.get(**params)).json().get("stale") and answer, what="no stale token")

    def calls(self):
        return self.provider.refreshes(client_id=self.client["client_oauth_id"])

    def seconds(self, column):
        """From the database's now to this column."""
        return float(flow.token_row(self.host, self.client, f"extract(epoch FROM {column} - clock_timestamp())")[0])

    def change(self, assignments):
        self.host.database.execute(
            f"UPDATE tokens SET {assignments} WHERE client_id = %s", (self.client["client_id"],)
        )


def is_about(value, wanted):
    return wanted - SLACK_S <= value <= wanted + 1


def test_token_that_is_fresh_by_the_databases_clock_is_answered(make_host, provider):
    """Not refreshed too early: to a host that is ahead these have expired, or are inside the buffer."""
    host = make_host()
    for left in (3600, 700, 300 + SLACK_S):
        branch = Branch(host, provider, left)
        answer = branch.get()
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] == branch.token
        assert answer.json()["stale"] is False
        assert is_about(answer.json()["expires_in"], left)
        assert branch.calls() == []


def test_token_that_is_due_by_the_databases_clock_is_refreshed(make_host, provider):
    """Not refreshed too late: to a host that is behind these are fresh. The new expiry is the database's as well."""
    host = make_host()
    for left in (-1, -500, 200):
        branch = Branch(host, provider, left)
        answer = branch.get_new()
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] != branch.token
        assert is_about(answer.json()["expires_in"], 3600)
        assert is_about(branch.seconds("expires_at"), 3600)
        assert is_about(branch.seconds("refresh_began_at"), 0)
        assert is_about(branch.seconds("last_refreshed_at"), 0)
        # 10 min ahead of the expiry, and up to a tenth of the life earlier.
        assert 3600 - 600 - 360 - SLACK_S <= branch.seconds("refresh_due_at") <= 3600 - 600 + 1
        again = branch.get()
        assert again.json()["access_token"] == answer.json()["access_token"]
        assert len(branch.calls()) == 1


def test_min_ttl_is_measured_by_the_databases_clock(make_host, provider):
    host = make_host()
    branch = Branch(host, provider, 1000)
    assert branch.get(min_ttl=800).json()["access_token"] == branch.token
    assert branch.get_new(min_ttl=1100).json()["access_token"] != branch.token
    assert len(branch.calls()) == 1


def test_backoff_runs_by_the_databases_clock(make_host, provider):
    """Neither passed over nor stretched, ours or the provider's."""
    host = make_host()
    branch = Branch(host, provider, -10)
    provider.fault("status", client_id=branch.client["client_oauth_id"], status=503, headers={"Retry-After": "200"})
    assert branch.get().status_code == 503
    assert is_about(branch.seconds("provider_retry_at"), 200)
    assert is_about(branch.seconds("refresh_retry_at"), 1.25)
    for _ in range(2):
        answer = branch.get()
        assert answer.status_code == 503 and is_about(int(answer.headers["retry-after"]), 200)
    branch.change("provider_retry_at = NULL, refresh_retry_at = clock_timestamp() + interval '250 s'")
    answer = branch.get()
    assert answer.status_code == 503 and is_about(int(answer.headers["retry-after"]), 250)
    assert len(branch.calls()) == 1
    branch.change("refresh_retry_at = clock_timestamp()")
    assert branch.get().status_code == 200
    assert len(branch.calls()) == 2


def test_forced_refreshes_are_a_second_apart_by_the_databases_clock(make_host, provider):
    """One that began within the last second counts, an older one does not."""
    host = make_host()
    branch = Branch(host, provider, 3000)
    branch.change("refresh_began_at = clock_timestamp() - interval '2 s'")
    first = host.post("/tokens/refresh", json={"branch_id": branch.id})
    assert first.status_code == 200 and first.json()["access_token"] != branch.token
    branch.change("refresh_began_at = clock_timestamp() + interval '20 s'")  # the test may take its time
    second = host.post("/tokens/refresh", json={"branch_id": branch.id})
    assert second.json()["access_token"] == first.json()["access_token"]
    assert len(branch.calls()) == 1


def test_refreshers_go_by_the_databases_clock(make_host, provider):
    """What is due is refreshed, what is due in five minutes is not; to these hosts it is the other way about."""
    host = make_host(REFRESHERS="1")
    due, later = Branch(host, provider, 3000), Branch(host, provider, 3000)
    later.change("refresh_due_at = clock_timestamp() + interval '5 min'")
    due.change("refresh_due_at = clock_timestamp() - interval '1 s'")
    wait_until(lambda: due.calls(), what="the refresher takes what is due")
    also = Branch(host, provider, 3000)
    also.change("refresh_due_at = clock_timestamp()")
    wait_until(lambda: also.calls(), what="the refresher takes what is due next")
    assert later.calls() == []
    later.change("refresh_due_at = clock_timestamp()")
    wait_until(lambda: later.calls(), what="the refresher takes it when it is due")


def test_consent_is_stored_by_the_databases_clock(make_host, provider):
    """The login is neither expired at once nor for ever, and the token's life counts from the database's now."""
    host = make_host(STATE_TTL="60")
    client = flow.register(host, provider)
    with flow.Browser(host) as browser:
        callback = browser.consent(browser.login(client))
        life = host.database.one("SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM oauth_states")
        assert 0 < life[0] <= 60
        assert browser.callback(callback).status_code == 200
        late = browser.consent(browser.login(client))
        host.database.execute("UPDATE oauth_states SET expires_at = clock_timestamp() - interval '1 s'")
        assert browser.callback(late).json()["error"] == "invalid_state"
    answer = host.get(f"/tokens/{client['branch_identifier']}").json()
    assert is_about(answer["expires_in"], 3600) and answer["stale"] is False
    assert provider.refreshes() == []


@pytest.mark.parametrize("nginx", [True, False], ids=["whole-host", "service-only"])
def test_callers_wait_as_long_as_ever(make_host, provider, nginx):
    """How long a caller has waited is a difference of this host's own times. Where nginx and the service do not even
    agree with each other, which a clock that is set makes true for a while, a caller is still given its usual wait
    rather than none or ten minutes."""
    host = make_host(nginx=nginx, REFRESH_WAIT_MS="2000")
    branch = Branch(host, provider, -10)
    provider.fault("delay_after", client_id=branch.client["client_oauth_id"], ms=500)
    answer = branch.get()
    if answer.elapsed.total_seconds() < 1.8:  # on a slow machine the wait may be over first, as ever
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] != branch.token

    slow, inside = Branch(host, provider, -10), Branch(host, provider, 120)
    for each in (slow, inside):
        provider.fault("hold_after", client_id=each.client["client_oauth_id"])
    early = inside.get()
    assert early.status_code == 200 and early.json()["access_token"] == inside.token
    assert 0.9 <= early.elapsed.total_seconds() <= processes.seconds(20)
    answer = slow.get()
    assert (answer.status_code, answer.json()["error"]) == (503, "refresh_in_progress")
    assert 1.8 <= answer.elapsed.total_seconds() <= processes.seconds(20)
    provider.release()
    for each in (slow, inside):
        wait_until(lambda: each.get().json().get("access_token") not in (None, each.token), what="it was stored")
        assert len(each.calls()) == 1


def test_retry_after_that_is_a_date_is_held_against_the_providers_clock(make_host, provider):
    """"In a minute", said as a date, is a minute on a host whose own clock is ten minutes off."""
    host = make_host()
    branch = Branch(host, provider, -10)
    until = email.utils.formatdate(time.time() + 60, usegmt=True)
    provider.fault("status", client_id=branch.client["client_oauth_id"], status=503, headers={"Retry-After": until})
    answer = branch.get()
    assert (answer.status_code, answer.json()["error"]) == (503, "provider_unavailable")
    assert 0 < branch.seconds("provider_retry_at") <= 61


def test_two_hosts_whose_clocks_differ_share_one_refresh(make_host, make_service, provider):
    """A herd over a host of ten minutes off and one of the true time: one call, one token."""
    host, other = make_host(), make_service({"REFRESHERS": "0", **PATIENT})
    branch = Branch(host, provider, -10)
    provider.settings(rotate=True)
    provider.fault("delay", client_id=branch.client["client_oauth_id"], ms=300)
    calls = [each.start("GET", f"/tokens/{branch.id}") for each in (host, other) * 10]
    answers = [call.result(processes.seconds(60)) for call in calls]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 1
    assert len(branch.calls()) == 1
