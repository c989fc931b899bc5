#!/usr/bin/env python3
"""A synthetic trace of coding agents for `kvasir bench --agents`: JSON lines on standard output.

    python3 bench/serve/agents.py --sessions 8 > build/agents.jsonl
    kvasir bench --agents build/agents.jsonl --block 64 --clients 4

No published data: all sessions share a system prompt with its tools; a step's prompt is the one
before with its reply and what a tool said behind it. Lengths of replies, of what tools say and of
their work are log-normal, the number of steps is geometric; some sessions replace their middle by a
summary, which breaks the prefix there, and some start others that share their prompt so far.
--scale shrinks all lengths together, for models of short contexts.
"""

import argparse
import itertools
import json
import math
import random
import sys


def drawn(rng, median, sigma, low, high):
    return int(min(high, max(low, rng.lognormvariate(math.log(median), sigma))))


class Agents:
    def __init__(self, args):
        self.args, self.rng = args, random.Random(args.seed)
        self.blocks, self.names, self.lines = itertools.count(), itertools.count(), []
        self.system = self.text(self.length(args.prefix))

    def length(self, tokens):
        return max(1, round(tokens * self.args.scale))

    def text(self, tokens):
        """Blocks of new text. What is appended begins a block: prefixes are whole blocks."""
        return [next(self.blocks) for _ in range(-(-tokens // self.args.block))]

    def session(self, start_ms, prompt, n_steps, may_start_others):
        name, rng = f"agent-{next(self.names)}", self.rng
        compacts_at = rng.randrange(n_steps) if rng.random() < 0.05 else -1
        splits_at = rng.randrange(n_steps) if may_start_others and rng.random() < 0.10 else -1
        gap, at_ms = 0, start_ms
        for step in range(n_steps):
            if step == compacts_at:
                prompt = self.system + self.text(self.length(2000))
            if len(prompt) * self.args.block > self.args.most:
                break  # its context is full
            reply = self.length(drawn(rng, 120, 0.8, 1, 4000))
            self.lines.append({"timestamp": start_ms, "session": name, "gap": gap,
                               "input_length": len(prompt) * self.args.block,
                               "output_length": reply, "hash_ids": list(prompt)})
            if step == splits_at:
                for _ in range(rng.randint(2, 4)):
                    self.session(int(at_ms), prompt + self.text(self.length(200)),
                                 max(1, n_steps // 4), False)
            said = self.length(drawn(rng, 400, 1.2, 10, 8000))
            prompt = prompt + self.text(reply + said)
            gap = drawn(rng, 2000, 1.3, 10, 120000)
            if rng.random() < 0.02:
                gap += drawn(rng, 120000, 0.7, 10000, 600000)  # somebody reads
            at_ms += gap + 25 * reply  # about when the next step may begin

    def write(self):
        at = 0.0
        for _ in range(self.args.sessions):
            n_steps = 1 + int(math.log(1 - self.rng.random()) / math.log(1 - 1 / self.args.steps))
            self.session(int(at), self.system + self.text(self.length(300)), n_steps, True)
            at += self.rng.expovariate(1 / self.args.every) * 1000
        for line in self.lines:
            print(json.dumps(line, separators=(",", ":")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--steps", type=float, default=30, help="of a session, on average")
    parser.add_argument("--prefix", type=int, default=8000, help="tokens that all share")
    parser.add_argument("--every", type=float, default=10, help="seconds between sessions")
    parser.add_argument("--block", type=int, default=64, help="tokens a block")
    parser.add_argument("--most", type=int, default=131072, help="tokens of a prompt at most")
    parser.add_argument("--scale", type=float, default=1, help="of all lengths")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.sessions < 1 or args.steps <= 1 or args.block < 1 or args.scale <= 0 or args.every <= 0:
        sys.exit("agents.py: --sessions and --block from 1, --steps above 1, --scale and --every above 0")
    Agents(args).write()


if __name__ == "__main__":
    main()
