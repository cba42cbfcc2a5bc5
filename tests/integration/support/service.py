"""The service under test: its master and workers, and an nginx in front of them."""

import concurrent.futures
import functools
import http.cookiejar
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess

import httpx

from . import confined, openapi, privileged, processes, sealing
from .processes import wait_until

PROGRAM = os.environ.get("TOKEN_SERVICE_PROGRAM") or str(processes.ROOT / "build/token-service")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
WRAPPER = shlex.split(os.environ.get("TOKEN_SERVICE_WRAPPER") or "")
DEFAULTS = {"DATABASE_WORKERS": "2", "EXCHANGE_WORKERS": "4", "LOG_LEVEL": "DEBUG", "REFRESHERS": "0",
            "SECRET_KEY": sealing.KEY}
# Sanitizers and valgrind, where their reports are not sent to files.
REPORT = re.compile(r"(AddressSanitizer|LeakSanitizer|runtime error:|^==\d+== )", re.M)
CALLS_AT_ONCE = 128
# nginx takes a megabyte for each map that it reads, and gives it back: with the memory kept it starts in a fifth of the time.
KEEPS_MEMORY = "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824"

_number = itertools.count(1)


def no_cookies():
    """A jar that keeps nothing: one call must not change the next one."""
    return http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))


# Options that each nginx has its own values of. A configuration is rendered with these, once for all that have the other
# options in common, for it takes a while.
STAND_INS = {"port": "65432", "http-port": "65431", "socket-dir": "/socket-dir-of-the-test", "run-dir": "/run-dir-of-the-test"}


@functools.cache
def _rendered(tree, *words):
    done = subprocess.run(
        [tree / "scripts/render-nginx", *words],
        env=processes.plain_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Nginx:
    """scripts/render-nginx, and the nginx that reads what it wrote."""

    def __init__(self, directory, socket_dir, options, under=(), as_user=(), tree=processes.ROOT):
        self._tree = tree
        self.run_dir = directory / "nginx"
        self.run_dir.mkdir()
        if as_user:
            processes.give_to_other_user(self.run_dir)
        self.error_log = directory / "nginx-error.log"
        self._read = ""  # of the access log, by whole_access_log()
        self.config = directory / "nginx.conf"
        self._under, self._as_user = under, as_user
        for attempt in range(5):
            self.port = processes.free_port()
            self._render(socket_dir, options)
            if self.start():
                return
        raise AssertionError(f"nginx did not start: {self.error_log.read_text()}")

    def start(self):
        """Also again, after stop(): at the same port. True when it serves."""
        with open(self.error_log, "ab") as log:
            self.process = processes.start(
                [*self._under, NGINX, "-p", self.run_dir, "-c", self.config, "-e", "stderr", "-g", "daemon off;"],
                env=processes.plain_environment(GLIBC_TUNABLES=KEEPS_MEMORY), stdout=log, stderr=log, as_user=self._as_user,
            )
        return wait_until(self._serves_or_ended, 20, "nginx serves") == "serves"

    def kill(self):
        """As when its machine is gone."""
        workers = processes.children_of(self.process.pid)
        self.process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        (self.run_dir / "nginx.pid").unlink(missing_ok=True)

    def _render(self, socket_dir, options):
        own = {"port": self.port, "socket-dir": socket_dir, "run-dir": self.run_dir}
        if "http-port" in options:
            own["http-port"] = options["http-port"]
        words = []
        for name, value in {**options, **{name: STAND_INS[name] for name in own}}.items():
            for each in value if isinstance(value, (list, tuple)) else [value]:
                words += [f"--{name}", str(each)]
        text = _rendered(self._tree, *words)
        for name, value in own.items():
            text = text.replace(STAND_INS[name], str(value))
        self.config.write_text(text)

    def _serves_or_ended(self):
        if self.process.poll() is not None:
            return "ended"
        # The pid file is written once the listening sockets are open.
        pid_file = self.run_dir / "nginx.pid"
        return "serves" if pid_file.exists() and pid_file.read_text().strip() else None

    def access_log(self):
        """Its lines, as dicts; one may be written a second after its answer."""
        path = self.run_dir / "access.log"
        text = self._read + (path.read_text() if path.exists() else "")
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def whole_access_log(self):
        """Its text, with the lines that the workers hold back: these are written when the file is opened anew."""
        path, old = self.run_dir / "access.log", self.run_dir / "access.log.old"
        path.rename(old)
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: path.exists() and not self.has_open(old), what="nginx opens its log anew")
        self._read += old.read_text()
        return self._read

    def has_open(self, path):
        """Has any of its processes?"""
        pids = [self.process.pid, *processes.children_of(self.process.pid)]
        return any(str(path.resolve()) in privileged.descriptors(pid) for pid in pids)

    def stop(self):
        return processes.stop(self.process, signal.SIGQUIT if self.process.poll() is None else 0, 10)


class Service:
    """One host: master, workers, and their nginx unless told otherwise.

    url is that of nginx, http://localhost:PORT. Calls follow no redirect and keep no cookie. units: a directory with
    systemd's units, under whose filters of system calls both run; of an ordinary user, in production. under: what stands
    before the program's command. tree: another release's sources, built there; its program and its nginx configuration.
    """

    def __init__(self, database, env, rate_limit=None, nginx=True, nginx_options=None, wait=True, units=None, wrapper=WRAPPER,
                 under=(), tree=None):
        self.database = database
        self.instance = f"{os.getpid()}-{next(_number)}"
        self.directory = processes.make_directory("svc")
        self.socket_dir = self.directory / "s"
        self.socket_dir.mkdir()
        self.program = tree / "build/token-service" if tree else PROGRAM
        self._tree = tree or processes.ROOT
        self._as_user = []
        self._units = units
        self._wrapper = [*under, *wrapper]
        self.env_file = self.directory / "env"
        self.stderr_path = self.directory / "stderr"
        self.expected_exit = 0  # what the fixture wants to see; None: anything
        self.process = self.nginx = self.client = None
        self._executor = None
        self.document = openapi.Watch()
        self._env = {**DEFAULTS, **database.settings, **env}
        if self._env.get("ENVIRONMENT") == "production":
            self._become_other_user()
        try:
            self.start_master()
            if wait:
                self.wait_for_sockets()
            if nginx:
                self.start_nginx(rate_limit, nginx_options or {})
            if nginx and wait:
                wait_until(self._answers, 30, "the service answers")
        except BaseException:
            self.expected_exit = None
            self.close()
            raise

    # --- starting -------------------------------------------------------------------------------

    def _write_env(self):
        lines = [f"{name}={value}\n" for name, value in self._env.items() if value is not None]
        self.env_file.write_text("".join(lines))
        self.env_file.chmod(0o600)
        if self._as_user:
            processes.give_to_other_user(self.env_file)

    def _become_other_user(self):
        """Production does not run as root; whoever it runs as may not reach the checkout."""
        self._as_user = processes.as_other_user()
        if self._as_user:
            self.program = shutil.copy(self.program, self.directory / "token-service")
            processes.give_to_other_user(self.socket_dir)

    def _confined(self, unit):
        """What stands before a program that is to run under the filters of a unit."""
        if not self._units:
            return []
        launcher = shutil.copy(confined.__file__, self.directory / "confined.py")
        return ["/usr/bin/python3", launcher, shutil.copy(self._units / unit, self.directory / unit)]

    def start_master(self):
        """Also again, after terminate() and wait_exit()."""
        self._write_env()
        with open(self.stderr_path, "ab") as err:
            self.process = processes.start(
                [*self._wrapper, *self._confined("token-service.service"), self.program, "serve", "--env-file", self.env_file, "--socket-dir", self.socket_dir],
                env=processes.plain_environment(**{processes.INSTANCE: self.instance}), stdout=err, stderr=err,
                as_user=self._as_user,
            )

    def start_nginx(self, rate_limit=None, options=None):
        options = {"database-workers": self._env["DATABASE_WORKERS"], **(options or {})}
        if rate_limit:
            options["rate-limit"] = rate_limit
        under = self._confined("token-service-nginx.service")
        self.nginx = Nginx(self.directory, self.socket_dir, options, under, self._as_user if under else (), self._tree)
        self.url = f"http://localhost:{self.nginx.port}"
        limits = httpx.Limits(max_connections=CALLS_AT_ONCE, max_keepalive_connections=CALLS_AT_ONCE)
        self.client = httpx.Client(
            base_url=self.url, follow_redirects=False, trust_env=False, limits=limits,
            timeout=processes.seconds(60), cookies=no_cookies(), headers={"Accept": "application/json"},
            event_hooks={"response": [self.document]},
        )
        self._executor = concurrent.futures.ThreadPoolExecutor(CALLS_AT_ONCE)

    def wait_for_sockets(self):
        wait_until(self._has_sockets, 30, "the service opens its sockets")

    def _has_sockets(self):
        assert self.process.poll() is None, f"the service ended: {self.stderr()}"
        return (self.socket_dir / "database.sock").exists() and (self.socket_dir / "exchange.sock").exists()

    def _answers(self):
        assert self.process.poll() is None, f"the service ended: {self.stderr()}"
        return self.client.get("/health/live").status_code == 200

    # --- calls ----------------------------------------------------------------------------------

    def get(self, path, **kwargs):
        return self.client.get(path, **kwargs)

    def post(self, path, **kwargs):
        return self.client.post(path, **kwargs)

    def patch(self, path, **kwargs):
        return self.client.patch(path, **kwargs)

    def delete(self, path, **kwargs):
        return self.client.delete(path, **kwargs)

    def request(self, method, path, **kwargs):
        return self.client.request(method, path, **kwargs)

    def start(self, method, path, **kwargs):
        """The call in a thread of its own: a Future of its response."""
        return self._executor.submit(self.client.request, method, path, **kwargs)

    def run(self, function, *args, **kwargs):
        """Any function in a thread of its own: a Future of its result."""
        return self._executor.submit(function, *args, **kwargs)

    # --- processes ------------------------------------------------------------------------------

    @property
    def master_pid(self):
        return self.process.pid

    def worker_pids(self, pool=None):
        """Those that run now; pool: "database", "exchange" or "refresher"."""
        living = processes.children_of(self.master_pid)
        return [pid for pid in living if pool is None or processes.name_of(pid) == f"token:{pool}"]

    def terminate(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait_exit(self, timeout=30):
        """The exit status of the master; AssertionError when it is still there."""
        try:
            return self.process.wait(processes.seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the service was still there after {timeout} s: {self.stderr()[-3000:]}") from None

    def reload(self, env=None):
        """SIGHUP with changed settings (None: unset); returns once the master has read them, good or not."""
        answers = ("reloaded", "reload refused: the configuration has faults, the old one stays")
        before = len(self.log_events(*answers))
        self._env.update(env or {})
        self._write_env()
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.log_events(*answers)) > before, what="the master reads its settings again")

    def reload_and_wait(self, env=None):
        """As reload(); returns once no worker is left that has the old settings."""
        old = set(self.worker_pids())
        self.reload(env)
        wait_until(lambda: old.isdisjoint(self.worker_pids()), 60, "the old workers are gone")

    # --- what it wrote --------------------------------------------------------------------------

    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def log_events(self, *names):
        """The JSON lines of the log, with these texts when any are given."""
        events = []
        for line in self.stderr().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and (not names or event.get("event") in names):
                events.append(event)
        return events

    def access_log(self):
        return self.nginx.access_log()

    def nginx_error_log(self):
        return self.nginx.error_log.read_text(errors="replace")

    # --- the end --------------------------------------------------------------------------------

    def close(self):
        """Ends everything; AssertionError for whatever did not end as it should."""
        faults = []
        if self._executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self.client:
            self.client.close()
        if self.nginx:
            self.nginx.stop()
        if self.process:
            status = processes.stop(self.process, timeout=60)
            if self.expected_exit is not None and status != self.expected_exit:
                faults.append(f"the master ended with {status} instead of {self.expected_exit}")
            faults += self._end_workers()
        faults += [f"not as in openapi.json: {fault}" for fault in self.document.said()]
        report = REPORT.search(self.stderr())
        if report:
            faults.append(f"a report of {report[0]!r}")
        text = self.stderr()
        processes.remove_directory(self.directory)
        assert not faults, "; ".join(faults) + "\n" + text[-5000:]

    def _end_workers(self):
        try:
            wait_until(lambda: not processes.processes_of_instance(self.instance, self.socket_dir), 5)
            return []
        except AssertionError:
            left = processes.processes_of_instance(self.instance, self.socket_dir)
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return [f"processes {left} outlived the master"]
