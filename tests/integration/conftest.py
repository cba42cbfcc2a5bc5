"""Fixtures: real nginx, real PostgreSQL, real HTTP to the stand-in provider.

One cluster and one provider for each xdist worker, a database of its own for each test. See the classes in support/
for what the fixtures give.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import processes  # noqa: E402
from support.answers import all_workers  # noqa: E402
from support.browser import browser  # noqa: E402
from support.pooler import Pooler  # noqa: E402
from support.postgres import Cluster  # noqa: E402
from support.provider import Provider  # noqa: E402
from support.service import PROGRAM, Service  # noqa: E402
from support.site import Authority, Site  # noqa: E402

collect_ignore = [] if os.environ.get("TOKEN_SERVICE_PREVIOUS") else ["test_upgrade.py"]


def pytest_configure(config):
    config.addinivalue_line("markers", "memcheck: also runs under valgrind and behind a pooler; together they reach every kind of request")
    for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy"):
        for each in (name, name.upper()):
            os.environ.pop(each, None)
    # As Ctrl-C: the fixtures end what they started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes.remove_orphans()


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL; cluster.stopped() for tests that want it away."""
    assert os.access(PROGRAM, os.X_OK), f"{PROGRAM} is missing: run scripts/build"
    cluster = Cluster()
    if os.environ.get("TOKEN_SERVICE_POOLER"):
        cluster.pooler = Pooler(cluster)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def bench_programs():
    """As the build directory was configured: scripts/build might make the service itself anew under other tests."""
    # The lock is scripts/build's; others that need them at the same time take it as well.
    done = subprocess.run(["flock", processes.ROOT / "build/.lock", "make", "--silent", "-C", processes.ROOT / "build", "bench-programs"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def provider_process():
    provider = Provider()
    yield provider
    provider.close()


@pytest.fixture
def provider(provider_process):
    """The stand-in provider, without faults, with nothing in its log."""
    provider_process.reset()
    yield provider_process
    provider_process.clear_faults()


@pytest.fixture
def make_database(cluster):
    """make_database(migrated=True): a further Database, gone after the test."""
    made = []

    def make(migrated=True):
        made.append(cluster.create(migrated))
        return made[-1]

    yield make
    for database in made:
        database.drop()


@pytest.fixture
def database(make_database):
    """Migrated and empty."""
    return make_database()


@pytest.fixture
def make_service(database, provider):
    """make_service(env={…}, database=None, rate_limit=None, nginx=True): a further Service.

    database: another one than the test's own; two Services on one are two hosts. wait=False returns at once, for a
    service that will not come up. After the test each has to end with status 0 (service.expected_exit), leave no
    process, and must not have caused a report of a sanitizer or of valgrind.
    """
    made = []

    def make(env=None, database=None, rate_limit=None, nginx=True, **options):
        env = {**provider.environment, **(env or {})}
        made.append(Service(database or own_database, env, rate_limit, nginx, **options))
        return made[-1]

    own_database = database
    yield make
    provider.clear_faults()  # a worker does not end while the provider holds its request
    faults = []
    for service in made:
        try:
            service.close()
        except AssertionError as error:
            faults.append(str(error))
    assert not faults, "\n".join(faults)


@pytest.fixture
def service(make_service):
    """A running Service with a fresh database and the contract's defaults, pointed at the provider."""
    return make_service()


@pytest.fixture
def same_workers(service):
    """Fails when a worker has ended by the end of the test."""
    before = all_workers(service)
    yield service
    assert service.get("/health").status_code == 200
    assert service.post("/tokens/refresh", json={"branch_id": "nobody"}).status_code == 404
    assert service.worker_pids() == before, service.stderr()[-3000:]
    assert not service.log_events("worker killed", "worker failed", "worker past its deadline")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_site(make_service, authority):
    """A function that starts a Site in front of a service of its own; options: those of scripts/render-nginx."""
    made = []

    def make(env=None, authority=authority, **options):
        service = make_service(env=env, nginx=False)
        made.append(Site(service, authority, **{name.replace("_", "-"): value for name, value in options.items()}))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()


@pytest.fixture
def page(monkeypatch):
    """A Page in a real browser."""
    with browser(monkeypatch) as page:
        yield page
