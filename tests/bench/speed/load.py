"""Load: closed loops with wrk, open loops with pace.c."""

import contextlib
import json
import os
from collections import namedtuple
from pathlib import Path

from .programs import BUILD, Failed, end_of, output, running

SCRIPT = Path(__file__).resolve().parents[1] / "branches.lua"
PATH = "/tokens/branch-"
LOADS_AT_MOST = 60

# Branches first to last are asked for, at random.
Target = namedtuple("Target", "port key first last")


def closed_loop(target, seconds, connections):
    """As many requests as get through: {requests_per_second, errors, p50_us, p99_us}."""
    text = output(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", SCRIPT,
         f"http://127.0.0.1:{target.port}/"],
        BENCH_PATH=PATH, BENCH_FIRST=target.first, BENCH_LAST=target.last, BENCH_KEY=target.key)
    said = json.loads(text.splitlines()[-1])
    errors = {kind: said[kind] for kind in ("connect", "read", "write", "timeout", "status") if said[kind]}
    return {"requests_per_second": round(said["requests"] / said["seconds"], 1), "requests": said["requests"],
            "errors": errors, "p50_us": said["p50_us"], "p99_us": said["p99_us"]}


def all_answered(target, seconds, connections):
    """closed_loop(), of which nothing may have failed."""
    seen = closed_loop(target, seconds, connections)
    if seen["errors"] or not seen["requests"]:
        raise Failed(f"{seen['requests']} requests, errors: {seen['errors']}")
    return seen


def until_answered(target, seconds, connections, at_least):
    """closed_loop() again and again, until so many requests are answered: how many. A slow machine, or a slowed worker, may
    answer none within the first."""
    answered = 0
    for _ in range(LOADS_AT_MOST):
        seen = closed_loop(target, seconds, connections)
        if seen["errors"]:
            break
        answered += seen["requests"]
        if answered >= at_least:
            return answered
    raise Failed(f"{answered} requests of {at_least}, errors: {seen['errors']}")


def _pace(target, rate, seconds, connections):
    return [BUILD / "pace", "--port", target.port, "--rate", f"{rate:.3f}", "--seconds", seconds,
            "--connections", connections, "--path", PATH, "--first", target.first, "--last", target.last,
            "--key", target.key]


def _said(text, rate):
    said = json.loads(text)
    errors = {status: number for status, number in said["statuses"].items() if status != "200"}
    if said["unanswered"]:
        errors["unanswered"] = said["unanswered"]
    return {**said, "rate": round(rate, 1), "errors": errors}


def open_loop(target, rate, seconds, connections):
    """rate requests a second, come what may: {p50_us, p99_us, …, errors}; times from when each was due."""
    return _said(output(_pace(target, rate, seconds, connections)), rate)


@contextlib.contextmanager
def meanwhile(target, rate, seconds, connections):
    """An open loop beside what the block does; a function that waits for its end and gives what open_loop() gives."""
    with running(_pace(target, rate, seconds, connections)) as child:
        yield lambda: _said(end_of(child), rate)


def cores():
    return len(os.sched_getaffinity(0))
