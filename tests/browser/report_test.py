"""The page of `kvasir report`, in a browser: drawn, sorted, drilled down, on a phone, in the dark."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest

import browser
from selenium.webdriver.common.keys import Keys

MODEL = browser.ROOT / "tests/golden/models/llama.gguf"
SPECS = ["full", "snapkv:window=16,budget=50%", "snapkv:window=16,budget=20%", "streaming:budget=50%",
         "streaming:budget=20%", "kivi:bits=4"]
EVIL = "</script><script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"


def kvasir(*args):
    done = subprocess.run([browser.KVASIR, *map(str, args)], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{args}: {done.stderr}")


class Folder(browser.PageTest):
    """A folder with pages that the tests of a class look at."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)

    def section_ids(self):
        return [each.get_attribute("id") for each in self.browser.find_all("main > section")]

    def scroll_through(self):
        """Charts are drawn when they come near."""
        self.browser.run("""
            const step = innerHeight / 2;
            return new Promise((done) => {
              let at = 0;
              const next = () => {
                scrollTo(0, at);
                at += step;
                if (at > document.body.scrollHeight + step) { scrollTo(0, 0); done(); }
                else requestAnimationFrame(() => requestAnimationFrame(next));
              };
              next();
            });""")


class Report(Folder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        results, edited = cls.folder / "results.jsonl", cls.folder / "edited.jsonl"
        for tasks, lengths, samples in (("niah_grid", "600,900", 4), ("multi_turn,kl", "1400", 2)):
            kvasir("eval", "-m", MODEL, "--task", tasks, "--length", lengths, "--samples", samples,
                   "--kv", "; ".join(SPECS), "--out", results, "--resume")
        records = [json.loads(line) for line in results.read_text().splitlines()]
        for record in records:
            # A tiny model answers nonsense: plant some right answers, and some that want to be code.
            if record["type"] == "prompt":
                record["text"] += EVIL
            for turn in record.get("turns", []):
                turn["prediction"] = EVIL
            if record["type"] == "sample" and record["task"] == "niah_grid":
                score = float(record["spec"] == "full" or record["index"] % 2)
                record["figures"]["score"] = record["turns"][0]["score"] = score
        edited.write_text("".join(json.dumps(record) + "\n" for record in records))
        cls.page = cls.folder / "report.html"
        kvasir("report", edited, "--report", cls.page)

    def setUp(self):
        super().setUp()
        self.browser.open(self.page)

    def test_every_chart_is_drawn_and_nothing_is_loaded(self):
        self.assertEqual(self.section_ids(), ["budget", "bytes", "speed", "error", "recall", "turns",
                                              "heat", "table", "samples", "origin"])
        self.scroll_through()
        canvases = self.browser.find_all("figure.card canvas")
        self.assertGreaterEqual(len(canvases), 10)
        undrawn = [canvas.get_attribute("aria-label") for canvas in canvases
                   if not self.browser.run("return Boolean(Chart.getChart(arguments[0]))", canvas)]
        self.assertEqual(undrawn, [])
        self.assertEqual(self.browser.blank_canvases(), [])
        self.assertEqual(self.browser.requests(), [])
        self.assert_quiet()
        self.browser.screenshot("report-light", whole=True)

    def test_texts_are_shown_and_not_run(self):
        self.assertIn(EVIL, self.browser.find("#samples .answer").text)
        self.assertIn(EVIL, self.browser.run(
            "return document.querySelector('#samples .prompt').textContent"))
        self.assertIsNone(self.browser.run("return window.hacked"))
        self.assertEqual(self.browser.find_all("img"), [])
        self.assert_quiet()

    def column(self, name):
        heads = [head.text for head in self.browser.find_all("#table thead th")]
        at = next(i for i, head in enumerate(heads) if head.split(" ↕")[0].strip() == name)
        return self.browser.find_all("#table thead th")[at], at

    def values(self, at):
        texts = self.browser.run("return [...document.querySelectorAll('#table tbody tr')].map((line) =>"
                                 "line.cells[arguments[0]].textContent)", at)
        return [float(text) for text in texts if text]

    def test_columns_sort_with_mouse_and_keyboard(self):
        head, at = self.column("KV bytes, %")
        before = self.values(at)
        self.assertNotEqual(before, sorted(before))
        head.find_element("css selector", "button").click()
        self.assertEqual(head.get_attribute("aria-sort"), "descending")
        self.assertEqual(self.values(at), sorted(before, reverse=True))
        head.find_element("css selector", "button").send_keys(Keys.ENTER)
        self.assertEqual(head.get_attribute("aria-sort"), "ascending")
        self.assertEqual(self.values(at), sorted(before))
        other, at = self.column("spec")
        other.find_element("css selector", "button").click()
        self.assertEqual(head.get_attribute("aria-sort"), "none")
        self.assertEqual(other.get_attribute("aria-sort"), "ascending")

    def test_a_filter_hides_rows(self):
        self.browser.find("#table input").send_keys("streaming grid")
        shown = [line for line in self.browser.find_all("#table tbody tr") if line.is_displayed()]
        self.assertEqual(len(shown), 4)  # two budgets, two lengths

    def test_drill_down_opens_from_the_table_and_turns_pages(self):
        self.scroll_through()
        rows = self.browser.find_all("#table tbody tr")
        row = next(row for row in rows if row.text.startswith("niah_grid 900 snapkv"))
        row.find_element("css selector", "button").click()
        self.assertEqual(self.browser.find("#samples select").get_attribute("value"), "1")
        first = self.browser.find("#samples .prompt").text
        self.assertGreater(len(first), 1000)
        self.assertEqual(len(self.browser.find_all("#samples article tbody tr")), len(SPECS))
        self.assertIn("▸", self.browser.find("#samples article").text)
        self.assertEqual(len(self.browser.find_all("#samples .kept canvas")), len(SPECS))
        self.assertTrue(self.browser.find_all("#samples mark"), "the answer is marked")
        self.browser.find_all("#samples .tools button")[1].click()
        self.assertIn("2 of 4", self.browser.find("#samples .tools").text)
        self.assertNotEqual(self.browser.find("#samples .prompt").text, first)
        self.assertEqual(self.browser.blank_canvases(), [])
        self.assert_quiet()

    def test_samples_where_specs_differ(self):
        self.browser.find_all("#samples select option")[-3].click()
        self.assertIn("1 of 2", self.browser.find("#samples .tools").text)

    def test_a_phone_scrolls_down_only(self):
        self.browser.resize(375, 800)
        self.scroll_through()
        self.assertEqual(self.browser.horizontal_overflow(), 0)
        self.assertGreaterEqual(float(self.browser.run(
            "return getComputedStyle(document.body).fontSize").rstrip("px")), 14)
        self.assert_quiet()
        self.browser.screenshot("report-phone", whole=True)

    def test_the_dark_page_is_dark_and_its_charts_follow(self):
        def pixel_sum():
            return self.browser.run("""
                const canvas = document.querySelector("figure.card canvas");
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return data.reduce((sum, value) => sum + value, 0);""")

        def lightness(selector, name):
            text = self.browser.run("return getComputedStyle(document.querySelector(arguments[0]))"
                                    "[arguments[1]]", selector, name)
            return sum(int(each) for each in text.strip("rgba()").split(",")[:3]) / 765

        self.scroll_through()
        before = pixel_sum()
        self.browser.dark()
        time.sleep(0.2)
        self.assertNotEqual(pixel_sum(), before)
        self.assertLess(lightness("body", "backgroundColor"), 0.15)
        self.assertGreater(lightness("body", "color"), 0.8)
        self.assertLess(lightness("#table .scroll", "backgroundColor"), 0.2)
        self.assert_quiet()
        self.browser.screenshot("report-dark", whole=True)

    def test_choosing_specs_redraws(self):
        self.scroll_through()
        chips = self.browser.find_all(".chips button")
        self.assertEqual({chip.get_attribute("aria-pressed") for chip in chips}, {"true"})
        shown = "return Chart.getChart(document.querySelector('figure.card canvas')).data.datasets.length"
        before = self.browser.run(shown)
        chips[1].click()
        self.assertEqual(chips[1].get_attribute("aria-pressed"), "false")
        self.assertEqual(self.browser.run(shown), before - 1)
        self.assert_quiet()


class SmallAndLarge(Folder):
    def test_one_spec_and_one_task_make_a_page(self):
        page = self.folder / "small.html"
        kvasir("eval", "-m", MODEL, "--task", "copy", "--length", 300, "--samples", 1,
               "--report", page)
        self.browser.open(page)
        self.assertEqual(self.section_ids(), ["table", "samples", "origin"])
        self.assertEqual(len(self.browser.find_all("#table tbody tr")), 1)
        self.assertEqual(self.browser.blank_canvases(), [])
        self.assert_quiet()
        self.browser.screenshot("report-small", whole=True)

    def test_twenty_thousand_samples_open(self):
        """As many as 10 specs on 2,000 prompts give."""
        specs = [f"snapkv:budget={budget}%" for budget in range(10, 101, 10)]
        lines = [{"type": "run", "specs": specs, "command": "made up", "tasks": [
            {"name": "needle", "figure": "score", "length": 4096, "samples": 2000, "stand_in": ""}],
            "model": {"name": "large", "fingerprint": "m"}}]
        for index in range(2000):
            lines.append({"type": "prompt", "hash": str(index), "text": f"word{index} " * 2000})
            for spec in specs:
                lines.append({
                    "type": "sample", "key": f"{index}{spec}", "spec": spec, "task": "needle",
                    "length": 4096, "seed": 42, "index": index, "model": "m", "build": "b",
                    "settings": "", "prompt": str(index), "prompt_tokens": 4000,
                    "figures": {"score": float(index % 3 == 0)}, "kv": {"kv_share": 0.5, "bytes": 1e6},
                    "turns": [{"question": "Which?", "answers": ["yes"], "prediction": "yes " * 40,
                               "score": 1.0}],
                    "kept": {"map": ["901234567890123456789012345678"] * 30}})
        results, page = self.folder / "large.jsonl", self.folder / "large.html"
        results.write_text("".join(json.dumps(line) + "\n" for line in lines))
        kvasir("report", results, "--report", page)
        start = time.monotonic()
        self.browser.open(page)
        opened = time.monotonic() - start
        print(f"{page.stat().st_size / 1e6:.1f} MB, opened in {opened:.1f} s", flush=True)
        self.assertLess(opened, 15)
        self.browser.find_all("#samples .tools button")[1].click()
        self.assertIn("2 of 2000", self.browser.find("#samples .tools").text)
        self.assertEqual(len(self.browser.find_all("#samples article tbody tr")), 10)
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
