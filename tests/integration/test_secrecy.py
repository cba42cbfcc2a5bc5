"""Whoever gets a dump of the database, a log, an error answer or what a command printed reads no secret in it."""

import base64
import binascii
import re
import secrets as random
import subprocess
from urllib.parse import quote

import pytest
from support import keys, processes
from support.flow import Browser, expire, query, register, registration
from support.processes import wait_until
from support.sealing import Seals
from support.service import PROGRAM
from support.site import Authority, Site

PASSWORD = "hunter2-of-the-database"


class Secrets(dict):
    """By name; leaked(text) are the names of those that are in it, in whatever form."""

    def add(self, name, value):
        assert isinstance(value, str) and len(value) >= 16, (name, value)
        self[f"{name} {len(self)}"] = value
        return value

    @staticmethod
    def _forms(value):
        raw = value.encode()
        yield from (value, quote(value, safe=""), raw.hex(), base64.b64encode(raw).decode().rstrip("="))
        # What is base64url itself may have been stored as the bytes it stands for.
        try:
            decoded = base64.urlsafe_b64decode(value.removeprefix("tsk_") + "==")
        except binascii.Error:
            return
        if len(decoded) >= 16:
            yield decoded.hex()

    def leaked(self, text):
        return [name for name, value in self.items() if any(form in text for form in self._forms(value))]


class World:
    """A service with an nginx, its operator, who has an admin key, and everything that others might get hold of."""

    def __init__(self, service, door, http, secrets, key, provider):
        self.service, self.door, self.http, self.secrets, self.provider = service, door, http, secrets, provider
        self.database = service.database
        self.seals = Seals(key)
        self.found = {}  # place → text
        self.statuses = set()
        self.watch(http)
        self.http.headers.update(keys.bearer(secrets.add("admin key", keys.create(self.database, "admin"))))

    def watch(self, http):
        """Keeps its error answers."""

        def keep(response):
            if response.status_code >= 400 and str(response.url).startswith(self.door.url):
                response.read()
                self.statuses.add(response.status_code)
                self.note("error answers", f"{response.headers}\n{response.text}\n")

        http.event_hooks["response"].append(keep)

    def note(self, place, text):
        self.found[place] = self.found.get(place, "") + text

    def browser(self):
        browser = Browser(self.door)
        if isinstance(self.door, Site):
            browser.http.close()
            browser.http = self.door.client()
            browser.http.cookies = {}
        self.watch(browser.http)
        return browser

    def begin(self, browser, client):
        """A login up to its callback's URL; what is secret of it is known."""
        for name, value in query(client["login_url"]).items():
            self.secrets.add(name, value)
        consent = browser.login(client)
        self.secrets.add("state", query(consent)["state"])
        [self.secrets.add("cookie", value) for _, value in browser.http.cookies.items()]
        for verifier in self.seals.verifiers(self.database):
            self.secrets.add("verifier", verifier)
        self.note("dump", self.database.pg_dump())
        url = browser.consent(consent)
        self.secrets.add("code", query(url)["code"])
        return url

    def call(self, method, path, status, key=None, **options):
        headers = keys.bearer(key) if key else {}
        response = self.door.request(method, path, headers=headers, **options)
        assert response.status_code == status, response.text
        return response

    def learn_tokens(self):
        """Those that the provider has issued so far."""
        for entry in self.provider.log():
            for name in ("access_token", "new_refresh_token"):
                if entry[name] and entry[name] not in self.secrets.values():
                    self.secrets.add(name, entry[name])

    def command(self, *arguments, **env):
        done = subprocess.run(
            [PROGRAM, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(60),
            env=processes.plain_environment(DATABASE_URL=with_password(self.database.url),
                                            DATABASE_ADMIN_URL=with_password(self.database.admin_url), **env),
        )
        self.note("commands", done.stdout + done.stderr)
        return done.returncode


def with_password(url):
    return url.replace("@", f":{PASSWORD}@", 1)


@pytest.fixture(params=["development", "production"])
def world(request, make_service, provider, tmp_path):
    """With the site of this environment in front of it, everything logged, and API keys asked for."""
    secrets = Secrets()
    key, previous = (secrets.add(name, random.token_hex(24)) for name in ("SECRET_KEY", "SECRET_KEY_PREVIOUS"))
    secrets.add("password", PASSWORD)

    def settings(database):
        return {"DATABASE_URL": with_password(database.url), "SECRET_KEY": key, "SECRET_KEY_PREVIOUS": previous,
                "API_AUTH": "required", "ENVIRONMENT": request.param, "LOG_LEVEL": "DEBUG"}

    database = request.getfixturevalue("database")
    if request.param == "development":
        service = make_service(settings(database))
        yield World(service, service, service.client, secrets, key, provider)
        return
    service = make_service(settings(database), nginx=False)
    site = Site(service, Authority(tmp_path))
    yield World(service, site, site.http, secrets, key, provider)
    site.close()


def connect(world, client):
    """Consent, with a callback from another's browser before it and one more after it."""
    with world.browser() as browser, world.browser() as other:
        url = world.begin(browser, client)
        world.begin(other, client)
        assert other.callback(url).status_code == 400
        response = browser.callback(url)
        assert response.status_code == 200, response.text
        assert browser.callback(url).status_code == 400
        assert browser.callback(url + "&state=x").status_code == 400
    world.learn_tokens()
    assert response.json()["access_token"] in world.secrets.values()


def refresh_in_vain(world, client):
    """The provider's errors repeat what it was sent, in all their fields."""
    sent = world.provider.refreshes()[-1]["refresh_token"]
    assert sent in world.secrets.values()
    for fault in (
        {"kind": "oauth_error", "error": sent, "error_description": sent},
        {"kind": "oauth_error", "error": "invalid_request", "error_description": sent},
        {"kind": "status", "status": 500, "body": {"error": "server_error", "refresh_token": sent, "access_token": sent}},
        {"kind": "status", "status": 200, "body": f'{{"access_token": "{sent}'},
    ):
        expire(world.service, client)
        world.database.execute("UPDATE tokens SET refresh_retry_at = NULL, provider_retry_at = NULL")
        world.provider.fault(**fault)
        response = world.door.get(f"/tokens/{client['branch_identifier']}")
        assert response.status_code in (502, 503), response.text
    world.database.execute("UPDATE tokens SET refresh_retry_at = NULL, provider_retry_at = NULL")


def call_wrongly(world, client, fetcher):
    """Keys that are not good, in the right place and in the wrong one; bodies with a secret in them that is not taken."""
    secrets, branch = world.secrets, client["branch_identifier"]
    mistyped = secrets.add("mistyped key", f"tsk_{random.token_urlsafe(32)}")
    revoked = secrets.add("revoked key", keys.create(world.database, "admin"))
    keys.revoke(world.database, revoked)
    for key in (mistyped, revoked, mistyped + "x"):
        world.call("GET", f"/tokens/{branch}", 401, key)
    world.call("GET", "/clients", 403, fetcher)
    world.call("GET", f"/tokens/other?api_key={fetcher}&access_token={mistyped}", 403, fetcher)
    world.call("GET", f"/tokens/{branch}?min_ttl={mistyped}", 422, fetcher)
    world.call("GET", f"/auth/callback?state={mistyped}&code={mistyped}", 400)
    world.call("GET", f"/auth/callback?state={mistyped}&error={mistyped}", 400)
    secret = secrets.add("client_secret", "client-secret-" + random.token_hex(8))
    good = registration(world.door, client_secret=secret)
    world.door.request("POST", "/clients", content=f'{{"client_secret": "{secret}', headers={"Content-Type": "application/json"})
    world.door.request("POST", "/clients", content=f"client_secret={secret}")
    world.call("POST", "/clients", 422, json={**good, "client_secret": secret * 40, "workspace_email": secret})
    world.call("POST", "/clients", 422, json={**good, "client_secret": {"is": secret}})
    world.call("PATCH", f"/clients/{client['client_id']}", 422, json={"client_secret": secret, "redirect_uri": secret})
    world.call("POST", "/clients", 409, json={**good, "branch_id": branch})


def store_in_vain(world, client):
    """The database refuses what is to be stored, and writes the statement and the row into its log."""
    secret = world.secrets.add("client_secret", "client-secret-" + random.token_hex(8))
    other = register(world.door, world.provider)
    with world.browser() as browser:
        callback = world.begin(browser, other)
        tables = ("clients", "tokens", "oauth_states")
        for table in tables:
            world.database.execute(f"ALTER TABLE {table} ADD CONSTRAINT no_more CHECK (false) NOT VALID")
        world.call("POST", "/clients", 500, json=registration(world.door, client_secret=secret))
        world.call("PATCH", f"/clients/{client['client_id']}", 500, json={"client_secret": secret})
        world.call("GET", other["login_url"], 500)
        assert browser.callback(callback).status_code == 500
        for table in tables:
            world.database.execute(f"ALTER TABLE {table} DROP CONSTRAINT no_more")
    world.learn_tokens()


def test_nobody_who_gets_dump_or_logs_reads_a_secret(world, cluster):
    """Through the whole flow, its errors, and a change of the key: none of tokens, client secrets, codes, states, cookies,
    verifiers, keys and passwords is in pg_dump, a log at DEBUG, an error answer or what a command printed."""
    log_begins = cluster.log.stat().st_size
    provider, secrets = world.provider, world.secrets
    oauth, secret = provider.client(secret="client-secret-" + random.token_hex(8))
    secrets.add("client_secret", secret)
    client = register(world.door, client_id=oauth, client_secret=secret)
    path = f"/tokens/{client['branch_identifier']}"
    fetcher = secrets.add("fetcher key", keys.create(world.database, "fetcher", "--branches", client["branch_identifier"]))

    connect(world, client)
    expire(world.service, client)
    token = world.call("GET", path, 200, fetcher).json()["access_token"]
    world.learn_tokens()
    assert token in secrets.values()
    refresh_in_vain(world, client)
    call_wrongly(world, client, fetcher)
    store_in_vain(world, client)
    other_secret = secrets.add("client_secret", "client-secret-" + random.token_hex(8))
    provider.client(oauth, other_secret)
    world.call("PATCH", f"/clients/{client['client_id']}", 200, json={"client_secret": other_secret})
    world.call("POST", "/tokens/refresh", 200, fetcher, json={"client_id": client["client_id"]})
    world.learn_tokens()
    for page in ("/", "/health", "/health/ready", "/metrics", "/openapi.json", f"/clients/{client['client_id']}", "/clients"):
        # login_url of a client has a ticket in it, for whoever asked with an admin's key.
        world.note("answers without tokens", re.sub(r'"login_url":"[^"]*"', "", world.door.get(page).text))
    world.note("dump", world.database.pg_dump())

    shown = world.door.get("/metrics").text
    assert 'status="422"' in shown and re.search(r'call="exchange",outcome="success"} [1-9]', shown)
    assert not [each for each in (client["branch_identifier"], client["email"], oauth) if each in shown]
    world.note("answers without tokens", shown)

    provider.fault("drop", endpoint="revocation", times=None)
    world.call("POST", f"{path}/revoke", 200)
    assert world.database.one("SELECT count(*) FROM revocations") == (1,)
    new_key = secrets.add("SECRET_KEY", random.token_hex(24))
    old_key = next(value for name, value in secrets.items() if name.startswith("SECRET_KEY "))
    # A database that has no time for it is only warned of.
    wait_until(lambda: world.command("check-config", SECRET_KEY=new_key) == 2, what="the wrong key is seen")
    assert world.command("rekey", SECRET_KEY=new_key, SECRET_KEY_PREVIOUS=old_key) == 0
    assert world.command("key", "list") == 0
    world.note("dump", world.database.pg_dump())

    # Without workers nginx has something to say of its own.
    world.service.terminate()
    world.service.wait_exit()
    codes = [value for name, value in secrets.items() if name.startswith(("state ", "code "))]
    wait_until(lambda: world.door.get("/auth/callback", params=dict(zip(("state", "code"), codes))).status_code in (502, 503))

    nginx = world.door.nginx
    world.note("service's log", world.service.stderr())
    world.note("access log", nginx.whole_access_log())
    world.note("nginx's log", nginx.error_log.read_text())
    with open(cluster.log, encoding="utf-8", errors="replace") as file:
        file.seek(log_begins)
        world.note("PostgreSQL's log", file.read())

    assert client["branch_identifier"] in world.found["dump"] and "violates check constraint" in world.found["PostgreSQL's log"]
    assert {event["status"] for event in world.service.log_events("request")} >= {200, 400, 401, 403, 409, 422, 500}
    assert world.statuses >= {400, 401, 403, 409, 422, 500}
    assert '"status":401' in world.found["access log"].replace(" ", "")
    kinds = {name.rpartition(" ")[0] for name in secrets}
    assert kinds >= {"access_token", "new_refresh_token", "client_secret", "code", "state", "ticket", "cookie", "verifier", "admin key",
                     "fetcher key", "SECRET_KEY", "password"}
    assert {place: leaked for place, text in world.found.items() if (leaked := secrets.leaked(text))} == {}
