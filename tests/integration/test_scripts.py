"""The scripts an operator types: migrate, run, render-nginx."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import httpx
import psycopg2
import pytest

from support import privileged, processes
from support.flow import unique
from support.hosts import locked
from support.postgres import TEMPLATE
from support.preflight import TRIES, UNASKED
from support.processes import INSTANCE, ROOT, wait_until

TABLES = ["api_keys", "audit_log", "clients", "oauth_states", "tokens"]
DATABASE_SETTINGS = ("DATABASE_URL", "DATABASE_ADMIN_URL", "HOST", "PORT")


def script(name, *arguments, **env):
    # Set, so that a developer's .env does not come in; empty means unset.
    env = {**dict.fromkeys(DATABASE_SETTINGS, ""), **env}
    return subprocess.run(
        [ROOT / "scripts" / name, *map(str, arguments)], env=processes.plain_environment(**env),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(120), cwd="/",
    )


def migrate(database, *arguments):
    done = script("migrate", *arguments, DATABASE_ADMIN_URL=database.admin_url)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tables(database):
    rows = database.all("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [name for (name,) in rows]


def columns(database):
    return database.all(
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    )


# --- migrate ----------------------------------------------------------------------------------------


def test_migrations_go_forward_and_back(make_database):
    """deploy, verify, revert one, deploy again, revert all: the tables are as if nothing had been."""
    database = make_database(migrated=False)
    names = re.findall(r"^(\w+) ", (ROOT / "sql/sqitch.plan").read_text(), re.M)
    migrate(database, "deploy")
    assert set(TABLES) <= set(tables(database))
    before = columns(database)
    migrate(database, "verify")
    assert "Nothing to deploy" in migrate(database, "status")
    migrate(database, "deploy")
    assert columns(database) == before

    migrate(database, "revert", "-y")
    assert database.all("SELECT change FROM sqitch.changes ORDER BY planned_at") == [(name,) for name in names[:-1]]
    status = migrate(database, "status")
    assert names[-1] in status and "Nothing to deploy" not in status
    migrate(database, "verify")
    migrate(database, "deploy")
    assert columns(database) == before

    for left in reversed(range(len(names))):
        migrate(database, "revert", "-y")
        assert database.one("SELECT count(*) FROM sqitch.changes") == (left,)
    assert tables(database) == []
    migrate(database, "deploy")
    assert columns(database) == before
    migrate(database, "revert", "--all", "-y")
    assert tables(database) == []


def test_migration_that_waits_for_a_lock_gives_up(make_database):
    """Behind one that waits for a table everybody waits: it ends, with nothing changed, and can be run again."""
    database = make_database()
    database.migrate("revert", "-y", "--to", "refresh_failing_since")  # what came later waits for no table
    before = database.migrate("status")
    with locked(database, f"LOCK TABLE {', '.join(TABLES)} IN ACCESS SHARE MODE"):
        with pytest.raises(AssertionError, match="lock timeout"):
            database.migrate("revert", "-y")
    assert "refresh_failing_since" in before and database.migrate("status") == before
    database.migrate("revert", "-y")
    assert database.migrate("status") != before


def test_revert_asks_first(database):
    """Without a terminal to ask on it refuses, and drops nothing."""
    done = script("migrate", "revert", DATABASE_ADMIN_URL=database.admin_url)
    assert done.returncode == 2 and "-y" in done.stderr
    assert set(TABLES) <= set(tables(database))


def url_forms(database):
    socket_dir, name = database.cluster.sockets, database.name
    host = str(socket_dir).replace("/", "%2F")
    owner = "token_service_owner"
    return {
        "uri": f"postgresql://{owner}@/{name}?host={socket_dir}&port=5432",
        "uri-short-scheme": f"postgres://{owner}@/{name}?host={socket_dir}",
        "uri-encoded-host": f"postgresql://{owner}@{host}:5432/{name}",
        "uri-with-parameters": f"postgresql://{owner}@{host}/{name}?application_name=x%20y&connect_timeout=5&keepalives=1",
        "uri-two-hosts": f"postgresql://{owner}@%2Fnowhere,{host}/{name}?target_session_attrs=read-write",
        "uri-password": f"postgresql://{owner}:p%40ss@{host}/{name}",
        "sqlalchemy": f"postgresql+psycopg2://{owner}@{host}/{name}",
        "keywords": f"host={socket_dir} port=5432 user={owner} dbname={name}",
        "keywords-quoted": f"host = '{socket_dir}' user='{owner}' dbname='{name}' password='it\\'s'",
    }


FORMS = [
    "uri", "uri-short-scheme", "uri-encoded-host", "uri-with-parameters", "uri-two-hosts", "uri-password", "sqlalchemy",
    "keywords", "keywords-quoted",
]


@pytest.mark.parametrize("form", FORMS)
def test_migrate_takes_every_form_of_a_database_url(make_database, form):
    """The forms of libpq, and SQLAlchemy's; and DATABASE_URL serves where there is no DATABASE_ADMIN_URL."""
    database = make_database(migrated=False)
    variable = "DATABASE_URL" if form in ("sqlalchemy", "keywords") else "DATABASE_ADMIN_URL"
    done = script("migrate", "deploy", **{variable: url_forms(database)[form]})
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(TABLES) <= set(tables(database))


@pytest.mark.parametrize("form", FORMS)
def test_service_takes_every_form_of_a_database_url(make_service, database, form):
    """The same URLs start the service."""
    service = make_service({"DATABASE_URL": url_forms(database)[form], "DATABASE_WORKERS": "1", "EXCHANGE_WORKERS": "1"})
    assert service.get("/health/ready").status_code == 200, service.stderr()


def test_migrate_with_wrong_arguments_ends_with_2(tmp_path):
    """Nothing to do, an unknown command, no database, a database URL that cannot be understood."""
    for arguments, env in [
        ([], {}), (["no-such-command"], {}), (["--data"], {}), (["--no-such-option"], {}),
        (["--data", tmp_path, "deploy"], {}), (["status"], {"DATABASE_URL": "nonsense hunter2"}),
        (["status"], {"DATABASE_URL": "postgresql://u:hunter2@[::1/x"}),
    ]:
        done = script("migrate", *arguments, **env)
        assert done.returncode == 2, (arguments, env, done.stderr)
        assert done.stderr and "hunter2" not in done.stderr
    shown = script("migrate", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(word in shown.stdout for word in ("deploy", "revert", "verify", "status", "add"))


def test_migrate_says_when_the_database_is_not_there(cluster):
    """Exit 1, and no password in what it says."""
    done = script("migrate", "deploy", DATABASE_URL=f"postgresql://nobody:hunter2@/nowhere?host={cluster.directory}")
    assert done.returncode == 1
    assert "database" in done.stderr and "hunter2" not in done.stdout + done.stderr


# --- least privilege --------------------------------------------------------------------------------

FORBIDDEN = [
    *(f"DROP TABLE {table} CASCADE" for table in TABLES), *(f"TRUNCATE {table} CASCADE" for table in TABLES),
    *(f"ALTER TABLE {table} ADD COLUMN x int" for table in TABLES),
    *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in TABLES),
    *(f"ALTER TABLE {table} OWNER TO token_service_worker" for table in TABLES),
    *(f"CREATE INDEX ON {table} (client_id)" for table in TABLES),
    "DELETE FROM tokens", *(f"UPDATE clients SET {column} = {column}" for column in ("id", "client_id", "branch_id", "created_at")),
    "CREATE TABLE x (a int)", "CREATE SCHEMA x", "CREATE VIEW x AS SELECT 1",
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE ROLE x", "CREATE DATABASE x", "CREATE EXTENSION pgcrypto",
    "SET ROLE token_service_owner", "SET SESSION AUTHORIZATION postgres", "COPY clients TO PROGRAM 'true'",
    "COPY clients TO '/tmp/clients'", "SELECT pg_read_file('PG_VERSION')", "DELETE FROM sqitch.changes",
    "UPDATE sqitch.changes SET change = 'x'", "DROP SCHEMA sqitch CASCADE", "SELECT rolpassword FROM pg_authid",
]


def is_refused(cursor, statement):
    try:
        cursor.execute(statement)
    except psycopg2.errors.InsufficientPrivilege:
        return True
    return False


def test_workers_role_may_not_fill_the_disk(cluster):
    """No temporary tables in a database that sql/roles.sql made."""
    with contextlib.closing(psycopg2.connect(cluster.url("token_service_worker", TEMPLATE))) as connection:
        with connection.cursor() as cursor:
            assert is_refused(cursor, "CREATE TEMPORARY TABLE x (a int)")


def test_workers_role_may_only_read_and_write_rows(database):
    """What a worker that was taken over could do to the database is what a worker does anyway."""
    allowed = []
    with contextlib.closing(psycopg2.connect(database.url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in FORBIDDEN:
                if not is_refused(cursor, statement):
                    allowed.append(statement)
            assert not allowed
            cursor.execute("SELECT count(*) FROM sqitch.changes")
            assert cursor.fetchone()[0] >= len(TABLES)
            cursor.execute(
                "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
                " VALUES ('a', 'b', 'c', 'd', 'e') RETURNING id"
            )
            cursor.execute("UPDATE clients SET is_active = false")
            cursor.execute("DELETE FROM clients")
            assert cursor.rowcount == 1
    owners = database.all("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("token_service_owner",)]
    assert database.all(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'token_service%%' AND"
        " (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)"
    ) == []


# --- build ------------------------------------------------------------------------------------------


def test_build_configures_again_once_the_unit_tests_can_be_built(tmp_path):
    """scripts/run before scripts/test: what the latter installs counts in the directory that the former has configured."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "make").write_text("#!/bin/sh\nexit 0\n")
    without = programs / "pkg-config"
    without.write_text('#!/bin/sh\ncase " $* " in *" cmocka"*) exit 1 ;; esac\nexec /usr/bin/pkg-config "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    directory = ROOT / "build" / unique("configured")

    def build():
        done = script("build", "--dir", directory, "--tests", PATH=f"{programs}:{os.environ['PATH']}")
        assert done.returncode == 0, done.stdout + done.stderr
        return "configure in" in done.stdout

    try:
        assert build() and not build()
        without.unlink()
        assert build() and not build()
    finally:
        processes.remove_directory(directory)


# --- run --------------------------------------------------------------------------------------------

STEPS = ["building", "starting the stand-in provider", "creating a PostgreSQL cluster", "starting PostgreSQL", "migrating",
         "starting the workers and nginx"]


class Run:
    """scripts/run in a session of its own, as a terminal would start it."""

    def __init__(self, directory, *arguments, **env):
        self.instance = unique("run")
        self.runtime = directory / "data/runtime"
        self.out, self.err = directory / f"{self.instance}.out", directory / f"{self.instance}.err"
        env = {**dict.fromkeys(DATABASE_SETTINGS, ""), **env, INSTANCE: self.instance}
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            # Whoever started the tests may ignore Ctrl-C, which bash could not change any more.
            self.process = processes.start(
                ["env", "--default-signal=INT", ROOT / "scripts/run", *arguments],
                env=processes.plain_environment(**env), stdout=out, stderr=err, cwd="/",
            )

    def processes(self):
        # A run that was refused shares its data with the one that has them.
        lock = self.runtime.with_name("lock")
        mine = lock.exists() and lock.read_text().strip() == str(self.process.pid)
        runtime = self.runtime.read_text().strip() if mine and self.runtime.exists() else None
        return processes.processes_of_instance(self.instance, runtime)

    def output(self):
        return self.out.read_text() + self.err.read_text()

    def wait_for(self, text, timeout=120):
        def there():
            return text in self.output() or self.process.poll() is not None

        wait_until(there, timeout, f"scripts/run says {text!r}")
        assert text in self.output(), self.output()

    def wait_until_ready(self, port):
        self.wait_for(f"token-service ready: http://localhost:{port}\n")

    def stop(self, number=signal.SIGINT):
        """As Ctrl-C does: to everything in the foreground. The exit status, once nothing is left."""
        os.killpg(self.process.pid, number)
        return self.wait()

    def wait(self):
        status = self.process.wait(processes.seconds(90))
        wait_until(lambda: not self.processes(), 60, "no process is left")
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(processes.seconds(60))
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def directory():
    """Short, and the database's user may pass."""
    path = processes.make_directory("run-")
    yield path
    processes.remove_directory(path)


@pytest.fixture
def run(directory):
    """run(*arguments, **env): scripts/run with its data in a directory of the test's own."""
    made = []

    def start(*arguments, **env):
        made.append(Run(directory, "--data", directory / "data", *arguments, **env))
        return made[-1]

    yield start
    for each in made:
        each.close()


def runtime_directories():
    return {name for name in os.listdir("/tmp") if name.startswith("token-service.")}


def body_of(port, branch):
    return {
        "client_id": "sandbox-client", "client_secret": "sandbox-secret", "branch_id": branch,
        "redirect_uri": f"http://localhost:{port}/auth/callback", "workspace_email": "owner@example.test",
    }


def call(port, method, path, **options):
    return httpx.request(method, f"http://localhost:{port}{path}", trust_env=False, timeout=processes.seconds(30), **options)


def test_run_twice_keeps_the_data(run, directory):
    """Start, register, Ctrl-C, start again: the client is still there. Stopping leaves no process and no sockets."""
    port = processes.free_port()
    first = run("--port", port)
    first.wait_until_ready(port)
    runtime = (directory / "data/runtime").read_text().strip()
    assert os.path.isdir(runtime)
    client = call(port, "POST", "/clients", json=body_of(port, "kept")).json()
    assert client["success"] is True
    assert first.stop(signal.SIGINT) == 0
    assert not os.path.exists(runtime)
    with pytest.raises(httpx.ConnectError):
        call(port, "GET", "/")
    # Nothing was missing: no package, no module was looked for.
    assert "installing" not in first.output()

    second = run(PORT=str(port))
    second.wait_until_ready(port)
    assert call(port, "GET", f"/clients/{client['client_id']}").json()["branch_identifier"] == "kept"
    assert "creating" not in second.output()
    assert second.stop(signal.SIGTERM) == 0
    assert (directory / "data/nginx/access.log.1").exists()


def test_sandbox_brings_a_provider(run):
    """--sandbox: a login leads to the stand-in's consent page, on a loopback address."""
    port = processes.free_port()
    sandbox = run("--sandbox", "--port", port)
    sandbox.wait_until_ready(port)
    client = call(port, "POST", "/clients", json=body_of(port, "branch-1")).json()
    location = call(port, "GET", f"/oauth/login/{client['client_id']}").headers["location"]
    assert re.match(r"http://(127\.0\.0\.1|localhost):\d+/auth\?", location)
    page = httpx.get(location, trust_env=False, follow_redirects=True, timeout=processes.seconds(60))
    assert page.status_code == 200 and "<form" in page.text
    assert sandbox.stop() == 0


def test_newcomer_connects_a_workspace(run, page):
    """By what --sandbox prints and nothing else, in a browser: the console's address, then four presses and four fields
    (two of them of the person's own choosing), as README says, and the branch's token is answered."""
    port = processes.free_port()
    sandbox = run("--sandbox", "--port", port)
    sandbox.wait_until_ready(port)
    sandbox.wait_for("/tokens/branch-1")  # the end of what it prints
    printed = sandbox.out.read_text()
    address = re.search(r"http://localhost:\d+/console$", printed, re.M)[0]
    shown = dict(re.findall(r"^ +(Client id|Client secret) +(\S+)$", printed, re.M))
    assert len(shown) == 2
    page.open(address)
    page.press("Register a branch")
    page.enter("Branch", "branch-1")
    page.enter("Workspace e-mail", "owner@example.com")
    for label, text in shown.items():
        page.enter(label, text)
    page.press("Register")
    page.until(lambda: "Not connected" in page.text, "the branch is in the table")
    page.press("Connect")
    with page.other_tab():
        page.wait_for_heading("Allow access?")
        page.press("Allow")
        page.wait_for_heading("Workspace connected")
    page.until(lambda: "Valid" in page.run("return document.querySelector('tbody').innerText"), "the table says so by itself")
    assert (page.presses, page.entries) == (4, 4)
    assert "four presses and four fields" in (ROOT / "README.md").read_text()
    assert call(port, "GET", "/tokens/branch-1").status_code == 200
    assert sandbox.stop() == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_busy_port_is_named(run, directory, address):
    """Something else listens there: exit 2 at once, with the port and what to do; nothing was started."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if (family, address) not in processes.LOOPBACK:
        return
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused = run("--port", port)
        assert refused.wait() == 2
    lines = refused.output().splitlines()
    assert len(lines) == 1 and str(port) in lines[0] and "--port" in lines[0]
    assert not (directory / "data/postgresql").exists()


def test_second_run_on_the_same_data_is_refused(run):
    """It says who has them and how to choose others; the first one goes on."""
    port, other = processes.free_port(), processes.free_port()
    first = run("--port", port)
    first.wait_until_ready(port)
    second = run("--port", other)
    assert second.wait() == 2
    assert str(first.process.pid) in second.output() and "--data" in second.output()
    assert call(port, "GET", "/health").status_code == 200
    assert first.stop() == 0


def test_ctrl_c_at_any_step_leaves_nothing_and_the_next_run_works(run, directory):
    """Interrupted once at each step of a start, on one data directory as long as none is missed; the last run is as good as a first one."""
    before = runtime_directories()
    port = processes.free_port()

    def interrupt(step):
        """Did it come before the start was over?"""
        interrupted = run("--sandbox", "--port", port)
        wait_until(
            lambda: step in interrupted.output() or "token-service ready" in interrupted.output()
            or interrupted.process.poll() is not None, 120, f"scripts/run says {step!r}",
        )
        assert interrupted.stop() == 0, interrupted.output()
        return "ready" not in interrupted.output()

    for step in STEPS:
        for _ in range(5):
            if interrupt(step):
                break
            # Too late, or a run before this one was: what it has done by then is not done again.
            processes.remove_directory(directory / "data")
        else:
            raise AssertionError(f"a start is over before it can be interrupted: {step}")
    last = run("--sandbox", "--port", port)
    last.wait_until_ready(port)
    assert call(port, "GET", "/health/ready").status_code == 200
    assert last.stop() == 0
    # Other runs of this machine may come and go; none of ours is left.
    assert not any(name in last.output() for name in runtime_directories() - before)


def test_run_that_was_killed_does_not_stop_the_next_one(run):
    """SIGKILL leaves no process behind either, and what it left in the data directory is taken over."""
    port = processes.free_port()
    killed = run("--port", port)
    killed.wait_until_ready(port)
    client = call(port, "POST", "/clients", json=body_of(port, "kept")).json()
    os.kill(killed.process.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    again = run("--port", port)
    again.wait_until_ready(port)
    assert call(port, "GET", f"/clients/{client['client_id']}").status_code == 200
    assert again.stop() == 0


def test_run_ends_when_a_part_of_it_does(run):
    """A run without its workers would look alive: it says what ended, stops the rest, exit 1."""
    port = processes.free_port()
    running = run("--port", port)
    running.wait_until_ready(port)
    children = running.processes()
    [master] = [pid for pid in children if command_of(pid)[:2] == [str(ROOT / "build/token-service"), "serve"]
                and parent_of(pid) == running.process.pid]
    os.kill(master, signal.SIGKILL)
    assert running.wait() == 1
    assert "the service ended by itself" in running.output()


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            return file.read().split("\0")
    except OSError:
        return []


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(re.search(r"^PPid:\s+(\d+)", file.read(), re.M)[1])
    except OSError:
        return None


def test_run_uses_the_callers_database(run, make_database, directory):
    """With DATABASE_URL there is no private PostgreSQL; the tables are made with DATABASE_ADMIN_URL."""
    database = make_database(migrated=False)
    port = processes.free_port()
    running = run("--port", port, DATABASE_URL=database.url, DATABASE_ADMIN_URL=database.admin_url)
    running.wait_until_ready(port)
    assert call(port, "POST", "/clients", json=body_of(port, "here")).status_code == 201
    assert database.one("SELECT branch_id FROM clients") == ("here",)
    assert not (directory / "data/postgresql").exists()
    assert running.stop() == 0


def test_run_in_production_migrates_before_it_looks(run, make_database):
    """A database without tables is no fault yet; one that production does not take ends the run with its line and 2."""
    database = make_database(migrated=False)
    settings = {"ENVIRONMENT": "production", "SECRET_KEY": "Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7u-of-a-run",
                "DATABASE_URL": database.url, "DATABASE_ADMIN_URL": database.admin_url}
    port = processes.free_port()
    running = run("--port", port, **settings)
    if os.geteuid() == 0:  # whom production refuses, but only once the database is ready
        assert running.wait() == 1 and "must not run as root" in running.output()
    else:
        running.wait_until_ready(port)
        assert running.stop() == 0
    assert "pending" not in running.output() and set(TABLES) <= set(tables(database))
    database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " VALUES ('a', 'b', 'http://tokens.example.test/auth/callback', 'c', 'e@example.test')")
    for _ in range(TRIES):
        refused = run("--port", port, **settings)
        wait_until(lambda: refused.process.poll() is not None or UNASKED in refused.output(), 120, "it has looked at the database")
        if UNASKED not in refused.output():
            break
        refused.close()
    assert refused.wait() == 2
    assert refused.output().count("redirect_uri of client 1 must be https") == 1


@pytest.mark.parametrize("private", [True, False], ids=["private-database", "callers-database"])
def test_helpers_of_a_run_do_not_inherit_its_secrets(run, make_database, private):
    """nginx, PostgreSQL and the provider have neither the key nor the database's password in their environment."""
    secrets = {"SECRET_KEY": "hunter2-of-the-key-Zc5v8QpXr1LmYt6K", "SECRET_KEY_PREVIOUS": "hunter2-of-yesterday-Jb9Ns4Hd0GfEa"}
    if not private:
        database = make_database(migrated=False)
        secrets["DATABASE_URL"] = database.url.replace("@", ":hunter2@", 1)
        secrets["DATABASE_ADMIN_URL"] = database.admin_url.replace("@", ":hunter2@", 1)
    port = processes.free_port()
    running = run("--sandbox", "--port", port, **secrets)
    running.wait_until_ready(port)
    seen = set()
    for pid in set(running.processes()) - {running.process.pid}:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            environment = privileged.read(f"/proc/{pid}/environ")
            assert b"hunter2" not in environment, command_of(pid)
            seen.add(processes.name_of(pid))
    assert {"nginx", "node", "token-service"} <= seen
    assert ("postgres" in seen) == private
    assert running.stop() == 0


WRONG_RUNS = [
    (["--no-such-option"], {}, "--help"), (["--port"], {}, "--port"), (["--port", "many"], {}, "many"),
    (["--port", "0"], {}, "1 to 65535"), (["--port", "65536"], {}, "1 to 65535"), (["surprise"], {}, "surprise"),
    (["--data", "/proc/nowhere"], {}, "/proc/nowhere"), ([], {"PORT": "many"}, "many"),
]


@pytest.mark.parametrize("arguments, env, said", WRONG_RUNS, ids=[" ".join(row[0]) or "PORT" for row in WRONG_RUNS])
def test_wrong_usage_of_run_ends_with_2(arguments, env, said):
    """And says what is wrong, before anything is installed, built or started."""
    done = script("run", *arguments, **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.splitlines()[-1].startswith("run: ")


def test_wrong_settings_end_a_run_with_2(run):
    """The program's own line comes out, and nothing is left."""
    refused = run("--port", processes.free_port(), LOG_LEVEL="LOUD")
    assert refused.wait() == 2
    assert "LOG_LEVEL: 'LOUD'" in refused.output()


COMMANDS = ["run", "test", "migrate", "render-nginx", "build", "install", "check", "format", "bench", "fuzz", "profile", "screenshots", "soak"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_the_scripts(name):
    """--help of each says how it is called, does nothing else, and ends with 0."""
    done = script(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_option_of_the_scripts_ends_with_2(name):
    """Nothing is done on a guess."""
    done = script(name, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


# --- render-nginx -----------------------------------------------------------------------------------

WRONG_RENDERS = [
    [], ["--run-dir"], ["--run-dir", ""], ["--run-dir", "/tmp/a$b"], ["--run-dir", "/tmp/a\nb"], ["--port", "0"],
    ["--port", "65536"], ["--port", "1;"], ["--host", "a b"], ["--host", "127.0.0.1; include /etc/passwd"],
    ["--socket-dir", "/" + "x" * 100], ["--database-workers", "0"], ["--exchange-timeout-s", "1.5"],
    ["--rate-limit", "-1"], ["--out"], ["surprise"], ["--site", "staging"], ["--user", "a;b"], ["--path-prefix", "api"],
    ["--path-prefix", "/api/"], ["--path-prefix", "/a/../b"], ["--path-prefix", "/a;b"], ["--path-prefix", "/_error"],
    ["--allowed-origins", "*"], ["--allowed-origins", "https://a.example/"], ["--allowed-origins", 'https://a"; }'],
    ["--trusted-proxy", "0.0.0.0/0"], ["--trusted-proxy", "::/0"], ["--trusted-proxy", "proxy.example.com"],
    ["--trusted-proxy", "10.0.0.256"], ["--trusted-proxy", "10.0.0.0/33"], ["--trusted-proxy", "2001:db8::/129"],
    ["--admin-network", "1::2::3"], ["--admin-network", "10.0.0.0/8 1; include x"], ["--server-name", "a.example"],
    ["--certificate", "/etc/hostname"],
]


@pytest.mark.parametrize("arguments", WRONG_RENDERS, ids=[" ".join(words)[:30] or "nothing" for words in WRONG_RENDERS])
def test_wrong_options_of_render_nginx_end_with_2(tmp_path, arguments):
    """A line on standard error, and no half of a configuration anywhere."""
    out = tmp_path / "nginx.conf"
    required = [] if "--run-dir" in arguments or not arguments else ["--run-dir", tmp_path]
    done = script("render-nginx", *required, "--out", out, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("render-nginx: ")
    assert list(tmp_path.iterdir()) == []


PRODUCTION = {
    "--site": "production", "--user": "nobody", "--server-name": "a.example", "--certificate": "FILE",
    "--certificate-key": "FILE",
}
WRONG_PRODUCTIONS = [
    ({"--server-name": None}, "--server-name"), ({"--certificate": None}, "--certificate "),
    ({"--certificate-key": None}, "--certificate-key"), ({"--certificate": "/no/such/file"}, "--certificate: "),
    ({"--ocsp-ca": "FILE"}, "--resolver"), ({"--port": "80"}, "--http-port"), ({"--server-name": "a b"}, "--server-name"),
    ({"--server-name": "*.a.example"}, "--server-name"), ({"--resolver": "1; 2"}, "--resolver"),
    ({"--site": "development"}, "--site production"),
]


@pytest.mark.parametrize(("changes", "named"), WRONG_PRODUCTIONS, ids=[f"{name} {changes}" for changes, name in WRONG_PRODUCTIONS])
def test_production_options_that_do_not_go_together_end_with_2(tmp_path, changes, named):
    """The line names the option that is missing or in the way."""
    (tmp_path / "file").touch()
    options = {name: value for name, value in {**PRODUCTION, **changes}.items() if value is not None}
    words = [word.replace("FILE", str(tmp_path / "file")) for pair in options.items() for word in pair]
    done = script("render-nginx", "--run-dir", tmp_path, "--out", tmp_path / "nginx.conf", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("render-nginx: ") and named in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "nginx.conf").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could make workers that are root")
def test_production_wants_to_know_whom_workers_run_as(tmp_path):
    """Rendered by root and silent about it, they would be root."""
    (tmp_path / "file").touch()
    words = [w.replace("FILE", str(tmp_path / "file")) for pair in PRODUCTION.items() if pair[0] != "--user" for w in pair]
    done = script("render-nginx", "--run-dir", tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "") and "--user" in done.stderr


@pytest.mark.parametrize("place", ["plain", "with space", 'with"quote', "with\\backslash", "with#hash;semicolon{}", "ünïcode"])
def test_rendered_configuration_is_good_wherever_it_is(directory, place):
    """nginx takes it with every option, and with directories of odd names."""
    where = directory / place
    where.mkdir()
    out = where / "nginx.conf"
    done = script(
        "render-nginx", f"--run-dir={where}", "--socket-dir", where, "--port", processes.free_port(), "--host", "127.0.0.1",
        "--host", "::1", "--host", "[::1]", "--database-workers", "3", "--exchange-timeout-s", "70", "--rate-limit", "5",
        "--out", out,
    )
    assert done.returncode == 0, done.stderr
    checked = subprocess.run(
        ["nginx", "-t", "-p", where, "-c", out, "-e", "stderr"], env=processes.plain_environment(PATH=os.environ["PATH"] + ":/usr/sbin"),
        capture_output=True, text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    assert "@" not in re.sub(r"@exchange|!->@-~", "", out.read_text())
