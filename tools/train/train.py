"""Trains the needle model: a curriculum of lengths, each with as many needles as fit it.

    python3 train.py --seconds 420 --out OUT [--from FOLDER]

Workers make batches; the main process trains, writes its log to OUT/log.txt and weights
(weights-N.npz, float32) to OUT every minute, and ends with a table of exact answers by task and
length. An answer is right where every one of its tokens, its end included, is the most likely one:
what greedy decoding would give. Values that may come in any order are decoded in earnest.
"""

import argparse
import collections
import math
import os
import pathlib
import time
import typing

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

import bpe
import tasks
from model import Config, Needle, after_attention, before_attention

# Length and the share of the time at which its turn comes at the latest.
STAGES = [(96, 0.0), (128, 0.08), (256, 0.15), (512, 0.22), (1024, 0.28), (2048, 0.35),
          (4096, 0.43), (8192, 0.54), (16384, 0.73)]
ENOUGH = 0.9  # share of right answers at which the next length's turn comes early
GROUPS = ["niah", "vt", "passkey", "digits", "kv", "city", "words", "passage", "copy_ids",
          "copy_text"]
FIRST_COPY = GROUPS.index("copy_ids")


# --- data ---

class Batch(typing.NamedTuple):
    """Sequences, and the tokens that are asked for, as flat lists."""

    ids: np.ndarray      # int16 [batch, length]
    at: np.ndarray       # int32 [asked]: index into the flat ids after which the token comes
    target: np.ndarray   # int16 [asked]
    answer: np.ndarray   # int32 [asked]: which answer it is part of
    weight: np.ndarray   # float32 [asked]: of its loss
    group: np.ndarray    # int16 [answers]


def pack(samples, length):
    """A batch of (group, ids, targets)."""
    ids = np.full((len(samples), length), bpe.PAD, np.int16)
    targets = np.full((len(samples), length), -1, np.int16)
    for row, (_, sample, wanted) in enumerate(samples):
        ids[row, :len(sample)] = sample
        targets[row, :len(wanted)] = wanted
    asked = targets >= 0
    starts = asked.copy()
    starts[:, 1:] &= ~asked[:, :-1]
    at = np.flatnonzero(asked)
    answer = starts.ravel().cumsum()[at] - 1
    group = np.array([g for g, _, _ in samples], np.int16)[np.nonzero(starts)[0]]
    # A long answer does not drown a short one; copying counts less than answering.
    weight = np.bincount(answer)[answer] ** -0.5
    copied = group[answer] >= FIRST_COPY
    for which, share in ((~copied, 1.0), (copied, 0.3)):
        weight[which] *= share / max(1e-9, weight[which].sum())
    return Batch(ids, at.astype(np.int32), targets.ravel()[at], answer.astype(np.int32),
                 weight.astype(np.float32), group)


def make_batch(maker, length, n_tokens, early):
    samples = []
    while len(samples) < max(1, n_tokens // length):
        name, ids, targets = maker.any(length, early)
        if len(ids) <= length and max(targets) >= 0:
            samples.append((GROUPS.index(name), ids, targets))
    return pack(samples, length)


def pick_length(rng, stage):
    """The stage's own length in half of the batches, shorter ones in the others."""
    draw = rng.random()
    if stage == 0 or draw < 0.5:
        return STAGES[stage][0]
    if draw < 0.75:
        return STAGES[stage - 1][0]
    return STAGES[rng.randrange(max(1, stage - 1))][0]


def work(seed, stage, n_tokens, out):
    torch.set_num_threads(1)
    maker = tasks.Maker(bpe.Tokenizer.load(), seed)
    while True:
        now = stage.value
        length = pick_length(maker.rng, now)
        out.put((now, make_batch(maker, length, n_tokens, early=now < 3)))


def make_quiz(job):
    name, length, n, n_tokens, seed = job
    maker = tasks.Maker(bpe.Tokenizer.load(), seed)
    samples = [(0, *maker.ruler(name, length)) for _ in range(n)]
    a_batch = max(1, n_tokens // length)
    return name, length, [pack(samples[i:i + a_batch], length) for i in range(0, n, a_batch)]


# --- training ---

def measure(model, batch, device):
    """The loss; whether the most likely token is right, for each token that is asked for, and
    whether all of an answer's are; the group of each answer."""
    batch = Batch(*(torch.from_numpy(a).to(device, non_blocking=True) for a in batch))
    logits = model.logits(model(batch.ids.long())[batch.at])
    target = batch.target.long()
    loss = (F.cross_entropy(logits, target, reduction="none") * batch.weight).sum()
    right = (logits.detach().argmax(-1) == target).float()
    whole = torch.ones(batch.group.shape, device=device)
    whole = whole.scatter_reduce(0, batch.answer.long(), right, "amin")
    return loss, right, whole, batch


def share_of(values, which):
    return (values * which).sum() / which.sum()  # NaN where there is none


def save(model, folder):
    part, n_bytes, n_parts = {}, 0, 0
    for name, value in model.weights.items():
        array = value.detach().float().cpu().numpy()
        if n_bytes + array.nbytes > 14 << 20:
            np.savez(folder / f"weights-{n_parts}.npz", **part)
            part, n_bytes, n_parts = {}, 0, n_parts + 1
        part[name] = array
        n_bytes += array.nbytes
    np.savez(folder / f"weights-{n_parts}.npz", **part)


def load(model, folder):
    for file in sorted(pathlib.Path(folder).glob("weights-*.npz")):
        for name, array in np.load(file).items():
            model.weights[name].data.copy_(torch.from_numpy(array))


class Log:
    def __init__(self, path):
        self.file, self.start = open(path, "w", encoding="utf-8"), time.time()

    def __call__(self, text):
        line = f"{time.time() - self.start:6.1f} s  {text}"
        print(line, flush=True)
        print(line, file=self.file, flush=True)


class Progress:
    """Which length's turn it is."""

    def __init__(self, shared, first):
        self.shared, self.recent, self.steps = shared, 0.0, 0
        shared.value = first

    def step(self, stage, length, share_right, share_of_time):
        now = self.shared.value
        known = not math.isnan(share_right)
        if stage == now and length == STAGES[now][0] and known:
            self.recent += 0.1 * (share_right - self.recent)
            self.steps += 1
        if now + 1 == len(STAGES):
            return False
        early = self.recent > ENOUGH and self.steps >= 20
        if early or share_of_time >= STAGES[now + 1][1]:
            self.shared.value, self.recent, self.steps = now + 1, 0.0, 0
            return True
        return False


def train(model, args, log, device):
    shared = mp.Value("i", 0)
    progress = Progress(shared, args.first_stage)
    batches = mp.Queue(maxsize=args.workers * 2)
    workers = [mp.Process(target=work, args=(args.seed + 1 + i, shared, args.tokens, batches),
                          daemon=True) for i in range(args.workers)]
    for worker in workers:
        worker.start()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": args.decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=args.lr,
                                  betas=(0.9, 0.98), fused=device.type == "cuda")
    seen, waited, step, last_save = collections.defaultdict(list), 0.0, 0, time.time()
    n_tokens, start, pending = 0, time.time(), None
    while (elapsed := time.time() - start) < args.seconds:
        begin = time.time()
        stage, batch = batches.get(timeout=120)
        waited += time.time() - begin
        share = elapsed / args.seconds
        rate = args.lr * min(1.0, (step + 1) / 100) * min(1.0, 0.03 + (1 - share) / args.cool)
        for param_group in optimizer.param_groups:
            param_group["lr"] = rate
        loss, right, whole, on_device = measure(model, batch, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, n_tokens = step + 1, n_tokens + batch.ids.size
        with torch.no_grad():
            group = on_device.group
            copied = group >= FIRST_COPY
            figures = torch.stack([loss, norm, share_of(whole, ~copied),
                                   share_of(right, copied[on_device.answer.long()])]
                                  + [share_of(whole, group == g) for g in range(FIRST_COPY)])
        # The figures of the step before: the device is never waited for.
        pending, done = (stage, batch.ids.shape[1], figures), pending
        if done is None:
            continue
        stage, length, figures = done[0], done[1], done[2].tolist()
        assert math.isfinite(figures[0]), f"step {step}: the loss is {figures[0]}"
        for name, value in zip(("loss", "norm", "right", "copy", *GROUPS), figures):
            if not math.isnan(value):
                seen[name].append(value)
                if name == "right":
                    seen[f"@{length}"].append(value)
        moved = progress.step(stage, length, figures[2], share)
        if moved or step % args.every == 0 or step in (2, 10):
            mean = {k: sum(v) / len(v) for k, v in seen.items()}
            lengths = sorted((k for k in mean if k[0] == "@"), key=lambda k: int(k[1:]))
            log(f"step {step} stage {STAGES[shared.value][0]} lr {rate:.2e} "
                + " ".join(f"{k} {v:.3f}" for k, v in mean.items() if k[0] != "@")
                + " | " + " ".join(f"{k}: {mean[k]:.3f}" for k in lengths)
                + f" | {n_tokens / (time.time() - start) / 1e6:.2f} Mtok/s, waited {waited:.1f} s")
            seen.clear()
        if time.time() - last_save > 60:
            save(model, args.out)
            last_save = time.time()
    save(model, args.out)
    log(f"trained {step} steps, {n_tokens / 1e6:.0f} M tokens")
    for worker in workers:
        worker.kill()


@torch.no_grad()
def greedy(model, length, args, device):
    """niah_multivalue, whose values may come in any order: share of samples with all of them."""
    tokenizer = bpe.Tokenizer.load()
    maker = tasks.Maker(tokenizer, 2_000_000 + length)
    n, n_new, good = min(args.quiz, 40), 40, 0
    a_batch = max(1, args.tokens // length)
    for begin in range(0, n, a_batch):
        rows = [maker.ruler("niah_multivalue", length) for _ in range(min(a_batch, n - begin))]
        ids = torch.full((len(rows), length + n_new), bpe.PAD, device=device)
        ends = torch.tensor([next(i for i, x in enumerate(t) if x >= 0) for _, t in rows])
        for row, (sample, _) in enumerate(rows):
            ids[row, :len(sample)] = torch.tensor(sample)
        row = torch.arange(len(rows), device=device)
        at = ends.to(device)
        for _ in range(n_new):
            states = model(ids).view(len(rows), length + n_new, -1)[row, at]
            at = at + 1
            ids[row, at] = model.logits(states).argmax(-1)
        for i, (sample, targets) in enumerate(rows):
            new = ids[i, ends[i] + 1:ends[i] + 1 + n_new].tolist()
            text = tokenizer.decode(new[:new.index(bpe.EOS)] if bpe.EOS in new else new)
            wanted = tokenizer.decode([x for x in targets if x >= 0 and x != bpe.EOS])
            good += all(value in text for value in wanted.split(", "))
    return 100 * good / n


@torch.no_grad()
def evaluate(model, args, log, device):
    jobs = [(name, length, args.quiz, args.tokens, 1_000_000 + 1000 * i + j)
            for i, name in enumerate(tasks.QUIZZED) for j, length in enumerate(args.lengths)]
    table = collections.defaultdict(dict)
    answered = {length: greedy(model, length, args, device) for length in args.lengths}
    with mp.Pool(args.workers) as pool:
        for name, length, batches in pool.imap_unordered(make_quiz, jobs):
            whole = torch.cat([measure(model, batch, device)[2] for batch in batches])
            assert len(whole) == args.quiz, (name, length, len(whole))
            table[name][length] = 100 * whole.mean().item()
    table["niah_multivalue"] = answered
    log(f"exact answers in %, {args.quiz} samples each: " + " ".join(map(str, args.lengths)))
    for name in tasks.QUIZZED:
        log(f"  {name:16} " + " ".join(f"{table[name][length]:6.1f}" for length in args.lengths))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=420, help="time of training")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--from", dest="start", help="a folder with weights to go on from")
    parser.add_argument("--first-stage", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=131072, help="tokens a step")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--cool", type=float, default=0.4, help="share of the time to cool down in")
    parser.add_argument("--decay", type=float, default=0.05)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--every", type=int, default=100, help="steps between lines of the log")
    parser.add_argument("--quiz", type=int, default=100,
                        help="samples of a task at a length, at the end")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1024, 2048, 4096, 8192, 16384])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    log = Log(args.out / "log.txt")
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Needle(Config(hidden=args.hidden, layers=args.layers),
                   torch.bfloat16 if device.type == "cuda" else torch.float32).to(device)
    if args.start:
        load(model, args.start)
    log(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, "
        f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'cpu'}, torch "
        f"{torch.__version__}, {args.workers} workers; "
        + " ".join(f"{k}={v}" for k, v in vars(args).items() if k != "out"))
    if device.type == "cuda" and not args.no_compile:
        model.compile()
    if args.seconds > 0:
        train(model, args, log, device)
    model.before, model.after = before_attention, after_attention  # batches of any size
    if args.lengths:
        evaluate(model, args, log, device)


if __name__ == "__main__":
    mp.set_start_method("spawn")
    main()
