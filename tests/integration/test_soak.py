"""scripts/soak, a short one: every promise is kept while everything befalls the service; and it ends when told to."""

import re
import signal
import subprocess

import pytest
from support import processes
from support.processes import seconds, wait_until

SOAK = ["/usr/bin/python3", "-B", processes.ROOT / "tests/bench/soak.py"]


@pytest.fixture
def soak():
    """soak(*arguments): starts one; after the test neither a process nor a file of it may be left."""
    directory = processes.make_directory("svc")
    name = f"soak-{directory.name}"
    environment = processes.plain_environment(**{processes.INSTANCE: name, "TMPDIR": directory})
    started = []

    def start(*arguments):
        started.append(processes.start(
            [*SOAK, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for process in started:
        processes.stop(process)
        process.stdout.close()
    try:
        wait_until(lambda: not processes.processes_of_instance(name, directory), 10, "all its processes are gone")
        assert list(directory.iterdir()) == []
    finally:
        processes.remove_directory(directory)


def test_short_soak_keeps_every_promise(soak):
    """Two hosts, mixed traffic, kills, restarts, a provider that fails: no wrong token, no lost grant, no leak."""
    process = soak("--minutes", "0.5", "--seed", "integration")
    said = process.communicate(timeout=seconds(600))[0]
    assert process.returncode == 0, said[-10000:]
    assert " 0 violations" in said.splitlines()[-1]
    # It did what it is there for.
    numbers = {name: int(number) for number, name in re.findall(r"^ +(\d+)  (.+?) *$", said, re.M)}
    assert numbers["GET /tokens 200"] > 100 and numbers["GET /auth/callback 200"] > 10, said
    assert numbers["ok"] > 10, said
    assert sum(number for name, number in numbers.items() if re.match("worker killed|SIG|PostgreSQL|provider:", name)) > 3


def test_interrupted_soak_ends_with_the_sum_so_far(soak):
    process = soak("--minutes", "30")
    lines = iter(process.stdout.readline, "")
    assert any(re.search(r"\d+ s: \d+ requests", line) for line in lines)
    process.send_signal(signal.SIGINT)
    said = "".join(lines)
    assert process.wait(seconds(120)) == 130, said[-10000:]
    assert re.search(r"^[1-9]\d* requests, \d+ grants lost that no protocol could keep, 0 violations$", said, re.M), said


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "soon"], ["--hours", "1"], ["more"]])
def test_wrong_usage_starts_nothing(soak, arguments):
    process = soak(*arguments)
    assert process.wait(seconds(30)) == 2
    assert "usage: scripts/soak" in process.stdout.read()
