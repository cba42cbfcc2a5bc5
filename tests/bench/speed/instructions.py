"""Instructions of a read, function by function, as callgrind counts them: hardly other on a busy machine."""

import re
import subprocess
from collections import Counter, namedtuple

from support import processes

from . import load
from .programs import Failed

ALLOCATING = {"malloc", "calloc", "realloc"}
# Called once for every request of the load, by a pointer: never inlined.
REQUESTING = {"token_ask"}
CONNECTIONS = 64
WARM_UP_S = 1
# So many that what a worker does beside them, its start above all, is next to nothing of each, however slow the machine.
REQUESTS = 300

# functions: {name: instructions, with those of what it calls}
Seen = namedtuple("Seen", "requests instructions allocations functions")


def _life_of_worker(world, database, options, seconds, at_least, directory):
    """All that one worker does from its start to its end, with so much load in between, and so many requests."""
    command = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={directory}/callgrind.%p"]
    with world.service(database, 1, options.branches, wrapper=command, DATABASE_WORKERS="1") as ours:
        [worker] = ours.service.worker_pids("database")
        load.until_answered(ours.target, seconds, CONNECTIONS, at_least)
    counts = directory / f"callgrind.{worker}"
    # The worker's own count: the load's leaves out what was under way when it ended, a lot where a machine serves few.
    return Seen(_calls(counts, REQUESTING), _total(counts), _calls(counts, ALLOCATING), _inclusive(counts))


def of_reads(world, database, options, directory):
    """{requests, per_request, allocations, functions}: what a long life has more than a short one."""
    short = _life_of_worker(world, database, options, WARM_UP_S, 1, directory)
    long = _life_of_worker(world, database, options, WARM_UP_S + options.seconds, short.requests + REQUESTS, directory)
    requests = long.requests - short.requests
    functions = {name: (number - short.functions[name]) / requests for name, number in long.functions.items()}
    return {"requests": requests, "per_request": (long.instructions - short.instructions) / requests,
            "allocations": (long.allocations - short.allocations) / requests,
            "functions": dict(sorted(functions.items(), key=lambda item: -item[1]))}


def _total(counts):
    return int(re.search(r"^totals: (\d+)", counts.read_text(), re.M).group(1))


def _calls(counts, functions):
    """A function is named where its number is first used: "cfn=(12) malloc", "cfn=(12)" from then on."""
    names, called, number = {}, None, 0
    for line in counts.read_text().splitlines():
        if match := re.match(r"(c?fn)=(\(\d+\))(?: (.*))?", line):
            kind, id, name = match.groups()
            if name:
                names[id] = name
            called = names[id] if kind == "cfn" else called
        elif line.startswith("calls=") and called in functions:
            number += int(line[6:].split()[0])
    return number


def _inclusive(counts):
    """Our own functions only, without the sources' lines: a call in one of those looks like a function's own line."""
    done = subprocess.run(["callgrind_annotate", "--auto=no", "--inclusive=yes", "--threshold=100", "--show-percs=no", str(counts)],
                          env=processes.plain_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"callgrind_annotate: {done.stderr}")
    found = re.findall(r"^\s*([\d,]+)\s+(?:.*/)?(src/\S+\.c):(\S+)", done.stdout, re.M)
    return Counter({f"{name} ({path})": int(number.replace(",", "")) for number, path, name in found})
