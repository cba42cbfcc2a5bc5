"""token-service import: clients and tokens of the service that this one replaces, sealed, under their ids, once."""

import re
import signal
import subprocess

import pytest
from support import original, processes
from support.flow import expire, refused, register, token_row
from support.hosts import fetch, locked, token_of, wait_for_waiters
from support.original import Original, counts, move_in
from support.processes import wait_until
from support.sealing import SEALS
from support.service import WRAPPER
from support.trouble import is_gone


@pytest.fixture
def source(make_database):
    """An Original without clients."""
    return Original(make_database(migrated=False))


def moved(database, source, *arguments, **env):
    """The counts of an import that had nothing to skip."""
    done = move_in(database, source, *arguments, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return counts(done)


def granted(source, provider, **token):
    """A client in the original's database with a grant of the provider's, connected there."""
    name, secret = provider.client()
    grant = provider.grant(name)
    client = source.client(client_id=name, client_secret=secret)
    id = source.token(client, access_token=grant["access_token"], refresh_token=grant["refresh_token"], **token)
    return {**client, "client_id": client["id"], "branch_identifier": client["branch_id"], "oauth": name, "token": id}, grant


def whole(database):
    """Everything that an import could have changed."""
    return [database.all(f"SELECT t::text FROM {table} t ORDER BY 1")
            for table in ("clients", "tokens", "imported_clients", "audit_log")] + [
                database.one("SELECT last_value, is_called FROM clients_id_seq"),
                database.one("SELECT last_value, is_called FROM tokens_id_seq")]


# --- what comes -------------------------------------------------------------------------------------


def test_caller_of_the_original_notices_nothing(service, source, provider):
    """The same branch, the same answer, from the token that was stored there; and it is refreshed when it is time."""
    client, grant = granted(source, provider)
    assert moved(service.database, source) == {"clients read": 1, "clients imported": 1, "tokens imported": 1}
    answer = fetch(service, client).json()
    assert (answer["success"], answer["client_id"], answer["branch_id"], answer["access_token"], answer["refresh_token"],
            answer["token_type"]) == (True, client["id"], client["branch_id"], grant["access_token"], None, "Bearer")
    assert 3500 < answer["expires_in"] <= 3600 and answer["stale"] is False
    expire(service, client)
    token = token_of(fetch(service, client))
    assert token != grant["access_token"] and provider.works(token)
    assert len(provider.refreshes(client_id=client["oauth"])) == 1
    forced = service.post("/tokens/refresh", json={"client_id": client["id"]})
    assert provider.works(token_of(forced))


def test_expired_token_is_refreshed_by_its_first_reader(service, source, provider):
    """By the database's clock: times there are UTC, whatever the session's time zone is."""
    service.database.execute(f"ALTER DATABASE {service.database.name} SET timezone = 'Pacific/Auckland'")
    source.database.execute(f"ALTER DATABASE {source.database.name} SET timezone = 'America/Los_Angeles'")
    (fresh, grant), (expired, old) = granted(source, provider, expires_in=1800), granted(source, provider, expires_in=-60)
    moved(service.database, source)
    assert token_of(fetch(service, fresh)) == grant["access_token"]
    assert 1700 < fetch(service, fresh).json()["expires_in"] <= 1800
    assert token_of(fetch(service, expired)) != old["access_token"]
    assert [entry["client_id"] for entry in provider.refreshes()] == [expired["oauth"]]


def test_refreshers_take_what_was_imported(make_service, source, provider):
    """An imported token that is due is refreshed without a reader; one that is not is left alone."""
    (due, _), (fresh, _) = granted(source, provider, expires_in=-60), granted(source, provider)
    service = make_service({"REFRESHERS": "1"})
    moved(service.database, source)
    provider.wait_for_requests(1, grant_type="refresh_token", client_id=due["oauth"])
    assert provider.refreshes(client_id=fresh["oauth"]) == []
    left, = token_row(service, fresh, "extract(epoch FROM expires_at - refresh_due_at)::integer")
    assert 600 <= left <= 1100  # TOKEN_EXPIRY_BUFFER, REFRESH_AHEAD, and the jitter


def test_everything_is_as_if_it_had_been_stored_here(database, source):
    """Every field, the ids and the times; secrets sealed for their rows, and nothing of them in plain."""
    client = source.client(client_secret="GOCSPX-plain", is_active=False, workspace_name="Ünicode")
    source.change(client, "created_at = '2025-03-30 01:30:00.123456', updated_at = '2025-06-01 12:00:00'")
    id = source.token(client, access_token="ya29.plain", refresh_token="1//plain")
    source.change_token(id, "created_at = '2025-06-01 11:00:00', last_refreshed_at = '2025-06-01 12:00:00',"
                            " expires_at = '2025-06-01 13:00:00.5'")
    moved(database, source)
    secret, *fields = database.one("SELECT client_secret, id, client_id, branch_id, redirect_uri, workspace_email, workspace_name,"
                                   " is_active, extract(epoch FROM created_at), extract(epoch FROM updated_at) FROM clients")
    assert [*fields[:-2]] == [client[name] for name in ("id", "client_id", "branch_id", "redirect_uri", "workspace_email",
                                                        "workspace_name", "is_active")]
    assert [float(each) for each in fields[-2:]] == [1743298200.123456, 1748779200]
    assert SEALS.open("clients", "client_secret", client["branch_id"], secret) == "GOCSPX-plain"
    row = database.one("SELECT id, client_id, access_token, refresh_token, extract(epoch FROM expires_at)::float,"
                       " extract(epoch FROM refresh_began_at)::float, is_valid, is_revoked, scope, token_type, grant_version FROM tokens")
    assert SEALS.opened(row, client["id"]) == (
        id, client["id"], "ya29.plain", "1//plain", 1748782800.5, 1748779200.0, True, False, original.SCOPE, "Bearer", 1)
    assert not re.search("GOCSPX-plain|ya29.plain|1//plain", database.dump())


def test_valid_newest_token_counts(service, source):
    """Not the newest when it is revoked or not valid; by created_at, then by id; without a valid one the client comes alone."""
    clients = [source.client() for _ in range(6)]
    two, tie, revoked, invalid, none, null = clients
    source.token(two, age=60, access_token="newest")
    source.token(two, age=900, access_token="older, with the higher id")
    for word in ("first", "last"):
        source.token(tie, access_token=word)
    source.database.execute("UPDATE tokens SET created_at = '2026-01-01' WHERE client_id = %s", (tie["id"],))
    source.token(revoked, age=900, access_token="the valid one")
    source.token(revoked, age=60, is_revoked=True)
    source.token(invalid, is_valid=False)
    source.token(null, is_valid=None)
    done = move_in(service.database, source)
    assert done.returncode == 0 and counts(done)["clients without a valid token"] == 3
    assert f"client {invalid['id']}: comes without a token: its newest token is not valid" in done.stderr
    for client, token in ((two, "newest"), (tie, "last"), (revoked, "the valid one")):
        assert token_of(service.get(f"/tokens/{client['branch_id']}")) == token
    for client in (invalid, none, null):
        refused(service.get(f"/tokens/{client['branch_id']}"), 404, "authorization_required")


def test_new_ids_begin_above_those_of_the_original(service, source):
    """With room for what is registered there until the next import; that moves them only when there is more."""
    client = source.client()
    source.client(id=4000)
    source.token(client, id=9000)
    moved(service.database, source)
    first = register(service)["client_id"]
    assert first > 9000
    moved(service.database, source)
    assert register(service)["client_id"] == first + 1
    late = source.client(id=9500)
    assert moved(service.database, source)["clients imported"] == 1
    assert service.get(f"/clients/{late['id']}").json()["branch_identifier"] == late["branch_id"]
    assert register(service)["client_id"] > 9500


def test_new_ids_begin_above_what_comes_during_the_import(service, source, provider):
    """What is added there while an import runs comes with its last pages, whatever its ids are."""
    client, _ = granted(source, provider)
    moved(service.database, source)
    source.change(client, "workspace_name = 'Renamed'")
    with locked(service.database, "UPDATE clients SET workspace_name = workspace_name") as cursor:
        running = service.run(move_in, service.database, source, "--batch", 1)
        wait_for_waiters(service.database, 1)
        late = source.client(id=50_000)
        source.token(late, id=60_000)
        cursor.connection.rollback()
        assert counts(running.result(processes.seconds(60)))["clients imported"] == 1
    assert register(service)["client_id"] > 60_000
    assert service.database.one("SELECT last_value >= 60000 FROM tokens_id_seq") == (True,)


def test_secret_that_was_changed_there_ends_the_backoff_here(make_service, source, provider):
    """As with PATCH: what failed with the old one is tried with the new one, without a wait."""
    service = make_service({"REFRESHERS": "0"})
    client, _ = granted(source, provider)
    (secret,) = source.database.one("SELECT client_secret FROM clients")
    source.change(client, "client_secret = 'no longer so'")
    moved(service.database, source)
    refused(service.post("/tokens/refresh", json={"client_id": client["id"]}), 502, "client_credentials_rejected")
    source.change(client, "client_secret = %s", (secret,))
    moved(service.database, source)
    assert token_of(service.post("/tokens/refresh", json={"client_id": client["id"]}))


def test_import_is_in_the_audit_trail(database, source):
    """A row for each client and one for each token, by the statement that stores it."""
    client = source.client()
    source.token(client)
    moved(database, source)
    moved(database, source)
    rows = database.all("SELECT actor, actor_key_id, action, client_id, branch_id, detail FROM audit_log ORDER BY id")
    assert rows == [("cli", None, action, client["id"], client["branch_id"], None)
                    for action in ("client.imported", "grant.imported")]
    source.change(client, "workspace_name = 'Another'")
    moved(database, source)
    assert database.one("SELECT detail FROM audit_log ORDER BY id DESC LIMIT 1") == ("changed",)


# --- again ------------------------------------------------------------------------------------------


def test_second_run_changes_nothing(database, source):
    """Not a row, not a time stamp, not a sequence."""
    for number in range(5):
        client = source.client()
        if number:
            source.token(client, access_token=f"at-{number}")
    moved(database, source)
    before = whole(database)
    assert moved(database, source, "--batch", "2") == {
        "clients read": 5, "clients that are here already": 5, "tokens that are here already": 4,
        "clients without a valid token": 1}
    assert whole(database) == before


def test_what_came_in_between_comes_with_the_next_import(service, source, provider):
    """New clients, changed fields, a new consent, a refresh and a revocation there: all of it, and nothing else."""
    (renamed, _), (again, _), (refreshed, _), (ended, _), (same, grant) = [granted(source, provider) for _ in range(5)]
    moved(service.database, source)
    before = service.database.one("SELECT t::text FROM tokens t WHERE client_id = %s", (same["id"],))
    source.change(renamed, "workspace_name = 'Renamed', client_secret = 'a-newer-secret'")
    source.token(again, age=1, access_token="consented again")
    source.change_token(refreshed["token"], "access_token = 'refreshed there', last_refreshed_at = now() AT TIME ZONE 'UTC'")
    source.change_token(ended["token"], "is_revoked = true")
    new, _ = granted(source, provider)
    assert moved(service.database, source) == {
        "clients read": 6, "clients imported": 1, "clients brought up to date": 1, "clients that are here already": 4,
        "tokens imported": 3, "tokens that are here already": 2, "tokens that have ended there": 1}
    shown = service.get(f"/clients/{renamed['id']}").json()
    assert shown["workspace_name"] == "Renamed"
    (sealed,) = service.database.one("SELECT client_secret FROM clients WHERE id = %s", (renamed["id"],))
    assert SEALS.open("clients", "client_secret", renamed["branch_id"], sealed) == "a-newer-secret"
    assert token_of(fetch(service, again)) == "consented again"
    assert token_of(fetch(service, refreshed)) == "refreshed there"
    refused(fetch(service, ended), 409, "reauthorization_required")
    assert token_of(fetch(service, same)) == grant["access_token"] and token_of(fetch(service, new))
    assert service.database.one("SELECT t::text FROM tokens t WHERE client_id = %s", (same["id"],)) == before


def test_token_that_was_refreshed_here_is_not_overwritten_by_an_older_one(service, source, provider):
    """Neither by what came before nor by what was refreshed there earlier; by what was later, it is."""
    client, _ = granted(source, provider)
    moved(service.database, source)
    token = token_of(service.post("/tokens/refresh", json={"client_id": client["id"]}))
    assert moved(service.database, source)["tokens refreshed here since, left as they are"] == 1
    source.change_token(client["token"], "access_token = 'earlier', last_refreshed_at = (now() AT TIME ZONE 'UTC') - interval '5 min'")
    assert moved(service.database, source)["tokens refreshed here since, left as they are"] == 1
    assert token_of(fetch(service, client)) == token
    source.token(client, age=0, access_token="later")
    assert moved(service.database, source)["tokens imported"] == 1
    assert token_of(fetch(service, client)) == "later"


def test_client_that_was_changed_here_is_left_and_named(service, source):
    """By PATCH or by SQL, whether or not it was changed there too; what was deleted here does not come back."""
    patched, by_sql, both, deleted, other = [source.client() for _ in range(5)]
    moved(service.database, source)
    for client in (patched, both):
        assert service.patch(f"/clients/{client['id']}", json={"redirect_uri": "https://new.example.test/auth/callback"}).status_code == 200
    service.database.execute("UPDATE clients SET redirect_uri = 'https://sql.example.test/' WHERE id = %s", (by_sql["id"],))
    assert service.delete(f"/clients/{deleted['id']}").status_code == 204
    source.change(both, "workspace_name = 'Changed there'")
    before = whole(service.database)
    done = move_in(service.database, source)
    assert done.returncode == 0, done.stderr
    assert counts(done) == {"clients read": 5, "clients that are here already": 1, "clients without a valid token": 4,
                            "clients changed here since, left as they are": 3, "clients deleted here since, left out": 1}
    assert done.stderr.splitlines() == [
        *[f"client {client['id']}: left as it is: it was changed here since it came" for client in (patched, by_sql, both)],
        f"client {deleted['id']}: left out: it was deleted here since it came"]
    assert whole(service.database) == before
    assert service.get(f"/clients/{other['id']}").status_code == 200


def test_token_that_was_revoked_or_connected_here_is_left(service, source, provider):
    """A revocation here is not undone by what is still stored there, nor a consent here by a later refresh there."""
    (revoked, _), (connected, _) = granted(source, provider), granted(source, provider)
    moved(service.database, source)
    assert service.post(f"/tokens/{revoked['branch_id']}/revoke").status_code == 200
    service.database.execute("UPDATE tokens SET grant_version = 2, consent_version = 2 WHERE client_id = %s", (connected["id"],))
    for client in (revoked, connected):
        source.change_token(client["token"], "access_token = 'later', last_refreshed_at = (now() AT TIME ZONE 'UTC') + interval '1 min'")
    done = move_in(service.database, source)
    assert done.returncode == 0 and counts(done)["tokens connected or revoked here since, left as they are"] == 2
    assert f"client {revoked['id']}: its token is left as it is: it was revoked here since" in done.stderr
    assert f"client {connected['id']}: its token is left as it is: it was connected here since" in done.stderr
    refused(fetch(service, revoked), 409, "reauthorization_required")
    assert token_of(fetch(service, connected)) != "later"


def test_refresh_under_way_is_not_overwritten(service, source, provider):
    """Between the import's reading and its writing a refresh has come: the import notices, and says so."""
    client, _ = granted(source, provider)
    moved(service.database, source)
    source.change_token(client["token"], "access_token = 'there', last_refreshed_at = now() AT TIME ZONE 'UTC'")
    with locked(service.database, "UPDATE tokens SET grant_version = grant_version + 1, refresh_began_at = now()") as cursor:
        running = service.run(move_in, service.database, source)
        wait_for_waiters(service.database, 1)
        before = cursor.execute("SELECT access_token FROM tokens") or cursor.fetchone()
        cursor.connection.commit()
        done = running.result(processes.seconds(60))
    assert done.returncode == 1 and counts(done)["rows that were changed here meanwhile: run it again"] == 1
    assert service.database.one("SELECT access_token FROM tokens") == before
    assert moved(service.database, source)["tokens refreshed here since, left as they are"] == 1


# --- what does not come -----------------------------------------------------------------------------

BAD_CLIENTS = {
    "branch with a slash": ({"branch_id": "a/b"}, "branch_id must not contain control characters or '/'"),
    "no address": ({"workspace_email": "nobody"}, "workspace_email must be an e-mail address"),
    "no URL": ({"redirect_uri": "nowhere"}, "redirect_uri must be an absolute http or https URL"),
    "empty secret": ({"client_secret": ""}, "client_secret must have 1 to 512 characters"),
    "secret too long": ({"client_secret": "s" * 513}, "client_secret must have 1 to 512 characters"),
    "is_active NULL": ({"is_active": None}, "is_active must not be NULL"),
    "two faults": ({"workspace_email": "x", "branch_id": ".."}, "branch_id must not contain"),
}
BAD_TOKENS = {
    "no refresh token": ({"refresh_token": None}, "has no refresh_token: connect the branch again"),
    "empty refresh token": ({"refresh_token": ""}, "has no refresh_token: connect the branch again"),
    "no access token": ({"access_token": None}, "has no access_token: connect the branch again"),
    "another type": ({"token_type": "mac"}, "is no bearer token: connect the branch again"),
    "too long": ({"refresh_token": "r" * 140_000}, "is too long: connect the branch again"),
}


@pytest.mark.parametrize("fields, said", BAD_CLIENTS.values(), ids=BAD_CLIENTS)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["import", "dry run"])
def test_client_that_could_not_be_registered_is_skipped_and_named(database, source, fields, said, dry):
    """With its id and the reason and no value of it; all others come; exit status 1."""
    good, bad = source.client(), source.client(**fields)
    source.token(bad, access_token="secret-at", refresh_token="secret-rt")
    done = move_in(database, source, *dry)
    assert done.returncode == 1
    assert f"client {bad['id']}: skipped: " in done.stderr and said in done.stderr
    assert counts(done)["clients skipped"] == counts(done)["clients imported"] == 1
    assert database.all("SELECT id FROM clients") == ([] if dry else [(good["id"],)])
    assert not re.search("secret-at|secret-rt|GOCSPX|sss", done.stdout + done.stderr)


@pytest.mark.parametrize("fields, said", BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_token_that_could_not_be_used_is_skipped_and_named(service, source, fields, said):
    """Its client comes and waits for a consent; exit status 1."""
    client = source.client()
    source.token(client, **fields)
    done = move_in(service.database, source)
    assert done.returncode == 1 and counts(done)["tokens skipped"] == 1
    assert done.stderr == f"client {client['id']}: its token is skipped: its newest valid token {said}\n"
    refused(service.get(f"/tokens/{client['branch_id']}"), 404, "authorization_required")


def test_plain_http_is_skipped_in_production(database, source):
    """As POST /clients refuses it there."""
    source.client(redirect_uri="http://tokens.example.test/auth/callback")
    done = move_in(database, source, ENVIRONMENT="production", GOOGLE_ISSUER="")
    assert done.returncode == 1 and "redirect_uri must be https in production" in done.stderr


def test_what_is_here_under_the_same_id_or_branch_is_not_touched(service, source):
    """Neither a client that was registered here under the id, nor one that has the branch."""
    mine, taken = register(service), register(service)
    same_id = source.client(id=mine["client_id"])
    same_branch = source.client(id=500, branch_id=taken["branch_identifier"])
    source.token(same_id)
    before = service.database.all("SELECT c::text FROM clients c ORDER BY id")
    done = move_in(service.database, source)
    assert done.returncode == 1 and counts(done)["clients skipped"] == 2
    assert f"client {same_id['id']}: skipped: its id is that of a client that was registered here" in done.stderr
    assert f"client {same_branch['id']}: skipped: its branch_id is another client's here" in done.stderr
    assert service.database.all("SELECT c::text FROM clients c ORDER BY id") == before
    refused(service.get(f"/tokens/{mine['branch_identifier']}"), 404, "authorization_required")


def test_values_that_no_clock_has_do_not_stop_the_import(database, source):
    """NULL and infinite times: the client comes, its token is refreshed when it is first asked for."""
    for assignment in ("created_at = NULL, expires_at = NULL", "expires_at = 'infinity'", "created_at = '-infinity'"):
        client = source.client()
        source.change(client, "created_at = NULL, updated_at = 'infinity'")
        source.change_token(source.token(client), assignment)
    assert moved(database, source)["tokens imported"] == 3
    rows = database.all("SELECT expires_at <= now(), refresh_began_at <= expires_at, refresh_due_at IS NOT NULL FROM tokens ORDER BY id")
    assert rows == [(True, True, True), (True, True, True), (False, True, True)]
    assert database.one("SELECT bool_and(created_at <= now() AND updated_at <= now()) FROM clients") == (True,)


def test_branch_that_was_renamed_there_is_skipped(database, source):
    """What is sealed is sealed for its branch."""
    client = source.client()
    moved(database, source)
    source.change(client, "branch_id = 'renamed'")
    done = move_in(database, source)
    assert done.returncode == 1 and "its branch_id was changed there" in done.stderr
    assert database.one("SELECT branch_id FROM clients") == (client["branch_id"],)


# --- the command ------------------------------------------------------------------------------------


def test_dry_run_writes_nothing_and_says_what_would_come(database, source):
    """The counts of the import that follows, and a line for each client that is worth a look."""
    plain, expired, timeless, alone = [source.client() for _ in range(4)]
    source.token(plain)
    source.token(expired, expires_in=-60)
    source.change_token(source.token(timeless), "expires_at = NULL")
    source.token(alone, is_revoked=True)
    before = whole(database)
    dry = move_in(database, source, "--dry-run")
    assert dry.returncode == 0 and dry.stdout.startswith("dry run: nothing was written")
    assert whole(database) == before and database.all("SELECT * FROM secret_key_canary") == []
    said = dry.stderr.splitlines()
    assert len(said) == 3 and f"client {expired['id']}: its token has expired" in said[0]
    assert "does not say when it expires" in said[1] and "its newest token is revoked" in said[2]
    assert counts(dry) == moved(database, source)


FORMS = {
    "url": "postgresql://postgres@/{name}?host={sockets}&port=5432",
    "sqlalchemy": "postgresql+psycopg2://postgres@/{name}?host={sockets}&port=5432",
    "keywords": "host={sockets} port=5432 user=postgres dbname={name}",
}


def run_from(database, url, **env):
    return subprocess.run(
        original.command("--from", url), env=original.environment(database, **env), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=processes.seconds(60))


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_from_takes_every_form_of_a_database_url(database, source, form):
    source.client()
    url = form.format(name=source.database.name, sockets=source.database.cluster.sockets)
    assert counts(run_from(database, url))["clients imported"] == 1


@pytest.mark.parametrize("url", [
    "postgresql://postgres:hunter2@/{name}?host={sockets}", "postgresql+psycopg2://postgres:hunter2@/{name}?host={sockets}",
    "postgresql://postgres@/{name}?host={sockets}&password=hunter2", "host={sockets} dbname={name} password=hunter2",
    "host={sockets} dbname={name} sslpassword=hunter2"])
def test_password_in_the_arguments_is_refused(database, source, url):
    """It would stand in the list of processes; what to do is said, the password is not."""
    source.client()
    done = run_from(database, url.format(name=source.database.name, sockets=source.database.cluster.sockets))
    assert (done.returncode, done.stdout) == (2, "")
    assert "IMPORT_PASSWORD" in done.stderr and "hunter2" not in done.stderr
    assert database.all("SELECT * FROM clients") == []


@pytest.mark.parametrize("how", ["IMPORT_PASSWORD", "PGPASSFILE", "PGPASSWORD", "none", "wrong"])
def test_password_comes_from_the_environment(database, source, tmp_path, how):
    """IMPORT_PASSWORD or PGPASSFILE. PGPASSWORD is for the service's own database, and is not shown to another host."""
    cluster, name = source.database.cluster, source.database.name
    source.client()
    with cluster.password(name, "original", "s3cret") as url:
        passfile = tmp_path / "pgpass"
        passfile.write_text(f"*:*:{name}:original:s3cret\n")
        passfile.chmod(0o600)
        env = {"IMPORT_PASSWORD": "s3cret", "PGPASSWORD": "s3cret", "PGPASSFILE": passfile, "none": "", "wrong": "wr0ng"}
        variable = how if how.isupper() else "IMPORT_PASSWORD"
        done = run_from(database, url, **{variable: env[how]})
    if how in ("IMPORT_PASSWORD", "PGPASSFILE"):
        assert counts(done)["clients imported"] == 1, done.stderr
    else:
        assert done.returncode == 1 and "the database of --from cannot be reached" in done.stderr
        assert "wr0ng" not in done.stderr


WRONG = {
    "no --from": ((), "--from is missing"),
    "a word": (("--from", "original"), "--from: is not allowed; allowed is a libpq URL"),
    "another database": (("--from", "mysql://a/b"), "--from: is not allowed; allowed is a libpq URL"),
    "batch": (("--from", "dbname=d", "--batch", "0"), "--batch must be"),
    "one too many": (("--from", "dbname=d", "more"), "'more' is one argument too many"),
}


@pytest.mark.parametrize("arguments, said", WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_said(database, arguments, said):
    done = subprocess.run(original.command(*arguments), env=original.environment(database), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=processes.seconds(30))
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_help_says_what_it_does(database):
    done = subprocess.run(original.command("--help"), env=original.environment(database), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=processes.seconds(30))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in ("--from URL", "--dry-run", "IMPORT_PASSWORD", "DATABASE_ADMIN_URL"))


def test_database_that_is_none_of_the_original(database, make_database):
    """No such tables, or those of this service itself: exit status 2, nothing is written."""
    for wrong, said in ((make_database(migrated=False), "has no tables"), (make_database(), "of token-service itself")):
        done = run_from(database, wrong.admin_url)
        assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_remote_database_without_tls_is_refused_in_production(database):
    """As one in DATABASE_URL is."""
    done = run_from(database, "postgresql://original@db.example.test/d", ENVIRONMENT="production")
    assert done.returncode == 2 and "--from: does not insist on TLS" in done.stderr


def test_another_secret_key_imports_nothing(service, source):
    """The canary tells, before anything is read there."""
    assert service.get("/health/ready").status_code == 200
    source.client()
    done = move_in(service.database, source, SECRET_KEY="another-key-that-opens-nothing-here-at-all")
    assert done.returncode == 1 and "SECRET_KEY: does not open" in done.stderr
    assert service.database.all("SELECT * FROM clients") == []


def test_workers_login_cannot_import(database, source):
    source.client()
    done = move_in(database, source, DATABASE_ADMIN_URL=database.url)
    assert done.returncode == 1 and "DATABASE_ADMIN_URL refused" in done.stderr and "permission denied" in done.stderr


def test_import_survives_a_change_of_secret_key(service, source):
    """The next import opens what the last one sealed, and takes nothing for changed."""
    source.token(source.client())
    moved(service.database, source)
    after = moved(service.database, source, SECRET_KEY="the-next-secret-key-of-the-integration-tests", SECRET_KEY_PREVIOUS=original.KEY)
    assert after == {"clients read": 1, "clients that are here already": 1, "tokens that are here already": 1}


# --- many -------------------------------------------------------------------------------------------


def test_killed_import_is_run_again(database, source):
    """kill -9 in the middle: whole pages are there or not at all, and the next run brings the rest, nothing twice."""
    source.fill(3000)
    # Somebody is about to register one of its branches: there it waits, and cannot have ended before it is killed.
    with locked(database, "INSERT INTO clients (id, client_id, client_secret, redirect_uri, branch_id, workspace_email)"
                          " VALUES (1000000, 'a', 'b', 'c', 'many-1500', 'owner@example.test')"), \
         subprocess.Popen(
             original.command("--from", source.database.cluster.url("postgres", source.database.name), "--batch", "50"),
             env=original.environment(database), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
         ) as killed:
        wait_for_waiters(database, 1)
        [(session,)] = database.all(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        killed.send_signal(signal.SIGKILL)
    # What it had sent is still done, or undone.
    wait_until(lambda: is_gone(database, session), what="its session ends")
    (before,) = database.one("SELECT count(*) FROM clients")
    assert 0 < before < 3000 and before % 50 == 0, "it was killed too late"
    assert database.one("SELECT count(*) FROM tokens") == (before,)
    assert moved(database, source) == {
        "clients read": 3000, "clients imported": 3000 - before, "clients that are here already": before,
        "tokens imported": 3000 - before, "tokens that are here already": before}
    assert database.one("SELECT count(*), count(DISTINCT client_id) FROM tokens") == (3000, 3000)
    assert database.one("SELECT count(*) FROM audit_log") == (6000,)


def test_page_that_was_not_written_is_not_counted(database, source):
    """The database refuses one client's row: its page is left whole, and nobody is told that it came."""
    source.fill(100)
    database.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room'; END $$")
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON clients FOR EACH ROW WHEN (NEW.branch_id = 'many-75') EXECUTE FUNCTION refuse()")
    done = move_in(database, source, "--batch", "30")
    assert done.returncode == 1 and "refused: import" in done.stderr and "no room" in done.stderr, done.stderr
    assert database.one("SELECT count(*) FROM clients") == (60,)
    told = counts(done)
    assert (told["clients read"], told["clients imported"], told["tokens imported"]) == (60, 60, 60)


def timed(database, source):
    """An import's (seconds, peak of resident memory in KiB)."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import resource, subprocess, sys, time; begun = time.monotonic();"
         " subprocess.run(sys.argv[1:], check=True, stdout=2);"
         " print(time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
         *original.command("--from", source.database.cluster.url("postgres", source.database.name))],
        env=original.environment(database), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=processes.seconds(600))
    assert done.returncode == 0, done.stderr
    seconds, peak = done.stdout.split()
    return float(seconds), int(peak), done.stderr


@pytest.mark.skipif(bool(WRAPPER), reason="measures the program itself")
def test_memory_does_not_grow_with_the_number_of_clients(make_database, record_property):
    """10,000 and 100,000 clients: the peak is the same. One that takes long says how far it is."""
    peaks = []
    for number in (10_000, 100_000):
        source, target = Original(make_database(migrated=False)), make_database()
        source.fill(number)
        seconds, peak, said = timed(target, source)
        print(f"{number} clients: {seconds:.1f} s, peak {peak} KiB")
        record_property(f"import of {number}", f"{seconds:.1f} s, {peak} KiB")
        assert target.one("SELECT count(*) FROM clients JOIN tokens ON clients.id = tokens.client_id") == (number,)
        peaks.append(peak)
    assert peaks[1] < 1.5 * peaks[0]
    assert seconds < 4 or re.search(r"^import: \d+ of 100000 clients$", said, re.M)
