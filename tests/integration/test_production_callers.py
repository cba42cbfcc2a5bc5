"""The production site of nginx and where a caller comes from: proxies, a path prefix, limits, networks."""

import pytest

from support.flow import Browser, expire, register
from support.processes import wait_until
from support.site import PROXY, answer_to, assert_json_error, assert_security_headers, logged


# --- the caller behind a proxy --------------------------------------------------------------------

FORGED = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example.test"}


def last_address(site, response):
    """The caller's address as nginx has it."""
    lines = wait_until(lambda: [line for line in site.access_log() if line["request_id"] == response.headers["x-request-id"]])
    return lines[0]["remote_addr"]


def test_forwarding_headers_of_anybody_are_not_believed(make_site, provider):
    """Neither address nor scheme nor host: with a trusted proxy configured, and without one."""
    for options in ({}, {"trusted_proxy": PROXY}):
        site = make_site(**options)
        response = site.get("/health/live", headers=FORGED)
        assert response.status_code == 200
        assert last_address(site, response) == "127.0.0.1"
        client = register(site, provider)
        login = site.get(f"/oauth/login/{client['client_id']}", headers=FORGED)
        assert login.headers["location"].startswith(f"{provider.url}/auth?"), "Host was the redirect URI's"


def test_forwarding_headers_of_a_trusted_proxy_are_believed(make_site, provider):
    """Its caller's address, scheme and host count."""
    site = make_site(trusted_proxy=[PROXY, "2001:db8::/32"])
    proxy = site.client(PROXY)
    response = site.get("/health/live", client=proxy, headers={"X-Forwarded-For": "198.51.100.9, 192.0.2.7"})
    assert last_address(site, response) == "192.0.2.7", "what stands before the proxy's own entry is the caller's"
    response = site.get("/health?x=1", client=proxy, headers=FORGED)
    assert (response.status_code, response.headers["location"]) == (308, "https://evil.example.test/health?x=1")
    client = register(site, provider, redirect_uri="https://public.example.test/auth/callback")
    headers = {"X-Forwarded-Host": "public.example.test"}
    login = site.get(f"/oauth/login/{client['client_id']}", client=proxy, headers=headers)
    assert login.headers["location"].startswith(f"{provider.url}/auth?")


def test_a_trusted_proxy_may_do_the_tls(make_site):
    """It comes to the plain port and says that its caller came by TLS; from anybody else that is redirected."""
    site = make_site(trusted_proxy=PROXY)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    response = site.get(f"{site.http_url}/health", client=site.client(PROXY), headers=headers)
    assert response.status_code == 200
    assert_security_headers(response)
    assert site.get(f"{site.http_url}/health", headers=headers).status_code == 308


# --- path prefix ----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["/tokens-api", "/a.b/c"])
def test_the_whole_flow_under_a_path_prefix(make_site, provider, prefix):
    """Registration, consent, reading, a refresh by the exchange pool, revocation: all beneath the prefix."""
    site = make_site(path_prefix=prefix)
    client = register(site, provider)
    assert client["login_url"] == f"{site.url}/oauth/login/{client['client_id']}"
    with Browser(site) as browser:
        browser.http.close()
        browser.http = site.client()
        browser.http.cookies = {}
        assert browser.connect(client).status_code == 200
    path = f"/tokens/{client['branch_identifier']}"
    first = site.get(path).json()["access_token"]
    expire(site.service, client)
    second = site.get(path)
    assert second.status_code == 200 and second.json()["access_token"] != first
    assert site.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200
    assert site.post(f"{path}/revoke").status_code == 200


def test_nothing_is_served_outside_the_prefix(make_site):
    """Nor by a path that only nginx's decoding brings beneath it."""
    site = make_site(path_prefix="/a.b")
    assert site.get("/health/live").status_code == 200
    for path in ("/health/live", "/", "/a.b", "/aXb/health/live", "/a.b/../health/live", "/%61.b/health/live",
                 "/x/../a.b/health/live"):
        with site.connect() as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            status, body = answer_to(connection, request)
        assert status == 404 and '"error":"not_found"' in body, path


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_internal_places_cannot_be_reached(make_site, prefix):
    """The error page and the way to the exchange pool are for nginx alone, whatever a caller sends."""
    site = make_site(**({"path_prefix": prefix} if prefix else {}))
    headers = {"X-Accel-Redirect": "@exchange", "X-Accel-Buffering": "no"}
    for base in (site.origin, site.url):
        for path in ("/_error", "/_preflight", "/@exchange", "/%5ferror", "/%40exchange"):
            response = site.get(base + path, headers=headers)
            assert_json_error(response, 404, "not_found")
            assert not [name for name in response.headers if name.startswith("x-accel")]
    assert site.get("/health/live", headers=headers).json() == site.get("/health/live").json()


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/oauth/login/1"), ("GET", "/auth/callback"), ("POST", "/clients")],
)
def test_rate_limit_counts_callers_behind_a_proxy_each(make_site, method, path):
    """429 in JSON with Retry-After for the one who asks too often; another caller of the same proxy is served."""
    site = make_site(rate_limit=1, trusted_proxy=PROXY, path_prefix="/api", admin_network=["192.0.2.0/24"])
    proxy = site.client(PROXY)

    def call(address):
        return site.request(method, path, client=proxy, headers={"X-Forwarded-For": address})

    assert call("192.0.2.1").status_code != 429
    limited = wait_until(lambda: (reply := call("192.0.2.1")).status_code == 429 and reply, what="it is too often")
    assert_json_error(limited, 429, "rate_limited")
    assert int(limited.headers["retry-after"]) >= 1
    assert_security_headers(limited)
    assert call("192.0.2.2").status_code not in (429, 403)


# --- networks that may administer -----------------------------------------------------------------

ADMIN_CALLS = [
    ("POST", "/clients"), ("GET", "/clients?limit=1"), ("GET", "/clients/1"), ("PATCH", "/clients/1"),
    ("DELETE", "/clients/%31"), ("POST", "/tokens/b/revoke"), ("POST", "/tokens/b%2Fc/revoke"),
    ("POST", "/tokens/b%2F..%2F..%2Fc/revoke"), ("GET", "/metrics"), ("GET", "/console/"),
]
OPEN_CALLS = [
    ("GET", "/"), ("GET", "/health"), ("GET", "/tokens/revoke"), ("POST", "/tokens/refresh"), ("GET", "/oauth/login/1"),
    ("GET", "/auth/callback"),
]


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_admin_calls_are_for_some_networks_only(make_site, prefix):
    """403 forbidden in JSON from elsewhere, before the service sees the call; what readers and browsers need stays."""
    options = {"path_prefix": prefix} if prefix else {}
    site = make_site(admin_network=["127.0.0.3", "2001:db8::/32"], **options)
    admin = site.client("127.0.0.3")
    for method, path in ADMIN_CALLS:
        response = site.request(method, path)
        assert_json_error(response, 403, "forbidden")
        assert_security_headers(response)
        assert site.request(method, path, client=admin).status_code != 403, path
        forged = site.request(method, path, headers={"X-Forwarded-For": "127.0.0.3", "X-Real-IP": "127.0.0.3"})
        assert forged.status_code == 403
    for method, path in OPEN_CALLS:
        assert site.request(method, path).status_code != 403, path
    for line in logged(site, 2 * len(ADMIN_CALLS), status=403):
        assert line["upstream"] == "", "the service saw it"
    assert logged(site, 1, path=f"{prefix}/oauth/login/1")[0]["upstream"] != ""


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_consoles_page_is_refused_however_it_is_spelt(make_site, prefix):
    """nginx decodes the path by which it finds the page; as the service does not, its calls need no such look."""
    options = {"path_prefix": prefix} if prefix else {}
    site = make_site(admin_network="127.0.0.3", **options)
    for path in ("/console", "/console?x", "/%63onsole", "/x/../console", "/./consol%65"):
        with site.connect() as connection:
            status, body = answer_to(connection, f"GET {prefix}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert status == 403 and '"error":"forbidden"' in body, path
    assert site.get("/console", client=site.client("127.0.0.3")).status_code == 200


def test_only_loopback_administers_unless_told(make_site):
    """A caller that a proxy names is somebody else."""
    site = make_site(trusted_proxy=PROXY)
    assert site.get("/clients").status_code == 200
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    assert site.get("/clients", client=site.client(PROXY), headers=elsewhere).status_code == 403
