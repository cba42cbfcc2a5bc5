"""scripts/bench and scripts/profile: that they measure, what they say of it, and that nobody passes who answers errors."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
from support import processes
from support.hosts import in_one_of_three_rounds
from support.processes import ROOT

sys.path.insert(0, str(ROOT / "tests/bench"))

from speed import contest, load, report, rows  # noqa: E402
from speed.storm import storm  # noqa: E402

SMALLEST = ["--branches", 100, "--rounds", 1, "--seconds", 1, "--connections", 4, "--many", 200, "--few", 100, "--requests", 1000,
            "--rows", 2000, "--clients", 100]
CONTESTANTS = {"token-service", "fastapi", "libfcgi", "hello", "return"}
# Why a run failed: a line for each measurement of the bench, the profile's last one.
FAILURE = re.compile(r"^(?:FAILED: .*|profile: .* errors: .*)$", re.M)
# Of a service whose database stands still: 503, which wrk does not tell from other errors.
UNAVAILABLE = re.compile(r"FAILED: (contest \w+ token-service|(size|hung) \w+|memory): \d+ × (503|status)(, \d+ × (503|status))*"
                         r"|profile: \d+ requests( of \d+)?, errors: \{'status': \d+\}")


pytestmark = pytest.mark.usefixtures("bench_programs")


def bench(*arguments, mark="test-bench", program="bench.py"):
    return subprocess.run(
        ["/usr/bin/python3", "-B", ROOT / "tests/bench" / program, *map(str, arguments)],
        env=processes.plain_environment(**{processes.INSTANCE: mark}), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=processes.seconds(600),
    )


def bench_undisturbed(*arguments, **options):
    """bench(), again, three times in all, while nothing failed but what a service says whose database stands still."""
    for _ in range(3):
        done = bench(*arguments, **options)
        said = FAILURE.findall(done.stdout + done.stderr)
        if done.returncode != 1 or not said or not all(UNAVAILABLE.fullmatch(line) for line in said):
            break
    return done


def test_smallest_run_measures_everything(tmp_path):
    """Every contestant answers without an error, every target has a figure, the picture is one, nothing is left running."""
    figures, picture, mark = tmp_path / "figures.json", tmp_path / "picture.svg", f"bench-{os.getpid()}"
    done = bench_undisturbed(*SMALLEST, "--json", figures, "--picture", picture, mark=mark)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(figures.read_text())
    assert result["failures"] == []
    for table, field in (("throughput", "median"), ("latency", "p99_us")):
        assert set(result["contest"][table]) == CONTESTANTS
        assert all(row[field] > 0 and not row["errors"] for row in result["contest"][table].values())
    at_rate_of_a = result["contest"]["latency_at_rate_of_a"]["token-service"]
    assert at_rate_of_a["rate"] == result["contest"]["latency"]["fastapi"]["rate"] and at_rate_of_a["p99_us"] > 0
    assert "token-service at the rate of (a)" in done.stdout
    assert result["refresh"]["cpu_ms"] > 0
    assert result["hung"]["hung"]["rounds"][0]["expired_were_told"].keys() == {"503"}
    assert len(result["targets"]) == 13
    for row in result["targets"]:
        assert row["what"] in done.stdout
    assert result["memory"]["processes"] == 1 + 2 + 16 + 2 and result["memory"]["requests"] >= 1000
    assert result["claim"]["claims"] >= 1000 and result["claim"]["by_index"]
    # Who comes all at once may be told to come again.
    outcomes = result["storm"]["rounds"][0]["outcomes"]
    assert sum(outcomes.values()) == 100 and outcomes.keys() <= {"200", "503"} and outcomes["200"] > 0
    assert result["machine"]["cpu"] in done.stdout and result["machine"]["postgresql"] in done.stdout
    assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert processes.processes_of_instance(mark) == []


def test_read_is_one_round_trip_with_the_database(tmp_path):
    """Key check included: one send for it; with many connections what is ready at once shares it. And no more calls of
    the system than are explained: of nginx, its request in and its answer out; of the database the same; three waits."""
    figures = tmp_path / "figures.json"
    done = bench_undisturbed("--branches", 100, "--seconds", 1, "--measure", "processor,system-calls", "--json", figures,
                             program="profile_reads.py")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(figures.read_text())
    alone, shared = (seen["system_calls"][connections] for connections in ("1", "64"))
    assert alone["requests"] > 0 and shared["requests"] > 0
    # Some are of what began before strace did, or of what ended after the load's end.
    assert 0.9 < alone["per_request"]["sendto"] < 1.1
    assert alone["sum"] < 10
    assert shared["per_request"]["sendto"] < 0.5
    assert 0 < sum(seen["processor"]["per_request_us"].values()) < seen["processor"]["all_us"]


def test_profile_counts_instructions_by_function(tmp_path):
    figures = tmp_path / "figures.json"
    done = bench_undisturbed("--branches", 100, "--seconds", 2, "--measure", "instructions", "--json", figures, program="profile_reads.py")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(figures.read_text())["instructions"]
    functions = seen["functions"]
    loop = functions["worker_database_loop (src/server/worker_database.c)"]
    assert 0 < functions["unseal (src/crypto/seal.c)"] < loop
    # All that a worker does it does in its loop, but for its start, which costs two of them nearly the same.
    assert 0.9 < loop / seen["per_request"] < 1.1
    assert seen["allocations"] > 0
    assert "worker_database_loop" in done.stdout


@pytest.mark.parametrize("arguments", [
    ["--branches", "0"], ["--only", "apache"], ["--measure", "size,everything"], ["--json", "/nowhere/at/all.json"],
    ["--measure", "size", "--picture", "picture.svg"], ["more"],
], ids=lambda words: " ".join(words))
def test_wrong_usage_is_2_and_starts_nothing(arguments):
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: scripts/bench")


class Stub(http.server.ThreadingHTTPServer):
    """Answers everything; what, and how long it takes, is as at the moment."""

    daemon_threads = True
    status_of = staticmethod(lambda number: 200)
    header, body = {}, b""
    wait = staticmethod(lambda: None)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.number = 0

    @property
    def contestant(self):
        return SimpleNamespace(name="token-service", title="a stub", target=load.Target(self.server_port, "key", 1, 10))


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.number += 1
        self.server.wait()
        self.send_response(self.server.status_of(self.server.number))
        self.send_header("Content-Length", str(len(self.server.body)))
        for name, value in self.server.header.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def stub():
    with Stub() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("status", [404, 503])
def test_contestant_that_answers_errors_fails_the_run(stub, status):
    """Under both loads, also when they are one in ten."""
    options = SimpleNamespace(measure=["throughput", "latency"], rounds=1, seconds=1, connections=2)
    stub.status_of = lambda number: status if number % 10 == 9 else 200
    result = contest.hold([stub.contestant], options, lambda text: None)
    failures = report.failures({"contest": result})
    assert [line.partition(":")[0] for line in failures] == ["contest throughput token-service", "contest latency token-service"]
    stub.status_of = lambda number: 200
    assert report.failures({"contest": contest.hold([stub.contestant], options, lambda text: None)}) == []


@pytest.mark.parametrize("status, header, body, outcome, is_error", [
    (200, {}, b'{"access_token": "at-1-aaaa"}', "200", False),
    (200, {}, b'{"access_token": "at-10-aaaa"}', "200 without the branch's token", True),
    (200, {}, b'{"access_token": "at-1-', "200 without the branch's token", True),
    (503, {"Retry-After": "1"}, b"", "503", False),
    (503, {}, b"", "503 without Retry-After", True),
    (429, {}, b"", "429 without Retry-After", True),
    (404, {"Retry-After": "1"}, b"", "404", True),
])
def test_storm_counts_as_served_who_got_the_token(stub, status, header, body, outcome, is_error):
    stub.status_of, stub.header, stub.body = lambda number: status, header, body
    seen = storm(stub.contestant.target._replace(last=1), 3)
    assert seen["outcomes"] == {outcome: 3}
    assert seen["served"] == (3 if outcome == "200" else 0) and (seen["p99_ms"] is not None) == (outcome == "200")
    assert seen["errors"] == ({outcome: 3} if is_error else {})


def test_storm_counts_who_is_not_answered(stub):
    """Nobody listens any more."""
    target = stub.contestant.target
    stub.server_close()
    assert storm(target, 3)["errors"] == {"nothing": 3}


def test_multiplied_rows_take_what_filled_ones_take(make_database):
    """In every index too; equal keys would share their entries."""
    number, sizes = 20_000, []
    for filled in (number, 200):
        database = make_database()
        rows.fill(database, filled)
        rows.multiply(database, number)
        sizes.append(dict(database.all(
            "SELECT indexrelname, pg_relation_size(indexrelid) FROM pg_stat_user_indexes WHERE relname IN ('clients', 'tokens')"
            " UNION ALL SELECT relname, pg_relation_size(relid) FROM pg_stat_user_tables WHERE relname IN ('clients', 'tokens')")))
    assert len(sizes[0]) > 6
    for name, size in sizes[0].items():
        assert sizes[1][name] == pytest.approx(size, rel=0.05), name


def test_open_loop_counts_from_when_a_request_was_due(stub):
    """While a server stalls, every request that would have come in that time is slow, not only those that were sent."""
    def play():
        gate, first = threading.Event(), threading.Lock()

        def stall():
            if first.acquire(blocking=False):
                threading.Timer(1, gate.set).start()
            gate.wait()

        stub.wait = stall
        result = load.open_loop(stub.contestant.target, rate=100, seconds=2, connections=2)
        assert result["errors"] == {} and result["requests"] == 200
        assert result["max_us"] > 900_000
        # Two were under way; of the other 98 that were due meanwhile half waited for more than half of the time.
        assert result["p90_us"] > 500_000
        # Unless the machine stands still as well.
        return result["p50_us"] >= 500_000 and f"p50 {result['p50_us']} µs"

    in_one_of_three_rounds(play)


def test_what_is_never_answered_is_an_error(stub):
    """The generator does not wait for ever, and says how many are missing."""
    gate = threading.Event()
    stub.wait = gate.wait
    try:
        result = load.open_loop(stub.contestant.target, rate=5, seconds=1, connections=2)
    finally:
        gate.set()
    assert result["errors"] == {"unanswered": 5}
