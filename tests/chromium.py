"""Chromium without a window, driven by Selenium (https://www.selenium.dev/documentation/webdriver/)."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
HOW_TO_INSTALL = "no Chromium with its driver is installed (Debian: apt-get install chromium chromium-driver)"
needs_chromium = pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=HOW_TO_INSTALL)

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


class Page:
    """A page of the browser."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    @property
    def errors(self) -> list[str]:
        """What scripts and requests of the page failed with since this was asked last."""
        return [entry["message"] for entry in self._driver.get_log("browser") if entry["level"] == "SEVERE"]

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression; of a promise, what it resolves to."""
        return self._driver.execute_script(f"return {expression}")

    def wait_for(self, expression: str, seconds: float = 30) -> None:
        WebDriverWait(self._driver, seconds, poll_frequency=0.05).until(lambda _: self.evaluate(expression), expression)

    def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._driver.get(url)

    @contextlib.contextmanager
    def frame(self) -> Iterator[None]:
        """Acts in the page's one frame."""
        self._driver.switch_to.frame(0)
        yield
        self._driver.switch_to.default_content()

    def click(self, selector: str) -> None:
        self._driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, key: str) -> None:
        """Presses a key, one of `selenium.webdriver.Keys`."""
        ActionChains(self._driver).send_keys(key).perform()

    def set_file(self, selector: str, file: Path) -> None:
        self._driver.find_element(By.CSS_SELECTOR, selector).send_keys(str(file))


@contextlib.contextmanager
def opened_page(profile: Path) -> Iterator[Page]:
    """Starts Chromium with an empty profile and yields its page."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    with Chrome(options, ChromeService(DRIVER)) as driver:
        yield Page(driver)
