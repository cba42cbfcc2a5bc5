"""Consent with a real browser."""

from selenium.webdriver.common.by import By

from support.flow import register, token_row


def assert_is_clean(page, service, provider, client):
    """Styled as its Content-Security-Policy allows, no complaint of the browser, no secret in the page."""
    assert page.console() == []
    assert page.style("h1", "font-size") == "24px"  # the page's own style was applied
    row = token_row(service, client, "access_token, refresh_token") or ()
    code = [entry["code"] for entry in provider.log(grant_type="authorization_code")]
    for secret in (*row, *code):
        assert secret not in page.source
    for word in ("access_token", "refresh_token"):
        assert word not in page.source


def test_allow(service, provider, page):
    """login_url, consent page, Allow: the browser ends on a page that says so, and the branch has its token."""
    client = register(service, provider, branch_id="Café 1 <main>", workspace_email="owner@example.test")
    page.open(client["login_url"])
    page.wait_for_heading("Allow access?")
    assert client["client_oauth_id"] in page.text
    assert page.driver.find_element(By.ID, "login").get_attribute("value") == "owner@example.test"
    page.console()  # the provider's page is not what is tested
    page.click("#allow")
    page.wait_for_path("/auth/callback")
    page.wait_for_heading("Workspace connected")
    assert "Café 1 <main>" in page.text
    assert "You can close this window." in page.text
    assert_is_clean(page, service, provider, client)
    # Neither scripts nor other sites get at the cookie.
    (cookie,) = [each for each in page.driver.get_cookies() if each["name"] == "token_service_login"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "localhost")
    assert page.driver.execute_script("return document.cookie") == ""
    token = token_row(service, client, "access_token")[0]
    assert provider.introspect(token)["login"] == "owner@example.test"

    page.driver.refresh()  # what a person does next: the state is used up, the grant stays
    page.wait_for_heading("The workspace is not connected")
    assert "invalid_state" in page.text
    assert token_row(service, client, "access_token")[0] == token


def test_deny_then_begin_again(service, provider, page):
    """Deny: a page with the reason and "Begin again", which leads through the consent to success."""
    client = register(service, provider)
    page.open(client["login_url"])
    page.wait_for_heading("Allow access?")
    page.console()
    page.click("#deny")
    page.wait_for_path("/auth/callback")
    page.wait_for_heading("The workspace is not connected")
    assert "provider_denied" in page.text and "access_denied" in page.text
    assert_is_clean(page, service, provider, client)
    assert token_row(service, client, "access_token") is None
    link = page.driver.find_element(By.LINK_TEXT, "Begin again")
    assert link.get_attribute("href") == client["login_url"]
    link.click()
    page.wait_for_heading("Allow access?")
    page.console()
    page.click("#allow")
    page.wait_for_heading("Workspace connected")
    assert_is_clean(page, service, provider, client)


def test_two_tabs(service, provider, page):
    """Two logins side by side in one browser: each consent lands on its own branch."""
    oauth_id, oauth_secret = provider.client()
    clients = [
        register(service, client_id=oauth_id, client_secret=oauth_secret, workspace_email=f"{name}@example.test")
        for name in ("first", "second")
    ]
    tabs = []
    for client in clients:
        page.driver.switch_to.new_window("tab")
        page.open(client["login_url"])
        page.wait_for_heading("Allow access?")
        tabs.append(page.driver.current_window_handle)
    for tab, client in zip(tabs, clients):
        page.driver.switch_to.window(tab)
        page.click("#allow")
        page.wait_for_heading("Workspace connected")
        assert client["branch_identifier"] in page.text
    for client in clients:
        token = token_row(service, client, "access_token")[0]
        assert provider.introspect(token)["login"] == client["email"]


def test_login_link_on_another_name_of_the_host(service, provider, page):
    """Opened as 127.0.0.1, the login moves to the callback's host, and the cookie is there when it comes back."""
    client = register(service, provider)
    page.open(f"http://127.0.0.1:{service.nginx.port}/oauth/login/{client['client_id']}")
    page.wait_for_heading("Allow access?")
    page.click("#allow")
    page.wait_for_heading("Workspace connected")
