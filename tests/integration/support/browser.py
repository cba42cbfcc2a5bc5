"""A real browser: Debian's chromium, headless, driven through chromium-driver."""

import contextlib
import shutil
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from . import processes

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # root has none
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--window-size=800,700",
]


class Page:
    """What the person sees."""

    def __init__(self, driver):
        self.driver = driver
        self.presses = self.entries = 0  # what press() and enter() were asked for
        # A page may go while one of its elements is read; the next try reads the page that came.
        self.wait = WebDriverWait(driver, processes.seconds(60), ignored_exceptions=[StaleElementReferenceException])

    def open(self, url):
        self.driver.get(url)

    def click(self, selector):
        self.wait.until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector)).click()

    def wait_for_heading(self, text):
        self.wait.until(lambda driver: text in driver.find_element(By.TAG_NAME, "h1").text)

    def wait_for_path(self, path):
        self.wait.until(lambda driver: urlsplit(driver.current_url).path == path)

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def source(self):
        return self.driver.page_source

    def console(self):
        """Errors and warnings, those of the Content-Security-Policy among them; not the status of a failed page."""
        return [
            entry["message"] for entry in self.driver.get_log("browser")
            if "Failed to load resource" not in entry["message"]
        ]

    def run(self, script, *arguments):
        """The value of a function's body of JavaScript, which has arguments."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, what):
        """Waits for condition() and returns what it gave; says what was waited for, and what is there instead."""
        try:
            return self.wait.until(lambda _: condition())
        except TimeoutException:
            raise AssertionError(f"waited in vain for: {what}; the page has:\n{self.text[:3000]}") from None

    def type(self, selector, text):
        """In the place of what the field has."""
        field = self.wait.until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))
        field.clear()
        field.send_keys(text)

    def press(self, text):
        """The button or link in sight that is so named."""
        self.presses += 1
        names = f"//*[self::button or self::a][normalize-space()='{text}']"
        self.until(lambda: [each for each in self.driver.find_elements(By.XPATH, names) if each.is_displayed()], text)[0].click()

    def enter(self, label, text):
        """Into the field that has this label."""
        self.entries += 1
        field = f"//input[@id=//label[normalize-space()='{label}']/@for]"
        self.until(lambda: self.driver.find_elements(By.XPATH, field), label)[0].send_keys(text)

    def keys(self, *keys):
        """To whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def window(self, width, height):
        """The size of what is to be seen of a page, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def colours(self, scheme):
        """scheme: light or dark. Nothing moves meanwhile: what is measured is how it ends."""
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    @contextlib.contextmanager
    def other_tab(self):
        """Inside the block: the tab that was just opened, which is closed then."""
        own = self.driver.current_window_handle
        self.until(lambda: len(self.driver.window_handles) == 2, "a second tab")
        [other] = [handle for handle in self.driver.window_handles if handle != own]
        self.driver.switch_to.window(other)
        try:
            yield
        finally:
            self.driver.close()
            self.driver.switch_to.window(own)

    def style(self, selector, name):
        return self.driver.find_element(By.CSS_SELECTOR, selector).value_of_css_property(name)


@contextlib.contextmanager
def browser(monkeypatch):
    """A Page of a browser of its own, which is gone after the block."""
    directory = processes.make_directory("web")
    for name, value in (("HOME", directory), ("XDG_CONFIG_HOME", directory), ("XDG_CACHE_HOME", directory)):
        monkeypatch.setenv(name, str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    # urllib3, which speaks to the driver, would ask a proxy of the environment.
    monkeypatch.setenv("NO_PROXY", "*")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in [*ARGUMENTS, f"--user-data-dir={directory}/profile"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Driver(executable_path=DRIVER))
    try:
        yield Page(driver)
    finally:
        driver.quit()
        shutil.rmtree(directory, ignore_errors=True)
