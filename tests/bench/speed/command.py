"""What scripts/bench and scripts/profile have in common as commands."""

import argparse
import signal
import sys
from pathlib import Path

from support import processes

from .programs import Failed


def whole_number(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def choice_of(allowed):
    def names(text):
        chosen = text.split(",")
        if not set(chosen) <= set(allowed):
            raise argparse.ArgumentTypeError(f"{text}: of {', '.join(allowed)}, comma-separated")
        return chosen

    return names


def file_to_write(text):
    path = Path(text).resolve()
    if not text or path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written")
    return path


def parser_of(name, description, epilog, measures):
    """With the options that both have."""
    parser = argparse.ArgumentParser(prog=name, description=description, epilog=epilog,
                                     formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--measure", type=choice_of(measures), default=list(measures), metavar="NAMES",
                        help=f"comma-separated ({','.join(measures)})")
    parser.add_argument("--json", type=file_to_write, metavar="FILE", help="every figure")
    return parser


def say(text):
    print(f"{Path(sys.argv[0]).stem.partition('_')[0]}: {text}", file=sys.stderr, flush=True)


def status_of(work):
    """The exit status: what work() gives, or 1 with the reason said; 130 when it was interrupted."""
    # As Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes.remove_orphans()
    try:
        return work()
    except (AssertionError, OSError, Failed) as error:
        say(error)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
