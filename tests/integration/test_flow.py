"""The whole flow: registration, consent, callback, token, refresh, and what can go wrong between."""

import base64
import hashlib
import re

import pytest

from support.flow import (
    Browser, begin, connect, connect_fast, exchanges, expire, query, refused, register,
    registration, rows, token_row, with_query,
)
from support.processes import seconds
from support.provider import SCOPE

BROWSER_ACCEPT = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
COOKIE = "token_service_login"


# --- the whole way --------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_whole_flow_with_the_documented_answers(service, provider):
    """Register, consent, fetch, refresh: every answer has exactly the contract's fields, types and texts."""
    oauth_id, oauth_secret = provider.client()
    fields = registration(service, client_id=oauth_id, client_secret=oauth_secret)

    response = service.post("/clients", json=fields)
    assert response.status_code == 201
    client = response.json()
    number = client["client_id"]
    assert type(number) is int
    assert TIME.fullmatch(client["created_at"])
    assert client == {
        "success": True,
        "message": "Client created successfully",
        "client_id": number,
        "client_oauth_id": oauth_id,
        "branch_id": number,
        "branch_identifier": fields["branch_id"],
        "email": fields["workspace_email"],
        "workspace_name": fields["workspace_name"],
        "redirect_uri": fields["redirect_uri"],
        "created_at": client["created_at"],
        "login_url": f"{service.url}/oauth/login/{number}",
    }

    response = connect(service, provider, client)
    assert response.status_code == 200
    consent = response.json()
    assert TIME.fullmatch(consent["expires_at"])
    assert consent == {
        "success": True,
        "message": "OAuth flow completed successfully",
        "client_id": oauth_id,
        "branch_id": fields["branch_id"],
        "access_token": consent["access_token"],
        "expires_at": consent["expires_at"],
    }
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert provider.works(consent["access_token"])

    response = service.get(f"/tokens/{fields['branch_id']}")
    assert response.status_code == 200
    token = response.json()
    assert type(token["expires_in"]) is int and 3600 - seconds(120) < token["expires_in"] <= 3600
    assert token == {
        "success": True,
        "message": "Token retrieved successfully",
        "client_id": number,
        "branch_id": fields["branch_id"],
        "access_token": consent["access_token"],
        "refresh_token": None,
        "expires_at": consent["expires_at"],
        "token_type": "Bearer",
        "expires_in": token["expires_in"],
        "scope": SCOPE,
        "stale": False,
    }
    assert response.headers["cache-control"] == "no-store"
    assert provider.refreshes() == []

    expire(service, client, seconds_left=3000)  # the consent is no longer of this second
    response = service.post("/tokens/refresh", json={"client_id": number})
    assert response.status_code == 200
    refreshed = response.json()
    assert TIME.fullmatch(refreshed["expires_at"])
    assert refreshed == {
        **token,
        "message": "Token refreshed successfully",
        "access_token": refreshed["access_token"],
        "expires_at": refreshed["expires_at"],
        "expires_in": refreshed["expires_in"],
    }
    assert response.headers["cache-control"] == "no-store"
    assert refreshed["access_token"] != token["access_token"]
    assert provider.works(refreshed["access_token"])
    assert [entry["result"] for entry in provider.refreshes()] == ["ok"]
    fetched = service.get(f"/tokens/{fields['branch_id']}").json()
    assert fetched["access_token"] == refreshed["access_token"]


def test_registration_without_a_name_answers_null(service):
    """workspace_name may be left out and is null then."""
    fields = registration(service)
    del fields["workspace_name"]
    response = service.post("/clients", json=fields)
    assert response.status_code == 201
    assert response.json()["workspace_name"] is None


def test_no_secret_reaches_a_log(service, provider):
    """Neither code, state, cookie, tokens nor the client's secret come into a log, nor a query string."""
    oauth_id, oauth_secret = provider.client()
    client = register(service, client_id=oauth_id, client_secret=oauth_secret)
    with Browser(service) as browser:
        url = begin(browser, client)
        cookie = browser.http.cookies[COOKIE]
        access_token = browser.callback(url).json()["access_token"]
        browser.callback(url)  # and one that fails
    expire(service, client)
    service.get(f"/tokens/{client['branch_identifier']}")
    new_token, refresh_token = token_row(service, client, "access_token, refresh_token")
    assert new_token != access_token
    logs = service.stderr() + service.nginx_error_log() + service.nginx.whole_access_log()
    assert "/auth/callback" in logs
    for secret in (*query(url).values(), cookie, oauth_secret, access_token, new_token, refresh_token, "state="):
        if secret != provider.url:  # iss is no secret
            assert secret not in logs


# --- which branch ---------------------------------------------------------------------------------


@pytest.fixture
def twins(service, provider):
    """Two branches with one OAuth client and one redirect URI."""
    oauth_id, oauth_secret = provider.client()
    shared = {"client_id": oauth_id, "client_secret": oauth_secret}
    return [
        register(service, workspace_email="first@example.test", **shared),
        register(service, workspace_email="second@example.test", **shared),
    ]


def assert_own_grants(service, provider, clients):
    for client in clients:
        token = service.get(f"/tokens/{client['branch_identifier']}").json()["access_token"]
        assert provider.introspect(token)["login"] == client["email"]


def test_interleaved_tabs_of_one_browser(service, provider, twins):
    """Both logins begin before either ends, in one browser: each consent lands on its own branch."""
    first, second = twins
    with Browser(service) as browser:
        consent_urls = [browser.login(client) for client in twins]
        callbacks = [browser.consent(url, login=client["email"]) for url, client in zip(consent_urls, twins)]
        for url, client in reversed(list(zip(callbacks, twins))):
            response = browser.callback(url)
            assert response.status_code == 200
            assert response.json()["branch_id"] == client["branch_identifier"]
    assert_own_grants(service, provider, twins)


def test_interleaved_logins_of_two_browsers(service, provider, twins):
    """The same in two browsers."""
    with Browser(service) as one, Browser(service) as other:
        browsers = [one, other]
        consent_urls = [browser.login(client) for browser, client in zip(browsers, twins)]
        callbacks = [
            browser.consent(url, login=client["email"]) for browser, url, client in zip(browsers, consent_urls, twins)
        ]
        for browser, url, client in reversed(list(zip(browsers, callbacks, twins))):
            assert browser.callback(url).json()["branch_id"] == client["branch_identifier"]
    assert_own_grants(service, provider, twins)


# --- what the callback brings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "iss", ["https://evil.example.test", "", "{}/", "{}x"], ids=["other", "empty", "slash", "longer"]
)
def test_wrong_issuer(service, provider, iss):
    """An iss that is not exactly the expected one: refused before the exchange, nothing stored."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        assert query(url)["iss"] == provider.url
        body = refused(browser.callback(with_query(url, iss=iss.format(provider.url))), 400, "issuer_mismatch")
    assert body["login_url"] == client["login_url"]
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


def test_absent_issuer(service, provider):
    """Providers that send no iss are accepted."""
    client = register(service, provider)
    with Browser(service) as browser:
        assert browser.callback(with_query(begin(browser, client), iss=None)).status_code == 200


def test_issuer_defaults_to_the_origin_of_the_auth_url(make_service, provider):
    """GOOGLE_ISSUER need not be set."""
    service = make_service(env={"GOOGLE_ISSUER": ""})
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        assert query(url)["iss"] == provider.url
        assert browser.callback(url).status_code == 200


@pytest.mark.parametrize("name", ["iss", "state", "code", "error"])
def test_duplicate_parameter(service, provider, name):
    """A parameter that comes twice is refused whichever value it has, and burns nothing."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        double = f"{url}&{name}={query(url).get(name, 'access_denied')}"
        if name == "error":
            double += "&error=access_denied"
        refused(browser.callback(double), 400, "malformed_request")
        assert exchanges(provider) == []
        assert browser.callback(url).status_code == 200


def test_missing_code(service, provider):
    """Neither code nor error: 400, and the provider is not asked."""
    client = register(service, provider)
    for code in (None, ""):
        with Browser(service) as browser:
            url = begin(browser, client)
            refused(browser.callback(with_query(url, code=code)), 400, "malformed_request")
    assert exchanges(provider) == []


def test_person_denies(service, provider):
    """provider_denied with the provider's code and the way back; nothing is stored, the state is used up."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client, action="deny")
        body = refused(browser.callback(url), 400, "provider_denied")
        assert body["provider_error"] == "access_denied"
        assert body["login_url"] == client["login_url"]
        refused(browser.callback(url), 400, "invalid_state")
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "Access_Denied", "a" * 65, "a b", "", "a-b", "ä"])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_odd_error_text_is_not_echoed(service, provider, text, accept):
    """Only [a-z_]{1,64} is repeated; anything else is provider_denied without it."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = with_query(begin(browser, client, action="deny"), error=text, error_description=text)
        response = browser.callback(url, headers={"Accept": accept})
    assert response.status_code == 400
    assert "alert(1)" not in response.text
    if accept == "application/json":
        assert response.json()["error"] == "provider_denied"
        assert "provider_error" not in response.json()
    else:
        assert "provider_denied" in response.text
        assert "provider:" not in response.text


def test_error_text_of_64_letters_is_echoed(service, provider):
    """The longest that is."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = with_query(begin(browser, client, action="deny"), error="a_" * 32)
        assert refused(browser.callback(url), 400, "provider_denied")["provider_error"] == "a_" * 32


# --- the exchange ---------------------------------------------------------------------------------

HTML_ANSWER = {"kind": "status", "status": 200, "body": "<html>hello</html>"}
EXCHANGE_FAILURES = {
    "invalid_grant": ({"kind": "oauth_error", "error": "invalid_grant"}, 502, "provider_error", "invalid_grant"),
    "invalid_client": (
        {"kind": "oauth_error", "error": "invalid_client", "status": 401},
        502, "client_credentials_rejected", "invalid_client",
    ),
    "unauthorized_client": (
        {"kind": "oauth_error", "error": "unauthorized_client"},
        502, "client_credentials_rejected", "unauthorized_client",
    ),
    "invalid_request": ({"kind": "oauth_error", "error": "invalid_request"}, 502, "provider_error", "invalid_request"),
    "server_error": (
        {"kind": "oauth_error", "error": "server_error"}, 503, "provider_unavailable", "server_error",
    ),
    "500": ({"kind": "status", "status": 500, "body": "oops"}, 503, "provider_unavailable", "http_500"),
    "503": ({"kind": "status", "status": 503, "body": ""}, 503, "provider_unavailable", "http_503"),
    "empty 400": ({"kind": "status", "status": 400, "body": ""}, 502, "provider_error", "http_400"),
    "drop": ({"kind": "drop"}, 503, "provider_unavailable", "connection_lost"),
    "html": (HTML_ANSWER, 502, "provider_error", "invalid_response"),
    "empty object": ({"kind": "status", "status": 200, "body": {}}, 502, "provider_error", "invalid_response"),
    "no access token": (
        {"kind": "rewrite", "remove": ["access_token"]}, 502, "provider_error", "invalid_response",
    ),
    "number for a token": (
        {"kind": "rewrite", "set": {"access_token": 1}}, 502, "provider_error", "invalid_response",
    ),
    "token with a line break": (
        {"kind": "rewrite", "set": {"access_token": "a\r\nb"}}, 502, "provider_error", "invalid_response",
    ),
    "other token type": (
        {"kind": "rewrite", "set": {"token_type": "mac"}}, 502, "provider_error", "invalid_response",
    ),
    "no lifetime left": (
        {"kind": "rewrite", "set": {"expires_in": 0}}, 502, "provider_error", "invalid_response",
    ),
    "no refresh token": (
        {"kind": "rewrite", "remove": ["refresh_token"]}, 502, "provider_error", "no_refresh_token",
    ),
    "huge": ({"kind": "huge", "bytes": 5_000_000}, 502, "provider_error", "invalid_response"),
}


@pytest.mark.parametrize("name", EXCHANGE_FAILURES)
def test_failing_exchange(service, provider, name):
    """Each failure has its status and code, says how to begin again, and stores nothing."""
    fault, status, code, provider_error = EXCHANGE_FAILURES[name]
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        provider.fault(**fault)
        response = browser.callback(url)
        body = refused(response, status, code)
        assert body["provider_error"] == provider_error
        assert body["login_url"] == client["login_url"]
        assert ("retry-after" in response.headers) is (status == 503)
        refused(browser.callback(url), 400, "invalid_state")
    assert len(exchanges(provider)) == 1
    assert rows(service, "tokens") == 0
    refused(service.get(f"/tokens/{client['branch_identifier']}"), 404, "authorization_required")
    assert connect(service, provider, client).status_code == 200


def test_exchange_that_times_out(make_service, provider):
    """GOOGLE_TIMEOUT_MS bounds the exchange."""
    service = make_service(env={"GOOGLE_TIMEOUT_MS": "500"})
    client = register(service, provider)
    provider.fault("hang")
    body = refused(connect(service, provider, client), 503, "provider_unavailable")
    assert body["provider_error"] == "timeout"
    assert rows(service, "tokens") == 0


def test_retry_after_of_the_provider_is_passed_on(service, provider):
    """A provider that says when to come back is quoted."""
    client = register(service, provider)
    provider.fault("status", status=429, headers={"Retry-After": "17"}, body={"error": "rate_limited"})
    response = connect(service, provider, client)
    refused(response, 503, "provider_unavailable")
    assert response.headers["retry-after"] == "17"


def test_wrong_client_secret_at_the_exchange(service, provider):
    """The provider's own invalid_client, not a fault's."""
    client = register(service, provider)
    provider.client(client["client_oauth_id"], "another secret")
    refused(connect(service, provider, client), 502, "client_credentials_rejected")
    assert rows(service, "tokens") == 0


def test_less_scope_than_asked(service, provider):
    """insufficient_scope; nothing is stored."""
    client = register(service, provider)
    body = refused(connect(service, provider, client, action="allow-less"), 502, "insufficient_scope")
    assert body["login_url"] == client["login_url"]
    assert rows(service, "tokens") == 0


def test_less_scope_leaves_a_good_grant_alone(service, provider):
    """A second, poorer consent does not cost the branch the grant that it has."""
    client = register(service, provider)
    token = connect(service, provider, client).json()["access_token"]
    before = token_row(service, client, "*")
    refused(connect(service, provider, client, action="allow-less"), 502, "insufficient_scope")
    assert token_row(service, client, "*") == before
    expire(service, client)
    response = service.get(f"/tokens/{client['branch_identifier']}")
    assert response.status_code == 200
    assert response.json()["access_token"] != token
    assert provider.works(response.json()["access_token"])


@pytest.mark.parametrize(
    ("scope", "status"),
    [(f"openid {SCOPE}", 200), (f"{SCOPE}.readonly", 502), (f"x{SCOPE}", 502), ("", 502)],
)
def test_scope_is_compared_word_by_word(service, provider, scope, status):
    """More is fine, a longer or a shorter name is another scope."""
    client = register(service, provider)
    provider.fault("rewrite", set={"scope": scope})
    assert connect(service, provider, client).status_code == status


def test_answer_without_scope_means_what_was_asked(service, provider):
    """RFC 6749 section 5.1."""
    client = register(service, provider)
    provider.fault("rewrite", remove=["scope"])
    assert connect(service, provider, client).status_code == 200
    assert service.get(f"/tokens/{client['branch_identifier']}").json()["scope"] == SCOPE


def test_consent_without_refresh_token(service, provider):
    """502 and nothing stored: such a grant would be dead within the hour. An existing one stays."""
    client = register(service, provider)
    provider.settings(issue_refresh_token=False)
    body = refused(connect(service, provider, client), 502, "provider_error")
    assert body["provider_error"] == "no_refresh_token"
    assert rows(service, "tokens") == 0
    grant = connect_fast(service, provider, client)
    refused(connect(service, provider, client), 502, "provider_error")
    assert token_row(service, client, "access_token, refresh_token") == (grant["access_token"], grant["refresh_token"])


def test_consent_again_replaces_the_grant(service, provider):
    """The newest consent counts; its predecessor's refresh token is not used any more."""
    client = register(service, provider)
    first = connect(service, provider, client).json()["access_token"]
    old_refresh_token, version = token_row(service, client, "refresh_token, grant_version")
    second = connect(service, provider, client).json()["access_token"]
    assert rows(service, "tokens") == 1
    assert second != first
    new_refresh_token, new_version = token_row(service, client, "refresh_token, grant_version")
    assert new_refresh_token != old_refresh_token
    assert new_version > version
    expire(service, client)
    assert service.get(f"/tokens/{client['branch_identifier']}").status_code == 200
    assert [entry["refresh_token"] for entry in provider.refreshes()] == [new_refresh_token]


def test_consent_again_revives_a_dead_grant(service, provider):
    """After reauthorization_required a consent makes the branch work again."""
    client = register(service, provider)
    connect(service, provider, client)
    provider.revoke(client_id=client["client_oauth_id"])
    expire(service, client)
    path = f"/tokens/{client['branch_identifier']}"
    refused(service.get(path), 409, "reauthorization_required")
    token = connect(service, provider, client).json()["access_token"]
    answer = service.get(path)
    assert answer.status_code == 200
    assert answer.json()["access_token"] == token
    assert "refresh_error" not in answer.json()
    columns = "is_valid, is_revoked, refresh_error, provider_error, refresh_failures, refresh_retry_at"
    assert token_row(service, client, columns) == (True, False, None, None, 0, None)


def test_consent_clears_the_backoff(service, provider):
    """After a consent the next refresh waits for nothing, not even for an old Retry-After."""
    client = register(service, provider)
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("status", status=503, headers={"Retry-After": "600"}, body="")
    path = f"/tokens/{client['branch_identifier']}"
    refused(service.get(path), 503, "provider_unavailable")
    connect(service, provider, client)
    expire(service, client)
    assert service.get(path).status_code == 200


# --- pages ----------------------------------------------------------------------------------------


def assert_is_safe_page(response, client=None):
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", response.text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "<script" not in response.text
    assert response.headers["x-request-id"] in response.text


@pytest.mark.memcheck
def test_page_of_a_finished_consent(service, provider):
    """A browser is told so in words; the page holds neither token nor code nor state."""
    client = register(service, provider, branch_id="branch <b>&\"' 1")
    with Browser(service, headers=BROWSER_ACCEPT) as browser:
        url = begin(browser, client)
        response = browser.callback(url)
    assert response.status_code == 200
    assert_is_safe_page(response)
    assert "Workspace connected" in response.text
    assert "branch &lt;b&gt;&amp;&quot;&#39; 1" in response.text
    row = token_row(service, client, "access_token, refresh_token")
    for secret in (*row, query(url)["code"], query(url)["state"]):
        assert secret not in response.text


def test_page_of_a_denied_consent(service, provider):
    """The error in words, with its code and a link to begin again."""
    client = register(service, provider)
    response = connect(service, provider, client, action="deny", headers=BROWSER_ACCEPT)
    assert response.status_code == 400
    assert_is_safe_page(response)
    assert f'<a href="{client["login_url"]}">Begin again</a>' in response.text
    assert "<code>provider_denied</code>" in response.text
    assert "<code>access_denied</code>" in response.text


def test_page_of_a_bad_state(service):
    """Nothing is known about the login, so there is no link; the error still is a page."""
    response = service.get("/auth/callback?state=x&code=y", headers=BROWSER_ACCEPT)
    assert response.status_code == 400
    assert_is_safe_page(response)
    assert "<code>invalid_state</code>" in response.text


def test_page_of_a_failing_exchange(service, provider):
    """The same for what the provider does wrong, with Retry-After."""
    client = register(service, provider)
    provider.fault("status", status=500, body="oops")
    response = connect(service, provider, client, headers=BROWSER_ACCEPT)
    assert response.status_code == 503
    assert "retry-after" in response.headers
    assert_is_safe_page(response)
    assert f'<a href="{client["login_url"]}">Begin again</a>' in response.text


def test_page_of_a_failing_login(service, provider):
    """A login link that leads nowhere shows a browser a page."""
    response = service.get("/oauth/login/4711", headers=BROWSER_ACCEPT)
    assert response.status_code == 404
    assert_is_safe_page(response)
    assert "<code>client_not_found</code>" in response.text


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (None, False), ("*/*", False), ("application/json", False), ("application/json, text/html;q=0.9", False),
        ("text/html", True), ("text/html, application/json;q=0.9", True), ("text/html;q=0", False),
    ],
)
def test_only_who_prefers_html_gets_a_page(service, accept, is_page):
    """Programs get JSON, with or without an Accept header."""
    request = service.client.build_request("GET", "/auth/callback?state=x")
    del request.headers["accept"]
    if accept:
        request.headers["accept"] = accept
    response = service.client.send(request)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html" if is_page else "application/json")


def test_other_calls_never_answer_with_a_page(service):
    """Only login and callback are opened by people."""
    for path in ("/tokens/nobody", "/clients/4711", "/nothing"):
        assert service.get(path, headers=BROWSER_ACCEPT).headers["content-type"] == "application/json"
