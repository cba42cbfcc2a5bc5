"""The primary is killed again and again under load: how long nobody is served, and whether anything is lost."""

import concurrent.futures
import http.client
import queue
import threading
import time
import traceback
from collections import Counter, namedtuple

import soak
import soak_oracle as oracle_of
from patroni import PatroniCluster, try_to_write
from support import flow, processes
from support.processes import wait_until

GRACE_S = 2.0
PATHS = ("names every node", "asks HAProxy")  # how the two hosts find the primary
PROMISES = {
    **{name: text for name, text in oracle_of.PROMISES.items() if name not in ("memory", "descriptors")},
    "away": "a host's reads fail for hardly longer than a bare session cannot write by the same way",
}
AWAY_S = 90  # after which a cluster without a leader is a fault of the test's world

# seconds from the kill, for each of PATHS: until a bare session wrote; until the last read that failed had ended
Seen = namedtuple("Seen", "leader written read reads_failed")


class Over(Exception):
    """Nobody waits for it any more."""


class Failovers(soak.Soak):
    """Two hosts over a cluster of three nodes."""

    # What a worker holds of a provider that rotates outlives a failover: it has twice GOOGLE_TIMEOUT_MS and 5 s to store it.
    settings = {**soak.SETTINGS, "GOOGLE_TIMEOUT_MS": "8000", "TOKEN_EXPIRY_BUFFER": "5", "REFRESH_AHEAD": "10"}
    token_ttl_s = 30
    unclear_s = 25

    def make_cluster(self):
        return PatroniCluster()

    def make_hosts(self):
        self.database.execute("CREATE TABLE probes (at timestamptz DEFAULT clock_timestamp())")
        self.database.execute("ALTER ROLE token_service_worker SET synchronous_commit = on")
        self.cluster.wait_until_level()
        for url_of in (self.cluster.by_nodes, self.cluster.url):
            self.make_host(DATABASE_URL=url_of("token_service_worker", self.database.name))

    @property
    def probe_urls(self):
        return [url_of("postgres", self.database.name) for url_of in (self.cluster.by_nodes, self.cluster.url)]


class Watch(threading.Thread):
    """Reads one branch, whose token outlives the run, from one host as fast as it answers; times are monotonic."""

    def __init__(self, world, host):
        super().__init__(name="watch", daemon=True)
        self.world, self.host = world, host
        client = flow.register(host, world.provider)
        self.token = flow.connect_fast(host, world.provider, client, expires_in=24 * 3600)["access_token"]
        self.path = f"/tokens/{client['branch_identifier']}"
        self.failures = []  # when each had ended
        self.good_at = 0  # when the last good one began

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.host.nginx.port, timeout=processes.seconds(60))
        while not self.world.over.is_set():
            begun = time.monotonic()
            connection.request("GET", self.path)
            response = connection.getresponse()
            content = response.read()
            if response.status == 200 and self.token.encode() in content:
                self.good_at = begun
            else:
                self.failures.append(time.monotonic())
            self.world.over.wait(0.01)

    def failed_since(self, moment):
        return [at for at in self.failures if at >= moment]


class Killer(threading.Thread):
    """Kills the leader so many times, each time out of a whole cluster. What a Run takes for its faults."""

    def __init__(self, world, number, grace_s):
        super().__init__(name="failovers", daemon=True)
        self.world, self.number, self.grace_s = world, number, grace_s
        self.watches = [Watch(world, host) for host in world.hosts]
        self.injected, self.busy_with = Counter(), "failover"
        self.seen = []
        self.dead = queue.SimpleQueue()
        self.idle = False

    def run(self):
        for watch in self.watches:
            watch.start()
        try:
            while len(self.seen) < self.number and not self.world.over.is_set():
                self.seen.append(self._failover())
                self._judge(self.seen[-1])
        except Over:
            pass
        except Exception as error:
            self.world.oracle.broken("ends", None, "".join(traceback.format_exception(error)[-3:]), time.time())
        self.idle = True

    def start_dead(self):
        """For the thread that outlives all of them: the kernel ends a child with the thread that started it."""
        while not self.dead.empty():
            self.dead.get().start()

    def _failover(self):
        leader = self._wait_until_whole()
        self.injected["leader killed"] += 1
        begun = time.monotonic()
        leader.kill()
        with concurrent.futures.ThreadPoolExecutor(len(PATHS)) as executor:
            written = list(executor.map(lambda url: self._written_after(url, begun), self.world.probe_urls))
        self._wait_until(lambda: all(watch.good_at > begun + max(written) for watch in self.watches), 60, "every host serves again")
        self.dead.put(leader)
        self._wait_until_whole()
        failed = [watch.failed_since(begun) for watch in self.watches]
        return Seen(leader.name, written, [each[-1] - begun if each else 0 for each in failed], sum(map(len, failed)))

    def _written_after(self, url, begun):
        self._wait_until(lambda: try_to_write(url), AWAY_S, "a bare session writes")
        return time.monotonic() - begun

    def _wait_until_whole(self):
        return self._wait_until(self.world.cluster.leader_of_whole, 120, "the cluster has a leader and two followers")

    def _wait_until(self, condition, timeout, what):
        def met():
            if self.world.over.is_set():
                raise Over
            return condition()

        return wait_until(met, timeout, what)

    def _judge(self, seen):
        print(f"failover {len(self.seen)}/{self.number}: {seen.leader} killed; " + "; ".join(
            f"a host that {path}: a session wrote after {written:.1f} s, reads failed until {read:.1f} s"
            for path, written, read in zip(PATHS, seen.written, seen.read)) + f"; {seen.reads_failed} reads failed", flush=True)
        for path, written, read in zip(PATHS, seen.written, seen.read):
            if read > written + self.grace_s:
                self.world.oracle.broken("away", None, f"a host that {path}: {read:.2f} s, a session wrote after {written:.2f} s", time.time())


class Run(soak.Run):
    def __init__(self, world, number, grace_s):
        super().__init__(world, 0, Killer(world, number, grace_s))

    def go(self):
        self.begin()
        next_line = time.monotonic() + soak.PROGRESS_S
        while not self.faults.idle:
            time.sleep(0.5)
            self.faults.start_dead()
            self._judge()
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + soak.PROGRESS_S
                self.say()
        self._calm()
        self._check_served()
        self._rest(last=True)


def run(number, grace_s, seed):
    """Prints what was seen. Returns the violations and whether it was interrupted."""
    print("etcd, Patroni and PostgreSQL of three nodes, HAProxy, the stand-in provider, two hosts", flush=True)
    world = Failovers(seed, PROMISES)
    try:
        run = Run(world, number, grace_s)
        try:
            run.go()
        except (soak.Interrupted, KeyboardInterrupt):
            run.interrupted = True
        run.stop()
        if world.oracle.violations:
            print(world.cluster.last_words(), flush=True)
    finally:
        world.over.set()
        world.close()
    run.report()
    return world.oracle.violations, run.interrupted
