"""The browser itself: that what the other tests rely on can fail."""

import tempfile
import unittest

import browser

PAGE = """<!doctype html><meta charset="utf-8"><title>page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { margin: 0 } @media (prefers-color-scheme: dark) { body { background: #111 } }</style>
<div style="width: 500px">wide</div>
<canvas aria-label="empty" width="9" height="9"></canvas>
<canvas aria-label="drawn" width="9" height="9"></canvas>
<script>
  document.querySelector("canvas[aria-label=drawn]").getContext("2d").fillRect(2, 2, 3, 3);
  console.error("planted");
  missing();
</script>"""


class BrowserTest(browser.PageTest):
    def setUp(self):
        super().setUp()
        self.file = tempfile.NamedTemporaryFile(suffix=".html", mode="w")
        self.addCleanup(self.file.close)
        self.file.write(PAGE)
        self.file.flush()
        self.browser.open(self.file.name)

    def test_errors_of_a_page_are_seen_once(self):
        errors = self.browser.console_errors()
        self.assertEqual(len(errors), 2, errors)
        self.assertIn("planted", errors[0])
        self.assertIn("missing is not defined", errors[1])
        self.assert_quiet()

    def test_a_canvas_without_pixels_is_named(self):
        self.assertEqual(self.browser.blank_canvases(), ["empty"])

    def test_a_page_wider_than_the_screen_overflows(self):
        self.assertEqual(self.browser.horizontal_overflow(), 0)
        self.browser.resize(375)
        self.assertEqual(self.browser.horizontal_overflow(), 125)

    def test_dark_mode_reaches_the_page(self):
        colour = "return getComputedStyle(document.body).backgroundColor"
        self.assertEqual(self.browser.run(colour), "rgba(0, 0, 0, 0)")
        self.browser.dark()
        self.assertEqual(self.browser.run(colour), "rgb(17, 17, 17)")


if __name__ == "__main__":
    unittest.main()
