"""A private PostgreSQL cluster, and databases in it."""

import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import psycopg2

from . import processes

TEMPLATE = "migrated"
# What is lost in a crash is no loss here.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0777",  # their directory's permissions decide
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "max_wal_size": "256MB",
}


def programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    assert found, "no PostgreSQL server below /usr/lib/postgresql"
    return found[-1].parent


class Database:
    """Its methods run as superuser; url is what the service gets."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.url = cluster.url("token_service_worker", name)
        self.admin_url = cluster.url("token_service_owner", name)
        self._of_thread = threading.local()

    @property
    def settings(self):
        """The service's."""
        pooler = self.cluster.pooler
        return pooler.settings(self.name) if pooler else {"DATABASE_URL": self.url}

    def _run(self, sql, params, work):
        """work(cursor) after the statement, over a connection that stays: to open one costs a server process."""
        kept = getattr(self._of_thread, "connection", None)
        if kept and not kept.closed:
            try:
                return self._on(kept, sql, params, work)
            except psycopg2.DatabaseError as error:
                if error.pgcode and not kept.closed:
                    raise
            kept.close()
        # The server has been away, or has cut it: it says so before it reads another statement.
        self._of_thread.connection = self.connect()
        return self._on(self._of_thread.connection, sql, params, work)

    @staticmethod
    def _on(connection, sql, params, work):
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return work(cursor)

    def connect(self):
        """A connection of its own, autocommit; the caller closes it."""
        return self.cluster.connect(self.name)

    def execute(self, sql, params=None):
        """The number of rows that were touched."""
        return self._run(sql, params, lambda cursor: cursor.rowcount)

    def one(self, sql, params=None):
        """The only row, a tuple; None when there is none."""
        rows = self.all(sql, params)
        assert len(rows) <= 1, f"{len(rows)} rows where one was expected"
        return rows[0] if rows else None

    def all(self, sql, params=None):
        return self._run(sql, params, lambda cursor: cursor.fetchall())

    def dump(self):
        """The contents of every table as text: what a thief of the database would read."""
        tables = self.all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [self.all(f'SELECT t::text FROM "{table}" t') for (table,) in tables]
        return "\n".join(text for table in rows for (text,) in table)

    def pg_dump(self):
        """What a backup holds."""
        done = subprocess.run(
            [programs() / "pg_dump", "--dbname", self.cluster.url("postgres", self.name)], env=processes.plain_environment(),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def migrate(self, *arguments):
        """scripts/migrate with the owner's login; its output."""
        done = subprocess.run(
            [processes.ROOT / "scripts/migrate", *arguments],
            env=processes.plain_environment(DATABASE_ADMIN_URL=self.admin_url),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def drop(self):
        self.cluster.maintenance.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class Cluster:
    """with_template=False: as initdb leaves it, without roles; create() does not work there. settings: over SETTINGS.

    under: what stands before the server's command; within: the network whose hosts it lets in.
    """

    def __init__(self, with_template=True, settings=None, under=(), within=None):
        self.settings = {**SETTINGS, **(settings or {})}
        self.directory = processes.make_directory("pg")
        self.data = self.directory / "data"
        self.sockets = self.directory / "s"
        self.log = self.directory / "log"
        self.server = None
        self.pooler = None
        self._under = under
        self._become = []
        self._number = itertools.count(1)
        self.data.mkdir(0o700)
        self.sockets.mkdir(0o700)
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._become = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
            shutil.chown(self.data, "postgres", "postgres")
            shutil.chown(self.sockets, "postgres", "postgres")
        try:
            self._initialise()
            if within:
                self._let_in(within)
            self.start()
            if with_template:
                self._make_template()
        except BaseException:
            self.close()
            raise

    @functools.cached_property
    def maintenance(self):
        """For what cannot be done from within a database."""
        return Database(self, "postgres")

    def _environment(self):
        return {**processes.plain_environment(), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def _initialise(self):
        done = subprocess.run(
            [*self._become, programs() / "initdb", f"--pgdata={self.data}", "--username=postgres",
             "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
            cwd="/", env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert done.returncode == 0, done.stdout

    def _let_in(self, network):
        with open(self.data / "pg_hba.conf", "a") as rules:
            rules.write(f"host all all {network} trust\n")

    def start(self):
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.log, "ab") as log:
            # The signal for the death of this process has to be set after the change of user.
            self.server = subprocess.Popen(
                [*self._under, *self._become, "setpriv", "--pdeathsig", "INT", programs() / "postgres", "-D", self.data,
                 "-p", "5432", "-c", f"unix_socket_directories={self.sockets}", *settings],
                cwd="/", env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )
        processes.wait_until(self._answers, 60, "PostgreSQL answers")

    def _answers(self):
        assert self.server.poll() is None, f"PostgreSQL ended: {self.log.read_text()[-2000:]}"
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def stop(self):
        """Fast shutdown: connections are cut."""
        if self.server:
            processes.stop(self.server, signal.SIGINT, 60)
            self.server = None

    @contextlib.contextmanager
    def stopped(self):
        """The server is down inside the block, and up again after it whatever happens."""
        self.stop()
        try:
            yield
        finally:
            if not self.server:
                self.start()

    def url(self, role, database):
        return f"postgresql://{role}@/{database}?host={self.sockets}&port=5432"

    def connect(self, database):
        connection = psycopg2.connect(self.url("postgres", database))
        connection.autocommit = True
        return connection

    @contextlib.contextmanager
    def password(self, database, role, password):
        """Inside the block there is a role that may read this database and has to give a password; its URL, without it."""
        rules = self.data / "pg_hba.conf"
        before = rules.read_text()
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD %s IN ROLE pg_read_all_data", (password,))
            rules.write_text(f"local {database} {role} scram-sha-256\n{before}")
            cursor.execute("SELECT pg_reload_conf()")
            try:
                processes.wait_until(lambda: self._asks_password(role, database), what="the server asks for the password")
                yield self.url(role, database)
            finally:
                rules.write_text(before)
                cursor.execute("SELECT pg_reload_conf()")
                cursor.execute(f"DROP ROLE {role}")

    def _asks_password(self, role, database):
        try:
            psycopg2.connect(self.url(role, database)).close()
        except psycopg2.OperationalError as error:
            return "password" in str(error)
        return False

    def _make_template(self):
        done = subprocess.run(
            [processes.ROOT / "scripts/lib/with-database", "psql", "--no-psqlrc", "--quiet", "--output=/dev/null",
             "-v", f"database={TEMPLATE}", "-f", processes.ROOT / "sql/roles.sql"],
            env=processes.plain_environment(DATABASE_URL=self.url("postgres", "postgres")),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        assert done.returncode == 0, done.stdout
        self.empty = Database(self, "empty")
        self.maintenance.execute(f"CREATE DATABASE empty TEMPLATE {TEMPLATE} OWNER token_service_owner")
        Database(self, TEMPLATE).migrate("deploy")

    def create(self, migrated=True):
        """A new Database; without tables when not migrated."""
        name = f"test_{next(self._number)}"
        template = TEMPLATE if migrated else "empty"
        # Without a sync a copy of the files is by far the cheaper one.
        self.maintenance.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy OWNER token_service_owner")
        return Database(self, name)

    def close(self):
        if self.pooler:
            self.pooler.close()
        self.stop()
        processes.remove_directory(self.directory)
