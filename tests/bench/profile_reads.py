"""What scripts/profile runs: see its --help."""

import json
import os
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/integration"), str(TOP / "tests/bench")]

from speed import instructions, processor, rows, system_calls, world  # noqa: E402
from speed.command import parser_of, say, status_of, whole_number  # noqa: E402
from support import processes  # noqa: E402

MEASURES = ("processor", "system-calls", "instructions")
CONNECTIONS = (1, 64)
EPILOG = """
processor      time on a processor of nginx, the database workers and PostgreSQL for each
               GET /tokens/{branch}, with 64 connections
system-calls   of the database workers for each one, counted with strace: with one connection, and
               with 64, where what is ready at once shares a round trip
instructions   of a worker for each one, counted with callgrind: of each function with all that it
               calls, and how often memory is allocated; not touched by what else the machine does

Exit status: 0 measured; 2 wrong usage; 1 anything else.
"""


def parse(arguments):
    parser = parser_of("scripts/profile", "What a read costs a worker, everything on.", EPILOG, MEASURES)
    parser.add_argument("--branches", type=whole_number, default=10_000, metavar="N", help="connected branches (10000)")
    parser.add_argument("--seconds", type=whole_number, default=5, metavar="N", help="of load for each figure (5)")
    parser.add_argument("--functions", type=whole_number, default=40, metavar="N", help="shown, the dearest first (40)")
    return parser.parse_args(arguments)


def measure(options, directory):
    result = {}
    with world.World(say) as here, here.database() as database:
        rows.fill(database, options.branches)
        if "processor" in options.measure:
            with here.service(database, 1, options.branches) as ours:
                say("processor")
                result["processor"] = processor.of_reads(here, ours, options.seconds)
        if "system-calls" in options.measure:
            with here.service(database, 1, options.branches) as ours:
                say("system calls")
                result["system_calls"] = {
                    number: system_calls.of_reads(ours, options.seconds, number, directory) for number in CONNECTIONS}
        if "instructions" in options.measure:
            say("instructions, under callgrind")
            result["instructions"] = instructions.of_reads(here, database, options, directory)
    return result


def lines(result, functions):
    if "processor" in result:
        seen = result["processor"]
        yield f"processor, µs of a read, {seen['requests']:,} requests; the cores had {seen['all_us']:.1f} for each"
        for name, spent in seen["per_request_us"].items():
            yield f"  {name:20}{spent:8.1f}"
        yield ""
    for connections, seen in result.get("system_calls", {}).items():
        yield f"system calls of a read, {connections} connections, {seen['requests']:,} requests"
        for name, number in sorted(seen["per_request"].items(), key=lambda item: -item[1]):
            if number >= 0.005:
                yield f"  {name:20}{number:8.2f}"
        yield f"  {'sum':20}{seen['sum']:8.2f}"
        yield ""
    if "instructions" in result:
        seen = result["instructions"]
        yield f"instructions of a read, {seen['requests']:,} requests: {seen['per_request']:,.0f}, {seen['allocations']:.1f} allocations"
        for name, number in list(seen["functions"].items())[:functions]:
            yield f"  {number:9,.0f}  {number / seen['per_request']:4.0%}  {name}"


def main(arguments):
    options = parse(arguments)

    def work():
        directory = processes.make_directory("profile")
        try:
            result = measure(options, directory)
        finally:
            processes.remove_directory(directory)
        print("\n".join(lines(result, options.functions)))
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n")
        return 0

    return status_of(work)


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main(sys.argv[1:]))
