"""Whose time on a processor a read takes: nginx's, the workers', PostgreSQL's."""

from pathlib import Path

from support.processes import children_of

from . import load

CONNECTIONS = 64
WARM_UP_S = 1


def ns_of(pids):
    """Time on a processor, user and system, of all of them; the scheduler's own count, for ticks are 10 ms."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def of_reads(world, ours, seconds):
    """{requests, per_request_us: {program: µs}, all_us}: all_us is what the cores had for each, the load's share included."""
    load.closed_loop(ours.target, WARM_UP_S, CONNECTIONS)
    programs = {"nginx": children_of(ours.service.nginx.process.pid), "database workers": ours.service.worker_pids("database"),
                "PostgreSQL": children_of(world.cluster.server.pid)}
    before = {name: ns_of(pids) for name, pids in programs.items()}
    seen = load.all_answered(ours.target, seconds, CONNECTIONS)
    spent = {name: (ns_of(pids) - before[name]) / 1000 / seen["requests"] for name, pids in programs.items()}
    return {"requests": seen["requests"], "per_request_us": spent,
            "all_us": load.cores() * 1e6 / seen["requests_per_second"]}
