"""Login, its cookie, its state: who may come back to the callback, and how often."""

import base64
import hashlib
import re

import httpx
import pytest

from support.flow import (
    Browser, begin, connect, exchanges, query, refused, register, registration, rows, with_query,
)
from support.processes import seconds
from support.provider import SCOPE
from support.sealing import SEALS

NONCE = re.compile(r"[A-Za-z0-9_-]{43}")
COOKIE = "token_service_login"


# --- login ----------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_login_asks_for_what_google_needs(service, provider):
    """The consent URL has every parameter once: PKCE S256, offline access, fresh consent, the person's address."""
    client = register(service, provider, workspace_email="ö+owner@example.test")
    response = service.get(f"/oauth/login/{client['client_id']}")
    assert response.status_code == 302
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    url = response.headers["location"]
    assert url.startswith(f"{provider.url}/auth?")
    asked = query(url)
    assert NONCE.fullmatch(asked["state"]) and NONCE.fullmatch(asked["code_challenge"])
    assert asked == {
        "response_type": "code",
        "client_id": client["client_oauth_id"],
        "redirect_uri": client["redirect_uri"],
        "scope": SCOPE,
        "state": asked["state"],
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": "S256",
        "access_type": "offline",
        "prompt": "consent",
        "login_hint": "ö+owner@example.test",
    }


def test_login_hint_fills_in_the_account(service, provider):
    """The provider sees who is meant: a person who just consents does so as the workspace's address."""
    client = register(service, provider, workspace_email="cafe-owner@example.test")
    token = connect(service, provider, client).json()["access_token"]
    assert provider.introspect(token)["login"] == "cafe-owner@example.test"


def test_scopes_are_expanded_except_the_openid_ones(make_service, provider):
    """A bare scope becomes Google's URL; openid, email, profile and full URLs stay as they are."""
    service = make_service(env={"GOOGLE_SCOPE": f"openid email profile {SCOPE} business.manage"})
    client = register(service, provider)
    with Browser(service) as browser:
        consent_url = browser.login(client)
        assert query(consent_url)["scope"] == f"openid email profile {SCOPE} {SCOPE}"


def test_each_login_has_a_verifier_and_a_state_of_its_own(service, provider):
    """PKCE: one verifier for each login, 43 to 128 unreserved characters, and its S256 challenge is what was sent."""
    client = register(service, provider)
    with Browser(service) as browser:
        asked = [query(browser.login(client)) for _ in range(3)]
    verifiers = SEALS.verifiers(service.database)
    assert all(re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier) for verifier in verifiers)
    digests = [hashlib.sha256(verifier.encode()).digest() for verifier in verifiers]
    challenges = {base64.urlsafe_b64encode(digest).rstrip(b"=").decode() for digest in digests}
    assert challenges == {each["code_challenge"] for each in asked}
    assert len(challenges) == 3
    assert len({each["state"] for each in asked}) == 3


def test_the_verifier_is_sent_with_the_code(service, provider):
    """The verifier of this very login goes to the provider, which refuses any other one."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        (row,) = service.database.one("SELECT encode(state_hash, 'hex') FROM oauth_states")
        other = SEALS.seal("oauth_states", "code_verifier", row, "a" * 43)
        service.database.execute("UPDATE oauth_states SET code_verifier = %s", (other,))
        body = refused(browser.callback(url), 502, "provider_error")
    assert body["provider_error"] == "invalid_grant"
    assert rows(service, "tokens") == 0


def test_login_of_an_unknown_client(service):
    """404, and no state is kept for it."""
    refused(service.get("/oauth/login/4711"), 404, "client_not_found")
    assert rows(service, "oauth_states") == 0


def test_login_of_an_inactive_client(service, provider):
    """403, and no state is kept for it."""
    client = register(service, provider)
    service.patch(f"/clients/{client['client_id']}", json={"is_active": False})
    refused(service.get(f"/oauth/login/{client['client_id']}"), 403, "client_inactive")
    assert rows(service, "oauth_states") == 0


# --- cookie and host ------------------------------------------------------------------------------


def cookie_of(response):
    """(name, value, {attribute, …}) of the only cookie that the response sets."""
    (header,) = response.headers.get_list("set-cookie")
    pair, *attributes = header.split("; ")
    name, _, value = pair.partition("=")
    return name, value, sorted(attributes)


def test_cookie_over_http(service, provider):
    """Host-only, of the session, for the whole site, out of scripts' reach, not sent by foreign pages."""
    client = register(service, provider)
    name, value, attributes = cookie_of(service.get(f"/oauth/login/{client['client_id']}"))
    assert (name, attributes) == (COOKIE, ["HttpOnly", "Path=/", "SameSite=Lax"])
    assert NONCE.fullmatch(value)


def test_cookie_over_https_and_the_flow_with_it(service, provider):
    """With an https redirect URI it is Secure and has the __Host- prefix; the callback takes it."""
    client = register(service, provider, redirect_uri="https://tokens.example.test/auth/callback")
    host = {"Host": "tokens.example.test"}
    login = service.get(f"/oauth/login/{client['client_id']}", headers=host)
    name, value, attributes = cookie_of(login)
    assert (name, attributes) == (f"__Host-{COOKIE}", ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"])
    with Browser(service) as browser:
        url = httpx.URL(browser.consent(login.headers["location"]))
    assert url.host == "tokens.example.test"
    path = url.raw_path.decode()
    refused(service.get(path, headers=host), 400, "invalid_state")
    response = service.get(path, headers={**host, "Cookie": f"other=1; {name}={value}"})
    assert response.status_code == 200


def test_cookie_is_reused(service, provider):
    """A second login of one browser keeps its cookie; one of a foreign form is replaced."""
    client = register(service, provider)
    path = f"/oauth/login/{client['client_id']}"
    _, value, _ = cookie_of(service.get(path))
    assert cookie_of(service.get(path, headers={"Cookie": f"{COOKIE}={value}"}))[1] == value
    for foreign in ("x", "", value + "A", value[:-1] + "!"):
        replaced = cookie_of(service.get(path, headers={"Cookie": f"{COOKIE}={foreign}"}))[1]
        assert NONCE.fullmatch(replaced) and replaced not in (value, foreign)


def test_two_browsers_have_two_cookies(service, provider):
    """The cookie is random: it does not follow from the client."""
    client = register(service, provider)
    path = f"/oauth/login/{client['client_id']}"
    assert cookie_of(service.get(path))[1] != cookie_of(service.get(path))[1]


def test_login_on_another_host_goes_to_the_callbacks_host_first(service, provider):
    """A login that arrives elsewhere is sent to login_url, without a cookie yet, so that the cookie comes back."""
    client = register(service, provider)
    port = service.nginx.port
    response = service.get(f"http://127.0.0.1:{port}/oauth/login/{client['client_id']}")
    assert response.status_code == 302
    assert response.headers["location"].startswith(client["login_url"] + "?")
    assert "set-cookie" not in response.headers
    with Browser(service) as browser:
        onward = browser.http.get(response.headers["location"])
        assert onward.headers["location"].startswith(f"{provider.url}/auth?")
        assert browser.callback(browser.consent(onward.headers["location"])).status_code == 200


def test_login_is_sent_to_another_host_only_once(service, provider):
    """A proxy that changes Host does not make a loop: what came through the redirect goes on."""
    client = register(service, provider, redirect_uri="https://tokens.example.test/auth/callback")
    first = service.get(f"/oauth/login/{client['client_id']}")
    target = httpx.URL(first.headers["location"])
    assert (target.scheme, target.host) == ("https", "tokens.example.test")
    second = service.get(target.raw_path.decode())  # Host is localhost still
    assert second.headers["location"].startswith(f"{provider.url}/auth?")


@pytest.mark.parametrize(
    ("host", "is_same"),
    [("tokens.example.test", True), ("TOKENS.example.test:443", True), ("tokens.example.test:8443", False)],
)
def test_default_port_and_case_do_not_make_another_host(service, provider, host, is_same):
    """Host is compared with the redirect URI's authority: case and a default port are no difference."""
    client = register(service, provider, redirect_uri="https://tokens.example.test/auth/callback")
    response = service.get(f"/oauth/login/{client['client_id']}", headers={"Host": host})
    assert response.headers["location"].startswith(f"{provider.url}/auth?") is is_same


@pytest.mark.parametrize(
    ("redirect_uri", "login_url"),
    [
        ("https://example.test/auth/callback", "https://example.test/oauth/login/{}"),
        ("https://example.test:8443/a/b/auth/callback", "https://example.test:8443/a/b/oauth/login/{}"),
        ("http://localhost:8002/auth/callback", "http://localhost:8002/oauth/login/{}"),
        ("http://[::1]:8002/x/auth/callback", "http://[::1]:8002/x/oauth/login/{}"),
    ],
)
def test_login_url_follows_the_redirect_uri(service, redirect_uri, login_url):
    """…/auth/callback becomes …/oauth/login/{id}, scheme, port and path prefix kept, whatever Host says."""
    response = service.post(
        "/clients", json=registration(service, redirect_uri=redirect_uri), headers={"Host": "evil.example.test"}
    )
    client = response.json()
    assert client["login_url"] == login_url.format(client["client_id"])
    listed = service.get(f"/clients/{client['client_id']}", headers={"Host": "evil.example.test"}).json()
    assert listed["login_url"] == client["login_url"]


# --- state ----------------------------------------------------------------------------------------


def test_state_and_cookie_are_stored_hashed(service, provider):
    """Whoever reads the database can neither finish a login nor pretend to be its browser."""
    client = register(service, provider)
    with Browser(service) as browser:
        state = query(browser.login(client))["state"]
        cookie = browser.http.cookies[COOKIE]
        dump = service.database.dump()
        assert state not in dump and cookie not in dump
        assert state.encode().hex() not in dump and cookie.encode().hex() not in dump
    hashes = service.database.one("SELECT state_hash, browser_hash FROM oauth_states")
    assert [bytes(each) for each in hashes] == [hashlib.sha256(s.encode()).digest() for s in (state, cookie)]


def test_state_works_once(service, provider):
    """The second callback with one state is refused before the provider is asked, and the grant stays."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        token = browser.callback(url).json()["access_token"]
        refused(browser.callback(url), 400, "invalid_state")
    assert len(exchanges(provider)) == 1
    assert service.get(f"/tokens/{client['branch_identifier']}").json()["access_token"] == token


def test_of_callbacks_at_once_one_wins(service, provider):
    """A double click: one callback is answered, the others are refused, the code goes out once."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        headers = {"Cookie": f"{COOKIE}={browser.http.cookies[COOKIE]}"}
        calls = [service.start("GET", url, headers=headers) for _ in range(8)]
        statuses = sorted(call.result(seconds(60)).status_code for call in calls)
    assert statuses == [200] + [400] * 7
    assert len(exchanges(provider)) == 1


def test_expired_state(service, provider):
    """After STATE_TTL a login is over."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        service.database.execute("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
        refused(browser.callback(url), 400, "invalid_state")
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


@pytest.mark.parametrize(("env", "ttl"), [({}, 600), ({"STATE_TTL": "30"}, 30)])
def test_state_ttl(make_service, provider, env, ttl):
    """STATE_TTL is how long a login may take: 600 s unless set."""
    service = make_service(env=env)
    client = register(service, provider)
    service.get(f"/oauth/login/{client['client_id']}")
    life = service.database.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM oauth_states")
    assert life == (ttl,)


@pytest.mark.parametrize(
    "state", [None, "", "x", "A" * 42, "A" * 43, "A" * 44, "A" * 4000, "' OR true --", "\u00e4" * 43],
    ids=["missing", "empty", "short", "42", "unknown", "44", "long", "sql", "not ascii"],
)
def test_unknown_state(service, provider, state):
    """A state that no login has is refused before the provider is asked, and burns no other one."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        refused(browser.callback(with_query(url, state=state)), 400, "invalid_state")
        assert exchanges(provider) == []
        assert browser.callback(url).status_code == 200


def test_another_browser_does_not_burn_the_state(service, provider):
    """Without the cookie, or with another one, the callback is refused; the right browser still gets through."""
    client = register(service, provider)
    with Browser(service) as browser, Browser(service) as thief:
        url = begin(browser, client)
        refused(thief.callback(url), 400, "invalid_state")
        thief.login(client)  # now it has a cookie of its own
        refused(thief.callback(url), 400, "invalid_state")
        assert exchanges(provider) == []
        assert browser.callback(url).status_code == 200


def test_state_is_looked_at_first(service, provider):
    """An answer that no login asked for gets no further: neither its error nor its issuer matters."""
    for rest in ({"error": "access_denied"}, {"iss": "https://evil.example.test", "code": "x"}):
        refused(service.get("/auth/callback", params={"state": "A" * 43, **rest}), 400, "invalid_state")


@pytest.mark.memcheck
def test_head_does_not_burn_the_state(service, provider):
    """A link preview's HEAD is refused and uses nothing up."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        response = browser.http.head(url)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET"
        assert browser.callback(url).status_code == 200


def test_client_switched_off_during_the_login(service, provider):
    """403, and the code is not even tried."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        service.patch(f"/clients/{client['client_id']}", json={"is_active": False})
        refused(browser.callback(url), 403, "client_inactive")
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


def test_client_deleted_during_the_login(service, provider):
    """Its logins are gone with it."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        assert service.delete(f"/clients/{client['client_id']}").status_code == 204
        refused(browser.callback(url), 400, "invalid_state")
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


def test_redirect_uri_changed_during_the_login(service, provider):
    """The exchange names the redirect URI that the login began with, as RFC 6749 section 4.1.3 wants."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        service.patch(f"/clients/{client['client_id']}", json={"redirect_uri": "https://example.test/auth/callback"})
        assert browser.callback(url).status_code == 200
