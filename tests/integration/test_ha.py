"""scripts/test-ha, a short one: a database that fails over costs no grant, many hosts refresh nothing twice."""

import re
import signal
import subprocess

import pytest
from support import processes
from support.processes import seconds, wait_until

HA = ["/usr/bin/python3", "-B", processes.ROOT / "tests/ha/ha.py"]


@pytest.fixture
def ha(bench_programs):
    """ha(*arguments): starts one; after the test neither a process nor a file of it may be left."""
    directory = processes.make_directory("svc")
    name = f"ha-{directory.name}"
    environment = processes.plain_environment(**{processes.INSTANCE: name, "TMPDIR": directory})
    started = []

    def start(*arguments):
        started.append(processes.start(
            [*HA, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for process in started:
        processes.stop(process)
        process.stdout.close()
    try:
        wait_until(lambda: not processes.processes_of_instance(name, directory), 30, "all its processes are gone")
        assert list(directory.iterdir()) == []
    finally:
        processes.remove_directory(directory)


def test_leader_killed_under_load_costs_no_grant(ha):
    """Patroni and PostgreSQL die at once; reads come back with the next leader, and everything acknowledged is there.

    The bound of 2 s is scripts/test-ha's own: beside other tests it is only a bound.
    """
    process = ha("--failovers", 2, "--grace", seconds(20), "--refreshes", 0, "--seed", "integration")
    said = process.communicate(timeout=seconds(600))[0]
    assert process.returncode == 0, said[-10000:]
    failovers = re.findall(r"^failover \d/2: node\d killed; .* (\d+) reads failed$", said, re.M)
    assert len(failovers) == 2 and all(int(number) > 0 for number in failovers), said
    assert said.endswith(" 0 violations\n")
    numbers = {name: int(number) for number, name in re.findall(r"^ +(\d+)  (.+?) *$", said, re.M)}
    assert numbers["GET /tokens 200"] > 100 and numbers["ok"] > 10 and numbers["GET /auth/callback 200"] > 10, said


def test_many_hosts_refresh_nothing_twice(ha):
    process = ha("--failovers", 0, "--hosts", "2,4", "--refreshes", 400)
    said = process.communicate(timeout=seconds(600))[0]
    assert process.returncode in (0, 1), said[-10000:]
    # What a refresh costs is the processor's affair where other tests keep it busy.
    broken = [line for line in said.splitlines() if line.startswith("BROKEN") and "costs" not in line]
    assert broken == [] and re.findall(r"(\d) hosts: 400 refreshes in .*, 0 expiries refreshed more than once", said) == ["2", "4"], said


def test_interrupted_run_ends_in_order(ha):
    process = ha("--failovers", 10)
    lines = iter(process.stdout.readline, "")
    assert any(re.search(r"\d+ s: \d+ requests", line) for line in lines)
    process.send_signal(signal.SIGINT)
    said = "".join(lines)
    assert process.wait(seconds(120)) == 130, said[-10000:]


@pytest.mark.parametrize("arguments", [["--failovers", "many"], ["--hosts", "0"], ["--refreshes", "-1"], ["more"]])
def test_wrong_usage_starts_nothing(ha, arguments):
    process = ha(*arguments)
    assert process.wait(seconds(30)) == 2
    assert "usage: scripts/test-ha" in process.stdout.read()
