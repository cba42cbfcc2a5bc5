"""Does a provider that hangs slow down those whose tokens are good? Their p99 with and without it, in turn."""

from support.processes import wait_until

from . import contest, load, rows
from .programs import Failed

EXPIRED = 100
# Each of them asks again after Retry-After, which is a second; what waits may take up to 4.5 s of it.
ASKING_PER_S = 100
ASKING_CONNECTIONS = 600
SETTLE_S = 1


def _undisturbed(ours, rate, options):
    return load.open_loop(ours.target, rate, options.seconds, options.connections)


def _disturbed(ours, expired, rate, options):
    """The valid ones' latency; what those who asked for the expired ones were told is beside it."""
    asked = load.Target(ours.target.port, ours.target.key, expired[0], expired[-1])
    with load.meanwhile(asked, ASKING_PER_S, options.seconds + SETTLE_S, ASKING_CONNECTIONS) as told:
        load.open_loop(ours.target, rate, SETTLE_S, options.connections)
        result = _undisturbed(ours, rate, options)
        statuses = told()["statuses"]
    # A token in such an answer would mean that the provider did not hang.
    if statuses.get("200") or not statuses.get("503"):
        raise Failed(f"the expired branches were answered {statuses}, not 503")
    return {**result, "expired_were_told": statuses}


def run(world, options, say):
    valid, expired = options.branches, range(options.branches + 1, options.branches + EXPIRED + 1)
    with world.database() as database:
        say(f"{valid:,} branches, {EXPIRED} of them expired, a provider that hangs")
        rows.fill(database, valid + EXPIRED)
        provider = world.provider
        rows.give_grants(database, provider, expired)
        with world.service(database, 1, valid) as ours:
            top = load.closed_loop(ours.target, options.seconds, options.connections)
            rate = top["requests_per_second"] / 2
            calm, hung = [], []
            for round in range(1, options.rounds + 1):
                calm.append(_undisturbed(ours, rate, options))
                provider.fault("hang", times=None)
                rows.expire(database, expired)
                hung.append(_disturbed(ours, expired, rate, options))
                say(f"hung {round}/{options.rounds}: p99 {calm[-1]['p99_us'] / 1000:.1f} ms undisturbed, "
                    f"{hung[-1]['p99_us'] / 1000:.1f} ms with the provider hung")
                _recover(database, provider, expired)
                ours.forget_logs()
    seen = {"undisturbed": contest.latency_of(calm), "hung": contest.latency_of(hung)}
    return {**seen, "maximum": top, "ratio": seen["hung"]["p99_us"] / max(seen["undisturbed"]["p99_us"], 1)}


def _recover(database, provider, expired):
    """Until all is as before: the refreshers have found out that the provider answers again."""
    provider.clear_faults()
    database.execute("UPDATE tokens SET refresh_due_at = now() - interval '10 minutes', refresh_retry_at = NULL"
                     " WHERE client_id = ANY(%s)", (list(expired),))
    wait_until(lambda: rows.expired(database, expired) == 0, 120, "the provider's return is noticed")
