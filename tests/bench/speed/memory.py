"""What the whole service takes of the memory, and whether that grows with what it has served."""

from support.processes import memory_of

from . import contest, load, rows, secure
from .programs import Failed

EXCHANGES = 200
EXCHANGES_PER_S = 40
PROVIDER_MS = 200  # long enough that every exchange worker gets its turn
WARM_UP = 1 / 20  # of the requests: until every buffer has had its largest answer


def _pss_mb(ours):
    pids = [ours.service.master_pid, *ours.service.worker_pids()]
    return sum(map(memory_of, pids)) / 2**20, pids


def _serve(ours, number, options):
    """At least so many reads; what the memory was in between: [{requests, mb}], and the errors."""
    results, samples = [], []
    while sum(result["requests"] for result in results) < number:
        results.append(load.closed_loop(ours.target, options.seconds, options.connections))
        ours.forget_logs()
        if not results[-1]["requests"]:
            raise Failed("no request was answered")
        samples.append({"requests": sum(result["requests"] for result in results), "mb": _pss_mb(ours)[0]})
    return samples, contest.errors_of(results)


def _use_every_exchange_worker(ours, database, provider, ids):
    """They have done nothing yet, and what has never been touched takes no memory. Returns the errors."""
    rows.give_grants(database, provider, ids)
    rows.expire(database, ids)
    provider.fault("delay", times=None, ms=PROVIDER_MS)
    expired = load.Target(ours.target.port, ours.target.key, ids[0], ids[-1])
    result = load.open_loop(expired, EXCHANGES_PER_S, EXCHANGES // EXCHANGES_PER_S, EXCHANGES)
    provider.clear_faults()
    return result["errors"]


def run(world, options, say):
    valid, expired = options.branches, range(options.branches + 1, options.branches + EXCHANGES + 1)
    with world.database() as database:
        rows.fill(database, valid + EXCHANGES)
        provider = world.provider
        with secure.front_of(provider) as by_tls, world.service(database, 1, valid, **by_tls) as ours:
            exchange_errors = _use_every_exchange_worker(ours, database, provider, expired)
            _serve(ours, options.requests * WARM_UP, options)
            before, pids = _pss_mb(ours)
            samples, errors = _serve(ours, options.requests, options)
            after, same = _pss_mb(ours)
    served = samples[-1]["requests"]
    say(f"memory: {before:.1f} MB, after {served:,} requests {after:.1f} MB")
    if pids != same:
        raise Failed("a worker was replaced meanwhile")
    return {"processes": len(pids), "requests": served, "before_mb": before, "after_mb": after,
            "growth": after / before, "samples": samples,
            "errors": contest.errors_of([{"errors": exchange_errors}, {"errors": errors}])}
