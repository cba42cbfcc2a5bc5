"""The figures as text for a terminal, and as a picture."""

import subprocess

from . import targets
from .programs import Failed

PICTURE = """
set terminal svg size 900,420 dynamic font 'sans-serif,12' background '#ffffff'
set output '{path}'
set title noenhanced
set style fill solid 0.85 border -1
set boxwidth 0.6
set grid ytics lc rgb '#cccccc'
set logscale y
set xtics rotate by -25 noenhanced
set key off
$figures << END
{rows}
END
set multiplot layout 1,{panels}
set ylabel 'requests/s at {connections} connections' noenhanced
set yrange [10:*]
set label 1 "{caption}" at screen 0.01,0.02 font ',9' noenhanced
plot $figures using 0:2:xtic(1) with boxes lc rgb '#3465a4', '' using 0:2:3 with labels offset 0,0.6 noenhanced
unset label 1
{latency}
unset multiplot
"""
LATENCY = """
set ylabel 'p99, ms, at half of each one''s maximum' noenhanced
set yrange [0.1:*]
plot $figures using 0:4:xtic(1) with boxes lc rgb '#cc7722', '' using 0:4:5 with labels offset 0,0.6 noenhanced
"""


MEASURED = ("contest", "size", "hung", "refresh", "memory", "storm")


def failures(result):
    """One line for every measurement in which somebody answered errors."""
    found = []

    def look(name, value):
        if not isinstance(value, dict):
            return
        if value.get("errors"):
            found.append(f"{name}: {', '.join(f'{number} × {kind}' for kind, number in value['errors'].items())}")
            return
        for each, inner in value.items():
            look(f"{name} {each}".strip(), inner)

    look("", {name: result[name] for name in MEASURED if name in result})
    return found


def _machine(machine):
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mb'] // 1024} GB, Linux {machine['kernel']}, "
            f"PostgreSQL {machine['postgresql']}, nginx {machine['nginx']}")


def _of_ours(table, name, field):
    ours = table.get("token-service")
    if not ours or name == "token-service" or not table[name][field]:
        return ""
    return f"{ours[field] / table[name][field]:.3g} ×"


def _contest_lines(contest):
    titles = contest["titles"]
    if "throughput" in contest:
        table = contest["throughput"]
        yield f"{'throughput, requests/s':58}{'median':>9}{'least':>9}{'most':>9}{'ours is':>10}"
        for name, row in table.items():
            yield (f"  {titles[name]:56}{row['median']:9,.0f}{row['min']:9,.0f}{row['max']:9,.0f}"
                   f"{_of_ours(table, name, 'median'):>10}")
        yield ""
    if "latency" in contest:
        table = contest["latency"]
        yield f"{'latency at half of the median, ms':58}{'rate':>9}{'p50':>9}{'p99':>9}{'ours is':>10}"
        for name, row in table.items():
            yield (f"  {titles[name]:56}{row['rate']:9,.0f}{row['p50_us'] / 1000:9.2f}{row['p99_us'] / 1000:9.2f}"
                   f"{_of_ours(table, name, 'p99_us'):>10}")
        yield from _same_rate_lines(contest)
        yield ""


def _same_rate_lines(contest):
    """What users of (a) would see if they changed nothing but the service."""
    if "latency_at_rate_of_a" in contest:
        ours, a = contest["latency_at_rate_of_a"]["token-service"], contest["latency"]["fastapi"]
        ratio = f"{ours['p99_us'] / a['p99_us']:.3g} ×" if a["p99_us"] else ""
        yield (f"  {'token-service at the rate of (a), against (a)':56}{ours['rate']:9,.0f}{ours['p50_us'] / 1000:9.2f}"
               f"{ours['p99_us'] / 1000:9.2f}{ratio:>10}")


def _other_lines(result):
    if "size" in result:
        for row in (result["size"]["few"], result["size"]["many"]):
            yield f"over {row['branches']:,} branches: {row['median']:,.0f} requests/s"
    if "hung" in result:
        for name in ("undisturbed", "hung"):
            row = result["hung"][name]
            yield f"provider {name}: p50 {row['p50_us'] / 1000:.2f} ms, p99 {row['p99_us'] / 1000:.2f} ms at {row['rate']:,.0f}/s"
    if "refresh" in result:
        row = result["refresh"]
        yield (f"a refresher: {row['per_refresher_per_s']:.2f} refreshes/s, {row['cpu_ms']:.2f} ms of CPU each; "
               f"the provider itself took {row['provider_ms']:.0f} ms")
    yield from _limit_lines(result)


def _limit_lines(result):
    if row := result.get("memory"):
        yield (f"memory of {row['processes']} processes: {row['before_mb']:.1f} MB, {row['after_mb']:.1f} MB after "
               f"{row['requests']:,} requests more")
    if row := result.get("start"):
        yield f"start to the first good /health: {row['ms']:.0f} ms"
    if row := result.get("claim"):
        yield f"a claim as PostgreSQL saw it: p50 {row['p50_ms']:.3f} ms, p99 {row['p99_ms']:.3f} ms"
        yield (f"a claim among {row['rows']:,} rows: {row['mean_ms']:.3f} ms on average of {row['claims']:,}, at most "
               f"{row['max_ms']:.2f} ms; {row['bytes_per_branch']:,.0f} bytes of the database for each branch, "
               f"{row['wal_bytes_per_refresh']:,.0f} of WAL for each refresh")
    if row := result.get("storm"):
        yield f"{row['clients']:,} clients at once: {row['served']:,.0f} served, p99 {row['p99_ms'] or 0:,.0f} ms"


def text(result):
    settings = result["settings"]
    lines = [_machine(result["machine"]),
             f"{settings['branches']:,} branches, {settings['connections']} connections, "
             f"{settings['rounds']} rounds of {settings['seconds']} s in turn, medians", ""]
    if "contest" in result:
        lines += _contest_lines(result["contest"])
    others = list(_other_lines(result))
    lines += [*others, ""] if others else []
    lines += [f"{'target':66}{'wanted':>9}{'seen':>10}"]
    lines += [f"  {row.what:64}{row.wanted:>9}{row.seen:8.3g} {row.unit:2} {'met' if row.met else 'short'}"
              for row in targets.of(result)]
    busy = result["machine"]["load_before"]
    if busy > 0.5:
        lines += ["", f"The machine was not quiet: its load was {busy:.1f} before the start."]
    lines += [f"FAILED: {line}" for line in failures(result)]
    return "\n".join(lines)


def _picture_rows(contest):
    latency = contest.get("latency", {})
    for name, row in contest["throughput"].items():
        p99 = latency[name]["p99_us"] / 1000 if name in latency else 0
        yield f'"{name}" {row["median"]} "{row["median"]:,.0f}" {p99} "{p99:.1f}"'


def picture(result, path):
    """Bars of throughput and p99, logarithmic, as an SVG file."""
    contest = result["contest"]
    script = PICTURE.format(
        path=str(path).replace("'", "''"), rows="\n".join(_picture_rows(contest)),
        connections=result["settings"]["connections"], caption=_machine(result["machine"]).replace('"', ""),
        panels=2 if "latency" in contest else 1, latency=LATENCY if "latency" in contest else "")
    done = subprocess.run(["gnuplot", "-"], input=script, capture_output=True, text=True)
    if done.returncode or not path.exists():
        raise Failed(f"gnuplot: {done.stderr}")
