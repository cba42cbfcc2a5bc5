"""What only root may do: look into processes that keep others out, as the service's do. An ordinary user asks sudo."""

import os
import subprocess
from pathlib import Path


def as_root():
    """What stands before a command that needs root's rights."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def _output(command):
    done = subprocess.run([*as_root(), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode and b"sudo:" in done.stderr:
        raise PermissionError(f"only root may do this: run it as root, or let sudo work without a password: {done.stderr.decode()}")
    return done


def read(path):
    """The bytes of a file of /proc; FileNotFoundError when the process has ended."""
    try:
        return Path(path).read_bytes()
    except PermissionError:
        done = _output(["cat", "--", path])
        if done.returncode:
            raise FileNotFoundError(f"{path}: {done.stderr.decode()}") from None
        return done.stdout


def descriptors(pid):
    """What each open descriptor of a process leads to, as /proc has it; none when it has ended."""
    return _output(["find", f"/proc/{pid}/fd", "-type", "l", "-printf", "%l\\n"]).stdout.decode().splitlines()


def interrupt(process):
    """SIGINT for a process that was started with as_root() before it."""
    _output(["kill", "-INT", process.pid])
