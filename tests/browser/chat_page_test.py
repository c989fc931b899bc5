"""The page of `kvasir serve`, in a browser, against a real server."""

import json
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import browser

STORY = "The river ran past the old mill. " * 60


class ChatPageTest(browser.PageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        log = tempfile.NamedTemporaryFile()
        cls.addClassCleanup(log.close)
        cls.server = subprocess.Popen([browser.KVASIR, "serve", "--port", "0", "--parallel", "4"],
                                      stderr=log)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)
        for _ in range(300):
            said = pathlib.Path(log.name).read_text(encoding="utf-8")
            if found := re.search(r"serving on (http://[^/]+)/", said):
                cls.url = found[1]
                return
            time.sleep(0.1)
        raise RuntimeError("the server did not start: " + said)

    def setUp(self):
        super().setUp()
        self.browser.open(self.url + "/")
        self.wait(lambda: self.browser.find_all(".pane"))
        self.assert_quiet()

    def wait(self, condition, seconds=60):
        return WebDriverWait(self.browser.driver, seconds, 0.05).until(lambda _: condition())

    def panes(self):
        return self.browser.find_all(".pane")

    def set(self, selector, value):
        self.browser.run(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('input'))", selector, str(value))

    def ask(self, text, n_tokens=12, wait=True):
        self.set("#max-tokens", n_tokens)
        message = self.browser.find("#message")
        self.wait(message.is_displayed)
        message.send_keys(text, Keys.ENTER)
        if wait:
            self.wait(lambda: self.browser.find("#send").is_displayed())

    def figure(self, pane, name):
        return pane.find_elements(By.CSS_SELECTOR, f".figures .{name}")[-1].text

    def test_loads_nothing_from_elsewhere(self):
        names = self.browser.requests()
        self.assertGreater(len(names), 3)
        for name in names:
            self.assertTrue(name.startswith((self.url, "data:")), name)
        self.assertEqual(self.browser.find_all("script:not([src])"), [])

    def test_the_list_is_that_of_the_program(self):
        methods = json.loads(subprocess.run([browser.KVASIR, "methods", "--json"], check=True,
                                            capture_output=True, text=True).stdout)["methods"]
        options = Select(self.panes()[0].find_element(By.CSS_SELECTOR, ".list")).options
        self.assertEqual({option.text for option in options}, {m["name"] for m in methods})
        for example in (m["example"] for m in methods):
            self.assertIn(example, [option.get_attribute("value") for option in options])

    def test_an_answer_comes_with_its_figures(self):
        self.ask("Name three rivers.")
        pane = self.panes()[0]
        self.assertEqual(pane.find_element(By.CSS_SELECTOR, ".user").text, "Name three rivers.")
        self.assertNotEqual(pane.find_element(By.CSS_SELECTOR, ".assistant").text, "")
        self.assertGreater(float(self.figure(pane, "rate")), 0)
        self.assertRegex(self.figure(pane, "first"), r"^\d+ ms$")
        self.assertRegex(self.figure(pane, "bytes"), r"^[\d.]+ [kM]B of [\d.]+ [kM]B$")
        self.assertEqual(self.figure(pane, "kept"), "100 %")
        # The next turn goes on from the first one's cache.
        self.ask("And three more?")
        self.assertGreater(int(self.figure(pane, "reused")), 20)
        self.assert_quiet()
        self.browser.screenshot("chat")

    def test_two_specs_side_by_side(self):
        self.browser.find("#both").click()
        first, second = self.panes()
        Select(second.find_element(By.CSS_SELECTOR, ".list")).select_by_visible_text("streaming")
        spec = second.find_element(By.CSS_SELECTOR, ".text")
        self.assertIn("streaming:budget=1024", spec.get_attribute("value"))
        self.assertIn("sinks", second.find_element(By.CSS_SELECTOR, ".about").text)
        spec.clear()
        spec.send_keys("streaming:budget=100")
        for in_turn in (False, True):
            if in_turn:
                self.browser.find("#turns").click()
            self.ask(STORY + "What ran past the mill?")
            self.assertEqual(self.figure(first, "kept"), "100 %")
            self.assertLess(float(self.figure(second, "kept").split()[0]), 50)
            shades = self.browser.run("""
                return [...document.querySelectorAll(".pane:last-child .figures:last-child .map i")]
                  .map((part) => getComputedStyle(part).backgroundColor)""")
            self.assertEqual(len(shades), 96)
            # The sinks are kept, and the most recent text; the middle is not.
            self.assertNotEqual(shades[0], shades[40])
            self.assertNotEqual(shades[40], shades[95])
            self.assertEqual(shades[95], "rgb(26, 95, 208)")
        self.assert_quiet()
        self.browser.screenshot("chat-both")
        self.browser.dark()
        self.assertEqual(self.browser.run(
            "return getComputedStyle(document.body).backgroundColor"), "rgb(22, 24, 28)")
        self.browser.screenshot("chat-both-dark")
        self.browser.resize(375, 800)
        self.assertLessEqual(self.browser.horizontal_overflow(), 0)
        top = [pane.rect["y"] for pane in self.panes()]
        self.assertLess(top[0], top[1])  # one below the other
        self.browser.screenshot("chat-both-phone", whole=True)
        self.browser.find("#both").click()
        self.assertEqual(len(self.panes()), 1)

    def test_what_the_server_refuses_is_told(self):
        spec = self.panes()[0].find_element(By.CSS_SELECTOR, ".text")
        spec.clear()
        spec.send_keys("snapkvv:budget=3")
        self.ask("Hi")
        self.assertIn("did you mean 'snapkv'", self.browser.find(".error").text)
        errors = self.browser.console_errors()
        self.assertTrue(all("400" in error for error in errors), errors)
        spec.clear()
        spec.send_keys("full")
        self.ask("Hi")  # the failed question is no part of the conversation
        self.assertEqual(len(self.browser.find_all(".assistant:not(.error)")), 1)

    def test_escape_stops_and_shift_enter_does_not_send(self):
        message = self.browser.find("#message")
        message.send_keys("one", Keys.SHIFT, Keys.ENTER, Keys.NULL, "two")
        self.assertEqual(message.get_attribute("value"), "one\ntwo")
        message.clear()
        self.ask("Tell a very long story about a mill and a river.", 3000, wait=False)
        self.wait(lambda: self.browser.find(".assistant").text)
        self.assertFalse(self.browser.find("#send").is_displayed())
        self.browser.find("body").send_keys(Keys.ESCAPE)
        self.wait(lambda: self.browser.find("#send").is_displayed(), 10)
        self.assertEqual(self.browser.find(".note").text, "stopped")

    def test_markup_in_messages_is_text(self):
        text = "<img src=x onerror=\"document.title='gone'\"><b>bold</b>"
        self.ask(text)
        self.assertEqual(self.browser.find(".user").text, text)
        self.assertEqual(self.browser.find_all(".talk img, .talk b"), [])
        self.assertEqual(self.browser.driver.title, "Kvasir")

    def test_everything_can_be_reached_by_keyboard(self):
        reached = set()
        self.browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
        for _ in range(20):
            self.browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            reached.add(self.browser.run(
                "const e = document.activeElement; return e.id || e.className || e.tagName"))
        for name in ("both", "clear", "list", "text", "talk", "SUMMARY", "message", "send"):
            self.assertIn(name, reached)
        unnamed = self.browser.run("""
            return [...document.querySelectorAll("input, select, textarea, button")]
              .filter((e) => !(e.labels?.length || e.textContent.trim())).map((e) => e.outerHTML)""")
        self.assertEqual(unnamed, [])


if __name__ == "__main__":
    unittest.main()
