"""systemd's units, as "make install" puts them: what they allow is little, and enough."""

import fcntl
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support import processes
from support.flow import connect_fast, expire, register
from support.service import NGINX, PROGRAM

UNITS = ["token-service.service", "token-service-nginx.service"]
HOST_UNITS = Path("/lib/systemd/system")
EXPOSURE_MAX = 20  # tenths
BUILD = Path(PROGRAM).parent


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=processes.plain_environment(), **options)


@pytest.fixture(scope="module")
def root():
    """An installation, and beside it what it finds on a host: systemd's own units and nginx."""
    path = processes.make_directory("op")
    with open(BUILD / "install.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one make at a time in a build directory
        done = run("make", "-C", BUILD, "install", f"DESTDIR={path}")
    assert done.returncode == 0, done.stderr
    shutil.copytree(HOST_UNITS, path / "lib/systemd/system", symlinks=True)
    for program in (NGINX, "/bin/kill"):
        place = path / program.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, place)
    yield path
    processes.remove_directory(path)


@pytest.fixture(scope="module")
def units(root):
    """The directory that the units were installed in."""
    [unit] = (root / "usr").rglob("token-service.service")
    return unit.parent


@pytest.mark.parametrize("name", UNITS)
def test_unit_exposes_little(units, name):
    """systemd's own analysis: at most 2.0 of 10."""
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}", units / name)
    assert done.returncode == 0, done.stdout
    [exposure] = re.findall(rf"Overall exposure level for {name}: ([0-9.]+) ", done.stdout)
    assert float(exposure) <= EXPOSURE_MAX / 10


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_understood_whole(root, name):
    """No line is unknown to systemd, and every program that it starts is there."""
    done = run("systemd-analyze", "verify", "--man=no", f"--root={root}", name)
    assert (done.returncode, done.stderr) == (0, "")


def test_users_of_the_units_are_made(root, units):
    """By the sysusers.d file: each with a group of its name, none that can log in."""
    (root / "etc").mkdir(exist_ok=True)
    done = run("systemd-sysusers", f"--root={root}")
    assert done.returncode == 0, done.stderr
    users = {}
    for line in (root / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, _, _, shell = line.split(":")
        users[name] = (int(gid), shell)
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in (root / "etc/group").read_text().splitlines()}
    named = set(re.findall(r"^(?:User|Group|SupplementaryGroups)=(\S+)$", "".join((units / name).read_text() for name in UNITS), re.M))
    assert named == {"token-service", "token-service-web"}
    for name in named:
        assert users[name] == (groups[name], "/usr/sbin/nologin")


def test_manual_page_is_installed_and_readable(root):
    """man finds it, and mandoc has nothing to warn of."""
    [page] = root.rglob("token-service.8")
    assert page.parent.name == "man8"
    done = run("mandoc", "-T", "lint", "-W", "warning", page)
    assert (done.returncode, done.stdout) == (0, "")
    shown = re.sub(".\x08", "", run("mandoc", "-T", "ascii", page).stdout)  # bold is a letter over itself
    assert all(heading in shown for heading in ("ENVIRONMENT", "EXIT STATUS", "SIGNALS", "EXAMPLES"))


def test_units_can_be_left_out(tmp_path):
    """configure --without-systemdsystemunitdir: nothing of systemd is installed."""
    # configure takes no source directory whose path has a space.
    (tmp_path / "source").symlink_to(processes.ROOT)
    done = run("source/configure", "-q", "--without-systemdsystemunitdir", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("make", "install-data", f"DESTDIR={tmp_path}/root", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    installed = {path.name for path in (tmp_path / "root").rglob("*")}
    assert "render-nginx" in installed
    assert "token-service.8" in installed
    assert not installed & {"systemd", "sysusers.d", "logrotate.d", "token-service.conf", *UNITS}


def test_whole_flow_under_the_units_filters(make_service, provider, units):
    """Every call works with the system calls, address families and memory that the units leave to the service and to nginx."""
    service = make_service(
        {"ENVIRONMENT": "production", "API_AUTH": "off", "API_AUTH_OFF_IN_PRODUCTION": "accept", "REFRESHERS": "1"},
        units=units,
    )
    for pid in service.worker_pids():
        assert filters_of(pid) == "2", "a filter is in force"
    client = register(service, provider)
    connect_fast(service, provider, client)
    path = f"/tokens/{client['branch_identifier']}"
    first = service.get(path).json()["access_token"]
    expire(service, client)
    second = service.get(path)
    assert second.status_code == 200 and second.json()["access_token"] != first
    assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200
    service.reload_and_wait({"EXCHANGE_WORKERS": "2"})
    assert service.post(f"{path}/revoke").status_code == 200
    assert service.delete(f"/clients/{client['client_id']}").status_code in (200, 204)
    assert not [event for event in service.log_events() if event["level"] == "ERROR"]


def filters_of(pid):
    return re.search(r"^Seccomp:\s+(\d)", Path(f"/proc/{pid}/status").read_text(), re.M)[1]
