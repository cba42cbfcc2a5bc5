"""What a service holds while nobody calls it: memory, descriptors, connections to its database; and what it wrote."""

from collections import namedtuple
from pathlib import Path

from support import privileged, trouble
from support.answers import all_workers
from support.processes import memory_of, wait_until

# Against the measure after the warm-up. The sum of all processes: an allocator settles, a leak goes on.
MEMORY_FACTOR = 1.2
MEMORY_SLACK = 2 * 1024 * 1024
DESCRIPTORS_SLACK = 2  # a connection to the provider and the pipe of a resolver may be there or not
# A line of nginx's access log, and the service's own at INFO: its requests are silent unless they need somebody.
ACCESS_BYTES = 600
LOG_BYTES_GOOD = 8
LOG_BYTES_BAD = 600
LOG_BYTES_FAULT = 64 * 1024  # of each injected fault: every worker may say what befell it

Held = namedtuple("Held", "memory descriptors processes")


def descriptors_of(pid, socket_dir):
    """How many, without the connections that nginx keeps."""
    bound = {}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7:
            bound[f"socket:[{fields[6]}]"] = (fields[7], fields[3])
    number = 0
    for target in privileged.descriptors(pid):
        path, flags = bound.get(target, ("", ""))
        is_listener = flags == "00010000"
        if is_listener or not path.startswith(str(socket_dir)):
            number += 1
    return number


def held(hosts):
    """The sum of the memory, the largest number of descriptors; once every worker is there."""
    for host in hosts:
        all_workers(host)
    pids = [(pid, host.socket_dir) for host in hosts for pid in (host.master_pid, *host.worker_pids())]
    return Held(sum(memory_of(pid) for pid, _ in pids),
                max(descriptors_of(pid, socket_dir) for pid, socket_dir in pids), len(pids))


def check_held(before, after):
    """[(promise, text)] of what grew."""
    most = int(before.memory * MEMORY_FACTOR) + MEMORY_SLACK
    if after.memory > most:
        yield "memory", f"{before.memory} bytes after the warm-up, {after.memory} at the end, at most {most} allowed"
    if after.descriptors > before.descriptors + DESCRIPTORS_SLACK:
        yield "descriptors", f"a process had {before.descriptors} after the warm-up, one has {after.descriptors} at the end"


def check_connections(hosts, database):
    """One for each worker that needed one, none in a transaction."""
    workers = sum(len(all_workers(host)) for host in hosts)

    def settled():
        return len(trouble.sessions(database)) <= workers and not trouble.sessions(database, "idle in transaction")

    try:
        wait_until(settled, 30, "the connections settle")
    except AssertionError:
        idle = trouble.sessions(database, "idle in transaction")
        yield "connections", f"{len(trouble.sessions(database))} for {workers} workers; in a transaction: {idle}"


def written(hosts):
    """Bytes of (the service's logs, nginx's access logs)."""
    access = [host.nginx.run_dir / "access.log" for host in hosts]
    return (sum(host.stderr_path.stat().st_size for host in hosts),
            sum(path.stat().st_size for path in access if path.exists()))


def check_logs(own, access, good, bad, faults):
    """good, bad: numbers of requests."""
    most = good * LOG_BYTES_GOOD + bad * LOG_BYTES_BAD + (faults + 1) * LOG_BYTES_FAULT
    if own > most:
        yield "log", f"the service wrote {own} bytes, at most {most} are its share"
    most = (good + bad) * ACCESS_BYTES + 64 * 1024
    if access > most:
        yield "log", f"nginx wrote {access} bytes into its access log, at most {most} are its share"
