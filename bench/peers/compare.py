#!/usr/bin/env python3
"""Kvasir, llama.cpp and OpenVINO GenAI on one GGUF file: `make bench-peers`. See README.md here.

Every measurement is a process of its own. One round measures each case (threads x length) with all
engines in turn, A B C A B C ..., so that a slow minute of the machine hits all of them; the figures
are medians over rounds. Results are written after every measurement.
"""

import argparse
import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import peers_table
import peers_venv
from prompt_ids import prompt_ids

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS = os.path.join(HERE, "results")


@dataclasses.dataclass(frozen=True)
class Engine:
    name: str  # a row of the table
    variant: str  # the better variant counts
    command: tuple


def kvasir_command(args):
    return (args.kvasir, "bench", "--json", "--quiet", "--repeat", "1", "--kv", "full",
            *args.kvasir_args.split())


def engines(args, python, notes):
    def case(script, *more):
        return (python, os.path.join(HERE, script), *more)

    plain = () if "llama" not in args.engines else llama_cpp_arguments(args, case, notes)
    known = [
        Engine("Kvasir", "", kvasir_command(args)),
        Engine("llama.cpp", "flash attention off", case("llama_cpp_case.py", "--flash", "0", *plain)),
        Engine("llama.cpp", "flash attention on", case("llama_cpp_case.py", "--flash", "1", *plain)),
        Engine("OpenVINO GenAI", "as it comes", case("openvino_case.py")),
    ]
    if args.openvino_f16:
        known.append(Engine("OpenVINO GenAI", "f16 cache",
                            case("openvino_case.py", "--kv-precision", "f16")))
    wanted = args.engines.split(",")
    return [engine for engine in known if engine.name.lower().split(".")[0].split()[0] in wanted]


def llama_cpp_arguments(args, case, notes):
    """Version 0.3.36 dies at its first AMX instruction on some machines that have AMX; there it is
    measured with the weights as they are in the file, and the table says so."""
    command = case("llama_cpp_case.py", "--flash", "0", "--model", args.model, "--threads", "1",
                   "--prompt", "64", "--gen", "1")
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode >= 0:  # not killed by a signal
        return ()
    notes.append(f"llama.cpp died of signal {-done.returncode} with its repacked weights, so it "
                 "ran without (`use_extra_bufts` off).")
    return ("--plain-buffers",)


def run_process(command, name):
    """What the command wrote to standard output, and the peak memory of its process."""
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
            out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if process.returncode != 0:
        tail = said.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"{name}: exit {process.returncode}: {tail[0]}")
    return json.loads(out), usage.ru_maxrss * 1024


def run_case(engine, args, threads, length, seed):
    """The case's figures, with the peak memory of its process."""
    case = ["--model", args.model, "--threads", str(threads)]
    name = f"{engine.name} {engine.variant}".strip()
    more = ["--prompt", str(length), "--gen", str(args.gen)]
    if engine.name != "Kvasir":
        figures, rss = run_process([*engine.command, *case, *more, "--seed", str(seed)], name)
    else:
        # Its bench also measures the machine, in buffers of its own; so memory is that of `run`.
        figures, _ = run_process([*engine.command, *case, *more], name)
        figures = figures_of_kvasir(figures, length)
        ids = ",".join(map(str, prompt_ids(length, seed)))
        _, rss = run_process([args.kvasir, "run", "--json", "--quiet", "--kv", "full", *case,
                              "--ids", ids, "-n", str(args.gen), "--ignore-eos",
                              *args.kvasir_args.split()], name)
    figures["rss_peak_bytes"] = rss
    return figures


def figures_of_kvasir(document, length):
    rows = {row["phase"]: row for row in document["rows"]}
    return {"prefill_tok_s": rows["prefill"]["tok_s_median"],
            "decode_tok_s": rows["decode"]["tok_s_median"],
            "kv_bytes_per_token": rows["decode"]["kv_bytes"] / length}


def read_bandwidth(threads, n_bytes):
    """Bytes a second over so many bytes, measured by read_bandwidth.cc."""
    program = os.path.join(ROOT, "build", "read_bandwidth")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    subprocess.run(["g++", "-O3", "-mavx2", "-std=c++20", "-pthread", "-o", program,
                    os.path.join(HERE, "read_bandwidth.cc")], check=True)
    done = subprocess.run([program, str(threads), str(int(n_bytes / 2**20) + 1)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def facts(args):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(), "cpu": cpu_name(), "cores": os.cpu_count(),
        "model": os.path.basename(args.model), "model_bytes": os.path.getsize(args.model),
        "rounds": args.rounds, "gen": args.gen,
    }


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="", help="a GGUF file (default: the default model)")
    parser.add_argument("--kvasir", default=os.path.join(ROOT, "build", "release", "kvasir"))
    parser.add_argument("--kvasir-args", default="", help='more of them, as in "--cpu avx2"')
    parser.add_argument("--engines", default="kvasir,llama,openvino")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--lengths", default="64,512,2048,8000",
                        help="prompt tokens, and so the depth of decoding")
    parser.add_argument("--gen", type=int, default=48, help="tokens to decode at each depth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--openvino-f16", action="store_true",
                        help="also OpenVINO with a 16-bit cache (its default on a CPU is 8-bit)")
    parser.add_argument("--quick", action="store_true", help="one round, short: does it run?")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/results.md")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.gen, args.lengths, args.threads = 1, 8, "64,512", "1"
    if not args.model:
        args.model = os.environ.get("KVASIR_MODEL") or subprocess.run(
            [sys.executable, os.path.join(ROOT, "tools", "setup", "model.py"), "--path"],
            check=True, capture_output=True, text=True).stdout.strip()
    return args


def measure(args, chosen, report, save):
    """Fills report["rows"]; a failing engine is reported and left out of that case."""
    lengths = [int(n) for n in args.lengths.split(",")]
    threads = [int(n) for n in args.threads.split(",")]
    total = args.rounds * len(lengths) * len(threads) * len(chosen)
    n_done, start = 0, time.monotonic()
    for round_ in range(args.rounds):
        for n_threads in threads:
            for length in lengths:
                for engine in chosen:
                    row = {"engine": engine.name, "variant": engine.variant, "round": round_,
                           "threads": n_threads, "length": length}
                    try:
                        row.update(run_case(engine, args, n_threads, length, round_ + 1))
                    except (RuntimeError, ValueError, KeyError) as error:
                        row["error"] = str(error)
                    report["rows"].append(row)
                    save()
                    n_done += 1
                    left = (time.monotonic() - start) / n_done * (total - n_done)
                    print(progress_line(row, n_done, total, left), file=sys.stderr, flush=True)
                n_bytes = peers_table.bytes_per_token(report, length)
                report["bandwidth"].setdefault(f"{n_threads}/{length}", []).append(
                    read_bandwidth(n_threads, n_bytes))
                save()


def progress_line(row, n_done, total, left_s):
    place = (f"[{n_done}/{total}, {left_s / 60:.0f} min left] {row['threads']} threads, "
             f"{row['length']} tokens, {row['engine']} {row['variant']}: ")
    if "error" in row:
        return place + "FAILED: " + row["error"]
    return place + (f"prefill {row['prefill_tok_s']:.0f}, decode {row['decode_tok_s']:.1f} tokens/s, "
                    f"{row['rss_peak_bytes'] / 1e6:.0f} MB")


def main():
    args = parse()
    peers = any(name in args.engines for name in ("llama", "openvino"))
    notes = []
    chosen = engines(args, peers_venv.python(ROOT, HERE) if peers else sys.executable, notes)
    os.makedirs(RESULTS, exist_ok=True)
    stem = os.path.join(RESULTS, datetime.datetime.now().strftime("%Y%m%d-%H%M%S"))
    report = {"facts": facts(args), "bandwidth": {}, "rows": [], "notes": notes}

    def save():
        with open(stem + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)

    stopped = False
    try:
        measure(args, chosen, report, save)
    except KeyboardInterrupt:
        stopped = True
        print("stopped; the table is of what was measured", file=sys.stderr)
    table = peers_table.markdown(report)
    with open(stem + ".md", "w", encoding="utf-8") as file:
        file.write(table)
    print(table)
    print(f"Written: {os.path.relpath(stem, ROOT)}.json and .md", file=sys.stderr)
    if args.docs:
        peers_table.put_into(os.path.join(ROOT, "docs", "results.md"), table)
    failed = any("error" in row for row in report["rows"])
    return 130 if stopped else 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
