"""Login tickets: a stranger who counts ids, or a fetcher, cannot bind an account of his own to a branch."""

import base64
import hmac
import re

import pytest

from support import keys
from support.flow import (
    Browser, begin, connect, connect_fast, exchanges, expire, query, refused, register, rows, token_row,
)
from support.hosts import locked, wait_for_waiters
from support.keys import REQUIRED, acting, bearer
from support.processes import seconds, wait_until
from support.sealing import KEY

BROWSER_ACCEPT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OTHER_KEY = "another-integration-test-key-of-44-character"
TICKET = re.compile(r"[0-9]+\.[0-9]+\.[A-Za-z0-9_-]{43}")


def guarded(make_service, **env):
    """A service that asks for keys; its own client's calls bring an administrator's, browsers never one."""
    service = make_service({**REQUIRED, **env})
    service.client.headers.update(bearer(keys.create(service.database, "admin")))
    return service


@pytest.fixture
def service(make_service):
    return guarded(make_service)


@pytest.fixture
def fetcher(service):
    """The headers of a fetcher for all branches."""
    return bearer(keys.create(service.database, "fetcher"))


def shown(service, client):
    """The client as GET /clients/{id} shows it now."""
    return service.get(f"/clients/{client['client_id']}").json()


def sign(key, client, expiry, version):
    """A ticket as the service makes it: HKDF (RFC 5869) and HMAC with SHA-256."""
    extracted = hmac.digest(b"token-service v1", key.encode(), "sha256")
    mac_key = hmac.digest(extracted, b"login ticket\x01", "sha256")
    mac = hmac.digest(mac_key, f"{client['client_id']}.{expiry}.{version}".encode(), "sha256")
    return f"{expiry}.{version}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def opened(service, url, headers=None):
    """As a person opens it, who has no key."""
    with Browser(service, headers) as browser:
        return browser.http.get(url)


def bare(client):
    """The login link without its ticket."""
    return client["login_url"].partition("?")[0]


def test_links_carry_a_ticket(service, provider):
    """Registration, list, look-up, change, and the errors that name a link: each leads to the consent page."""
    client = register(service, provider)
    path = f"/clients/{client['client_id']}"
    answers = [
        client,
        service.get(path).json(),
        service.get("/clients").json()["clients"][0],
        service.patch(path, json={"workspace_name": "X"}).json(),
        service.get(f"/tokens/{client['branch_identifier']}").json(),
        service.post("/tokens/refresh", json={"client_id": client["client_id"]}).json(),
        service.post(f"/tokens/{client['branch_identifier']}/revoke").json(),
    ]
    for answer in answers:
        assert TICKET.fullmatch(query(answer["login_url"])["ticket"]), answer
        response = opened(service, answer["login_url"])
        assert response.status_code == 302
        assert response.headers["location"].startswith(f"{provider.url}/auth?")
    assert connect(service, provider, client).status_code == 200


def test_counting_ids_leads_nowhere(service, provider):
    """Without a ticket it is the same answer whether there is such a client, connected or not, or none."""
    client = register(service, provider)
    connected = register(service, provider)
    assert connect(service, provider, connected).status_code == 200
    texts = set()
    for number in range(1, connected["client_id"] + 3):
        for rest in ("", "?ticket=", "?redirected=1", "?ticket=x", f"?ticket={'9' * 10}.0.{'A' * 43}"):
            response = opened(service, f"/oauth/login/{number}{rest}", {"X-Request-Id": "r"})
            refused(response, 403, "login_ticket_required")
            assert "location" not in response.headers and "set-cookie" not in response.headers
            texts.add(response.text)
    assert len(texts) == 1
    assert "login_url" not in response.json()
    assert rows(service, "oauth_states") == 0
    assert shown(service, client)["token"]["state"] == "none"


def test_a_ticket_is_for_its_client_alone(service, provider):
    """Moved to another client it opens nothing."""
    one, other = register(service, provider), register(service, provider)
    for mine, theirs in ((one, other), (other, one)):
        ticket = query(mine["login_url"])["ticket"]
        refused(opened(service, f"{bare(theirs)}?ticket={ticket}"), 403, "login_ticket_required")
    assert rows(service, "oauth_states") == 0


def test_a_ticket_cannot_be_changed(service, provider):
    """Neither a later expiry, nor another version, nor another signature."""
    client = register(service, provider)
    expiry, version, mac = query(client["login_url"])["ticket"].split(".")
    for changed in (
        f"{int(expiry) + 1}.{version}.{mac}", f"{expiry}.{int(version) + 1}.{mac}", f"0{expiry}.{version}.{mac}x",
        f"{expiry}.{version}.{mac[:-1]}", f"{expiry}.{version}.{'A' * 43}", f"{expiry}.{version}", mac,
    ):
        refused(opened(service, f"{bare(client)}?ticket={changed}"), 403, "login_ticket_required")
    assert opened(service, client["login_url"]).status_code == 302


def test_a_ticket_expires(make_service, provider):
    """LOGIN_TICKET_TTL after it was made, by the database's clock."""
    service = guarded(make_service, LOGIN_TICKET_TTL="60")
    client = register(service, provider)
    now = service.database.one("SELECT extract(epoch FROM now())::bigint")[0]
    assert 0 < int(query(client["login_url"])["ticket"].split(".")[0]) - now <= 60
    for left, is_good in ((30, True), (-1, False)):
        response = opened(service, f"{bare(client)}?ticket={sign(KEY, client, now + left, 0)}")
        if is_good:
            assert response.status_code == 302, response.text
        else:
            refused(response, 403, "login_ticket_required")


def test_the_default_ticket_lives_a_day(service, provider):
    """86,400 seconds unless set."""
    client = register(service, provider)
    now = service.database.one("SELECT extract(epoch FROM now())::bigint")[0]
    left = int(query(client["login_url"])["ticket"].split(".")[0]) - now
    assert 86400 - seconds(60) < left <= 86400


def test_a_consent_kills_older_tickets(service, provider):
    """Each ticket from before it is dead, and so are the logins that began with one; a new one works."""
    client = register(service, provider)
    second = shown(service, client)
    with Browser(service) as late:
        url = begin(late, second)
        token = connect(service, provider, client).json()["access_token"]
        for old in (client, second):
            refused(opened(service, old["login_url"]), 403, "login_ticket_required")
        before = token_row(service, client, "tokens::text")
        refused(late.callback(url), 400, "invalid_state")
    assert len(exchanges(provider)) == 1
    assert token_row(service, client, "tokens::text") == before
    assert service.get(f"/tokens/{client['branch_identifier']}").json()["access_token"] == token
    assert connect(service, provider, shown(service, client)).status_code == 200


@pytest.mark.parametrize("again, table", [(False, "clients"), (True, "tokens")],
                         ids=["first consent", "consent again"])
def test_of_two_consents_at_once_one_wins(service, provider, again, table):
    """Both stand before the row, each with a ticket that was good: the second to come is refused, the first stays."""
    client = register(service, provider)
    if again:
        assert connect(service, provider, client).status_code == 200
        client = shown(service, client)
    with Browser(service) as one, Browser(service) as two:
        urls = [(browser, begin(browser, client)) for browser in (one, two)]
        with locked(service.database, f"SELECT FROM {table} FOR UPDATE"):
            calls = [service.run(browser.callback, url) for browser, url in urls]
            wait_for_waiters(service.database, 2)
        answers = sorted((call.result(seconds(60)) for call in calls), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200, 400], [answer.text for answer in answers]
    refused(answers[1], 400, "invalid_state")
    fetched = service.get(f"/tokens/{client['branch_identifier']}").json()
    assert fetched["access_token"] == answers[0].json()["access_token"]
    assert token_row(service, client, "consent_version") == (2 if again else 1,)


def test_refreshes_do_not_kill_a_ticket(service, provider):
    """Nor does a revocation, a failed consent or a PATCH: only a consent does."""
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    client = shown(service, client)
    provider.settings(revoke_person=False)  # or it ends the code that waits, too
    with Browser(service) as browser:
        url = begin(browser, client)
        for _ in range(2):
            expire(service, client)
            assert service.get(f"/tokens/{client['branch_identifier']}").status_code == 200
        refused(connect(service, provider, client, action="deny"), 400, "provider_denied")
        refused(connect(service, provider, client, action="allow-less"), 502, "insufficient_scope")
        assert service.patch(f"/clients/{client['client_id']}", json={"workspace_name": "X"}).status_code == 200
        assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
        assert opened(service, client["login_url"]).status_code == 302
        assert browser.callback(url).status_code == 200


def test_a_ticket_of_the_previous_key(make_service, provider):
    """SECRET_KEY changes and the old one moves to SECRET_KEY_PREVIOUS: links that are out stay good."""
    service = guarded(make_service)
    client = register(service, provider)
    service.reload_and_wait({"SECRET_KEY": OTHER_KEY, "SECRET_KEY_PREVIOUS": KEY})
    ticket = query(shown(service, client)["login_url"])["ticket"]
    expiry, version, _ = ticket.split(".")
    assert ticket == sign(OTHER_KEY, client, expiry, version)
    assert opened(service, client["login_url"]).status_code == 302
    assert opened(service, shown(service, client)["login_url"]).status_code == 302


def test_a_ticket_of_a_foreign_key(make_service, make_database, provider):
    """Who knows another key than ours signs in vain."""
    service = guarded(make_service)
    client = register(service, provider)
    foreign = guarded(lambda env: make_service(env, make_database()), SECRET_KEY=OTHER_KEY)
    forged = register(foreign, provider)
    assert forged["client_id"] == client["client_id"]
    ticket = query(forged["login_url"])["ticket"]
    refused(opened(service, f"{bare(client)}?ticket={ticket}"), 403, "login_ticket_required")


def test_the_way_to_another_host_keeps_the_ticket(service, provider):
    """A login that arrives on another name of the host is sent on with its ticket, and gets through."""
    client = register(service, provider)
    url = client["login_url"].replace("//localhost:", "//127.0.0.1:")
    first = opened(service, url)
    assert first.status_code == 302 and first.headers["location"].startswith(bare(client))
    assert query(first.headers["location"])["ticket"] == query(client["login_url"])["ticket"]
    with Browser(service) as browser:
        onward = browser.http.get(first.headers["location"])
        assert browser.callback(browser.consent(onward.headers["location"])).status_code == 200


def test_a_login_from_before_tickets_were_needed(make_service, provider):
    """One that began without a ticket does not finish where they are needed by now."""
    service = make_service()
    client = register(service, provider)
    with Browser(service) as browser:
        url = begin(browser, client)
        service.reload_and_wait(REQUIRED)
        assert opened(service, bare(client)).status_code == 403
        refused(browser.callback(url), 400, "invalid_state")
    assert exchanges(provider) == [] and rows(service, "tokens") == 0


def test_without_need_links_are_as_before(make_service, provider):
    """In development without keys: no ticket, and two logins of one client both finish."""
    service = make_service()
    client = register(service, provider)
    assert client["login_url"] == f"{service.url}/oauth/login/{client['client_id']}"
    with Browser(service) as one, Browser(service) as two:
        urls = [(browser, begin(browser, client)) for browser in (one, two)]
        assert [browser.callback(url).status_code for browser, url in urls] == [200, 200]
    assert token_row(service, client, "consent_version") == (2,)


def test_page_of_a_missing_ticket(service, provider):
    """A person is told to ask for a new link; the page holds none."""
    client = register(service, provider)
    response = opened(service, bare(client), BROWSER_ACCEPT)
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")
    assert "<code>login_ticket_required</code>" in response.text
    assert "Ask an administrator for a new one" in response.text
    assert "href" not in response.text


def test_no_ticket_reaches_a_log(make_service, provider):
    """Neither a good one nor one that was refused, on its whole way; nor is it stored."""
    service = guarded(make_service)
    client = register(service, provider)
    ticket = query(client["login_url"])["ticket"]
    assert opened(service, client["login_url"].replace("//localhost:", "//127.0.0.1:")).status_code == 302
    assert opened(service, client["login_url"], {"Referer": client["login_url"]}).status_code == 302
    assert connect(service, provider, client).status_code == 200
    refused(opened(service, client["login_url"]), 403, "login_ticket_required")
    mac = ticket.split(".")[2]
    assert mac not in service.database.dump()
    service.terminate()
    service.wait_exit()
    refused(opened(service, client["login_url"]), 503, "overloaded")  # nginx has an error to write
    wait_until(lambda: {line["status"] for line in service.access_log()} >= {200, 302, 403, 503})
    logs = service.stderr() + service.nginx_error_log() + service.nginx.whole_access_log()
    assert "/oauth/login" in logs
    assert mac not in logs and "ticket=" not in logs


# --- who is told a link --------------------------------------------------------------------------


def unconnected(service, provider):
    return register(service, provider)


def dead(service, provider):
    client = register(service, provider)
    grant = connect_fast(service, provider, client, expires_in=-10)
    provider.revoke(refresh_token=grant["refresh_token"])
    return client


def found_dead_before(service, provider):
    client = register(service, provider)
    connect_fast(service, provider, client)
    service.database.execute("UPDATE tokens SET is_valid = false")
    return client


def revoked(service, provider):
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    return client


@pytest.mark.parametrize("state, status, code", [
    (unconnected, 404, "authorization_required"),
    (dead, 409, "reauthorization_required"),
    (found_dead_before, 409, "reauthorization_required"),
    (revoked, 409, "reauthorization_required"),
], ids=["unconnected", "dead", "found dead before", "revoked"])
def test_fetcher_is_told_of_no_link(service, provider, fetcher, state, status, code):
    """With a link it could bind an account of its own; an administrator's answer has one that leads on."""
    client = state(service, provider)
    branch = client["branch_identifier"]
    calls = [("GET", f"/tokens/{branch}", None), ("POST", "/tokens/refresh", {"branch_id": branch}),
             ("POST", "/tokens/refresh", {"client_id": client["client_id"]})]
    for method, path, body in calls:
        answer = refused(service.request(method, path, json=body, headers=fetcher), status, code)
        assert "login_url" not in answer
        assert "/oauth/login" not in str(answer) and "ticket=" not in str(answer)
        assert "Ask an administrator for a login link" in answer["message"] == answer["detail"]
        answer = refused(service.request(method, path, json=body), status, code)
        assert "Open login_url" in answer["message"]
        assert opened(service, answer["login_url"]).status_code == 302


def test_strangers_and_fetchers_see_no_client(service, provider, fetcher):
    """The calls whose answers carry a link refuse everybody else before there is an answer."""
    client = register(service, provider)
    path = f"/clients/{client['client_id']}"
    calls = [("POST", "/clients", {}), ("GET", "/clients", None), ("GET", path, None), ("PATCH", path, {})]
    for method, path, body in calls:
        with acting(service, keys.create(service.database, "fetcher")):
            assert "login_url" not in refused(service.request(method, path, json=body), 403, "forbidden")
    for method, path, body in calls:
        with Browser(service) as stranger:
            answer = stranger.http.request(method, path, json=body)
            assert "login_url" not in refused(answer, 401, "unauthenticated")


@pytest.mark.parametrize("action, status, code", [
    ("deny", 400, "provider_denied"), ("allow-less", 502, "insufficient_scope"),
])
def test_failed_callback_tells_no_link(service, provider, action, status, code):
    """Who comes back from the provider has no key: he may open the link that he was sent once more, no other."""
    client = register(service, provider)
    assert "login_url" not in refused(connect(service, provider, client, action=action), status, code)
    page = connect(service, provider, client, action=action, headers=BROWSER_ACCEPT)
    assert page.status_code == status and "/oauth/login" not in page.text
    assert connect(service, provider, client).status_code == 200


def test_production_without_keys_has_tickets(make_service, provider):
    """Where keys are switched off everybody is an administrator; a stranger who counts ids is none."""
    service = make_service(
        {"ENVIRONMENT": "production", "API_AUTH": "off", "API_AUTH_OFF_IN_PRODUCTION": "accept"})
    client = register(service, provider)
    refused(opened(service, bare(client)), 403, "login_ticket_required")
    assert connect(service, provider, client).status_code == 200
    refused(opened(service, client["login_url"]), 403, "login_ticket_required")
    assert connect(service, provider, shown(service, client)).status_code == 200
