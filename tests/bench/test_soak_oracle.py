"""The judge of a soak judges: for each promise, made-up events that keep it and such that break it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from soak_oracle import CONNECTED, DELETED, NONE, REVOKED, Answer, Oracle  # noqa: E402

LIFE_S = 60


class Story:
    """Events in the order of time, each over before the next one begins. The branch is connected at the beginning."""

    def __init__(self, *branches):
        self.oracle = Oracle()
        self.now = 1000.0
        self.entries = []
        self.refresh_token = {}  # of each branch, the newest
        for branch in branches or ("branch",):
            self.oracle.registered(branch, f"client of {branch}")
            self.does(branch, NONE)
            self.consents(branch)

    def later(self, seconds=1.0):
        self.now += seconds
        return self.now

    def does(self, branch, state, clear=True):
        operation = self.oracle.begin(branch, state, self.now)
        self.oracle.end(operation, self.later(), clear)
        self.later()

    def provider(self, branch, **fields):
        """An entry of its log, over at once."""
        number = len(self.entries) + 1
        entry = {
            "sequence": number, "started_at": self.now * 1000, "ended_at": (self.now + 0.1) * 1000, "peer_port": 5000,
            "endpoint": "token", "grant_type": "refresh_token", "client_id": f"client of {branch}",
            "refresh_token": None, "token": None, "fault": None, "result": "ok", "aborted": False,
            "access_token": None, "new_refresh_token": None, "issued_at": None, "expires_in": None, **fields,
        }
        if entry["result"] == "ok" and entry["endpoint"] == "token":
            entry.update(access_token=f"access {number}", issued_at=(self.now + 0.05) * 1000, expires_in=LIFE_S)
        self.entries.append(entry)
        self.later()
        return entry

    def consents(self, branch="branch", clear=True):
        """The access token."""
        operation = self.oracle.begin(branch, CONNECTED, self.now)
        self.refresh_token[branch] = f"refresh {len(self.entries) + 1}"
        entry = self.provider(branch, grant_type="authorization_code", new_refresh_token=self.refresh_token[branch])
        self.oracle.end(operation, self.later(), clear)
        self.later()
        return entry["access_token"]

    def refreshes(self, branch="branch", rotate=True, sent=None, **fields):
        """With the newest refresh token, or the one that is named; the access token."""
        used = sent or self.refresh_token[branch]
        new = f"refresh {len(self.entries) + 1}" if rotate else None
        entry = self.provider(branch, refresh_token=used, new_refresh_token=new, **fields)
        self.refresh_token[branch] = new or used
        return entry["access_token"]

    def is_refused(self, sent, branch="branch"):
        self.provider(branch, refresh_token=sent, result="invalid_grant")

    def revokes(self, token, branch="branch"):
        self.provider(branch, endpoint="revocation", grant_type=None, token=token)

    def answers(self, branch="branch", call="GET /tokens", status=200, took=0.1, retry_after=None, **body):
        if status >= 400:
            body = {"request_id": "r", **body}
        sent = self.now
        self.later(took)
        self.oracle.answered(Answer(call, 0, branch, sent, self.now, status, body or None, retry_after, "r"))
        self.later(0.1)

    def broken(self):
        """The promises that were broken."""
        self.oracle.begin_round()
        self.oracle.learn(self.entries)
        self.oracle.judge()
        return [violation.promise for violation in self.oracle.violations]


@pytest.fixture
def story():
    return Story()


# --- tokens ---------------------------------------------------------------------------------------


def test_good_tokens_break_nothing(story):
    first = story.refreshes()
    story.answers(access_token=first, expires_at="1970-01-01T00:17:00Z")
    story.answers(access_token=story.refreshes(rotate=False))
    story.answers(access_token=story.refreshes(rotate=False))
    story.answers(access_token=story.consents())
    assert story.broken() == []
    assert story.oracle.refreshes == {"ok": 3}


def test_token_that_was_never_issued(story):
    story.answers(access_token="made up")
    assert story.broken() == ["own"]


def test_token_of_another_branch():
    story = Story("one", "two")
    story.answers("one", access_token=story.refreshes("two"))
    assert story.broken() == ["own"]


def test_token_that_was_issued_while_its_log_was_read_is_judged_in_the_next_round(story):
    assert story.broken() == []
    story.answers(access_token=story.refreshes())
    assert story.broken() == []


def test_token_that_expired_before_it_was_asked_for(story):
    token = story.refreshes()
    story.later(LIFE_S - 3)
    story.answers(access_token=token)
    story.later(3)
    assert story.broken() == []
    story.answers(access_token=token)
    assert story.broken() == ["alive"]


def test_expiry_that_is_answered_may_not_be_later_than_the_real_one(story):
    story.answers(access_token=story.refreshes(), expires_at="1970-01-01T01:00:00.000000Z")
    assert story.broken() == ["alive"]


def test_token_that_is_older_than_one_answered_before(story):
    old, new = story.refreshes(), story.refreshes()
    story.answers(access_token=new)
    story.answers(access_token=old)
    assert story.broken() == ["newest"]


def test_older_token_may_be_answered_to_who_asked_before(story):
    old, new = story.refreshes(), story.refreshes()
    story.answers(access_token=new, took=1)
    story.now -= 1.5
    story.answers(access_token=old, took=2)
    assert story.broken() == []


def test_token_of_before_a_consent(story):
    old = story.refreshes()
    story.answers(call="GET /auth/callback", access_token=story.consents())
    story.answers(access_token=old)
    assert story.broken() == ["newest"]


def test_refresh_of_the_old_grant_after_a_consent_is_no_newer_token(story):
    before = story.refresh_token["branch"]
    story.answers(call="GET /auth/callback", access_token=story.consents())
    story.answers(access_token=story.refreshes(sent=before))
    assert story.broken() == ["newest"]


def test_token_after_a_revocation(story):
    token = story.refreshes()
    story.does("branch", REVOKED)
    story.answers(access_token=token)
    assert set(story.broken()) == {"newest", "state"}


def test_token_after_a_revocation_and_a_consent(story):
    story.does("branch", REVOKED)
    story.answers(access_token=story.consents())
    assert story.broken() == []


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("error, status", [
    ("branch_not_found", 404), ("client_not_found", 404), ("authorization_required", 404),
    ("reauthorization_required", 409), ("invalid_state", 400), ("insufficient_scope", 502),
])
def test_error_that_does_not_fit_a_connected_branch(story, error, status):
    story.answers(status=status, error=error)
    assert story.broken() == ["state"]


@pytest.mark.parametrize("state, error", [
    (NONE, "authorization_required"), (REVOKED, "reauthorization_required"), (DELETED, "branch_not_found"),
])
def test_error_that_fits(story, state, error):
    story.does("branch", state)
    story.answers(status=404, error=error)
    assert story.broken() == []


def test_what_was_not_clear_may_have_happened_or_not(story):
    story.does("branch", REVOKED, clear=False)
    story.answers(status=409, error="reauthorization_required")
    story.answers(access_token=story.refreshes())
    assert story.broken() == []
    story.consents()
    story.answers(status=409, error="reauthorization_required")
    assert story.broken() == ["state"]


def test_what_is_under_way_may_have_happened_or_not(story):
    operation = story.oracle.begin("branch", DELETED, story.later())
    story.answers(status=404, error="branch_not_found")
    story.answers(access_token=story.refreshes())
    assert story.broken() == []
    story.oracle.end(operation, story.later(), clear=True)
    story.answers(access_token=story.refreshes())
    assert "state" in story.broken()


@pytest.mark.parametrize("status, body, retry_after", [
    (503, {}, "1"),  # no JSON at all
    (500, {"error": "internal_error"}, None),
    (504, {"error": "overloaded"}, "1"),
    (503, {"error": "overloaded"}, None),
    (429, {"error": "rate_limited"}, None),
    (503, {"error": "overloaded"}, "soon"),
    (404, {"error": "branch_not_found", "request_id": None}, None),
    (404, {"message": "no code"}, None),
])
def test_answer_that_is_not_complete(story, status, body, retry_after):
    if body:
        story.answers(status=status, retry_after=retry_after, **body)
    else:
        story.oracle.answered(Answer("GET /tokens", 0, "branch", 1, 2, status, None, retry_after, "r"))
    assert story.broken() == ["complete"]


def test_health_has_a_body_of_its_own(story):
    for call in ("GET /health", "GET /tokens"):
        story.oracle.answered(Answer(call, 0, None, 1, 2, 503, {"status": "unhealthy"}, "1", "r"))
        assert len(story.broken()) == (call == "GET /tokens")


@pytest.mark.parametrize("status, error, retry_after", [
    (503, "overloaded", "1"), (503, "database_unavailable", "2"), (429, "rate_limited", "1"),
    (502, "client_credentials_rejected", None),
])
def test_temporary_error_is_no_broken_promise(story, status, error, retry_after):
    story.answers(status=status, error=error, retry_after=retry_after)
    assert story.broken() == []


@pytest.mark.parametrize("error", ["provider_unavailable", "provider_error", "refresh_in_progress"])
def test_token_that_works_is_not_withheld(story, error):
    story.answers(access_token=story.refreshes())
    story.later(LIFE_S - 10)
    story.answers(call="POST /tokens/refresh", status=503, error=error, retry_after="1")
    assert story.broken() == []
    story.answers(status=503, error=error, retry_after="1")
    assert story.broken() == ["withheld"]


def test_token_that_has_expired_may_be_withheld(story):
    story.answers(access_token=story.refreshes())
    story.later(LIFE_S)
    story.answers(status=503, error="provider_unavailable", retry_after="1")
    assert story.broken() == []


# --- grants ---------------------------------------------------------------------------------------


def test_spent_refresh_token_is_a_lost_grant(story):
    spent = story.refresh_token["branch"]
    story.refreshes()
    story.is_refused(spent)
    assert story.broken() == ["grant"]
    assert not story.oracle.excused


@pytest.mark.parametrize("lost", [{"aborted": True}, {"fault": "drop_after"}])
def test_grant_that_was_lost_with_the_answer_is_excused(story, lost):
    spent = story.refresh_token["branch"]
    story.refreshes(**lost)
    story.is_refused(spent)
    story.answers(status=409, error="reauthorization_required")
    assert story.broken() == []
    assert len(story.oracle.excused) == 1
    story.consents()
    story.answers(status=409, error="reauthorization_required")
    assert story.broken() == ["state"]


def test_answer_that_turns_out_not_to_have_arrived_is_learnt_in_time(story):
    spent = story.refresh_token["branch"]
    story.refreshes()
    story.entries[-1]["ended_at"] = None
    assert story.broken() == []
    story.entries[-1] = {**story.entries[-1], "ended_at": story.now * 1000, "aborted": True}
    story.is_refused(spent)
    assert story.broken() == []
    assert len(story.oracle.excused) == 1


def test_refusal_is_judged_once_it_is_known_whether_the_answer_arrived(story):
    spent = story.refresh_token["branch"]
    story.refreshes()
    story.entries[-1]["ended_at"] = None
    slow = len(story.entries) - 1
    story.is_refused(spent)
    story.answers(status=409, error="reauthorization_required")
    assert story.broken() == []
    story.entries[slow] = {**story.entries[slow], "ended_at": story.now * 1000, "aborted": True}
    assert story.broken() == []
    assert len(story.oracle.excused) == 1


def test_grant_that_was_lost_with_a_killed_worker_is_excused(story):
    spent = story.refresh_token["branch"]
    story.refreshes()
    story.oracle.worker_killed(story.now, [5000])
    story.later()
    story.is_refused(spent)
    assert story.broken() == []
    assert len(story.oracle.excused) == 1


@pytest.mark.parametrize("port, came_first", [(5001, False), (5000, True)], ids=["other-worker", "earlier-request"])
def test_kill_excuses_only_the_last_request_of_that_worker(story, port, came_first):
    spent = story.refresh_token["branch"]
    story.refreshes()
    if came_first:
        story.refreshes()
    story.oracle.worker_killed(story.now, [port])
    story.is_refused(spent)
    assert story.broken() == ["grant"]


def test_kill_before_the_request_excuses_nothing(story):
    spent = story.refresh_token["branch"]
    story.oracle.worker_killed(story.now - 0.5, [5000])
    story.refreshes()
    story.is_refused(spent)
    assert story.broken() == ["grant"]


def test_grant_that_a_caller_revoked_is_not_lost(story):
    token = story.refresh_token["branch"]
    story.does("branch", REVOKED)
    story.revokes(token)
    story.is_refused(token)
    assert story.broken() == []


def test_revocation_of_an_old_grant_that_ends_the_new_one_is_a_loss(story):
    old = story.refresh_token["branch"]
    story.does("branch", REVOKED)
    story.consents()
    story.revokes(old)
    story.is_refused(story.refresh_token["branch"])
    assert story.broken() == ["grant"]


def test_refresh_token_that_was_never_issued_is_a_loss(story):
    story.is_refused("made up")
    assert story.broken() == ["grant"]


def test_refusal_without_a_cause_is_a_loss(story):
    story.is_refused(story.refresh_token["branch"])
    assert story.broken() == ["grant"]
