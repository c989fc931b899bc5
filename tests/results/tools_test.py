#!/usr/bin/env python3
"""What the tools of tools/results count and set against each other."""

import argparse
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "results"))
import board  # noqa: E402
import method_speed  # noqa: E402
import method_specs  # noqa: E402
import progress  # noqa: E402


def line(**fields):
    return json.dumps(fields, separators=(",", ":"))


def sample(spec, index, build="b1"):
    return line(type="sample", key=f"{spec}{index}{build}", spec=spec, task="vt", length=4096, seed=42,
                index=index, model="m", build=build, settings="s", turns=[{"spec": "not this one"}])


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Progress(Folder):
    def test_counts_whole_lines_of_the_last_build_once(self):
        path = self.folder / "r.jsonl"
        count = progress.ResultCount(path, ["full", "snapkv:budget=20%"])
        self.assertEqual(count.read(2), 0)  # no file yet
        path.write_text("\n".join([line(type="run", build="b0"), sample("full", 0, "b0"),
                                   line(type="run", build="b1"), sample("full", 0),
                                   sample("snapkv:budget=20%", 0), sample("tova", 0),
                                   sample("full", 7)]) + "\n" + sample("full", 1)[:40])
        self.assertEqual(count.read(2), 2)  # not of another build, spec or index; not half a line
        with open(path, "a") as file:
            file.write(sample("full", 1)[40:] + "\n" + sample("full", 0) + "\n")
        self.assertEqual(count.read(2), 3)

    def test_a_plan_adds_up(self):
        units = [board.Unit("needle", "vt", 4096), board.Unit("default", "kl", 0)]
        known = json.loads(progress.COSTS.read_text())
        specs = {"needle": ["full"] * known["specs"], "default": ["full"] * known["specs"]}
        plan = progress.Plan(units, specs, lambda unit: 10, self.folder)
        expected = 10 * sum(known["seconds"][unit.name()] for unit in units)
        self.assertAlmostEqual(plan.seconds(done=False), expected)
        self.assertEqual(plan.seconds(done=True), 0)
        self.assertIn("needle/vt/4096", plan.text(jobs=2))

    def test_every_unit_of_the_board_has_a_cost(self):
        known = json.loads(progress.COSTS.read_text())["seconds"]
        self.assertEqual({unit.name() for unit in board.all_units()}, set(known))

    def test_costs_are_of_all_specs(self):
        path = self.folder / "costs.json"
        unit = board.Unit("needle", "vt", 4096)
        progress.note_costs(path, unit, n_specs=4, seconds=30, n_done=6)  # a sample and a half
        self.assertEqual(json.loads(path.read_text()),
                         {"specs": 4, "seconds": {"needle/vt/4096": 20.0}})


class Speed(Folder):
    def test_a_spec_is_set_against_the_full_caches_around_it(self):
        def measured(tok_s, kv_bytes):
            return {"rows": {phase: {"tok_s_median": tok_s, "kv_bytes": kv_bytes,
                                     "rss_peak_bytes": 4e8} for phase in ("prefill", "decode")}}
        row = method_speed.cells(measured(30, 5e7), [measured(10, 2e8), measured(20, 2e8)])
        self.assertEqual(row, ["30 (2.00x)", "30 (2.00x)", "50.0 (25 %)", "400 (100 %)"])
        self.assertEqual(method_speed.cells(None, [measured(1, 1)]), [""] * 4)
        self.assertEqual(method_speed.cells({"rows": {}}, [measured(1, 1)])[0], "failed")

    def test_full_is_measured_first_last_and_between(self):
        table = {"full": [(None, "full")], "a": [(20, f"a:{i}") for i in range(9)]}
        order = method_speed.order_of(table)
        self.assertEqual([i for i, (_, method, _) in enumerate(order) if method == "full"],
                         [0, method_speed.FULL_EVERY + 1, len(order) - 1])
        self.assertEqual(len({name for name, _, _ in order}), len(order))

    def test_what_is_measured_stays_so_for_this_build_alone(self):
        kvasir = self.folder / "kvasir"
        kvasir.write_text("#!/bin/sh\necho '{\"rows\": [{\"phase\": \"decode\", \"prompt\": 8}]}'\n")
        kvasir.chmod(0o755)
        args = argparse.Namespace(kvasir=str(kvasir), folder=self.folder, threads=1, gen=4, count=1)
        ledger = method_speed.Ledger(args)
        ledger.measure("full-0", "full", 8)
        ledger.measure("a", "a", 8)  # more than --count
        self.assertEqual(ledger.known("full-0", "full", 8)["rows"]["decode"]["prompt"], 8)
        self.assertIsNone(ledger.known("a", "a", 8))
        kvasir.write_text(kvasir.read_text() + "# another build\n")
        self.assertIsNone(ledger.known("full-0", "full", 8))


class Pages(Folder):
    def test_text_goes_between_its_marks(self):
        page = self.folder / "page.md"
        page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
        method_specs.write_between(page, "<!-- a -->", "<!-- b -->", "new")
        self.assertEqual(page.read_text(), "before\n<!-- a -->\nnew\n<!-- b -->\nafter\n")


if __name__ == "__main__":
    unittest.main()
