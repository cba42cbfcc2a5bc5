"""PgBouncer in transaction mode between the service and PostgreSQL: nothing of a caller's changes."""

import contextlib

import psycopg2
import pytest
from support.flow import connect, connected, expire, register
from support.hosts import PATIENT, fetch, results, start_fetch, start_herd, token_of
from support.pooler import USER, Pooler


@pytest.fixture
def make_pooler(cluster):
    """make_pooler(aliases): a Pooler before the cluster."""
    with contextlib.ExitStack() as stack:
        yield lambda aliases=(): stack.enter_context(contextlib.closing(Pooler(cluster, aliases)))


def pools(database, reads, exchanges):
    """The aliases of a database: one for each pool of workers, with so many connections to the server."""
    return {"reads": (database.name, reads), "exchanges": (database.name, exchanges)}


def through(pooler):
    """The service's settings with a pool for each of its pools."""
    return {**pooler.settings("reads"), "DATABASE_EXCHANGE_URL": pooler.url(USER, "exchanges"), **PATIENT}


def test_whole_way_of_a_branch(make_service, make_pooler, database, provider):
    """Registered, connected, read, refreshed, revoked, deleted, with one connection for each pool."""
    service = make_service(env=through(make_pooler(pools(database, 1, 1))))
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    first = token_of(fetch(service, client))
    expire(service, client)
    token = token_of(service.post("/tokens/refresh", json={"client_id": client["client_id"]}))
    assert first != token == token_of(fetch(service, client)) and provider.works(token)
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    assert service.delete(f"/clients/{client['client_id']}").status_code == 204
    assert service.get("/health").status_code == 200


def test_one_refresh_for_all_callers_of_two_hosts(make_service, make_pooler, database, provider):
    """The row's lock is what counts, whichever of the pool's connections hold it and wait for it."""
    env = {**through(make_pooler(pools(database, 2, 8))), "REFRESHERS": "2"}
    hosts = [make_service(env=env) for _ in range(2)]
    client = connected(hosts[0], provider)
    provider.fault("delay", ms=300)
    expire(hosts[0], client)
    tokens = {token_of(answer) for answer in results(start_herd(hosts, client, 40))}
    assert len(tokens) == 1 and len(provider.refreshes()) == 1


def test_refreshes_under_way_do_not_hold_up_reads(make_service, make_pooler, database, provider):
    """Transactions that are open while the provider is asked have connections of their own."""
    service = make_service(env={**through(make_pooler(pools(database, 1, 2))), "EXCHANGE_WORKERS": "4"})
    valid, *expired = [connected(service, provider) for _ in range(3)]
    for client in expired:
        expire(service, client)
    provider.fault("hold", times=2)
    calls = [start_fetch(service, client) for client in expired]
    provider.wait_for_requests(2)
    for _ in range(20):
        token_of(fetch(service, valid))
    assert not any(call.done() for call in calls)
    provider.release()
    assert all(token_of(answer) for answer in results(calls))


def test_session_is_left_as_it_was(make_service, make_pooler, database, provider):
    """The next one to get the connection finds neither a setting nor a prepared statement nor a lock."""
    pooler = make_pooler(pools(database, 1, 1))
    service = make_service(env={**through(pooler), "EXCHANGE_WORKERS": "1", "REFRESHERS": "0"})
    client = connected(service, provider)
    changed = ("SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT IN"
               " ('application_name', 'client_encoding', 'DateStyle', 'TimeZone') ORDER BY 1")
    for alias in ("reads", "exchanges"):
        expire(service, client)
        token_of(fetch(service, client))
        with contextlib.closing(psycopg2.connect(pooler.url(USER, alias))) as connection, connection.cursor() as cursor:
            cursor.execute(changed)
            assert cursor.fetchall() == []
            cursor.execute("SELECT name FROM pg_prepared_statements")
            assert cursor.fetchall() == []
            cursor.execute("SELECT locktype FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'")
            assert cursor.fetchall() == []
