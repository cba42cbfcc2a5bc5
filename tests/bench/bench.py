"""What scripts/bench runs: see its --help."""

import json
import os
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/integration"), str(TOP / "tests/bench")]

from speed import claim, contest, hung, memory, refresh, report, size, start, storm, targets, world  # noqa: E402
from speed.command import choice_of, file_to_write, parser_of, say, status_of, whole_number  # noqa: E402

NAMES = ("token-service", "fastapi", "libfcgi", "hello", "return")
OTHERS = {"size": size, "hung": hung, "refresh": refresh, "memory": memory, "start": start, "claim": claim, "storm": storm}
MEASURES = ("throughput", "latency", *OTHERS)
EPILOG = """
token-service  everything on: sealed tokens, API keys, JSON logs, metrics, nginx with the site's own
               configuration, 2 database workers
fastapi        (a) the stack of the service that this one replaces: FastAPI, SQLAlchemy, psycopg2,
               2 uvicorn workers, behind nothing
libfcgi        (b) nginx, libfcgi, one prepared SELECT, 8 processes of one request each, no features
hello          (c) nginx, libfcgi, our worker loop with kept connections and nothing in it, 2 workers
return         (d) nginx alone: return 200

throughput     GET /tokens/{branch} of random branches as fast as it goes (wrk)
latency        the same at half of what each one's throughput was, from when each request was due
               (tests/bench/pace.c), and ours at the rate at which (a) had its own; measures throughput
               first
size           throughput over many branches against few
hung           p99 with a provider that hangs and 100 expired branches asked for all the while
refresh        refreshes per refresher with a provider of 100 ms, and their CPU
memory         proportional set of master and workers, all of which have spoken TLS to the provider, and whether
               it grows with the requests
start          from the start of `token-service serve` to its first good /health
claim          a refresher's claim of the next due row among very many, as PostgreSQL saw it
storm          clients that connect all at once, each for one token

All run on one PostgreSQL of its own, in turn, and the table has medians. Whoever answers an error
fails the run. Exit status: 0 measured; 2 wrong usage; 1 anything else.
"""


def parse(arguments):
    parser = parser_of("scripts/bench", "How fast the service is, beside what people would use instead.", EPILOG, MEASURES)
    parser.add_argument("--branches", type=whole_number, default=100_000, metavar="N", help="connected branches (100000)")
    parser.add_argument("--rounds", type=whole_number, default=5, metavar="N", help="rounds in turn (5)")
    parser.add_argument("--seconds", type=whole_number, default=5, metavar="N", help="of each one in each round (5)")
    parser.add_argument("--connections", type=whole_number, default=64, metavar="N", help="kept by the load (64)")
    parser.add_argument("--many", type=whole_number, default=1_000_000, metavar="N", help="branches of size, many (1000000)")
    parser.add_argument("--few", type=whole_number, default=1000, metavar="N", help="branches of size, few (1000)")
    parser.add_argument("--requests", type=whole_number, default=1_000_000, metavar="N", help="of memory (1000000)")
    parser.add_argument("--rows", type=whole_number, default=10_000_000, metavar="N", help="branches of claim (10000000)")
    parser.add_argument("--clients", type=whole_number, default=2000, metavar="N", help="of storm (2000)")
    parser.add_argument("--only", type=choice_of(NAMES), default=list(NAMES), metavar="NAMES",
                        help=f"of throughput and latency, comma-separated ({','.join(NAMES)})")
    parser.add_argument("--picture", type=file_to_write, metavar="FILE", help="throughput and latency as SVG")
    options = parser.parse_args(arguments)
    if options.picture and not {"throughput", "latency"} & set(options.measure):
        parser.error("--picture shows throughput and latency: --measure has neither")
    return options


def measure(options):
    with world.World(say) as here:
        result = {"machine": world.machine(here.cluster), "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                  "settings": {name: getattr(options, name) for name in ("branches", "rounds", "seconds", "connections")}}
        if {"throughput", "latency"} & set(options.measure):
            result["contest"] = contest.run(here, options, say)
        for name, measurement in OTHERS.items():
            if name in options.measure:
                result[name] = measurement.run(here, options, say)
    return {**result, "targets": [row._asdict() for row in targets.of(result)], "failures": report.failures(result)}


def main(arguments):
    options = parse(arguments)

    def work():
        result = measure(options)
        print(report.text(result))
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n")
        if options.picture:
            report.picture(result, options.picture)
        return 1 if result["failures"] else 0

    return status_of(work)


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main(sys.argv[1:]))
