"""confined.py UNIT PROGRAM [ARG…]: the program under the filters of system calls that systemd would set for UNIT.

SystemCallFilter=, RestrictAddressFamilies= and MemoryDenyWriteExecute=, with what SystemCallErrorNumber= says; the rest
of a unit needs systemd itself.
"""

import errno
import mmap
import os
import socket
import subprocess
import sys

import seccomp


def settings(unit):
    """{name: [value, …]} of the unit's [Service]."""
    found, section = {}, None
    with open(unit, encoding="utf-8") as file:
        for line in map(str.strip, file):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and line[0] != "#":
                name, value = line.split("=", 1)
                found.setdefault(name, []).append(value)
    return found


def system_calls(names):
    """Those in sets like @system-service, and in the sets that these name."""
    calls = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        listed = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in listed.stdout.splitlines()[1:]]
        calls |= system_calls(line for line in lines if line and line[0] != "#")
    return calls


def allowed_calls(filters):
    """As systemd.exec(5) has it: the first line is a list of what is allowed, '~' takes away again."""
    allowed = set()
    for value in filters:
        if value.startswith("~"):
            allowed -= system_calls(value[1:].split())
        else:
            allowed |= system_calls(value.split())
    # "The execve(), exit() … system calls are implicitly allow-listed."
    return allowed | system_calls(["@default"]) | {"execve"}


def confine(unit):
    service = settings(unit)
    assert service["SystemCallErrorNumber"] == ["EPERM"] and service["MemoryDenyWriteExecute"] == ["yes"]
    families = [getattr(socket, name) for name in service["RestrictAddressFamilies"][0].split()]
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in allowed_calls(service["SystemCallFilter"]) - {"socket", "mmap", "mprotect"}:
        try:
            rules.add_rule(seccomp.ALLOW, name)
        except RuntimeError:  # of another architecture
            pass
    for family in families:
        rules.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.EQ, family))
    both = mmap.PROT_WRITE | mmap.PROT_EXEC
    for protection in (0, mmap.PROT_WRITE, mmap.PROT_EXEC):
        rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(2, seccomp.MASKED_EQ, both, protection))
    rules.add_rule(seccomp.ALLOW, "mprotect", seccomp.Arg(2, seccomp.MASKED_EQ, mmap.PROT_EXEC, 0))
    rules.load()


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execv(sys.argv[2], sys.argv[2:])
