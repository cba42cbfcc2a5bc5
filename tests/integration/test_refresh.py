"""One expiry, one call to the provider: herds, races and sudden deaths, over two hosts with one database."""

import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.flow import Browser, connect_fast, expire, register, token_row
from support.hosts import (
    PATIENT, Gate, fetch, in_one_of_three_rounds, is_without_database, locked, refused, results, start_fetch, start_herd, token_of,
    two_hosts, wait_for_waiters,
)
from support.processes import TIME_FACTOR, seconds, wait_until

HERD = 200
WHOLE_ROW = "access_token, refresh_token, expires_at, grant_version, is_valid, refresh_error, last_refreshed_at"


def connected(service, provider, seconds_left):
    """A branch with an OAuth client of its own and a grant; (client, grant)."""
    client = register(service, provider)
    return client, connect_fast(service, provider, client, expires_in=seconds_left)


def asked(provider, client):
    """The requests to refresh that the provider had for this client's OAuth client."""
    return provider.refreshes(client_id=client["client_oauth_id"])


def assert_no_overlap(provider):
    counts = provider.counts()
    assert counts["max_overlap"] <= 1, counts


def tokens_of(answers):
    """Of all but those without time: who waited for a worker has half a second for a look at the row, and the database may
    stand still for it."""
    return {token_of(answer) for answer in answers if not is_without_database(answer)}


def told_without_time(answers):
    """What they were told, which one round has to be free of."""
    return [answer.text for answer in answers if is_without_database(answer)]


def one_round_in_time(play, limits):
    """play() gives a herd's answers and how long things took, limits how long they may."""
    def late():
        answers, durations = play()
        return told_without_time(answers) + [took for took, limit in zip(durations, limits, strict=True) if took >= limit]

    in_one_of_three_rounds(late)


# --- herds ----------------------------------------------------------------------------------------


def test_herd_of_an_expired_branch_makes_one_call(make_service, provider):
    """200 callers at once, provider slow, rotating and strict: 200 good answers, one token, one call; and another
    expired branch is served meanwhile, in about two calls' time."""
    hosts = two_hosts(make_service, EXCHANGE_WORKERS="16", **PATIENT)
    provider.settings(rotate=True)
    provider.fault("delay", ms=500, times=None)

    def play():
        client, _ = connected(hosts[0], provider, -10)
        other, _ = connected(hosts[0], provider, -10)
        herd = start_herd(hosts, client, HERD)
        provider.wait_for_requests(1, client_id=client["client_oauth_id"])
        begun = time.monotonic()
        other_answer = fetch(hosts[1], other)
        took = time.monotonic() - begun
        answers = results(herd)
        tokens, other_tokens = tokens_of(answers), tokens_of([other_answer])

        print(f"another expired branch during the herd: {took:.2f} s")
        assert len(tokens) == 1
        assert all(provider.works(token) for token in tokens | other_tokens)
        assert len(asked(provider, client)) == 1 and len(asked(provider, other)) == len(other_tokens)
        assert token_row(hosts[0], client, "is_valid, refresh_error") == (True, None)
        assert_no_overlap(provider)
        return [other_answer, *answers], [took]

    one_round_in_time(play, [2 * TIME_FACTOR])


def test_herd_does_not_delay_tokens_that_work(make_service, provider):
    """While 200 callers wait for one held refresh, valid tokens are answered, and not slower than without them."""
    hosts = two_hosts(make_service, EXCHANGE_WORKERS="16", **PATIENT)
    provider.settings(rotate=True)
    valid, grant = connected(hosts[0], provider, 3000)

    def reads():
        durations = []
        for i in range(50):
            begun = time.monotonic()
            assert token_of(fetch(hosts[i % 2], valid)) == grant["access_token"]
            durations.append(time.monotonic() - begun)
        return statistics.median(durations), max(durations)

    def play():
        client, _ = connected(hosts[0], provider, -10)
        alone, alone_max = reads()
        provider.fault("hold")
        herd = start_herd(hosts, client, HERD)
        wait_for_waiters(hosts[0].database, 31)  # every exchange worker of both hosts but the one that asks
        amid, amid_max = reads()
        assert not any(call.done() for call in herd), "the provider is still held"
        provider.release()
        answers = results(herd)
        tokens = tokens_of(answers)

        print(f"50 reads: median {alone * 1e3:.1f} ms alone, {amid * 1e3:.1f} ms amid the herd;"
              f" longest {alone_max * 1e3:.0f} and {amid_max * 1e3:.0f} ms")
        assert len(tokens) == 1
        assert len(asked(provider, client)) == 1
        return answers, [amid - 3 * alone]

    reads()
    one_round_in_time(play, [seconds(0.02)])


def test_inside_the_buffer_nobody_waits_for_a_held_provider(make_service, provider):
    """The caller that asks the provider is answered the token that works after a second, all others at once; the one
    call is finished and stored after that."""
    hosts = two_hosts(make_service, EXCHANGE_WORKERS="16", **PATIENT)
    provider.settings(rotate=True)

    def play():
        client, grant = connected(hosts[0], provider, 60)
        provider.fault("hold_after")
        first = start_fetch(hosts[0], client)
        provider.wait_for_requests(1, client_id=client["client_oauth_id"])
        others = start_herd(hosts, client, 60)
        answers = results([first, *others])
        longest_first = answers[0].elapsed.total_seconds()
        longest_other = max(answer.elapsed.total_seconds() for answer in answers[1:])
        print(f"the caller that asks: {longest_first:.2f} s; the longest of the others: {longest_other:.2f} s")
        assert longest_first >= 1

        assert tokens_of(answers) == {grant["access_token"]}
        assert all(response.json()["stale"] for response in answers if not is_without_database(response))
        (call,) = asked(provider, client)
        assert call["ended_at"] is None, "the provider is still held"
        assert provider.release() == 1
        wait_until(lambda: token_row(hosts[0], client, "access_token")[0] != grant["access_token"], what="it is stored")
        stored, refresh_token = token_row(hosts[0], client, "access_token, refresh_token")
        assert {token_of(fetch(host, client)) for host in hosts} == {stored}
        assert refresh_token != grant["refresh_token"]
        assert provider.works(stored)
        assert len(asked(provider, client)) == 1
        return answers, [longest_first, longest_other]

    one_round_in_time(play, [3 * TIME_FACTOR, 1 * TIME_FACTOR])


def test_inside_the_buffer_one_caller_gets_the_new_token(make_service, provider):
    """A provider that answers in time: whoever asked it has the new token, the others one that works; one call."""
    hosts = two_hosts(make_service, EXCHANGE_WORKERS="16", **PATIENT)
    provider.settings(rotate=True)

    def play():
        client, grant = connected(hosts[0], provider, 60)
        provider.fault("delay", client_id=client["client_oauth_id"], ms=100)
        answers = results(start_herd(hosts, client, HERD))
        tokens = tokens_of(answers)
        wait_until(lambda: token_row(hosts[0], client, "access_token")[0] != grant["access_token"], what="it is stored")
        new = token_row(hosts[0], client, "access_token")[0]
        assert provider.works(new)
        assert tokens <= {new, grant["access_token"]}
        assert len(asked(provider, client)) == 1
        # Whoever asked is answered before, where it takes over a second.
        return told_without_time(answers) + ([] if new in tokens else ["not the new token"])

    in_one_of_three_rounds(play)


def test_waiter_is_answered_when_its_time_is_up_and_does_not_ask_by_itself(make_service, provider):
    """Expired, and the provider held past REFRESH_WAIT_MS: everybody, the one that asks too, gets 503 with
    Retry-After; there is one call, and what it brings is stored."""
    hosts = two_hosts(make_service, REFRESH_WAIT_MS="500", GOOGLE_TIMEOUT_MS="30000")
    provider.settings(rotate=True)
    client, grant = connected(hosts[0], provider, -10)
    provider.fault("hold")
    for response in results(start_herd(hosts, client, 8)):
        refused(response, 503, "refresh_in_progress")
        assert int(response.headers["retry-after"]) >= 1
    provider.wait_for_requests(1)  # a slow machine may have sent it only after that
    assert provider.refreshes()[0]["ended_at"] is None
    provider.release()
    wait_until(lambda: token_row(hosts[0], client, "access_token")[0] != grant["access_token"], what="it is stored")
    assert provider.works(token_of(fetch(hosts[1], client)))
    assert len(provider.refreshes()) == 1


def test_forced_refreshes_at_once_make_at_most_two_calls(make_service, provider):
    """POST /tokens/refresh ten times at once on two hosts: all good, at most two calls, never two at a time."""
    hosts = two_hosts(make_service, EXCHANGE_WORKERS="5", **PATIENT)
    provider.settings(rotate=True)
    client, _ = connected(hosts[0], provider, 3000)
    provider.fault("delay", ms=300, times=None)
    # Who comes only after the second call has begun may rightly ask for a third.
    with locked(hosts[0].database, "SELECT FROM tokens FOR UPDATE"):
        calls = [hosts[i % 2].start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
                 for i in range(10)]
        wait_for_waiters(hosts[0].database, 10)
    tokens = {token_of(response) for response in results(calls)}

    made = len(provider.refreshes())
    assert 1 <= made <= 2 and len(tokens) <= made
    assert_no_overlap(provider)
    assert provider.works(token_row(hosts[0], client, "access_token")[0])


def test_readers_refreshers_and_forced_refreshes_share_one_lock(make_service, provider):
    """A refresher, readers and a forced refresh on one expired row of a strict provider: never two calls at a time,
    and the grant lives."""
    hosts = two_hosts(make_service, REFRESHERS="4", **PATIENT)
    provider.settings(rotate=True)
    provider.fault("delay", ms=200, times=None)
    client, _ = connected(hosts[0], provider, 3000)
    for _ in range(3):
        expire(hosts[0], client)
        hosts[0].database.execute("UPDATE tokens SET refresh_due_at = now()")
        calls = start_herd(hosts, client, 20)
        calls.append(hosts[1].start("POST", "/tokens/refresh", json={"client_id": client["client_id"]}))
        for response in results(calls):
            assert response.status_code == 200, response.text
    assert_no_overlap(provider)
    assert token_row(hosts[0], client, "is_valid")[0]
    assert provider.works(token_row(hosts[0], client, "access_token")[0])


# --- sudden deaths --------------------------------------------------------------------------------


@pytest.fixture
def dying(make_service, provider):
    """The host whose only exchange worker will die, and the other one."""
    env = {**PATIENT, "REFRESHERS": "0"}
    return make_service(env={**env, "EXCHANGE_WORKERS": "1"}), make_service(env=env)


def kill_worker(host, number=signal.SIGKILL, pool="exchange"):
    (pid,) = host.worker_pids(pool)
    os.kill(pid, number)
    if number == signal.SIGKILL:
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), what="the worker is gone")


def assert_served_at_once(host, client):
    """By the other host, well before any of the dead one's timeouts (25 s and more) is over."""
    begun = time.monotonic()
    token = token_of(fetch(host, client))
    took = time.monotonic() - begun
    print(f"the next caller was served after {took:.2f} s")
    assert took < seconds(20)
    return token


@pytest.mark.parametrize("rotate", [False, True], ids=["plain", "rotating"])
def test_worker_killed_before_the_call(dying, provider, rotate):
    """It has the row's lock and has not asked yet: the row stays as it was, the next caller asks, nothing is lost."""
    a, b = dying
    provider.settings(rotate=rotate)
    client, _ = connected(a, provider, -10)
    before = token_row(a, client, WHOLE_ROW)
    with locked(a.database, "SELECT FROM tokens FOR UPDATE"):
        victim = start_fetch(a, client)
        wait_for_waiters(a.database, 1)
        # What it reads after the lock is kept from it, while what it read before was not.
        clients_lock = locked(a.database, "LOCK TABLE clients")
        clients_lock.__enter__()
    wait_until(
        lambda: a.database.one("SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
                               " WHERE NOT l.granted AND l.relation = 'clients'::regclass")[0],
        what="the worker is behind the row's lock",
    )
    kill_worker(a)
    clients_lock.__exit__(None, None, None)
    assert victim.result(seconds(60)).status_code == 503
    assert token_row(a, client, WHOLE_ROW) == before
    assert provider.refreshes() == []
    assert provider.works(assert_served_at_once(b, client))
    assert len(provider.refreshes()) == 1


def test_worker_killed_during_the_call(dying, provider):
    """The provider has the request and has not answered: nothing is written, the lock is free, no grant is lost."""
    a, b = dying
    client, grant = connected(a, provider, -10)
    before = token_row(a, client, WHOLE_ROW)
    provider.fault("hold")
    victim = start_fetch(a, client)
    provider.wait_for_requests(1)
    waiter = start_fetch(b, client)
    wait_for_waiters(b.database, 1)
    kill_worker(a)
    token = token_of(waiter.result(seconds(60)))
    assert provider.works(token)
    assert victim.result(seconds(60)).status_code == 503
    assert token_row(a, client, "grant_version, is_valid, refresh_token") == (before[3] + 1, True, before[1])
    assert provider.release() == 1
    wait_until(lambda: provider.refreshes()[0]["ended_at"], what="the orphaned call ends")
    assert token_of(fetch(b, client)) == token
    assert len(provider.refreshes()) == 2


def test_refresher_killed_during_the_call(make_service, provider):
    """It holds its claim and the provider has the request: the claim is free at once, and a reader on the other host
    is served; nothing was written."""
    a, b = make_service(env={**PATIENT, "REFRESHERS": "1"}), make_service(env={**PATIENT, "REFRESHERS": "0"})
    client, _ = connected(a, provider, -10)
    before = token_row(a, client, WHOLE_ROW)
    provider.fault("hold")
    a.database.execute("UPDATE tokens SET refresh_due_at = now()")
    provider.wait_for_requests(1)
    waiter = start_fetch(b, client)
    wait_for_waiters(b.database, 1)
    kill_worker(a, pool="refresher")
    token = token_of(waiter.result(seconds(60)))
    assert provider.works(token)
    assert token_row(a, client, "grant_version, is_valid, refresh_token") == (before[3] + 1, True, before[1])
    assert provider.release() == 1


@pytest.mark.parametrize("rotate", [False, True], ids=["plain", "rotating"])
def test_worker_killed_between_answer_and_commit(dying, provider, rotate):
    """The provider has answered and nothing is stored. Plain: the old refresh token serves the next caller. Rotating:
    the one case that nobody can save; it is told as such, with the way to log in."""
    a, b = dying
    provider.settings(rotate=rotate)
    client, _ = connected(a, provider, -10)
    before = token_row(a, client, WHOLE_ROW)
    provider.fault("hold_after")
    victim = start_fetch(a, client)
    provider.wait_for_requests(1)
    kill_worker(a, signal.SIGSTOP)
    provider.release()
    wait_until(lambda: provider.refreshes()[0]["ended_at"], what="the provider has answered")
    kill_worker(a)
    assert victim.result(seconds(60)).status_code == 503
    assert token_row(a, client, WHOLE_ROW) == before
    if rotate:
        body = refused(fetch(b, client), 409, "reauthorization_required")
        assert body["provider_error"] == "invalid_grant" and body["login_url"]
        assert token_row(a, client, "is_valid") == (False,)
    else:
        assert provider.works(assert_served_at_once(b, client))
        assert token_row(a, client, "is_valid, refresh_token") == (True, before[1])


def test_worker_killed_during_the_commit(dying, provider):
    """UPDATE and COMMIT are with the server, the worker is not any more: all of it is stored, and used by the next."""
    a, b = dying
    provider.settings(rotate=True)
    # Or the server looks every second for its client, and rolls back when it is gone by then. The worker connects later.
    name = a.database.name
    a.database.execute(f"ALTER ROLE token_service_worker IN DATABASE {name} SET client_connection_check_interval = 0")
    client, grant = connected(a, provider, -10)
    with Gate(a.database) as gate:
        gate.shut()
        victim = start_fetch(a, client)
        gate.wait_for_update()
        kill_worker(a)
    assert victim.result(seconds(60)).status_code == 503
    token = assert_served_at_once(b, client)
    (entry,) = provider.refreshes()
    assert token == entry["access_token"] and provider.works(token)
    version, refresh_token, error = token_row(a, client, "grant_version, refresh_token, refresh_error")
    assert (version, error) == (2, None)
    assert refresh_token == entry["new_refresh_token"] != grant["refresh_token"]


def test_connection_lost_during_the_commit(dying, provider):
    """The session is ended under the UPDATE: nothing of it is kept, the worker stores it again over a new one; one
    call, and the caller has the token."""
    a, b = dying
    provider.settings(rotate=True)
    client, _ = connected(a, provider, -10)
    with Gate(a.database) as gate:
        gate.shut()
        call = start_fetch(a, client)
        pid = gate.wait_for_update()
        a.database.execute("SELECT pg_terminate_backend(%s)", (pid,))
    token = token_of(call.result(seconds(60)))
    assert provider.works(token)
    assert token_of(fetch(b, client)) == token
    assert len(provider.refreshes()) == 1


def test_connection_lost_during_the_commit_while_another_host_waits(dying, provider):
    """The lock is gone with the session, and the next in the queue asks with a refresh token that was spent: a strict
    provider ends the grant. Whatever is stored after that does not pass the dead grant off as a live one."""
    a, b = dying
    provider.settings(rotate=True)
    client, _ = connected(a, provider, -10)
    with Gate(a.database) as gate:
        gate.shut()
        call = start_fetch(a, client)
        pid = gate.wait_for_update()
        next_call = start_fetch(b, client)
        wait_for_waiters(a.database, 1)
        provider.fault("hold")
        a.database.execute("SELECT pg_terminate_backend(%s)", (pid,))
        provider.wait_for_requests(2)
        wait_for_waiters(a.database, 1)  # the first, which stores its answer again
    provider.release()
    answers = results([call, next_call])
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    after = fetch(b, client)
    if after.status_code == 200:
        assert provider.works(after.json()["access_token"]), "a dead token is answered as a good one"
    else:
        refused(after, 409, "reauthorization_required")


def test_caller_is_answered_in_time_while_the_database_keeps_the_answer_waiting(make_service, provider):
    """The provider has answered and the UPDATE does not come through: the caller is answered when its time is up, not
    when the worker's deadline is; what the provider gave is stored in the end."""
    hosts = two_hosts(make_service, REFRESH_WAIT_MS="1000", GOOGLE_TIMEOUT_MS="30000", REFRESHERS="0")
    provider.settings(rotate=True)
    client, _ = connected(hosts[0], provider, -10)
    with Gate(hosts[0].database) as gate:
        gate.shut()
        call = start_fetch(hosts[0], client)
        gate.wait_for_update()
        refused(call.result(seconds(60)), 503, "refresh_in_progress")  # and not by nginx, after 30 s
    # Not by a reader, who would take the lock and ask by himself.
    wait_until(lambda: token_row(hosts[0], client, "grant_version") == (2,), what="it is stored")
    assert provider.works(token_of(fetch(hosts[1], client)))
    assert len(provider.refreshes()) == 1


# --- consent and a refresh under way --------------------------------------------------------------


@pytest.mark.parametrize("dead", [False, True], ids=["good", "dead"])
def test_consent_during_a_refresh_wins(make_service, provider, dead):
    """The new grant is stored after the refresh under way, whatever that brings for the old one: a dead old grant
    does not spoil the new one."""
    hosts = two_hosts(make_service, **PATIENT)
    provider.settings(revoke_person=False)
    client, grant = connected(hosts[0], provider, -10)
    provider.fault("hold", grant_type="refresh_token")
    refresh = start_fetch(hosts[1], client)
    provider.wait_for_requests(1, grant_type="refresh_token")
    with Browser(hosts[0]) as browser:
        callback_url = browser.consent(browser.login(client))
        if dead:
            provider.revoke(refresh_token=grant["refresh_token"])
        with ThreadPoolExecutor(1) as thread:
            callback = thread.submit(browser.callback, callback_url)
            wait_for_waiters(hosts[0].database, 1)
            assert not callback.done()
            provider.release()
            answer = callback.result(seconds(60))
    assert answer.status_code == 200, answer.text
    first = refresh.result(seconds(60))
    if dead:
        refused(first, 409, "reauthorization_required")
    else:
        token_of(first)
    new = answer.json()["access_token"]
    assert token_row(hosts[0], client, "access_token, is_valid, is_revoked, refresh_error") == (new, True, False, None)
    assert {token_of(fetch(host, client)) for host in hosts} == {new}
    assert provider.works(new)
