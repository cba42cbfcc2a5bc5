"""What is run to its end: the load generators and the fill, without anything left behind when this is interrupted."""

import contextlib
import subprocess

from support import processes

BUILD = processes.ROOT / "build/tests/bench"


class Failed(Exception):
    """The benchmark itself could not go on."""


@contextlib.contextmanager
def running(command, **env):
    """The program, its output in pipes; ended with the block."""
    child = processes.start(command, env=processes.plain_environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def end_of(child):
    """What it has written, once it has ended well."""
    out, err = child.communicate()
    if child.returncode:
        raise Failed(f"{child.args}: exit status {child.returncode}: {err.decode()}{out.decode()}")
    return out.decode()


def output(command, **env):
    with running(command, **env) as child:
        return end_of(child)
