"""Checks an exported model against the training's own tokenizer and forward pass.

    python3 check.py --kvasir build/release/kvasir --from OUT models/needle-11m-f16.gguf

Ids of 1,000 texts of all tasks must be equal, and the greedy answers to one question of every task
must be those of PyTorch; how many of them are right is printed.
"""

import argparse
import json
import subprocess

import torch

import bpe
import tasks
import train
from model import Needle


def texts(maker, tokenizer, n):
    for i in range(n):
        if i % 2 == 0:
            ids = maker.ruler(tasks.QUIZZED[i // 2 % len(tasks.QUIZZED)], 800)[0]
        else:
            ids = maker.any(600, early=False)[1]
        yield tokenizer.decode(ids)


def check_ids(kvasir, model, tokenizer, n):
    maker = tasks.Maker(tokenizer, 5)
    lines = list(texts(maker, tokenizer, n))
    given = "".join(json.dumps({"text": text}) + "\n" for text in lines)
    out = subprocess.run([kvasir, "tokenize", "-m", model, "--jsonl", "-"], input=given,
                         capture_output=True, text=True, check=True).stdout
    wrong = 0
    for text, line in zip(lines, out.splitlines(), strict=True):
        wrong += json.loads(line)["ids"] != tokenizer.encode(text)
    print(f"ids: {n - wrong} of {n} texts equal")
    return wrong


@torch.no_grad()
def is_greedy(net, prompt, answer):
    """Whether each token of the answer is PyTorch's most likely one."""
    states = net(torch.tensor([prompt + answer]))[len(prompt) - 1:-1]
    return net.logits(states).argmax(-1).tolist() == answer


def check_answers(kvasir, model, net, tokenizer, length):
    maker, wrong, n_right = tasks.Maker(tokenizer, 6), 0, 0
    for name in tasks.QUIZZED:
        ids, targets = maker.ruler(name, length)
        at = next(i for i, target in enumerate(targets) if target >= 0) + 1
        prompt, wanted = ids[:at], [target for target in targets if target >= 0]
        out = subprocess.run([kvasir, "run", "-m", model, "--ids", ",".join(map(str, prompt)), "-n",
                              str(len(wanted)), "--json", "--quiet"], capture_output=True,
                             text=True, check=True).stdout
        ours = json.loads(out)["ids"]
        same = is_greedy(net, prompt, ours)
        right = sorted(tokenizer.decode(ours).split(", ")) == sorted(
            tokenizer.decode(wanted).split(", "))
        n_right += right
        wrong += not same
        print(f"  {name:16} {'same' if same else 'DIFFERENT'}, {'right' if right else 'wrong'}:"
              f"{tokenizer.decode(ours)}", flush=True)
    print(f"answers: {len(tasks.QUIZZED) - wrong} of {len(tasks.QUIZZED)} equal PyTorch's, "
          f"{n_right} right")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kvasir", required=True)
    parser.add_argument("--from", dest="start", required=True, help="a folder with weights-N.npz")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("model")
    args = parser.parse_args()
    tokenizer, net = bpe.Tokenizer.load(), Needle()
    train.load(net, args.start)
    wrong = check_ids(args.kvasir, args.model, tokenizer, args.texts)
    wrong += check_answers(args.kvasir, args.model, net, tokenizer, args.length)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
