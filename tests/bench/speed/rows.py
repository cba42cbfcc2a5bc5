"""Branches 1 to N in the service's tables, sealed, and the same ones in the original's, in plain text."""

import contextlib

from support.original import SCHEMA
from support.sealing import KEY, SEALS

from . import programs

OAUTH = {"OAUTH_CLIENT_ID": "bench-client.apps.example.test", "OAUTH_CLIENT_SECRET": "bench-secret"}
COLUMNS = {
    "clients": "id, client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name",
    "tokens": "client_id, access_token, refresh_token, scope, expires_at, refresh_due_at",
}

APART_US = 7919  # one branch's token from the next one's, as fill.c spreads them


def fill(database, number):
    """As if so many branches had been connected within half a day."""
    with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
        for table, columns in COLUMNS.items():
            command = [programs.BUILD / "fill", table, 1, number]
            with programs.running(command, SECRET_KEY=KEY, **OAUTH) as child:
                cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", child.stdout)
                programs.end_of(child)
        cursor.execute("SELECT setval(pg_get_serial_sequence('clients', 'id'), %s)", (number,))
        cursor.execute("VACUUM ANALYZE")
    warm(database)


def multiply(database, number):
    """As many rows as wanted, as copies of those that are there: as long, but under the seals of others, for whom they
    do not open. A minute for what would take ten. What is indexed is each row's own: PostgreSQL stores equal keys once."""
    [there] = database.one("SELECT count(*) FROM clients")
    for table, columns in COLUMNS.items():
        own = {"id": "n", "client_id": "c.client_id" if table == "clients" else "n", "branch_id": "'branch-' || n",
               "workspace_email": "'owner-' || n || '@example.test'",
               **{name: f"c.{name} + (n - c.client_id) * interval '{APART_US} microseconds'" for name in ("expires_at", "refresh_due_at")}}
        values = ", ".join(own.get(name, f"c.{name}") for name in columns.split(", "))
        source = "c.id" if table == "clients" else "c.client_id"
        database.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(%s, %s) n"
                         f" JOIN {table} c ON {source} = n %% %s + 1", (there + 1, number, there))
    database.execute("SELECT setval(pg_get_serial_sequence('clients', 'id'), %s)", (number,))
    database.execute("VACUUM ANALYZE")


def fill_original(database, number):
    """The index on tokens.client_id is a gift: without it the original reads the whole table for every request."""
    database.execute(SCHEMA.read_text())
    database.execute("CREATE INDEX ON tokens (client_id)")
    database.execute(
        "INSERT INTO clients (id, client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name)"
        " SELECT n, %s, %s, 'http://localhost:8002/auth/callback', 'branch-' || n, 'owner-' || n || '@example.test',"
        " 'Example Workspace' FROM generate_series(1, %s) n", (*OAUTH.values(), number))
    database.execute(
        "INSERT INTO tokens (client_id, access_token, refresh_token, expires_at, scope)"
        " SELECT n, rpad('at-' || n || '-', 220, 'a'), rpad('rt-' || n || '-', 103, 'r'),"
        " (now() AT TIME ZONE 'UTC') + interval '1 day', 'https://www.googleapis.com/auth/business.manage'"
        " FROM generate_series(1, %s) n", (number,))
    database.execute("VACUUM ANALYZE")
    warm(database)


def warm(database):
    """What a service that has run for a while has in memory."""
    database.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
    database.execute("SELECT pg_prewarm(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                     " AND relkind IN ('r', 'i')")


def give_grants(database, provider, ids):
    """Grants that the provider knows, for branches that were filled."""
    provider.client(*OAUTH.values())
    grants = provider.grant(OAUTH["OAUTH_CLIENT_ID"], count=len(ids))["grants"]
    sealed = [(id, *SEALS.grant(id, grant["access_token"], grant["refresh_token"])) for id, grant in zip(ids, grants)]
    with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.executemany("UPDATE tokens SET access_token = %s, refresh_token = %s WHERE client_id = %s",
                           [(access, refresh, id) for id, access, refresh in sealed])


def expire(database, ids):
    """Their tokens end now, and nothing keeps anybody from refreshing them at once."""
    touched = database.execute(
        "UPDATE tokens SET expires_at = now() - interval '10 seconds', refresh_began_at = now() - interval '1 hour',"
        " refresh_due_at = now() - interval '10 minutes', refresh_retry_at = NULL, provider_retry_at = NULL,"
        " refresh_failures = 0, refresh_error = NULL, provider_error = NULL WHERE client_id = ANY(%s)", (list(ids),))
    assert touched == len(ids), f"{touched} rows were there, not {len(ids)}"


def expired(database, ids):
    """How many of their tokens have ended."""
    [number] = database.one("SELECT count(*) FROM tokens WHERE client_id = ANY(%s) AND expires_at < now()", (list(ids),))
    return number
