"""Several hosts refresh what is due at once: who refreshes what twice, and what one refresh costs."""

import collections
import contextlib
import random
import threading
import time

from speed import processor, rows
from support.postgres import Cluster
from support.processes import children_of, wait_until
from support.provider import Provider
from support.service import Service

SETTINGS = {"DATABASE_WORKERS": "1", "EXCHANGE_WORKERS": "2", "REFRESHERS": "2", "LOG_LEVEL": "WARNING",
            "GOOGLE_TIMEOUT_MS": "30000"}  # who is given up may be refreshed twice
# Against the fewest hosts: what a refresh costs with more of them.
FLAT = 1.5

Seen = collections.namedtuple("Seen", "hosts refreshes doubled seconds cpu_ms database_cpu_ms reads")


class Reader(threading.Thread):
    """Asks one host for branches at random: for those that have expired it competes with the refreshers."""

    def __init__(self, service, number):
        super().__init__(daemon=True)
        self.service, self.number = service, number
        self.over = threading.Event()
        self.statuses = collections.Counter()

    def run(self):
        while not self.over.wait(0.01):
            branch = f"branch-{random.randint(1, self.number)}"
            self.statuses[self.service.get(f"/tokens/{branch}").status_code] += 1

    def stop(self):
        self.over.set()
        self.join()


def _measure(cluster, provider, services, database, number):
    ids = range(1, number + 1)
    pids = [pid for service in services for pid in service.worker_pids()]
    readers = [Reader(service, number) for service in services]
    begun, cpu = time.monotonic(), processor.ns_of(pids)
    servers = children_of(cluster.server.pid)
    database_cpu = processor.ns_of(servers)
    rows.expire(database, ids)
    for reader in readers:
        reader.start()
    try:
        wait_until(lambda: rows.expired(database, ids) == 0, 60 + number / 20, "everything is refreshed")
    finally:
        for reader in readers:
            reader.stop()
    took = time.monotonic() - begun
    cpu, database_cpu = processor.ns_of(pids) - cpu, processor.ns_of(servers) - database_cpu
    calls = collections.Counter(entry["refresh_token"] for entry in provider.refreshes())
    doubled = sum(1 for number_of_calls in calls.values() if number_of_calls > 1)
    assert len(calls) == number, f"{len(calls)} grants were refreshed, not {number}"
    reads = sum((reader.statuses for reader in readers), collections.Counter())
    return Seen(len(services), number, doubled, took, cpu / 1e6 / number, database_cpu / 1e6 / number, reads)


def _with_hosts(cluster, provider, hosts, number):
    with contextlib.ExitStack() as stack:
        database = cluster.create()
        stack.callback(database.drop)
        rows.fill(database, number)
        rows.give_grants(database, provider, range(1, number + 1))
        services = []
        for _ in range(hosts):
            services.append(Service(database, {**provider.environment, **SETTINGS}))
            stack.callback(services[-1].close)
        provider.reset()
        return _measure(cluster, provider, services, database, number)


def run(several, number):
    """several: numbers of hosts. Prints what was seen, returns what was not as promised."""
    faults, seen = [], []
    with contextlib.closing(Cluster()) as cluster, contextlib.closing(Provider()) as provider:
        for hosts in several:
            print(f"{hosts} hosts: {number:,} branches whose tokens have expired", flush=True)
            seen.append(_with_hosts(cluster, provider, hosts, number))
            print(_line(seen[-1], seen[0]), flush=True)
            faults += [f"{hosts} hosts: {count} reads were answered {status}" for status, count in seen[-1].reads.items()
                       if status not in (200, 503)]
            if seen[-1].doubled:
                faults.append(f"{hosts} hosts: {seen[-1].doubled} expiries were refreshed more than once")
            if seen[-1].cpu_ms > FLAT * seen[0].cpu_ms:
                faults.append(f"{hosts} hosts: a refresh costs {seen[-1].cpu_ms / seen[0].cpu_ms:.2f} times what it costs with {seen[0].hosts}")
    return faults


def _line(seen, first):
    return (f"{seen.hosts} hosts: {seen.refreshes:,} refreshes in {seen.seconds:.1f} s, {seen.doubled} expiries refreshed more than once; "
            f"of a refresh {seen.cpu_ms:.2f} ms in workers ({seen.cpu_ms / first.cpu_ms:.2f} times the first), "
            f"{seen.database_cpu_ms:.2f} ms in PostgreSQL; {sum(seen.reads.values()):,} reads meanwhile")
