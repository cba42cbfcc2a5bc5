"""What the processes do so that nobody reads a secret out of them, and what they hand on to others."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from support import processes
from support.processes import wait_until
from support.service import PROGRAM

PASSWORD = "hunter2-of-the-database"
KEY = "hunter2-Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7u"
IS_ROOT = os.geteuid() == 0


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file)


def environment_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


def with_password(database):
    return database.url.replace("token_service_worker@", f"token_service_worker:{PASSWORD}@")


@pytest.fixture
def directory():
    """Short, with a program that an ordinary user reaches wherever the checkout is."""
    path = processes.make_directory("svc")
    shutil.copy(PROGRAM, path / "token-service")
    (path / "s").mkdir()
    processes.give_to_other_user(path / "s")
    yield path
    processes.remove_directory(path)


@pytest.fixture
def started(database, directory):
    """A master, of an ordinary user, whose secrets came in its environment; and one worker of each kind."""
    env = processes.plain_environment(
        DATABASE_URL=with_password(database), DATABASE_ADMIN_URL=with_password(database), SECRET_KEY=KEY,
        SECRET_KEY_PREVIOUS=KEY, DATABASE_WORKERS="1", EXCHANGE_WORKERS="1", REFRESHERS="1",
    )
    # Started by somebody who would let it write cores.
    allowed = ["prlimit", "--core=unlimited", *processes.as_other_user()] if IS_ROOT else []
    with open(directory / "err", "wb") as err:
        master = processes.start(
            [directory / "token-service", "serve", "--socket-dir", directory / "s"], as_user=allowed,
            env=env, stdout=err, stderr=err,
        )
    try:
        workers = wait_until(lambda: len(pids := processes.children_of(master.pid)) == 3 and pids, what="the workers run")
        yield [master.pid, *workers]
    finally:
        assert processes.stop(master) == 0, (directory / "err").read_text()


def test_no_process_of_the_service_can_gain_rights_or_write_a_core(started):
    """NoNewPrivs, a core limit of nothing (hard too), files for the owner alone, and nothing to read on stdin."""
    for pid in started:
        assert status_of(pid)["NoNewPrivs"] == "1"
        assert status_of(pid)["Umask"] == "0077"
        with open(f"/proc/{pid}/limits", encoding="utf-8") as file:
            [limit] = re.findall(r"^Max core file size +(\S+) +(\S+)", file.read(), re.M)
        assert limit == ("0", "0")
        assert os.stat(f"/proc/{pid}/maps").st_uid == 0
        if IS_ROOT:
            assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


READER = """
import os, sys
for pid in sys.argv[1:]:
    for name in ("environ", "mem", "maps"):
        try:
            open(f"/proc/{pid}/{name}", "rb").close()
            print(pid, name)
        except PermissionError:
            pass
print("itself" if open("/proc/self/environ", "rb").read() else "")
"""


def test_no_process_of_the_service_is_dumpable(started):
    """Another process of the same user opens neither its memory nor its environment; only root does."""
    command = [*processes.as_other_user(), "/usr/bin/python3", "-c", READER, *map(str, started)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "itself\n"


def test_environment_of_a_running_process_holds_no_secret(started):
    """Not even for root: what stood there at the start is overwritten."""
    if not IS_ROOT:
        with pytest.raises(PermissionError):
            environment_of(started[0])
        return
    for pid in started:
        shown = environment_of(pid)
        assert b"PATH=" in shown
        for secret in (PASSWORD, KEY):
            assert secret.encode() not in shown


def test_secret_of_the_environment_is_still_there_after_a_reload(make_database, directory):
    """Hidden from others, not from the program: workers that SIGHUP starts reach the database all the same."""
    database = make_database()
    env = processes.plain_environment(DATABASE_URL=database.url, DATABASE_WORKERS="1", EXCHANGE_WORKERS="1", LOG_LEVEL="DEBUG")
    with open(directory / "err", "wb") as err:
        master = processes.start([PROGRAM, "serve", "--socket-dir", directory / "s"], env=env, stdout=err, stderr=err)

    def log(event):
        return (directory / "err").read_text().count(f'"event":"{event}"')

    try:
        before = set(wait_until(lambda: len(pids := processes.children_of(master.pid)) == 4 and pids, what="the workers run"))
        master.send_signal(signal.SIGHUP)
        wait_until(lambda: len(pids := processes.children_of(master.pid)) == 4 and before.isdisjoint(pids), 60, "new workers run")
        wait_until(lambda: database.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'token_service_worker'"
                                        " AND datname = current_database()")[0], what="one of them reaches the database")
        assert (log("reloaded"), log("reload refused: the configuration has faults, the old one stays")) == (1, 0)
    finally:
        assert processes.stop(master) == 0


def test_closed_standard_streams_are_not_taken_by_a_socket(database, directory):
    """Started with 0 to 2 closed, the service opens /dev/null in their place: no log line goes to a caller."""
    env = processes.plain_environment(DATABASE_URL=database.url, DATABASE_WORKERS="1", EXCHANGE_WORKERS="1")
    master = processes.start(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAM, "serve", "--socket-dir", directory / "s"], env=env)
    try:
        wait_until((directory / "s/exchange.sock").exists, what="the service opens its sockets")
        workers = wait_until(lambda: len(pids := processes.children_of(master.pid)) == 4 and pids, what="the workers run")
        for pid in [master.pid, *workers] if IS_ROOT else []:
            assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
    finally:
        assert processes.stop(master) == 0
