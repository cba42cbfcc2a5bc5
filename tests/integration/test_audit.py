"""The audit trail: who registered, changed, connected, refreshed by force, revoked or deleted what, written by the same
transaction, readable by the owner alone."""

import psycopg2
import pytest

from support import keys
from support.flow import Browser, begin, connect, connected, expire, query, register, registration, token_row
from support.hosts import PATIENT, locked, make_due, wait_for_waiters
from support.keys import REQUIRED, acting
from support.processes import wait_until
from support.sealing import SEALS

COLUMNS = "actor_key_id, actor, action, client_id, branch_id, detail"
SECRET = "a-secret-that-no-row-may-hold"


@pytest.fixture
def key(database):
    """The administrator's, whose id is not the first one."""
    keys.create(database, "fetcher")
    return keys.create(database, "admin")


@pytest.fixture
def service(make_service, key):
    """Every call of it brings the key."""
    service = make_service({**REQUIRED, **PATIENT})
    with acting(service, key):
        yield service


def trail(database, *actions):
    """What was done to clients and grants, oldest first; only these actions when any are given."""
    rows = database.all(f"SELECT {COLUMNS} FROM audit_log WHERE action NOT LIKE 'key.%' ORDER BY id")
    return [row for row in rows if not actions or row[2] in actions]


def last_request_id(database):
    return database.one("SELECT request_id FROM audit_log ORDER BY id DESC LIMIT 1")[0]


# --- a row for each action --------------------------------------------------------------------------


def test_each_action_is_a_row_with_the_key_that_did_it(service, provider, database, key):
    """In order, with the client, its branch and the id of the request; the callback is nobody's key."""
    key_id = keys.id_of(database, key)
    client = register(service, provider)
    number, branch = client["client_id"], client["branch_identifier"]
    expected = []

    def done(answer, status, action, *, actor="api", by=key_id, detail=None):
        assert answer.status_code == status, answer.text
        expected.append((by, actor, action, number, branch, detail))
        assert trail(database)[1:] == expected
        assert last_request_id(database) == answer.headers["x-request-id"]

    assert trail(database) == [(key_id, "api", "client.registered", number, branch, None)]
    done(service.patch(f"/clients/{number}", json={"workspace_name": "Another"}), 200, "client.changed",
         detail="workspace_name")
    done(connect(service, provider, client), 200, "grant.connected", actor="browser", by=None)
    expire(service, client)
    done(service.post("/tokens/refresh", json={"client_id": number}), 200, "grant.refreshed_by_force")
    done(service.post(f"/tokens/{branch}/revoke"), 200, "grant.revoked")
    done(service.delete(f"/clients/{number}"), 204, "client.deleted")


def test_time_of_a_row_is_the_servers(service, provider, database):
    register(service, provider)
    assert database.one("SELECT now() - at < interval '1 minute' AND at <= now() FROM audit_log"
                        " WHERE action = 'client.registered'")[0]


def test_fetcher_that_forces_a_refresh_is_named(service, provider, database):
    """Not the administrator who registered the client."""
    client = connected(service, provider)
    fetcher = keys.create(database, "fetcher", "--branches", client["branch_identifier"])
    body = {"branch_id": client["branch_identifier"]}
    answer = service.post("/tokens/refresh", json=body, headers=keys.bearer(fetcher))
    assert answer.status_code == 200
    assert [row[0] for row in trail(database, "grant.refreshed_by_force")] == [keys.id_of(database, fetcher)]


def test_without_api_keys_the_row_names_none(make_service, provider, database, key):
    """API_AUTH=off: also for a caller who sends a key all the same."""
    service = make_service()
    with acting(service, key):
        client = register(service, provider)
    assert trail(database) == [(None, "api", "client.registered", client["client_id"], client["branch_identifier"], None)]


CHANGES = {
    "secret": ({"client_secret": SECRET}, "client_secret"),
    "address": ({"workspace_email": "new@example.test"}, "workspace_email"),
    "name taken away": ({"workspace_name": None}, "workspace_name"),
    "inactive": ({"is_active": False}, "is_active"),
    "all": ({"client_secret": SECRET, "redirect_uri": "http://localhost/auth/callback", "workspace_email": "new@example.test",
             "workspace_name": "New", "is_active": False},
            "client_secret, redirect_uri, workspace_email, workspace_name, is_active"),
    "one of two is as it was": ({"workspace_email": "owner@example.test", "is_active": False}, "is_active"),
    "as it was": ({"workspace_name": "Example Workspace", "is_active": True}, None),
}


def test_change_names_its_fields_and_no_value(service, provider, database):
    """Those that are not what they were; none: no row."""
    expected = []
    for what, (body, detail) in CHANGES.items():
        client = register(service, provider)
        assert service.patch(f"/clients/{client['client_id']}", json=body).status_code == 200, what
        expected += [(client["client_id"], detail)] if detail else []
        assert [(row[3], row[5]) for row in trail(database, "client.changed")] == expected, what


def test_change_after_another_change_names_only_its_own_field(service, provider, database):
    """It waits for the other, and is compared with what that one left."""
    client = register(service, provider)
    with locked(database, "UPDATE clients SET workspace_name = 'Another'") as cursor:
        call = service.start("PATCH", f"/clients/{client['client_id']}",
                             json={"workspace_name": "Another", "is_active": False})
        wait_for_waiters(database, 1)
        cursor.connection.commit()
        assert call.result(60).status_code == 200
    assert [row[5] for row in trail(database, "client.changed")] == ["is_active"]


# --- no row -------------------------------------------------------------------------------------------


def test_revoking_again_is_no_second_row(service, provider, database):
    client = connected(service, provider)
    for _ in range(2):
        assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    assert len(trail(database, "grant.revoked")) == 1


def test_dead_grant_that_is_revoked_is_a_row(service, provider, database):
    """It can no longer be refreshed, but somebody gave it up all the same."""
    client = connected(service, provider)
    database.execute("UPDATE tokens SET is_valid = false")
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    assert len(trail(database, "grant.revoked")) == 1


def test_read_is_no_row_and_neither_is_a_refresh_that_was_needed(make_service, provider, database, key):
    """A reader's, and a refresher's."""
    service = make_service({**REQUIRED, "REFRESHERS": "1"})
    with acting(service, key):
        client = connected(service, provider)
        path = f"/tokens/{client['branch_identifier']}"
        before = trail(database)
        assert service.get(path).status_code == 200
        expire(service, client)
        assert service.get(path).status_code == 200
        assert len(provider.refreshes()) == 1
        make_due(service, client)
        wait_until(lambda: len(provider.refreshes()) == 2, what="a refresher refreshes")
        wait_until(lambda: token_row(service, client, "grant_version")[0] >= 3, what="it is stored")
        assert trail(database) == before


def test_two_who_force_at_once_are_one_row(service, provider, database):
    """One refresh is done, for the first of them; the other gets what that brought."""
    client = connected(service, provider)
    with locked(database, "SELECT FROM tokens FOR UPDATE"):
        calls = [service.start("POST", "/tokens/refresh", json={"client_id": client["client_id"]}) for _ in range(2)]
        wait_for_waiters(database, 2)
    assert [call.result(60).status_code for call in calls] == [200, 200]
    assert len(provider.refreshes()) == len(trail(database, "grant.refreshed_by_force")) == 1


def failed_calls(service, provider, client):
    """(what, call, status): each is refused, whoever asks."""
    number, branch = client["client_id"], client["branch_identifier"]
    fresh = register(service, provider)
    provider.fault("status", status=500, body="")
    return [
        ("taken branch", lambda: service.post("/clients", json=registration(service, branch_id=branch)), 409),
        ("invalid registration", lambda: service.post("/clients", json={}), 422),
        ("invalid change", lambda: service.patch(f"/clients/{number}", json={"is_active": 3}), 422),
        ("change of nobody", lambda: service.patch("/clients/99999", json={"is_active": False}), 404),
        ("secret of nobody", lambda: service.patch("/clients/99999", json={"client_secret": SECRET}), 404),
        ("deletion of nobody", lambda: service.delete("/clients/99999"), 404),
        ("revocation of nobody", lambda: service.post("/tokens/nobody/revoke"), 404),
        ("nothing to revoke", lambda: service.post(f"/tokens/{fresh['branch_identifier']}/revoke"), 404),
        ("nothing to refresh", lambda: service.post("/tokens/refresh", json={"client_id": fresh["client_id"]}), 404),
        ("provider failed", lambda: service.post("/tokens/refresh", json={"client_id": number}), 503),
        ("no key", lambda: service.delete(f"/clients/{number}", headers={"Authorization": ""}), 401),
        ("unknown key", lambda: service.delete(f"/clients/{number}", headers=keys.bearer("tsk_" + "A" * 43)), 401),
    ]


def test_failed_call_is_no_row(service, provider, database):
    client = connected(service, provider)
    calls = failed_calls(service, provider, client)
    before = trail(database)
    for what, call, status in calls:
        answer = call()
        assert answer.status_code == status, f"{what}: {answer.text}"
        assert trail(database) == before, what


def test_fetcher_who_may_not_is_no_row(service, provider, database):
    client = connected(service, provider)
    number, branch = client["client_id"], client["branch_identifier"]
    fetcher = keys.bearer(keys.create(database, "fetcher", "--branches", "other-*"))
    before = trail(database)
    for method, path, body in (
        ("POST", "/clients", registration(service)), ("PATCH", f"/clients/{number}", {"is_active": False}),
        ("DELETE", f"/clients/{number}", None), ("POST", f"/tokens/{branch}/revoke", None),
        ("POST", "/tokens/refresh", {"client_id": number}),
    ):
        assert service.request(method, path, json=body, headers=fetcher).status_code == 403, path
    assert trail(database) == before


def test_consent_that_is_refused_is_no_row(service, provider, database):
    """Denied, with less than was asked for, or in another browser."""
    client = register(service, provider)
    for action in ("deny", "allow-less", "allow"):
        with Browser(service) as browser, Browser(service) as other:
            url = begin(browser, client, action)
            answer = (other if action == "allow" else browser).callback(url)
        assert answer.status_code >= 400, answer.text
    assert trail(database, "grant.connected") == []


# --- both or neither -------------------------------------------------------------------------------------


def acts(service, provider):
    """{action: call}, each of which changes one client; all are there already."""
    by_action = {action: connected(service, provider) for action in
                 ("client.changed", "client.deleted", "grant.refreshed_by_force", "grant.revoked")}
    number = {action: client["client_id"] for action, client in by_action.items()}
    browser = Browser(service)
    callback = begin(browser, register(service, provider))
    return {
        "client.registered": lambda: service.post("/clients", json=registration(service)),
        "client.changed": lambda: service.patch(f"/clients/{number['client.changed']}", json={"workspace_name": "x"}),
        "client.deleted": lambda: service.delete(f"/clients/{number['client.deleted']}"),
        "grant.connected": lambda: browser.callback(callback),
        "grant.refreshed_by_force": lambda: service.post(
            "/tokens/refresh", json={"client_id": number["grant.refreshed_by_force"]}),
        "grant.revoked": lambda: service.post(f"/tokens/{by_action['grant.revoked']['branch_identifier']}/revoke"),
    }


def state(database):
    return database.all("SELECT clients::text FROM clients UNION ALL SELECT tokens::text FROM tokens"
                        " UNION ALL SELECT revocations::text FROM revocations ORDER BY 1")


FAIL = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;"
AT_COMMIT = "CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE OR DELETE ON {} DEFERRABLE INITIALLY DEFERRED" \
            " FOR EACH ROW EXECUTE FUNCTION fail();"


def test_no_row_where_the_transaction_is_rolled_back(service, provider, database):
    """The statement ran, its COMMIT failed: neither the change nor its row is there."""
    calls = acts(service, provider)
    before, trail_before = state(database), trail(database)
    database.execute(FAIL + AT_COMMIT.format("clients") + AT_COMMIT.format("tokens"))
    for action, call in calls.items():
        assert call().status_code >= 500, action
        assert trail(database) == trail_before and state(database) == before, action


def test_nothing_is_done_that_cannot_be_written_down(service, provider, database):
    """The row is refused: so is what it was to tell of."""
    calls = acts(service, provider)
    before, trail_before = state(database), trail(database)
    database.execute(FAIL + "CREATE TRIGGER fail BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION fail()")
    for action, call in calls.items():
        assert call().status_code >= 500, action
        assert trail(database) == trail_before and state(database) == before, action


# --- what is in it, and who reads it ------------------------------------------------------------------


def test_no_secret_is_in_the_trail(service, provider, database, key):
    """Neither tokens nor the client's secret, the code, the state, the verifier or the API key; no changed value either."""
    client = register(service, provider, client_secret=SECRET)
    _, secret = provider.client()
    number = client["client_id"]
    assert service.patch(f"/clients/{number}", json={"client_secret": secret, "workspace_email": "new@example.test"}).status_code == 200
    client = register(service, provider)
    number = client["client_id"]
    with Browser(service) as browser:
        callback = begin(browser, client)
        secrets = {SECRET, secret, key, *SEALS.verifiers(database), query(callback)["code"], query(callback)["state"]}
        assert browser.callback(callback).status_code == 200
    for _ in range(2):
        expire(service, client)
        secrets |= set(token_row(service, client, "access_token, refresh_token"))
        assert service.post("/tokens/refresh", json={"client_id": number}).status_code == 200
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    assert service.delete(f"/clients/{number}").status_code == 204
    text = "\n".join(row for (row,) in database.all("SELECT audit_log::text FROM audit_log"))
    assert text.count("grant.refreshed_by_force") == 2 and text.count("client.changed") == 1
    assert len(secrets) >= 9 and all(len(each) > 10 for each in secrets)
    assert [each for each in {*secrets, "new@example.test"} if each in text] == []


def as_role(url, statement):
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


FORBIDDEN = [
    "SELECT * FROM audit_log", "SELECT id FROM audit_log", "UPDATE audit_log SET detail = 'x'", "DELETE FROM audit_log",
    "TRUNCATE audit_log", "SELECT audit_prune('0')", "INSERT INTO audit_log (actor, action, at) VALUES ('x', 'x', now())",
    "INSERT INTO audit_log (actor, action) VALUES ('x', 'x') RETURNING id", "DROP TABLE audit_log",
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
]
APPEND = "INSERT INTO audit_log (actor, action) VALUES ('a test', 'something')"


def test_workers_login_only_appends(database):
    """Whoever takes a worker over neither reads the trail nor changes what is in it, and cannot choose a row's time."""
    as_role(database.url, APPEND)
    before = database.all("SELECT * FROM audit_log")
    for statement in FORBIDDEN:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_role(database.url, statement)
        assert database.all("SELECT * FROM audit_log") == before, statement


def test_owner_prunes_what_is_old(database):
    """As the README has it: the rows older than the interval, and how many that were."""
    for _ in range(3):
        as_role(database.url, APPEND)
    database.execute("UPDATE audit_log SET at = at - interval '400 days' WHERE id IN"
                     " (SELECT id FROM audit_log ORDER BY id LIMIT 2)")
    assert as_role(database.admin_url, "SELECT audit_prune('1 year')") == [(2,)]
    assert len(database.all("SELECT * FROM audit_log")) == 1
    assert as_role(database.admin_url, "SELECT audit_prune('1 year')") == [(0,)]
