"""What scripts/test-ha runs: see its --help."""

import argparse
import os
import secrets
import signal
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / name) for name in ("integration", "bench", "ha")]

import failover  # noqa: E402
import scale  # noqa: E402
from support import processes  # noqa: E402


def numbers(text):
    found = [int(word) for word in text.split(",")]
    if not all(1 <= number <= 32 for number in found):
        raise ValueError
    return found


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/test-ha", add_help=False, allow_abbrev=False)
    parser.add_argument("--failovers", type=int, default=10)
    parser.add_argument("--grace", type=float, default=failover.GRACE_S)
    parser.add_argument("--hosts", type=numbers, default=[2, 4, 8])
    parser.add_argument("--refreshes", type=int, default=10_000)
    parser.add_argument("--seed", default=None)
    options = parser.parse_args()
    if options.failovers < 0 or options.refreshes < 0:
        parser.error("--failovers, --refreshes: 0 leaves the part out")
    return options


def run(options):
    violations, interrupted, faults = [], False, []
    if options.failovers:
        violations, interrupted = failover.run(options.failovers, options.grace, options.seed or secrets.token_hex(4))
    if options.refreshes and not interrupted:
        faults = scale.run(options.hosts, options.refreshes)
    for fault in faults:
        print(f"BROKEN: {fault}", flush=True)
    if violations or faults:
        return 1
    return 130 if interrupted else 0


def main():
    options = arguments()
    # What was started is ended; Ctrl-C even where a shell made this ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for each in (name, name.upper()):
            os.environ.pop(each, None)
    processes.remove_orphans()
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130
    except AssertionError as error:
        print(f"BROKEN: {error}", flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
