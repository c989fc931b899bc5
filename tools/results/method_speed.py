#!/usr/bin/env python3
"""Speed and memory of every method beside `full`: the method table of docs/results.md.

    python3 tools/results/method_speed.py [--budget 20] [--only snapkv,tova] [--write]

`kvasir bench` in a process of its own for each spec, so that one's peak memory is not another's;
`full` is measured again after every few, and a spec's figures are set against the `full` before and
the one after it, since machines drift. What is measured is kept in build/results/speed and not
measured again by the same build, so it can be stopped and started at will. With --write the table
goes into docs/results.md between its markers.
"""

import argparse
import concurrent.futures
import datetime
import json
import pathlib
import subprocess
import sys

from method_specs import ROOT, find_heads, specs_of, write_between

CLAIMS = pathlib.Path(__file__).parent / "claims.json"
BEGIN, END = "<!-- methods begin -->", "<!-- methods end -->"
FULL_EVERY = 8


def build_of(kvasir):
    """Tells builds apart: what one has measured says nothing of another."""
    stat = pathlib.Path(kvasir).stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def order_of(table):
    """[(name, method, spec)] as measured: `full` first, after every few specs, and last."""
    specs = [(method, spec) for method, entries in table.items() if method != "full"
             for _, spec in entries]
    order = []
    for i, (method, spec) in enumerate(specs):
        if i % FULL_EVERY == 0:
            order.append((f"full-{i // FULL_EVERY}", "full", "full"))
        order.append((spec, method, spec))
    return order + [("full-last", "full", "full")]


class Ledger:
    """What was measured of each (name, length), in files of a folder."""

    def __init__(self, args):
        self.args = args
        self.left = args.count  # how many may still be measured; negative: all

    def file(self, name, length):
        plain = "".join(c if c.isalnum() else "-" for c in name)
        return self.args.folder / f"{plain}-{length}.json"

    def known(self, name, spec, length):
        """None: this build has not measured it."""
        file = self.file(name, length)
        known = json.loads(file.read_text()) if file.exists() else {}
        setting = self.setting(spec, length)
        return known if all(known.get(key) == value for key, value in setting.items()) else None

    def setting(self, spec, length):
        return {"build": build_of(self.args.kvasir), "spec": spec, "length": length,
                "threads": self.args.threads, "gen": self.args.gen}

    def measure(self, name, spec, length):
        if self.left == 0 or self.known(name, spec, length):
            return
        self.left -= 1
        done = subprocess.run([self.args.kvasir, "bench", "--kv", spec, "--prompt", str(length),
                               "--gen", str(self.args.gen), "--repeat", "1", "--threads",
                               str(self.args.threads), "--json"], stdout=subprocess.PIPE, text=True)
        if done.returncode == 130:
            sys.exit(130)
        rows = json.loads(done.stdout)["rows"] if done.returncode == 0 else []
        now = datetime.datetime.now(datetime.timezone.utc)
        self.file(name, length).write_text(json.dumps(
            {**self.setting(spec, length), "at": now.strftime("%Y-%m-%d %H:%M UTC"),
             "rows": {row["phase"]: row for row in rows}}, indent=1) + "\n")
        print(f"method_speed: {spec} at {length}: {'measured' if rows else 'failed'}",
              file=sys.stderr, flush=True)


def megabytes(n):
    return f"{n / 1e6:.1f}" if n < 1e8 else f"{n / 1e6:.0f}"


def cells(own, around, speed=True):
    """Speed, bytes and memory at a length, each beside `full`."""
    n_cells = 4 if speed else 2
    if own is None or not around:
        return [""] * n_cells
    if not own["rows"]:
        return ["failed"] + [""] * (n_cells - 1)

    def beside(phase, field):
        return sum(full["rows"][phase][field] for full in around) / len(around)

    line = []
    for phase in ("prefill", "decode") if speed else ():
        value = own["rows"][phase]["tok_s_median"]
        line.append(f"{value:.0f} ({value / beside(phase, 'tok_s_median'):.2f}x)")
    for field in ("kv_bytes", "rss_peak_bytes"):
        value = own["rows"]["decode"][field]
        line.append(f"{megabytes(value)} ({100 * value / beside('decode', field):.0f} %)")
    return line


def claim_of(claims, method):
    parts = [claims["speed"].get(method), claims["claims"].get(method)]
    return "; ".join(part for part in parts if part)


def table_text(order, ledger, lengths, speed):
    claims = json.loads(CLAIMS.read_text())
    fulls = [i for i, (_, method, _) in enumerate(order) if method == "full"]
    head = ["spec"]
    for length in lengths:
        figures = ("prefill", "decode") if speed else ()
        head += [f"{what} {length // 1000}k" for what in (*figures, "KV", "peak RSS")]
    lines = ["| " + " | ".join(head + ["the paper says"]) + " |",
             "| --- |" + " ---: |" * (len(head) - 1) + " --- |"]
    for i, (name, method, spec) in enumerate(order):
        if method == "full" and i != fulls[0]:
            continue
        around = {max(f for f in fulls if f <= i), min(f for f in fulls if f >= i)}
        line = [f"`{spec}`"]
        for length in lengths:
            beside = [ledger.known(order[f][0], "full", length) for f in sorted(around)]
            line += cells(ledger.known(name, spec, length), [full for full in beside if full],
                          speed)
        lines.append("| " + " | ".join(line + [claim_of(claims, method)]) + " |")
    return "\n".join(lines)


def drift_text(order, ledger, lengths):
    """How far the machine itself swung: the figures of `full` all along."""
    parts = []
    for length in lengths:
        fulls = [ledger.known(name, spec, length) for name, method, spec in order
                 if method == "full"]
        for phase in ("prefill", "decode"):
            values = [full["rows"][phase]["tok_s_median"] for full in fulls if full]
            if values:
                parts.append(f"{phase} {length // 1000}k {min(values):.0f} to {max(values):.0f} "
                             f"({len(values)} times)")
    return f"How far the machine itself swung, `full` in tokens/s: {', '.join(parts)}."


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    return "unknown processor"


def introduction(args, order, ledger, lengths):
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT,
                            capture_output=True, text=True).stdout.strip()
    known = [ledger.known(name, spec, length) for name, _, spec in order for length in lengths]
    times = sorted(each["at"] for each in known if each)
    threads = "one thread" if args.threads == 1 else f"{args.threads} threads"
    if args.jobs > 1:
        threads += f" each, {args.jobs} specs at a time"
    return (f"{processor()}, {threads}, default model, commit {commit}, {times[0]} to {times[-1]}; "
            f"one round, {args.gen} tokens decoded at each depth, budgets of {args.budget} % where a "
            f"method has one. Tokens/s, and MB of KV and of the process; in brackets beside `full` "
            f"(the runs before and after). Claims are of models of 7B and more, most on GPUs.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kvasir", default=str(ROOT / "build/release/kvasir"))
    parser.add_argument("--budget", type=int, default=20)
    parser.add_argument("--lengths", default="2000,8000")
    parser.add_argument("--gen", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1,
                        help="specs at a time; more than one only on a machine whose memory is "
                             "fast enough for all, with cores of their own")
    parser.add_argument("--only", help="methods, separated by commas (default: all)")
    parser.add_argument("--count", type=int, default=-1,
                        help="measure at most so many; the same command goes on")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build/results/speed")
    parser.add_argument("--without-speed", action="store_true",
                        help="bytes and memory alone, which a busy machine does not change")
    parser.add_argument("--write", action="store_true", help="the table into docs/results.md")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    table = specs_of(args.kvasir, set(args.only.split(",")) if args.only else None, [args.budget])
    if "razor" in table:
        find_heads(args.kvasir, args.folder, "default")
    lengths = [int(length) for length in args.lengths.split(",")]
    order, ledger = order_of(table), Ledger(args)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        done = [pool.submit(ledger.measure, name, spec, length)
                for length in lengths for name, _, spec in order]
        try:
            for each in done:
                each.result()
        except BaseException:  # Ctrl-C, or one that was stopped
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    text = "\n\n".join([introduction(args, order, ledger, lengths),
                        table_text(order, ledger, lengths, not args.without_speed),
                        drift_text(order, ledger, lengths)])
    if args.write:
        write_between(ROOT / "docs/results.md", BEGIN, END, text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("method_speed: stopped; the same command goes on")
