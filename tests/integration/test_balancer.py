"""nginx/balancer.conf.example in front of two production sites: who calls is known, hosts come and go, nothing is done twice."""

import concurrent.futures
import signal

import httpx
import pytest
from support import flow, metrics, processes, trouble
from support.hosts import PATIENT, locked, token_of, wait_for_waiters
from support.processes import ROOT, wait_until
from support.service import NGINX, no_cookies
from support.site import NAME, PROXY, Site, assert_json_error

MAIN = """
worker_processes 2;
pid "{directory}/nginx.pid";
error_log stderr warn;
events {{
	worker_connections 1024;
}}
http {{
	client_body_temp_path "{directory}/client-body";
	proxy_temp_path "{directory}/proxy";
	fastcgi_temp_path "{directory}/fastcgi";
	scgi_temp_path "{directory}/scgi";
	uwsgi_temp_path "{directory}/uwsgi";
	include "{directory}/balancer.conf";
}}
"""


class Balancer:
    """The example with the test's own names; as the trusted proxy it comes from PROXY. url is that of localhost."""

    def __init__(self, directory, authority, sites):
        self.directory = directory
        self.port = processes.free_port()
        self._authority = authority
        self._write(sites)
        with open(directory / "stderr.log", "wb") as err:
            self.process = processes.start(
                [NGINX, "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr", "-g", "daemon off;"],
                env=processes.plain_environment(), stdout=err, stderr=err)
        wait_until(lambda: (directory / "nginx.pid").exists(), what="the balancer is there")
        self.url = f"https://localhost:{self.port}"
        self.http = self.client()

    def _write(self, sites):
        text = (ROOT / "nginx/balancer.conf.example").read_text()
        changes = {
            "10.20.0.11:443": f"127.0.0.1:{sites[0].port}", "10.20.0.12:443": f"127.0.0.1:{sites[1].port}",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;\n\tproxy_bind {PROXY};", "server_name tokens.example.com;": "server_name localhost;",
            "proxy_ssl_name tokens.example.com;": f"proxy_ssl_name {NAME};",
            "/etc/ssl/tokens/fullchain.pem": self._authority.site_certificate, "/etc/ssl/tokens/key.pem": self._authority.site_key,
            "/etc/ssl/certs/ca-certificates.crt": self._authority.certificate, "/var/log/nginx": self.directory,
            # The TLS handshake's as well, in which a machine may stand still; a host that is dead here refuses at once.
            "proxy_connect_timeout 1s;": "proxy_connect_timeout 4s;",
        }
        for there, here in changes.items():
            assert there in text, there
            text = text.replace(there, str(here))
        (self.directory / "balancer.conf").write_text(text)
        (self.directory / "nginx.conf").write_text(MAIN.format(directory=self.directory))

    def client(self):
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        return httpx.Client(base_url=self.url, verify=self._authority.context(), trust_env=False, follow_redirects=False,
                            cookies=no_cookies(), limits=limits, timeout=processes.seconds(60), headers={"Accept": "application/json"})

    def logs(self):
        return "".join(path.read_text() for path in self.directory.glob("*.log"))

    def close(self):
        self.http.close()
        processes.stop(self.process, signal.SIGQUIT)


@pytest.fixture
def sites(make_service, authority, database):
    """Two hosts of one database, each with the production site, who believe the balancer."""
    made = []
    for _ in range(2):
        service = make_service({**PATIENT, "REFRESHERS": "0"}, nginx=False)
        made.append(Site(service, authority, **{"trusted-proxy": PROXY}))
    yield made
    for site in made:
        site.close()


@pytest.fixture
def balancer(tmp_path, authority, sites):
    directory = tmp_path / "balancer"
    directory.mkdir()
    balancer = Balancer(directory, authority, sites)
    yield balancer
    balancer.close()


def connected(site, provider, **fields):
    client = flow.register(site, provider)
    flow.connect_fast(site.service, provider, client, **fields)
    return client


def busy_one(sites):
    """The host whose exchange worker has something in hand."""
    def found():
        return [site for site in sites if metrics.read(site).value("workers_busy", pool="exchange")]

    [site] = wait_until(found, what="a host has the call in hand")
    return site


def is_called(site, since, *paths):
    """Has the balancer sent each of them, after so many lines of its log?"""
    return set(paths) <= {line["path"] for line in site.access_log()[since:]}


def test_both_hosts_serve_and_know_who_called(balancer, sites, provider):
    """The caller's address and request id go through; what a caller says of its address and of the site's name does not."""
    path = flow.path_of(connected(sites[0], provider))
    headers = {"X-Request-Id": "from-the-caller", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}
    assert len({token_of(balancer.http.get(path, headers=headers)) for _ in range(20)}) == 1
    for site in sites:
        lines = wait_until(lambda: [line for line in site.access_log() if line["path"] == path], what="it has served")
        assert {(line["remote_addr"], line["request_id"]) for line in lines} == {("127.0.0.1", "from-the-caller")}
    answer = balancer.http.get("/tokens/nobody?code=secret")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    wait_until(lambda: "/tokens/nobody" in balancer.logs(), what="the balancer's log")
    assert "secret" not in balancer.logs()


def test_consent_through_the_balancer(balancer, sites, provider, authority):
    """The login link leads to the balancer's name, whichever host made it; login and callback may meet two hosts."""
    oauth_id, secret = provider.client()
    body = {"client_id": oauth_id, "client_secret": secret, "branch_id": flow.unique("branch"),
            "redirect_uri": f"{balancer.url}/auth/callback", "workspace_email": "owner@example.test"}
    registered = balancer.http.post("/clients", json=body)
    assert registered.status_code == 201, registered.text
    assert registered.json()["login_url"].startswith(f"{balancer.url}/oauth/login/")
    with flow.Browser(balancer, verify=authority.context()) as browser:
        answer = browser.connect(registered.json())
    assert answer.status_code == 200, answer.text
    assert token_of(balancer.http.get(f"/tokens/{body['branch_id']}"))
    assert "code=" not in balancer.logs() and "state=" not in balancer.logs()


def test_host_that_dies_costs_no_read(balancer, sites, provider):
    """Its nginx is killed under load: what it had in hand is asked of the other host."""
    path = flow.path_of(connected(sites[0], provider))
    with trouble.Load(lambda _: balancer.http.get(path), threads=8) as load:
        load.wait_for(100)
        sites[0].nginx.kill()
        load.wait_for(300)
    assert not load.faults
    assert {answer.status_code for _, _, answer in load.answers} == {200}


def test_call_that_changes_something_is_not_sent_twice(balancer, sites, provider):
    """Its host dies with the call in hand: the caller is told, and no other host is asked. One that was never sent is."""
    client = connected(sites[0], provider)
    body = {"client_id": client["client_id"]}
    provider.fault("hold")
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        refresh = executor.submit(balancer.http.post, "/tokens/refresh", json=body)
        provider.wait_for_requests(1, grant_type="refresh_token")
        busy = busy_one(sites)
        [other] = [site for site in sites if site is not busy]
        busy.nginx.kill()
        answer = refresh.result(processes.seconds(60))
    assert_json_error(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert not metrics.read(other).value("workers_busy", pool="exchange")
    provider.release()
    assert len(provider.refreshes()) == 1
    for _ in range(4):
        again = wait_until(lambda: (reply := balancer.http.post("/tokens/refresh", json=body)).status_code != 503 and reply)
        assert again.status_code == 200, again.text


def test_deletion_is_not_sent_twice(balancer, sites, provider, database):
    """Its host dies with it in hand: no other one is asked, which would not find what the first may have deleted."""
    client = connected(sites[0], provider)
    path = f"/clients/{client['client_id']}"
    with locked(database, "SELECT FROM clients WHERE id = %s FOR UPDATE", (client["client_id"],)):
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            deletion = executor.submit(balancer.http.delete, path)
            wait_for_waiters(database, 1)
            busy = busy_one(sites)
            [other] = [site for site in sites if site is not busy]
            busy.nginx.kill()
            answer = deletion.result(processes.seconds(60))
    assert_json_error(answer, 503, "overloaded")
    other.nginx.whole_access_log()
    assert [line for line in other.access_log() if line["method"] == "DELETE"] == []
    again = wait_until(lambda: (reply := balancer.http.delete(path)).status_code != 503 and reply)
    assert again.status_code in (204, 404), again.text


def test_host_that_hangs_costs_no_read(balancer, sites, provider):
    """It takes connections and says nothing: what it was asked is asked of the other one."""
    path = flow.path_of(connected(sites[0], provider))
    with concurrent.futures.ThreadPoolExecutor(16) as executor:
        def read_all():
            return {answer.status_code for answer in executor.map(balancer.http.get, [path] * 64)}

        assert read_all() == {200}  # over connections to both that are kept
        with trouble.frozen_nginx(sites[0].nginx):
            assert read_all() == {200}


@pytest.mark.parametrize("request_, status, code", [
    ({"method": "POST", "url": "/clients", "content": b"x" * 70000}, 413, "body_too_large"),
    ({"method": "GET", "url": "/" + "x" * 9000}, 414, "malformed_request"),
    ({"method": "GET", "url": "/", "headers": {"X-Large": "x" * 9000}}, 431, "malformed_request"),
    ({"method": "GET", "url": "/", "headers": {"Host": "two words"}}, 400, "malformed_request"),
    ({"method": "GET", "url": "/_delete"}, 404, "not_found"),
], ids=["body", "line", "header", "host", "internal"])
def test_errors_of_its_own_are_those_of_a_host(balancer, request_, status, code):
    """JSON of the same shape, with a request id, and nothing of nginx."""
    answer = balancer.http.request(**request_)
    assert_json_error(answer, status, code)
    assert answer.json()["detail"] == answer.json()["message"]
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_no_host_at_all_is_a_complete_answer(balancer, sites):
    for site in sites:
        site.nginx.stop()
    answer = balancer.http.get("/tokens/branch?x=1")
    assert_json_error(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "1"


def test_hosts_are_rolled_without_a_failed_call(balancer, sites, provider):
    """One after the other: nginx ends in order, then the service, both start anew. Nobody who reads or refreshes notices;
    nor of new settings, by SIGHUP."""
    path, other = flow.path_of(connected(sites[0], provider)), connected(sites[0], provider)

    def call(number):
        if number % 5:
            return balancer.http.get(path)
        return balancer.http.post("/tokens/refresh", json={"client_id": other["client_id"]})

    with trouble.Load(call, threads=6) as load:
        for site in sites:
            load.wait_for(60)
            site.nginx.stop()
            site.service.terminate()
            assert site.service.wait_exit() == 0
            load.wait_for(60)
            site.service.start_master()
            site.service.wait_for_sockets()
            since = len(site.access_log())
            assert site.nginx.start()
            wait_until(lambda: is_called(site, since, path, "/tokens/refresh"), what="the balancer sends to it again")
        for site in sites:
            load.wait_for(60)
            site.service.reload_and_wait()
        load.wait_for(60)
    assert not load.faults
    failed = [(answer.request.method, answer.status_code, answer.text) for _, _, answer in load.answers if answer.status_code != 200]
    assert failed == []
