"""What a refresher gets done with a provider that takes 100 ms, and what of the processor that costs."""

import statistics
import time

from support.processes import wait_until

from . import processor, rows

PROVIDER_MS = 100
REFRESHERS = 2
# More than can be done: nobody runs out of rows.
ROWS_PER_S = 12 * REFRESHERS


def _observe(ours, provider, pids, seconds):
    before, cpu, begun = provider.counts(), processor.ns_of(pids), time.monotonic()
    time.sleep(seconds)
    after, cpu, took = provider.counts(), processor.ns_of(pids) - cpu, time.monotonic() - begun
    number = _good(after) - _good(before)
    assert number > 0, f"no refresh at all: {after}"
    return {"refreshes": number, "per_refresher_per_s": number / took / REFRESHERS, "cpu_ms": cpu / 1e6 / number}


def _outcomes(counts):
    return counts["grant_types"].get("refresh_token", {}).get("outcomes", {})


def _good(counts):
    return _outcomes(counts).get("ok", 0)


def run(world, options, say):
    number = (options.seconds * options.rounds + 10) * ROWS_PER_S
    provider = world.provider
    with world.database() as database:
        say(f"{number:,} branches whose tokens are due, a provider that takes {PROVIDER_MS} ms")
        rows.fill(database, number)
        ids = range(1, number + 1)
        rows.give_grants(database, provider, ids)
        provider.reset()
        provider.fault("delay", times=None, ms=PROVIDER_MS)
        rows.expire(database, ids)
        with world.service(database, 1, number, REFRESHERS=str(REFRESHERS)) as ours:
            wait_until(lambda: _good(provider.counts()) >= 2 * REFRESHERS, 30, "the refreshers refresh")
            pids = ours.service.worker_pids("refresher")
            assert len(pids) == REFRESHERS, f"{len(pids)} refreshers"
            rounds = []
            for round in range(1, options.rounds + 1):
                rounds.append(_observe(ours, provider, pids, options.seconds))
                say(f"refresh {round}/{options.rounds}: {rounds[-1]['per_refresher_per_s']:.2f}/s for each refresher, "
                    f"{rounds[-1]['cpu_ms']:.2f} ms of CPU each")
            errors = {outcome: number for outcome, number in _outcomes(provider.counts()).items() if outcome != "ok"}
            took = _provider_took_ms(provider)
    return {"provider_ms": took, "rounds": rounds, "errors": errors,
            "per_refresher_per_s": statistics.median(each["per_refresher_per_s"] for each in rounds),
            "cpu_ms": statistics.median(each["cpu_ms"] for each in rounds)}


def _provider_took_ms(provider):
    """The provider's own time for each, which is a little more than it was told to take."""
    return statistics.median(entry["ended_at"] - entry["started_at"] for entry in provider.refreshes() if entry["ended_at"])
