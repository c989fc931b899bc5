#!/usr/bin/env python3
"""The results board: every method at several budgets, on the same samples, with intervals.

    python3 tools/results/board.py [--samples 20] [--only snapkv,tova] [--tasks board,kl] [--write]

Runs `kvasir eval` with --resume on one result file a model, so it can be stopped and started again
at will, and with --write puts the tables into docs/results.md between its markers. Beside the
result file it leaves a page with charts and every sample (board.html). Without any choice it is
what `make results` makes.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- board begin -->", "<!-- board end -->"
BUDGETS = [50, 20, 10, 5]
# Settings that a method's name alone does not say: what kvpress's figures were measured with.
VARIANTS = {
    "snapkv": ["snapkv:window=16,budget={b}%", "snapkv:window=64,budget={b}%"],
    "adakv": ["adakv + snapkv:window=16,budget={b}%"],
    "chunkkv": ["chunkkv:chunk=20 + snapkv:window=16,budget={b}%"],
    "pyramidkv": ["pyramidkv + snapkv:window=8,budget={b}%"],
}
WRAPPED = "snapkv:window=16,budget={b}%"  # what other wrappers change here
TITLES = {"board_noise": "noise", "board_prose": "prose", "board_four": "four keys",
          "kl": "KL to full"}


def methods(kvasir):
    done = subprocess.run([kvasir, "methods", "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["methods"]


def explains(kvasir, spec):
    """Whether a spec is one: some methods want a side file, or a wrapper another base."""
    return subprocess.run([kvasir, "methods", "--explain", spec, "--json"],
                          capture_output=True).returncode == 0


def specs_of(kvasir, only):
    """{method: [(budget or None, spec), …]}, `full` first."""
    table = {"full": [(None, "full")]}
    for method in methods(kvasir):
        name = method["name"]
        if name == "full" or (only and name not in only):
            continue
        params = {param["name"] for param in method["params"]}
        if name in VARIANTS:
            forms = VARIANTS[name]
        elif method["role"] == "wrapper":
            forms = [f"{name} + {WRAPPED}"]
        elif "budget" in params:
            forms = [f"{name}:budget={{b}}%"]
        else:
            forms = [name]
        rows = []
        for form in forms:
            for budget in BUDGETS if "{b}" in form else [None]:
                spec = form.format(b=budget)
                if explains(kvasir, spec):
                    rows.append((budget, spec))
        if rows:
            table[name] = rows
        else:
            print(f"board: {name}: no spec of it runs by itself; left out", file=sys.stderr)
    return table


def evaluate(args, specs, out):
    with tempfile.TemporaryDirectory() as folder:
        # A long list of specs goes through a file: a command line has an end.
        preset = pathlib.Path(folder) / "preset.toml"
        preset.write_text("[eval]\nkv = " + json.dumps("; ".join(specs)) + "\n")
        command = [args.kvasir, "eval", "--task", args.tasks, "--samples", str(args.samples),
                   "--seed", str(args.seed), "--out", str(out), "--resume", "--json",
                   "--report", str(out.with_suffix(".html")),
                   "--preset", str(preset)]
        if args.model:
            command += ["-m", args.model]
        if args.length:
            command += ["--length", args.length]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        sys.exit(done.returncode)
    return json.loads(done.stdout), done.returncode


def cell(row):
    if not row["n"]:
        return "failed"
    digits = 3 if row["figure"] == "kl_mean" else 2
    text = f"{row['mean']:.{digits}f} ({row['low']:.{digits}f} … {row['high']:.{digits}f})"
    return text + (f", {row['failed']} failed" if row["failed"] else "")


def kvpress_cell(reference, spec, task):
    value = reference.get(spec, {}).get(task)
    return f" · kvpress {value:g}" if value is not None else ""


def tables(table, document, reference, samples):
    columns = []
    for task in document["run"]["tasks"]:
        columns.append((task["name"], task["length"]))
    rows = {(row["task"], row["length"], row["spec"]): row for row in document["rows"]}
    head = ["spec"] + [f"{TITLES.get(name, name)} {length}" for name, length in columns]
    head += ["cache left", "recall"]
    run = document["run"]
    lines = [f"Made by `make results` with {samples} samples a cell, seed {run['seed']}, "
             f"build {run['build']}, on {run['machine']['cpu']} ({run['machine']['threads']} "
             f"threads), model {run['model']['name']}. In brackets 95 % intervals.", ""]
    stand_ins = sorted({f"{task['name']}: {task['stand_in']}" for task in run["tasks"]
                        if task["stand_in"]})
    lines += [f"- {text}" for text in stand_ins] + [""]
    for budget in [None] + BUDGETS:
        title = "No budget" if budget is None else f"{budget} % kept"
        body = []
        for entries in table.values():
            for of_budget, spec in entries:
                if of_budget != budget:
                    continue
                found = [rows.get((name, length, spec)) for name, length in columns]
                cells = [cell(row) + kvpress_cell(reference, spec, row["task"]) if row else ""
                         for row in found]
                means = next((row["means"] for row in found if row and row["n"]), {})
                share, recall = means.get("kv_share"), means.get("recall")
                cells.append(f"{100 * share:.0f} %" if share is not None else "")
                cells.append(f"{100 * recall:.0f} %" if recall is not None else "")
                body.append([f"`{spec}`"] + cells)
        if not body:
            continue
        lines += [f"### {title}", "", "| " + " | ".join(head) + " |",
                  "| --- |" + " ---: |" * (len(head) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in body] + [""]
    return "\n".join(lines)


def write(text, path):
    document = path.read_text()
    if BEGIN not in document:
        document += f"\n## The board\n\n{BEGIN}\n{END}\n"
    before, rest = document.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--model", help="default: the one that `make model` installs")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--tasks", default="board,kl")
    parser.add_argument("--length", help="for all tasks (default: each task's own)")
    parser.add_argument("--only", help="methods, separated by commas (default: all)")
    parser.add_argument("--out", default=str(ROOT / "build/results/board.jsonl"))
    parser.add_argument("--write", action="store_true", help="put the tables into docs/results.md")
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    table = specs_of(args.kvasir, set(args.only.split(",")) if args.only else None)
    specs = [spec for entries in table.values() for _, spec in entries]
    document, code = evaluate(args, specs, out)
    reference = json.loads((pathlib.Path(__file__).parent / "kvpress_smollm2.json").read_text())
    text = tables(table, document, reference["figures"], args.samples)
    if args.write and not document["interrupted"]:
        write(text, ROOT / "docs/results.md")
    else:
        print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
