"""The console at /console, as a person uses it."""

from selenium.webdriver.common.by import By

# A row as it is shown; null while there is none.
ROW = """
const row = [...document.querySelectorAll("tbody tr")].find((each) => each.querySelector(".name").textContent === arguments[0]);
if (!row) return null;
const text = (selector) => row.querySelector(selector)?.textContent ?? "";
return {
  state: [...row.querySelectorAll(".state")].map((each) => each.textContent),
  left: text(".left"), advice: text("td.advice"), workspace: text(".workspace"),
  actions: [...row.querySelectorAll("td.actions > *")].map((each) => each.textContent),
};
"""
CLICK_IN_ROW = """
const row = [...document.querySelectorAll("tbody tr")].find((each) => each.querySelector(".name").textContent === arguments[0]);
row.scrollIntoView({ block: "center" });
return [...row.querySelectorAll("td.actions > *")].find((each) => each.textContent === arguments[1]);
"""


# What is told goes after some seconds, which a browser may stand still for.
KEEP_TOASTS = """
window.toasts = [];
new MutationObserver(() => window.toasts.push(document.getElementById("toast").textContent))
  .observe(document.getElementById("toast"), { childList: true });
"""


class Console:
    def __init__(self, page, service):
        self.page = page
        self.service = service

    def open(self):
        self.page.open(f"{self.service.url}/console")
        self.page.run(KEEP_TOASTS)
        return self

    # --- what is to be seen -----------------------------------------------------------------------

    def text(self, selector):
        """The text of the first element, as the page has it; None where it is hidden."""
        return self.page.run(
            "const found = document.querySelector(arguments[0]);"
            "return found && found.checkVisibility() ? found.textContent : null;", selector)

    def is_open(self, dialog):
        return self.page.run("return document.getElementById(arguments[0]).open", f"{dialog}-dialog")

    def focus(self):
        """The accessible name of what has the focus, or what it is."""
        return self.page.run(
            "const it = document.activeElement;"
            "return it.getAttribute('aria-label') ?? (it.labels?.[0] ?? it).textContent.trim();")

    def row(self, branch):
        return self.page.run(ROW, branch)

    def branches(self):
        return self.page.run("return [...document.querySelectorAll('tbody .name')].map((each) => each.textContent)")

    def faults(self):
        """{field: message} of the form."""
        return self.page.run(
            "return Object.fromEntries([...document.querySelectorAll('#client-form [aria-invalid=true]')].map((input) =>"
            " [input.name, document.getElementById(`${input.id}-fault`).textContent]))")

    # --- waiting ----------------------------------------------------------------------------------

    def wait_for(self, selector, text):
        self.page.until(lambda: text in (self.text(selector) or ""), f"{text!r} in {selector}")

    def wait_for_toast(self, text):
        """Also one that is gone again, since open()."""
        self.page.until(lambda: any(text in each for each in self.page.run("return window.toasts")), f"a toast {text!r}")

    def wait_for_state(self, branch, *words):
        self.page.until(lambda: (self.row(branch) or {}).get("state") == list(words), f"{branch} is {words}")
        return self.row(branch)

    def wait_until_closed(self, dialog):
        self.page.until(lambda: not self.is_open(dialog), f"the {dialog} dialog closes")

    # --- doing ------------------------------------------------------------------------------------

    def sign_in(self, key):
        self.page.until(lambda: self.text("#sign-in") is not None, "the form to sign in")
        self.page.type("#key", key)
        self.page.click("#sign-in-form button")

    def fill(self, **fields):
        for name, value in fields.items():
            self.page.type(f"#field-{name}", value)

    def register(self, fields):
        """Opens the form, fills it in, sends it."""
        self.page.click("#register")
        self.fill(**{name: value for name, value in fields.items() if value is not None})
        self.page.click("#form-submit")

    def press(self, branch, action):
        """A button, or link, of the branch's row."""
        self.page.until(lambda: self.row(branch), f"a row {branch}")
        self.page.run(CLICK_IN_ROW, branch, action).click()

    def manage(self, branch, action):
        """Opens the branch's sheet, and presses this there; "": opens it."""
        if not self.is_open("branch"):
            self.press(branch, "Manage")
        if action:
            self.page.click(f"#branch-dialog [data-action={action}]")

    def consent(self):
        """In the tab that Connect has opened: allows the access."""
        with self.page.other_tab():
            self.page.wait_for_heading("Allow access?")
            self.page.click("#allow")
            self.page.wait_for_heading("Workspace connected")

    def field(self, name):
        return self.page.driver.find_element(By.ID, f"field-{name}").get_attribute("value")
