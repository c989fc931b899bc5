#!/usr/bin/env python3
"""Kvasir's server and llama.cpp's engine, closed loops with 1, 4, 8 and 16 clients. See README.md.

    compare.py --peers-python /path/to/venv/bin/python [--clients 1,8] [--tokens 64]

The servers run one after the other, each alone on the machine; the load maker takes a little of it.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def commands(args):
    most = str(max(args.clients))
    threads = str(args.threads)
    ctx = str(args.words + args.tokens + 64)
    return {
        "Kvasir": ([args.kvasir, "serve", "-m", args.model, "--quiet", "--parallel", most,
                    "--threads", threads], {"ignore_eos": True}),
        # Its C batch API, as llama-server uses it.
        "llama.cpp, batches": ([args.peers_python, HERE / "llama_batch_server.py", "--model",
                                args.model, "--parallel", most, "--threads", threads, "--ctx", ctx,
                                "--extra-buffers", str(args.extra_buffers)], {"ignore_eos": True}),
        # One request at a time; as it comes, a new request cuts the stream of the one at hand.
        "llama-cpp-python's server": (
            [args.peers_python, "-m", "llama_cpp.server", "--model", args.model, "--n_threads",
             threads, "--n_threads_batch", threads, "--n_ctx", ctx, "--flash_attn", "True",
             "--interrupt_requests", "False"],
            {"logit_bias": {args.end_token: -100}}),
    }


@contextlib.contextmanager
def running(command, port):
    process = subprocess.Popen([str(part) for part in command] + ["--port", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
                break
            except urllib.error.HTTPError as error:
                if error.code != 503:  # 503: it is loading its model
                    break
                time.sleep(0.1)
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("it ended") from None
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def load(args, port, clients, body):
    done = subprocess.run(
        [sys.executable, HERE / "load.py", "--url", f"http://127.0.0.1:{port}/v1", "--clients",
         str(clients), "--requests", str(clients * args.rounds), "--prompt-words", str(args.words),
         "--max-tokens", str(args.tokens), "--body", json.dumps(body), "--json", "-"],
        check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["figures"]


def row(name, clients, f, args):
    total = f["total_tokens_per_s"]
    if f["prompt_tokens"] == 0:  # the server tells none in a stream; a word is a token
        total = f["generated_tokens_per_s"] * (args.words + args.tokens) / args.tokens
    return (f"| {name} | {clients} | {total:.0f} | "
            f"{f['generated_tokens_per_s']:.0f} | {f['decode_tokens_per_s'] or 0:.0f} | "
            f"{1000 * f['ttft_s']['p50']:.0f} | {1000 * f['ttft_s']['p99']:.0f} | "
            f"{1000 * f['inter_token_s']['p50']:.1f} | {1000 * f['inter_token_s']['p99']:.0f} | "
            f"{f['failed']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=os.environ.get("KVASIR_MODEL", ""))
    parser.add_argument("--kvasir", default=ROOT / "build/release/kvasir")
    parser.add_argument("--peers-python", default=pathlib.Path(
        os.environ.get("KVASIR_PEERS_VENV", ROOT / "build/peers-venv")) / "bin/python")
    parser.add_argument("--servers", default="Kvasir;llama.cpp, batches;llama-cpp-python's server")
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")],
                        default=[1, 4, 8, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--words", type=int, default=510, help="of a prompt")
    parser.add_argument("--tokens", type=int, default=128, help="of an answer")
    parser.add_argument("--rounds", type=int, default=2, help="requests a client")
    parser.add_argument("--extra-buffers", type=int, default=1)
    parser.add_argument("--end-token", default="2")
    args = parser.parse_args()
    if not args.model:
        args.model = subprocess.run([sys.executable, ROOT / "tools/setup/model.py", "--path"],
                                    check=True, capture_output=True, text=True).stdout.strip()
    print("| server | clients | tokens/s in all | generated | decode | first token p50, ms | p99 | "
          "inter-token p50, ms | p99 | failed |\n|" + " --- |" * 10, flush=True)
    for number, name in enumerate(args.servers.split(";")):
        command, body = commands(args)[name]
        with running(command, 18400 + number):
            for clients in args.clients:
                print(row(name, clients, load(args, 18400 + number, clients, body), args),
                      flush=True)


if __name__ == "__main__":
    main()
