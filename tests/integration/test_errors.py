"""Every row of the contract's error table, provoked for real."""

import re

import httpx
import pytest

from support import keys, raw
from support.flow import Browser, connect, connect_fast, query, register, registration
from support.hosts import PATIENT
from support.processes import ROOT, wait_until

ERROR_TABLE = "src/base/err.c"
# Nothing provokes a fault of the service itself.
NOT_PROVOKED = {
    "internal_error",
    # test_sealing.py has a table of its own for these
    "secret_key_unknown", "sealed_value_damaged", "sealed_value_malformed",
}
FIELDS = {"success", "error", "message", "detail", "request_id", "login_url", "provider_error"}

PROVOCATIONS = []


def provokes(status, code, **expected):
    """Registers a function that makes the service answer with this error, and returns the response."""

    def add(function):
        PROVOCATIONS.append(pytest.param(function, status, code, expected, id=f"{code}-{function.__name__}"))
        return function

    return add


class World:
    """What a provocation may use; each is started when it is first asked for."""

    def __init__(self, request):
        self._request = request

    @property
    def service(self):
        return self._request.getfixturevalue("service")

    @property
    def make_service(self):
        return self._request.getfixturevalue("make_service")

    @property
    def provider(self):
        return self._request.getfixturevalue("provider")

    def client(self, **fields):
        return register(self.service, self.provider, **fields)

    def expired(self):
        """A client whose token has just expired."""
        client = self.client()
        connect_fast(self.service, self.provider, client, expires_in=-10)
        return client

    def token(self, client):
        return self.service.get(f"/tokens/{client['branch_identifier']}")

    def refused_refresh(self, **fault):
        """GET of an expired token while the provider answers like this."""
        client = self.expired()
        self.provider.fault(**fault)
        return self.token(client)


@pytest.fixture
def world(request):
    return World(request)


def assert_error(response, status, code):
    """The shape of every error; returns its body."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    body = response.json()
    assert body["error"] == code, body
    assert body["success"] is False
    assert isinstance(body["message"], str) and body["message"]
    if isinstance(body["detail"], list):
        assert code == "validation_failed" and body["detail"]
        assert all(set(fault) == {"field", "message"} and all(fault.values()) for fault in body["detail"])
    else:
        assert body["detail"] == body["message"]
    assert body["request_id"] == response.headers["x-request-id"] != ""
    assert set(body) <= FIELDS
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    if status == 405:
        assert response.headers["allow"]
    return body


# --- 400 --------------------------------------------------------------------------------------------


@provokes(400, "malformed_request")
def body_is_no_json(world):
    return world.service.post("/clients", content=b"{", headers={"Content-Type": "application/json"})


@provokes(400, "malformed_request")
def body_is_no_utf8(world):
    body = b'{"branch_id": "\xff"}'
    return world.service.post("/tokens/refresh", content=body, headers={"Content-Type": "application/json"})


@provokes(400, "malformed_request")
def bad_percent_encoding(world):
    return raw.send(world.service, raw.request(b"GET", b"/tokens/%ff"))


@provokes(400, "malformed_request")
def bad_percent_encoding_that_nginx_refuses(world):
    return raw.send(world.service, raw.request(b"GET", b"/tokens/%zz"))


@provokes(400, "malformed_request")
def query_parameter_twice(world):
    return world.service.get("/clients?limit=1&limit=2")


@provokes(400, "malformed_request")
def callback_without_its_code(world):
    with Browser(world.service) as browser:
        state = query(browser.login(world.client()))["state"]
        return browser.callback(f"{world.service.url}/auth/callback?state={state}")


@provokes(400, "invalid_state")
def state_missing(world):
    return world.service.get("/auth/callback?code=some-code")


@provokes(400, "invalid_state")
def state_unknown(world):
    return world.service.get(f"/auth/callback?code=some-code&state={'A' * 43}")


@provokes(400, "invalid_state")
def state_used(world):
    with Browser(world.service) as browser:
        url = browser.consent(browser.login(world.client()))
        assert browser.callback(url).status_code == 200
        return browser.callback(url)


@provokes(400, "invalid_state")
def state_expired(world):
    with Browser(world.service) as browser:
        url = browser.consent(browser.login(world.client()))
        world.service.database.execute("UPDATE oauth_states SET expires_at = now() - interval '1 second'")
        return browser.callback(url)


@provokes(400, "invalid_state")
def state_of_another_browser(world):
    with Browser(world.service) as browser, Browser(world.service) as other:
        client = world.client()
        other.login(client)
        return other.callback(browser.consent(browser.login(client)))


@provokes(400, "provider_denied", provider_error="access_denied", login_url=True)
def person_denies(world):
    return connect(world.service, world.provider, world.client(), action="deny")


@provokes(400, "issuer_mismatch", login_url=True)
def issuer_is_another(world):
    with Browser(world.service) as browser:
        url = httpx.URL(browser.consent(browser.login(world.client())))
        assert url.params["iss"] == world.provider.url
        return browser.callback(url.copy_set_param("iss", "https://accounts.example.test"))


# --- 401 --------------------------------------------------------------------------------------------


@provokes(401, "unauthenticated")
def key_missing(world):
    return world.make_service(keys.REQUIRED).get("/clients")


@provokes(401, "unauthenticated")
def key_unknown(world):
    return world.make_service(keys.REQUIRED).get("/tokens/some-branch", headers=keys.bearer("tsk_" + "A" * 43))


# --- 403 to 409 -------------------------------------------------------------------------------------


def switched_off(world):
    client = world.client()
    connect_fast(world.service, world.provider, client)
    assert world.service.patch(f"/clients/{client['client_id']}", json={"is_active": False}).status_code == 200
    return client


@provokes(403, "forbidden")
def key_of_the_wrong_role(world):
    service = world.make_service(keys.REQUIRED)
    return service.get("/clients", headers=keys.bearer(keys.create(service.database, "fetcher")))


@provokes(403, "forbidden")
def key_for_other_branches(world):
    service = world.make_service(keys.REQUIRED)
    key = keys.create(service.database, "fetcher", "--branches", "other-*")
    return service.post("/tokens/refresh", json={"branch_id": "some-branch"}, headers=keys.bearer(key))


@provokes(403, "login_ticket_required")
def login_by_a_number_that_was_guessed(world):
    return world.make_service(keys.REQUIRED).get("/oauth/login/1")


@provokes(403, "login_ticket_required")
def login_link_that_was_used(world):
    service = world.make_service(keys.REQUIRED)
    with keys.acting(service, keys.create(service.database, "admin")):
        client = register(service, world.provider)
    assert connect(service, world.provider, client).status_code == 200
    return service.get(client["login_url"])


@provokes(403, "client_inactive")
def token_of_a_client_switched_off(world):
    return world.token(switched_off(world))


@provokes(403, "client_inactive")
def refresh_of_a_client_switched_off(world):
    return world.service.post("/tokens/refresh", json={"client_id": switched_off(world)["client_id"]})


@provokes(403, "client_inactive")
def login_of_a_client_switched_off(world):
    return world.service.get(f"/oauth/login/{switched_off(world)['client_id']}")


@provokes(403, "client_inactive", login_url=True)
def callback_of_a_client_switched_off_meanwhile(world):
    with Browser(world.service) as browser:
        client = world.client()
        url = browser.consent(browser.login(client))
        world.service.patch(f"/clients/{client['client_id']}", json={"is_active": False})
        return browser.callback(url)


@provokes(404, "not_found")
def no_such_path(world):
    return world.service.get("/no/such/path")


@provokes(404, "not_found")
def path_is_longer_than_any(world):
    return world.service.get("/tokens/branch/token")


@provokes(404, "client_not_found")
def no_such_client(world):
    return world.service.get("/clients/999999")


@provokes(404, "client_not_found")
def no_such_client_to_log_in(world):
    return world.service.get("/oauth/login/999999")


@provokes(404, "client_not_found")
def no_such_client_to_change(world):
    return world.service.patch("/clients/999999", json={"is_active": True})


@provokes(404, "client_not_found")
def no_such_client_to_delete(world):
    return world.service.delete("/clients/999999")


@provokes(404, "client_not_found")
def no_such_client_to_refresh(world):
    return world.service.post("/tokens/refresh", json={"client_id": 999999})


@provokes(404, "branch_not_found")
def no_such_branch(world):
    return world.service.get("/tokens/no-such-branch")


@provokes(404, "branch_not_found")
def no_such_branch_to_refresh(world):
    return world.service.post("/tokens/refresh", json={"branch_id": "no-such-branch"})


@provokes(404, "authorization_required", login_url=True)
def nobody_has_consented(world):
    return world.token(world.client())


@provokes(404, "authorization_required", login_url=True)
def nobody_has_consented_to_what_is_refreshed(world):
    return world.service.post("/tokens/refresh", json={"client_id": world.client()["client_id"]})


@provokes(405, "method_not_allowed", allow="GET, HEAD")
def method_of_no_handler(world):
    return world.service.post("/tokens/some-branch", json={})


@provokes(405, "method_not_allowed", allow="GET, HEAD, PATCH, DELETE")
def method_of_no_handler_for_a_client(world):
    return world.service.request("PUT", "/clients/1", json={})


@provokes(405, "method_not_allowed", allow="GET")
def method_of_no_handler_for_the_callback(world):
    return world.service.request("OPTIONS", "/auth/callback")


@provokes(405, "method_not_allowed")
def method_that_nginx_refuses(world):
    return world.service.request("TRACE", "/")


@provokes(409, "branch_exists")
def branch_registered_already(world):
    body = registration(world.service)
    assert world.service.post("/clients", json=body).status_code == 201
    return world.service.post("/clients", json=body)


@provokes(409, "reauthorization_required", login_url=True, provider_error="invalid_grant")
def grant_is_dead(world):
    client = world.client()
    grant = connect_fast(world.service, world.provider, client, expires_in=-10)
    world.provider.revoke(refresh_token=grant["refresh_token"])
    return world.token(client)


@provokes(409, "reauthorization_required", login_url=True, provider_error="invalid_grant")
def grant_was_found_dead_before(world):
    client = world.client()
    connect_fast(world.service, world.provider, client)
    world.service.database.execute("UPDATE tokens SET is_valid = false")
    return world.token(client)


@provokes(409, "reauthorization_required", login_url=True)
def grant_is_revoked_here(world):
    client = world.client()
    connect_fast(world.service, world.provider, client)
    world.service.database.execute("UPDATE tokens SET is_revoked = true")
    return world.service.post("/tokens/refresh", json={"client_id": client["client_id"]})


# --- 413 to 429 -------------------------------------------------------------------------------------


@provokes(413, "body_too_large")
def body_over_64_kib(world):
    body = b'{"x": "' + b"x" * 65536 + b'"}'
    return world.service.post("/clients", content=body, headers={"Content-Type": "application/json"})


@provokes(413, "body_too_large")
def body_over_64_kib_of_unknown_length(world):
    chunks = iter([b'{"x": "', b"x" * 65536, b'"}'])
    return world.service.post("/tokens/refresh", content=chunks, headers={"Content-Type": "application/json"})


@provokes(415, "unsupported_media_type")
def body_of_a_form(world):
    return world.service.post("/clients", data={"client_id": "x"})


@provokes(422, "validation_failed", fields=["body"])
def body_is_no_object(world):
    return world.service.post("/clients", json=["client_id"])


@provokes(422, "validation_failed", fields=["branch_id", "workspace_email"])
def fields_are_wrong(world):
    return world.service.post(
        "/clients", json=registration(world.service, branch_id="a/b", workspace_email="nobody")
    )


@provokes(422, "validation_failed", fields=["limit", "after"])
def query_parameters_are_wrong(world):
    return world.service.get("/clients?limit=0&after=x")


@provokes(422, "validation_failed", fields=["min_ttl"])
def min_ttl_is_wrong(world):
    return world.service.get("/tokens/some-branch?min_ttl=3001")


def until_limited(service, method, path, **kwargs):
    for _ in range(20):
        response = service.request(method, path, **kwargs)
        if response.status_code == 429:
            break
    return response


@provokes(429, "rate_limited")
def too_many_logins(world):
    return until_limited(world.make_service(rate_limit=1), "GET", "/oauth/login/1")


@provokes(429, "rate_limited")
def too_many_callbacks(world):
    return until_limited(world.make_service(rate_limit=1), "GET", "/auth/callback")


@provokes(429, "rate_limited")
def too_many_registrations(world):
    return until_limited(world.make_service(rate_limit=1), "POST", "/clients", json={})


# --- 502 and 503 ------------------------------------------------------------------------------------


@provokes(502, "client_credentials_rejected", provider_error="invalid_client")
def secret_was_changed_at_the_provider(world):
    client = world.expired()
    world.provider.client(client["client_oauth_id"], "another-secret")
    return world.token(client)


@provokes(502, "client_credentials_rejected", provider_error="unauthorized_client")
def client_may_not_refresh(world):
    return world.refused_refresh(kind="oauth_error", error="unauthorized_client")


@provokes(502, "client_credentials_rejected", login_url=True, provider_error="invalid_client")
def secret_is_wrong_at_consent(world):
    client = world.client()
    world.service.patch(f"/clients/{client['client_id']}", json={"client_secret": "another-secret"})
    return connect(world.service, world.provider, client)


@provokes(502, "insufficient_scope", login_url=True)
def person_allows_less(world):
    return connect(world.service, world.provider, world.client(), action="allow-less")


@provokes(403, "wrong_account", login_url=True, provider_error="email_differs")
def another_account_consents(world):
    service = world.make_service(env={"VERIFY_WORKSPACE_EMAIL": "on"})
    client = register(service, world.provider)
    return connect(service, world.provider, client, login="other@example.test")


@provokes(502, "provider_error")
def provider_answers_no_token(world):
    return world.refused_refresh(kind="status", status=200, body="<html>Welcome</html>")


@provokes(502, "provider_error", provider_error="invalid_request")
def provider_refuses_the_request(world):
    return world.refused_refresh(kind="oauth_error", error="invalid_request")


@provokes(502, "provider_error")
def provider_answers_without_end(world):
    return world.refused_refresh(kind="huge", bytes=200_000)


@provokes(502, "provider_error", login_url=True)
def consent_brings_no_refresh_token(world):
    world.provider.settings(issue_refresh_token=False)
    return connect(world.service, world.provider, world.client())


@provokes(502, "provider_error", login_url=True, provider_error="invalid_grant")
def code_is_not_known_to_the_provider(world):
    with Browser(world.service) as browser:
        url = httpx.URL(browser.consent(browser.login(world.client())))
        return browser.callback(url.copy_set_param("code", "of-nobody"))


@provokes(503, "provider_unavailable")
def provider_closes_the_connection(world):
    return world.refused_refresh(kind="drop")


@provokes(503, "provider_unavailable", retry_after=77)
def provider_asks_for_time(world):
    return world.refused_refresh(kind="status", status=429, headers={"Retry-After": "77"}, body={})


@provokes(503, "provider_unavailable", login_url=True)
def provider_fails_at_consent(world):
    world.provider.fault("status", status=500, body="oops")
    return connect(world.service, world.provider, world.client())


@provokes(503, "provider_unavailable")
def provider_hangs(world):
    service = world.make_service({"GOOGLE_TIMEOUT_MS": "500", "REFRESH_WAIT_MS": "60000"})
    client = register(service, world.provider)
    connect_fast(service, world.provider, client, expires_in=-10)
    world.provider.fault("hang")
    return service.get(f"/tokens/{client['branch_identifier']}")


def waits_for_a_held_refresh(world):
    service = world.make_service({**PATIENT, "REFRESH_WAIT_MS": "300"})
    client = register(service, world.provider)
    connect_fast(service, world.provider, client, expires_in=-10)
    world.provider.fault("hold")
    path = f"/tokens/{client['branch_identifier']}"
    first = service.start("GET", path)
    world.provider.wait_for_requests(1, grant_type="refresh_token")
    return service, first, path


@provokes(503, "refresh_in_progress")
def another_caller_refreshes(world):
    service, _, path = waits_for_a_held_refresh(world)
    return service.get(path)


@provokes(503, "refresh_in_progress")
def own_refresh_takes_too_long(world):
    _, first, _ = waits_for_a_held_refresh(world)
    return first.result()


def without_database(world):
    """The service's database lets nobody in any more."""
    service = world.service
    name = service.database.name
    connection = service.database.cluster.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
    connection.close()
    return service


@provokes(503, "database_unavailable")
def database_is_away_from_the_database_pool(world):
    return without_database(world).get("/tokens/some-branch")


@provokes(503, "database_unavailable")
def database_is_away_from_a_registration(world):
    service = without_database(world)
    return service.post("/clients", json=registration(service))


@provokes(503, "database_unavailable")
def database_is_away_from_the_exchange_pool(world):
    return without_database(world).post("/tokens/refresh", json={"branch_id": "some-branch"})


@provokes(503, "database_unavailable")
def database_is_away_from_a_login(world):
    return without_database(world).get("/oauth/login/1")


@provokes(503, "database_unavailable")
def database_is_away_from_a_callback(world):
    service = without_database(world)
    with Browser(service) as browser:
        cookie = {"Cookie": f"token_service_login={'A' * 43}"}
        return browser.callback(f"{service.url}/auth/callback?code=x&state={'A' * 43}", headers=cookie)


@provokes(503, "overloaded")
def service_is_not_there(world):
    service = world.service
    service.terminate()
    assert service.wait_exit() == 0
    return service.get("/tokens/some-branch")


@provokes(503, "overloaded")
def service_is_not_there_for_a_callback(world):
    service = world.service
    service.terminate()
    assert service.wait_exit() == 0
    return service.get("/auth/callback?code=x&state=y")


@provokes(503, "overloaded")
def nginx_has_waited_long_enough(world):
    service = world.make_service({"REFRESH_WAIT_MS": "60000"}, nginx_options={"exchange-timeout-s": 1})
    client = register(service, world.provider)
    connect_fast(service, world.provider, client, expires_in=-10)
    world.provider.fault("hold")
    return service.get(f"/tokens/{client['branch_identifier']}")


# --- the tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("provoke, status, code, expected", PROVOCATIONS)
def test_error_has_status_code_and_shape(world, provoke, status, code, expected):
    """What the contract's table promises for this cause, with all that every error has."""
    response = provoke(world)
    body = assert_error(response, status, code)
    if "allow" in expected:
        assert response.headers["allow"] == expected["allow"]
    if "retry_after" in expected:
        # The remainder of what the provider asked for.
        assert expected["retry_after"] - 1 <= int(response.headers["retry-after"]) <= expected["retry_after"]
    if "provider_error" in expected:
        assert body["provider_error"] == expected["provider_error"]
    if "fields" in expected:
        assert [fault["field"] for fault in body["detail"]] == expected["fields"]
    if "login_url" in expected:
        assert re.search(r"/oauth/login/[0-9]+$", body["login_url"])


def test_every_error_of_the_table_is_provoked():
    """A code that is added to the service's table needs a provocation here, with the same status."""
    source = (ROOT / ERROR_TABLE).read_text()
    rows = re.findall(r'\[ERR_\w+\] = \{\s*(\d{3}),\s*"(\w+)"', source)
    codes = {code: int(status) for status, code in rows}
    assert len(codes) == len(re.findall(r"^\t\[ERR_\w+\] =", source, re.M)) > 20
    provoked = {row.values[2]: row.values[1] for row in PROVOCATIONS}
    assert {code: status for code, status in codes.items() if code not in NOT_PROVOKED} == provoked


NGINX_OWN = {
    "uri-too-long": (414, "malformed_request", raw.request(b"GET", b"/tokens/" + b"x" * 9000)),
    "header-too-long": (431, "malformed_request", raw.request(b"GET", b"/", [(b"Cookie", b"x" * 9000)])),
    "headers-too-long": (
        431, "malformed_request", raw.request(b"GET", b"/", [(b"X-%d" % i, b"x" * 7000) for i in range(6)])
    ),
    "uri-with-nul": (400, "malformed_request", raw.request(b"GET", b"/tokens/%00")),
    "uri-above-the-root": (400, "malformed_request", raw.request(b"GET", b"/../../etc/passwd")),
    "host-missing": (400, "malformed_request", b"GET / HTTP/1.1\r\n\r\n"),
    "host-twice": (400, "malformed_request", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "host-bad": (400, "malformed_request", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "method-bad": (400, "malformed_request", raw.request(b"get it", b"/")),
    "no-http": (400, "malformed_request", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "length-bad": (400, "malformed_request", raw.request(b"GET", b"/", [(b"Content-Length", b"-1")])),
    "length-huge": (413, "body_too_large", raw.request(b"GET", b"/", [(b"Content-Length", b"9" * 18)])),
    "chunk-bad": (
        400, "malformed_request", b"POST /clients HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"
    ),
    "coding-unknown": (
        501, "malformed_request", b"POST /clients HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"
    ),
    "version-unknown": (505, "malformed_request", b"GET / HTTP/4.2\r\nHost: a\r\n\r\n"),
    "trace": (405, "method_not_allowed", raw.request(b"TRACE", b"/")),
    "connect": (400, "malformed_request", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    # The locations of the login have settings of their own.
    "callback-too-long": (414, "malformed_request", raw.request(b"GET", b"/auth/callback?code=" + b"x" * 9000)),
    "callback-with-nul": (400, "malformed_request", raw.request(b"GET", b"/auth/callback%00?code=x")),
    "callback-too-large": (413, "body_too_large", raw.request(b"POST", b"/auth/callback", body=b"x" * 65537)),
    "callback-trace": (405, "method_not_allowed", raw.request(b"TRACE", b"/auth/callback?code=x")),
    "login-too-large": (413, "body_too_large", raw.request(b"POST", b"/oauth/login/1", body=b"x" * 65537)),
}


@pytest.mark.parametrize("status, code, request_bytes", NGINX_OWN.values(), ids=NGINX_OWN.keys())
def test_errors_of_nginx_have_the_same_shape(service, status, code, request_bytes):
    """What nginx refuses by itself is JSON too, with a code of the table; never its own HTML."""
    assert_error(raw.send(service, request_bytes), status, code)


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_browser_gets_a_page_from_a_failing_login(service, provider, accept):
    """A person sees a small page with the code, what to do, and a way to begin again; no JSON, no nginx."""
    headers = {"Accept": accept}
    client = register(service, provider)
    answers = {
        "client_not_found": service.get("/oauth/login/999999", headers=headers),
        "invalid_state": service.get("/auth/callback", headers=headers),
        "malformed_request": service.get("/auth/callback?code=a&code=b", headers=headers),
        "provider_denied": connect(service, provider, client, "deny", headers=headers),
    }
    for code, answer in answers.items():
        assert answer.headers["content-type"] == "text/html; charset=utf-8", code
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert f"<code>{code}</code>" in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert "nginx" not in answer.text
    assert f'href="{client["login_url"]}"' in answers["provider_denied"].text
    # Everything else is JSON, whoever asks.
    assert_error(service.get("/tokens/no-such-branch", headers=headers), 404, "branch_not_found")


def test_callback_echoes_only_codes_that_are_plain(service, provider):
    """The callback's error is text from outside: anything but a code stays out of the answer."""
    client = register(service, provider)
    for sent, echoed in [("access_denied", "access_denied"), ("<script>", None), ("x" * 65, None), ("a b", None)]:
        with Browser(service) as browser:
            state = query(browser.login(client))["state"]
            url = httpx.URL(f"{service.url}/auth/callback", params={"state": state, "error": sent})
            body = assert_error(browser.callback(url), 400, "provider_denied")
        assert body.get("provider_error") == echoed


def test_stored_error_is_answered_with_the_remaining_time(service, provider):
    """Between two attempts callers get the error of the last one, and the provider is left alone."""
    client = register(service, provider)
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("status", status=503, headers={"Retry-After": "120"}, body={}, times=None)
    path = f"/tokens/{client['branch_identifier']}"
    assert_error(service.get(path), 503, "provider_unavailable")
    again = service.get(path)
    assert_error(again, 503, "provider_unavailable")
    assert 1 <= int(again.headers["retry-after"]) <= 120
    assert len(provider.refreshes()) == 1


def test_dead_database_comes_back_by_itself(service):
    """Errors end when their cause does: nothing has to be restarted."""
    name = service.database.name
    without_database(type("Here", (), {"service": service}))
    assert_error(service.get("/tokens/some-branch"), 503, "database_unavailable")
    health = service.get("/health")
    assert (health.status_code, health.json()["status"], health.json()["database"]) == (
        503, "unhealthy", "disconnected",
    )
    connection = service.database.cluster.connect("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    connection.close()
    wait_until(lambda: service.get("/health").status_code == 200, what="/health is good again")
    wait_until(lambda: service.get("/tokens/some-branch").status_code == 404, what="calls are answered again")
    assert_error(service.post("/tokens/refresh", json={"branch_id": "b"}), 404, "branch_not_found")
