"""VERIFY_WORKSPACE_EMAIL: a grant counts only when the workspace's own address gave it."""

import base64
import json
import time

import pytest

from support.flow import Browser, connect, query, refused, register, rows, token_row
from support.provider import SCOPE

EMAIL_SCOPE = "https://www.googleapis.com/auth/userinfo.email"
BROWSER_ACCEPT = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def service(make_service):
    return make_service(env={"VERIFY_WORKSPACE_EMAIL": "on"})


def id_token(provider, client, **changes):
    """One with the claims that are wanted, but for the changes (None: left out)."""
    claims = {
        "iss": provider.url, "aud": client["client_oauth_id"], "exp": time.time() + 3600, "email_verified": True,
        "email": client["email"], **changes,
    }
    text = json.dumps({name: value for name, value in claims.items() if value is not None})
    return f"eyJhbGciOiJub25lIn0.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.c2ln"


def test_the_address_is_asked_for(service, provider):
    """The consent page names openid and email beside GOOGLE_SCOPE, each once."""
    with Browser(service) as browser:
        url = browser.login(register(service, provider))
    assert query(url)["scope"] == f"{SCOPE} openid email"


@pytest.mark.memcheck
def test_the_workspaces_address_is_taken(service, provider):
    """The case of its letters does not matter; Google's full name of the email scope covers what was asked."""
    client = register(service, provider, workspace_email="Owner.Of@Example.test")
    response = connect(service, provider, client, login="owner.of@EXAMPLE.test")
    assert response.status_code == 200, response.text
    fetched = service.get(f"/tokens/{client['branch_identifier']}").json()
    assert fetched["access_token"] == response.json()["access_token"]
    assert set(fetched["scope"].split()) == {"openid", EMAIL_SCOPE, SCOPE}


def test_email_and_profile_in_google_scope(make_service, provider):
    """Asked for by their short names and answered in full, they are no lesser consent."""
    service = make_service(env={"GOOGLE_SCOPE": "openid email profile business.manage"})
    assert connect(service, provider, register(service, provider)).status_code == 200


def test_by_default_anybody_may_connect(make_service, provider):
    """Off: neither asked for nor checked."""
    service = make_service()
    client = register(service, provider)
    assert connect(service, provider, client, login="somebody.else@example.test").status_code == 200


FAULTS = {
    "another address": (lambda provider, client: {"login": "owner@example.test.evil.test"}, "email_differs"),
    "not verified": (lambda provider, client: provider.settings(email_verified=False) and {}, "email_not_verified"),
    "no address": (lambda provider, client: provider.settings(email_claim=False) and {}, "email_missing"),
    "no id_token": (lambda provider, client: provider.fault("rewrite", remove=["id_token"]) and {}, "id_token_missing"),
    **{
        name: (
            lambda provider, client, changes=changes: provider.fault(
                "rewrite", set={"id_token": id_token(provider, client, **changes)}) and {},
            reason,
        )
        for name, changes, reason in (
            ("of another issuer", {"iss": "https://evil.example.test"}, "id_token_issuer"),
            ("for another client", {"aud": "another-client"}, "id_token_audience"),
            ("expired", {"exp": 1}, "id_token_expired"),
            ("verified as a string", {"email_verified": "true"}, "email_not_verified"),
        )
    },
    "no JWT": (lambda provider, client: provider.fault("rewrite", set={"id_token": "x.y"}) and {}, "id_token_malformed"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_any_other_account_is_refused(service, provider, name):
    """wrong_account, with the claim that was wrong; nothing is stored."""
    arrange, reason = FAULTS[name]
    client = register(service, provider)
    body = refused(connect(service, provider, client, **arrange(provider, client)), 403, "wrong_account")
    assert body["provider_error"] == reason
    assert rows(service, "tokens") == 0


@pytest.mark.parametrize("name", ["another address", "not verified", "no id_token", "less scope", "no email scope"])
def test_a_refused_consent_leaves_the_old_grant(service, provider, name):
    """The row is what it was, byte for byte, and its token is still refreshed."""
    client = register(service, provider)
    token = connect(service, provider, client).json()["access_token"]
    before = token_row(service, client, "tokens::text")
    if name == "less scope":
        refused(connect(service, provider, client, action="allow-less"), 502, "insufficient_scope")
    elif name == "no email scope":
        provider.fault("rewrite", set={"scope": f"openid {SCOPE}"})
        refused(connect(service, provider, client), 502, "insufficient_scope")
    else:
        arrange, _ = FAULTS[name]
        refused(connect(service, provider, client, **arrange(provider, client)), 403, "wrong_account")
    assert token_row(service, client, "tokens::text") == before
    assert service.get(f"/tokens/{client['branch_identifier']}").json()["access_token"] == token
    assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200


def test_an_id_token_that_is_right_is_taken(service, provider):
    """The made-up token of these tests differs from a good one in nothing but what they change."""
    client = register(service, provider)
    provider.fault("rewrite", set={"id_token": id_token(provider, client)})
    assert connect(service, provider, client).status_code == 200


def test_the_address_counts_that_the_client_has_now(service, provider):
    """A PATCH during the login changes who may finish it."""
    client = register(service, provider)
    with Browser(service) as browser:
        url = browser.consent(browser.login(client))
        service.patch(f"/clients/{client['client_id']}", json={"workspace_email": "new@example.test"})
        refused(browser.callback(url), 403, "wrong_account")
    assert connect(service, provider, client).status_code == 200  # the page suggests the new one


def test_page_of_a_wrong_account(service, provider):
    """A person is told which account to use, and can begin again; the page names neither address."""
    client = register(service, provider)
    response = connect(service, provider, client, login="other@example.test", headers=BROWSER_ACCEPT)
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/html")
    assert "<code>wrong_account</code>" in response.text and "sign in as that address" in response.text
    assert f'<a href="{client["login_url"]}">Begin again</a>' in response.text
    assert "other@example.test" not in response.text and client["email"] not in response.text


def test_no_id_token_is_stored_or_logged(service, provider):
    """It holds the person's address and name."""
    client = register(service, provider)
    token = id_token(provider, client)
    provider.fault("rewrite", set={"id_token": token})
    assert connect(service, provider, client).status_code == 200
    assert token not in service.database.dump()
    assert token not in service.stderr() + service.nginx_error_log()
