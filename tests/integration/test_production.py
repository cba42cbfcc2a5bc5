"""What production refuses to start with: a line for each fault, all of them at once, and exit status 2."""

import os
import subprocess

import pytest

from support import processes
from support.processes import wait_until
from support.sealing import KEY
from support.service import PROGRAM

# GOOGLE_ISSUER: it follows GOOGLE_AUTH_URL, and would be a second fault.
GOOD = {
    "ENVIRONMENT": "production", "SECRET_KEY": KEY, "DATABASE_URL": "postgresql:///nowhere?host=/nonexistent",
    "GOOGLE_ISSUER": "https://accounts.example.test",
}
# A setting, its value, and what its line says.
UNSAFE = [
    ("API_AUTH", "off", "API_AUTH_OFF_IN_PRODUCTION=accept"),
    ("SECRET_KEY", "", "SECRET_KEY: is not set"),
    ("SECRET_KEY", "development-only-secret-key", "SECRET_KEY: is not set, or is the one that everybody knows"),
    ("SECRET_KEY", "Zc5v8QpXr1LmYt6K", "SECRET_KEY: is shorter than 32 characters"),
    ("SECRET_KEY", "your-secret-key-here-change-in-production", "SECRET_KEY: is a placeholder"),
    ("SECRET_KEY", "x" * 64, "SECRET_KEY: has fewer than 10 different characters"),
    ("GOOGLE_AUTH_URL", "http://accounts.example.test/auth", "GOOGLE_AUTH_URL: "),
    ("GOOGLE_TOKEN_URL", "http://accounts.example.test/token", "GOOGLE_TOKEN_URL: "),
    ("GOOGLE_REVOKE_URL", "http://localhost.example.test/revoke", "GOOGLE_REVOKE_URL: "),
    ("GOOGLE_ISSUER", "http://accounts.example.test", "GOOGLE_ISSUER: "),
    ("GOOGLE_CA_FILE", "/nonexistent/ca.pem", "GOOGLE_CA_FILE: "),
    ("GOOGLE_CA_FILE", "/etc/passwd", "GOOGLE_CA_FILE: "),
    ("DATABASE_ADMIN_URL", "postgresql://db.example.test/tokens", "DATABASE_PLAINTEXT_IN_PRODUCTION=accept"),
    ("DATABASE_EXCHANGE_URL", "postgresql://db.example.test/tokens", "DATABASE_PLAINTEXT_IN_PRODUCTION=accept"),
    ("DATABASE_URL", "postgresql://db.example.test/tokens", "DATABASE_PLAINTEXT_IN_PRODUCTION=accept"),
    ("DATABASE_URL", "postgresql://db.example.test/tokens?sslmode=prefer", "DATABASE_PLAINTEXT_IN_PRODUCTION=accept"),
]


@pytest.fixture
def directory():
    path = processes.make_directory("svc")
    yield path
    processes.remove_directory(path)


def run(directory, settings, command="check-config", mode=0o600):
    file = directory / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    file.chmod(mode)
    options = ["--socket-dir", directory / "s"] if command == "serve" else []
    return subprocess.run([PROGRAM, command, "--env-file", file, *options], env=processes.plain_environment(),
                          capture_output=True, text=True, timeout=processes.seconds(30))


@pytest.mark.parametrize("name, value, line", UNSAFE, ids=[f"{name}={value[:40]}" for name, value, _ in UNSAFE])
def test_production_refuses_an_unsafe_setting(directory, name, value, line):
    """In check-config as in serve, with one line that names the variable."""
    for command in ("check-config", "serve"):
        done = run(directory, {**GOOD, name: value}, command)
        assert done.returncode == 2, done.stderr
        [said] = done.stderr.splitlines()
        assert said.startswith(f"{name}: ") and line in said
        assert name != "SECRET_KEY" or not value or value not in said


def test_all_faults_come_at_once(directory):
    """Wrong values and unsafe ones alike."""
    done = run(directory, {**{name: value for name, value, _ in UNSAFE}, "ENVIRONMENT": "production", "PORT": "0"}, mode=0o604)
    assert done.returncode == 2
    names = sorted(line.split(":")[0] for line in done.stderr.splitlines())
    assert names == sorted({name for name, _, _ in UNSAFE} | {"PORT", str(directory / "env")})


@pytest.mark.parametrize("mode, good", [(0o600, True), (0o640, True), (0o644, False), (0o660, False), (0o602, False)])
def test_environment_file_is_not_for_others(directory, mode, good):
    """In production: nobody else changes it, and only its group may read it."""
    done = run(directory, GOOD, mode=mode)
    assert done.returncode == (0 if good else 2), done.stderr
    assert good or done.stderr.startswith(f"{directory}/env: ")


def test_development_is_left_alone(directory):
    """All but a file of authorities that is none may be so on a developer's machine."""
    for name, value, _ in UNSAFE:
        done = run(directory, {**GOOD, "ENVIRONMENT": "development", name: value}, mode=0o644)
        assert done.returncode == (2 if name == "GOOGLE_CA_FILE" else 0), done.stderr


def test_calls_without_keys_can_be_accepted(directory):
    """By name, for what is guarded otherwise."""
    off = {**GOOD, "API_AUTH": "off"}
    for override, status in (("accept", 0), ("refuse", 2), ("", 2)):
        assert run(directory, {**off, "API_AUTH_OFF_IN_PRODUCTION": override}).returncode == status


def test_override_alone_leaves_keys_required(make_service):
    """API_AUTH unset means required in production, whatever the override says."""
    service = make_service({"ENVIRONMENT": "production", "API_AUTH_OFF_IN_PRODUCTION": "accept"})
    assert service.get("/clients").status_code == 401
    service.reload({"API_AUTH": "off"})
    wait_until(lambda: service.get("/clients").status_code == 200, what="the calls need no key")


def test_plaintext_to_the_database_can_be_accepted(directory):
    """By name: where the network between them is nobody else's."""
    remote = {**GOOD, "DATABASE_URL": "postgresql://db.example.test/tokens"}
    assert run(directory, {**remote, "DATABASE_PLAINTEXT_IN_PRODUCTION": "accept"}).returncode == 0


def test_production_does_not_run_as_root(directory):
    """serve says so, and where the user is set."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = run(directory, GOOD, "serve")
    assert (done.returncode, "User=" in done.stderr) == (2, True)
    assert not (directory / "s").exists()


def test_reload_refuses_what_the_start_refuses(make_service):
    """The old configuration stays, and the service with it."""
    service = make_service({"ENVIRONMENT": "production"})
    service.reload({"SECRET_KEY": "short"})
    assert "SECRET_KEY: is shorter than 32 characters" in service.stderr()
    assert not service.log_events("reloaded")
    assert service.get("/health").status_code == 200
