#!/usr/bin/env python3
"""What config.json can say beyond the fixtures' models: odd head sizes, windows by layer, rope
settings. Writes tests/golden/models/hf-variants.json: a list of {name, config, ids, logprobs}, the
teacher-forced log-probabilities of a float64 forward pass that follows transformers' modelling
files. Weights are not stored: `uniform` below makes them from a tensor's name, and
tests/engine/hf_variants_test.cc makes the same ones.

    python3 tools/references/hf_variants.py        needs numpy
"""

import json
import math
import pathlib

import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "models"
BASE = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 2}


def uniform(name, n):
    """n float32 in [-1, 1): splitmix64 from the FNV-1a hash of a name."""
    state = np.uint64(0xcbf29ce484222325)
    with np.errstate(over="ignore"):
        for byte in name.encode():
            state = (state ^ np.uint64(byte)) * np.uint64(0x100000001b3)
        x = state + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(40)).astype(np.float32) / np.float32(2 ** 23) - np.float32(1))


def tensor(name, shape, is_gemma):
    """Matrices of unit gain, sharper queries and keys; norms near 1; small biases."""
    flat = uniform(name, math.prod(shape))
    if name.endswith(".bias"):
        gain, offset = 0.5, 0.0
    elif len(shape) == 1:
        gain, offset = 0.25, 0.0 if is_gemma else 1.0
    elif name == "model.embed_tokens.weight":
        gain, offset = 1.75 / math.sqrt(shape[1]) if is_gemma else 1.75, 0.0
    else:
        sharp = "q_proj" in name or "k_proj" in name or "qkv_proj" in name
        gain, offset = (2.5 if sharp else 1.75) / math.sqrt(shape[1]), 0.0
    values = flat * np.float32(gain) + np.float32(offset)
    return values.reshape(shape).astype(np.float64)


class Model:
    def __init__(self, config):
        self.c = config
        self.kind = config["model_type"]
        self.is_gemma = self.kind.startswith("gemma")
        self.hidden = config["hidden_size"]
        self.n_q, self.n_kv = config["num_attention_heads"], config["num_key_value_heads"]
        self.d = config.get("head_dim") or self.hidden // self.n_q
        self.n_layers = config["num_hidden_layers"]

    def take(self, name, *shape):
        return tensor(name, shape, self.is_gemma)

    def norm(self, x, weight):
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.c["rms_norm_eps"])
        return x * (weight + 1 if self.is_gemma else weight)

    def windows(self):
        c, n, w = self.c, self.n_layers, self.c.get("sliding_window")
        if c.get("layer_types"):
            return [w if t == "sliding_attention" else None for t in c["layer_types"]]
        if self.kind == "gemma2":
            return [None if layer % 2 else w for layer in range(n)]
        if self.kind == "gemma3_text":
            return [w if (layer + 1) % c.get("sliding_window_pattern", 6) else None
                    for layer in range(n)]
        if self.kind.startswith("qwen"):
            first = c.get("max_window_layers", 28) if c.get("use_sliding_window") else n
            return [None if layer < first else w for layer in range(n)]
        return [w] * n

    def rope(self, local, n):
        """Frequencies and the factor of cosines and sines, for n positions."""
        c, d = self.c, self.d
        if local:
            return c.get("rope_local_base_freq", 1e4) ** (-np.arange(0, d, 2) / d), 1.0
        s = c.get("rope_scaling") or {}
        kind, factor, most = s.get("rope_type"), s.get("factor"), c["max_position_embeddings"]
        base = c["rope_theta"]
        inv = base ** (-np.arange(0, d, 2) / d)
        original = c.get("original_max_position_embeddings",
                         s.get("original_max_position_embeddings", most))
        if kind == "linear":
            return inv / factor, 1.0
        if kind == "longrope":
            factor = factor or most / original
            scale = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
            return inv / np.array(s["long_factor" if n > original else "short_factor"]), scale
        if kind == "yarn":
            def mscale(m):
                return 0.1 * m * math.log(factor) + 1 if factor > 1 else 1.0

            def dimension(turns):
                return d * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

            scale = s.get("attention_factor")
            if scale is None and s.get("mscale") and s.get("mscale_all_dim"):
                scale = mscale(s["mscale"]) / mscale(s["mscale_all_dim"])
            elif scale is None:
                scale = mscale(1)
            low, high = dimension(32), dimension(1)
            if s.get("truncate", True):
                low, high = math.floor(low), math.ceil(high)
            low, high = max(low, 0), min(high, d - 1)
            ramp = np.clip((np.arange(d // 2) - low) / max(high - low, 0.001), 0, 1)
            return inv / factor * ramp + inv * (1 - ramp), scale
        return inv, 1.0

    def attention(self, layer, y, window):
        n, d, p = len(y), self.d, f"model.layers.{layer}.self_attn."
        rows = {"q": self.n_q * d, "k": self.n_kv * d, "v": self.n_kv * d}
        if self.kind == "phi3":
            w = self.take(p + "qkv_proj.weight", sum(rows.values()), self.hidden)
            parts = np.split(y @ w.T, np.cumsum(list(rows.values()))[:2], axis=1)
        else:
            parts = [y @ self.take(f"{p}{x}_proj.weight", m, self.hidden).T
                     for x, m in rows.items()]
            if self.kind == "qwen2":
                parts = [part + self.take(f"{p}{x}_proj.bias", m)
                         for part, (x, m) in zip(parts, rows.items())]
        q, k, v = (part.reshape(n, -1, d) for part in parts)
        if self.kind in ("qwen3", "gemma3_text"):
            q = self.norm(q, self.take(p + "q_norm.weight", d))
            k = self.norm(k, self.take(p + "k_norm.weight", d))
        inv, scale = self.rope(self.kind == "gemma3_text" and window, n)
        angle = np.arange(n)[:, None, None] * inv
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale

        def rotate(x):
            a, b = np.split(x, 2, axis=-1)
            return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

        q, k = rotate(q), np.repeat(rotate(k), self.n_q // self.n_kv, 1)
        v = np.repeat(v, self.n_q // self.n_kv, 1)
        divisor = self.c.get("query_pre_attn_scalar", 256) if self.is_gemma else d
        logit = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(divisor)
        if self.kind == "gemma2":
            logit = np.tanh(logit / 50) * 50
        back = np.arange(n)[:, None] - np.arange(n)[None]
        seen = (back >= 0) & (back < window if window else True)
        logit = np.where(seen, logit, -np.inf)
        w = np.exp(logit - logit.max(-1, keepdims=True))
        out = np.einsum("hqk,khd->qhd", w / w.sum(-1, keepdims=True), v).reshape(n, -1)
        return out @ self.take(p + "o_proj.weight", self.hidden, self.n_q * d).T

    def mlp(self, layer, y):
        p, ffn = f"model.layers.{layer}.mlp.", self.c["intermediate_size"]
        if self.kind == "phi3":
            both = y @ self.take(p + "gate_up_proj.weight", 2 * ffn, self.hidden).T
            gate, up = np.split(both, 2, axis=1)
        else:
            gate = y @ self.take(p + "gate_proj.weight", ffn, self.hidden).T
            up = y @ self.take(p + "up_proj.weight", ffn, self.hidden).T
        if self.is_gemma:
            turn = np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate ** 3))
            gate = 0.5 * gate * (1 + turn)
        else:
            gate = gate / (1 + np.exp(-gate))
        return (gate * up) @ self.take(p + "down_proj.weight", self.hidden, ffn).T

    def logprobs(self, ids):
        vocab = self.c["vocab_size"]
        embedding = self.take("model.embed_tokens.weight", vocab, self.hidden)
        x = embedding[ids] * (math.sqrt(self.hidden) if self.is_gemma else 1)
        for layer, window in enumerate(self.windows()):
            def norm(name, y, at=layer):
                return self.norm(y, self.take(f"model.layers.{at}.{name}.weight", self.hidden))

            y = self.attention(layer, norm("input_layernorm", x), window)
            if self.is_gemma:
                x = x + norm("post_attention_layernorm", y)
                y = self.mlp(layer, norm("pre_feedforward_layernorm", x))
                x = x + norm("post_feedforward_layernorm", y)
            else:
                x = x + y
                x = x + self.mlp(layer, norm("post_attention_layernorm", x))
        x = self.norm(x, self.take("model.norm.weight", self.hidden))
        head = embedding if self.c["tie_word_embeddings"] else \
            self.take("lm_head.weight", vocab, self.hidden)
        logit = x @ head.T
        if self.kind == "gemma2":
            logit = np.tanh(logit / 30) * 30
        logit -= logit.max(-1, keepdims=True)
        logit -= np.log(np.exp(logit).sum(-1, keepdims=True))
        return logit[np.arange(len(ids) - 1), ids[1:]]


FULL, SLIDING = "full_attention", "sliding_attention"
SHORT = [1.0 + 0.05 * i for i in range(8)]
LONG = [1.0 + 0.5 * i for i in range(8)]
QWEN = {"use_sliding_window": True, "sliding_window": 24}
GEMMA = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 24,
         "tie_word_embeddings": True}
VARIANTS = {
    "llama-head8": {"model_type": "llama", "head_dim": 8},
    "llama-head12": {"model_type": "llama", "head_dim": 12},
    "llama-head24": {"model_type": "llama", "head_dim": 24, "num_key_value_heads": 1},
    "qwen2-head20": {"model_type": "qwen2", "hidden_size": 80},
    "qwen3-head40": {"model_type": "qwen3", "head_dim": 40},
    "phi3-head24": {"model_type": "phi3", "hidden_size": 96},
    "gemma3-head8": {"model_type": "gemma3_text", **GEMMA, "head_dim": 8,
                     "sliding_window_pattern": 2},
    "phi3-short": {"model_type": "phi3", "original_max_position_embeddings": 256,
                   "rope_scaling": {"rope_type": "longrope", "short_factor": SHORT,
                                    "long_factor": LONG}},
    "phi3-long": {"model_type": "phi3", "original_max_position_embeddings": 64,
                  "rope_scaling": {"rope_type": "longrope", "short_factor": SHORT,
                                   "long_factor": LONG, "factor": 32.0}},
    "qwen2-window-above": {"model_type": "qwen2", **QWEN, "max_window_layers": 1},
    "qwen2-layer-types": {"model_type": "qwen2", **QWEN, "max_window_layers": 2,
                          "layer_types": [SLIDING, FULL, SLIDING]},
    "qwen3-layer-types": {"model_type": "qwen3", "head_dim": 16, **QWEN,
                          "layer_types": [SLIDING, SLIDING, FULL]},
    "qwen3-all-full": {"model_type": "qwen3", "head_dim": 16, **QWEN, "max_window_layers": 1,
                       "layer_types": [FULL] * 3},
    "gemma3-irregular": {"model_type": "gemma3_text", **GEMMA,
                         "layer_types": [FULL, SLIDING, FULL]},
    "gemma3-all-full": {"model_type": "gemma3_text", **GEMMA, "layer_types": [FULL] * 3},
    "gemma3-all-sliding": {"model_type": "gemma3_text", **GEMMA, "layer_types": [SLIDING] * 3},
    "gemma2-46-layers": {"model_type": "gemma2", **GEMMA, "num_hidden_layers": 46,
                         "hidden_size": 32, "intermediate_size": 32, "head_dim": 16},
    "llama-yarn-unrounded": {"model_type": "llama",
                             "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                                              "original_max_position_embeddings": 64,
                                              "mscale": 0, "mscale_all_dim": 0,
                                              "truncate": None}},
}


def main():
    cases = []
    for name, config in VARIANTS.items():
        config = {**BASE, **config}
        ids = np.random.default_rng(5).integers(4, 510, 96)
        logprobs = Model(config).logprobs(ids)
        cases.append({"name": name, "config": config, "ids": ids.tolist(),
                      "logprobs": [round(x, 6) for x in logprobs.tolist()]})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (GOLDEN / "hf-variants.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
