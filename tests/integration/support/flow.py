"""The OAuth flow as a person with a browser goes through it, and short cuts around it."""

import html
import itertools
import os
import re
from urllib.parse import parse_qs, urlsplit

import httpx

from . import processes
from .processes import wait_until
from .sealing import SEALS

_number = itertools.count(1)


def unique(prefix):
    return f"{prefix}-{os.getpid()}-{next(_number)}"


def registration(service, **fields):
    """A good body of POST /clients."""
    return {
        "client_id": unique("oauth-client"),
        "client_secret": unique("oauth-secret"),
        "redirect_uri": f"{service.url}/auth/callback",
        "branch_id": unique("branch"),
        "workspace_email": "owner@example.test",
        "workspace_name": "Example Workspace",
        **fields,
    }


def register(service, provider=None, **fields):
    """A new client, with an OAuth client of its own at the provider when that is given; the answer's JSON."""
    if provider and "client_id" not in fields:
        fields["client_id"], fields["client_secret"] = provider.client()
    # A worker that has just started, on a machine that stands still, may not get its connection in time; and where the
    # answer came too late, the branch may be there all the same: each try has another one.
    response = wait_until(
        lambda: (answer := service.post("/clients", json=registration(service, **fields))).json().get("error") != "database_unavailable"
        and answer,
        what="the database is there")
    assert response.status_code == 201, response.text
    return response.json()


def query(url):
    """The query parameters of a URL, each of which must be there once."""
    values = parse_qs(urlsplit(str(url)).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(each) == 1 for each in values.values()), values
    return {name: each[0] for name, each in values.items()}


class Browser:
    """Keeps cookies and follows the person's clicks. Several logins of one Browser are tabs of it."""

    def __init__(self, service, headers=None, verify=True):
        self.http = httpx.Client(
            base_url=service.url, follow_redirects=False, trust_env=False, verify=verify,
            timeout=processes.seconds(60), headers={"Accept": "application/json", **(headers or {})},
        )

    def login(self, client):
        """Opens the login link: the URL of the consent page, which is not opened yet."""
        response = self.http.get(client["login_url"])
        assert response.status_code == 302, response.text
        return response.headers["location"]

    def consent(self, consent_url, action="allow", login=None):
        """Answers the provider's page (allow, deny, allow-less): the URL of the callback, not opened yet."""
        page = self._follow(consent_url)
        form = re.search(r'<form method="post" action="([^"]+)"', page.text)
        assert form, page.text
        hint = re.search(r'<input id="login"[^>]* value="([^"]*)"', page.text)
        data = {"action": action, "login": login or html.unescape(hint[1])}
        answer = self.http.post(page.url.join(html.unescape(form[1])), data=data)
        for _ in range(3):
            assert answer.is_redirect, answer.text
            target = answer.url.join(answer.headers["location"])
            if target.path.endswith("/auth/callback"):
                return str(target)
            answer = self.http.get(target)
        raise AssertionError(f"the provider did not come to the callback: {answer.url}")

    def _follow(self, url):
        for _ in range(5):
            response = self.http.get(url)
            if not response.is_redirect:
                assert response.status_code == 200, response.text
                return response
            url = response.url.join(response.headers["location"])
        raise AssertionError("too many redirects at the provider")

    def callback(self, url, **kwargs):
        return self.http.get(url, **kwargs)

    def connect(self, client, action="allow", login=None):
        return self.callback(self.consent(self.login(client), action, login))

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(service, provider, client, action="allow", login=None, headers=None):
    """Login, consent page, callback, in a browser of its own: the callback's response."""
    with Browser(service, headers) as browser:
        return browser.connect(client, action, login)


def connect_fast(service, provider, client, expires_in=3600, **fields):
    """A grant of the provider put into the table, for tests that are not about consent.

    expires_in: seconds from the database's now. The grant is returned.
    """
    grant = provider.grant(client["client_oauth_id"], **fields)
    sealed = SEALS.grant(client["client_id"], grant["access_token"], grant["refresh_token"])
    service.database.execute(
        "INSERT INTO tokens (client_id, access_token, refresh_token, expires_at, scope, refresh_began_at)"
        " VALUES (%s, %s, %s, now() + %s * interval '1 second', %s, now() - interval '1 hour')"
        " ON CONFLICT (client_id) DO UPDATE SET access_token = EXCLUDED.access_token,"
        " refresh_token = EXCLUDED.refresh_token, expires_at = EXCLUDED.expires_at, scope = EXCLUDED.scope,"
        " refresh_began_at = EXCLUDED.refresh_began_at, is_valid = true, is_revoked = false,"
        " grant_version = tokens.grant_version + 1, refresh_retry_at = NULL, provider_retry_at = NULL,"
        " refresh_failures = 0, refresh_error = NULL, provider_error = NULL",
        (client["client_id"], *sealed, expires_in, grant["scope"]),
    )
    return grant


def connected(service, provider, **grant):
    """A new client with a grant of its own; its registration's JSON."""
    client = register(service, provider)
    connect_fast(service, provider, client, **grant)
    return client


def path_of(client):
    return f"/tokens/{client['branch_identifier']}"


def expire(service, client, seconds_left=-10):
    """Moves the token's expiry, and its last refresh so far back that nothing else keeps it from being refreshed."""
    touched = service.database.execute(
        "UPDATE tokens SET expires_at = now() + %s * interval '1 second',"
        " refresh_began_at = now() - interval '1 hour' WHERE client_id = %s",
        (seconds_left, client["client_id"]),
    )
    assert touched == 1, "the client has no token"


def token_row(service, client, columns):
    """The named columns of the client's token, those that are sealed opened; None without one."""
    row = service.database.one(f"SELECT {columns} FROM tokens WHERE client_id = %s", (client["client_id"],))
    return SEALS.opened(row, client["client_id"])



def begin(browser, client, action="allow", login=None):
    """Login and consent, up to the callback's URL, which is not opened yet."""
    return browser.consent(browser.login(client), action, login)


def with_query(url, **changes):
    """The URL with parameters replaced; None takes one away."""
    kept = {name: value for name, value in {**query(url), **changes}.items() if value is not None}
    return str(httpx.URL(url).copy_with(params=kept))


def refused(response, status, code):
    """The JSON of an error answer that has this status and code."""
    assert (response.status_code, response.json()["error"]) == (status, code), response.text
    assert "access_token" not in response.json()
    return response.json()


def exchanges(provider):
    """The codes that came to the provider."""
    return provider.log(grant_type="authorization_code")


def rows(service, table):
    """How many rows the table has."""
    return service.database.one(f"SELECT count(*) FROM {table}")[0]
