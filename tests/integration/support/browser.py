"""A real browser: Debian's chromium, headless, driven through chromium-driver."""

import contextlib
import shutil
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
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
        self.wait = WebDriverWait(driver, processes.seconds(60))

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
