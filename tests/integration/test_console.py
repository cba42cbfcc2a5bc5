"""The console in a real browser: what a person sees and does there, and that it needs nothing but the API."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from support import keys
from support.console import Console
from support.flow import connect_fast, expire, register, registration, rows, token_row, unique
from support.hosts import PATIENT, locked as locked_row, waiting_for_locks
from support.processes import wait_until


@pytest.fixture
def service(make_service):
    """As patient as a browser is slow; with one worker for reads, so that /health speaks for all of them."""
    return make_service({**PATIENT, "DATABASE_WORKERS": "1"})


@pytest.fixture
def console(service, page):
    """The console of a service that asks for no key, open; afterwards the browser must have had nothing to complain of."""
    console = Console(page, service).open()
    yield console
    assert page.console() == []


def at_provider(service, provider, **fields):
    """A registration whose OAuth client the provider knows."""
    oauth_id, oauth_secret = provider.client()
    return registration(service, client_id=oauth_id, client_secret=oauth_secret, **fields)


def connected(service, provider, **fields):
    client = register(service, provider, **fields)
    connect_fast(service, provider, client)
    return client, client["branch_identifier"]


# --- register and connect -------------------------------------------------------------------------


def test_register_connect_valid(service, provider, console):
    """The way of a newcomer: the form, Connect, consent in the other tab; the row says so without a reload."""
    fields = at_provider(service, provider, workspace_name="Nord <b>", redirect_uri=None)
    console.wait_for("#none-yet", "No branches yet")
    assert console.text("#sign-in") is None  # no key is needed here, and none is asked for
    console.register(fields)
    row = console.wait_for_state(fields["branch_id"], "Not connected")
    assert row["workspace"] == "Nord <b> · owner@example.test"
    assert row["advice"] == "Connect it, or send its login link to the person who may."
    console.page.run("document.body.dataset.loaded = 'once'")
    console.press(fields["branch_id"], "Connect")
    console.consent()
    row = console.wait_for_state(fields["branch_id"], "Valid")
    assert console.page.run("return document.body.dataset.loaded") == "once"
    assert row["actions"] == ["Refresh now", "Manage"] and row["advice"] == ""
    assert service.get(f"/tokens/{fields['branch_id']}").status_code == 200


def test_invitation_to_connect_ends_with_the_connection(service, provider, console):
    """"Connect it now" is taken back when the branch is seen to be connected; here it would stay for ever."""
    console.page.run("const own = setTimeout; window.setTimeout = (work, ms) => ms < 5000 ? own(work, ms) : 0;")
    fields = at_provider(service, provider)
    console.register(fields)
    console.wait_for("#toast", "Connect it now")
    console.wait_for_state(fields["branch_id"], "Not connected")
    assert "Connect it now" in console.text("#toast")
    console.press(fields["branch_id"], "Connect")
    console.consent()
    console.page.until(lambda: console.text("#toast") == "", "the toast goes")
    assert console.row(fields["branch_id"])["state"] == ["Valid"]


def test_messages_of_the_api_stand_at_the_fields(service, console):
    """Wrong fields: at each the API's own message, the first has the focus, and nothing that was typed is lost."""
    typed = {"branch_id": "a/b", "workspace_email": "nobody", "client_id": "id-1", "client_secret": "secret-1",
             "redirect_uri": "ftp://x", "workspace_name": "Kept"}
    console.register(typed)
    console.wait_for("#form-trouble", "3 fields are wrong")
    told = {each["field"]: each["message"] for each in service.post("/clients", json=typed).json()["detail"]}
    assert console.faults() == told and set(told) == {"branch_id", "workspace_email", "redirect_uri"}
    assert console.focus() == "Branch"
    assert {name: console.field(name) for name in typed} == typed
    assert rows(service, "clients") == 0
    console.fill(branch_id="a-b", workspace_email="a@example.test", redirect_uri=f"{service.url}/auth/callback")
    console.page.click("#form-submit")
    console.wait_for_state("a-b", "Not connected")
    assert console.page.run("return document.querySelector('input[type=password][value]')?.value ?? ''") == ""
    assert "secret-1" not in console.page.source


def test_branch_that_is_registered_already(service, console):
    """409: told at the branch, with what to do."""
    taken = register(service)["branch_identifier"]
    console.register(registration(service, branch_id=taken))
    console.wait_for("#form-trouble", "One field is wrong")
    assert list(console.faults()) == ["branch_id"] and "registered already" in console.faults()["branch_id"]


def test_names_are_text(service, provider, console):
    """A branch, a name and an e-mail address that are markup are shown as they are, and run nothing."""
    evil = "<img src=x onerror=document.body.dataset.evil=1>"
    client = register(service, provider, branch_id=evil, workspace_name=evil)
    connect_fast(service, provider, client)
    console.open()
    console.wait_for_state(evil, "Valid")
    console.manage(evil, "delete")
    assert console.text("#confirm-title") == f"Delete {evil}?"
    page = console.page
    assert page.run("return [document.images.length, document.body.dataset.evil ?? null]") == [0, None]


# --- one branch -----------------------------------------------------------------------------------


def test_refresh_now(service, provider, console):
    """In the row and in the sheet: a new token; a failure is told with what to do, in the row too."""
    client, branch = connected(service, provider)
    expire(service, client, seconds_left=-60)
    console.open()
    row = console.wait_for_state(branch, "Expired")
    assert row["left"].endswith("ago")
    before = token_row(service, client, "access_token")
    console.press(branch, "Refresh now")
    console.wait_for_toast("Refreshed.")
    console.wait_for_state(branch, "Valid")
    # An answer that the browser came to late sets its clock, until the next one.
    console.page.until(lambda: console.row(branch)["left"].startswith("in 59 min"), "what is left of an hour")
    assert token_row(service, client, "access_token") != before
    provider.fault("status", times=None, status=503, body="")
    service.database.execute("UPDATE tokens SET refresh_began_at = now() - interval '1 hour', refresh_failures = 6")
    console.manage(branch, "refresh")
    console.wait_for("#branch-said", "provider cannot be reached")
    console.page.until(lambda: "provider cannot be reached" in console.row(branch)["advice"], "the advice in the row")
    assert "Next attempt in" in console.row(branch)["advice"]
    assert "provider_unavailable" in console.text("#branch-facts")


def test_countdown_runs(service, provider, console):
    """The time that is left goes down by itself; the UTC is in the element, the reader's time is shown."""
    client, branch = connected(service, provider)
    expire(service, client, seconds_left=3000)
    console.open()
    first = console.wait_for_state(branch, "Valid")["left"]
    console.page.until(lambda: console.row(branch)["left"] < first, "fewer seconds")
    time = console.page.driver.find_element(By.CSS_SELECTOR, "td.expiry time")
    utc = service.get("/clients").json()["clients"][0]["token"]["expires_at"]
    assert time.get_attribute("datetime") == utc and utc in time.get_attribute("title")


def test_revoke(service, provider, console):
    """Asks first, naming the branch; then the grant is given up here and at the provider."""
    client, branch = connected(service, provider)
    token = token_row(service, client, "access_token")[0]
    console.open()
    console.manage(branch, "revoke")
    assert branch in console.text("#confirm-title")
    console.page.click("#confirm-cancel")
    assert provider.introspect(token)["active"] is True
    console.manage(branch, "revoke")
    console.page.click("#confirm-go")
    console.wait_for("#branch-said", "at the provider")
    row = console.wait_for_state(branch, "Revoked")
    assert row["actions"] == ["Connect", "Manage"] and "Connect it again" in row["advice"]
    assert provider.introspect(token)["active"] is False


def test_deactivate_and_activate(service, provider, console):
    """Switched off: said in the row beside the token's state, and no token is answered; and back."""
    _, branch = connected(service, provider)
    console.open()
    console.manage(branch, "switch")
    console.wait_for_state(branch, "Valid", "Switched off")
    assert service.get(f"/tokens/{branch}").json()["error"] == "client_inactive"
    console.manage(branch, "switch")
    console.wait_for_state(branch, "Valid")
    assert service.get(f"/tokens/{branch}").status_code == 200


def test_edit(service, provider, console):
    """Only what was changed is sent; what is wrong is told at its field; an empty secret stays as it is."""
    client, branch = connected(service, provider)
    secret = service.database.one("SELECT client_secret FROM clients")
    console.open()
    console.manage(branch, "edit")
    console.fill(workspace_email="wrong")
    console.page.click("#form-submit")
    console.wait_for("#form-trouble", "One field is wrong")
    assert list(console.faults()) == ["workspace_email"]
    console.fill(workspace_email="new@example.test", workspace_name="")
    console.page.click("#form-submit")
    console.wait_for("#branch-said", "Saved.")
    # A poll that was under way may still show what was.
    console.page.until(lambda: console.row(branch)["workspace"] == "new@example.test", "the change in the row")
    assert service.database.one("SELECT client_secret FROM clients") == secret
    assert service.database.one("SELECT detail FROM audit_log WHERE action = 'client.changed'") == (
        "workspace_email, workspace_name",)
    console.manage(branch, "edit")
    console.fill(client_secret="another")
    console.page.click("#form-submit")
    console.wait_until_closed("form")
    assert service.database.one("SELECT client_secret FROM clients") != secret


def test_delete_demands_the_name(service, provider, console):
    """The dialog names the branch and wants it typed; Escape and a wrong name delete nothing."""
    _, branch = connected(service, provider)
    other = register(service)["branch_identifier"]
    console.open()
    console.manage(branch, "delete")
    assert branch in console.text("#confirm-title") and branch in console.text("#confirm-wanted")
    console.page.type("#confirm-name", f"{branch}x")
    console.page.click("#confirm-go")
    console.wait_for("#confirm-trouble", "not the name")
    console.page.keys(Keys.ESCAPE)
    console.wait_until_closed("confirm")
    assert rows(service, "clients") == 2
    console.manage(branch, "delete")
    console.page.type("#confirm-name", branch)
    console.page.click("#confirm-go")
    console.wait_until_closed("branch")
    console.wait_for_toast(f"{branch} is deleted")
    assert console.branches() == [other]
    assert service.get("/clients").json()["clients"][0]["branch_identifier"] == other
    assert console.focus() == "Branches"


def test_copy_login_link(service, console):
    """The link of the API, in the clipboard; where there is none, in a field to copy from."""
    client = register(service)
    driver = console.page.driver
    driver.execute_cdp_cmd("Browser.grantPermissions", {
        "origin": service.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    console.open()
    console.manage(client["branch_identifier"], "copy")
    console.wait_for("#branch-said", "in the clipboard")
    copied = driver.execute_async_script("navigator.clipboard.readText().then(arguments[0], (e) => arguments[0](String(e)))")
    assert copied == client["login_url"]
    console.page.run("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    console.manage(client["branch_identifier"], "copy")
    console.wait_for("#branch-said", "Copy this link")
    assert driver.find_element(By.CSS_SELECTOR, "#branch-said input").get_attribute("value") == client["login_url"]


def test_sheet_is_left_alone_while_nothing_changes(locked, database):
    """Every answer brings a new login link: the sheet takes it, and nothing else is made anew under the person's hands."""
    admin = keys.create(database, "admin")
    with keys.acting(locked.service, admin):
        client = register(locked.service)
    locked.sign_in(admin)
    locked.manage(client["branch_identifier"], "")
    page, path = locked.page, f"/clients/{client['client_id']}"
    link = "return document.querySelector('#branch-actions a').href"
    page.until(lambda: page.run("return Boolean(document.querySelector('#branch-actions a'))"), "the link")
    first = page.run(link)
    page.run("window.made = 0; const watch = new MutationObserver((all) => { window.made += all.length; });"
             " for (const id of ['branch-facts', 'branch-actions', 'branch-danger', 'branch-state'])"
             " watch.observe(document.getElementById(id), { childList: true });")
    locked.service.nginx.whole_access_log()  # none of the polls that were comes into it after this
    polls = sum(line["path"] == path for line in locked.service.access_log())
    wait_until(lambda: sum(line["path"] == path for line in locked.service.access_log()) >= polls + 3, 60, "three more polls")
    assert page.run("return window.made") == 0
    page.until(lambda: page.run(link) != first, "the link is a new one")


def test_dialog_that_was_closed_does_nothing_to_the_next_one(service, console):
    """A deletion that takes long is closed and goes on: the dialog and the sheet of another branch stay as they are."""
    slow, other = register(service), register(service)
    console.open()
    with locked_row(service.database, "SELECT * FROM clients WHERE id = %s FOR UPDATE", (slow["client_id"],)):
        console.manage(slow["branch_identifier"], "delete")
        console.page.type("#confirm-name", slow["branch_identifier"])
        console.page.click("#confirm-go")
        wait_until(lambda: waiting_for_locks(service.database), what="the deletion waits")
        console.page.click("#confirm-cancel")
        console.wait_until_closed("confirm")
        console.page.click("#branch-close")
        console.wait_until_closed("branch")
        console.manage(other["branch_identifier"], "delete")
    console.wait_for_toast(slow["branch_identifier"])
    assert console.is_open("confirm") and console.is_open("branch")
    assert other["branch_identifier"] in console.text("#confirm-title") and not console.text("#confirm-trouble")
    console.page.type("#confirm-name", other["branch_identifier"])
    console.page.click("#confirm-go")
    console.wait_until_closed("branch")
    wait_until(lambda: other["branch_identifier"] not in console.branches())


def test_branch_that_is_deleted_elsewhere_closes_its_sheet(service, console):
    """Nobody works on with what is gone: it is said, and the focus is at the list."""
    client = register(service)
    console.open()
    console.manage(client["branch_identifier"], "")
    assert service.delete(f"/clients/{client['client_id']}").status_code == 204
    console.wait_until_closed("branch")
    console.wait_for_toast("was deleted meanwhile")
    console.wait_for("#none-yet", "No branches yet")
    assert console.focus() == "Branches"


def test_row_that_goes_hands_its_focus_on(service, provider, console):
    """It no longer matches the filter: who stood in it stands at the next one, then at the title."""
    first, second = (connected(service, provider)[1] for _ in range(2))
    console.open()
    console.page.run("const state = document.getElementById('state'); state.value = 'valid'; state.dispatchEvent(new Event('change'));")
    console.wait_for_state(first, "Valid")
    console.page.run("document.querySelector('tbody tr .actions button').focus()")
    for branch, then in ((first, second), (second, "Branches")):
        service.database.execute("UPDATE tokens SET is_revoked = true WHERE client_id ="
                                 " (SELECT id FROM clients WHERE branch_id = %s)", (branch,))
        console.page.until(lambda: branch not in console.branches(), "the row goes")
        assert console.focus() == then


# --- the list -------------------------------------------------------------------------------------


def test_search_and_state(service, provider, console):
    """What is typed is searched for by the service, the state is filtered by it; nothing found is said, with a way out."""
    north, south = (connected(service, provider, workspace_name=name)[1] for name in ("North", "South"))
    never = register(service, workspace_name="North, too")["branch_identifier"]
    console.open()
    console.page.until(lambda: console.branches() == [north, south, never], "all of them")
    console.page.type("#search", "nOrTh")
    console.page.until(lambda: console.branches() == [north, never], "those of the search")
    console.page.driver.find_element(By.CSS_SELECTOR, "#state option[value=valid]").click()
    console.page.until(lambda: console.branches() == [north], "the valid one of them")
    console.page.type("#search", "nothing like this")
    console.wait_for("#none-found", "No branch matches")
    console.page.click("#show-all")
    console.page.until(lambda: console.branches() == [north, south, never], "all of them again")


def test_what_others_do_is_seen(service, provider, console):
    """Registered, connected, deleted elsewhere: the list follows by itself."""
    client = register(service, provider)
    branch = client["branch_identifier"]
    console.wait_for_state(branch, "Not connected")
    connect_fast(service, provider, client)
    console.wait_for_state(branch, "Valid")
    service.database.execute("UPDATE tokens SET is_valid = false, provider_error = 'invalid_grant'")
    assert "invalid_grant" in console.wait_for_state(branch, "Consent needed")["advice"]
    assert service.delete(f"/clients/{client['client_id']}").status_code == 204
    console.wait_for("#none-yet", "No branches yet")


MANY = 10_000


def test_ten_thousand_branches(service, console):
    """A search finds the last of them; scrolling loads them all, and the page still answers at once to what is typed."""
    service.database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email, workspace_name)"
        " SELECT 'id', 'sealed', %s, 'branch-' || n, n || '@example.test', 'Workspace ' || n"
        " FROM generate_series(1, %s) n", (f"{service.url}/auth/callback", MANY))
    console.open()
    page = console.page
    page.until(lambda: len(console.branches()) >= 100, "the first page")
    assert len(console.branches()) < 1000  # the rest waits until it is wanted
    page.type("#search", f"branch-{MANY}")
    page.until(lambda: console.branches() == [f"branch-{MANY}"], "the last of them")
    page.type("#search", " ")
    page.until(lambda: len(console.branches()) >= 100, "all of them")
    def all_loaded():
        page.run("scrollTo(0, document.documentElement.scrollHeight)")
        return page.run("return document.querySelectorAll('tbody tr').length") == MANY

    page.until(all_loaded, "all of them, by scrolling")
    page.until(lambda: console.text("#summary") == f"{MANY} branches", "their number")
    assert console.branches() == [f"branch-{n}" for n in range(1, MANY + 1)]
    # With all the rows there, a change of everything's width costs a fraction of what it does where none is passed over.
    drawn, laid_out = page.driver.execute_async_script("""
        const done = arguments[0], time = (work) => {
          const samples = [];
          for (let n = 0; n < 3; n++) { const begun = performance.now(); work(n); document.body.offsetHeight; samples.push(performance.now() - begun); }
          return samples.sort((a, b) => a - b)[0];
        };
        const table = document.getElementById("table");
        const drawn = time((n) => { table.style.width = `calc(100% - ${n + 1}px)`; });
        for (const chunk of table.tBodies) chunk.style.contentVisibility = "visible";
        document.body.offsetHeight;
        done([drawn, time((n) => { table.style.width = `calc(100% - ${n + 10}px)`; })]);
    """)
    assert drawn < laid_out / 4, (drawn, laid_out)
    page.type("#search", "branch-77")
    page.until(lambda: console.branches()[:1] == ["branch-77"], "another search")


def test_database_away(cluster, service, provider, console):
    """The list stays, with a notice of what is wrong; a page that begins then says so; Try again brings it back."""
    _, branch = connected(service, provider)
    console.open()
    console.wait_for_state(branch, "Valid")
    with cluster.stopped():
        console.wait_for("#trouble", "not up to date")
        assert console.row(branch)
        console.open()
        console.wait_for("#trouble", "cannot be shown")
        assert "database cannot be reached" in console.text("#trouble")
        console.page.click("#retry")
        console.wait_for("#trouble", "cannot be shown")
    console.page.until(lambda: service.get("/health").status_code == 200, "the database is back")
    # By itself the page tries again only after a minute.
    console.page.click("#retry")
    console.wait_for_state(branch, "Valid")
    assert console.text("#trouble") is None
    assert console.focus() == "Branches"  # not with the button out of sight


def test_database_away_while_the_first_branches_are_made(cluster, service, console):
    """Only what was just registered is in the list: that it is not up to date is said, and taken back; and others' come."""
    console.register(registration(service, redirect_uri=None))
    console.page.until(lambda: len(console.branches()) == 1, "the branch")
    with cluster.stopped():
        console.wait_for("#trouble", "not up to date")
    console.page.until(lambda: service.get("/health").status_code == 200, "the database is back")
    theirs = register(service)["branch_identifier"]
    console.page.click("#retry")
    console.wait_for_state(theirs, "Not connected")
    assert console.text("#trouble") is None and len(console.branches()) == 2


def test_page_of_somebody_in_between_is_told(service, console):
    """A proxy that answers for the service, with success and with something of its own."""
    console.page.run("const own = fetch; window.fetch = (url, options) => String(url).includes('/clients') ?"
                     " Promise.resolve(new Response('<h1>Sign in</h1>')) : own(url, options)")
    console.wait_for("#trouble", "Something between this page and the service answered")


# --- keys -----------------------------------------------------------------------------------------


@pytest.fixture
def locked(make_service, page):
    """The console of a service that asks for keys."""
    console = Console(page, make_service(keys.REQUIRED)).open()
    yield console
    assert page.console() == []


def everything_kept(page):
    return page.run(
        "return JSON.stringify([location.href, {...localStorage}, {...sessionStorage}, document.cookie, history.state,"
        " document.documentElement.outerHTML, [...document.querySelectorAll('input')].map((each) => each.value)])")


def test_sign_in_wants_an_admin_key(locked, database):
    """Without a key, with one that is unknown, revoked or a fetcher's: the form, with the reason, and no branch."""
    page = locked.page
    locked.wait_for("#sign-in", "admin")
    assert locked.text("#sign-in-reason") is None  # nothing was wrong yet
    page.click("#sign-in-form button")
    locked.wait_for("#sign-in-reason", "Enter an admin key")
    gone = keys.create(database, "admin")
    keys.revoke(database, gone)
    locked.sign_in("schlüssel")
    locked.wait_for("#sign-in-reason", "no API key")
    for key, reason in (("tsk_unknown", "not known"), (gone, "revoked"), (keys.create(database, "fetcher"), "admin key")):
        locked.sign_in(key)
        locked.wait_for("#sign-in-reason", reason)
        assert locked.text("#branches") is None and locked.focus() == "Admin key"
        assert key not in everything_kept(page)


def test_sign_in_work_sign_out(locked, database, provider):
    """An admin key opens everything, a ticket in the link included; it is in this tab alone; signed out, it is nowhere."""
    admin = keys.create(database, "admin")
    fields = at_provider(locked.service, provider, redirect_uri=None)
    locked.sign_in(admin)
    locked.wait_for("#none-yet", "No branches yet")
    locked.register(fields)
    locked.wait_for_state(fields["branch_id"], "Not connected")
    locked.press(fields["branch_id"], "Connect")
    with locked.page.other_tab():
        locked.page.wait_for_heading("Allow access?")
        assert locked.page.run("return sessionStorage.length") == 0
        locked.page.click("#allow")
        locked.page.wait_for_heading("Workspace connected")
    locked.wait_for_state(fields["branch_id"], "Valid")
    page = locked.page
    assert page.run("return [location.href.includes(arguments[0]), localStorage.length, document.documentElement.outerHTML.includes(arguments[0])]",
                    admin) == [False, 0, False]
    page.driver.refresh()  # still signed in
    locked.wait_for_state(fields["branch_id"], "Valid")
    page.click("#sign-out")
    locked.wait_for("#sign-in", "Sign in")
    kept = everything_kept(page)
    assert admin not in kept and fields["branch_id"] not in kept
    page.driver.refresh()
    locked.wait_for("#sign-in", "Sign in")
    # Nothing of it is in a log either.
    assert admin not in locked.service.nginx.whole_access_log()
    assert admin not in locked.service.stderr()


def test_key_that_is_revoked_meanwhile(locked, database):
    """Any refused call leads back to the form, with the reason; open dialogs and the list are gone."""
    admin = keys.create(database, "admin")
    locked.sign_in(admin)
    locked.wait_for("#none-yet", "No branches yet")
    with keys.acting(locked.service, admin):
        branch = register(locked.service)["branch_identifier"]
    locked.wait_for_state(branch, "Not connected")
    locked.manage(branch, "")
    keys.revoke(database, admin)
    locked.wait_for("#sign-in-reason", "revoked")
    assert not locked.is_open("branch") and locked.branches() == []
    assert admin not in everything_kept(locked.page)


# --- how it is served, and for whom ---------------------------------------------------------------


def test_keyboard_alone(service, provider, console):
    """Register and connect without a pointer: the form is reached, filled in and sent, and the focus goes on to Connect."""
    fields = at_provider(service, provider, branch_id=unique("keys"))
    page = console.page
    console.wait_for("#none-yet", "No branches yet")

    def tab_to(name):
        for _ in range(30):
            if console.focus() == name:
                return
            page.keys(Keys.TAB)
        raise AssertionError(f"{name} was not reached; {console.focus()} was")

    tab_to("Register a branch")
    page.keys(Keys.ENTER)
    page.until(lambda: console.is_open("form"), "the form")
    for label, name in (("Branch", "branch_id"), ("Workspace name", "workspace_name"), ("Workspace e-mail", "workspace_email"),
                        ("Client id", "client_id"), ("Client secret", "client_secret")):
        tab_to(label)
        page.keys(fields[name])
    page.keys(Keys.ENTER)
    console.wait_for_state(fields["branch_id"], "Not connected")
    page.until(lambda: console.focus() == f"Connect {fields['branch_id']}", "the focus on Connect")
    ring = page.run("const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.outlineWidth]")
    assert ring == ["solid", "3px"]
    page.keys(Keys.ENTER)
    console.consent()
    console.wait_for_state(fields["branch_id"], "Valid")
    tab_to(f"Manage {fields['branch_id']}")
    page.keys(Keys.ENTER)
    page.until(lambda: console.is_open("branch"), "the sheet")
    page.keys(Keys.ESCAPE)
    console.wait_until_closed("branch")
    assert console.focus() == f"Manage {fields['branch_id']}"


def test_narrow_window(service, provider, console):
    """At 320 pixels nothing is cut off or has to be scrolled for sideways, in the list, the form and the sheet."""
    connected(service, provider, branch_id="a-branch-with-a-name-" + "x" * 60)
    _, branch = connected(service, provider)
    page = console.page
    page.window(320, 700)
    console.open()
    console.wait_for_state(branch, "Valid")

    def overflow():
        return page.run(
            "return [...document.querySelectorAll('html, dialog[open], tbody tr')]"
            ".filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.tagName)")

    assert overflow() == []
    page.click("#register")
    assert overflow() == []
    page.click("#form-cancel")
    console.manage(branch, "delete")
    assert overflow() == []


def test_list_fits_the_window(service, provider, console):
    """At every width the list is either a table with room for its columns or cards: nothing is scrolled for sideways."""
    _, branch = connected(service, provider)
    page = console.page
    layouts = set()
    for width in range(600, 1320, 40):
        page.window(width, 700)
        console.open()
        console.wait_for_state(branch, "Valid")
        assert page.run("return document.documentElement.scrollWidth") <= width
        layouts.add(page.run("return getComputedStyle(document.querySelector('thead')).position"))
    assert len(layouts) == 2


def test_console_at_a_path_prefix(make_service, provider, page):
    """Behind a prefix the page finds its files, the API and the callback there, and nothing is outside."""
    service = make_service(nginx=False)
    service.start_nginx(options={"path-prefix": "/tokens-api"})
    assert service.get("/console").status_code == 404
    page.open(f"{service.url}/tokens-api/console")
    console = Console(page, service)
    fields = at_provider(service, provider, redirect_uri=None)
    console.register(fields)
    console.wait_for_state(fields["branch_id"], "Not connected")
    console.press(fields["branch_id"], "Connect")
    console.consent()
    console.wait_for_state(fields["branch_id"], "Valid")
    assert service.database.one("SELECT redirect_uri FROM clients") == (f"{service.url}/tokens-api/auth/callback",)
    assert page.console() == []
