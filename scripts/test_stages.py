"""The stages of scripts/test: runs each, counts its tests, sums up."""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test"
PYTEST_WORKERS = "3"  # the tests wait a lot; with more, two cores are slower
STAGE_TIMEOUT_S = 3000
WHOLE_TIMEOUT_S = 7200  # of the slow stages with --whole

Counts = namedtuple("Counts", "passed failed skipped")
NONE = Counts(0, 0, 0)

VALGRIND = [
    # No gdb server: its pipes in a test's TMPDIR may be gone before their process, which valgrind reports.
    "valgrind", "--vgdb=no", "--quiet", "--error-exitcode=99", "--leak-check=full",
    "--errors-for-leak-kinds=definite", "--show-leak-kinds=definite", "--num-callers=30",
]


class CannotRun(Exception):
    """A stage that could not do its work; counts as one failure."""


def add(*several):
    return Counts(*(sum(column) for column in zip(*several)))


# --- running --------------------------------------------------------------------------------------


class Runner:
    """Runs a stage's commands, each in a session of its own, output to the stage's log."""

    def __init__(self, stage, options):
        self.stage = stage
        self.options = options
        self.log_path = LOGS / f"{stage}.log"
        self.log = open(self.log_path, "wb")
        # Short, because sockets' paths have a limit; passable, because PostgreSQL runs as another user.
        self.directory = Path(tempfile.mkdtemp(prefix="ts-", dir="/tmp"))
        self.directory.chmod(0o755)
        # Found again in /proc/*/environ: what outlives its stage.
        self.mark = f"TOKEN_SERVICE_TEST_STAGE={stage}-{os.getpid()}"
        self.timeout_s = WHOLE_TIMEOUT_S if options.whole and stage in SLOW else STAGE_TIMEOUT_S
        self.deadline = time.monotonic() + self.timeout_s
        self.child = None

    def environment(self, extra):
        plain = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        name, value = self.mark.split("=", 1)
        return {**plain, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.directory), name: value, **extra}

    def run(self, command, cwd=ROOT, env=None):
        """The command's exit status; raises CannotRun when it takes too long."""
        self.log.write(f"$ {shlex.join(str(each) for each in command)}\n".encode())
        self.log.flush()
        self.child = subprocess.Popen(
            command, cwd=cwd, env=self.environment(env or {}), stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
        )
        try:
            return self.child.wait(max(1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.stop()
            raise CannotRun(f"{command[0]} was not done after {self.timeout_s} s") from None
        finally:
            self.child = None

    def need(self, command, what):
        if self.run(command) != 0:
            raise CannotRun(what)

    def output(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self):
        """INT to the leader, which cleans up; then harder, to all of its session."""
        child = self.child
        if child is None:
            return
        for number, seconds in ((signal.SIGINT, 20), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            try:
                if number == signal.SIGINT:
                    child.send_signal(number)
                else:
                    os.killpg(child.pid, number)
                child.wait(seconds)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def left_processes(self):
        """What the stage started and did not end: [(pid, command line)]."""
        found = []
        mark = self.mark.encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append((int(entry.name), command.strip()))
            except OSError:
                continue
        return found

    def finish(self):
        """Ends what was left, removes the directory; text about leftovers, or ''."""
        left = []
        for _ in range(50):  # children of a command that just ended may need a moment
            left = self.left_processes()
            if not left:
                break
            time.sleep(0.1)
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
        return "".join(f"process {pid} outlived the stage: {command}\n" for pid, command in left)


# --- counting -------------------------------------------------------------------------------------


def count_checks(text):
    return Counts(len(re.findall(r"^ok - ", text, re.M)), len(re.findall(r"^not ok - ", text, re.M)), 0)


def count_automake(text):
    """The summary that automake's test harness prints."""
    sums = {key: int(value) for key, value in re.findall(r"^# ([A-Z]+): +(\d+)$", text, re.M)}
    if "TOTAL" not in sums:
        raise CannotRun("make check did not come to its summary")
    return Counts(sums["PASS"] + sums["XFAIL"], sums["FAIL"] + sums["ERROR"] + sums["XPASS"], sums["SKIP"])


def count_node(text):
    """The end of node --test: "# pass 3" (TAP) or "ℹ pass 3"."""
    sums = {key: int(value) for key, value in re.findall(r"^(?:#|ℹ) (\w+) (\d+)$", text, re.M)}
    if "pass" not in sums:
        raise CannotRun("npm test did not come to its summary")
    return Counts(sums["pass"], sums.get("fail", 0) + sums.get("cancelled", 0),
                  sums.get("skipped", 0) + sums.get("todo", 0))


def count_junit(path):
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError) as error:
        raise CannotRun(f"pytest left no result: {error}") from error
    total = NONE
    for suite in suites:
        number = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
        bad = number["failures"] + number["errors"]
        total = add(total, Counts(number["tests"] - bad - number["skipped"], bad, number["skipped"]))
    return total


def agreed(counts, status, what):
    """A command that says it failed must have a failure among its counts, and the reverse."""
    if status != 0 and counts.failed == 0:
        raise CannotRun(f"{what} ended with status {status}")
    if counts == NONE:
        raise CannotRun(f"{what} ran no test")
    return counts


# --- stages ---------------------------------------------------------------------------------------


def stage_check(runner):
    status = runner.run(["scripts/check"] + (["--quick"] if runner.options.quick else []))
    return agreed(count_checks(runner.output()), status, "scripts/check")


def unit(runner, build, *build_options, wrapper=(), env=None):
    runner.need(["scripts/build", "--dir", str(build), "--tests", *build_options], "the build failed")
    listed = subprocess.run(["make", "-s", "--no-print-directory", "print-unit-tests"], cwd=build, check=True,
                            env=runner.environment({}), capture_output=True, text=True).stdout.split()
    wanted = [name for name in listed if (runner.options.pattern or "") in name]
    if runner.options.pattern and not wanted:
        return NONE
    command = ["make", f"-j{os.cpu_count()}", "check-unit", f"PROGRAM_TESTS={' '.join(wanted)}"]
    if wrapper:
        command.append(f"WRAPPER={shlex.join(wrapper)}")
    status = runner.run(command, cwd=build, env=env)
    return agreed(count_automake(runner.output()), status, "make check-unit")


def sanitizer_options(directory=None):
    """Environment of a program with sanitizers; its reports go to files when a directory is given."""
    common = "strict_string_checks=1:detect_stack_use_after_return=1:exitcode=99"
    if directory:
        common += f":log_path={directory}/report"
    return {
        # Some tests preload libfaketime, in front of the sanitizers' runtime.
        "ASAN_OPTIONS": f"{common}:detect_leaks=1:verify_asan_link_order=0",
        "UBSAN_OPTIONS": f"{common}:print_stacktrace=1",
    }


def stage_unit(runner):
    return unit(runner, BUILD)


def stage_unit_sanitized(runner):
    return unit(runner, BUILD / "sanitized", "--sanitize", env=sanitizer_options())


def stage_unit_valgrind(runner):
    # From the build directory, where the programs run: the checkout's own path may have a space.
    return unit(runner, BUILD, wrapper=VALGRIND + ["--suppressions=../tests/valgrind.supp"])


FUZZ_RUNS = 20000  # a few seconds for most targets


def stage_fuzz(runner):
    """A short run of each fuzz target from the corpora, the same inputs every time."""
    if runner.options.pattern:
        return NONE
    status = runner.run(["scripts/fuzz", "--runs", str(FUZZ_RUNS)])
    return agreed(count_checks(runner.output()), status, "scripts/fuzz")


def stage_provider(runner):
    if not (ROOT / "tests/provider/package.json").is_file():
        raise CannotRun("tests/provider/package.json is missing")
    if runner.options.pattern:
        return NONE
    status = runner.run(["npm", "test", "--silent"], cwd=ROOT / "tests/provider")
    return agreed(count_node(runner.output()), status, "npm test")


def stage_model(runner):
    result = LOGS / f"{runner.stage}.xml"
    result.unlink(missing_ok=True)
    command = ["/usr/bin/python3", "-m", "pytest", "tests/model", "tests/bench", "-n", PYTEST_WORKERS, "--tb=short", "-q",
               "-p", "no:cacheprovider", f"--junitxml={result}"]
    if runner.options.pattern:
        command += ["-k", runner.options.pattern]
    status = runner.run(command)
    if status == 5 and runner.options.pattern:  # nothing matches
        return NONE
    return agreed(count_junit(result), status, "pytest")


def integration(runner, program, wrapper=(), time_factor=1, select=(), tree=ROOT, env=None):
    """pytest over tests/integration. To its fixtures: the program, a prefix for its command line
    (split as a shell would), by how much slower than usual it is, and what else is in env."""
    if not (tree / "tests/integration").is_dir():
        raise CannotRun("tests/integration is missing")
    result = LOGS / f"{runner.stage}.xml"
    result.unlink(missing_ok=True)
    command = [
        "/usr/bin/python3", "-m", "pytest", "tests/integration", "-n", PYTEST_WORKERS, "--tb=short", "-q",
        "-p", "no:cacheprovider", f"--basetemp={runner.directory}/pytest", f"--junitxml={result}", *select,
    ]
    if runner.options.pattern:
        command += ["-k", runner.options.pattern]
    status = runner.run(command, cwd=tree, env={
        "TOKEN_SERVICE_PROGRAM": str(program),
        "TOKEN_SERVICE_WRAPPER": shlex.join(wrapper),
        "TOKEN_SERVICE_TIME_FACTOR": str(time_factor),
        **(env or {}),
    })
    if status == 5 and runner.options.pattern:  # nothing matches
        return NONE
    return agreed(count_junit(result), status, "pytest")


def reports_of(runner, directory, tool):
    """Non-empty files are findings of the tool in some process; their text goes to the log."""
    found = [path for path in sorted(directory.iterdir()) if path.read_bytes().strip()]
    for path in found:
        runner.log.write(f"--- {tool}, {path.name}\n".encode() + path.read_bytes())
    runner.log.flush()
    return Counts(0, len(found), 0) if found else Counts(1, 0, 0)


def suppressions(runner, name):
    """A copy of what a tool is not to report: the checkout's own path may have a space, or be closed to others."""
    return shutil.copy(ROOT / "tests" / name, runner.directory)


def memcheck(runner):
    """The selection of tests that go once more in another way, unless all are asked for."""
    return () if runner.options.whole else ("-m", "memcheck")


def stage_integration(runner):
    runner.need(["scripts/build"], "the build failed")
    return integration(runner, BUILD / "token-service")


def stage_integration_pooled(runner):
    runner.need(["scripts/build"], "the build failed")
    return integration(runner, BUILD / "token-service", select=memcheck(runner), env={"TOKEN_SERVICE_POOLER": "1"})


def stage_integration_sanitized(runner):
    build = BUILD / "sanitized"
    runner.need(["scripts/build", "--dir", str(build), "--sanitize"], "the build failed")
    reports = runner.directory / "reports"
    reports.mkdir()
    reports.chmod(0o777)
    settings = {**sanitizer_options(reports), "LSAN_OPTIONS": f"suppressions={suppressions(runner, 'lsan.supp')}:print_suppressions=0"}
    wrapper = ["env"] + [f"{name}={value}" for name, value in settings.items()]
    counts = integration(runner, build / "token-service", wrapper, time_factor=3, select=memcheck(runner))
    return add(counts, reports_of(runner, reports, "sanitizer")) if counts != NONE else NONE


def stage_integration_valgrind(runner):
    runner.need(["scripts/build"], "the build failed")
    reports = runner.directory / "reports"
    reports.mkdir()
    reports.chmod(0o777)
    wrapper = VALGRIND + [
        f"--suppressions={suppressions(runner, 'valgrind.supp')}",
        "--child-silent-after-fork=no", f"--log-file={reports}/report.%p",
    ]
    counts = integration(runner, BUILD / "token-service", wrapper, time_factor=10, select=memcheck(runner))
    if counts == NONE:
        return NONE
    if not list(reports.iterdir()):
        raise CannotRun("no process ran under valgrind: the fixtures ignore TOKEN_SERVICE_WRAPPER")
    return add(counts, reports_of(runner, reports, "valgrind"))


def newest_release():
    """The newest tag v* that is not this commit itself; None without one, and out of an archive."""
    if not shutil.which("git"):
        return None
    found = subprocess.run(["git", "describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^"], cwd=ROOT, capture_output=True, text=True)
    return found.stdout.strip() or None


def stage_upgrade(runner):
    """The release before on this one's schema: by its own tests, then beside this one."""
    release = runner.options.release or newest_release()
    if not release:
        raise CannotRun("no release came before: there is no tag v*; --release COMMIT takes another commit for it")
    tree = runner.directory / "release"
    tree.mkdir()
    runner.need(["sh", "-c", 'git archive "$1" | tar -x -C "$2"', "sh", release, str(tree)], f"{release} is no commit here")
    shutil.rmtree(tree / "sql")
    shutil.copytree(ROOT / "sql", tree / "sql")
    for command in (["scripts/install", "test"], ["scripts/build"]):
        if runner.run(command, cwd=tree) != 0:
            raise CannotRun(f"{release} could not be built")
    runner.need(["scripts/build"], "the build failed")
    alone = integration(runner, tree / "build/token-service", select=("-m", "memcheck"), tree=tree)
    beside = integration(runner, BUILD / "token-service", select=("-k", "test_upgrade"), env={"TOKEN_SERVICE_PREVIOUS": str(tree)})
    return add(alone, beside)


STAGES = {
    "check": stage_check,
    "unit": stage_unit,
    "provider": stage_provider,
    "model": stage_model,
    "integration": stage_integration,
    "integration-pooled": stage_integration_pooled,
    "upgrade": stage_upgrade,
    "unit-sanitized": stage_unit_sanitized,
    "unit-valgrind": stage_unit_valgrind,
    "fuzz": stage_fuzz,
    "integration-sanitized": stage_integration_sanitized,
    "integration-valgrind": stage_integration_valgrind,
}
SLOW = {name for name in STAGES if name.endswith(("-pooled", "-sanitized", "-valgrind"))} | {"upgrade"}
# What a fuzzer finds differs from run to run: only when it is asked for. The corpora are replayed in "unit".
ON_REQUEST = {"fuzz"}


def by_default(name, options):
    if name == "upgrade" and not newest_release():
        return False
    return name not in ON_REQUEST and not (options.quick and name in SLOW)


# --- all together ---------------------------------------------------------------------------------


def said(counts):
    text = f"{counts.passed} passed, {counts.failed} failed"
    return text + (f", {counts.skipped} skipped" if counts.skipped else "")


def run_stage(name, options):
    print(f"== {name}", flush=True)
    begun = time.monotonic()
    runner = Runner(name, options)
    reason = ""
    try:
        counts = STAGES[name](runner)
    except CannotRun as error:
        reason = f"the stage could not be run: {error}\n"
        counts = Counts(0, 1, 0)
    except BaseException:
        runner.stop()
        runner.finish()
        raise
    left = runner.finish()
    if left:
        reason += left
        counts = add(counts, Counts(0, 1, 0))
    if counts.failed:
        sys.stdout.write(runner.output())
        sys.stdout.write(reason)
    print(f"== {name}: {said(counts)} ({time.monotonic() - begun:.0f} s)\n", flush=True)
    return counts


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/test", add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--release", metavar="COMMIT")
    parser.add_argument("--stage", action="append", choices=list(STAGES), metavar="NAME")
    parser.add_argument("pattern", nargs="?", metavar="PATTERN")
    return parser.parse_args()


def main():
    options = arguments()
    names = options.stage or [name for name in STAGES if by_default(name, options)]
    if options.pattern:
        names = [name for name in names if name.startswith(("unit", "model", "integration"))]
    LOGS.mkdir(parents=True, exist_ok=True)
    # SIGTERM as Ctrl-C: the running stage is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = {}
    try:
        for name in names:
            results[name] = run_stage(name, options)
    except KeyboardInterrupt:
        print("scripts/test: interrupted", file=sys.stderr)
        return 130
    total = add(NONE, *results.values())
    if total == NONE:
        print(f"no test matches {options.pattern!r}")
        total = Counts(0, 1, 0)
    for name, counts in results.items():
        print(f"{name + ':':24}{said(counts)}")
    not_run = [name for name in STAGES if name not in results]
    if not_run:
        print(f"not run: {', '.join(not_run)}")
    print(said(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
