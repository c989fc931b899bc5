#!/usr/bin/env python3
"""`make demo`: one document, two questions, three ways to keep the KV cache.

Every figure comes from the JSON of `kvasir run --json`; each run is a process of its own.
"""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KVASIR = os.environ.get("KVASIR", os.path.join(ROOT, "build", "release", "kvasir"))
DOCUMENT = os.path.join(HERE, "document.txt")

QUESTIONS = [
    "Who was the first keeper of Skarnholm Light?",
    "What does the sentence over the kitchen door say?",
]
SPECS = [
    ("full", "every token stays in the cache"),
    ("streaming:budget=20%", "the first 4 tokens and the most recent stay, the rest is dropped"),
    ("snapkv:budget=20%,window=16",
     "each head keeps what the prompt's last 16 tokens look at, and those"),
]
MAX_TOKENS = 40
WIDTH = 96


def intro():
    words = len(open(DOCUMENT, encoding="utf-8").read().split())
    print(textwrap.fill(
        f"A small chat model (135 million parameters) reads a document of {words} words, the "
        "handbook of an invented lighthouse, and answers two questions about it. It does so three "
        "times, with three methods for its KV cache: the keys and values of all earlier tokens, "
        "which every further token reads again.", WIDTH))
    print()
    for spec, what in SPECS:
        print(f"  {spec:<29} {what}")
    print(f"\nEach line below is one run of: kvasir run --kv SPEC -f {os.path.relpath(DOCUMENT)} "
          "-p QUESTION\n", flush=True)


class Clock:
    """Seconds on a line of the terminal while a run works; nothing where there is no terminal."""

    def __init__(self, text):
        self.text = text
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.tick, daemon=True)

    def __enter__(self):
        if sys.stderr.isatty():
            self.thread.start()
        return self

    def tick(self):
        start = time.monotonic()
        while not self.done.wait(0.2):
            sys.stderr.write(f"\r{self.text} {time.monotonic() - start:.0f} s ")
            sys.stderr.flush()

    def __exit__(self, *_):
        self.done.set()
        if sys.stderr.isatty():
            self.thread.join()
            sys.stderr.write("\r" + " " * (len(self.text) + 10) + "\r")


def run(spec, question):
    command = [KVASIR, "run", "--json", "--quiet", "--kv", spec, "-f", DOCUMENT, "-p", question,
               "-n", str(MAX_TOKENS)]
    with Clock(f"{spec}: reading the document ..."):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"demo: {' '.join(command)}\nended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def show_answer(spec, result):
    answer = " ".join(result["text"].split())
    if result["stop_reason"] == "length":
        answer += " ..."
    name = spec.split(":")[0]
    print(textwrap.fill(answer, WIDTH, initial_indent=f"  {name:<10} ",
                        subsequent_indent=" " * 13), flush=True)


def figures(spec, results):
    """A row of the table: means of the runs' times, the cache after the last answer."""
    def mean(field):
        return sum(result[field] for result in results) / len(results)

    kv = results[-1]["kv"]
    return [spec, f"{mean('ttft_ms') / 1000:.1f}", f"{mean('prefill_tok_s'):.0f}",
            f"{mean('decode_tok_s'):.1f}", f"{kv['bytes'] / 1e6:.1f}",
            f"{100 * kv['bytes'] / kv['bytes_full']:.0f} %",
            f"{max(result['rss_peak_bytes'] for result in results) / 1e6:.0f}"]


def show_table(rows):
    head = [["", "first token", "reading", "writing", "KV cache", "of full", "peak memory"],
            ["", "s", "tokens/s", "tokens/s", "MB", "", "MB"]]
    widths = [max(len(row[i]) for row in head + rows) for i in range(len(head[0]))]
    for n, row in enumerate(head + rows):
        if n == len(head):
            print("  ".join("-" * width for width in widths))
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))))


def main():
    if not os.access(KVASIR, os.X_OK):
        sys.exit(f"demo: {KVASIR} is not there; `make build` makes it")
    intro()
    start = time.monotonic()
    results = {spec: [] for spec, _ in SPECS}
    for question in QUESTIONS:
        print(question)
        for spec, _ in SPECS:
            results[spec].append(run(spec, question))
            show_answer(spec, results[spec][-1])
        print()
    first = results["full"][0]
    print(f"Prompt: {first['prompt_tokens']} tokens. Times are means of the two runs.\n")
    show_table([figures(spec, results[spec]) for spec, _ in SPECS])
    print(f"\n{time.monotonic() - start:.0f} s in all. A model of this size reads carelessly: what a "
          "method loses is measured by\n`kvasir score --against full`, not by two answers. Ask your "
          "own question:\n  build/release/kvasir run --kv \"snapkv:budget=20%\" -f "
          "tools/demo/document.txt -p \"...\"")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
