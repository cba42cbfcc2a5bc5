"""No finding of axe-core that it calls serious or critical, in any page that a person sees."""

from support import keys
from support.axe import findings
from support.console import Console
from support.flow import connect_fast, register

SCHEMES = ("light", "dark")
# Of the states that a row can have: what is done to its token.
TOKENS = (
    "expires_at = now() + interval '1 hour'",
    "expires_at = now() + interval '1 minute', refresh_error = 'provider_unavailable'",
    "expires_at = now() - interval '1 hour', refresh_error = 'client_credentials_rejected'",
    "is_valid = false, provider_error = 'invalid_grant'",
    "is_revoked = true",
)


def assert_accessible(page, *what, within="html"):
    """In both colour schemes."""
    for scheme in SCHEMES:
        page.colours(scheme)
        assert findings(page, within) == [], (*what, scheme)


def test_axe_finds_something(page):
    """The check can fail: a picture without text, and grey on grey, are found; elsewhere they are not looked for."""
    page.open("data:text/html,<html lang=en><title>t</title><main><h1>A page</h1><img src=x>"
              "<p style='color:%23ccc;background:%23ddd'>Grey on grey</p>")
    assert {rule for rule, _ in findings(page)} == {"image-alt", "color-contrast"}
    assert findings(page, "h1") == []


def test_console_list_and_dialogs(service, provider, page):
    """Empty, every state in the table, nothing found, the form with its messages, the sheet, the question; wide and narrow."""
    console = Console(page, service).open()
    console.wait_for("#none-yet", "No branches yet")
    assert_accessible(page, "empty")
    clients = [register(service, provider) for _ in range(len(TOKENS) + 2)]
    for client, sql in zip(clients, TOKENS):
        connect_fast(service, provider, client)
        service.database.execute(f"UPDATE tokens SET {sql} WHERE client_id = %s", (client["client_id"],))
    service.database.execute("UPDATE clients SET is_active = false WHERE id = %s", (clients[-1]["client_id"],))
    console.open()
    names = [client["branch_identifier"] for client in clients]
    page.until(lambda: console.branches() == names, "all rows")
    assert_accessible(page, "table")
    page.window(320, 700)
    assert_accessible(page, "narrow table")
    page.window(1200, 900)
    page.click("#register")
    page.click("#form-submit")
    console.wait_for("#form-trouble", "fields are wrong")
    assert_accessible(page, "form with messages")
    page.click("#form-cancel")
    console.manage(names[1], "")
    assert_accessible(page, "sheet")
    console.manage(names[1], "delete")
    page.click("#confirm-go")
    console.wait_for("#confirm-trouble", "not the name")
    assert_accessible(page, "question")
    page.click("#confirm-cancel")
    page.click("#branch-close")
    page.type("#search", "nothing like this")
    console.wait_for("#none-found", "No branch matches")
    assert_accessible(page, "nothing found")


def test_console_in_trouble(cluster, service, provider, page):
    register(service)
    console = Console(page, service).open()
    page.until(console.branches, "the row")
    with cluster.stopped():
        console.wait_for("#trouble", "not up to date")
        assert_accessible(page, "trouble")
    page.until(lambda: service.get("/health").status_code == 200, "the database is back")


def test_console_sign_in(make_service, page):
    console = Console(page, make_service(keys.REQUIRED)).open()
    console.wait_for("#sign-in", "Sign in")
    assert_accessible(page, "sign in")
    console.sign_in("unknown")
    console.wait_for("#sign-in-reason", "not known")
    assert_accessible(page, "refused")


def test_result_pages(service, provider, page):
    """What the person sees after refusing the consent, after giving it, and when the login is over."""
    client = register(service, provider)
    page.open(client["login_url"])
    page.wait_for_heading("Allow access?")
    page.click("#deny")
    page.wait_for_heading("The workspace is not connected")
    assert_accessible(page, "not connected")
    page.open(client["login_url"])
    page.wait_for_heading("Allow access?")
    page.click("#allow")
    page.wait_for_heading("Workspace connected")
    assert_accessible(page, "connected")
    page.driver.refresh()  # its state has been used
    page.wait_for_heading("The workspace is not connected")
    assert "invalid_state" in page.text
    assert_accessible(page, "expired")


def open_call(page, name):
    """Opens one call of Swagger UI, to be tried and with the schemas shown, and answers where it is."""
    within = f".opblock[id$=-{name}]"
    page.click(f"{within} .opblock-summary-control")
    # Its parameters come from the document a little later.
    page.until(lambda: page.run(
        "const call = document.querySelector(arguments[0]);"
        "return call.querySelector('.try-out__btn') && !call.querySelector('.parameter__name:empty')", within), f"{name} is open")
    page.click(f"{within} .try-out__btn")
    page.run("for (const tab of document.querySelectorAll(arguments[0])) tab.click()", f"{within} .tablinks[data-name=model]")
    return within


def test_swagger_ui(service, page):
    """/docs as it comes; calls that are open, with each kind of parameter and body; an answer; the dialog for a key."""
    page.window(1200, 900)
    page.open(f"{service.url}/docs")
    page.until(lambda: "Register a branch" in page.text, "the document")
    assert_accessible(page, "as it comes")
    for name in ("getToken", "listClients", "refreshToken", "updateClient", "deleteClient", "getHealth"):
        within = open_call(page, name)
        if name == "getHealth":
            page.click(f"{within} .execute")
            page.until(lambda: "healthy" in page.run("return document.querySelector('.live-responses-table')?.textContent ?? ''"), "the answer")
        assert findings(page, within) == [], name
        page.click(f"{within} .opblock-summary-control")
    page.click(".auth-wrapper .authorize")
    page.type(".dialog-ux input", "key")
    assert findings(page, ".dialog-ux") == []
    page.click(".dialog-ux .authorize")
    page.until(lambda: "Logout" in page.text, "the key is taken")
    assert findings(page, ".dialog-ux") == []
    page.click(".dialog-ux .close-modal")
    assert page.console() == []


def test_redoc(service, page):
    """/redoc with everything open, in a wide and a narrow window: samples that are cut off can be scrolled with the keys."""
    page.window(1200, 900)
    page.open(f"{service.url}/redoc")
    page.until(lambda: "Register a branch" in page.text, "the document")
    assert_accessible(page, "as it comes")
    page.run("for (const closed of document.querySelectorAll('button[aria-expanded=false]')) closed.click()")
    assert findings(page) == []
    page.window(400, 700)
    assert findings(page) == []
