"""Backup and restore: README.md's own commands, from one cluster to a fresh one, and the service serves on."""

import re
import subprocess

import pytest

from support import keys, processes
from support.flow import connect, expire, register
from support.hosts import fetch, token_of
from support.keys import REQUIRED, acting
from support.postgres import Cluster, Database
from support.preflight import start_in_vain
from support.processes import ROOT
from support.sealing import KEY
from support.service import PROGRAM

OTHER_KEY = "q7Vd2Lw9Xk4Rz8Tn1Bs6Hy3Jc5Mf0Pg-of-nobody"


def readme_commands():
    """The blocks of the section, in order: (backup, restore)."""
    section = re.search(r"^## Backup and restore\n(.*?)^## ", (ROOT / "README.md").read_text(), re.M | re.S)[1]
    blocks = re.findall(r"^```sh\n(.*?)^```\n", section, re.M | re.S)
    assert len(blocks) == 2 and "pg_dump" in blocks[0] and "roles.sql" in blocks[1]
    return blocks


def run(commands, tmp_path, **env):
    """As an operator types them, from the checkout; with the program in PATH."""
    program = tmp_path / "bin/token-service"
    if not program.exists():
        program.parent.mkdir()
        program.symlink_to(PROGRAM)
    environment = processes.plain_environment(BACKUP=tmp_path / "backup.sql", SECRET_KEY=KEY, **env)
    environment["PATH"] = f"{program.parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-euc", commands], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=processes.seconds(120))
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def fresh_cluster():
    """As initdb leaves it: neither roles nor databases."""
    cluster = Cluster(with_template=False)
    yield cluster
    cluster.close()


@pytest.fixture
def restored(service, provider, tmp_path, fresh_cluster):
    """(a connected client, an administrator's key, the Database that its backup was restored into)"""
    backup, restore = readme_commands()
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    key = keys.create(service.database, "admin")
    run(backup, tmp_path, DATABASE_ADMIN_URL=service.database.admin_url)
    database = Database(fresh_cluster, "token_service")
    run(restore, tmp_path, PGHOST=fresh_cluster.sockets, PGPORT="5432", PGUSER="postgres",
        DATABASE_ADMIN_URL=database.admin_url, DATABASE_URL=database.url)
    return client, key, database


def test_service_goes_on_from_a_restored_backup(service, provider, make_service, restored):
    """Token, refresh, key, audit trail and migrations are those of before, and new clients get new ids."""
    client, key, database = restored
    assert sorted(database.dump().splitlines()) == sorted(service.database.dump().splitlines())
    token = token_of(fetch(service, client))
    again = make_service(REQUIRED, database=database)
    assert fetch(again, client).status_code == 401
    with acting(again, key):
        assert token_of(fetch(again, client)) == token
        expire(again, client)
        refreshed = token_of(fetch(again, client))
        assert refreshed != token and provider.works(refreshed)
        assert register(again)["client_id"] == client["client_id"] + 1
        assert again.get("/health/ready").status_code == 200
    assert "Nothing to deploy" in database.migrate("status")
    database.migrate("verify")
    assert ("grant.connected",) in database.all("SELECT action FROM audit_log")


@pytest.mark.parametrize("environment", ["development", "production"])
def test_restored_backup_is_of_no_use_without_its_key(make_service, restored, environment):
    """The start is refused with a line that names SECRET_KEY; nothing is lost by it: with the right key it serves."""
    client, _, database = restored
    refusal = start_in_vain(make_service, {"SECRET_KEY": OTHER_KEY, "ENVIRONMENT": environment}, database=database)
    assert "SECRET_KEY: does not open what this database holds" in refusal.stderr()
    assert token_of(fetch(make_service(database=database), client))


def test_workers_of_a_restored_database_may_no_more_than_before(restored, service):
    """The dump brings the grants along."""
    _, _, database = restored
    rights = "SELECT table_name, privilege_type FROM information_schema.role_table_grants WHERE grantee = 'token_service_worker' ORDER BY 1, 2"
    assert database.all(rights) == service.database.all(rights) != []
