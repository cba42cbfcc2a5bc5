"""API keys, made by the program as an operator makes them."""

import contextlib
import re
import subprocess

from . import processes
from .service import PROGRAM

REQUIRED = {"API_AUTH": "required"}


def run(database, *arguments, **env):
    """token-service key … with the logins of this database; the finished process."""
    urls = {"DATABASE_URL": database.url, "DATABASE_ADMIN_URL": database.admin_url}
    return subprocess.run(
        [PROGRAM, "key", *map(str, arguments)], env=processes.plain_environment(**{**urls, **env}),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(30),
    )


def create(database, role, *arguments, label="made by a test"):
    """A new key's text."""
    done = run(database, "create", "--role", role, "--label", label, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def id_of(database, key):
    [row] = database.all("SELECT id FROM api_keys WHERE key_hash = sha256(%s)", (key.encode(),))
    return row[0]


def revoke(database, key):
    done = run(database, "revoke", id_of(database, key))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def expire(database, key):
    touched = database.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE key_hash = sha256(%s)", (key.encode(),))
    assert touched == 1


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


@contextlib.contextmanager
def acting(service, key):
    """Calls of this service inside the block bring the key."""
    service.client.headers.update(bearer(key))
    try:
        yield
    finally:
        del service.client.headers["Authorization"]


def routes():
    """{(method, pattern): access} as the program has it."""
    text = (processes.ROOT / "src/api/routes.c").read_text()
    rows = re.findall(r'\{ "([A-Z]+)", "(/[^"]*)", ACCESS_([A-Z]+),', text)
    assert len(rows) == len(re.findall(r'^\t\{ "', text, re.M))
    return {(method, pattern): access for method, pattern, access in rows}
