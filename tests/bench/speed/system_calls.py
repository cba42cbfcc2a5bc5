"""System calls of a read, counted with strace while the load goes on."""

import contextlib

from support import privileged, processes

from . import load
from .programs import Failed

# So many that what is under way at either end of a load is little of it, however long the machine stands still.
REQUESTS = 500


@contextlib.contextmanager
def _traced(pids, path):
    """Every system call of these processes is in the summary at path, once the block has ended."""
    command = [*privileged.as_root(), "strace", "-f", "-c", "-U", "calls,name", "-o", path]
    for pid in pids:
        command += ["-p", pid]
    log = path.with_suffix(".log")
    with open(log, "wb") as out:
        tracer = processes.start(command, env=processes.plain_environment(), stdout=out, stderr=out)
    try:
        processes.wait_until(lambda: _attached(tracer, log) == len(pids), 20, "strace is attached")
        yield
    finally:
        privileged.interrupt(tracer)
        tracer.wait(processes.seconds(20))


def _attached(tracer, log):
    said = log.read_text()
    if tracer.poll() is not None:
        raise Failed(f"strace has ended: {said}")
    return said.count(" attached")


def _summary(path):
    """{name: calls} of what strace has written: a table between two lines of dashes."""
    rows = path.read_text().split("\n")
    first, last = [number for number, row in enumerate(rows) if row.startswith("---")]
    return {name: int(calls) for calls, name in (row.split() for row in rows[first + 1:last])}


def of_reads(ours, seconds, connections, directory):
    """{requests, per_request: {name: calls}, sum} of the database workers."""
    path = directory / f"strace-{connections}"
    load.closed_loop(ours.target, 1, connections)
    with _traced(ours.service.worker_pids("database"), path):
        requests = load.until_answered(ours.target, seconds, connections, REQUESTS)
    per_request = {name: calls / requests for name, calls in _summary(path).items()}
    return {"requests": requests, "per_request": per_request, "sum": sum(per_request.values())}
