"""From the start of `token-service serve` to its first good answer, with nginx in front of it already."""

import statistics
import time

import httpx
from support.processes import wait_until

from . import rows

BRANCHES = 1000


def _start_ms(service, client):
    service.terminate()
    service.wait_exit()
    begun = time.monotonic()
    service.start_master()
    wait_until(lambda: client.get("/health").status_code == 200, 30, "/health is good")
    return (time.monotonic() - begun) * 1000


def run(world, options, say):
    with world.database() as database:
        rows.fill(database, BRANCHES)
        with world.service(database, 1, BRANCHES) as ours, httpx.Client(base_url=ours.service.url, trust_env=False) as client:
            rounds = [_start_ms(ours.service, client) for _ in range(options.rounds)]
    say(f"start: {', '.join(f'{took:.0f}' for took in rounds)} ms")
    return {"rounds_ms": rounds, "ms": statistics.median(rounds)}
