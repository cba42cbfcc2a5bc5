"""Before anything is served, and by check-config: is the database one to serve from?"""

import re
import subprocess

import pytest
from support import processes
from support.flow import register
from support.preflight import TRIES, UNASKED, start_in_vain
from support.processes import ROOT, wait_until
from support.sealing import KEY
from support.service import PROGRAM, WRAPPER

PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7u-of-preflight"}
CHANGES = re.findall(r"^(\w+) ", (ROOT / "sql/sqitch.plan").read_text(), re.M)


def check_config(database, *arguments, wrapper=(), **env):
    """The finished process; its settings are those of production unless told otherwise."""
    for _ in range(TRIES):
        done = subprocess.run(
            [*wrapper, *WRAPPER, PROGRAM, "check-config", *arguments],
            env=processes.plain_environment(DATABASE_URL=database.url, **{**PRODUCTION, **env}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(60),
        )
        if UNASKED not in done.stderr:
            break
    return done


@pytest.fixture
def refused_start(make_service):
    """refused_start(database): the lines of a start in production that ends with 2, without a socket."""

    def start(database, env=PRODUCTION):
        return start_in_vain(make_service, env, database=database).stderr().splitlines()

    return start


def add_client(database, redirect_uri):
    """A row as a service in development, or another program, has left it."""
    return database.one(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " VALUES ('a', 'b', %s, 'branch-' || (SELECT count(*) FROM clients), 'e@example.test') RETURNING id", (redirect_uri,))[0]


def both(database, refused_start):
    """The lines of check-config and of the start, which are the same."""
    checked = check_config(database)
    assert (checked.returncode, checked.stdout) == (2, "")
    started = refused_start(database)
    assert started == checked.stderr.splitlines()
    return started


def test_database_of_the_exchange_pool_is_looked_at_too(database, make_database):
    """DATABASE_EXCHANGE_URL: one without the tables, or of another key, is a fault; one that is away a warning; the same is good."""
    same = database.url + "&application_name=exchange"
    assert (good := check_config(database, DATABASE_EXCHANGE_URL=same)).returncode == 0 and good.stderr == ""
    empty = check_config(database, DATABASE_EXCHANGE_URL=make_database(migrated=False).url)
    assert empty.returncode == 2
    assert re.fullmatch(r"DATABASE_EXCHANGE_URL: .*tables.*DATABASE_URL\n", empty.stderr)
    away = check_config(database, DATABASE_EXCHANGE_URL=database.url.replace("host=", "host=/nowhere"))
    assert away.returncode == 0
    assert re.fullmatch(r"warning: DATABASE_EXCHANGE_URL: .*\n", away.stderr)


# --- migrations -------------------------------------------------------------------------------------


def test_pending_migration_stops_a_start_in_production(make_service, database, refused_start):
    """Exit 2 and one line, with its name and what to do; once it is applied, the start is good."""
    database.migrate("revert", "-y")
    [line] = both(database, refused_start)
    assert f"pending ({CHANGES[-1]})" in line and "scripts/migrate deploy" in line
    database.migrate("deploy")
    assert check_config(database).returncode == 0
    assert make_service(PRODUCTION).get("/health/ready").status_code == 200


def test_every_pending_migration_is_named(database, refused_start):
    """In their order, also one that is missing before the last."""
    database.migrate("revert", "-y", "--to", CHANGES[1])
    [line] = both(database, refused_start)
    assert f"pending ({', '.join(CHANGES[2:])})" in line
    database.migrate("deploy")
    database.execute("DELETE FROM sqitch.dependencies WHERE dependency = %s", (CHANGES[1],))
    assert database.execute("DELETE FROM sqitch.changes WHERE change = %s", (CHANGES[1],)) == 1
    [line] = both(database, refused_start)
    assert f"pending ({CHANGES[1]})" in line


def test_database_without_tables_stops_a_start_in_production(make_database, refused_start):
    """One line for all of it."""
    [line] = both(make_database(migrated=False), refused_start)
    assert "pending (all)" in line


def test_pending_migration_is_a_warning_in_development(make_service, database):
    """The service starts, and the log says what is missing."""
    database.migrate("revert", "-y")
    checked = check_config(database, ENVIRONMENT="development")
    assert (checked.returncode, checked.stdout) == (0, "configuration is good\n")
    assert re.fullmatch(rf"warning: .*\({CHANGES[-1]}\).*\n", checked.stderr)
    for _ in range(TRIES):
        service = make_service(database=database)
        [event] = service.log_events("preflight")
        if UNASKED not in event["reason"]:
            break
    assert event["level"] == "WARNING" and f"({CHANGES[-1]})" in event["reason"]


@pytest.mark.parametrize("statement", ["ALTER SCHEMA sqitch RENAME TO elsewhere",
                                       "REVOKE SELECT ON sqitch.changes FROM token_service_worker"])
def test_migrations_that_cannot_be_told_do_not_stop_a_start(make_service, database, statement):
    """Sqitch's records under another name, or for others' eyes: the tables are there, so it is only said."""
    database.execute(statement)
    checked = check_config(database)
    assert checked.returncode == 0 and "warning: " in checked.stderr and "sqitch.changes" in checked.stderr
    service = make_service(PRODUCTION)
    assert len(service.log_events("preflight")) == 1
    assert service.get("/health").status_code == 200


# --- redirect URLs ----------------------------------------------------------------------------------


def test_plain_http_redirect_stops_a_start_in_production(make_service, database, refused_start):
    """One line for each client, by its number; https and loopback are good, and in development all of them."""
    good = ["https://tokens.example.test/auth/callback", "HTTPS://tokens.example.test/auth/callback",
            "http://localhost:8002/auth/callback", "http://127.0.0.1/auth/callback", "http://[::1]:8002/auth/callback"]
    for uri in good:
        add_client(database, uri)
    assert (lambda done: (done.returncode, done.stderr))(check_config(database)) == (0, "")
    bad = [add_client(database, uri) for uri in ("http://tokens.example.test/auth/callback", "HTTP://10.0.0.1/auth/callback",
                                                 "http://localhost.example.test/auth/callback", "nonsense")]
    lines = both(database, refused_start)
    assert [int(re.search(r"client (\d+) must be", line)[1]) for line in lines] == bad
    assert "https" in lines[0] and "tokens.example.test" not in "".join(lines)
    assert check_config(database, ENVIRONMENT="development").returncode == 0
    database.execute("UPDATE clients SET redirect_uri = 'https://x.example.test/auth/callback' WHERE id = ANY(%s)", (bad,))
    assert make_service(PRODUCTION).get("/health/ready").status_code == 200


def test_many_plain_http_redirects_are_counted(database, refused_start):
    """Twenty lines, and one for the rest; none is overlooked behind any number of loopback ones."""
    database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " SELECT 'a', 'b', 'http://localhost/auth/callback', 'loopback-' || i, 'e@example.test' FROM generate_series(1, 1200) i")
    database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " SELECT 'a', 'b', 'http://a.example.test/auth/callback', 'plain-' || i, 'e@example.test' FROM generate_series(1, 33) i")
    lines = both(database, refused_start)
    assert len(lines) == 21 and lines[-1].startswith("clients: 13 more ")


def test_faults_of_migrations_and_of_redirects_come_together(database, refused_start):
    number = add_client(database, "http://tokens.example.test/auth/callback")
    database.migrate("revert", "-y")
    pending, redirect = both(database, refused_start)
    assert CHANGES[-1] in pending and f"client {number} " in redirect


# --- the database itself ----------------------------------------------------------------------------


def test_database_that_is_gone_does_not_stop_a_start(cluster, make_service, database):
    """Said by both; the service is ready once the database is there."""
    with cluster.stopped():
        checked = check_config(database)
        assert (checked.returncode, checked.stdout) == (0, "configuration is good\n")
        assert re.fullmatch(r"warning: DATABASE_URL: .*\n", checked.stderr)
        service = make_service(PRODUCTION)
        assert len(service.log_events("preflight")) == 1
        assert service.get("/health").status_code == 503
    wait_until(lambda: service.get("/health/ready").status_code == 200, what="ready again")


def test_check_config_writes_nothing_to_the_database(database):
    """No canary under a key that may have been mistyped; with the one of another key it is refused in a line."""
    before = database.dump()
    assert check_config(database).returncode == 0
    assert database.dump() == before and database.one("SELECT count(*) FROM secret_key_canary") == (0,)


def test_wrong_key_is_seen_whatever_the_parent_does_with_its_children(make_service, provider, database):
    """Also by check-config, and where SIGCHLD was ignored."""
    service = make_service({"SECRET_KEY": KEY})
    register(service, provider)
    for wrapper in ([], ["env", "--ignore-signal=CHLD"]):
        checked = check_config(database, wrapper=wrapper)
        assert (checked.returncode, checked.stdout) == (2, "")
        [line] = checked.stderr.splitlines()
        assert line.startswith("SECRET_KEY: ") and "secret_key_unknown" in line


def test_check_config_leaves_the_database_alone_when_told_to(make_database):
    """For those who are yet to migrate it, or to start it."""
    done = check_config(make_database(migrated=False), "--no-database")
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration is good\n", "")
