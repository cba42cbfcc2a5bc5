"""The container image, built and run without a container engine: buildah and podman, as root."""

import contextlib
import fcntl
import json
import os
import subprocess

import httpx

from . import openapi, processes

# Kept from run to run, as what the compiler makes: the layers of the image.
STATE = processes.ROOT / "build/containers"
# podman refuses a run root whose path has more than 50 characters, which a checkout's may: it is seen there.
RUN_ROOT = "/mnt"
STORE = ["--root", STATE / "storage", "--runroot", RUN_ROOT]
NAME = "localhost/token-service"
BUILD_S = 1800


def _as_root(command):
    """In a mount namespace of its own: of what the tools mount nothing stays."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    conf = f"CONTAINERS_CONF={processes.ROOT / 'tests/container/containers.conf'}"
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return [*sudo, "unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(STATE / "run"), RUN_ROOT,
            "env", conf, *map(str, command)]


def _run(command, timeout=600):
    return subprocess.run(_as_root(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=processes.plain_environment(), timeout=processes.seconds(timeout))


def build():
    """Once for all that test at the same time; further times cost little."""
    (STATE / "run").mkdir(parents=True, exist_ok=True)
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    with open(STATE / "lock", "a+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() == run:
            return
        done = _run([processes.ROOT / "tests/container/build", STATE], BUILD_S)
        assert done.returncode == 0, done.stderr
        lock.truncate(0)
        lock.write(run)


def inspect():
    """The image's configuration, as an engine reads it."""
    done = _run(["buildah", *STORE, "inspect", "--type", "image", NAME])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["Docker"]["config"]


class Container:
    """One container of the image on the machine's own network, its root read-only, without capabilities.

    Before start() it is only a name; run() is for commands that end by themselves.
    """

    def __init__(self, database):
        self.database = database
        self.name = f"ts-{os.getpid()}-{database.name}"
        self.port = processes.free_port()
        self.url = f"http://localhost:{self.port}"
        self.directory = processes.make_directory("svc")
        self.output_path = self.directory / "output"
        self.document = openapi.Watch()
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=processes.seconds(60),
                                   headers={"Accept": "application/json"}, event_hooks={"response": [self.document]})
        self.process = None
        # Its user is nobody here; only the directory keeps others from the database's socket.
        database.cluster.sockets.chmod(0o711)

    def _command(self, env, arguments):
        sockets = self.database.cluster.sockets
        variables = {"PORT": self.port, "HOST": "127.0.0.1", **env}
        return [
            "podman", *STORE, "run", "--rm", "--name", self.name, "--network=host", "--no-healthcheck",
            "--read-only", "--read-only-tmpfs=false", "--tmpfs=/run/token-service", "--tmpfs=/tmp",
            "--cap-drop=all", "--security-opt=no-new-privileges", f"--volume={sockets}:{sockets}:ro",
            *(f"--env={name}={value}" for name, value in variables.items()), NAME, *arguments,
        ]

    def run(self, *arguments, env=(), entrypoint=None):
        command = self._command(dict(env), arguments)
        if entrypoint:
            command.insert(command.index(NAME), f"--entrypoint={entrypoint}")
        return _run(command)

    def start(self, env, health="/health"):
        with open(self.output_path, "ab") as output:
            self.process = processes.start(_as_root(self._command(env, [])), stdout=output, stderr=output,
                                           env=processes.plain_environment())
        processes.wait_until(lambda: self._answers(health), 60, "the container answers")

    def _answers(self, health):
        assert self.process.poll() is None, self.output()
        with contextlib.suppress(httpx.TransportError):
            # Below a path it is in no document.
            return httpx.get(f"{self.url}{health}", trust_env=False).status_code == 200

    def execute(self, *command):
        """In the container that runs."""
        return _run(["podman", *STORE, "exec", self.name, *command])

    def signal(self, name):
        done = _run(["podman", *STORE, "kill", f"--signal={name}", self.name])
        assert done.returncode == 0, done.stderr

    def get(self, path, **kwargs):
        return self.client.get(path, **kwargs)

    def post(self, path, **kwargs):
        return self.client.post(path, **kwargs)

    def output(self):
        return self.output_path.read_text(errors="replace")

    def wait_exit(self):
        return self.process.wait(processes.seconds(60))

    def close(self):
        self.client.close()
        if self.process and self.process.poll() is None:
            _run(["podman", *STORE, "rm", "--force", self.name])
            self.process.wait(processes.seconds(60))
        processes.remove_directory(self.directory)
        assert not self.document.said(), self.document.said()
