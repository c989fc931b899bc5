#!/usr/bin/env python3
"""Loads a server that speaks OpenAI's HTTP interface, and tells how it bore it. See README.md here.

    load.py --clients 8 --requests 64                       # closed loop: 8 that wait for each other
    load.py --rate 2 --requests 200 --slo-ttft 1 --slo-tpot 0.1    # open loop: Poisson arrivals
"""

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.parse

import figures
from openai_stream import Server
from prompts import prompt


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--endpoint", choices=("completions", "chat"), default="completions")
    parser.add_argument("--model", default="any")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--clients", type=int, help="closed loop: so many, each waits for its answer")
    kind.add_argument("--rate", type=float, help="open loop: requests a second, Poisson arrivals")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--warm-up", type=int, default=1, help="requests before those that count")
    parser.add_argument("--prompt-words", type=int, default=500, help="about as many tokens")
    parser.add_argument("--shared-words", type=int, default=0, help="with which all prompts begin")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--jitter", type=float, default=0.0,
                        help="0.5: lengths vary evenly from half to one and a half")
    parser.add_argument("--body", default="{}", help="more fields of the request, as JSON")
    parser.add_argument("--seed", type=int, default=1, help="of prompts, lengths and arrivals")
    parser.add_argument("--timeout", type=float, default=600, help="seconds a request")
    parser.add_argument("--slo-ttft", type=float, help="seconds to the first token")
    parser.add_argument("--slo-tpot", type=float, help="seconds a token after it, on average")
    parser.add_argument("--slo-e2e", type=float, help="seconds to the end")
    parser.add_argument("--json", metavar="FILE", help="figures and requests; - is standard output")
    return parser.parse_args()


def bodies(args, n, first):
    """n requests, the same for the same seed."""
    made = []
    for i in range(first, first + n):
        lengths = random.Random(args.seed * 1_000_003 + i)
        scale = 1 + args.jitter * (2 * lengths.random() - 1)
        text = prompt(max(1, round(args.prompt_words * scale)), args.seed * 1_000_003 + i,
                      args.shared_words)
        scale = 1 + args.jitter * (2 * lengths.random() - 1)
        body = {"model": args.model, "max_tokens": max(1, round(args.max_tokens * scale)),
                "stream": True, "stream_options": {"include_usage": True}, "temperature": 0}
        if args.endpoint == "chat":
            body["messages"] = [{"role": "user", "content": text}]
        else:
            body["prompt"] = text
        made.append(body | json.loads(args.body))
    return made


async def closed_loop(ask, requests, n_clients):
    """Each client sends its next request when its last one is answered."""
    left = iter(requests)
    outcomes = []

    async def client():
        for body in left:
            outcomes.append(await ask(body, time.perf_counter()))

    await asyncio.gather(*(client() for _ in range(n_clients)))
    return outcomes


async def open_loop(ask, requests, rate, seed):
    """Requests come when they come, whether the server keeps up or not."""
    arrivals = random.Random(seed)
    due = time.perf_counter()
    tasks = []
    for body in requests:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(body, due)))
        due += arrivals.expovariate(rate)
    return await asyncio.gather(*tasks)


async def run(args):
    url = urllib.parse.urlsplit(args.url)
    server = Server(url.hostname, url.port or 80, url.path, args.api_key, args.timeout)
    path = "/chat/completions" if args.endpoint == "chat" else "/completions"

    async def ask(body, due):
        return await server.stream(path, body, due)

    warm = await closed_loop(ask, bodies(args, args.warm_up, 10_000_000), 1)
    for outcome in warm:
        if not outcome.ok:
            sys.exit(f"the server does not answer: {outcome.status} {outcome.error}")
    requests = bodies(args, args.requests, 0)
    if args.clients:
        return await closed_loop(ask, requests, args.clients)
    return await open_loop(ask, requests, args.rate, args.seed)


def main():
    args = parse()
    outcomes = asyncio.run(run(args))
    slo = {"ttft": args.slo_ttft, "tpot": args.slo_tpot, "e2e": args.slo_e2e}
    result = figures.summary(outcomes, args.clients or 1, slo)
    if args.json != "-":
        print(figures.text(result))
        for error in sorted({outcome.error for outcome in outcomes if outcome.error})[:3]:
            print(f"  failed: {error}", file=sys.stderr)
    if args.json:
        begin = min(outcome.due for outcome in outcomes)
        report = {"arguments": vars(args) | {"api_key": bool(args.api_key)}, "figures": result,
                  "requests": [{"due_s": o.due - begin, "end_s": o.end - begin, "status": o.status,
                                "error": o.error, "prompt_tokens": o.n_prompt,
                                "generated_tokens": o.n_generated,
                                "ttft_s": o.ttft if o.pieces else None} for o in outcomes]}
        with (sys.stdout if args.json == "-" else open(args.json, "w", encoding="utf-8")) as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    return 0 if any(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
