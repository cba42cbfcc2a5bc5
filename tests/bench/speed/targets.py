"""What the service is to be, and whether it was seen to be that."""

from collections import namedtuple

# What is shared at the moment of looking makes a twentieth; a block lost in each of a million requests makes the half of it.
MAY_GROW = 1.1


# wanted: as text; seen: a number, None when it was not measured
Target = namedtuple("Target", "what wanted seen unit met")


def _at_least(what, limit, seen, unit="×"):
    return Target(what, f"≥ {limit:g} {unit}", seen, unit, seen is not None and seen >= limit)


def _at_most(what, limit, seen, unit="×", wanted=None):
    return Target(what, wanted or f"≤ {limit:g} {unit}", seen, unit, seen is not None and seen <= limit)


def _ratio(table, peer, field):
    """The service's figure over that of the peer; None where either was not measured."""
    if not table or "token-service" not in table or peer not in table or not table[peer][field]:
        return None
    return table["token-service"][field] / table[peer][field]


def of(result):
    contest = result.get("contest", {})
    throughput, latency = contest.get("throughput"), contest.get("latency")
    size, hung, refresh, memory, start, claim, storm = (
        result.get(name, {}) for name in ("size", "hung", "refresh", "memory", "start", "claim", "storm"))
    per_refresher = refresh.get("per_refresher_per_s")
    rows = [
        _at_least("throughput against (a)", 40, _ratio(throughput, "fastapi", "median")),
        _at_least("throughput against (b)", 1.7, _ratio(throughput, "libfcgi", "median")),
        _at_least("throughput against (c)", 0.5, _ratio(throughput, "hello", "median")),
        _at_most("p99 at half of the maximum rate, against (a) at half of its own", 1 / 20,
                 _ratio(latency, "fastapi", "p99_us"), wanted="≤ 1/20"),
        _at_least("throughput over many branches against few", 0.9, size.get("ratio")),
        _at_most("p99 with the provider hung against undisturbed", 1.5, hung.get("ratio")),
        _at_least("refreshes of one refresher, against the 10/s of a provider of 100 ms", 0.95,
                  per_refresher and per_refresher / 10),
        _at_most("CPU of one refresh", 1, refresh.get("cpu_ms"), "ms"),
        _at_most("memory of the service, proportional set", 60, memory.get("after_mb"), "MB"),
        _at_most("memory after all the requests against before", MAY_GROW, memory.get("growth")),
        _at_most("start to the first good /health", 150, start.get("ms"), "ms"),
        _at_most("claim of the next due row, p99, by an index alone", 1,
                 claim.get("p99_ms") if claim.get("by_index", True) else float("inf"), "ms"),
        _at_most("storm: p99 of the served", 2000, storm.get("p99_ms"), "ms"),
    ]
    return [row for row in rows if row.seen is not None]
