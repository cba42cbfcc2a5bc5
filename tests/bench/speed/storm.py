"""Many clients connect at once, each for one token: who is served, how soon, and what the others are told."""

import contextlib
import json
import re
import resource
import selectors
import socket
import statistics
import time

from . import contest, rows
from .load import PATH

REFUSALS = ("429", "503")
PATIENCE_S = 30


class _Client:
    def __init__(self, target, number):
        self.number = number
        self.request = (f"GET {PATH}{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {target.key}\r\n"
                        "Connection: close\r\n\r\n").encode()
        self.answer = b""
        self.took_s = None
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.begun = time.monotonic()
        self.socket.connect_ex(("127.0.0.1", target.port))

    def go_on(self, events, selector):
        try:
            if events & selectors.EVENT_WRITE:
                self.socket.sendall(self.request)
                selector.modify(self.socket, selectors.EVENT_READ, self)
                return
            more = self.socket.recv(65536)
        except OSError:
            more = b""
        self.answer += more
        if not more:
            self.took_s = time.monotonic() - self.begun
            selector.unregister(self.socket)
            self.socket.close()

    @property
    def outcome(self):
        """A status, what is wrong with its answer, or "nothing"."""
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", self.answer)
        if not match:
            return "nothing"
        status = match[1].decode()
        head, _, body = self.answer.partition(b"\r\n\r\n")
        if status in REFUSALS and b"\r\nretry-after: " not in head.lower():
            return f"{status} without Retry-After"
        return f"{status} without the branch's token" if status == "200" and not self._is_served(body) else status

    def _is_served(self, body):
        """The whole of an answer, with the token that fill.c gave this branch."""
        try:
            return json.loads(body)["access_token"].startswith(f"at-{self.number}-")
        except (ValueError, KeyError):
            return False


def _clients_of(target, number):
    """All have begun to connect before one of them says anything."""
    with selectors.DefaultSelector() as selector:
        clients = [_Client(target, target.first + each % (target.last - target.first + 1)) for each in range(number)]
        for client in clients:
            selector.register(client.socket, selectors.EVENT_WRITE, client)
        end = time.monotonic() + PATIENCE_S
        while selector.get_map() and time.monotonic() < end:
            for key, events in selector.select(1):
                key.data.go_on(events, selector)
        for client in clients:
            client.socket.close()
    return clients


def storm(target, number):
    """One of so many clients: {outcomes, served, p99_ms, errors}."""
    clients, outcomes = _clients_of(target, number), {}
    for client in clients:
        outcomes[client.outcome] = outcomes.get(client.outcome, 0) + 1
    served = sorted(client.took_s for client in clients if client.outcome == "200" and client.took_s)
    p99 = served[min(len(served) - 1, len(served) * 99 // 100)] if served else None
    errors = {outcome: count for outcome, count in outcomes.items() if outcome not in ("200", *REFUSALS)}
    return {"outcomes": outcomes, "served": len(served), "p99_ms": p99 and p99 * 1000, "errors": errors}


@contextlib.contextmanager
def _descriptors(number):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(number, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def run(world, options, say):
    rounds = []
    with world.database() as database:
        rows.fill(database, options.branches)
        with world.service(database, 1, options.branches) as ours, _descriptors(options.clients + 200):
            for _ in range(options.rounds):
                rounds.append(storm(ours.target, options.clients))
                say(f"storm: {rounds[-1]['outcomes']}, p99 of the served {rounds[-1]['p99_ms'] or 0:.0f} ms")
    errors = contest.errors_of(rounds)
    served = [each["p99_ms"] for each in rounds if each["p99_ms"]]
    return {"clients": options.clients, "rounds": rounds, "errors": errors or ({} if served else {"nobody served": 1}),
            "served": statistics.median(each["served"] for each in rounds), "p99_ms": max(served, default=None)}
