"""Rounds in turn, and what came of them."""

import statistics

from . import load, peers, rows

WARM_UP_S = 1
OURS, ORIGINAL = "token-service", "fastapi"


def median(values):
    return statistics.median(values)


def throughput(contestants, options, say):
    """{name: {rounds, median, min, max, errors}}: closed loops, A B C A B C …"""
    seen = {each.name: [] for each in contestants}
    for round in range(1, options.rounds + 1):
        for each in contestants:
            if round == 1:
                load.closed_loop(each.target, WARM_UP_S, options.connections)
            seen[each.name].append(load.closed_loop(each.target, options.seconds, options.connections))
            say(f"throughput {round}/{options.rounds}: {each.name} {seen[each.name][-1]['requests_per_second']:,.0f}/s")
            _forget_logs(each)
    return {name: _throughput_of(results) for name, results in seen.items()}


def _throughput_of(results):
    rates = [result["requests_per_second"] for result in results]
    return {"rounds": results, "median": median(rates), "min": min(rates), "max": max(rates), "errors": errors_of(results)}


def latency(contestants, rates, options, say):
    """{name: {rounds, rate, p50_us, p99_us, errors}}: open loops, each at its own rate {name: requests/s}, in turn."""
    seen = {each.name: [] for each in contestants}
    for round in range(1, options.rounds + 1):
        for each in contestants:
            result = load.open_loop(each.target, rates[each.name], options.seconds, options.connections)
            seen[each.name].append(result)
            say(f"latency {round}/{options.rounds}: {each.name} p99 {result.get('p99_us', 0) / 1000:.1f} ms at {result['rate']:,.0f}/s")
            _forget_logs(each)
    return {name: latency_of(results) for name, results in seen.items()}


def latency_of(results):
    answered = [result for result in results if "p99_us" in result]
    return {"rounds": results, "rate": results[0]["rate"], "errors": errors_of(results),
            **{name: median([result[name] for result in answered] or [0]) for name in ("p50_us", "p99_us")}}


def errors_of(results):
    """{kind: how many} of all of them; a run that has any is no measurement."""
    sums = {}
    for result in results:
        for kind, number in result["errors"].items():
            sums[kind] = sums.get(kind, 0) + number
    return sums


def _forget_logs(contestant):
    if hasattr(contestant, "forget_logs"):
        contestant.forget_logs()


def hold(contestants, options, say):
    """Throughput, latency at half of each one's own maximum, and the service's at the rate at which (a) had its own."""
    result = {}
    if "throughput" in options.measure or "latency" in options.measure:
        result["throughput"] = throughput(contestants, options, say)
    if "latency" in options.measure:
        rates = {name: seen["median"] / 2 for name, seen in result["throughput"].items()}
        result["latency"] = latency(contestants, rates, options, say)
        if {OURS, ORIGINAL} <= set(rates):
            ours = [each for each in contestants if each.name == OURS]
            result["latency_at_rate_of_a"] = latency(ours, {OURS: rates[ORIGINAL]}, options, say)
    return result


def run(world, options, say):
    """The service against its peers."""
    with world.database() as database, world.database(migrated=False) as original:
        say(f"{options.branches:,} branches in two databases")
        rows.fill(database, options.branches)
        rows.fill_original(original, options.branches)
        with world.service(database, 1, options.branches) as ours, peers.all_of_them(original, options.branches) as others:
            peers.check_same_answers(ours, others)
            contestants = [each for each in [ours, *others] if each.name in options.only]
            return {**hold(contestants, options, say),
                    "titles": {each.name: each.title for each in contestants}}
