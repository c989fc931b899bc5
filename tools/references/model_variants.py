#!/usr/bin/env python3
"""What the fixtures of models lack: a sliding window as Mistral has it, linear RoPE scaling, biases
everywhere, GGUF version 2. Writes tests/golden/models/{llama-window,llama-linear}.{gguf,json}: tiny
random models in F32 with float64 outputs of the plain forward pass below.

    python3 tools/references/model_variants.py        needs numpy

The forward pass is checked first: it must give the reference of tests/golden/models/llama.json
(transformers, printed with six digits) to 5e-5.
"""

import json
import pathlib
import struct

import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "models"
ALIGNMENT = 32
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
           12: "d"}


class Reader:
    """A GGUF file of F32 tensors: keys [(key, type, value)], tensors {name: float64 array}."""

    def __init__(self, path):
        self.bytes, self.at = path.read_bytes(), 4
        self.version, n_tensors, n_keys = self.take("<IQQ")
        self.keys = []
        for _ in range(n_keys):
            key, kind = self.text(), self.take("<I")[0]
            self.keys.append((key, kind, self.value(kind)))
        table = []
        for _ in range(n_tensors):
            name, rank = self.text(), self.take("<I")[0]
            dims = self.take(f"<{rank}Q")
            kind, offset = self.take("<IQ")
            assert kind == 0, f"{name} is not F32"
            table.append((name, dims, offset))
        base = -(-self.at // ALIGNMENT) * ALIGNMENT
        self.tensors = {}
        for name, dims, offset in table:
            n = int(np.prod(dims))
            flat = np.frombuffer(self.bytes, "<f4", n, base + offset).astype(np.float64)
            self.tensors[name] = flat.reshape(dims[::-1])

    def take(self, layout):
        values = struct.unpack_from(layout, self.bytes, self.at)
        self.at += struct.calcsize(layout)
        return values

    def text(self):
        n = self.take("<Q")[0]
        self.at += n
        return self.bytes[self.at - n:self.at].decode("utf-8", "surrogateescape")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, n = self.take("<IQ")
            return inner, [self.value(inner) for _ in range(n)]
        return self.take("<" + SCALARS[kind])[0]


def text_bytes(text):
    raw = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(raw)) + raw


def value_bytes(kind, value):
    if kind == 8:
        return text_bytes(value)
    if kind == 9:
        inner, items = value
        parts = [value_bytes(inner, item) for item in items]
        return struct.pack("<IQ", inner, len(items)) + b"".join(parts)
    return struct.pack("<" + SCALARS[kind], value)


def write_gguf(path, version, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for key, kind, value in keys:
        head += text_bytes(key) + struct.pack("<I", kind) + value_bytes(kind, value)
    data = b""
    for name, array in tensors.items():
        head += text_bytes(name) + struct.pack(f"<I{array.ndim}Q", array.ndim, *array.shape[::-1])
        head += struct.pack("<IQ", 0, len(data))
        raw = array.astype("<f4").tobytes()
        data += raw + b"\0" * (-len(raw) % ALIGNMENT)
    path.write_bytes(head + b"\0" * (-len(head) % ALIGNMENT) + data)


def norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def rotate(x, inv_freq):
    """Pairs (2i, 2i + 1) of x [rows, heads, head_dim] turn by row * inv_freq[i]."""
    angle = np.arange(len(x))[:, None, None] * inv_freq
    cos, sin = np.cos(angle), np.sin(angle)
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2], out[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
    return out


def forward(meta, t, ids):
    """Logits [rows, vocabulary] of the architecture `llama` in float64."""
    def arch(key, default=None):
        return meta.get("llama." + key, default)

    n_q, n_kv = arch("attention.head_count"), arch("attention.head_count_kv")
    eps = np.float64(np.float32(arch("attention.layer_norm_rms_epsilon")))
    head_dim = t["blk.0.attn_q.weight"].shape[0] // n_q
    window = arch("attention.sliding_window", 0)
    inv_freq = float(arch("rope.freq_base", 1e4)) ** (-np.arange(0, head_dim, 2) / head_dim)
    inv_freq /= arch("rope.scaling.factor", 1.0)
    x, n = t["token_embd.weight"][ids], len(ids)
    row, col = np.arange(n)[:, None], np.arange(n)[None, :]
    seen = (col <= row) & ((row - col < window) if window else True)
    for layer in range(arch("block_count")):
        def w(name, at=layer):
            return t[f"blk.{at}.{name}.weight"]

        def linear(name, y, at=layer):
            return y @ t[f"blk.{at}.{name}.weight"].T + t.get(f"blk.{at}.{name}.bias", 0.0)

        y = norm(x, w("attn_norm"), eps)
        q = rotate(linear("attn_q", y).reshape(n, n_q, head_dim), inv_freq)
        k = rotate(linear("attn_k", y).reshape(n, n_kv, head_dim), inv_freq)
        v = linear("attn_v", y).reshape(n, n_kv, head_dim)
        out = np.empty((n, n_q, head_dim))
        for h in range(n_q):
            kv = h // (n_q // n_kv)
            logit = np.where(seen, q[:, h] @ k[:, kv].T / np.sqrt(head_dim), -np.inf)
            p = np.exp(logit - logit.max(-1, keepdims=True))
            out[:, h] = p / p.sum(-1, keepdims=True) @ v[:, kv]
        x = x + linear("attn_output", out.reshape(n, -1))
        y = norm(x, w("ffn_norm"), eps)
        gate = linear("ffn_gate", y)
        x = x + linear("ffn_down", gate / (1 + np.exp(-gate)) * linear("ffn_up", y))
    x = norm(x, t["output_norm.weight"], eps)
    return x @ t.get("output.weight", t["token_embd.weight"]).T


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def reference(meta, tensors, prompt, n_greedy=32):
    logits = forward(meta, tensors, prompt)
    logprobs = log_softmax(logits)[np.arange(len(prompt) - 1), prompt[1:]]
    ids, greedy, margins = list(prompt), [], []
    for _ in range(n_greedy):
        last = forward(meta, tensors, ids)[-1]
        best = np.argsort(-last)[:2]
        greedy.append(int(best[0]))
        margins.append(float(last[best[0]] - last[best[1]]))
        ids.append(greedy[-1])
    return {"prompt_ids": list(map(int, prompt)), "logits_last": logits[-1].tolist(),
            "logprobs": logprobs.tolist(), "greedy": greedy, "greedy_margin": margins}


def random_tensors(rng, meta, biases):
    hidden, ffn = meta["llama.embedding_length"], meta["llama.feed_forward_length"]
    n_q, n_kv = meta["llama.attention.head_count"], meta["llama.attention.head_count_kv"]
    d = meta["llama.attention.key_length"]
    shapes = {"attn_q": (n_q * d, hidden, 2.5), "attn_k": (n_kv * d, hidden, 2.5),
              "attn_v": (n_kv * d, hidden, 1), "attn_output": (hidden, n_q * d, 1),
              "ffn_gate": (ffn, hidden, 1), "ffn_up": (ffn, hidden, 1),
              "ffn_down": (hidden, ffn, 1)}
    tensors = {"token_embd.weight": rng.normal(0, 1, (512, hidden)),
               "output.weight": rng.normal(0, 2 / np.sqrt(hidden), (512, hidden)),
               "output_norm.weight": rng.uniform(0.5, 1.5, hidden)}
    for layer in range(meta["llama.block_count"]):
        for name in ("attn_norm", "ffn_norm"):
            tensors[f"blk.{layer}.{name}.weight"] = rng.uniform(0.5, 1.5, hidden)
        for name, (rows, cols, gain) in shapes.items():
            weight = rng.normal(0, gain / np.sqrt(cols), (rows, cols))
            tensors[f"blk.{layer}.{name}.weight"] = weight
            if biases:
                tensors[f"blk.{layer}.{name}.bias"] = rng.normal(0, 0.3, rows)
    return {name: x.astype(np.float32).astype(np.float64) for name, x in tensors.items()}


def make(name, base, version, biases, more):
    """Searches a seed whose greedy continuation is varied and has no near ties."""
    own = {"general.name": (8, f"tiny-{name}"), "llama.block_count": (4, 2),
           "llama.embedding_length": (4, 64), "llama.feed_forward_length": (4, 96),
           "llama.attention.head_count": (4, 4), "llama.attention.head_count_kv": (4, 2),
           "llama.attention.key_length": (4, 16), "llama.attention.value_length": (4, 16),
           "llama.rope.dimension_count": (4, 16), **more}
    keys = [(k, kind, v) for k, kind, v in base.keys if k not in own]
    keys += [(k, kind, v) for k, (kind, v) in own.items()]
    meta = {k: v for k, _, v in keys}
    for seed in range(100, 200):
        rng = np.random.default_rng(seed)
        tensors = random_tensors(rng, meta, biases)
        prompt = rng.integers(4, 512, 200)
        outputs = reference(meta, tensors, prompt)
        if len(set(outputs["greedy"])) >= 10 and min(outputs["greedy_margin"]) > 1e-2:
            break
    else:
        raise SystemExit(f"{name}: no seed of 100 gives a varied continuation without near ties")
    write_gguf(GOLDEN / f"{name}.gguf", version, keys, tensors)
    document = {"name": name, "architecture": "llama", "seed": seed, **outputs}
    (GOLDEN / f"{name}.json").write_text(json.dumps(document) + "\n")
    print(f"{name}: seed {seed}, smallest margin {min(outputs['greedy_margin']):.3f}")


def main():
    base = Reader(GOLDEN / "llama.gguf")
    meta = {k: v for k, _, v in base.keys}
    known = json.loads((GOLDEN / "llama.json").read_text())
    logits = forward(meta, base.tensors, known["prompt_ids"])
    error = np.abs(logits[-1] - known["logits_last"]).max()
    assert error < 5e-5, f"the forward pass differs from transformers by {error}"
    make("llama-window", base, 2, False, {"llama.attention.sliding_window": (4, 40)})
    make("llama-linear", base, 3, True, {"llama.rope.scaling.type": (8, "linear"),
                                         "llama.rope.scaling.factor": (6, 4.0)})


if __name__ == "__main__":
    main()
