"""The production site of nginx, over real TLS: protocols, redirect, headers, slow callers, garbage, logs."""

import re
import shutil
import socket
import ssl
import subprocess

import pytest

from support import processes
from support.processes import wait_until
from support.site import (
    NAME, SECURITY_HEADERS, STRICT_POLICY, Authority, answer_to, assert_json_error, assert_security_headers, logged,
)


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
        ["sslscan", "--no-colour", "--timeout=60", f"--sni-name={NAME}", f"127.0.0.1:{site.port}"], capture_output=True, text=True
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
    with open(tmp_path / "responder", "wb") as out:
        responder = processes.start(
            ["openssl", "ocsp", "-port", port, "-index", tmp_path / "index", "-CA", authority.certificate,
             "-rsigner", authority.certificate, "-rkey", authority.key, "-nmin", "5"],
            stdout=out, stderr=subprocess.DEVNULL,
        )
    try:
        # nginx asks again only minutes after an answer that did not come. Who connects and says nothing stops the responder.
        wait_until(lambda: "ACCEPT" in (tmp_path / "responder").read_text(), 60, "the responder listens")
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


def assert_leads_to_tls(response, path):
    """Empty, as nginx's own page would be HTML; and without HSTS, which RFC 6797 forbids there."""
    assert (response.status_code, response.headers["location"]) == (308, path)
    assert (response.content, response.headers["content-length"]) == (b"", "0")
    assert "content-type" not in response.headers and response.headers["x-request-id"]
    assert "strict-transport-security" not in response.headers
    for name, value in SECURITY_HEADERS.items():
        assert name == "strict-transport-security" or response.headers.get_list(name) == [value], name
    assert response.headers.get_list("content-security-policy") == [STRICT_POLICY]


def test_plain_http_leads_to_tls(site):
    """The same path and query, the method kept, before anything is done, whatever is sent with it."""
    calls = [
        *((method, "/clients/1?a=%2F&b", b"") for method in ("GET", "POST", "DELETE")),
        ("POST", "/clients", b"x" * 70000), ("GET", "/docs.html", b""), ("OPTIONS", "/", b""),
        ("GET", "/_ERROR", b""), ("GET", "/_error%0A", b""),  # like the error page, which is not led anywhere
    ]
    for method, path, body in calls:
        assert_leads_to_tls(site.request(method, site.http_url + path, content=body), site.url + path)
    assert not any(line["upstream"] for line in logged(site, len(calls), status=308))


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
    assert secret not in site.nginx.whole_access_log()
    assert secret not in site.nginx.error_log.read_text()
