"""Programs that the tests start: found again, waited for, and certain to end."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import privileged

ROOT = Path(__file__).resolve().parents[3]
# How much slower than usual the program is, under valgrind for instance.
TIME_FACTOR = float(os.environ.get("TOKEN_SERVICE_TIME_FACTOR") or 1)


def _own_ports():
    """Of this process among those of pytest-xdist: none takes a port that another one is about to bind."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    # Below the range that the system takes ports for outgoing connections from.
    return range(10240 + number, 32000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


PORTS = _own_ports()
INSTANCE = "TOKEN_SERVICE_TEST_INSTANCE"


def seconds(usual):
    """A deadline: generous, for it is reached only by a test that fails."""
    return usual * TIME_FACTOR


def wait_until(condition, timeout=20, what=None):
    """The first true value of condition(); AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds(timeout)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds(timeout):.0f} s: {what or condition.__doc__ or 'the condition'}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port():
    """A port that is free now on both loopback addresses; a program that is not a test's may still be faster."""
    while True:
        port = random.choice(PORTS)
        if all(_can_bind(*address, port) for address in LOOPBACK):
            return port


def _can_bind(family, host, port):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


LOOPBACK = [(socket.AF_INET, "127.0.0.1")]
if _can_bind(socket.AF_INET6, "::1", 0):
    LOOPBACK.append((socket.AF_INET6, "::1"))


def plain_environment(**extra):
    """Without proxies, database settings and whatever else would change what is tested."""
    kept = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONDONTWRITEBYTECODE", "TMPDIR", "USER")
    # Of scripts/test: how it finds what outlives a stage.
    marks = [name for name in os.environ if name.startswith("TOKEN_SERVICE_TEST_")]
    plain = {name: os.environ[name] for name in (*kept, *marks) if name in os.environ}
    return {**plain, "no_proxy": "*", **{name: str(value) for name, value in extra.items()}}


def make_directory(kind):
    """Short, for a socket's path has 107 bytes; others may pass, for PostgreSQL runs as another user."""
    path = Path(tempfile.mkdtemp(prefix=f"ts{kind}-{os.getpid()}-"))
    path.chmod(0o755)
    return path


def remove_orphans():
    """Directories of runs that were killed: their name has the pid of who made them."""
    for path in Path(tempfile.gettempdir()).glob("ts*-*-*"):
        made = re.fullmatch(r"ts(?:op|pg|svc|web)-(\d+)-\w+", path.name)
        if made and not Path(f"/proc/{made[1]}").exists() and path.owner() == Path("/proc/self").owner():
            remove_directory(path)


def remove_directory(path):
    shutil.rmtree(path, ignore_errors=True)


def start(command, death_signal="TERM", as_user=(), **options):
    """A child that gets a signal from the kernel when this process is killed."""
    command = [*as_user, "setpriv", "--pdeathsig", death_signal, *map(str, command)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)


def as_other_user():
    """What stands before a command that root runs as an ordinary user (PostgreSQL's: it may enter the cluster's
    sockets); nothing when the tests do not run as root."""
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []


def give_to_other_user(path):
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def stop(process, number=signal.SIGTERM, timeout=30):
    """The exit status; killed, and None, when it does not end in time."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(seconds(timeout))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def processes_of_instance(name, directory=None):
    """Pids of all processes that were started with INSTANCE=name in their environment.

    The service's own show theirs to root only; for anybody else it is the directory in their arguments.
    """
    mark = f"{INSTANCE}={name}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in _environment_of(entry) or directory and str(directory).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # ended meanwhile
            continue
    return found


def _environment_of(entry):
    try:
        return (entry / "environ").read_bytes().split(b"\0")
    except PermissionError:
        return []


def name_of(pid):
    """As ps and top show it; "" when the process has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def memory_of(pid):
    """The proportional set size, bytes: what processes share is divided among them."""
    text = privileged.read(f"/proc/{pid}/smaps_rollup").decode()
    return int(re.search(r"^Pss: +(\d+) kB$", text, re.M)[1]) * 1024


def children_of(pid):
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]
