"""The link between a host and the database falls silent: no answer, no reset, nobody is told. Two hosts."""

import time

import pytest
from support import flow, processes, trouble
from support.hosts import PATIENT, fetch, in_one_of_three_rounds, refused, timed, token_of
from support.network import NETWORK, Network
from support.postgres import Cluster
from support.processes import wait_until

GOOGLE_TIMEOUT_S = 3
# What the service gives a transaction in which it waits for the provider.
IDLE_LIMIT_S = GOOGLE_TIMEOUT_S + 5
WORKER_DEADLINE_S = 2 * GOOGLE_TIMEOUT_S + 5
GONE_S = processes.seconds(2.5)  # the longest that a read may take to say that the database is away
STALL_S = 15  # for so long a machine that is busy may stand still, which is in what is measured here


@pytest.fixture(scope="module")
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture(scope="module")
def wired_cluster(network):
    cluster = Cluster(settings={"listen_addresses": f"{NETWORK}.1"}, under=network.server.enter_as_ordinary_user, within=f"{NETWORK}.0/24")
    yield cluster
    cluster.close()


@pytest.fixture
def wired_database(wired_cluster):
    database = wired_cluster.create()
    yield database
    database.drop()


@pytest.fixture
def make_host(make_service, network, provider, wired_database):
    """make_host(**settings): a Service at an end of the wire of its own, and that end."""
    ends = []

    def make(**settings):
        ends.append(network.host(provider.port))
        url = f"postgresql://token_service_worker@{NETWORK}.1:5432/{wired_database.name}"
        env = {"DATABASE_URL": url, "GOOGLE_TIMEOUT_MS": str(GOOGLE_TIMEOUT_S * 1000), "REFRESH_WAIT_MS": "1000", **settings}
        service = make_service(env, database=wired_database, under=ends[-1].namespace.enter)
        return service, ends[-1]

    yield make
    # A worker ends in good order only with its database in reach.
    for end in ends:
        end.mend()


def connected(service, provider, **fields):
    client = flow.register(service, provider)
    flow.connect_fast(service, provider, client, **fields)
    return client


def test_another_host_refreshes_what_a_host_behind_a_silent_link_had_begun(make_host, provider, wired_database):
    """Within idle_in_transaction_session_timeout + 5 s of the silence; the silent host says 503 within its deadline,
    and what it brings back when the link is mended changes nothing."""
    (silent, link), (other, _) = make_host(), make_host()
    client = connected(silent, provider, expires_in=-10)
    provider.fault("hold")
    asked = time.monotonic()
    late = silent.run(timed, lambda: fetch(silent, client))
    provider.wait_for_requests(1, grant_type="refresh_token")
    begun = time.monotonic()
    with link.silent():
        # As it was when the link was cut: nothing of it comes through any more.
        holder = trouble.holder(wired_database)
        provider.release()
        early = fetch(other, client)
        if time.monotonic() - asked < IDLE_LIMIT_S:
            refused(early, 503, "refresh_in_progress")
        token = wait_until(
            lambda: (answer := fetch(other, client)).status_code == 200 and token_of(answer),
            IDLE_LIMIT_S + 5 + STALL_S, "the other host refreshes")
        taken = time.monotonic() - begun
        assert trouble.is_gone(wired_database, holder)
        sent, answered, answer = late.result(processes.seconds(60))
        assert answer.status_code == 503, answer.text
        assert "access_token" not in answer.json()
        assert int(answer.headers["retry-after"]) >= 1
    assert taken < processes.seconds(IDLE_LIMIT_S + 5) + STALL_S
    assert answered - sent < processes.seconds(WORKER_DEADLINE_S) + STALL_S
    wait_until(lambda: fetch(silent, client).status_code == 200, 30, "the host that was silent serves again")
    assert token_of(fetch(silent, client)) == token == token_of(fetch(other, client))
    assert len(provider.refreshes()) == 2, "one of each host, and none after"


def test_host_behind_a_silent_link_says_so_in_time_and_recovers_by_itself(make_host, provider):
    """Reads are 503 database_unavailable within a database call's limit; with the link back the same workers answer."""
    (silent, link), (other, _) = make_host(), make_host()
    client = connected(silent, provider)
    token = token_of(fetch(silent, client))
    workers = sorted(silent.worker_pids())

    def play():
        with link.silent():
            # The first over a connection that stands, the others over new ones.
            reads = [timed(lambda: fetch(silent, client)) for _ in range(4)]
            for _, _, answer in reads:
                refused(answer, 503, "database_unavailable")
            assert token_of(fetch(other, client)) == token
            assert silent.get("/health").status_code == 503
            assert silent.get("/health/live").status_code == 200
        wait_until(lambda: fetch(silent, client).status_code == 200, 30, "the host serves again")
        assert token_of(fetch(silent, client)) == token
        wait_until(lambda: silent.get("/health").status_code == 200, 30, "the host is healthy again")
        return [ended - begun for begun, ended, _ in reads if ended - begun >= GONE_S]

    in_one_of_three_rounds(play)
    assert sorted(silent.worker_pids()) == workers
    assert not silent.log_events("worker killed", "worker failed", "worker past its deadline")


def test_refresh_that_begins_behind_a_silent_link_holds_nothing_up(make_host, provider, wired_database):
    """It never reached the database: the other host need not wait for anything."""
    (silent, link), (other, _) = make_host(), make_host(**PATIENT)
    client = connected(silent, provider, expires_in=-10)
    with link.silent():
        begun, ended, answer = timed(lambda: fetch(silent, client))
        refused(answer, 503, "database_unavailable")
        assert ended - begun < processes.seconds(WORKER_DEADLINE_S) + STALL_S
        # Nobody has the row: the patience of the other is for itself.
        assert wired_database.execute("SELECT FROM tokens FOR UPDATE NOWAIT") == 1
        token = token_of(fetch(other, client))
    wait_until(lambda: fetch(silent, client).status_code == 200, 30, "the host serves again")
    assert token_of(fetch(silent, client)) == token
    assert len(provider.refreshes()) == 1
