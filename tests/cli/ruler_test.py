#!/usr/bin/env python3
"""RULER from its thirteen names to its scores, through `kvasir eval` and a model that can answer it.

    python3 tests/cli/ruler_test.py build/release/kvasir [unittest arguments]
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import cli_test

NEEDLE_MODEL = pathlib.Path(__file__).resolve().parents[2] / "models" / "needle-11m-f16.gguf"
# What the model was trained to answer (models/README.md), and what it can only be asked.
ANSWERED = ["niah_single_1", "niah_single_2", "niah_single_3", "niah_multikey_1", "niah_multikey_2",
            "niah_multikey_3", "niah_multivalue", "niah_multiquery", "vt"]
ASKED = ["cwe", "fwe", "qa_1", "qa_2"]
SPECS = ["full", "streaming:budget=10%"]
FLAGS = ["eval", "-m", NEEDLE_MODEL, "--length", 1024, "--kv", "; ".join(SPECS)]


def lines_of(path, kind):
    """The whole lines of a result file that have this type."""
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]
    return [line for line in lines if line["type"] == kind]


def figures(document):
    return {(row["task"], row["spec"]): (row["n"], row["mean"]) for row in document["rows"]}


class Ruler(unittest.TestCase):
    def test_thirteen_tasks_are_generated_run_and_scored(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "ruler.jsonl"
            done = cli_test.document(*FLAGS, "--task", "ruler", "--samples", 2, "--out", out)
            samples = lines_of(out, "sample")
        self.assertEqual(collections.Counter(task["name"] for task in done["run"]["tasks"]),
                         collections.Counter(ANSWERED + ASKED))
        self.assertEqual(done["failed"], 0)
        means = figures(done)
        self.assertEqual(len(means), 13 * len(SPECS))
        for task in ANSWERED + ASKED:
            for spec in SPECS:
                n, mean = means[task, spec]
                self.assertEqual(n, 2, (task, spec))
                self.assertTrue(0 <= mean <= 1, (task, spec, mean))
        for task in ANSWERED:
            self.assertGreaterEqual(means[task, "full"][1], 0.75, task)
        right = [means[task, "full"][1] for task in ANSWERED]
        self.assertGreater(sum(right) / len(right), 0.95)
        # What has left the cache cannot be answered: the scores measure the method.
        kept = [means[task, SPECS[1]][1] for task in ANSWERED]
        self.assertLess(sum(kept) / len(kept), 0.5)
        for sample in samples:
            where = (sample["task"], sample["spec"])
            self.assertGreater(sample["prompt_tokens"], 512, where)
            self.assertLessEqual(sample["prompt_tokens"], 1024, where)
            self.assertTrue(sample["turns"][0]["answers"], where)
        # What stands for texts that may not be shipped is named; noise and numbers need nothing.
        stand_ins = {task["name"]: task["stand_in"] for task in done["run"]["tasks"]}
        self.assertTrue(stand_ins["niah_single_2"] and stand_ins["qa_1"] and stand_ins["qa_2"])
        self.assertFalse(stand_ins["niah_single_1"] or stand_ins["vt"])

    def test_a_killed_run_goes_on(self):
        flags = [*FLAGS, "--task", "vt,niah_multikey_2", "--samples", 6]
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "killed.jsonl"
            process = subprocess.Popen([cli_test.KVASIR, *map(str, flags), "--out", str(out)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=cli_test.environment())
            self.addCleanup(process.kill)
            end = time.monotonic() + 300
            while len(lines_of(out, "sample")) < 3:
                self.assertIsNone(process.poll(), "it ended before it could be killed")
                self.assertLess(time.monotonic(), end, "not within five minutes")
                time.sleep(0.005)
            process.kill()
            process.wait()
            n_before = len(lines_of(out, "sample"))
            resumed = cli_test.kvasir(*flags, "--out", out, "--resume", "--json")
            samples = lines_of(out, "sample")
        self.assertLess(n_before, 24)
        self.assertIn(f"{24 - n_before} samples done, {n_before} known before", resumed.stderr)
        once = collections.Counter((s["task"], s["spec"], s["index"]) for s in samples)
        self.assertEqual(len(once), 24)
        self.assertEqual(set(once.values()), {1})
        self.assertEqual(figures(json.loads(resumed.stdout)), figures(cli_test.document(*flags)))


if __name__ == "__main__":
    cli_test.KVASIR = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main()
