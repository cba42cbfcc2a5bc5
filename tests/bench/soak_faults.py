"""What befalls the service in a soak, at random: workers killed, masters reloaded and started anew, PostgreSQL
restarted, connections cut, a provider that fails in every way it can."""

import contextlib
import os
import random
import signal
import threading
import time
import traceback
from collections import Counter

import psycopg2
from support import privileged, trouble

TTLS_S = (4, 8, 30)  # of access tokens: what the refreshers cannot keep up with, and what they can
PAUSE_S = 1.0
# A grant is not to be lost through the soak's own doing: none of these answers invalid_grant, or changes an answer.
PROVIDER_FAULTS = (
    {"kind": "delay", "ms": 700},
    {"kind": "delay_after", "ms": 700},
    {"kind": "delay_after", "ms": 4000},
    {"kind": "drip", "ms": 3},
    {"kind": "drop"},
    {"kind": "drop_after"},
    {"kind": "hang"},
    {"kind": "huge", "bytes": 1_000_000, "chunked": True},
    {"kind": "status", "status": 500, "body": "<html>Internal Server Error</html>"},
    {"kind": "status", "status": 503, "body": "", "headers": {"Retry-After": "2"}},
    {"kind": "status", "status": 429, "body": {"error": "slow_down"}, "headers": {"Retry-After": "1"}},
    {"kind": "status", "status": 200, "body": "<html>not a token</html>"},
    {"kind": "status", "status": 200, "body": {"token_type": "Bearer"}},
)
# A revocation that is processed although its answer is lost may still come after a consent: the provider's doing.
REVOCATION_FAULTS = [fault for fault in PROVIDER_FAULTS if fault["kind"] in ("drop", "hang", "status")]


def ports_to(pid, port):
    """The process' own ports of its connections to this port of 127.0.0.1."""
    opened = set(privileged.descriptors(pid))
    found = []
    for line in privileged.read(f"/proc/{pid}/net/tcp").decode().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in opened and int(fields[2].rpartition(":")[2], 16) == port:
            found.append(int(fields[1].rpartition(":")[2], 16))
    return found


class Faults(threading.Thread):
    """One after another, until soak.over; none while soak.calm is set."""

    def __init__(self, soak):
        super().__init__(name="faults", daemon=True)
        self.soak = soak
        self.rng = random.Random(f"{soak.seed}/faults")
        self.injected = Counter()
        self.idle = False
        self.busy_with = ""
        self._choices = (
            (self.kill_worker, 6), (self.provider, 8), (self.rotation, 2), (self.life, 2), (self.cut, 3),
            (self.reload, 2), (self.restart_host, 1), (self.restart_database, 2),
        )

    def run(self):
        functions, weights = zip(*self._choices)
        while not self.soak.over.is_set():
            self.idle = self.soak.calm.is_set()
            if self.idle:
                self.soak.over.wait(0.05)
                continue
            function = self.rng.choices(functions, weights)[0]
            self.busy_with = function.__name__
            try:
                function()
            except Exception as error:
                text = "".join(traceback.format_exception(error)[-3:])
                self.soak.oracle.broken("ends", None, f"{self.busy_with}: {text}", time.time())
            self.busy_with = ""
            self.soak.over.wait(self.rng.uniform(0, 2 * PAUSE_S))

    def _host(self):
        return self.rng.choice(self.soak.hosts)

    def _for_a_while(self, most_s):
        self.soak.over.wait(self.rng.uniform(0, most_s))

    # --- processes --------------------------------------------------------------------------------

    def kill_worker(self):
        """Its connections to the provider tell later which request died with it."""
        workers = self._host().worker_pids()
        if not workers:
            return
        pid = self.rng.choice(workers)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, signal.SIGSTOP)
            try:
                self.soak.oracle.worker_killed(time.time(), ports_to(pid, self.soak.provider_port))
            finally:
                os.kill(pid, signal.SIGKILL)
            self.injected["worker killed"] += 1

    def reload(self):
        self.injected["SIGHUP"] += 1
        self._host().reload()

    def restart_host(self):
        host = self._host()
        self.injected["SIGTERM and start"] += 1
        host.terminate()
        try:
            status = host.wait_exit(60)
            if status != 0:
                self.soak.oracle.broken("ends", None, f"the master ended with status {status} after SIGTERM", time.time())
        finally:
            host.start_master()

    # --- the database -----------------------------------------------------------------------------

    def restart_database(self):
        cluster = self.soak.cluster
        how = self.rng.choice(("fast", "immediate"))
        self.injected[f"PostgreSQL {how} stop"] += 1
        with cluster.stopped() if how == "fast" else trouble.crashed(cluster):
            self._for_a_while(3)

    def cut(self):
        """One connection, or all."""
        self.injected["connections cut"] += 1
        with contextlib.suppress(psycopg2.OperationalError):
            pids = trouble.sessions(self.soak.database)
            for pid in pids if self.rng.random() < 0.3 else self.rng.sample(pids, min(1, len(pids))):
                trouble.terminate(self.soak.database, pid)

    # --- the provider -----------------------------------------------------------------------------

    def provider(self):
        """A few requests meet it, or all for a while."""
        endpoint = "revocation" if self.rng.random() < 0.15 else "token"
        fault = self.rng.choice(PROVIDER_FAULTS if endpoint == "token" else REVOCATION_FAULTS)
        times = self.rng.choice((1, 2, 5, None))
        self.injected[f"provider: {fault['kind']}"] += 1
        self.soak.provider.fault(endpoint=endpoint, times=times, **fault)
        self._for_a_while(4 if times else 2.5)
        self.soak.provider.clear_faults()

    def rotation(self):
        """Refresh tokens that are spent by their use, and such that are not."""
        self.injected["provider: rotation changed"] += 1
        self.soak.provider.settings(rotate=self.rng.random() < 0.7)

    def life(self):
        self.injected["provider: token life changed"] += 1
        self.soak.provider.settings(access_token_ttl=self.rng.choice(TTLS_S))
