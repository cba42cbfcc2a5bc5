"""What every kind of fault of the provider means: to the caller, in the row, and in calls to the provider.

CASES is the specification; the tests below read it. Two hosts share the database: the first meets the fault, the
second is asked afterwards, so that whatever is remembered must be in the row.
"""

from dataclasses import dataclass, field

import pytest
from support import flow, metrics, processes, trouble
from support.hosts import PATIENT, SOFT_WAIT_S, Gate
from support.processes import wait_until
from support.sealing import SEALS

HTML = "<!DOCTYPE html><title>Sorry</title>"
TIMEOUT_MS = int(processes.seconds(1500))  # of a host whose calls run into it
EIGHT_MB = 8 << 20
OLD_LIFE = {"expired": -10, "buffer": 120, "forced": 3000}  # seconds that are left of the token
STATUS = {
    "provider_unavailable": 503,
    "provider_error": 502,
    "client_credentials_rejected": 502,
    "reauthorization_required": 409,
}


@dataclass
class Case:
    """One way in which the provider answers a refresh."""

    name: str
    kind: str  # of tests/provider; refused: no connection comes about
    fields: dict = field(default_factory=dict)
    # What comes of it: an error of the service …
    error: str = None
    provider_error: str = None
    retry_after: int = None  # the provider's own
    # … or a token that lives so long, with this type.
    life: int = None
    calls: int = 1  # that the provider sees
    rotate: bool = False
    slow: bool = False  # not over when a caller inside the buffer is answered
    lost: bool = False  # the provider has spent the grant, and nobody can know


def status(name, status, error, provider_error, body=HTML, retry_after=None, **fields):
    if retry_after is not None:
        fields["headers"] = {"Retry-After": str(retry_after)}
    fields = {"status": status, "body": body, **fields}
    return Case(name, "status", fields, error, provider_error, retry_after)


def oauth(error, becomes, http=400):
    return Case(error, "oauth_error", {"error": error, "status": http}, becomes, error)


def rewrite(name, life=None, remove=(), **changed):
    """A good answer with these fields changed: still a token that lives so long, or none."""
    error = {} if life else {"error": "provider_error", "provider_error": "invalid_response"}
    return Case(name, "rewrite", {"set": changed, "remove": list(remove)}, life=life, **error)


CASES = [
    # No answer, or not the whole of one. Sent once: the provider may have processed it.
    Case("hang", "hang", {}, "provider_unavailable", "timeout", slow=True),
    Case("drip", "drip", {"ms": 50}, "provider_unavailable", "timeout", slow=True),
    Case("drop", "drop", {}, "provider_unavailable", "connection_lost"),
    Case("drop-after", "drop_after", {}, "provider_unavailable", "connection_lost"),
    Case("drop-after-rotating", "drop_after", {}, "provider_unavailable", "connection_lost", rotate=True, lost=True),
    Case("refused", "refused", {}, "provider_unavailable", "connection_refused", calls=0),
    # An answer that is passing.
    status("429", 429, "provider_unavailable", "http_429"),
    status("429-retry-after", 429, "provider_unavailable", "http_429", retry_after=40),
    status("429-retry-after-long", 429, "provider_unavailable", "http_429", retry_after=7200),
    status("500", 500, "provider_unavailable", "http_500"),
    status("503", 503, "provider_unavailable", "http_503"),
    status("503-retry-after", 503, "provider_unavailable", "http_503", retry_after=40),
    status("502-html", 502, "provider_unavailable", "http_502"),
    oauth("temporarily_unavailable", "provider_unavailable"),
    oauth("server_error", "provider_unavailable", 500),
    oauth("internal_failure", "provider_unavailable"),
    # About the client, and about the grant: the only answer that ends one.
    oauth("invalid_client", "client_credentials_rejected", 401),
    oauth("unauthorized_client", "client_credentials_rejected"),
    oauth("invalid_grant", "reauthorization_required"),
    # No answer of a token endpoint.
    oauth("invalid_request", "provider_error"),
    status("200-html", 200, "provider_error", "invalid_response"),
    status("200-empty", 200, "provider_error", "invalid_response", body=""),
    status("200-empty-json", 200, "provider_error", "invalid_response", body={}),
    status("200-array", 200, "provider_error", "invalid_response", body="[]", content_type="application/json"),
    status("200-invalid-json", 200, "provider_error", "invalid_response", body='{"access_token":"a',
           content_type="application/json"),
    status("302", 302, "provider_error", "http_302", headers={"Location": "/token"}),
    status("400-html", 400, "provider_error", "http_400"),
    Case("8-mb", "huge", {"bytes": EIGHT_MB}, "provider_error", "invalid_response"),
    Case("8-mb-chunked", "huge", {"bytes": EIGHT_MB, "chunked": True}, "provider_error", "invalid_response"),
    # A token whose fields are odd. RFC 6749, 5.1: expires_in may be left out.
    rewrite("as-it-is", life=3600),
    rewrite("expires-in-missing", life=3600, remove=["expires_in"]),
    rewrite("expires-in-null", life=3600, expires_in=None),
    rewrite("expires-in-short", life=60, expires_in=60),
    rewrite("expires-in-huge", life=86400, expires_in=10**12),
    rewrite("expires-in-over-64-bits", life=86400, expires_in=10**20),
    rewrite("expires-in-string", life=1800, expires_in="1800"),
    rewrite("expires-in-float", life=1800, expires_in=1800.9),
    rewrite("expires-in-zero", expires_in=0),
    rewrite("expires-in-negative", expires_in=-3600),
    rewrite("expires-in-word", expires_in="soon"),
    rewrite("expires-in-true", expires_in=True),
    rewrite("expires-in-object", expires_in={}),
    rewrite("token-type-lower-case", life=3600, token_type="bearer"),
    rewrite("token-type-odd", token_type="mac"),
    rewrite("access-token-missing", remove=["access_token"]),
    rewrite("access-token-empty", access_token=""),
    rewrite("access-token-number", access_token=1),
    rewrite("access-token-newline", access_token="good\nSet-Cookie: a=b"),
    rewrite("refresh-token-newline", life=3600, refresh_token="new\n"),
]


def names(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


class Branch:
    """A connected branch, and one of the three ways to meet the fault: GET of an expired token, GET inside the
    buffer, POST /tokens/refresh."""

    def __init__(self, host, provider, way):
        self.database, self.provider, self.way = host.database, provider, way
        self.client = flow.register(host, provider)
        self.id = self.client["branch_identifier"]
        self.oauth_id = self.client["client_oauth_id"]
        self.grant = flow.connect_fast(host, provider, self.client, expires_in=OLD_LIFE[way])
        self.before = self.row()

    def ask(self, host):
        """The call that meets the fault, in a thread of its own."""
        if self.way == "forced":
            return host.start("POST", "/tokens/refresh", json={"branch_id": self.id})
        return host.start("GET", f"/tokens/{self.id}")

    def get(self, host):
        return host.get(f"/tokens/{self.id}")

    def force(self, host):
        """A forced refresh that no earlier one can stand for."""
        self.change("refresh_began_at = now() - interval '1 hour'")
        return host.post("/tokens/refresh", json={"branch_id": self.id})

    def calls(self):
        return self.provider.refreshes(client_id=self.oauth_id)

    def row(self):
        columns = (
            "access_token", "refresh_token", "expires_at", "grant_version", "is_valid", "is_revoked", "refresh_error",
            "provider_error", "refresh_failures", "refresh_due_at", "refresh_retry_at", "provider_retry_at",
            "refresh_began_at", "updated_at",
        )
        values = self.database.one(
            f"SELECT {', '.join(columns)} FROM tokens WHERE client_id = %s", (self.client["client_id"],)
        )
        return dict(zip(columns, SEALS.opened(values, self.client["client_id"])))

    def row_if_refreshed(self):
        row = self.row()
        return row if row["grant_version"] > self.before["grant_version"] else None

    def change(self, assignments):
        assert self.database.execute(
            f"UPDATE tokens SET {assignments} WHERE client_id = %s", (self.client["client_id"],)
        ) == 1

    def may_be_early(self, answer):
        return self.way == "buffer" and answer.elapsed.total_seconds() >= SOFT_WAIT_S

    def has_old_token(self, answer):
        return answer.status_code == 200 and answer.json()["access_token"] == self.grant["access_token"]


def seconds(first, later):
    return (later - first).total_seconds()


def check_problem(case, answer, wait=None):
    """An error with all that belongs to it; wait: (least, most) that Retry-After may say."""
    assert answer.status_code == STATUS[case.error], answer.text
    body = answer.json()
    assert body["success"] is False
    assert body["error"] == case.error
    assert body["provider_error"] == case.provider_error
    assert body["message"] and body["detail"] == body["message"] and body["request_id"]
    assert "access_token" not in body
    if case.error == "reauthorization_required":
        assert body["login_url"] and "retry-after" not in answer.headers
    else:
        least, most = wait
        assert least <= int(answer.headers["retry-after"]) <= most


def check_failed_answer(case, branch, answer, row):
    if branch.way != "buffer" or case.error == "reauthorization_required":
        until = max(filter(None, (row["refresh_retry_at"], row["provider_retry_at"])), default=row["updated_at"])
        left = seconds(row["updated_at"], until)
        check_problem(case, answer, (left - 1, left + 2))
        return
    check_old_token(case, branch, answer)


def check_old_token(case, branch, answer):
    """Inside the buffer: with the error, unless the caller was answered before the attempt failed and cannot know."""
    assert branch.has_old_token(answer), answer.text
    assert answer.json()["stale"] is True
    error = answer.json().get("refresh_error")
    assert error == (None if case.slow else case.error) or (error is None and branch.may_be_early(answer))


def check_failed_row(case, branch, row):
    old = branch.before
    dead = case.error == "reauthorization_required"
    for column in ("access_token", "refresh_token", "expires_at", "is_revoked"):
        assert row[column] == old[column], column
    assert row["grant_version"] == old["grant_version"] + dead  # what is stored late does not bring it back
    assert row["is_valid"] is not dead
    assert row["refresh_error"] == case.error
    assert row["provider_error"] == case.provider_error
    assert row["refresh_failures"] == 1
    if dead:
        assert row["refresh_retry_at"] is None and row["refresh_due_at"] is None
        return
    # A second from the failure, ±25 %; the failure is between these two.
    assert seconds(row["refresh_began_at"], row["refresh_retry_at"]) >= 0.74
    assert seconds(row["updated_at"], row["refresh_retry_at"]) <= 1.26
    if case.retry_after:
        assert seconds(row["refresh_began_at"], row["provider_retry_at"]) >= case.retry_after
        assert seconds(row["updated_at"], row["provider_retry_at"]) <= case.retry_after + 0.1
    else:
        assert row["provider_retry_at"] is None
    # The refreshers go by this column alone.
    assert row["refresh_due_at"] >= max(filter(None, (row["refresh_retry_at"], row["provider_retry_at"])))


def check_backoff(case, branch, host):
    """Another host neither asks the provider again nor withholds a token that works."""
    if case.error != "reauthorization_required":
        branch.change("refresh_retry_at = now() + interval '200 s'")  # the test may take its time
    calls = len(branch.calls())
    answer = branch.get(host)
    if case.error == "reauthorization_required":
        check_problem(case, answer)
    elif branch.way == "expired":
        most = max(200, case.retry_after or 0)
        check_problem(case, answer, (most - processes.seconds(40), most))
    else:
        assert branch.has_old_token(answer), answer.text
        inside = branch.way == "buffer"
        assert answer.json()["stale"] is inside
        assert answer.json().get("refresh_error") == (case.error if inside else None)
    assert len(branch.calls()) == calls


def check_forced_afterwards(case, branch, host):
    """POST /tokens/refresh passes over our own backoff, not over what the provider asked for, and finds the grant
    as good as it was."""
    calls = len(branch.calls())
    if case.retry_after:
        check_problem(case, branch.force(host), (0, max(200, case.retry_after)))
        assert len(branch.calls()) == calls
        branch.change("provider_retry_at = now()")
    answer = branch.force(host)
    if case.error == "reauthorization_required":
        check_problem(case, answer)
        assert len(branch.calls()) == calls
        return
    assert len(branch.calls()) == calls + 1, answer.text
    if case.lost:
        assert (answer.status_code, answer.json()["error"]) == (409, "reauthorization_required")
        return
    assert answer.status_code == 200, answer.text
    assert branch.provider.works(answer.json()["access_token"])
    row = branch.row()
    assert row["access_token"] == answer.json()["access_token"]
    assert row["grant_version"] == branch.before["grant_version"] + 1
    for column in ("refresh_error", "provider_error", "refresh_retry_at", "provider_retry_at"):
        assert row[column] is None, column
    assert row["refresh_failures"] == 0


def check_good(case, branch, answer, row):
    """The new token, in the answer and in the row, counted in the database's clock from before the request."""
    issued = branch.calls()[0]["access_token"]
    assert answer.status_code == 200, answer.text
    body = answer.json()
    if branch.may_be_early(answer) and branch.has_old_token(answer):
        assert body["stale"] is True
    else:
        assert body["access_token"] == issued and body["refresh_token"] is None
        assert body["token_type"] == "Bearer"
        assert case.life - processes.seconds(10) <= body["expires_in"] <= case.life
        assert body["stale"] is (case.life <= 300)
    assert "refresh_error" not in body
    assert row["access_token"] == issued
    assert row["refresh_token"] == branch.before["refresh_token"]
    assert row["grant_version"] == branch.before["grant_version"] + 1
    assert seconds(row["refresh_began_at"], row["expires_at"]) == case.life
    assert row["is_valid"] and row["refresh_error"] is None and row["refresh_failures"] == 0
    assert row["refresh_retry_at"] is None
    assert row["refresh_began_at"] < row["refresh_due_at"] < row["expires_at"]


@pytest.fixture
def hosts(make_service):
    """hosts(**settings): a further host; no refreshers, who would make calls of their own."""

    def make(**settings):
        host = make_service({"REFRESHERS": "0", **PATIENT, **settings})
        metrics.wait_for_workers(host)
        return host

    return make


@names([case for case in CASES if case.error])
def test_fault_costs_neither_a_grant_nor_a_token_that_works(hosts, provider, case):
    """Caller, row and provider, in each of the three ways to meet a fault, and afterwards on another host."""
    with trouble.closed_port() as port:
        other = hosts()
        settings = {"GOOGLE_TIMEOUT_MS": str(TIMEOUT_MS)} if case.slow else {}
        if case.kind == "refused":
            settings = {"GOOGLE_TOKEN_URL": f"http://127.0.0.1:{port}/token"}
        provider.settings(rotate=case.rotate)
        branches = [Branch(other, provider, way) for way in OLD_LIFE]
        if case.kind == "refused":
            # Connection attempts are repeated, and many of them open the breaker: a host for each.
            first = [hosts(**settings) for _ in branches]
        else:
            first = [hosts(**settings)] * len(branches)
            for branch in branches:
                provider.fault(case.kind, client_id=branch.oauth_id, **case.fields)
        answers = [branch.ask(host) for branch, host in zip(branches, first)]
        answers = [answer.result() for answer in answers]
        for branch, answer in zip(branches, answers):
            wait_until(lambda: branch.row()["refresh_error"], what="the failure is stored")
            row = branch.row()
            check_failed_answer(case, branch, answer, row)
            check_failed_row(case, branch, row)
            assert len(branch.calls()) == case.calls
            check_backoff(case, branch, other)
            check_forced_afterwards(case, branch, other)


@names([case for case in CASES if case.life])
def test_odd_answer_that_is_a_token_is_taken(hosts, provider, case):
    host, other = hosts(), hosts()
    branches = [Branch(other, provider, way) for way in OLD_LIFE]
    for branch in branches:
        provider.fault(case.kind, client_id=branch.oauth_id, **case.fields)
    answers = [branch.ask(host) for branch in branches]
    for branch, answer in zip(branches, [answer.result() for answer in answers]):
        row = wait_until(branch.row_if_refreshed, what="the new token is stored")
        check_good(case, branch, answer, row)
        branch.change("refresh_began_at = now()")  # the test may take its time
        again = branch.get(other)
        assert again.json()["access_token"] == row["access_token"]
        assert len(branch.calls()) == 1


# --- kept connections -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "drop_after"])
def test_request_on_a_kept_connection_is_not_sent_twice(hosts, provider, kind):
    """A connection that dies under a request: an HTTP client would send it again by itself, and spend the grant."""
    provider.settings(rotate=True)
    host = hosts(EXCHANGE_WORKERS="1")
    branch = Branch(host, provider, "forced")
    assert branch.force(host).status_code == 200  # leaves a connection open
    provider.fault(kind, client_id=branch.oauth_id, times=None)
    answer = branch.force(host)
    assert (answer.status_code, answer.json()["error"]) == (503, "provider_unavailable")
    assert len(branch.calls()) == 2
    assert provider.counts()["max_overlap"] <= 1


# --- rotation -------------------------------------------------------------------------------------

NONSENSE = [
    rewrite("access-token-missing", remove=["access_token"]),
    rewrite("access-token-newline", access_token="good\nSet-Cookie: a=b"),
    rewrite("expires-in-negative", expires_in=-1),
    rewrite("expires-in-word", expires_in="soon"),
    rewrite("token-type-odd", token_type="mac"),
]


@names(NONSENSE)
@pytest.mark.parametrize("way", OLD_LIFE)
def test_new_refresh_token_in_a_nonsense_answer_is_kept(hosts, provider, case, way):
    """With a provider that rotates, the old one is spent whatever else the answer says."""
    provider.settings(rotate=True)
    host, other = hosts(), hosts()
    branch = Branch(host, provider, way)
    provider.fault(case.kind, client_id=branch.oauth_id, **case.fields)
    answer = branch.ask(host).result()
    if way == "buffer":
        check_old_token(case, branch, answer)
    else:
        check_problem(case, answer, (0, 2))
    wait_until(lambda: branch.row()["refresh_error"], what="the failure is stored")
    row, call = branch.row(), branch.calls()[0]
    assert call["new_refresh_token"] and row["refresh_token"] == call["new_refresh_token"]
    assert row["access_token"] == branch.before["access_token"]
    assert row["expires_at"] == branch.before["expires_at"]
    assert row["is_valid"] and row["refresh_error"] == "provider_error"
    # What another has still to store belongs to the token that was replaced.
    assert row["grant_version"] == branch.before["grant_version"] + 1
    again = branch.force(other)
    assert again.status_code == 200, again.text
    assert provider.works(again.json()["access_token"])


def test_new_refresh_token_in_a_nonsense_answer_is_kept_although_the_connection_was_lost(hosts, provider, database):
    """The same when the failure could not be stored at once: it is stored on a new connection."""
    provider.settings(rotate=True)
    host, other = hosts(), hosts()
    branch = Branch(host, provider, "expired")
    provider.fault("rewrite", client_id=branch.oauth_id, remove=["access_token"])
    with Gate(database) as gate:
        gate.shut()
        answer = branch.ask(host)
        trouble.terminate(database, gate.wait_for_update())
    wait_until(lambda: branch.row()["refresh_error"], what="the failure is stored")
    row, call = branch.row(), branch.calls()[0]
    assert row["refresh_token"] == call["new_refresh_token"] and row["is_valid"]
    assert (row["refresh_error"], row["grant_version"]) == ("provider_error", branch.before["grant_version"] + 1)
    assert answer.result().status_code in (502, 503)  # a machine that stands still may not have learnt that it is stored
    again = branch.force(other)
    assert again.status_code == 200, again.text
    assert provider.works(again.json()["access_token"])


def test_refresh_token_that_is_none_is_not_kept(hosts, provider):
    """What could not be sent again would lose the grant: the old one stays."""
    host = hosts()
    branch = Branch(host, provider, "forced")
    provider.fault("rewrite", client_id=branch.oauth_id, set={"refresh_token": "new\n", "access_token": ""})
    assert branch.force(host).status_code == 502
    assert branch.row()["refresh_token"] == branch.before["refresh_token"]
    assert branch.force(host).status_code == 200


# --- backoff --------------------------------------------------------------------------------------


def test_backoff_doubles_with_jitter_up_to_five_minutes(hosts, provider):
    """A second after the first failure, doubling, ±25 %, never over 300 s; not the same for two rows."""
    host = hosts()
    waits = {}
    for failures in (0, 1, 2, 5, 7, 8, 9, 20, 30, 31, 62, 63, 100, 2_000_000_000):
        for _ in range(2):
            branch = Branch(host, provider, "forced")
            branch.change(f"refresh_failures = {failures}")
            provider.fault("status", client_id=branch.oauth_id, status=500)
            assert branch.force(host).status_code == 503
            row = branch.row()
            usual = min(2**min(failures, 20), 300)
            assert seconds(row["refresh_began_at"], row["refresh_retry_at"]) >= 0.74 * usual
            assert seconds(row["updated_at"], row["refresh_retry_at"]) <= min(1.26 * usual, 300.1)
            assert row["refresh_failures"] == failures + 1
            waits.setdefault(failures, []).append(seconds(row["updated_at"], row["refresh_retry_at"]))
    assert any(abs(first - second) > 0.01 for first, second in waits.values())


def test_failed_call_says_how_long_the_backoff_is(hosts, provider):
    """Retry-After is what the row holds, also for the caller whose own call failed: sooner it would only read the
    stored error."""
    host = hosts()
    branch = Branch(host, provider, "expired")
    branch.change("refresh_failures = 6")
    provider.fault("status", client_id=branch.oauth_id, status=500)
    answer = branch.get(host)
    row = branch.row()
    left = seconds(row["updated_at"], row["refresh_retry_at"])
    assert answer.status_code == 503
    assert left - 1 <= int(answer.headers["retry-after"]) <= left + 2


def test_retry_after_of_more_than_a_day_is_cut_to_a_day(hosts, provider):
    """A provider's mistake must not switch a branch off for ever."""
    host = hosts()
    branch = Branch(host, provider, "expired")
    provider.fault("status", client_id=branch.oauth_id, status=503, headers={"Retry-After": "99999999999"})
    answer = branch.get(host)
    row = branch.row()
    assert answer.status_code == 503
    assert 86399 <= seconds(row["updated_at"], row["provider_retry_at"]) <= 86401
    assert 86399 <= int(answer.headers["retry-after"]) <= 86401


@pytest.mark.parametrize("value", ["-5", "soon", "", "0", "1e9"])
def test_retry_after_that_is_no_time_is_passed_over(hosts, provider, value):
    host = hosts()
    branch = Branch(host, provider, "expired")
    provider.fault("status", client_id=branch.oauth_id, status=429, headers={"Retry-After": value})
    answer = branch.get(host)
    row = branch.row()
    assert answer.status_code == 503 and 1 <= int(answer.headers["retry-after"]) <= 2
    assert row["provider_retry_at"] is None or seconds(row["updated_at"], row["provider_retry_at"]) <= 2


def test_refreshers_leave_a_row_alone_until_the_providers_retry_after(hosts, provider):
    """No GET and no refresher asks before the longer of the two waits is over."""
    host = hosts(REFRESHERS="1")
    asked, later = Branch(host, provider, "expired"), Branch(host, provider, "forced")
    provider.fault("status", client_id=asked.oauth_id, times=None, status=429, headers={"Retry-After": "3600"})
    asked.change("refresh_due_at = now()")
    wait_until(lambda: asked.row()["refresh_error"], what="the refresher met the 429")
    # What is due after our own backoff is over is taken after that row would have been.
    later.change("refresh_due_at = now() + interval '2 s'")
    provider.wait_for_requests(1, client_id=later.oauth_id)
    assert len(asked.calls()) == 1


def test_refreshers_back_off_as_readers_do(hosts, provider):
    """A row that fails again and again waits longer each time, and never takes the turn of one that is well."""
    host = hosts(REFRESHERS="1")
    failing, well = Branch(host, provider, "forced"), Branch(host, provider, "forced")
    provider.fault("status", client_id=failing.oauth_id, times=None, status=500)
    failing.change("refresh_due_at = now() - interval '1 hour'")
    wait_until(lambda: failing.row()["refresh_failures"] >= 2, what="the refresher tried twice")
    first, second, *_ = failing.calls()
    assert second["started_at"] - first["started_at"] >= 740
    well.change("refresh_due_at = now()")
    wait_until(lambda: well.row()["grant_version"] == 2, what="the other row is refreshed")
    row = failing.row()
    assert row["refresh_due_at"] == row["refresh_retry_at"]


def test_dead_grant_is_never_asked_for_again(hosts, provider):
    """Not by a reader, not by a refresher, not by force, until somebody consents anew."""
    host = hosts(REFRESHERS="1")
    dead, well = Branch(host, provider, "expired"), Branch(host, provider, "forced")
    assert provider.revoke(refresh_token=dead.grant["refresh_token"])
    dead.change("refresh_due_at = now()")
    wait_until(lambda: not dead.row()["is_valid"], what="the refresher learns that the grant is dead")
    case = oauth("invalid_grant", "reauthorization_required")
    check_problem(case, dead.get(host))
    check_problem(case, dead.force(host))
    well.change("refresh_due_at = now()")
    wait_until(lambda: well.row()["grant_version"] == 2, what="the other row is refreshed")
    assert len(dead.calls()) == 1
    assert flow.connect(host, provider, dead.client).status_code == 200
    assert dead.get(host).status_code == 200


def test_corrected_secret_ends_the_backoff(hosts, provider):
    """client_credentials_rejected tells the operator to PATCH the secret: after that the next GET asks at once."""
    host, other = hosts(), hosts()
    branch = Branch(host, provider, "expired")
    _, secret = provider.client(id=branch.oauth_id)
    assert branch.get(host).json()["error"] == "client_credentials_rejected"
    branch.change("refresh_retry_at = now() + interval '200 s'")
    assert other.get(f"/tokens/{branch.id}").status_code == 502
    assert len(branch.calls()) == 1
    changed = host.patch(f"/clients/{branch.client['client_id']}", json={"client_secret": secret})
    assert changed.status_code == 200
    assert other.get(f"/tokens/{branch.id}").status_code == 200
