"""The callers of a soak: readers, those who force refreshes, and people who register, connect, change and end branches.

Each caller is a thread with random choices of its own, from the seed and its name.
"""

import http.client
import json
import random
import threading
import time
import traceback
from urllib.parse import urlsplit

import soak_oracle as oracle_of
from soak_oracle import Answer
from support import flow, processes

BRANCHES = 40
DEAD_KEPT = 20  # deleted ones that are still asked for


def parsed(content):
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


class Place:
    """A branch, as its callers know it."""

    def __init__(self, name, oauth_id):
        self.name, self.oauth_id = name, oauth_id
        self.lock = threading.Lock()  # held by whoever changes it
        self.registration = None  # the answer of POST /clients
        self.state = oracle_of.ABSENT  # after the last operation that was clear; None: it was not
        self.wanted = None  # state that an unclear operation was to bring
        self.rest_until = 0

    @property
    def path(self):
        return f"/clients/{self.registration['client_id']}"


class Places:
    """All branches; thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._living, self._dead = [], []

    def add(self, place):
        with self._lock:
            self._living.append(place)

    def bury(self, place, keep=True):
        with self._lock:
            self._living.remove(place)
            if keep:
                self._dead = [*self._dead[1 - DEAD_KEPT:], place]

    def living(self):
        with self._lock:
            return list(self._living)

    def any(self, rng):
        """Now and then one that is gone."""
        with self._lock:
            pool = self._dead if self._dead and rng.random() < 0.03 else self._living
            return rng.choice(pool) if pool else None


class Caller(threading.Thread):
    """pause_s: between two calls, on average."""

    def __init__(self, soak, name, pause_s):
        super().__init__(name=name, daemon=True)
        self.soak = soak
        self.oracle = soak.oracle
        self.rng = random.Random(f"{soak.seed}/{name}")
        self.pause_s = pause_s
        self.idle = False
        self._connections = {}

    def run(self):
        while not self.soak.over.is_set():
            self.idle = self.soak.quiet.is_set()
            if self.idle:
                self.soak.over.wait(0.05)
                continue
            try:
                self.step()
            except Exception as error:  # a caller that is not answered at all, or a fault of the soak's own
                text = "".join(traceback.format_exception(error)[-3:])
                self.oracle.broken("complete", None, f"{self.name}: {text}", time.time())
                self._connections = {}
            self.soak.over.wait(self.rng.uniform(0, 2 * self.pause_s))

    def host(self):
        return self.rng.randrange(len(self.soak.hosts))

    def send(self, number, method, path, body=None):
        """On a kept connection to this host: (status, headers, content)."""
        connection = self._connections.get(number)
        if not connection:
            address = urlsplit(self.soak.hosts[number].url)
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=processes.seconds(60))
            self._connections[number] = connection
        headers = {"Accept": "application/json", **({} if body is None else {"Content-Type": "application/json"})}
        connection.request(method, path, body and json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()

    def call(self, name, place, path, body=None):
        """A call that changes no state of the branch: its Answer, which the oracle has."""
        number, method = self.host(), name.split(" ")[0]
        sent = time.time()
        status, headers, content = self.send(number, method, path, body)
        answer = Answer(name, number, place and place.name, sent, time.time(), status, parsed(content),
                        headers.get("Retry-After"), headers.get("X-Request-Id"))
        self.oracle.answered(answer)
        return answer

    def observed(self, name, place, sent, host, response):
        """The Answer of an httpx.Response, for the oracle."""
        body = {} if response.status_code in (204, 302) else parsed(response.content)
        answer = Answer(name, host, place.name, sent, time.time(), response.status_code, body,
                        response.headers.get("Retry-After"), response.headers.get("X-Request-Id"))
        self.oracle.answered(answer)
        return answer


class Reader(Caller):
    def step(self):
        place = self.soak.places.any(self.rng)
        if place:
            query = f"?min_ttl={self.rng.choice((1, 5, 20))}" if self.rng.random() < 0.1 else ""
            self.call("GET /tokens", place, f"/tokens/{place.name}{query}")


class Forcer(Caller):
    def step(self):
        place = self.soak.places.any(self.rng)
        if place and place.registration:
            by = self.rng.choice((("branch_id", place.name), ("client_id", place.registration["client_id"])))
            self.call("POST /tokens/refresh", place, "/tokens/refresh", dict([by]))


class Onlooker(Caller):
    """An operator's console, and Prometheus."""

    def step(self):
        name, path = self.rng.choice((("GET /health", "/health"), ("GET /clients", "/clients?limit=20")))
        self.call(name, None, path)


class Person(Caller):
    """Registers, connects, changes and ends branches."""

    def step(self):
        if len(self.soak.places.living()) < BRANCHES:
            return self.register()
        places = [place for place in self.soak.places.living() if place.rest_until < time.time()]
        place = self.rng.choice(places) if places else None
        # Those that are not connected first: they are the fewest.
        waiting = [each for each in places if each.state != oracle_of.CONNECTED]
        if waiting and self.rng.random() < 0.7:
            place = self.rng.choice(waiting)
        if place and place.lock.acquire(blocking=False):
            try:
                self.choose(place)(place)
            finally:
                place.lock.release()
        return None

    def choose(self, place):
        if place.wanted == oracle_of.DELETED:
            return self.delete
        lost = oracle_of.LOST in self.oracle.state(place.name, time.time())
        if place.state != oracle_of.CONNECTED or lost:
            return self.consent
        return self.rng.choices((self.rename, self.change_secret, self.consent, self.revoke, self.delete),
                                (8, 4, 3, 2, 2))[0]

    # --- what changes the state -------------------------------------------------------------------

    def operate(self, place, state, name, function):
        """function(host) → an httpx.Response; its Answer. What was not clear is left alone until it is over."""
        number = self.host()
        operation = self.oracle.begin(place.name, state, time.time())
        response = None
        try:
            response = function(self.soak.hosts[number])
        finally:
            clear = response is not None and response.status_code in (200, 201, 204)
            clear = clear or state == oracle_of.DELETED and response is not None and response.status_code == 404
            place.state, place.wanted = (state, None) if clear else (None, state)
            place.rest_until = time.time() + (0 if clear else processes.seconds(self.soak.unclear_s))
            self.oracle.end(operation, time.time(), clear)
        return self.observed(name, place, operation.began, number, response)

    def register(self):
        oauth_id, secret = self.soak.provider.client()
        place = Place(flow.unique("soak"), oauth_id)
        self.oracle.registered(place.name, oauth_id)
        body = flow.registration(self.soak.hosts[0], client_id=oauth_id, client_secret=secret, branch_id=place.name)
        answer = self.operate(place, oracle_of.NONE, "POST /clients", lambda host: host.post("/clients", json=body))
        if answer.status == 201:  # else nobody knows its id
            place.registration = answer.body
            self.soak.places.add(place)
            with place.lock:
                self.consent(place)

    def consent(self, place):
        """The redirect URI is that of the first host: a login that begins elsewhere is led there."""
        with flow.Browser(self.soak.hosts[0]) as browser:
            sent = time.time()
            opened = browser.http.get(place.registration["login_url"])
            self.observed("GET /oauth/login", place, sent, 0, opened)
            if opened.status_code != 302:
                return
            callback = browser.consent(opened.headers["location"])
            self.operate(place, oracle_of.CONNECTED, "GET /auth/callback", lambda host: browser.callback(callback))

    def revoke(self, place):
        self.operate(place, oracle_of.REVOKED, "POST /tokens/{}/revoke",
                     lambda host: host.post(f"/tokens/{place.name}/revoke"))

    def delete(self, place):
        answer = self.operate(place, oracle_of.DELETED, "DELETE /clients", lambda host: host.delete(place.path))
        if answer.status in (204, 404):
            self.soak.places.bury(place)

    # --- what does not ----------------------------------------------------------------------------

    def patch(self, place, **fields):
        number, sent = self.host(), time.time()
        response = self.soak.hosts[number].patch(place.path, json=fields)
        return self.observed("PATCH /clients", place, sent, number, response)

    def rename(self, place):
        self.patch(place, workspace_name=flow.unique("Workspace"))

    def change_secret(self, place):
        """At the provider, then here: in between the old one is rejected."""
        _, secret = self.soak.provider.client(id=place.oauth_id)
        processes.wait_until(lambda: self.patch(place, client_secret=secret).status == 200, 60, "the secret is changed")


def callers(soak):
    return [
        *(Reader(soak, f"reader-{number}", 0.008) for number in range(6)),
        *(Forcer(soak, f"forcer-{number}", 0.15) for number in range(2)),
        *(Person(soak, f"person-{number}", 0.1) for number in range(3)),
        Onlooker(soak, "onlooker", 0.2),
    ]
