#!/usr/bin/env python3
"""The results board: every method at several budgets, on the same samples, with intervals.

    python3 tools/results/board.py [--samples 20] [--only snapkv,tova] [--units needle/vt/4096] [--write]
    python3 tools/results/board.py --plan

Runs `kvasir eval --resume` with a result file for each unit (a task of a model at a length), several
at a time, so it can be stopped and started again at will; --plan says what that is and how long it
takes. With --write the tables go into docs/results.md between its markers and the page with charts
and samples to docs/results.html. Without any choice it is what `make results` makes.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import progress
from method_specs import BUDGETS, ROOT, find_heads, model_flags, runs, specs_of, write_between

HERE = pathlib.Path(__file__).parent
BEGIN, END = "<!-- board begin -->", "<!-- board end -->"

NEEDLE_TASKS = ["niah_single_2", "niah_multikey_2", "niah_multivalue", "niah_multiquery", "vt",
                "copy"]
# The board's prose and four keys also at the lengths that kvpress's figures were measured at.
DEFAULT_UNITS = [("passkey", 4096), ("board_noise", 4096), ("board_prose", 4096),
                 ("board_four", 4096), ("board_prose", 2048), ("board_four", 1024), ("kl", 0)]
TITLES = {"board_noise": "noise", "board_prose": "prose", "board_four": "four keys", "kl": "KL"}


@dataclasses.dataclass(frozen=True)
class Unit:
    model: str  # "needle" or "default"
    task: str
    length: int  # 0: the task's own

    def name(self):
        return f"{self.model}/{self.task}/{self.length}"

    def file(self, folder):
        return folder / (self.name().replace("/", "-") + ".jsonl")


def all_units():
    """The longest first, so that the last to run are short."""
    units = [Unit("default", task, length) for task, length in DEFAULT_UNITS]
    units += [Unit("needle", task, length) for length in (8192, 4096) for task in NEEDLE_TASKS]
    return units


def samples_of(args, unit):
    # 127 places a text, each with the distribution over the whole vocabulary: six texts tell as much.
    if unit.task == "kl":
        return max(1, args.samples * 3 // 10)
    # What keeps all of it within two hours on two cores.
    if unit.model == "needle" and unit.length == 8192:
        return max(1, args.samples * 3 // 5)
    return args.samples


def evaluate(args, unit, specs):
    out = unit.file(args.folder)
    # A long list of specs goes through a file: a command line has an end.
    preset = out.with_suffix(".toml")
    preset.write_text("[eval]\nkv = " + json.dumps("; ".join(specs)) + "\n")
    samples = samples_of(args, unit)
    command = [args.kvasir, "eval", *model_flags(unit.model), "--task", unit.task,
               "--samples", str(samples), "--seed", str(args.seed), "--threads", "1", "--batch",
               "--out", str(out), "--resume", "--json", "--preset", str(preset)]
    if unit.length:
        command += ["--length", str(unit.length)]
    if args.file:
        command += ["--file", args.file]
    start = time.monotonic()
    with open(out.with_suffix(".log"), "w+") as log:
        code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=log).returncode
        log.seek(0)
        done = re.search(r"(\d+) samples done", log.read())
    if done and int(done[1]):
        progress.note_costs(args.folder / "costs.json", unit, len(specs),
                            time.monotonic() - start, int(done[1]))
    print(f"board: {unit.name()}: {'done' if code == 0 else f'exit code {code}, see {log.name}'}",
          file=sys.stderr, flush=True)
    return code


def specs_by_model(args, table, models):
    """What each model is evaluated with. razor's heads are found first, where nobody has yet."""
    specs = [spec for entries in table.values() for _, spec in entries]
    refused = {model: set() for model in models}
    for model in models if "razor" in table else []:
        find_heads(args.kvasir, args.folder, model)
        refused[model] = {spec for _, spec in table["razor"]
                          if not runs(args.kvasir, model, spec)}
    return {model: [spec for spec in specs if spec not in refused[model]] for model in models}


def run(args, plan, units):
    """All units, as many at a time as --jobs says. The worst exit code, 130 before all others."""
    print(plan.text(args.jobs), file=sys.stderr)
    watch = progress.Progress(plan, args.jobs)
    watch.start()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(evaluate, args, unit, plan.specs[unit.model]) for unit in units]
        try:
            codes = [future.result() for future in futures]
        except KeyboardInterrupt:  # those that run have got it too, and end
            pool.shutdown(wait=False, cancel_futures=True)
            codes = [130]
    watch.end()
    if 130 in codes:
        print("board: stopped; the same command goes on", file=sys.stderr)
        return 130
    return max(codes)


def report(args, files, *flags):
    done = subprocess.run([args.kvasir, "report", *map(str, files), "--json", *flags],
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def cell(row, samples):
    if not row or not row["n"]:
        return "failed" if row else ""
    digits = 3 if row["figure"] == "kl_mean" else 2
    text = f"{row['mean']:.{digits}f} ({row['low']:.{digits}f} … {row['high']:.{digits}f})"
    text += f", {row['failed']} failed" if row["failed"] else ""
    return text + (f" [{row['n']}]" if row["n"] + row["failed"] != samples else "")


def table_of(model, lengths, specs_by_budget, rows, references, samples):
    """One table a budget; columns are the model's tasks at these lengths."""
    units = [u for u in all_units() if u.model == model and (u.length in lengths)]
    units = [u for u in units if any(key[:2] == (u.task, u.length) for key in rows)]
    head = ["spec"] + [f"{TITLES.get(u.task, u.task)}{f' {u.length // 1024}k' if u.length else ''}"
                       for u in units]
    has_text = any(u.task == "kl" for u in units)
    head += (["perplexity", "kvpress", "the paper says"] if has_text else []) + ["bytes", "recall"]
    lines = []
    for budget, specs in specs_by_budget.items():
        body = []
        for method, spec in specs:
            found = [rows.get((u.task, u.length, spec)) for u in units]
            if not any(found):
                continue
            means = next((row["means"] for row in found if row and row["n"]), {})
            line = [f"`{spec}`"] + [cell(row, samples) for row in found]
            if has_text:
                text = rows.get(("kl", 0, spec))
                perplexity = text["means"].get("perplexity") if text else None
                line.append(f"{perplexity:.2f}" if perplexity else "")
                line.append(references.kvpress(spec))
                line.append(references.claims.get(method, ""))
            for name in ("kv_share", "recall"):
                line.append(f"{100 * means[name]:.0f} %" if name in means else "")
            body.append(line)
        if body:
            title = "No budget" if budget is None else f"{budget} %"
            lines += [f"**{title}**", "", "| " + " | ".join(head) + " |",
                      "| --- |" + " ---: |" * (len(head) - 1)]
            lines += ["| " + " | ".join(line) + " |" for line in body] + [""]
    return lines


class References:
    def __init__(self):
        self.figures = json.loads((HERE / "kvpress_smollm2.json").read_text())["figures"]
        self.claims = json.loads((HERE / "claims.json").read_text())["claims"]

    def kvpress(self, spec):
        """Noise 4k / prose 2k / four keys 1k, and the KL."""
        known = self.figures.get(spec.replace(",kernel=7", ""))
        if known is None:
            return ""
        scores = [f"{known[task]:.2f}" if task in known else "–"
                  for task in ("board_noise", "board_prose", "board_four")]
        return " / ".join(scores) + (f" · {known['kl']:.3f}" if "kl" in known else "")


def tables(args, table, files):
    by_budget = {}
    for method, entries in table.items():
        for budget, spec in entries:
            by_budget.setdefault(budget, []).append((method, spec))
    by_budget = {budget: by_budget[budget] for budget in [None] + BUDGETS if budget in by_budget}
    lines, references = [], References()
    for model, title in (("default", "The default model"), ("needle", "The needle model")):
        own = [file for unit, file in files.items() if unit.model == model]
        if not own:
            continue
        document = report(args, own)
        run = document["runs"][0]
        rows = {}
        for row in document["rows"]:
            length = 0 if row["task"] == "kl" else row["length"]
            rows[row["task"], length, row["spec"]] = row
        machine, stand_ins = run["machine"], sorted(
            {f"{task['name']}: {task['stand_in']}" for each in document["runs"]
             for task in each["tasks"] if task["stand_in"]})
        lines += [f"### {title}", "",
                  f"{run['model']['name']}, {args.samples} samples a cell, seed {run['seed']}, "
                  f"build {run['build']}, {machine['cpu']}. In brackets 95 % intervals; [n]: of n "
                  f"samples. "
                  f"{'; '.join(stand_ins)}.", ""]
        if model == "default":
            lines += table_of(model, {4096, 2048, 1024, 0}, by_budget, rows, references, args.samples)
        else:
            for length in (4096, 8192):
                lines += [f"#### {length // 1024}k tokens", ""]
                lines += table_of(model, {length}, by_budget, rows, references, args.samples)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--file", help="a text in place of generated prose")
    parser.add_argument("--only", help="methods, separated by commas (default: all)")
    parser.add_argument("--units", help="MODEL/TASK/LENGTH, separated by commas (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="units at a time")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/results",
                        help="of the result files")
    parser.add_argument("--plan", action="store_true",
                        help="only say what there is to do, and how long it may take")
    parser.add_argument("--tables", action="store_true", help="of what is there; evaluate nothing")
    parser.add_argument("--write", action="store_true",
                        help="the tables into docs/results.md, the page to docs/results.html")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    units = [unit for unit in all_units()
             if not args.units or unit.name() in args.units.split(",")]
    table = specs_of(args.kvasir, set(args.only.split(",")) if args.only else None)
    code = 0
    if not args.tables:
        specs = specs_by_model(args, table, {unit.model for unit in units})
        plan = progress.Plan(units, specs, lambda unit: samples_of(args, unit), args.folder)
        if args.plan:
            print(plan.text(args.jobs))
            return 0
        code = run(args, plan, units)
        if code == 130:
            return code
    files = {unit: unit.file(args.folder) for unit in units if unit.file(args.folder).exists()}
    text = tables(args, table, files)
    if not args.write:
        print(text)
        return code
    write_between(ROOT / "docs/results.md", BEGIN, END, text)
    report(args, files.values(), "--report", str(ROOT / "docs/results.html"))
    return code


if __name__ == "__main__":
    sys.exit(main())
