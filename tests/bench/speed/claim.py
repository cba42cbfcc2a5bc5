"""What a refresher's claim of the next due row costs among very many rows, as PostgreSQL itself sees it."""

import contextlib
import statistics

from support.postgres import Cluster
from support.processes import wait_until

from . import rows
from .programs import Failed
from .world import POSTGRES

DUE = 1000
SEALED = 10_000
# The statement and the plan are those that the service runs: the server says them, nothing is repeated here.
MODULES = {"shared_preload_libraries": "pg_stat_statements,auto_explain", "auto_explain.log_min_duration": "0",
           "pg_stat_statements.track": "all"}
CLAIM = "FOR UPDATE OF t SKIP LOCKED"


def _claims(log):
    """(ms, plan) of each in the log, the plan without the statement's text."""
    for entry in log.split("duration:")[1:]:
        first, *lines = entry.splitlines()
        text, *plan = [line for line in lines if line.startswith("\t")] or [""]
        if CLAIM in text and "pg_stat_statements" not in text:
            yield float(first.split()[0]), "\n".join(plan)


def _cost(database):
    seen = database.one("SELECT sum(calls)::bigint, sum(total_exec_time) / sum(calls), max(max_exec_time)"
                        " FROM pg_stat_statements WHERE query LIKE %s", (f"%{CLAIM}%",))
    if not seen[0]:
        raise Failed("no claim was seen")
    return dict(zip(("claims", "mean_ms", "max_ms"), seen))


def run(world, options, say):
    with contextlib.closing(Cluster(settings={**POSTGRES, **MODULES})) as cluster:
        database = cluster.create()
        say(f"{options.rows:,} branches, {DUE} of them due")
        rows.fill(database, min(SEALED, options.rows))
        rows.multiply(database, options.rows)
        [size] = database.one("SELECT pg_database_size(current_database())")
        due = range(1, min(DUE, options.rows) + 1)
        rows.give_grants(database, world.provider, due)
        rows.expire(database, due)
        database.execute("CREATE EXTENSION pg_stat_statements")
        [before] = database.one("SELECT pg_current_wal_lsn()")
        with world.service(database, 1, options.rows) as ours:
            wait_until(lambda: rows.expired(database, due) == 0, 300, "what is due is refreshed")
            [wal] = database.one("SELECT pg_current_wal_lsn() - %s::pg_lsn", (before,))
            ours.forget_logs()
        cost = _cost(database)
        claims = list(_claims(cluster.log.read_text()))
        database.drop()
    # Both modules see every claim; the log has each one's time, the other the exact ones of all.
    if len(claims) != cost["claims"]:
        raise Failed(f"PostgreSQL's log has {len(claims)} of {cost['claims']} claims")
    plans = {plan for _, plan in claims}
    percentiles = statistics.quantiles((ms for ms, _ in claims), n=100, method="inclusive")
    cost |= {"p50_ms": percentiles[49], "p99_ms": percentiles[98]}
    say(f"claim: p50 {cost['p50_ms']:.3f} ms, p99 {cost['p99_ms']:.3f} ms, at most {cost['max_ms']:.2f} ms")
    return {**cost, "rows": options.rows, "database_bytes": size, "bytes_per_branch": size / options.rows,
            "wal_bytes_per_refresh": float(wal) / len(due),
            "plans": sorted(plans),
            "by_index": all("Index Scan" in plan and "Seq Scan" not in plan and "Sort" not in plan for plan in plans)}
