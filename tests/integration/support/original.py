"""The database of the service that this one replaces, filled as that one would, and token-service import."""

import re
import subprocess

from . import processes
from .flow import unique
from .sealing import KEY
from .service import PROGRAM, WRAPPER

SCHEMA = processes.ROOT / "tests/integration/support/original.sql"
CLIENT = {"client_id": "oauth-client", "client_secret": "GOCSPX-secret", "redirect_uri": "http://localhost:8002/auth/callback",
          "workspace_email": "owner@example.test", "workspace_name": "Example Workspace"}
SCOPE = "https://www.googleapis.com/auth/business.manage"


class Original:
    """database: one that has no tables yet."""

    def __init__(self, database):
        self.database = database
        database.execute(SCHEMA.read_text())

    def _insert(self, table, fields):
        names = ", ".join(fields)
        (id,) = self.database.one(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join(['%s'] * len(fields))}) RETURNING id", tuple(fields.values()))
        return id

    def client(self, **fields):
        """Registers a client, in plain text: {**fields, id}."""
        fields = {**CLIENT, "branch_id": unique("branch"), **fields}
        return {**fields, "id": self._insert("clients", fields)}

    def token(self, client, expires_in=3600, age=600, **fields):
        """One more token of the client; its id. expires_in, age: seconds from and before now."""
        id = self._insert("tokens", {"client_id": client["id"], "access_token": "at", "refresh_token": "rt",
                                     "scope": SCOPE, **fields})
        self.database.execute(
            "UPDATE tokens SET created_at = (clock_timestamp() AT TIME ZONE 'UTC') - %s * interval '1 second',"
            " expires_at = (clock_timestamp() AT TIME ZONE 'UTC') + %s * interval '1 second' WHERE id = %s", (age, expires_in, id))
        return id

    def change(self, client, assignments, params=()):
        assert self.database.execute(f"UPDATE clients SET {assignments} WHERE id = %s", (*params, client["id"])) == 1

    def change_token(self, id, assignments, params=()):
        assert self.database.execute(f"UPDATE tokens SET {assignments} WHERE id = %s", (*params, id)) == 1

    def fill(self, number):
        """So many clients, each with a token that works and an older one."""
        self.database.execute(
            "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
            " SELECT 'oauth-client-' || n, 'GOCSPX-' || n, 'http://localhost:8002/auth/callback', 'many-' || n,"
            " 'owner@example.test' FROM generate_series(1, %s) n", (number,))
        for age, mark in ((7200, "old"), (60, "new")):
            self.database.execute(
                "INSERT INTO tokens (client_id, access_token, refresh_token, expires_at, scope, created_at)"
                " SELECT id, %s || repeat('a', 150), %s || repeat('r', 100), (now() AT TIME ZONE 'UTC') + interval '1 hour',"
                " %s, (now() AT TIME ZONE 'UTC') - %s * interval '1 second' FROM clients", (mark, mark, SCOPE, age))
        self.database.execute("ANALYZE")


def command(*arguments):
    return [*WRAPPER, PROGRAM, "import", *map(str, arguments)]


def environment(database, **env):
    return processes.plain_environment(
        **{"DATABASE_URL": database.url, "DATABASE_ADMIN_URL": database.admin_url, "SECRET_KEY": KEY, **env})


def move_in(database, original, *arguments, **env):
    """token-service import into database, once it has ended."""
    return subprocess.run(
        command("--from", original.database.cluster.url("postgres", original.database.name), *arguments),
        env=environment(database, **env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=processes.seconds(300))


def counts(done):
    """{what: how many} of its summary, without what there is none of."""
    rows = re.findall(r"^ *(\d+)  (.+)$", done.stdout, re.M)
    return {what: int(number) for number, what in rows if number != "0"}
