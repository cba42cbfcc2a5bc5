"""PgBouncer in transaction mode between the service and a Cluster."""

import shutil

import psycopg2

from . import processes

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
USER = "token_service_worker"
PORT = 6432
# Of a whole test: two hosts with all their workers. What the tests need of them is few at once.
CONFIG = """
[databases]
{databases}
* = host={cluster} port=5432

[pgbouncer]
unix_socket_dir = {sockets}
listen_port = {port}
auth_type = trust
auth_file = {users}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 40
server_login_retry = 0
logfile = {log}
log_connections = 0
log_disconnections = 0
"""


class Pooler:
    """aliases: {name: (database, most connections)}; every database is reached under its own name as well."""

    def __init__(self, cluster, aliases=()):
        self.directory = processes.make_directory("pg")
        self.sockets = self.directory / "s"
        self.sockets.mkdir(0o700)
        self.log = self.directory / "log"
        users = self.directory / "users"
        users.write_text(f'"{USER}" ""\n"postgres" ""\n')
        config = self.directory / "pgbouncer.ini"
        lines = [f"{name} = host={cluster.sockets} port=5432 dbname={database} pool_size={size}"
                 for name, (database, size) in dict(aliases).items()]
        config.write_text(CONFIG.format(databases="\n".join(lines), cluster=cluster.sockets, sockets=self.sockets, port=PORT,
                                        users=users, log=self.log))
        for path in (self.directory, self.sockets, users, config):
            processes.give_to_other_user(path)
        self.process = processes.start([PROGRAM, "--quiet", config], death_signal="INT", as_user=processes.as_other_user())
        try:
            processes.wait_until(self._answers, 30, "PgBouncer answers")
        except BaseException:
            self.close()
            raise

    def _answers(self):
        assert self.process.poll() is None, f"PgBouncer ended: {self.log.read_text() if self.log.exists() else ''}"
        try:
            psycopg2.connect(self.url("postgres", "postgres")).close()
        except psycopg2.OperationalError:
            return False
        return True

    def url(self, role, database):
        return f"postgresql://{role}@/{database}?host={self.sockets}&port={PORT}"

    def settings(self, database):
        """What the service gets so that it reaches the database through here."""
        return {"DATABASE_URL": self.url(USER, database), "DATABASE_PREPARED_STATEMENTS": "off"}

    def close(self):
        processes.stop(self.process, processes.signal.SIGINT, 30)
        processes.remove_directory(self.directory)
