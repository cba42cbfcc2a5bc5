"""From the start of `token-service serve` to its first good answer, with nginx in front of it already."""

import statistics
import time

import httpx

from . import rows
from .programs import Failed

BRANCHES = 1000
POLL_S = 0.001  # what is measured is known no better than this
PATIENCE_S = 30


def _start_ms(service, client):
    service.terminate()
    service.wait_exit()
    begun = time.monotonic()
    service.start_master()
    while client.get("/health").status_code != 200:
        if time.monotonic() > begun + PATIENCE_S:
            raise Failed(f"/health was not good within {PATIENCE_S} s")
        time.sleep(POLL_S)
    return (time.monotonic() - begun) * 1000


def run(world, options, say):
    with world.database() as database:
        rows.fill(database, BRANCHES)
        with world.service(database, 1, BRANCHES) as ours, httpx.Client(base_url=ours.service.url, trust_env=False) as client:
            rounds = [_start_ms(ours.service, client) for _ in range(options.rounds)]
    say(f"start: {', '.join(f'{took:.0f}' for took in rounds)} ms")
    return {"rounds_ms": rounds, "ms": statistics.median(rounds)}
