"""PostgreSQL that is gone, frozen, or cuts connections, under load and in the middle of a refresh. Two hosts."""

import concurrent.futures
import contextlib
import os
import signal
import time

import pytest
from support import flow, keys, metrics, processes, trouble
from support.answers import all_workers
from support.hosts import AT_COMMIT, PATIENT, Gate, in_one_of_three_rounds, unexcused, wait_for_waiters
from support.postgres import Cluster
from support.processes import wait_until
from support.sealing import SEALS

GONE_S = processes.seconds(2.5)  # the longest that a call may take to say so
PAUSE_S = 1.3  # by then a worker that has failed tries again
BACK_S = 5  # and all of them have


@pytest.fixture(scope="module")
def own_cluster():
    """A PostgreSQL for this file alone, whose commits outlive a crash."""
    cluster = Cluster()
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER ROLE token_service_worker SET synchronous_commit = on")
        cursor.execute("ALTER ROLE postgres SET synchronous_commit = on")
    yield cluster
    cluster.close()


def stored_row(database, columns):
    """Columns of the only token, those that are sealed opened."""
    *row, client_id = database.one(f"SELECT {columns}, client_id FROM tokens")
    return SEALS.opened(row, client_id)


@pytest.fixture
def own_database(own_cluster):
    database = own_cluster.create()
    yield database
    database.drop()


@pytest.fixture
def hosts(make_service, own_database):
    """hosts(**settings): a further host of one database; no refreshers, who would make calls of their own."""

    def make(**settings):
        host = make_service({"REFRESHERS": "0", **PATIENT, **settings}, database=own_database)
        metrics.wait_for_workers(host)
        return host

    return make


def branches(host, provider, count, **fields):
    """{branch: access token}, each with a client of its own."""
    clients = [flow.register(host, provider) for _ in range(count)]
    return {
        client["branch_identifier"]: flow.connect_fast(host, provider, client, **fields)["access_token"]
        for client in clients
    }


def read_in_turn(hosts, tokens):
    """For trouble.Load: GET of each branch in turn, of each host in turn."""
    names = list(tokens)
    return lambda number: hosts[number % len(hosts)].get(f"/tokens/{names[number // len(hosts) % len(names)]}")


def check_reads(answers, tokens):
    """Each is the branch's own token or a complete 503 database_unavailable; those that are a 503."""
    gone = []
    for begun, ended, answer in answers:
        body = answer.json()
        if answer.status_code == 200:
            assert tokens[body["branch_id"]] == body["access_token"], "another branch's token"
            assert body["stale"] is False
        else:
            check_gone(answer)
            gone.append((begun, ended))
    return gone


def check_gone(answer):
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"] == "database_unavailable", answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert "access_token" not in answer.json()


def every_call(host, branch, expired):
    """One of each that needs the database; (method, path, body)."""
    return [
        ("GET", f"/tokens/{branch}", None),
        ("GET", f"/tokens/{expired}", None),
        ("GET", f"/tokens/{branch}?min_ttl=3000", None),
        ("GET", "/tokens/no-such-branch", None),
        ("POST", "/tokens/refresh", {"branch_id": branch}),
        ("POST", "/tokens/refresh", {"client_id": 1}),
        ("POST", f"/tokens/{branch}/revoke", None),
        ("POST", "/clients", flow.registration(host)),
        ("GET", "/clients", None),
        ("GET", "/clients/1", None),
        ("PATCH", "/clients/1", {"workspace_name": "Other"}),
        ("DELETE", "/clients/1", None),
        ("GET", "/oauth/login/1", None),
    ]


def ask_everything(host, calls):
    """All at once: [(call, seconds, response)]."""

    def ask(call):
        method, path, body = call
        begun = time.monotonic()
        answer = host.request(method, path, **({} if body is None else {"json": body}))
        return call, time.monotonic() - begun, answer

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(ask, calls))


def check_all_gone(host, calls):
    """Asks them all: each is refused as it should be. What took too long, as text."""
    answers = ask_everything(host, calls)
    for _, _, answer in answers:
        check_gone(answer)
    late = [f"{call}: {took:.1f} s" for call, took, _ in answers if took >= GONE_S]
    if late:
        time.sleep(PAUSE_S)  # another round within it would be refused without a try
    return late


def all_good(hosts, tokens, expired):
    """Does every worker of every pool answer again?"""
    reads = [read_in_turn(hosts, tokens)(number) for number in range(10 * len(hosts))]
    refreshes = [host.get(f"/tokens/{expired}") for host in hosts for _ in range(6)]
    health = [host.get("/health") for host in hosts]
    return all(answer.status_code == 200 for answer in (*reads, *refreshes, *health))


# --- gone and back --------------------------------------------------------------------------------


def test_immediate_stop_under_load_is_503_at_once_and_over_by_itself(hosts, provider, own_cluster, own_database):
    """Every call says database_unavailable in under 2.5 s while PostgreSQL is gone, both hosts are back by themselves
    soon after its return, and no answer is ever wrong."""
    pair = [hosts(), hosts()]
    tokens = branches(pair[0], provider, 5, expires_in=86000)
    (expired,) = branches(pair[0], provider, 1, expires_in=-10)
    client = flow.register(pair[0], provider)
    with flow.Browser(pair[0]) as browser, trouble.Load(read_in_turn(pair, tokens)) as load:
        callback = browser.consent(browser.login(client))
        load.wait_for(50)
        with trouble.crashed(own_cluster):
            check_gone(browser.callback(callback))
            for host in pair:
                in_one_of_three_rounds(lambda: check_all_gone(host, every_call(host, next(iter(tokens)), expired)))
                assert host.get("/").status_code == 200
                assert host.get("/health/live").status_code == 200
                assert host.get("/health/ready").status_code == 503
                health = host.get("/health")
                assert (health.status_code, health.json()["status"], health.json()["database"]) == (
                    503, "unhealthy", "disconnected",
                )
            assert provider.refreshes() == []
            load.wait_for(50)
        back_at = time.monotonic()
        wait_until(lambda: all_good(pair, tokens, expired), what="both hosts answer again")
        good_at = time.monotonic()
        load.wait_for(50)
        assert browser.callback(callback).status_code == 200  # the login that was cut off can go on
    assert not load.faults, load.faults
    gone = check_reads(load.answers, tokens)
    assert gone
    assert sum(ended - begun >= GONE_S for begun, ended in gone) <= 8  # two stalls, of four threads each
    assert not [begun for begun, _ in gone if begun > max(good_at, back_at + BACK_S * processes.TIME_FACTOR)]
    assert len(provider.refreshes()) == 1
    assert own_database.one("SELECT count(*) FROM clients") == (7,)  # nothing of what was refused was done


def test_no_worker_ends_because_the_database_does(hosts, provider, own_cluster):
    """They reconnect; a restart would lose what is under way."""
    host = hosts()
    (branch,) = branches(host, provider, 1)
    before = sorted(all_workers(host))
    for _ in range(2):
        with trouble.crashed(own_cluster):
            wait_until(lambda: host.get(f"/tokens/{branch}").status_code == 503)
        wait_until(lambda: host.get(f"/tokens/{branch}").status_code == 200)
    assert sorted(host.worker_pids()) == before


def test_frozen_database_is_503_in_time(hosts, provider, own_cluster, own_database):
    """Connections stand, but nothing answers on them: a database call gives up after 1.5 s, and the attempt to connect
    anew sooner, so that a caller who waited for the round that its worker was in is still told in under 2.5 s."""
    host = hosts()
    (branch,) = branches(host, provider, 1)

    def freeze():
        """What took too long, over connections that stand and over new ones."""
        (expired,) = branches(host, provider, 1, expires_in=-10)
        calls = [("GET", f"/tokens/{branch}", None), ("POST", "/tokens/refresh", {"branch_id": branch}),
                 ("GET", f"/tokens/{expired}", None), ("GET", "/clients", None)]
        assert host.get(f"/tokens/{branch}").status_code == 200
        backends = processes.children_of(own_cluster.server.pid)
        with stopped([own_cluster.server.pid, *backends]):
            late = [each for _ in range(2) for each in check_all_gone(host, calls * 4)]
        wait_until(lambda: host.get(f"/tokens/{branch}").status_code == 200)
        wait_until(lambda: host.get(f"/tokens/{expired}").status_code == 200)
        return late

    in_one_of_three_rounds(freeze)


@contextlib.contextmanager
def stopped(pids):
    """These processes stand still inside the block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# --- gone for what asks the provider --------------------------------------------------------------


class Alias:
    """Another way to the cluster's socket, for DATABASE_EXCHANGE_URL; exists=False: one that is not there yet."""

    def __init__(self, cluster, database, exists=True):
        self.directory = processes.make_directory("pg")
        self.url = database.url.replace(str(cluster.sockets), str(self.directory))
        self._link = self.directory / ".s.PGSQL.5432"
        self._target = cluster.sockets / self._link.name
        if exists:
            self.open()

    def open(self):
        self._link.symlink_to(self._target)

    @contextlib.contextmanager
    def shut(self):
        """For new connections, inside the block."""
        self._link.unlink()
        try:
            yield
        finally:
            self.open()


@pytest.fixture
def make_alias(own_cluster, own_database):
    """make_alias(exists=True): an Alias that outlives the services of the test: ask for it before hosts."""
    made = []

    def make(**options):
        made.append(Alias(own_cluster, own_database, **options))
        return made[-1]

    yield make
    for alias in made:
        processes.remove_directory(alias.directory)


def read_for_seconds(host, branch):
    """Answers of one read after another, for longer than a worker waits before it looks for its database again."""
    answers = []
    for _ in range(40):
        answers.append(host.get(f"/tokens/{branch}"))
        time.sleep(0.1)
    return answers


def check_old_token(answer, token):
    assert answer.status_code == 200, answer.text
    assert answer.json()["access_token"] == token and answer.json()["stale"] is True


def test_exchange_side_that_lost_its_database_costs_nobody_a_token_that_works(make_alias, hosts, provider, own_database):
    """Inside the buffer everybody has the old token from the database pool, whose way is open; the exchange worker looks
    for the database by itself, and when it is back the next readers have a new one."""
    alias = make_alias()
    host = hosts(EXCHANGE_WORKERS="1", DATABASE_EXCHANGE_URL=alias.url)
    ((branch, token),) = branches(host, provider, 1, expires_in=200).items()
    assert host.post("/tokens/refresh", json={"branch_id": "nobody"}).status_code == 404  # over a connection of its own
    with alias.shut():
        for pid in trouble.sessions(own_database):
            trouble.terminate(own_database, pid)
        wait_until(lambda: host.log_events("database unavailable"), what="the worker has looked for it")
        for answer in read_for_seconds(host, branch):
            check_old_token(answer, token)
        check_gone(host.post("/tokens/refresh", json={"branch_id": branch}))
        check_old_token(host.get(f"/tokens/{branch}"), token)
    assert provider.refreshes() == []
    wait_until(lambda: host.get(f"/tokens/{branch}").json()["access_token"] != token, what="a new token")
    assert len(provider.refreshes()) == 1


def test_exchange_side_that_never_had_a_database_refuses_only_who_finds_out(make_alias, hosts, provider):
    """At most one for each of its workers; all others have the token that works."""
    host = hosts(EXCHANGE_WORKERS="3", DATABASE_EXCHANGE_URL=make_alias(exists=False).url)
    ((branch, token),) = branches(host, provider, 1, expires_in=200).items()
    answers = read_for_seconds(host, branch)
    refused = [answer for answer in answers if answer.status_code != 200]
    for answer in refused:
        check_gone(answer)
    assert len(refused) <= 3
    for answer in answers:
        assert answer in refused or answer.json()["access_token"] == token


def test_database_that_takes_no_locks_costs_nobody_a_token_that_works(hosts, provider, own_cluster, own_database):
    """A primary that became read-only: inside the buffer everybody is answered, an expired token cannot be refreshed;
    when it takes writes again all are refreshed."""
    host = hosts()
    ((branch, token),) = branches(host, provider, 1, expires_in=200).items()
    (expired,) = branches(host, provider, 1, expires_in=-10)
    own_cluster.maintenance.execute(f"ALTER DATABASE {own_database.name} SET default_transaction_read_only = on")
    for pid in trouble.sessions(own_database):
        trouble.terminate(own_database, pid)
    for answer in read_for_seconds(host, branch):
        check_old_token(answer, token)
    check_gone(host.get(f"/tokens/{expired}"))
    assert provider.refreshes() == []
    own_cluster.maintenance.execute(f"ALTER DATABASE {own_database.name} RESET default_transaction_read_only")
    for name in (expired, branch):
        wait_until(lambda: (answer := host.get(f"/tokens/{name}")).status_code == 200 and not answer.json()["stale"],
                   what="it is refreshed")
    assert len(provider.refreshes()) == 2


# --- connections cut one by one -------------------------------------------------------------------


def test_connections_cut_one_by_one_cost_readers_nothing(hosts, provider, own_database):
    """A read whose connection is cut is sent again on a new one: under constant load no answer is wrong, and next to
    none is a 503."""
    pair = [hosts(), hosts()]
    tokens = branches(pair[0], provider, 5, expires_in=86000)
    cut = 0
    with trouble.Load(read_in_turn(pair, tokens)) as load:
        while cut < 40:
            for pid in trouble.sessions(own_database):
                trouble.terminate(own_database, pid)
                cut += 1
                load.wait_for(5)
                if load.faults:
                    break
    assert not load.faults, load.faults
    gone = check_reads(load.answers, tokens)
    assert len(load.answers) >= 200
    cut_off = unexcused(load.answers, 8)  # two stalls, of four threads each
    assert len(cut_off) <= 2, f"{len(gone)} of {len(load.answers)} reads failed"
    assert provider.refreshes() == []


def test_cut_before_a_refresh_costs_nothing(hosts, provider, own_database):
    """The connection of an idle exchange worker is cut: it notices, and the next refresh is as good as ever."""
    host = hosts(EXCHANGE_WORKERS="1", DATABASE_WORKERS="1")
    (branch,) = branches(host, provider, 1)
    for number in range(3):
        own_database.execute("UPDATE tokens SET refresh_began_at = now() - interval '1 hour'")
        assert host.post("/tokens/refresh", json={"branch_id": branch}).status_code == 200
        assert host.get(f"/tokens/{branch}").status_code == 200
        for pid in trouble.sessions(own_database):
            trouble.terminate(own_database, pid)
    assert len(provider.refreshes()) == 3


# --- cut in the middle of a refresh ---------------------------------------------------------------


def start_refresh(host, branch, way):
    if way == "forced":
        return host.start("POST", "/tokens/refresh", json={"branch_id": branch})
    return host.start("GET", f"/tokens/{branch}")


@pytest.mark.parametrize("way, life", [("expired", -10), ("buffer", 120), ("forced", 3000)])
def test_grant_is_stored_although_the_connection_was_lost_meanwhile(hosts, provider, own_database, way, life):
    """The provider has spent the old refresh token when the worker's lock is cut off: its answer is stored on a new
    connection, where the row is still the one that was locked."""
    provider.settings(rotate=True)
    host, other = hosts(), hosts()
    (branch,) = branches(host, provider, 1, expires_in=life)
    provider.fault("hold_after")
    refresh = start_refresh(host, branch, way)
    provider.wait_for_requests(1)
    trouble.terminate(own_database, holder := trouble.holder(own_database))
    wait_until(lambda: trouble.is_gone(own_database, holder))
    provider.release()
    answer = refresh.result()
    wait_until(lambda: own_database.one("SELECT grant_version FROM tokens") == (2,), what="the grant is stored")
    (call,) = provider.refreshes()
    row = stored_row(own_database, "access_token, refresh_token, is_valid, refresh_error")
    assert row == (call["access_token"], call["new_refresh_token"], True, None)
    assert answer.status_code == 200, answer.text
    if way != "buffer":  # who was answered after a second, while the provider was held
        assert answer.json()["access_token"] == call["access_token"]
    assert other.get(f"/tokens/{branch}").json()["access_token"] == call["access_token"]
    assert len(provider.refreshes()) == 1
    own_database.execute("UPDATE tokens SET refresh_began_at = now() - interval '1 hour'")
    again = other.post("/tokens/refresh", json={"branch_id": branch})
    assert again.status_code == 200, again.text
    assert provider.works(again.json()["access_token"])


def test_grant_is_stored_although_the_server_crashed_meanwhile(hosts, provider, own_cluster, own_database):
    """The same with the whole server gone and back before the provider answers."""
    provider.settings(rotate=True)
    host, other = hosts(), hosts()
    (branch,) = branches(host, provider, 1, expires_in=-10)
    provider.fault("hold_after")
    refresh = start_refresh(host, branch, "expired")
    provider.wait_for_requests(1)
    with trouble.crashed(own_cluster):
        provider.release()
        wait_until(lambda: provider.refreshes()[0]["ended_at"], what="the provider's answer is out")
    (call,) = provider.refreshes()
    wait_until(lambda: stored_row(own_database, "refresh_token") == (call["new_refresh_token"],),
               what="the grant is stored")
    answer = refresh.result()
    assert (answer.status_code == 200 and answer.json()["access_token"] == call["access_token"]) or (
        answer.status_code == 503 and answer.json()["error"] in ("refresh_in_progress", "database_unavailable")
    ), answer.text
    wait_until(lambda: other.get(f"/tokens/{branch}").status_code == 200)
    assert other.get(f"/tokens/{branch}").json()["access_token"] == call["access_token"]
    assert len(provider.refreshes()) == 1


def test_who_waited_for_the_database_does_not_send_a_spent_refresh_token(hosts, provider, own_cluster, own_database):
    """The server crashes when the provider has answered, and callers of both hosts ask for the branches all the while: what
    the provider gave is stored before any of them refreshes."""
    provider.settings(rotate=True)

    def play():
        pair = [hosts(), hosts()]
        names = list(branches(pair[0], provider, 4, expires_in=-10))
        before = len(provider.refreshes())
        provider.fault("hold_after", times=None)
        holders = [start_refresh(pair[number % 2], branch, "expired") for number, branch in enumerate(names)]
        provider.wait_for_requests(before + len(names), grant_type="refresh_token")
        with trouble.Load(lambda number: pair[number % 2].get(f"/tokens/{names[number // 2 % len(names)]}"), threads=8) as load:
            with trouble.crashed(own_cluster):
                provider.clear_faults()
                provider.release()
                load.wait_for(50)
            wait_until(lambda: all(host.get(f"/tokens/{branch}").status_code != 503 for host in pair for branch in names),
                       60, "it is over")
        assert not load.faults
        for holder in holders:
            holder.result()
        # Who stores tries every tenth of a second, the others wait for one: unless the machine stands still for so long.
        return [call["result"] for call in provider.refreshes()[before:] if call["result"] != "ok"]

    in_one_of_three_rounds(play)


def test_lock_that_was_cut_off_does_not_let_the_loser_overwrite_the_winner(hosts, provider, own_database):
    """Another host takes the freed lock and refreshes: its grant stays, whatever the first one brings later."""
    host, other = hosts(), hosts()
    (branch,) = branches(host, provider, 1, expires_in=-10)
    provider.fault("hold_after")
    loser = start_refresh(host, branch, "expired")
    provider.wait_for_requests(1)
    trouble.terminate(own_database, trouble.holder(own_database))
    winner = other.get(f"/tokens/{branch}")
    assert winner.status_code == 200, winner.text
    stored = stored_row(own_database, "access_token, grant_version, expires_at")
    provider.release()
    answer = loser.result()
    # The winner's token, or word that there will be one: never the one that was not stored.
    if answer.status_code == 200:
        assert answer.json()["access_token"] == winner.json()["access_token"]
    else:
        assert (answer.status_code, answer.json()["error"]) == (503, "refresh_in_progress"), answer.text
    assert stored_row(own_database, "access_token, grant_version, expires_at") == stored
    assert host.get(f"/tokens/{branch}").json()["access_token"] == winner.json()["access_token"]
    assert len(provider.refreshes()) == 2


def test_failure_that_could_not_be_stored_harms_nothing(hosts, provider, own_database):
    """Inside the buffer, the connection lost, the provider refusing: the caller gets the token that works; the row is
    as it was, and the next reader has the token."""
    host, other = hosts(), hosts()
    client = flow.register(host, provider)
    branch = client["branch_identifier"]
    token = flow.connect_fast(host, provider, client, expires_in=120)["access_token"]
    before = own_database.all("SELECT * FROM tokens")
    provider.client(id=client["client_oauth_id"])  # another secret: invalid_client
    provider.fault("hold")
    refresh = start_refresh(host, branch, "buffer")
    provider.wait_for_requests(1)
    trouble.terminate(own_database, trouble.holder(own_database))
    provider.release()
    answer = refresh.result()
    assert answer.status_code == 200, answer.text
    assert answer.json()["access_token"] == token and answer.json()["stale"] is True
    wait_until(lambda: provider.refreshes()[0]["ended_at"], what="the provider's answer is out")
    assert own_database.all("SELECT * FROM tokens") == before

    def told():
        again = other.get(f"/tokens/{branch}")
        assert again.status_code == 200 and again.json()["access_token"] == token
        return again.json().get("refresh_error")

    # On a slow machine the first is answered after a second, before its attempt is over.
    assert wait_until(told) == "client_credentials_rejected"


def test_dead_grant_of_a_loser_is_not_told_to_its_caller(hosts, provider, own_database):
    """Inside the buffer the lock is cut off, another host refreshes, and the first is told invalid_grant: its caller
    has the token that works, and the winner's grant stays."""
    host, other = hosts(), hosts()
    (branch,) = branches(host, provider, 1, expires_in=120)
    token = host.get(f"/tokens/{branch}", params={"min_ttl": 60}).json()["access_token"]
    provider.settings(rotate=True)
    provider.fault("hold")
    loser = start_refresh(host, branch, "buffer")
    provider.wait_for_requests(1)
    trouble.terminate(own_database, trouble.holder(own_database))
    winner = other.post("/tokens/refresh", json={"branch_id": branch})
    assert winner.status_code == 200, winner.text
    stored = own_database.all("SELECT access_token, grant_version, is_valid FROM tokens")
    provider.release()
    answer = loser.result()
    assert answer.status_code == 200 and answer.json()["access_token"] == token, answer.text
    wait_until(lambda: all(call["ended_at"] for call in provider.refreshes()), what="the provider's answers are out")
    assert own_database.all("SELECT access_token, grant_version, is_valid FROM tokens") == stored


def test_consent_is_stored_although_its_connection_was_cut_and_the_old_grant_refreshed(hosts, provider, own_database):
    """The connection is lost as the new grant is stored, and a refresh of the old one has counted the row's version up
    meanwhile: what the person is told to be connected is what is stored."""
    host, other = hosts(), hosts()
    client = flow.register(host, provider)
    flow.connect_fast(host, provider, client, expires_in=3000)
    with flow.Browser(host) as browser:
        callback = browser.consent(browser.login(client))
        provider.fault("hold_after", grant_type="authorization_code")
        answer = host.run(browser.callback, callback)
        provider.wait_for_requests(1, grant_type="authorization_code")
        refreshed = other.post("/tokens/refresh", json={"client_id": client["client_id"]})
        assert refreshed.status_code == 200, refreshed.text
        with Gate(own_database) as gate:
            gate.shut()
            provider.release()
            trouble.terminate(own_database, gate.wait_for_update())
        answer = answer.result()
    assert answer.status_code == 200, answer.text
    (exchange,) = provider.log(grant_type="authorization_code")
    assert flow.token_row(host, client, "access_token, refresh_token") == (
        exchange["access_token"], exchange["new_refresh_token"])


def test_consent_whose_commit_is_slow_is_not_refused_as_a_second_one(make_service, provider, own_database):
    """COMMIT is sent and not answered in time; when it is asked again, the ticket's consent is there already: its own."""
    host = make_service(keys.REQUIRED, database=own_database)
    with keys.acting(host, keys.create(own_database, "admin")):
        client = flow.register(host, provider)
    with Gate(own_database, AT_COMMIT) as gate, flow.Browser(host) as browser:
        callback = browser.consent(browser.login(client))
        gate.shut()
        answer = host.run(browser.callback, callback)
        gate.wait_for_update()
        wait_for_waiters(own_database, 1)  # the same once more, behind the first one's row
        gate.open()
        answer = answer.result()
    assert answer.status_code == 200, answer.text
    (exchange,) = provider.log(grant_type="authorization_code")
    assert flow.token_row(host, client, "access_token, refresh_token, consent_version") == (
        exchange["access_token"], exchange["new_refresh_token"], 1)


# --- the session's own limits ---------------------------------------------------------------------


def test_frozen_host_loses_its_lock_to_another(hosts, provider, own_cluster, own_database):
    """idle_in_transaction_session_timeout: PostgreSQL ends the transaction of a host that stands still after
    GOOGLE_TIMEOUT_MS + 5 s, not before, and another host refreshes. What the first one says when it wakes changes
    nothing."""
    host, other = hosts(GOOGLE_TIMEOUT_MS="3000", REFRESH_WAIT_MS="60000"), hosts(REFRESH_WAIT_MS="500")
    host.expected_exit = None  # its master may wake past the worker's deadline
    (branch,) = branches(host, provider, 1, expires_in=-10)
    provider.fault("hold")
    begun = time.monotonic()
    late = start_refresh(host, branch, "expired")
    provider.wait_for_requests(1)
    with trouble.frozen(host):
        holder = trouble.holder(own_database)
        waiting = other.get(f"/tokens/{branch}")
        assert (waiting.status_code, waiting.json()["error"]) == (503, "refresh_in_progress")
        wait_until(lambda: trouble.is_gone(own_database, holder), 30, "PostgreSQL ends the idle transaction")
        assert time.monotonic() - begun >= 8, "ended while the provider may still answer"
        fresh = wait_until(
            lambda: (answer := other.get(f"/tokens/{branch}")).status_code == 200 and answer, what="the other refreshes")
        stored = stored_row(own_database, "access_token, refresh_token, grant_version, refresh_error")
        assert stored[0] == fresh.json()["access_token"]
        provider.release()
    answer = late.result()
    assert answer.status_code in (200, 503), answer.text
    assert answer.status_code == 503 or answer.json()["access_token"] == stored[0]
    host.terminate()
    host.wait_exit()
    assert stored_row(own_database, "access_token, refresh_token, grant_version, refresh_error") == stored
    log = own_cluster.log.read_text()
    assert f"[{holder}] FATAL:  terminating connection due to idle-in-transaction timeout" in log


def test_late_answer_of_the_provider_is_stored_under_the_lock(hosts, provider, own_database):
    """After 6 of the 30 s of GOOGLE_TIMEOUT_MS: the 5 s that are added to it are not all of the idle limit."""
    host = hosts(GOOGLE_TIMEOUT_MS="30000")
    (branch,) = branches(host, provider, 1, expires_in=-10)
    provider.fault("delay_after", ms=6000)
    refresh = start_refresh(host, branch, "expired")
    provider.wait_for_requests(1)
    holder = trouble.holder(own_database)
    answer = refresh.result()
    assert answer.status_code == 200, answer.text
    assert not trouble.is_gone(own_database, holder)


def test_waiters_give_up_in_time_whoever_holds_the_row(hosts, provider, own_database):
    """lock_timeout: nobody waits past REFRESH_WAIT_MS, a reader with a token that works not at all, and no backend
    is left waiting."""
    host, other = hosts(REFRESH_WAIT_MS="1200"), hosts(REFRESH_WAIT_MS="1200")
    tokens = branches(host, provider, 1, expires_in=120) | branches(host, provider, 1, expires_in=-10)
    inside, expired = tokens
    with contextlib.closing(own_database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM tokens FOR UPDATE")  # as a transaction that nobody ends
        begun = time.monotonic()
        waiting = [each.start("GET", f"/tokens/{expired}") for each in (host, other)]
        waiting.append(other.start("POST", "/tokens/refresh", json={"branch_id": inside}))
        reads = [each.get(f"/tokens/{inside}") for _ in range(3) for each in (host, other)]
        for answer in reads:
            assert answer.status_code == 200 and answer.json()["access_token"] == tokens[inside]
            assert answer.json()["stale"] is True
        # One of them: the machine may stand still.
        assert min(answer.elapsed.total_seconds() for answer in reads) < 1, "readers inside the buffer waited"
        for future in waiting:
            answer = future.result()
            assert (answer.status_code, answer.json()["error"]) == (503, "refresh_in_progress"), answer.text
            assert answer.headers["retry-after"] == "1"
        assert time.monotonic() - begun >= 1.1
        assert own_database.all("SELECT pid FROM pg_locks WHERE NOT granted") == []
        cursor.execute("ROLLBACK")
    wait_until(lambda: host.get(f"/tokens/{expired}").status_code == 200, what="it is refreshed")
    assert provider.counts()["max_overlap"] <= 1
