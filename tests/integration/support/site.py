"""The production site: an nginx that speaks TLS in front of a service, and the authority that signed for it."""

import contextlib
import http.client
import os
import pwd
import socket
import ssl
import subprocess

import httpx

from . import processes
from .processes import wait_until
from .service import Nginx, no_cookies

NAME = "tokens.example.test"
PROXY = "127.0.0.2"  # another peer of loopback: the trusted proxy, where a test wants one
SECURITY_HEADERS = {
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
STRICT_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def openssl(*arguments, **options):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """A certificate authority of the test's own, and a certificate of it for localhost and NAME."""

    def __init__(self, directory, ocsp_url=None):
        self.directory = directory
        self.certificate, self.key = directory / "ca.crt", directory / "ca.key"
        self.site_certificate, self.site_key = directory / "site.crt", directory / "site.key"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256")
        openssl("req", "-x509", *curve, "-keyout", self.key, "-out", self.certificate, "-days", 2,
                "-subj", "/CN=Authority of the test", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        openssl("req", *curve, "-keyout", self.site_key, "-out", directory / "site.csr", "-subj", f"/CN={NAME}")
        lines = [f"subjectAltName=DNS:localhost,DNS:{NAME}", "extendedKeyUsage=serverAuth"]
        if ocsp_url:
            lines.append(f"authorityInfoAccess=OCSP;URI:{ocsp_url}")
        (directory / "site.ext").write_text("\n".join(lines) + "\n")
        openssl("x509", "-req", "-in", directory / "site.csr", "-CA", self.certificate, "-CAkey", self.key,
                "-set_serial", "0x1234", "-days", 2, "-sha256", "-extfile", directory / "site.ext",
                "-out", self.site_certificate)

    def context(self, **changes):
        """A caller's, which trusts this authority alone; changes: attributes of ssl.SSLContext."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        for name, value in changes.items():
            setattr(context, name, value)
        return context


class Site:
    """url is that of localhost, with the path prefix when there is one; http_url is the plain one."""

    def __init__(self, service, authority, **options):
        self.service, self.authority = service, authority
        self.http_port = processes.free_port()
        prefix = options.get("path-prefix", "")
        self.nginx = Nginx(service.directory, service.socket_dir, {
            "site": "production", "user": pwd.getpwuid(os.geteuid()).pw_name, "host": ["127.0.0.1"],
            "http-port": self.http_port, "server-name": ["localhost", NAME], "rate-limit": 1000,
            "certificate": authority.site_certificate, "certificate-key": authority.site_key,
            "database-workers": 2, **options,
        })
        self.port = self.nginx.port
        self.origin = f"https://localhost:{self.port}"
        self.url = self.origin + prefix
        self.http_url = f"http://localhost:{self.http_port}{prefix}"
        self._clients = contextlib.ExitStack()
        self.http = self.client()
        processes.wait_until(lambda: self.get("/health/live").status_code == 200, 30, "the site answers")

    def client(self, peer="127.0.0.1", **options):
        """Calls from this address of loopback."""
        transport = httpx.HTTPTransport(verify=self.authority.context(), local_address=peer, retries=0)
        return self._clients.enter_context(httpx.Client(
            transport=transport, trust_env=False, follow_redirects=False, cookies=no_cookies(),
            timeout=processes.seconds(60), headers={"Accept": "application/json"}, **options,
        ))

    def request(self, method, path, client=None, **kwargs):
        return (client or self.http).request(method, path if "://" in path else self.url + path, **kwargs)

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.request("POST", path, **kwargs)

    def connect(self, context=None, name="localhost"):
        """A TLS connection; ssl.SSLError or ConnectionError when the site refuses it."""
        plain = socket.create_connection(("127.0.0.1", self.port), processes.seconds(60))
        try:
            return (context or self.authority.context()).wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def curl(self, *arguments, name="localhost"):
        done = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--cacert", self.authority.certificate, "--max-time", "60",
             "--resolve", f"{name}:{self.port}:127.0.0.1", *arguments],
            capture_output=True, text=True, env=processes.plain_environment(),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def access_log(self):
        return self.nginx.access_log()

    def close(self):
        self._clients.close()
        self.nginx.stop()


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


def logged(site, number, **fields):
    """The lines of nginx's access log with these values, once there are this many: exactly as many."""
    def lines():
        return [line for line in site.access_log() if fields.items() <= line.items()]

    wait_until(lambda: len(lines()) >= number, what=f"{number} lines of the log with {fields}")
    assert len(lines()) == number, lines()
    return lines()
