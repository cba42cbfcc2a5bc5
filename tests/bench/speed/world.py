"""The one machine on which everything runs: PostgreSQL, the stand-in provider, services as in production."""

import contextlib
import os
import platform
import subprocess
from pathlib import Path

from support import keys
from support.postgres import Cluster
from support.provider import Provider
from support.service import NGINX, Service

from .load import Target, cores


def _memory_mb():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


# As an operator would have it: durable, a quarter of the memory for its buffers.
POSTGRES = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on", "max_wal_size": "4GB",
    "shared_buffers": f"{_memory_mb() // 4}MB",
}
# As in production; keys are asked for, every read has its line in the log.
SERVICE = {"API_AUTH": "required", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO", "DATABASE_WORKERS": "2",
           "EXCHANGE_WORKERS": "16", "REFRESHERS": "2"}


class Ours:
    """The service behind its nginx, with a fetcher's key."""

    name = "token-service"
    title = "token-service, everything on"

    def __init__(self, service, first, last):
        self.service = service
        key = keys.create(service.database, "fetcher")
        self.target = Target(service.nginx.port, key, first, last)

    def forget_logs(self):
        """They were written; the disk has no room for all of them."""
        for path in (self.service.stderr_path, self.service.nginx.run_dir / "access.log"):
            os.truncate(path, 0)


class World:
    """A context manager: what was started in it ends with it, in the opposite order."""

    def __init__(self, say):
        self.say = say
        self._stack = contextlib.ExitStack()
        self._provider = None

    def __enter__(self):
        try:
            self.say("PostgreSQL")
            self.cluster = self.enter(contextlib.closing(Cluster(settings=POSTGRES)))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    def enter(self, context):
        return self._stack.enter_context(context)

    @property
    def provider(self):
        if self._provider is None:
            self.say("the stand-in provider")
            self._provider = self.enter(contextlib.closing(Provider()))
        return self._provider

    @contextlib.contextmanager
    def database(self, migrated=True):
        database = self.cluster.create(migrated)
        try:
            yield database
        finally:
            database.drop()

    @contextlib.contextmanager
    def service(self, database, first, last, wrapper=(), **env):
        """Ours, over branches first to last of the database; wrapper: a command that runs it, valgrind for instance."""
        service = Service(database, {**self.provider.environment, **SERVICE, **env}, wrapper=wrapper)
        ours = None
        try:
            ours = Ours(service, first, last)
            yield ours
        finally:
            if self._provider:
                self._provider.clear_faults()  # a worker does not end while the provider holds its request
            if ours:
                ours.forget_logs()
            service.close()


def _first_line(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.partition("\n")[0]


def machine(cluster):
    """What a figure means nothing without."""
    cpu = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        [postgres] = cursor.fetchone()
    return {
        "cpu": cpu[0] if cpu else platform.machine(), "cores": cores(), "memory_mb": _memory_mb(),
        "kernel": platform.release(), "postgresql": postgres.split()[0],
        "nginx": _first_line([NGINX, "-v"]).rpartition("/")[2], "load_before": os.getloadavg()[0],
    }
