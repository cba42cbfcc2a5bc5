"""Stored secrets are sealed: each for its row, under SECRET_KEY, which can be changed while the service serves."""

import collections
import subprocess
import threading

import pytest
from support import keys, metrics, processes, trouble
from support.flow import connect, connect_fast, expire, refused, register, token_row
from support.hosts import PATIENT, fetch, locked, token_of, two_hosts, unexcused, wait_for_waiters
from support.preflight import start_in_vain
from support.processes import wait_until
from support.sealing import KEY, SEALS, Seals
from support.service import PROGRAM, WRAPPER

NEW_KEY = "the-next-secret-key-of-the-integration-tests"
OLD_KEY = "the-key-of-yesterday-of-the-integration-tests"
COLUMNS = "access_token, refresh_token, grant_version, is_valid, is_revoked"


def rekey_environment(database, key, previous):
    return processes.plain_environment(DATABASE_URL=database.url, DATABASE_ADMIN_URL=database.admin_url, SECRET_KEY=key,
                                       SECRET_KEY_PREVIOUS=previous)


def rekey(database, key=NEW_KEY, previous=KEY, *arguments):
    """token-service rekey with the owner's login, once it has ended."""
    return subprocess.run(
        [*WRAPPER, PROGRAM, "rekey", *arguments], env=rekey_environment(database, key, previous),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(120),
    )


def stored(service, client):
    """The columns as they are stored."""
    return service.database.one(f"SELECT {COLUMNS} FROM tokens WHERE client_id = %s", (client["client_id"],))


def connected(service, provider, **grant):
    client = register(service, provider)
    return client, connect_fast(service, provider, client, **grant)


def spoil(how, value, client):
    """The sealed value as somebody or something might have left it."""
    flipped = value[:20] + ("A" if value[20] != "A" else "B") + value[21:]
    yesterday = Seals(OLD_KEY).grant(client["client_id"], "at", "rt")
    return {"flipped": flipped, "truncated": value[:-8], "cut to the head": value[:12], "plain": "1//a-plain-token",
            "key of yesterday": yesterday[0]}[how]


SPOILT = [("flipped", 500, "sealed_value_damaged"), ("truncated", 500, "sealed_value_damaged"),
          ("cut to the head", 500, "sealed_value_malformed"), ("plain", 500, "sealed_value_malformed"),
          ("key of yesterday", 503, "secret_key_unknown")]


@pytest.mark.parametrize("how, status, code", SPOILT)
@pytest.mark.parametrize("seconds_left", [3600, 60, -10])
def test_access_token_that_does_not_open(service, provider, how, status, code, seconds_left):
    """Its own error, no refresh, nothing written; as it was, it is answered again."""
    client, grant = connected(service, provider)
    expire(service, client, seconds_left)
    good = stored(service, client)
    service.database.execute("UPDATE tokens SET access_token = %s", (spoil(how, good[0], client),))
    before = service.database.one("SELECT t::text FROM tokens t")
    refused(fetch(service, client), status, code)
    assert service.database.one("SELECT t::text FROM tokens t") == before
    assert not provider.refreshes()
    service.database.execute("UPDATE tokens SET access_token = %s", good[:1])
    expire(service, client, 3600)
    assert token_of(fetch(service, client)) == grant["access_token"]


@pytest.mark.parametrize("how, status, code", SPOILT)
@pytest.mark.parametrize("column", ["refresh_token", "client_secret"])
def test_refresh_of_what_does_not_open(service, provider, column, how, status, code):
    """Its own error, the provider is not asked, the values stay; with the right ones the grant lives."""
    client, grant = connected(service, provider, expires_in=-10)
    table, id = ("tokens", "client_id") if column == "refresh_token" else ("clients", "id")
    (good,) = service.database.one(f"SELECT {column} FROM {table} WHERE {id} = %s", (client["client_id"],))
    bad = spoil(how, good, client)
    service.database.execute(f"UPDATE {table} SET {column} = %s", (bad,))
    refused(fetch(service, client), status, code)
    assert not provider.refreshes()
    assert service.database.one(f"SELECT {column} FROM {table}") == (bad,)
    assert token_row(service, client, "is_valid, is_revoked, refresh_error") == (True, False, code)
    service.database.execute(f"UPDATE {table} SET {column} = %s", (good,))
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    assert provider.works(token_of(fetch(service, client)))


@pytest.mark.parametrize("column", ["access_token", "refresh_token"])
def test_value_pasted_from_another_row(service, provider, column):
    """Whoever writes to the database cannot have one branch answered, or refreshed, with another's grant."""
    client, _ = connected(service, provider)
    other, _ = connected(service, provider)
    if column == "refresh_token":
        expire(service, client)
    service.database.execute(
        f"UPDATE tokens SET {column} = (SELECT {column} FROM tokens WHERE client_id = %s) WHERE client_id = %s",
        (other["client_id"], client["client_id"]))
    before = stored(service, client)
    refused(fetch(service, client), 500, "sealed_value_damaged")
    assert stored(service, client) == before
    assert not provider.refreshes()


def test_access_token_that_still_opens_is_answered_while_the_refresh_token_does_not(service, provider):
    """Inside the buffer, as with any other refresh that fails."""
    client, grant = connected(service, provider, expires_in=120)
    metrics.wait_for_workers(service)
    service.database.execute("UPDATE tokens SET refresh_token = %s", (spoil("flipped", stored(service, client)[1], client),))
    for _ in range(2):
        answer = fetch(service, client)
        assert token_of(answer) == grant["access_token"] and answer.json()["stale"] is True
    assert answer.json()["refresh_error"] == "sealed_value_damaged"
    assert not provider.refreshes()


def test_dump_holds_nothing_in_plain_text(service, provider):
    """After the whole flow: no token, no client secret, no verifier of a login under way; nor once the grant waits to be
    given up at the provider."""
    oauth, secret = provider.client()
    client = register(service, client_id=oauth, client_secret=secret)
    first = connect(service, provider, client).json()["access_token"]
    expire(service, client)
    second = token_of(fetch(service, client))
    access, refresh = token_row(service, client, "access_token, refresh_token")
    assert (access, first) != (first, second)
    service.get(f"/oauth/login/{client['client_id']}")
    (verifier,) = SEALS.verifiers(service.database)
    dump = service.database.dump()
    provider.fault("drop", endpoint="revocation", times=None)
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    (queued,) = service.database.one("SELECT token FROM revocations")
    assert SEALS.open("tokens", "refresh_token", client["client_id"], queued) == refresh
    dump += service.database.dump()
    assert not [name for name, value in {"secret": secret, "first": first, "second": second, "refresh": refresh,
                                         "verifier": verifier}.items() if value in dump]


def test_wrong_key_at_the_start_is_refused(make_service, provider, service):
    """One line and exit 2 before any socket is there; the data are untouched, and good with the right key."""
    client, grant = connected(service, provider)
    assert fetch(service, client).status_code == 200
    before = service.database.dump()
    wrong = start_in_vain(make_service, {"SECRET_KEY": NEW_KEY})
    assert len(wrong.stderr().splitlines()) == 1 and "secret_key_unknown" in wrong.stderr(), wrong.stderr()
    assert service.database.dump() == before
    assert token_of(fetch(service, client)) == grant["access_token"]


def test_wrong_key_by_a_reload_recovers(make_service, provider):
    """Every call says which setting is wrong until the right key is back; the other host goes on, nothing is lost."""
    good, wrong = two_hosts(make_service, REFRESHERS="0")
    client, grant = connected(good, provider)
    assert fetch(good, client).status_code == 200
    before = stored(good, client)
    for key in (NEW_KEY, None):
        wrong.reload_and_wait({"SECRET_KEY": key})
        for answer in (fetch(wrong, client), wrong.get("/clients"),
                       wrong.post("/tokens/refresh", json={"client_id": client["client_id"]})):
            assert "SECRET_KEY" in refused(answer, 503, "secret_key_unknown")["message"]
        assert token_of(fetch(good, client)) == grant["access_token"]
    wrong.reload_and_wait({"SECRET_KEY": NEW_KEY, "SECRET_KEY_PREVIOUS": KEY})
    assert token_of(fetch(wrong, client)) == grant["access_token"]
    assert stored(good, client) == before
    assert not provider.refreshes()


def test_new_key_seals_and_the_previous_one_opens(make_service, provider):
    """Two hosts in the middle of a change of keys: what either stores the other opens."""
    old = make_service({"SECRET_KEY_PREVIOUS": NEW_KEY})
    new = make_service({"SECRET_KEY": NEW_KEY, "SECRET_KEY_PREVIOUS": KEY})
    client, grant = connected(old, provider)
    assert token_of(fetch(new, client)) == grant["access_token"]
    for host, other, seals in ((new, old, Seals(NEW_KEY)), (old, new, SEALS)):
        expire(host, client)
        token = token_of(fetch(host, client))
        sealed, _, *_ = stored(host, client)
        assert seals.open("tokens", "access_token", client["client_id"], sealed) == token
        assert token_of(fetch(other, client)) == token


def test_rekey_seals_everything_anew(service, provider):
    """Every value is under the new key, for its row, with the same content; a second run finds nothing to do."""
    rows = [connected(service, provider) for _ in range(5)]
    assert fetch(service, rows[0][0]).status_code == 200  # there is a canary
    service.get(f"/oauth/login/{rows[0][0]['client_id']}")
    (verifier,) = SEALS.verifiers(service.database)
    versions = service.database.all("SELECT grant_version FROM tokens ORDER BY id")
    done = rekey(service.database, NEW_KEY, KEY, "--batch", "2")
    assert (done.returncode, done.stdout) == (0, "17 re-sealed, 0 already current, 0 could not be re-sealed\n"), done
    new = Seals(NEW_KEY)
    for client, grant in rows:
        assert new.opened(stored(service, client)[:2], client["client_id"]) == (
            grant["access_token"], grant["refresh_token"])
        (sealed,) = service.database.one("SELECT client_secret FROM clients WHERE id = %s", (client["client_id"],))
        assert new.open("clients", "client_secret", client["branch_identifier"], sealed)
    assert new.verifiers(service.database) == [verifier]
    assert service.database.all("SELECT grant_version FROM tokens ORDER BY id") == versions
    assert f"v1.{SEALS.key_id}." not in service.database.dump()
    again = rekey(service.database)
    assert (again.returncode, again.stdout) == (0, "0 re-sealed, 17 already current, 0 could not be re-sealed\n")


def test_rekey_keeps_what_was_stored_meanwhile(service, provider):
    """Between its reading and its writing a refresh has come: it is the new grant that ends up under the new key."""
    client, _ = connected(service, provider)
    with locked(service.database, "LOCK TABLE tokens IN SHARE MODE") as cursor:
        running = service.run(rekey, service.database)
        wait_for_waiters(service.database, 1)
        cursor.execute("UPDATE tokens SET access_token = %s, refresh_token = %s",
                       SEALS.grant(client["client_id"], "the newer access token", "the newer refresh token"))
        cursor.connection.commit()
        done = running.result(processes.seconds(60))
    assert done.returncode == 0, done.stderr
    assert Seals(NEW_KEY).opened(stored(service, client)[:2], client["client_id"]) == (
        "the newer access token", "the newer refresh token")


def test_rekey_leaves_what_does_not_open(service, provider):
    """It is named, counted and kept; everything else is done."""
    (bad, _), (good, _) = [connected(service, provider) for _ in range(2)]
    service.database.execute("UPDATE tokens SET refresh_token = 'v1.00000000.' || repeat('A', 60) WHERE client_id = %s",
                             (bad["client_id"],))
    done = rekey(service.database)
    assert done.returncode == 1 and ", 1 could not be re-sealed" in done.stdout
    assert "rekey: tokens.refresh_token, row 1: secret_key_unknown; left as it is" in done.stderr
    assert stored(service, bad)[1] == "v1.00000000." + "A" * 60
    assert Seals(NEW_KEY).opened(stored(service, good)[:2], good["client_id"])


class Callers:
    """A call of any of the hosts, mostly a read and now and then a forced refresh, with the key that is in use."""

    def __init__(self, hosts, clients, key):
        self._hosts, self._clients, self._key = hosts, clients, key
        self._under_way = collections.Counter()
        self._lock = threading.Lock()
        self.served = collections.Counter()  # by key

    def __call__(self, number):
        host, client = self._hosts[number % len(self._hosts)], self._clients[number % len(self._clients)]
        with self._lock:
            key = self._key
            self._under_way[key] += 1
        try:
            if number % 7:
                answer = host.get(f"/tokens/{client['branch_identifier']}", headers=keys.bearer(key))
            else:
                answer = host.post("/tokens/refresh", json={"client_id": client["client_id"]}, headers=keys.bearer(key))
            with self._lock:
                self.served[key] += answer.status_code == 200
            return answer
        finally:
            with self._lock:
                self._under_way[key] -= 1

    def change(self, key):
        """Returns once no call with the old key is under way."""
        with self._lock:
            old, self._key = self._key, key
        wait_until(lambda: not self._under_way[old], 60, "the last call with the old key")


def test_rotation_under_load(make_service, provider):
    """Two hosts, and callers who never stop: the new SECRET_KEY in PREVIOUS everywhere, swapped, rekey (killed once), the old
    one removed; a new API key, the old one revoked: not one call fails."""
    provider.settings(rotate=True)  # a refresh token that came and was lost would end its grant
    hosts = two_hosts(make_service, REFRESHERS="0", **keys.REQUIRED, **PATIENT)
    database = hosts[0].database
    with keys.acting(hosts[0], keys.create(database, "admin")):
        *clients, held = [connected(hosts[0], provider)[0] for _ in range(61)]
    old_key = keys.create(database, "fetcher")
    callers = Callers(hosts, clients, old_key)
    with trouble.Load(callers, threads=6) as load:
        load.wait_for(30)
        for env in ({"SECRET_KEY_PREVIOUS": NEW_KEY}, {"SECRET_KEY": NEW_KEY, "SECRET_KEY_PREVIOUS": KEY}):
            for host in hosts:
                host.reload_and_wait(env)
        # one client, whom nobody asks for, is kept from it: it cannot have ended before it is killed
        with locked(database, "SELECT FROM clients WHERE id = %s FOR UPDATE", (held["client_id"],)), \
             subprocess.Popen([PROGRAM, "rekey", "--batch", "1"], env=rekey_environment(database, NEW_KEY, KEY),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as cut_off:
            cut_off.stderr.readline()
            cut_off.kill()
        assert all(f"v1.{key}." in database.dump() for key in (SEALS.key_id, Seals(NEW_KEY).key_id)), "it was not cut off in the middle"
        done = rekey(database)
        assert done.returncode == 0, done.stderr
        assert f"v1.{SEALS.key_id}." not in database.dump()
        for host in hosts:
            host.reload_and_wait({"SECRET_KEY_PREVIOUS": None})
        load.wait_for(30)
        wait_until(lambda: load.faults or callers.served[old_key] > 100, 60, "calls with the old key")
        new_key = keys.create(database, "fetcher")
        callers.change(new_key)
        keys.revoke(database, old_key)
        load.wait_for(60)
        wait_until(lambda: load.faults or callers.served[new_key] >= 60, 60, "calls with the new key")
    assert load.faults == []
    assert [response.text for response in unexcused(load.answers, 6)] == []  # one stall, of six threads
    assert callers.served[old_key] > 100 and callers.served[new_key] >= 60
    for host in hosts:
        assert host.get(f"/tokens/{clients[0]['branch_identifier']}", headers=keys.bearer(old_key)).status_code == 401
        assert not host.log_events("worker failed", "worker killed")
