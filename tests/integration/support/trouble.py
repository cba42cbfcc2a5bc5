"""What befalls a host and its database: a crash of PostgreSQL, connections that are cut, a clock that is wrong."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from . import processes
from .hosts import timed
from .service import PROGRAM

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


# --- the provider's address -----------------------------------------------------------------------


@contextlib.contextmanager
def closed_port():
    """A port of loopback that refuses every connection, and that nobody else can take meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound, but nothing listens
        yield sock.getsockname()[1]


# --- PostgreSQL -----------------------------------------------------------------------------------


def crash(cluster):
    """Immediate shutdown: no checkpoint, no good-bye; cluster.start() recovers from the log."""
    processes.stop(cluster.server, signal.SIGQUIT, 60)
    cluster.server = None


@contextlib.contextmanager
def crashed(cluster):
    """The server is gone inside the block, and up again after it whatever happens."""
    crash(cluster)
    try:
        yield
    finally:
        if not cluster.server:
            cluster.start()


def sessions(database, state=None):
    """Pids of the service's backends in this database; state: of pg_stat_activity."""
    rows = database.all(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = 'token_service_worker'"
        " AND (%s::text IS NULL OR state = %s) ORDER BY pid",
        (database.name, state, state),
    )
    return [pid for (pid,) in rows]


def holder(database):
    """The one backend that holds a transaction open between two statements, as a refresh under way does."""
    return processes.wait_until(
        lambda: len(found := sessions(database, "idle in transaction")) == 1 and found[0],
        what="one backend that is idle in a transaction",
    )


def terminate(database, pid):
    database.one("SELECT pg_terminate_backend(%s)", (pid,))


def is_gone(database, pid):
    return not database.one("SELECT pid FROM pg_stat_activity WHERE pid = %s", (pid,))


# --- load -----------------------------------------------------------------------------------------


class Load:
    """Calls one after another in each of so many threads, until the block is left.

    call(number) → the response; answers: (begun, ended, response), monotonic, in no order.
    """

    def __init__(self, call, threads=4):
        self.answers = []
        self.faults = []
        self._call = call
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def _run(self, number):
        while not self._stop.is_set():
            try:
                self.answers.append(timed(lambda number=number: self._call(number)))
            except Exception as error:  # nothing at all is a wrong answer as well
                self.faults.append(error)
                return
            number += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more):
        """Until so many further calls have been answered."""
        want = len(self.answers) + more
        processes.wait_until(lambda: self.faults or len(self.answers) >= want, 60, f"{more} more answers")


# --- processes ------------------------------------------------------------------------------------


def frozen(service):
    """The master and all its workers stand still inside the block, as on a machine that hangs."""
    return _standing_still([service.master_pid, *service.worker_pids()])  # the master first: it watches the others


def frozen_nginx(nginx):
    """As frozen()."""
    return _standing_still([nginx.process.pid, *processes.children_of(nginx.process.pid)])


@contextlib.contextmanager
def _standing_still(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


# --- the host's clock -----------------------------------------------------------------------------


def _fake(offset):
    """A command prefix: the wall clock is off, the monotonic one is not, as on a real host."""
    return [
        "env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME={offset}", "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "DONT_FAKE_MONOTONIC=1", "ASAN_OPTIONS=verify_asan_link_order=0",
    ]


def can_fake_time():
    """Is libfaketime here, and does the program run with it?"""
    if not FAKETIME.exists():
        return False
    run = subprocess.run([*_fake("+10m"), PROGRAM, "version"], capture_output=True, env=processes.plain_environment())
    return run.returncode == 0 and not run.stderr


@contextlib.contextmanager
def host_clock(monkeypatch, offset, nginx=True):
    """What is started inside the block has a wall clock that is off by offset ("+10m"): the service and its nginx,
    or the service alone."""
    start = processes.start

    def start_with_clock(command, *args, **kwargs):
        is_nginx = str(command[0]) == "nginx"
        return start([*_fake(offset), *command] if nginx or not is_nginx else command, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(processes, "start", start_with_clock)
        yield
