"""A PostgreSQL of three nodes under Patroni, with etcd to agree in and HAProxy to find the primary.

On loopback addresses and free ports, in a directory of its own. Replication is synchronous: what was acknowledged is on two nodes.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import httpx
import psycopg2
from support import processes
from support.postgres import Cluster, programs
from support.processes import wait_until

# Patroni's smallest: the leader's key lives so long after its last word.
TTL_S, LOOP_S, RETRY_S = 7, 1, 3
PARAMETERS = {
    "fsync": "off",  # a killed process loses nothing that the system has; a machine would
    "autovacuum": "off", "max_connections": 200, "shared_buffers": "32MB", "max_wal_size": "256MB", "wal_keep_size": "128MB",
}
HAPROXY = """
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
listen primary
    bind 127.0.0.1:{port}
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def _start(command, log, **options):
    with open(log, "ab") as out:
        return processes.start(command, env=processes.plain_environment(LC_ALL="C.UTF-8", **options), stdout=out, stderr=out, cwd="/",
                               as_user=processes.as_other_user())


class Etcd:
    def __init__(self, directory):
        self.data = directory / "etcd"
        self.data.mkdir(0o700)
        processes.give_to_other_user(self.data)
        self.port, peers = processes.free_port(), processes.free_port()
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{peers}"
        self.process = _start(
            ["etcd", "--name", "one", "--data-dir", self.data, "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}", "--unsafe-no-fsync"],
            directory / "etcd.log")


class Node:
    """PostgreSQL and the Patroni that keeps it."""

    def __init__(self, number, directory, etcd):
        self.name, self.address = f"node{number}", f"127.0.0.{10 + number}"
        self.port, self.rest_port = processes.free_port(), processes.free_port()
        self.directory = directory / self.name
        self.directory.mkdir(0o700)
        processes.give_to_other_user(self.directory)
        self.data, self.log, self.config = self.directory / "data", directory / f"{self.name}.log", directory / f"{self.name}.json"
        self.config.write_text(json.dumps(self._settings(etcd)))  # which is YAML as well
        self.process = None
        self.start()

    def _settings(self, etcd):
        own = {"listen": f"{self.address}:{self.port}", "connect_address": f"{self.address}:{self.port}"}
        rest = f"{self.address}:{self.rest_port}"
        return {
            "scope": "tokens", "name": self.name, "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"host": f"127.0.0.1:{etcd.port}"},
            "bootstrap": {
                "dcs": {"ttl": TTL_S, "loop_wait": LOOP_S, "retry_timeout": RETRY_S, "synchronous_mode": True,
                        "postgresql": {"use_pg_rewind": True, "parameters": PARAMETERS}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "trust"}, "no-sync", "data-checksums"],
            },
            "postgresql": {
                **own, "data_dir": str(self.data), "bin_dir": str(programs()), "pgpass": str(self.directory / "pgpass"),
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
                "parameters": {"unix_socket_directories": str(self.directory)},
                "pg_hba": ["local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust"],
            },
        }

    def start(self):
        self.process = _start(["patroni", self.config], self.log)

    def kill(self):
        """As when the machine loses its power: Patroni and its PostgreSQL are gone at once."""
        server = self._server_pid()
        self.process.kill()
        if server:
            os.kill(server, signal.SIGKILL)
        self.process.wait()

    def _server_pid(self):
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None

    def stop(self):
        if self.process:
            processes.stop(self.process, signal.SIGTERM, 30)
        server = self._server_pid()
        if server and Path(f"/proc/{server}").exists():
            os.kill(server, signal.SIGKILL)

    def said(self):
        """GET /patroni: {} while nobody answers."""
        try:
            return httpx.get(f"http://{self.address}:{self.rest_port}/patroni", trust_env=False, timeout=2).json()
        except (httpx.HTTPError, ValueError):
            return {}


class Haproxy:
    def __init__(self, directory, nodes):
        self.port = processes.free_port()
        servers = "\n".join(f"    server {node.name} {node.address}:{node.port} check port {node.rest_port}" for node in nodes)
        config = directory / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=self.port, servers=servers))
        self.process = _start([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", config], directory / "haproxy.log")


class PatroniCluster(Cluster):
    """As a Cluster; its url() leads through HAProxy, by_nodes() names every node."""

    def __init__(self):
        self.directory = processes.make_directory("pg")
        self.pooler, self._number = None, itertools.count(1)
        self.nodes, self.etcd, self.haproxy = [], None, None
        try:
            self.etcd = Etcd(self.directory)
            for number in (1, 2, 3):
                self.nodes.append(Node(number, self.directory, self.etcd))
            self.haproxy = Haproxy(self.directory, self.nodes)
            self.wait_until_whole()
            wait_until(lambda: can_connect(self.url("postgres", "postgres")), 30, "HAProxy has found the primary")
            self._make_template()
        except BaseException:
            self.close()
            raise

    def url(self, role, database):
        return f"postgresql://{role}@127.0.0.1:{self.haproxy.port}/{database}?connect_timeout=2"

    def by_nodes(self, role, database):
        """For a database that wait_until_level() has seen: a node that does not know it yet ends libpq's search."""
        hosts = ",".join(f"{node.address}:{node.port}" for node in self.nodes)
        return f"postgresql://{role}@{hosts}/{database}?target_session_attrs=read-write&connect_timeout=2"

    def wait_until_level(self):
        """Until every follower has what the leader has."""
        with contextlib.closing(self.connect("postgres")) as connection, connection.cursor() as cursor:
            def is_level():
                cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()")
                return cursor.fetchone() == (len(self.nodes) - 1,)

            wait_until(is_level, 30, "the followers have everything")

    def wait_until_whole(self):
        """A leader, and two that follow it, one of them synchronously: the leader's Node."""
        return wait_until(self.leader_of_whole, 120, "the cluster has a leader and two followers")

    def leader_of_whole(self):
        """None while the cluster is not."""
        said = {node: node.said() for node in self.nodes}
        leaders = [node for node, each in said.items() if each.get("role") == "master" and each.get("state") == "running"]
        if len(leaders) != 1 or any(each.get("state") != "running" for each in said.values()):
            return None
        followers = said[leaders[0]].get("replication", [])
        whole = [each for each in followers if each["state"] == "streaming"]
        # Patroni's word, not PostgreSQL's alone: who is not yet noted in etcd as synchronous is not promoted.
        synchronous = {node.name for node, each in said.items() if each.get("sync_standby")}
        found = any(each["sync_state"] == "sync" and each["application_name"] in synchronous for each in whole)
        return leaders[0] if len(whole) == 2 and found else None

    def last_words(self, lines=25):
        """The ends of all logs, for whoever looks for the cause."""
        words = []
        for path in sorted(self.directory.glob("*.log")):
            words += [f"== {path.name}", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(words)

    def close(self):
        for part in (self.haproxy, *self.nodes[::-1], self.etcd):
            if isinstance(part, Node):
                part.stop()
            elif part:
                processes.stop(part.process)
        processes.remove_directory(self.directory)


def can_connect(url):
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def try_to_write(url):
    """Does a session of its own through this URL write? Within two seconds."""
    try:
        connection = psycopg2.connect(url)
    except psycopg2.OperationalError:
        return False
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 1000; INSERT INTO probes DEFAULT VALUES")
        return True
    except psycopg2.Error:
        return False
    finally:
        connection.close()
