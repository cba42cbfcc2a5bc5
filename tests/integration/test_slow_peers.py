"""Peers that are slow, or say nothing: they wait for themselves, and no worker is held past its deadline."""

import contextlib
import json
import select
import socket
import threading
import time

import pytest

from support import processes, raw
from support.answers import all_workers
from support.flow import connect_fast, register
from support.hosts import PATIENT, in_one_of_three_rounds, is_without_database
from support.processes import wait_until
from support.raw import POOLS

ONE_OF_EACH = {"DATABASE_WORKERS": "1", "EXCHANGE_WORKERS": "1", "REFRESHERS": "0", **PATIENT,
               "GOOGLE_TIMEOUT_MS": "5000"}  # after 15 s a worker is past its deadline
ARRIVAL_S = 2  # how long a request may take to arrive
SEND_TIMEOUT_S = 10  # nginx's: a byte now and then makes no room for more
HALF = {
    "half a header": raw.begin()[:5],
    "a request without its end": raw.begin() + raw.record(raw.PARAMS)[:4],
    "a body without its end": raw.fastcgi_request("POST", "/clients", b"{}")[:-8],
    "half a record": raw.begin() + raw.record(raw.PARAMS, b"x" * 2000)[:1000],
    "a question of another kind": raw.record(raw.GET_VALUES, raw.pair(b"FCGI_MAX_CONNS", b""), request_id=0),
}


@pytest.fixture
def one_of_each(make_service, provider):
    """A service whose pools have one worker each, which are the same at the end; .known is a client with a token."""
    service = make_service(ONE_OF_EACH)
    service.known = register(service, provider)
    connect_fast(service, provider, service.known)
    before = all_workers(service)
    # A call that had to wait has little time left for the database: the workers are connected to it by then.
    assert_both_pools_serve(service)
    yield service
    assert_both_pools_serve(service)
    assert service.worker_pids() == before, service.stderr()[-3000:]
    assert not service.log_events("worker past its deadline", "worker killed", "worker failed")


def ask_exchange_pool(service):
    """A call that it answers with 404, without the provider."""
    return service.post("/tokens/refresh", json={"branch_id": "nobody"})


def assert_both_pools_serve(service):
    assert service.get(f"/tokens/{service.known['branch_identifier']}").status_code == 200
    assert ask_exchange_pool(service).status_code == 404


def peers_of(service, pool, number=1):
    return [raw.connect(service, pool) for _ in range(number)]


def is_open(peer):
    """Has the service not let it go yet?"""
    return not select.select([peer], [], [], 0)[0]


def assert_let_go(peers):
    """Within their time limit the service closes, without an answer."""
    for peer in peers:
        assert raw.drain(peer) == b""
        peer.close()


# --- through nginx ----------------------------------------------------------------------------------


def test_body_that_comes_a_byte_at_a_time_holds_no_worker(one_of_each):
    """nginx has it whole before a worker hears of it; in the end it is answered like any other."""
    service, body = one_of_each, json.dumps({"client_id": one_of_each.known["client_id"]}).encode()
    for _ in range(3):
        assert_both_pools_serve(service)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("localhost", service.nginx.port), processes.seconds(60)))
                for _ in range(4)]
        head = raw.request(b"POST", b"/tokens/refresh", [(b"Content-Type", b"application/json"), (b"Connection", b"close")], body)
        for connection in slow:
            connection.sendall(head[:-len(body)])
        for at in range(len(body)):
            for connection in slow:
                connection.sendall(body[at:at + 1])
            assert service.get(f"/tokens/{service.known['branch_identifier']}").status_code == 200
            if at % 5 == 0:
                assert_both_pools_serve(service)
        for connection in slow:
            assert raw.drain(connection).startswith(b"HTTP/1.1 200 ")


def fill(service, number):
    """So many clients that a page of them is more than sockets and nginx's buffers take."""
    service.database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name)"
        " SELECT 'c', 'v1.00000000.AAAA', 'https://example.test/' || repeat('x', 1900), 'filler-' || n, 'a@example.test',"
        " repeat(U&'\\+01F3E2', 255) FROM generate_series(1, %s) n", (number,))


def test_answer_that_is_read_a_byte_at_a_time_holds_no_worker(one_of_each):
    """nginx takes it whole, to the disk if it must; the worker is free for others at once, and the answer comes whole."""
    service = one_of_each
    fill(service, 200)
    page = "/clients?limit=200"
    whole = service.get(page).content
    assert len(whole) > 500_000
    with contextlib.ExitStack() as stack:
        slow, begun = [], time.monotonic()
        for _ in range(4):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.settimeout(processes.seconds(60))
            connection.connect(("127.0.0.1", service.nginx.port))
            connection.sendall(raw.request(b"GET", page.encode(), [(b"Connection", b"close")]))
            slow.append(connection)
        received = [b""] * len(slow)
        for _ in range(40):
            for at, connection in enumerate(slow):
                received[at] += connection.recv(1)
            assert_both_pools_serve(service)
            if time.monotonic() - begun > SEND_TIMEOUT_S / 2:
                break
        for begin, connection in zip(received, slow):
            answer = begin + raw.drain(connection)
            assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(whole)


# --- past nginx, on the workers' own sockets --------------------------------------------------------


@pytest.mark.parametrize("data", [b"", *HALF.values()], ids=["nothing", *HALF])
def test_database_pool_serves_others_while_peers_stop_in_the_middle(one_of_each, data):
    """Its one worker goes on with everybody else's calls before it lets them go."""
    service = one_of_each

    def serves_before_they_are_let_go():
        peers = peers_of(service, "database", 5)
        for peer in peers:
            peer.sendall(data)
        answers = [service.get(f"/tokens/{service.known['branch_identifier']}").status_code for _ in range(3)]
        still = [is_open(peer) for peer in peers]
        assert_let_go(peers)
        assert answers == [200] * 3
        return all(still)

    # On a machine that is slow enough the peers' time is over first.
    assert any(serves_before_they_are_let_go() for _ in range(5))


@pytest.mark.parametrize("data", [b"", *HALF.values()], ids=["nothing", *HALF])
def test_exchange_worker_lets_peers_go_that_stop_in_the_middle(one_of_each, data):
    """The only one of its pool waits for one peer after the other, each for a short time, and then serves."""
    service = one_of_each

    def play():
        wait_until(lambda: ask_exchange_pool(service).status_code == 404, what="it is connected to the database")
        peers = peers_of(service, "exchange", 2)
        for peer in peers:
            peer.sendall(data)
        assert service.get(f"/tokens/{service.known['branch_identifier']}").status_code == 200
        answer = ask_exchange_pool(service)
        assert_let_go(peers)
        # Half a second is left for the database after that wait, in which a machine may stand still.
        if is_without_database(answer):
            return answer.text
        assert answer.status_code == 404, answer.text
        return None

    in_one_of_three_rounds(play)


@pytest.mark.parametrize("pool, target", [("database", "/health/live"), ("exchange", "/nothing-here")])
def test_request_that_comes_in_small_pieces_is_answered(one_of_each, pool, target):
    """When it is there in time; others do not wait for it. (A socket takes no more than some 270 pieces unread.)"""
    request = raw.fastcgi_request("GET", target)

    def answer_of_pieces():
        begun = time.monotonic()
        [peer] = peers_of(one_of_each, pool)
        with contextlib.closing(peer), contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(0, len(request), 5):
                peer.sendall(request[at:at + 5])
                if pool == "database" and at % 100 == 0:
                    assert one_of_each.get("/health/live").status_code == 200
            if answer := raw.drain(peer):
                return answer
        assert time.monotonic() - begun > ARRIVAL_S, "it was in time"
        return None

    # On a machine that is slow enough the peer's time is over first, and there is no answer.
    answer = next(filter(None, (answer_of_pieces() for _ in range(5))), b"")
    assert b"Status: 200" in answer if pool == "database" else b"Status: 404" in answer


@pytest.mark.parametrize("pool", POOLS)
def test_request_that_never_ends_is_let_go(one_of_each, pool):
    """A byte now and then buys no more time."""
    [peer] = peers_of(one_of_each, pool)
    peer.sendall(raw.begin() + raw.record(raw.PARAMS, b"x" * 60000)[:8])
    ended = threading.Event()

    def trickle():
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while not ended.is_set():
                peer.sendall(b"\0")
                time.sleep(0.02)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert raw.drain(peer) == b""
        assert_both_pools_serve(one_of_each)
    finally:
        ended.set()
        thread.join()
        peer.close()


def test_peer_that_does_not_read_its_answer_is_let_go(one_of_each):
    """Its answer is more than the socket takes: the worker gives it up long before its own deadline."""
    fill(one_of_each, 200)
    peers = peers_of(one_of_each, "database", 2)
    for peer in peers:
        peer.sendall(raw.fastcgi_request("GET", "/clients?limit=200"))
    assert_both_pools_serve(one_of_each)
    for peer in peers:
        assert b"Status: 200" in raw.drain(peer)[:100]
        peer.close()


def test_more_silent_peers_than_a_worker_takes_end_no_worker(one_of_each):
    """They fill every place that the database worker has; calls wait until the first of them are let go."""
    peers = peers_of(one_of_each, "database", 100)
    assert_both_pools_serve(one_of_each)
    assert_let_go(peers)


def test_peer_that_stops_in_the_middle_delays_nobody_while_there_is_another_worker(make_service, provider):
    """Of two exchange workers one waits for the peer: the other one serves every call."""
    service = make_service({"EXCHANGE_WORKERS": "2", "GOOGLE_TIMEOUT_MS": "60000"})
    service.known = register(service, provider)
    connect_fast(service, provider, service.known)
    before = all_workers(service)
    with contextlib.closing(raw.connect(service, "exchange")) as peer:
        peer.sendall(raw.begin())
        for _ in range(5):
            assert_both_pools_serve(service)
    assert service.worker_pids() == before


def test_service_stops_while_peers_are_silent(make_service):
    """SIGTERM waits for no request that does not come."""
    service = make_service(ONE_OF_EACH)
    all_workers(service)
    peers = [peer for pool in POOLS for data in (b"", raw.begin()) for peer in peers_of(service, pool) if not peer.sendall(data)]
    service.terminate()
    assert service.wait_exit() == 0
    assert_let_go(peers)
    assert not service.log_events("worker killed", "worker past its deadline")
