"""Debian's Chromium without a window, and what tests ask of a page.

    with Browser() as browser:
        browser.open(path_or_url)
        browser.resize(375, 800)

`make test-browser` runs every *_test.py of this folder with Debian's Python, which has selenium.
Screenshots go to build/browser/.
"""

import os
import pathlib
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = pathlib.Path(__file__).resolve().parents[2]
KVASIR = os.environ.get("KVASIR", str(ROOT / "build/release/kvasir"))
SCREENSHOTS = ROOT / "build/browser"

# Canvases that have a size and not one pixel.
BLANK_CANVASES = """
return [...document.querySelectorAll("canvas")].filter((canvas) => {
  if (!canvas.width || !canvas.height || !canvas.getClientRects().length) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return !pixels.some((value) => value !== 0);
}).map((canvas) => canvas.getAttribute("aria-label") || canvas.id || canvas.className);
"""


class Browser:
    def __init__(self, width=1280, height=900):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage",
                     "--hide-scrollbars", "--force-device-scale-factor=1"):
            options.add_argument(flag)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium has no sandbox for root
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def open(self, place):
        """A URL, or the path of a file."""
        url = str(place)
        self.driver.get(url if "://" in url else pathlib.Path(url).resolve().as_uri())

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def resize(self, width, height=900):
        """The page's own size in CSS pixels, which may be narrower than a window can be."""
        self.width, self.height = width, height
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def dark(self, on=True):
        """Dark mode; without movement, as clicks would miss what is still moving."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if on else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"}]})

    def console_errors(self):
        """Errors since the last call: uncaught ones, failed loads, console.error."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE"]

    def blank_canvases(self):
        return self.run(BLANK_CANVASES)

    def requests(self):
        """What the page loaded besides itself."""
        return self.run("return performance.getEntriesByType('resource').map((e) => e.name)")

    def horizontal_overflow(self):
        """Pixels by which the page is wider than the screen."""
        return self.run("return document.documentElement.scrollWidth") - self.width

    def screenshot(self, name, whole=False):
        """Of the screen, or of the whole page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        if not whole:
            self.driver.save_screenshot(str(path))
            return path
        before = self.height
        height = self.run("return document.documentElement.scrollHeight")
        self.resize(self.width, min(height, 16000))
        self.driver.save_screenshot(str(path))
        self.resize(self.width, before)
        return path


class PageTest(unittest.TestCase):
    """One browser for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.driver.quit)

    def setUp(self):
        self.browser.resize(1280)
        self.browser.dark(False)
        self.browser.console_errors()

    def assert_quiet(self):
        self.assertEqual(self.browser.console_errors(), [])
