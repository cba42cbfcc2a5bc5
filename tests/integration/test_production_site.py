"""The production site of nginx, over real TLS: protocols, headers, proxies, prefix, limits, networks, origins."""

import http.client
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from support import processes
from support.flow import Browser, expire, register
from support.processes import wait_until
from support.site import NAME, PROXY, Authority, Site

ORIGIN, OTHER_ORIGIN = "https://app.example.test", "https://evil.example.test"
SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
STRICT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def make_site(make_service, authority):
    """A function that starts a Site in front of a service of its own; options: those of scripts/render-nginx."""
    made = []

    def make(env=None, authority=authority, **options):
        service = make_service(env=env, nginx=False)
        made.append(Site(service, authority, **{name.replace("_", "-"): value for name, value in options.items()}))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site):
    return make_site()


def assert_json_error(response, status, code):
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), response.text
    body = response.json()
    assert (body["success"], body["error"]) == (False, code)
    assert body["request_id"] == response.headers["x-request-id"]


def assert_security_headers(response):
    """Each there, and once."""
    for name, value in SECURITY_HEADERS.items():
        assert response.headers.get_list(name) == [value], (name, response.headers)
    assert len(response.headers.get_list("content-security-policy")) == 1, response.headers


def answer_to(connection, request):
    """Sends the bytes, reads the answer: (status, body)."""
    connection.sendall(request)
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, response.read().decode()


# --- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(site, version):
    """With forward secrecy, authenticated encryption and HTTP/2 in either."""
    context = site.authority.context(minimum_version=version, maximum_version=version)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with site.connect(context) as connection:
        assert connection.version() == version.name.replace("_", ".")
        assert re.search("GCM|CHACHA20", connection.cipher()[0])
        assert connection.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_tls_is_refused(site, version):
    """Even by a caller that would take any cipher."""
    context = site.authority.context(minimum_version=version, maximum_version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        site.connect(context)


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "aNULL"])
def test_weaker_ciphers_are_refused(site, ciphers):
    """No CBC, no plain RSA, no anonymous key exchange."""
    context = site.authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
        site.connect(context)


def test_a_scanner_finds_nothing_weak(site):
    """sslscan, which brings its own old OpenSSL: TLS 1.2 and 1.3, strong ciphers, no Heartbleed."""
    assert shutil.which("sslscan"), "sslscan is missing: scripts/install test"
    done = subprocess.run(
        ["sslscan", "--no-colour", f"--sni-name={NAME}", f"127.0.0.1:{site.port}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    enabled = dict(re.findall(r"^((?:SSL|TLS)v[0-9.]+) +(enabled|disabled)$", done.stdout, re.M))
    assert enabled == {
        "SSLv2": "disabled", "SSLv3": "disabled", "TLSv1.0": "disabled", "TLSv1.1": "disabled",
        "TLSv1.2": "enabled", "TLSv1.3": "enabled",
    }
    ciphers = re.findall(r"^(?:Preferred|Accepted) +(TLSv1\.[23]) +(\d+) bits +(\S+)", done.stdout, re.M)
    assert {version for version, _, _ in ciphers} == {"TLSv1.2", "TLSv1.3"}
    for version, bits, name in ciphers:
        assert int(bits) >= 128 and re.search("GCM|CHACHA20", name), name
        assert version == "TLSv1.3" or name.startswith("ECDHE-"), name
    assert "vulnerable to heartbleed" in done.stdout and " vulnerable" not in done.stdout.replace("not vulnerable", "")


def test_http_2(site):
    """Negotiated, and answers as HTTP/1.1 does: the service's and nginx's own."""
    for path, status in (("/health/live", 200), ("/tokens/none", 404), ("/tokens/%zz", 400)):
        out = site.curl("--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{content_type}", site.url + path)
        assert out == f"2 {status} application/json"


def test_unknown_names_get_no_certificate(site):
    """Nothing tells a scanner of addresses whose machine this is."""
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        site.connect(name="other.example.test")
    context = site.authority.context(check_hostname=False)
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        site.connect(context, name=None)


@pytest.mark.parametrize("host", [b"other.example.test", b"127.0.0.1"])
def test_unknown_host_is_not_served(site, host):
    """Neither through the TLS of a known name nor in plain HTTP, where a redirect would repeat the name."""
    request = b"GET /health/live HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    with site.connect() as connection:
        status, body = answer_to(connection, request)
        assert status == 421 and '"success":false' in body
    with socket.create_connection(("127.0.0.1", site.http_port), 60) as connection:
        status, body = answer_to(connection, request)
        assert status == 421 and '"success":false' in body


def test_every_server_name_is_served(site):
    out = site.curl("-o", "/dev/null", "-w", "%{http_code}", f"https://{NAME}:{site.port}/health", name=NAME)
    assert out == "200"


def test_plain_http_on_the_tls_port(site):
    """400 in JSON, not nginx's page."""
    response = site.get(f"http://localhost:{site.port}/health")
    assert_json_error(response, 400, "malformed_request")


def test_ocsp_answer_is_stapled(make_site, tmp_path):
    """With --resolver nginx asks the authority's responder and hands its answer to callers."""
    port = processes.free_port()
    authority = Authority(tmp_path, f"http://127.0.0.1:{port}/")
    (tmp_path / "index").write_text(f"V\t301231235959Z\t\t1234\tunknown\t/CN={NAME}\n")
    responder = processes.start(
        ["openssl", "ocsp", "-port", port, "-index", tmp_path / "index", "-CA", authority.certificate,
         "-rsigner", authority.certificate, "-rkey", authority.key, "-nmin", "5"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        site = make_site(authority=authority, resolver="127.0.0.1", ocsp_ca=authority.certificate)

        def stapled():
            out = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-servername", NAME, "-status"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
            ).stdout
            return "OCSP Response Status: successful" in out and "Cert Status: good" in out

        wait_until(stapled, 30, "a stapled answer")
    finally:
        processes.stop(responder)


# --- redirect and headers -------------------------------------------------------------------------


def test_plain_http_leads_to_tls(site):
    """The same path and query, the method kept, before anything is done; and no HSTS, which RFC 6797 forbids there."""
    for method in ("GET", "POST", "DELETE"):
        response = site.request(method, f"{site.http_url}/clients/1?a=%2F&b")
        assert (response.status_code, response.headers["location"]) == (308, f"{site.url}/clients/1?a=%2F&b")
        assert "strict-transport-security" not in response.headers
    assert all(not line["upstream"] for line in site.access_log() if line["status"] == 308)


def test_errors_of_plain_http_are_json(site):
    """What cannot be read is not redirected."""
    assert_json_error(site.get(f"{site.http_url}/{'x' * 9000}"), 414, "malformed_request")
    with socket.create_connection(("127.0.0.1", site.http_port), 60) as connection:
        status, body = answer_to(connection, b"GET /tokens/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status == 400 and '"error":"malformed_request"' in body


def provoked(site):
    """(what, response) for answers of the service and of nginx, good and bad."""
    yield "root", site.get("/")
    yield "health", site.get("/health")
    yield "not found", site.get("/no/such/path")
    yield "not allowed", site.request("PUT", "/health")
    yield "malformed", site.get("/tokens/%ff")
    yield "too large", site.post("/clients", content=b"x" * 70000)
    yield "long line", site.get("/" + "x" * 9000)
    yield "large headers", site.get("/", headers={"X-Large": "x" * 9000})
    yield "trace", site.request("TRACE", "/")
    yield "invalid state", site.get("/auth/callback?state=x&code=y")
    yield "page", site.get("/auth/callback?state=x&code=y", headers={"Accept": "text/html"})
    site.service.terminate()
    site.service.wait_exit()
    yield "no service", site.get("/health")


def test_security_headers_are_on_every_answer_once(site):
    """The service's own pages have a policy of their own; all else is not for a browser to show."""
    seen = {}
    for what, response in provoked(site):
        seen[what] = response.status_code
        assert_security_headers(response)
        policy = response.headers["content-security-policy"]
        if what == "page":
            assert response.headers["content-type"].startswith("text/html") and "style-src 'sha256-" in policy
        else:
            assert response.headers["content-type"] == "application/json", (what, response.text)
            assert policy == STRICT_POLICY
        assert not [name for name in response.headers if name.startswith("x-accel")]
        assert response.headers["server"] == "nginx"
    assert seen == {
        "root": 200, "health": 200, "not found": 404, "not allowed": 405, "malformed": 400, "too large": 413,
        "long line": 414, "large headers": 431, "trace": 405, "invalid state": 400,
        "page": 400, "no service": 503,
    }


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
    for path in ("/health/live", "/", "/aXb/health/live", "/a.b/../health/live", "/%61.b/health/live", "/x/../a.b/health/live"):
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
        for path in ("/_error", "/@exchange", "/%5ferror", "/%40exchange"):
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

    statuses = [call("192.0.2.1").status_code for _ in range(10)]
    assert statuses[0] != 429 and 429 in statuses
    limited = call("192.0.2.1")
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
    assert all(not line["upstream"] for line in site.access_log() if line["status"] == 403)


def test_only_loopback_administers_unless_told(make_site):
    """A caller that a proxy names is somebody else."""
    site = make_site(trusted_proxy=PROXY)
    assert site.get("/clients").status_code == 200
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    assert site.get("/clients", client=site.client(PROXY), headers=elsewhere).status_code == 403


# --- origins --------------------------------------------------------------------------------------


def preflight(site, origin, path="/tokens/b", method="GET"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method,
               "Access-Control-Request-Headers": "authorization"}
    return site.request("OPTIONS", path, headers=headers)


def cors_headers(response):
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def test_pages_of_allowed_origins_may_read(make_site):
    """Good answers, errors of the service and of nginx; the answer names that one origin and never credentials."""
    site = make_site(allowed_origins=f"http://localhost:3000, {ORIGIN}")
    for method, path in (("GET", "/health"), ("GET", "/tokens/none"), ("TRACE", "/")):
        response = site.request(method, path, headers={"Origin": ORIGIN})
        assert cors_headers(response) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-expose-headers": "Allow, Retry-After, WWW-Authenticate, X-Request-Id",
        }
        assert response.headers.get_list("vary") == ["Origin"]
        assert_security_headers(response)


@pytest.mark.parametrize(
    "origin", [OTHER_ORIGIN, "null", ORIGIN + ".evil.test", ORIGIN + ":8443", "http://app.example.test", "*", ""],
)
def test_pages_of_other_origins_may_not(make_site, origin):
    """No header but Vary, which a cache needs; their preflight is no more than a method that is not served."""
    site = make_site(allowed_origins=ORIGIN)
    response = site.get("/health", headers={"Origin": origin})
    assert cors_headers(response) == {} and response.headers["vary"] == "Origin"
    response = preflight(site, origin)
    assert_json_error(response, 405, "method_not_allowed")
    assert cors_headers(response) == {}


def test_preflight_of_an_allowed_origin(make_site):
    """Answered by nginx with what may be sent; an admin's call only where admins are."""
    site = make_site(allowed_origins=ORIGIN, admin_network="192.0.2.0/24")
    response = preflight(site, ORIGIN)
    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-expose-headers": "Allow, Retry-After, WWW-Authenticate, X-Request-Id",
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": "Authorization, Content-Type, X-Request-Id",
        "access-control-max-age": "600",
    }
    assert response.headers["vary"] == "Origin"
    assert_security_headers(response)
    assert all(not line["upstream"] for line in site.access_log() if line["method"] == "OPTIONS")
    assert_json_error(preflight(site, ORIGIN, "/clients", "POST"), 403, "forbidden")
    # Without the header that makes it one it is no preflight.
    assert site.request("OPTIONS", "/health", headers={"Origin": ORIGIN}).status_code == 405


def test_no_origin_is_allowed_unless_told(site):
    response = site.get("/health", headers={"Origin": ORIGIN})
    assert cors_headers(response) == {} and "vary" not in response.headers
    assert preflight(site, ORIGIN).status_code == 405


def test_development_has_the_same_rules_for_origins(make_service):
    """A page under development is tried against scripts/run."""
    service = make_service(nginx_options={"allowed-origins": ORIGIN})
    response = service.get("/health", headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "strict-transport-security" not in response.headers
    assert preflight(service, ORIGIN).status_code == 204
    assert preflight(service, OTHER_ORIGIN).status_code == 405


# --- slow callers, garbage, logs ------------------------------------------------------------------


def test_slow_and_silent_callers_are_let_go(site):
    """No handshake, no end of the headers, no body: each connection ends, and others are served meanwhile."""
    silent = socket.create_connection(("127.0.0.1", site.port), 60)
    headers, body = site.connect(), site.connect()
    headers.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-")
    body.sendall(b"POST /tokens/refresh HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
    assert site.get("/health").status_code == 200
    for connection in (silent, headers, body):
        with connection:
            connection.settimeout(processes.seconds(60))
            try:
                received = connection.recv(1000)
            except ConnectionError:
                received = b""
            assert received == b"" or received.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 300, b"\x16\x03\x01\xff\xff" + b"x" * 500, b"GET\r\n\r\n", b"\xff" * 5000],
    ids=["zeros", "half a hello", "no target", "ones"],
)
def test_garbage_is_refused_and_the_next_caller_served(site, garbage):
    """On the port of TLS, inside TLS, and in plain HTTP."""
    for connection in (
        socket.create_connection(("127.0.0.1", site.port), 60), site.connect(),
        socket.create_connection(("127.0.0.1", site.http_port), 60),
    ):
        with connection:
            try:
                connection.sendall(garbage)
                received = connection.recv(65536)
            except OSError:
                received = b""
            assert b"<html" not in received.lower()
    assert site.get("/health").status_code == 200


def test_logs_have_no_query(make_site):
    """Neither redirects nor refusals nor failures write a code, state or ticket down."""
    site = make_site(rate_limit=1, admin_network="192.0.2.0/24", path_prefix="/api")
    secret = "4/secret-code"
    paths = ["/auth/callback", "/oauth/login/1", "/clients", "/none", "/" + "x" * 9000]
    for path in paths:
        for url in (site.http_url, site.url, site.origin):
            for _ in range(5):
                site.get(f"{url}{path}?code={secret}&state={secret}&ticket={secret}")
    site.post(f"/auth/callback?code={secret}", content=b"x" * 70000)
    site.service.terminate()
    site.service.wait_exit()
    for path in ("/auth/callback", "/oauth/login/1"):
        # The limit of the calls before has to pass.
        wait_until(lambda: site.get(f"{path}?code={secret}").status_code == 503, what="the service is not there")
    wait_until(lambda: {line["status"] for line in site.access_log()} >= {308, 400, 403, 404, 413, 414, 429, 503})
    assert secret not in (site.nginx.run_dir / "access.log").read_text()
    assert secret not in site.nginx.error_log.read_text()
