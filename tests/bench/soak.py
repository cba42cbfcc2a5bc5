"""scripts/soak: mixed traffic against two hosts of one database, with faults at random, and an oracle that judges
every answer. See scripts/soak --help."""

import argparse
import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

import soak_leaks as leaks  # noqa: E402
import soak_oracle as oracle_of  # noqa: E402
from soak_faults import Faults  # noqa: E402
from soak_traffic import Places, callers  # noqa: E402
from support import processes  # noqa: E402
from support.postgres import Cluster  # noqa: E402
from support.processes import wait_until  # noqa: E402
from support.provider import Provider  # noqa: E402
from support.service import WRAPPER, Service  # noqa: E402

PROGRESS_S = 5
WARM_UP = 0.25  # of the time
WARM_UP_MOST_S = 120
SERVED_S = 90  # within which every branch is served once the faults are over
SETTINGS = {
    "DATABASE_WORKERS": "2", "EXCHANGE_WORKERS": "4", "REFRESHERS": "2", "LOG_LEVEL": "INFO",
    "TOKEN_EXPIRY_BUFFER": "2", "REFRESH_AHEAD": "2", "GOOGLE_TIMEOUT_MS": "2000",
}
SHOWN = 40  # violations that are printed whole


class Soak:
    """The world of a soak: what it starts is ended by close(), in order."""

    settings = SETTINGS
    token_ttl_s = 8
    # Whatever an unclear call began is over by then: twice GOOGLE_TIMEOUT_MS and 5 s, and the time to notice.
    unclear_s = 12

    def __init__(self, seed, promises=oracle_of.PROMISES):
        self.seed = seed
        self.oracle = oracle_of.Oracle(promises)
        self.over, self.calm, self.quiet = threading.Event(), threading.Event(), threading.Event()
        self.cluster = self.provider = self.database = None
        self.hosts = []
        self.places = Places()
        self._logged_until = 0  # of the provider's log: everything before this is over
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        self.cluster = self.make_cluster()
        self.database = self.cluster.create()
        self.provider = Provider()
        self.provider.settings(rotate=True, access_token_ttl=self.token_ttl_s)
        self.provider_port = self.provider.port
        self.make_hosts()

    def make_cluster(self):
        cluster = Cluster()
        with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
            # An immediate stop must not cost what was committed.
            cursor.execute("ALTER ROLE token_service_worker SET synchronous_commit = on")
        return cluster

    def make_hosts(self):
        for _ in range(2):
            self.make_host()

    def make_host(self, **env):
        self.hosts.append(Service(self.database, {**self.provider.environment, **self.settings, **env}))

    def close(self):
        """What did not end as it should is a broken promise."""
        if self.provider and self.provider.process.poll() is None:
            self.provider.clear_faults()
        for part in (*self.hosts, self.provider, self.cluster):
            try:
                if part:
                    part.close()
            except AssertionError as error:
                self.oracle.broken("ends", None, str(error), time.time())

    # --- the oracle -------------------------------------------------------------------------------

    def judge(self):
        self.oracle.begin_round()
        entries = self.provider.log_after(self._logged_until)
        open_ones = [entry["sequence"] for entry in entries if not entry["ended_at"]]
        if entries:
            self._logged_until = min(open_ones, default=entries[-1]["sequence"] + 1) - 1
        self.oracle.learn(entries)
        self.oracle.judge()


class Interrupted(Exception):
    """Somebody wants it to end."""


class Run:
    """One soak from its beginning to its report."""

    def __init__(self, soak, minutes, faults=None):
        self.soak = soak
        self.interrupted = False
        self.printed = 0  # violations, as they came
        self.seconds = minutes * 60
        self.begun = time.monotonic()
        self.faults = faults or Faults(soak)
        self.callers = callers(soak)
        self.before = self.after = None

    def begin(self):
        for thread in (*self.callers, self.faults):
            thread.start()
        # Where an HTTP client is at work an exception would leave its locks as they are: looked at in between. A second
        # signal is as rude as ever.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)

    def go(self):
        self.begin()
        warm_up = min(self.seconds * WARM_UP, WARM_UP_MOST_S)
        self._pass(warm_up, "warming up")
        self.before = self._rest()
        self._pass(self.seconds - (time.monotonic() - self.begun), "")
        self._calm()
        self._check_served()
        self.after = self._rest(last=True)
        for promise, text in leaks.check_held(self.before, self.after) if not WRAPPER else ():
            self.soak.oracle.broken(promise, None, text, time.time())
        for promise, text in leaks.check_connections(self.soak.hosts, self.soak.database):
            self.soak.oracle.broken(promise, None, text, time.time())

    def _interrupt(self, number, _):
        self.interrupted = True
        signal.signal(number, signal.default_int_handler)

    def _wait_until(self, condition, timeout, what):
        def met():
            if self.interrupted:
                raise Interrupted
            return condition()

        return wait_until(met, timeout, what)

    def _judge(self):
        if self.interrupted:
            raise Interrupted
        self.soak.judge()
        for violation in self.soak.oracle.violations[self.printed:SHOWN]:
            say_violation(violation)
            self.printed += 1

    def _pass(self, seconds, what):
        """Traffic and faults for so long, with a line of progress now and then."""
        until = time.monotonic() + seconds
        next_line = time.monotonic() + PROGRESS_S
        while time.monotonic() < until:
            time.sleep(0.5)
            self._judge()
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + PROGRESS_S
                self.say(what)

    def _calm(self):
        """No faults from here on."""
        self.soak.calm.set()
        self._wait_until(lambda: self.faults.idle, 120, f"the fault is over: {self.faults.busy_with}")
        self.soak.provider.clear_faults()

    def _rest(self, last=False):
        """Nobody calls and nothing befalls anybody: what is held then."""
        self._calm()
        self.soak.quiet.set()
        self._wait_until(lambda: all(caller.idle for caller in self.callers), 120, "the callers have come to rest")
        self._judge()
        held = leaks.held(self.soak.hosts)
        if not last:
            self.soak.quiet.clear()
            self.soak.calm.clear()
        return held

    def _check_served(self):
        """The readers still read. Every branch whose grant is not gone is refreshed, and what it is served works."""
        self.soak.provider.settings(access_token_ttl=3600)
        deadline = time.monotonic() + processes.seconds(SERVED_S)
        waiting = self.soak.places.living()
        reasons = {}
        while waiting and time.monotonic() < deadline:
            waiting = [place for place in waiting if not self._is_served(place, reasons)]
            self._judge()
            time.sleep(0.2)
        for place in waiting:
            self.soak.oracle.broken("served", place.name, reasons.get(place.name), time.time())

    def _is_served(self, place, reasons):
        """True as well for one that has no grant, as far as anybody knows."""
        states = self.soak.oracle.state(place.name, time.time())
        host = self.soak.hosts[len(reasons) % len(self.soak.hosts)]
        answer = host.post("/tokens/refresh", json={"branch_id": place.name})
        reasons[place.name] = f"{answer.status_code} {answer.text[:300]}; it is {' or '.join(sorted(states))}"
        if answer.status_code == 200:
            works = self.soak.provider.works(answer.json()["access_token"])
            reasons[place.name] = "the token that a refresh brings does not work" if not works else None
            return works
        return answer.json()["error"] in ("branch_not_found", "authorization_required", "reauthorization_required") and (
            states != {oracle_of.CONNECTED})

    def stop(self):
        """Ends the threads; what they still had under way is judged."""
        self.soak.over.set()
        for thread in (self.faults, *self.callers):
            if thread.ident:
                thread.join(processes.seconds(90))
        with contextlib.suppress(Exception):  # interrupted early, the provider may not be there
            self.soak.judge()
        good = sum(number for (_, status, _), number in self.soak.oracle.answers.items() if status < 400)
        bad = sum(self.soak.oracle.answers.values()) - good
        own, access = leaks.written(self.soak.hosts)
        self.written = (own, access, good + bad)
        for promise, text in leaks.check_logs(own, access, good, bad, sum(self.faults.injected.values())):
            self.soak.oracle.broken(promise, None, text, time.time())

    # --- what is printed --------------------------------------------------------------------------

    def say(self, what=""):
        oracle = self.soak.oracle
        text = (f"{time.monotonic() - self.begun:6.0f} s: {sum(oracle.answers.values())} requests, "
                f"{oracle.refreshes['ok']} refreshes, {sum(self.faults.injected.values())} faults, "
                f"{len(oracle.violations)} violations")
        print(f"{text}{f' ({what})' if what else ''}", flush=True)

    def report(self):
        oracle = self.soak.oracle
        print(f"\nsoak: {time.monotonic() - self.begun:.0f} s, seed {self.soak.seed}")
        self._table("requests", self._by_status())
        self._table("refreshes at the provider", oracle.refreshes)
        self._table("faults injected", self.faults.injected)
        self._table("held and written", self._held())
        for branch, _, text in oracle.excused:
            print(f"excused: {branch}: {text}")
        broken = Counter(violation.promise for violation in oracle.violations)
        print("\npromises")
        for promise, text in oracle.promises.items():
            print(f"  {'kept  ' if not broken[promise] else f'BROKEN {broken[promise]} x'} {promise}: {text}")
        for violation in oracle.violations[:SHOWN]:
            say_violation(violation)
        print(f"{sum(oracle.answers.values())} requests, {len(oracle.excused)} grants lost that no protocol could "
              f"keep, {len(oracle.violations)} violations", flush=True)

    def _by_status(self):
        return {f"{call} {status} {code or ''}": number
                for (call, status, code), number in sorted(self.soak.oracle.answers.items(), key=str)}

    def _held(self):
        own, access, requests = self.written
        table = {"log bytes per request, service": round(own / max(1, requests), 1),
                 "log bytes per request, nginx": round(access / max(1, requests), 1)}
        for when, held in (("after the warm-up", self.before), ("at the end", self.after)):
            if held:
                table[f"{when}: processes"] = held.processes
                table[f"{when}: PSS, MB"] = round(held.memory / 1e6, 1)
                table[f"{when}: descriptors of the largest"] = held.descriptors
        return table

    @staticmethod
    def _table(title, rows):
        print(f"\n{title}")
        for name, value in rows.items():
            print(f"  {str(value):>9}  {name}")


def say_violation(violation):
    at = violation.at and datetime.fromtimestamp(violation.at, timezone.utc).isoformat(timespec="milliseconds")
    print(f"violation: {violation.promise}, branch {violation.branch}, {at}, request {violation.request_id}: "
          f"{violation.detail}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/soak", add_help=False, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", default=None)
    options = parser.parse_args()
    if not 0.1 <= options.minutes <= 7 * 24 * 60:
        parser.error("--minutes: 0.1 to 10080")
    options.seed = options.seed or secrets.token_hex(4)
    return options


def main():
    options = arguments()
    # What was started is ended; Ctrl-C even where a shell made this ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        for each in (name, name.upper()):
            os.environ.pop(each, None)
    processes.remove_orphans()
    print(f"soak: {options.minutes:g} minutes, seed {options.seed}", flush=True)
    soak = Soak(options.seed)
    run = Run(soak, options.minutes)
    try:
        try:
            run.go()
        except (Interrupted, KeyboardInterrupt):
            run.interrupted = True
            print("soak: interrupted", flush=True)
        run.stop()
    finally:
        soak.over.set()
        soak.close()
    run.report()
    if soak.oracle.violations:
        return 1
    return 130 if run.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
