"""The refreshers: ahead of the readers, each row once, the failing ones out of the way. Two hosts, one database."""

import contextlib
import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest

from support.flow import connect, connect_fast, register, token_row, unique
from support.hosts import PATIENT, Gate, fetch, in_one_of_three_rounds, make_due, refused, token_of, two_hosts, waiting_for_locks
from support.processes import TIME_FACTOR, seconds, wait_until
from support.sealing import SEALS

DOWN = {"kind": "status", "status": 503, "body": "", "times": None}


def connected(service, provider, seconds_left=3000, **fields):
    client = register(service, provider, **fields)
    return client, connect_fast(service, provider, client, expires_in=seconds_left)


def asked(provider, client):
    return provider.refreshes(client_id=client["client_oauth_id"])


def wait_for_refresh(service, client, grant):
    wait_until(lambda: token_row(service, client, "access_token")[0] != grant["access_token"], what="it is refreshed")


def let_refreshers_pass(host, provider):
    """Returns after every row that was due before has been looked at: one that is due later has been refreshed."""
    marker, grant = connected(host, provider)
    make_due(host, marker, 0)
    wait_for_refresh(host, marker, grant)


def let_time_pass(service, client, amount_s):
    """As if the row had been written so much earlier."""
    columns = ("expires_at", "refresh_due_at", "refresh_began_at", "last_refreshed_at", "updated_at")
    shifts = ", ".join(f"{column} = {column} - interval '{amount_s} seconds'" for column in columns)
    service.database.execute(f"UPDATE tokens SET {shifts} WHERE client_id = %s", (client["client_id"],))


# --- a fleet --------------------------------------------------------------------------------------


def fleet(service, provider, number):
    """Branches that share one OAuth client, with a grant each, put into the tables; [(row id, refresh token)]."""
    id, secret = provider.client()
    grants = provider.grant(id, count=number)["grants"]
    name = unique("fleet")
    branches = [f"{name}-{n}" for n in range(number)]
    secrets = [SEALS.seal("clients", "client_secret", branch, secret) for branch in branches]
    clients = service.database.all(
        "WITH made AS (INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " SELECT %s, secret, 'http://localhost/auth/callback', branch, 'owner@example.test'"
        " FROM unnest(%s, %s) new (branch, secret) RETURNING id) SELECT id FROM made ORDER BY id",
        (id, branches, secrets),
    )
    ids = [client for (client,) in clients]
    sealed = [SEALS.grant(client, each["access_token"], each["refresh_token"]) for client, each in zip(ids, grants)]
    service.database.execute(
        "INSERT INTO tokens (client_id, access_token, refresh_token, expires_at, scope)"
        " SELECT id, access_token, refresh_token, now() + interval '5 minutes', 'x'"
        " FROM unnest(%s, %s, %s) g (id, access_token, refresh_token)",
        (ids, [access for access, _ in sealed], [refresh for _, refresh in sealed]),
    )
    return id, secret, [each["refresh_token"] for each in grants]


def time_of_a_call(provider, at_once=8, calls=240):
    """What one call costs at this provider, on this machine, now, when so many are made at once by a client that does
    nothing else: seconds."""
    id, secret = provider.client()
    tokens = [each["refresh_token"] for each in provider.grant(id, count=calls)["grants"]]
    target = urlsplit(provider.url)

    def run(mine):
        connection = http.client.HTTPConnection(target.hostname, target.port)
        for token in mine:
            form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": id, "client_secret": secret}
            connection.request("POST", "/token", urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()

    with ThreadPoolExecutor(at_once) as threads:
        begun = time.monotonic()
        list(threads.map(run, [tokens[i::at_once] for i in range(at_once)]))
        return (time.monotonic() - begun) * at_once / calls


@contextlib.contextmanager
def snapshot(database):
    """A transaction that reads as pg_dump does, open inside the block: what is updated meanwhile cannot be cleaned up."""
    with contextlib.closing(database.connect()) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", autocommit=False)
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM tokens LIMIT 1")
            yield


def test_backup_beside_them_does_not_slow_the_claims(make_service, provider):
    """Each refresh leaves an entry at the front of the index, for as long as the backup reads. Who began at the front
    each time would read through all of them: 2,000 refreshes would be 2,000,000 entries."""
    service = make_service(env={"REFRESHERS": "0", "EXCHANGE_WORKERS": "1", "DATABASE_WORKERS": "1"})
    database = service.database
    number = 2000
    fleet(service, provider, number)
    # Seconds apart, as in a fleet of that size.
    database.execute("UPDATE tokens t SET refresh_due_at = now() - (2000 - n) * interval '3 seconds'"
                     " FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM tokens) o WHERE o.id = t.id")
    database.execute("SELECT pg_stat_reset()")
    with snapshot(database):
        service.reload({"REFRESHERS": "2"})
        wait_until(lambda: len(provider.refreshes()) >= number, 120, "all are refreshed")
        wait_until(lambda: database.one("SELECT min(refresh_due_at) > now() FROM tokens")[0], what="all are stored")
        service.reload_and_wait({"REFRESHERS": "0"})  # who ends says what it read
    [read] = database.one("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'tokens_refresh_due_at_idx'")
    assert number <= read < number * number / 8, f"{read} entries read for {number} claims"


def test_row_that_is_due_long_ago_is_found_by_those_who_are_ahead(make_service, provider):
    """One that another refresher left when it died, or that somebody made due: not only what comes next is looked at."""
    host = make_service(env={"REFRESHERS": "1"})
    for _ in range(3):
        let_refreshers_pass(host, provider)
        old, grant = connected(host, provider)
        make_due(host, old, 3600)
        wait_for_refresh(host, old, grant)


def test_look_from_the_front_that_takes_too_long_holds_up_nobody_who_comes_due(make_service, provider):
    """Refreshers that begin while it takes longer than a statement may: what comes due is refreshed, and what is at the front
    as soon as it can be reached."""
    host = make_service(env={"REFRESHERS": "0"})
    database = host.database
    (old, old_grant), (new, new_grant) = (connected(host, provider) for _ in range(2))
    make_due(host, old, 3600)
    # As if it stood behind millions of dead entries of the index, which so small a table would not be read by.
    database.execute(f"ALTER DATABASE {database.name} SET enable_seqscan = off")
    database.execute(
        "CREATE FUNCTION reach(due timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        " IF due < now() - interval '30 minutes' THEN PERFORM pg_sleep(3); END IF; RETURN true; END $$;"
        "CREATE POLICY slow_front ON tokens USING (reach(refresh_due_at)) WITH CHECK (true);"
        "ALTER TABLE tokens ENABLE ROW LEVEL SECURITY")
    host.reload({"REFRESHERS": "1"})
    make_due(host, new)
    wait_for_refresh(host, new, new_grant)
    assert asked(provider, old) == []
    database.execute("ALTER TABLE tokens DISABLE ROW LEVEL SECURITY")
    wait_for_refresh(host, old, old_grant)


def refresh_a_thousand(hosts, provider):
    """1,000 branches in an empty database, the first 100 with dead grants, due at once at a provider of 100 ms: how many times
    the ideal time it took.

    Ideal: 1000 × 100 ms / 8. A machine that cannot do 8 calls of 100 ms at once in that time is measured before and after, for it
    may have become busy meanwhile, and what a bare client needs there counts instead.
    """
    database = hosts[0].database
    id, _, tokens = fleet(hosts[0], provider, 1000)
    for token in tokens[:100]:
        provider.revoke(refresh_token=token)
    dead = [client for (client,) in database.all("SELECT id FROM clients ORDER BY id LIMIT 100")]
    provider.fault("delay", ms=100, times=None)
    bare_s = time_of_a_call(provider)
    # The clock of the due column is the measure: what the test polls does not count.
    database.execute(
        "UPDATE tokens SET refresh_due_at = now() - CASE WHEN client_id = ANY(%s)"
        " THEN interval '1 minute' ELSE interval '1 second' END", (dead,),
    )
    began = database.one("SELECT clock_timestamp()")[0]
    wait_until(
        lambda: database.one("SELECT count(*) FROM tokens WHERE refresh_due_at < %s", (began,))[0] == 0,
        120, "all are refreshed",
    )
    took = database.one("SELECT extract(epoch FROM max(updated_at) - %s)::float FROM tokens", (began,))[0]
    bare_s = max(bare_s, time_of_a_call(provider))

    ideal = 1000 * 0.1 / 8
    bare = 1000 * bare_s / 8
    print(f"1000 due rows: {took:.2f} s; ideal {ideal:.2f} s ({took / ideal:.2f}x);"
          f" a bare client here {bare:.2f} s ({took / bare:.2f}x)")
    entries = provider.refreshes(client_id=id)
    assert sorted(entry["refresh_token"] for entry in entries) == sorted(tokens)
    in_front = {entry["refresh_token"] for entry in entries[:100]}
    print(f"of the first 100 calls {len(in_front & set(tokens[:100]))} were for the dead")
    states = database.all(
        "SELECT client_id = ANY(%s), is_valid, refresh_due_at IS NULL, refresh_error,"
        " last_refreshed_at IS NULL, count(*) FROM tokens GROUP BY 1, 2, 3, 4, 5 ORDER BY 1", (dead,),
    )
    assert states == [
        (False, True, False, None, False, 900),
        (True, False, True, "reauthorization_required", True, 100),
    ]
    assert provider.counts()["max_overlap"] == 1
    return took / max(ideal, bare)


def test_thousand_due_at_once_with_dead_ones_in_front(make_service, make_database, provider):
    """Two hosts with four refreshers each ask once for each of 1,000 branches, the dead ones too, in at most 1.3 times the
    ideal time; in one of three rounds, for the machine may stand still."""
    def play():
        hosts = two_hosts(make_service, make_database(), REFRESHERS="4", EXCHANGE_WORKERS="1", DATABASE_WORKERS="1",
                          LOG_LEVEL="INFO")
        times = refresh_a_thousand(hosts, provider)
        return times > 1.3 * TIME_FACTOR and f"{times:.2f} times the ideal time"

    in_one_of_three_rounds(play)


def test_two_hosts_share_due_rows_without_doubles(make_service, provider):
    """Rotating and strict: 60 rows due at once, eight refreshers: each row once, no grant lost, both hosts at work."""
    hosts = two_hosts(make_service, REFRESHERS="4", **PATIENT)
    provider.settings(rotate=True)
    id, _, tokens = fleet(hosts[0], provider, 60)
    provider.fault("hold", times=8)
    provider.fault("delay", ms=50, times=None)
    hosts[0].database.execute("UPDATE tokens SET refresh_due_at = now()")
    provider.wait_for_requests(8, client_id=id)  # or one host might be done before the other looks
    provider.release()
    wait_until(lambda: hosts[0].database.one("SELECT count(*) FROM tokens WHERE last_refreshed_at IS NULL")[0] == 0,
               60, "all are refreshed")
    assert sorted(entry["refresh_token"] for entry in provider.refreshes(client_id=id)) == sorted(tokens)
    assert hosts[0].database.one("SELECT bool_and(is_valid), count(refresh_error) FROM tokens") == (True, 0)
    assert all(host.log_events("refresh") for host in hosts)


# --- when a row is due ----------------------------------------------------------------------------


def test_refreshed_ahead_of_the_buffer(make_service, provider):
    """A branch nobody reads is refreshed TOKEN_EXPIRY_BUFFER + REFRESH_AHEAD before it expires, so that its readers
    never see a stale token; not much earlier either."""
    hosts = two_hosts(make_service, TOKEN_EXPIRY_BUFFER="120", REFRESH_AHEAD="240")
    client = register(hosts[0], provider)
    assert connect(hosts[0], provider, client).status_code == 200
    token = token_row(hosts[0], client, "access_token")[0]
    let_time_pass(hosts[0], client, 3600 - 360 - 360 - 60)  # jitter takes at most a tenth of 3600
    let_refreshers_pass(hosts[1], provider)
    assert asked(provider, client) == []
    let_time_pass(hosts[0], client, 360 + 60)
    wait_for_refresh(hosts[0], client, {"access_token": token})
    answer = fetch(hosts[1], client).json()
    assert answer["stale"] is False and provider.works(answer["access_token"])
    assert len(asked(provider, client)) == 1


def test_jitter_is_only_earlier_and_spreads_a_fleet(make_service, provider):
    """What is refreshed in one moment comes due again spread over a tenth of its life, none of it late."""
    hosts = two_hosts(make_service, REFRESHERS="4")
    fleet(hosts[0], provider, 60)
    database = hosts[0].database
    database.execute("UPDATE tokens SET refresh_due_at = now()")
    wait_until(lambda: database.one("SELECT count(*) FROM tokens WHERE last_refreshed_at IS NULL")[0] == 0,
               60, "all are refreshed")
    rows = database.all("SELECT extract(epoch FROM expires_at - refresh_due_at)::float FROM tokens")
    ahead = [seconds_ahead for (seconds_ahead,) in rows]
    assert 600 <= min(ahead) and max(ahead) <= 600 + 360 + 1
    assert max(ahead) - min(ahead) > 100
    assert len({round(each) for each in ahead}) > 20


def test_jitter_spreads_a_fleet_that_was_connected_in_one_afternoon(make_service, provider):
    """Consents of one moment come due over a tenth of the token's life, none of them late."""
    host = make_service()
    clients = [register(host, provider) for _ in range(12)]
    for client in clients:
        connect(host, provider, client)
    ahead = [token_row(host, client, "extract(epoch FROM expires_at - refresh_due_at)::float")[0] for client in clients]
    assert 600 <= min(ahead) and max(ahead) <= 600 + 360 + 1
    assert max(ahead) - min(ahead) > 30
    assert len({round(each) for each in ahead}) > 6


@pytest.mark.parametrize("change, due", [({"client_secret": None}, True), ({"is_active": True}, True)], ids=["secret", "active"])
def test_no_change_of_a_client_ends_the_providers_retry_after(make_service, provider, change, due):
    """A new secret, or a client that is active again, is refreshed when the provider wants to be asked again."""
    hosts = two_hosts(make_service)
    client, _ = connected(hosts[0], provider)
    hosts[0].database.execute(
        "UPDATE tokens SET refresh_failures = 3, refresh_error = 'provider_unavailable', provider_error = 'http_429',"
        " provider_retry_at = now() + interval '1 hour', refresh_due_at = NULL")
    if "client_secret" in change:
        change = {"client_secret": provider.client(id=client["client_oauth_id"])[1]}
    assert hosts[1].patch(f"/clients/{client['client_id']}", json=change).status_code == 200
    let_refreshers_pass(hosts[0], provider)
    assert token_row(hosts[0], client, "refresh_due_at >= provider_retry_at, provider_retry_at > now()") == (due, True)
    assert asked(provider, client) == []


@pytest.mark.parametrize("lifetime, pause", [(20, 10), (200, 20)])
def test_short_lived_tokens_are_not_refreshed_in_a_loop(make_service, provider, lifetime, pause):
    """A token that lives shorter than the buffer is left alone for max(10 s, a tenth of its life)."""
    hosts = two_hosts(make_service, REFRESHERS="4")
    provider.settings(access_token_ttl=lifetime)
    client, grant = connected(hosts[0], provider)
    make_due(hosts[0], client)
    wait_for_refresh(hosts[0], client, grant)
    left = token_row(hosts[0], client, "extract(epoch FROM refresh_due_at - refresh_began_at)::float")[0]
    assert pause <= left < lifetime
    for _ in range(3):
        let_refreshers_pass(hosts[1], provider)
    calls = asked(provider, client)
    if token_row(hosts[0], client, "refresh_due_at > clock_timestamp()")[0]:  # unless the machine stood still
        assert len(calls) == 1


# --- rows that fail -------------------------------------------------------------------------------


def test_backoff_grows_to_five_minutes(make_service, provider):
    """A second, doubling, a quarter of jitter, never above 300 s, and neither a refresher nor a reader asks before."""
    hosts = two_hosts(make_service)
    provider.fault(**DOWN)
    for failures in (0, 3, 6, 8, 40):
        client, _ = connected(hosts[0], provider, 1200)
        hosts[0].database.execute(
            "UPDATE tokens SET refresh_failures = %s, refresh_due_at = now() WHERE client_id = %s",
            (failures, client["client_id"]),
        )
        wait_until(lambda: token_row(hosts[0], client, "refresh_error")[0], what="it has failed")
        # The failure is between these two.
        count, since_begun, since_stored, same = token_row(
            hosts[0], client, "refresh_failures, extract(epoch FROM refresh_retry_at - refresh_began_at)::float,"
            " extract(epoch FROM refresh_retry_at - updated_at)::float, refresh_retry_at = refresh_due_at")
        # The first ones are soon tried again.
        assert count == failures + 1 or (count > failures and failures < 6)
        usual = min(2 ** (count - 1), 300)
        most = min(1.25 * usual, 300)
        assert since_begun >= 0.75 * usual - 0.1 and since_stored <= most + 0.1, failures
        assert same
        if failures < 6:
            continue
        hosts[0].database.execute("UPDATE tokens SET expires_at = now() WHERE client_id = %s", (client["client_id"],))
        answer = fetch(hosts[1], client)
        refused(answer, 503, "provider_unavailable")
        assert 0 < int(answer.headers["retry-after"]) <= most + 1
        assert len(asked(provider, client)) == 1


@pytest.mark.parametrize("error, code", [("invalid_grant", "reauthorization_required"),
                                         ("invalid_client", "client_credentials_rejected"),
                                         ("server_error", "provider_unavailable")])
def test_failing_rows_do_not_take_the_turns_of_live_ones(make_service, provider, error, code):
    """30 rows that fail stand before 10 that live: each is asked once, then the live ones have their turn."""
    hosts = two_hosts(make_service, REFRESHERS="1")
    bad, _, bad_tokens = fleet(hosts[0], provider, 30)
    good, _, good_tokens = fleet(hosts[0], provider, 10)
    provider.fault("oauth_error", error=error, client_id=bad, times=None)
    # They have failed before: what follows the next failure is minutes of silence.
    hosts[0].database.execute(
        "UPDATE tokens t SET refresh_failures = CASE WHEN c.client_id = %s THEN 8 ELSE 0 END, refresh_due_at ="
        " now() - CASE WHEN c.client_id = %s THEN interval '1 hour' ELSE interval '1 second' END"
        " FROM clients c WHERE c.id = t.client_id", (bad, bad))
    wait_until(lambda: len(provider.refreshes(client_id=good)) == 10, 60, "the live ones have had their turn")
    # One may have been overtaken by the other refresher after it took its row.
    wait_until(lambda: len(provider.refreshes(client_id=bad)) >= 30, what="each that fails was asked for")
    assert sorted(entry["refresh_token"] for entry in provider.refreshes(client_id=bad)) == sorted(bad_tokens)
    let_refreshers_pass(hosts[1], provider)
    assert len(provider.refreshes(client_id=bad)) == 30
    is_dead = error == "invalid_grant"
    wait_until(lambda: hosts[0].database.all(
        "SELECT DISTINCT refresh_error, is_valid, refresh_due_at IS NULL FROM tokens t JOIN clients c"
        " ON c.id = t.client_id WHERE c.client_id = %s", (bad,)) == [(code, not is_dead, is_dead)], what="all have failed so")


def test_retry_after_holds_the_refreshers_too(make_service, provider):
    """429 with Retry-After: not asked again before, by nobody, however small our own backoff is."""
    hosts = two_hosts(make_service)
    provider.fault("status", status=429, headers={"retry-after": "1000"}, body="")
    client, _ = connected(hosts[0], provider, 1200)
    make_due(hosts[0], client)
    wait_until(lambda: token_row(hosts[0], client, "refresh_error")[0], what="it has failed")
    due, retry = token_row(
        hosts[0], client, "extract(epoch FROM refresh_due_at - updated_at)::float,"
        " extract(epoch FROM provider_retry_at - updated_at)::float")
    assert 990 <= retry <= 1001
    wait_until(lambda: token_row(hosts[0], client, "refresh_retry_at < now()")[0], what="our own backoff is over")
    let_refreshers_pass(hosts[1], provider)
    assert len(asked(provider, client)) == 1
    assert due >= 990, "a refresher comes before the provider's Retry-After is over"


# --- no refreshers, inactive clients --------------------------------------------------------------


def test_without_refreshers_house_is_kept(make_service, provider):
    """REFRESHERS=0: due rows are left to their readers; expired logins are swept, queued revocations retried."""
    hosts = two_hosts(make_service, REFRESHERS="0")
    client, grant = connected(hosts[0], provider)
    make_due(hosts[0], client)
    id, _ = provider.client()
    old = provider.grant(id)
    database = hosts[0].database
    for _ in range(2):
        database.execute(
            "INSERT INTO oauth_states (state_hash, browser_hash, client_id, code_verifier, redirect_uri, expires_at)"
            " VALUES ('a', 'b', %s, 'c', 'd', now() - interval '1 minute'),"
            " ('live', 'b', %s, 'c', 'd', now() + interval '1 hour') ON CONFLICT DO NOTHING",
            (client["client_id"], client["client_id"]),
        )
        database.execute(
            "INSERT INTO revocations (client_id, workspace_email, token, token_client_id) VALUES (%s, 'a@b', %s, 4711)",
            (id, SEALS.seal("tokens", "refresh_token", 4711, old["refresh_token"])))
        wait_until(lambda: database.all("SELECT convert_from(state_hash, 'UTF8') FROM oauth_states") == [("live",)]
                   and database.one("SELECT count(*) FROM revocations") == (0,), 60, "the house is kept")
    assert not provider.introspect(old["refresh_token"])["active"]
    assert asked(provider, client) == []
    assert token_of(fetch(hosts[0], client)) == grant["access_token"]


def test_sweep_that_fails_is_told_and_does_not_stop_the_revocations(make_service, provider):
    """Logins that cannot be swept: a grant that was given up ends at the provider all the same, and the log says what
    failed, once each time and of nothing else."""
    host = make_service(env={"REFRESHERS": "1"})
    client, grant = connected(host, provider)
    id, _ = provider.client()
    old = provider.grant(id)
    host.database.execute("REVOKE DELETE ON oauth_states FROM token_service_worker")
    host.database.execute(
        "INSERT INTO revocations (client_id, workspace_email, token, token_client_id) VALUES (%s, 'a@b', %s, 4711)",
        (id, SEALS.seal("tokens", "refresh_token", 4711, old["refresh_token"])))
    wait_until(lambda: host.database.one("SELECT count(*) FROM revocations") == (0,), 60, "the queue is worked off")
    assert not provider.introspect(old["refresh_token"])["active"]
    told = wait_until(lambda: host.log_events("housekeeping failed"), what="it is told")[0]
    assert (told["level"], told["error"]) == ("ERROR", "internal_error")
    assert told["database"].startswith("login_sweep: 42501")
    make_due(host, client)
    wait_for_refresh(host, client, grant)
    assert [each["database"] for each in wait_until(lambda: host.log_events("refresh"))] == [""]


def test_inactive_client_is_parked_and_comes_back(make_service, provider):
    """is_active false: a refresher parks the row and asks nobody; true again: it is refreshed."""
    hosts = two_hosts(make_service)
    client, grant = connected(hosts[0], provider)
    path = f"/clients/{client['client_id']}"
    assert hosts[0].patch(path, json={"is_active": False}).status_code == 200
    make_due(hosts[0], client)
    wait_until(lambda: token_row(hosts[0], client, "refresh_due_at")[0] is None, what="it is parked")
    assert asked(provider, client) == []
    refused(fetch(hosts[1], client), 403, "client_inactive")
    assert hosts[1].patch(path, json={"is_active": True}).status_code == 200
    wait_for_refresh(hosts[0], client, grant)
    assert len(asked(provider, client)) == 1


@pytest.mark.parametrize(
    "change", [{"workspace_name": "Another"}, {"is_active": False}, {"is_active": True}], ids=["name", "inactive", "active"]
)
def test_other_changes_of_a_client_leave_its_token_alone(make_service, provider, change):
    """Only a new secret ends a backoff, and only a parked row is made due by is_active true."""
    hosts = two_hosts(make_service)
    client, _ = connected(hosts[0], provider)
    hosts[0].database.execute(
        "UPDATE tokens SET refresh_failures = 8, refresh_error = 'provider_unavailable', provider_error = 'timeout',"
        " refresh_retry_at = now() + interval '200 s', refresh_due_at = now() + interval '200 s'")
    before = token_row(hosts[0], client, "tokens::text")
    assert hosts[1].patch(f"/clients/{client['client_id']}", json=change).status_code == 200
    let_refreshers_pass(hosts[0], provider)
    assert token_row(hosts[0], client, "tokens::text") == before
    assert asked(provider, client) == []


def test_client_that_comes_back_while_it_is_being_parked(make_service, provider):
    """PATCH is_active true in the very moment a refresher parks the row: the row is not forgotten."""
    hosts = two_hosts(make_service)
    client, grant = connected(hosts[0], provider)
    path = f"/clients/{client['client_id']}"
    assert hosts[0].patch(path, json={"is_active": False}).status_code == 200
    with Gate(hosts[0].database) as gate:
        gate.shut()
        # Its own session passes it.
        with gate.connection.cursor() as cursor:
            cursor.execute("UPDATE tokens SET refresh_due_at = now()")
        gate.wait_for_update()
        patch = hosts[1].start("PATCH", path, json={"is_active": True})
        wait_until(lambda: patch.done() or waiting_for_locks(hosts[0].database), what="it goes through, or waits")
    assert patch.result(seconds(60)).status_code == 200
    wait_for_refresh(hosts[0], client, grant)


def test_nothing_due_asks_nobody(make_service, provider):
    """Rows that are not due, revoked or dead are left alone."""
    hosts = two_hosts(make_service)
    rows = [connected(hosts[0], provider) for _ in range(3)]
    database = hosts[0].database
    make_due(hosts[0], rows[0][0], -600)
    for (client, _), column in zip(rows[1:], ("is_revoked = true", "is_valid = false")):
        # Due only then: a refresher takes what is due at any moment.
        database.execute(f"UPDATE tokens SET {column} WHERE client_id = %s", (client["client_id"],))
        make_due(hosts[0], client)
    let_refreshers_pass(hosts[0], provider)
    wait_until(lambda: database.one("SELECT count(*) FROM tokens WHERE refresh_due_at < now()")[0] == 0,
               what="those are parked")
    for client, _ in rows:
        assert asked(provider, client) == []
