#!/usr/bin/env python3
"""Kept sets and forced continuations of NVIDIA kvpress with drawn parameters, on tiny models, in
float64; what tests/engine/parity_test.cc reads beside the shared fixtures.

    pip install kvpress==0.5.5                    (with torch and transformers 5.2)
    python3 tools/references/kvpress_cases.py OUT --models llama.hf,OTHER.hf --cases 40 --seed 1
    KVASIR_PARITY_DIR=OUT build/release/engine_test --gtest_filter='Kvpress.*'

--models: folders with Hugging Face weights, the names made here (see MODELS) or paths. A model of
MODELS is drawn, rounded to float32 and written to OUT/models first. Each case is a file:
model, press, n_prompt, ratio, prompt_ids, spec, kept[layer][kv_head] (kept_channels for ThinK),
continuation_ids, continuation_logprobs, smallest_cut_gap: the smallest relative difference of two
scores at a cut; below 1e-5 float32 may choose otherwise.
"""

import argparse
import contextlib
import json
import pathlib
import random
import shutil

import torch
import transformers
from transformers import DynamicCache

import kvpress
from kvpress.presses.key_rerotation_press import KeyRerotationPress

GOLDEN = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "models"
VOCABULARY = 512
# class, heads, KV heads, head_dim, layers, hidden, more
MODELS = {
    "mha64": ("Llama", 3, 3, 64, 3, 96, {}),
    "gqa4": ("Llama", 8, 2, 16, 5, 96, {"rope_theta": 500000.0}),
    "mistral": ("Mistral", 4, 1, 32, 2, 128, {"sliding_window": None}),
    "qwen2": ("Qwen2", 6, 2, 16, 3, 96, {}),
    "qwen3x": ("Qwen3", 8, 4, 32, 3, 96, {}),
    "phi3x": ("Phi3", 4, 2, 32, 3, 128, {"pad_token_id": 3}),
    "yarn": ("Qwen2", 6, 2, 16, 3, 96, {"rope": {
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}}),
    "llama3": ("Llama", 6, 2, 16, 3, 96, {"rope": {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 512}}),
}


def in_float64():
    """What transformers and kvpress cast to float32 stays float64."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    torch.float32 = torch.float = torch.float64
    torch.Tensor.float = torch.Tensor.double


def drawn_model(name, out):
    kind, heads, kv_heads, head_dim, layers, hidden, more = MODELS[name]
    generator = torch.Generator().manual_seed(sum(name.encode()))
    more = dict(more)
    rope = {"rope_type": "default", "rope_theta": more.pop("rope_theta", 10000.0)}
    rope.update(more.pop("rope", {}))
    config = getattr(transformers, kind + "Config")(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=160, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=head_dim,
        max_position_embeddings=8192, rms_norm_eps=1e-5, rope_parameters=rope,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=2, **more)
    model = getattr(transformers, kind + "ForCausalLM")(config)
    with torch.no_grad():
        for key, x in model.named_parameters():
            noise = torch.randn(x.shape, generator=generator)
            if "norm" in key:
                noise = 1 + 0.1 * noise
            elif x.ndim == 2 and "embed" not in key:
                sharp = 1.7 if ("q_proj" in key or "k_proj" in key or "qkv" in key) else 1.0
                noise *= sharp * (2.0 if "lm_head" in key else 1.0) / x.shape[1] ** 0.5
            x.copy_(noise)
    folder = out / "models" / (name + ".hf")
    model.save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / "llama.hf" / file, folder / file)
    config = json.loads((folder / "config.json").read_text())
    config.update(dtype="float32", rope_theta=rope["rope_theta"])
    if rope["rope_type"] != "default":
        config["rope_scaling"] = rope
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@contextlib.contextmanager
def watched_cuts(gaps):
    """Notes how far apart the two scores at each cut are."""
    plain = torch.Tensor.topk

    def topk(x, k, dim=-1, largest=True, sorted=True):
        if 0 < k < x.shape[dim]:
            order = x.sort(dim=dim, descending=largest).values
            a, b = order.select(dim, k - 1), order.select(dim, k)
            size = torch.maximum(a.abs(), b.abs())
            near = ((a - b).abs() / size.clamp(min=1e-300))[size < 1e300]  # more: both stay or go
            gaps.extend(near.flatten().tolist())
        return plain(x, k, dim=dim, largest=largest, sorted=sorted)

    torch.Tensor.topk, before = topk, torch.topk
    torch.topk = topk
    try:
        yield
    finally:
        torch.Tensor.topk, torch.topk = plain, before


@contextlib.contextmanager
def watched_rotation(kept):
    plain = KeyRerotationPress.rerotate_keys

    def rerotate(module, indices, keys):
        kept[module.layer_idx] = indices[0].tolist()
        return plain(module, indices, keys)

    KeyRerotationPress.rerotate_keys = staticmethod(rerotate)
    try:
        yield
    finally:
        KeyRerotationPress.rerotate_keys = staticmethod(plain)


def rows_of(full, cut, channels):
    """Which rows of `full` those of `cut` are, by the channels that were not zeroed."""
    place = {row.numpy().tobytes(): i for i, row in enumerate(full[:, channels])}
    return sorted(place[row.numpy().tobytes()] for row in cut[:, channels])


def run(model, press, prompt, forced, eager, decodes):
    """Kept sets, kept channels and log-probabilities."""
    cache, full, moved, gaps = DynamicCache(), {}, {}, []
    layers = model.model.layers
    n = len(prompt)

    def note(module, args, kwargs, output):
        keys = kwargs["past_key_values"].layers[module.layer_idx].keys[0]
        rows = full.setdefault(module.layer_idx, [])
        rows.append(keys[:, -kwargs["hidden_states"].shape[1]:].clone())

    hooks = [x.self_attn.register_forward_hook(note, with_kwargs=True) for x in layers]
    for x in layers:
        x.self_attn.masked_key_indices = None
    model.config._attn_implementation = "eager" if eager else "sdpa"
    logprobs = []
    with torch.no_grad(), watched_cuts(gaps), watched_rotation(moved), contextlib.ExitStack() as on:
        on.enter_context(press(model))
        out = model(torch.tensor([prompt]), past_key_values=cache)
        if not decodes:
            on.close()
        model.config._attn_implementation = "sdpa"
        start = cache.layers[0].keys.shape[2] if moved else n
        for i, token in enumerate(forced):
            logprobs.append(out.logits[0, -1].log_softmax(-1)[token].item())
            if i + 1 == len(forced):
                break
            if i == 0 and not decodes:
                kept, channels = state(cache, full, moved, layers, n)
            at = torch.tensor([start + i])
            out = model(torch.tensor([[token]]), past_key_values=cache, cache_position=at,
                        position_ids=at[None])
        if decodes:
            kept, channels = state(cache, full, moved, layers, n)
    for hook in hooks:
        hook.remove()
    return kept, channels, logprobs, min(gaps, default=None)


def state(cache, full, moved, layers, n):
    kept, all_channels = [], []
    for l, layer in enumerate(layers):
        keys, rows = cache.layers[l].keys[0], torch.cat(full[l], dim=1)
        mask = getattr(layer.self_attn, "masked_key_indices", None)
        heads, channels = [], []
        for h in range(keys.shape[0]):
            some = (keys[h] != 0).any(0)
            channels.append(torch.nonzero(some).flatten().tolist())
            if l in moved:
                heads.append(moved[l][h])
            elif mask is not None:
                gone = set(mask[2][mask[1] == h].tolist())
                heads.append([i for i in range(n) if i not in gone])
            else:
                heads.append(rows_of(rows[h], keys[h], some))
        kept.append(heads)
        all_channels.append(channels)
    return kept, all_channels


def n_kept(n, r):
    return max(1, int(n * (1 - r)))


def budget(n, r, draw):
    """As a count or as a share, where both say the same."""
    percent = f"{round((1 - r) * 100, 6):g}%"
    share = float(percent[:-1]) / 100
    if draw.random() < 0.5 and max(1, int(n * share + 1e-9)) == n_kept(n, r):
        return f"budget={percent}"
    return f"budget={n_kept(n, r)}"


def scorer(draw, n, r, names):
    """A press that scores, and its spec."""
    name, b = draw.choice(names), budget(n, r, draw)
    pick = draw.choice
    if name == "snapkv":
        w = pick([w for w in (1, 3, 8, 16, 24, 32, 64) if w < min(n_kept(n, r), n - 1)] or [0])
        if w == 0:
            return scorer(draw, n, r, [x for x in names if x != "snapkv"] or ["keydiff"])
        k = pick([1, 3, 5, 7, 13, 21])
        return (kvpress.SnapKVPress(compression_ratio=r, window_size=w, kernel_size=k),
                f"snapkv:variant=kvpress,window={w},kernel={k},{b}")
    if name == "expected":
        f, s = pick([1, 64, 512, 700]), pick([0, 1, 4, 9])
        cov, norm, eps = pick([True, False]), pick([True, False]), pick([0.0, 0.01, 0.02])
        press = kvpress.ExpectedAttentionPress(
            compression_ratio=r, n_future_positions=f, n_sink=s, use_covariance=cov, use_vnorm=norm,
            epsilon=eps)
        return press, (f"expected:future={f},sinks={s},covariance={str(cov).lower()},"
                       f"vnorm={str(norm).lower()},epsilon={eps},{b}")
    if name == "lagkv":
        s, lag, cross = pick([0, 4, 16]), pick([16, 64, 128]), pick([True, True, False])
        press = kvpress.LagKVPress(compression_ratio=r, n_sink=s, lag_size=lag,
                                   cross_scoring=cross)
        return press, f"lagkv:sinks={s},lag={lag},cross={str(cross).lower()},{b}"
    if name == "cur":
        s, w = pick([0, 4, 7]), pick([1, 8, 16, 50])
        return (kvpress.CURPress(compression_ratio=r, num_sinks=s, local_window_size=w),
                f"cur:sinks={s},window={w},{b}")
    if name == "streaming":
        s = pick([s for s in (0, 1, 4, 16) if s < n_kept(n, r)])
        return (kvpress.StreamingLLMPress(compression_ratio=r, n_sink=s),
                f"streaming:when=prompt,sinks={s},{b}")
    plain = {"knorm": (kvpress.KnormPress, "knorm:"), "keydiff": (kvpress.KeyDiffPress, "keydiff:"),
             "tova": (kvpress.TOVAPress, "tova:variant=kvpress,"),
             "h2o": (kvpress.ObservedAttentionPress, "h2o:variant=kvpress,")}
    kind, text = plain[name]
    return kind(compression_ratio=r), text + b


SCORERS = ["snapkv", "snapkv", "expected", "lagkv", "cur", "knorm", "keydiff", "tova"]
LENGTHS = [65, 66, 70, 97, 128, 131, 200, 256, 301, 400, 500, 597, 600, 603, 777, 1001, 1100, 2050]
WRAPPERS = ["none", "none", "renumbercritical", "h2o", "streaming", "adakv", "adakv", "criticalkv",
            "adacritical", "criticalada", "chunkkv", "chunkkv", "pyramidkv", "pyramidkv",
            "renumber", "finch", "think", "snapthink", "merge", "simlayer", "decode",
            "prefilldecode"]


def case(draw, only, longest):
    """kind, press, spec, eager, decodes, n, r"""
    pick = draw.choice
    n = pick([n for n in LENGTHS if n <= longest])
    r = pick([0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    kind = pick(only or WRAPPERS)
    eager = decodes = False
    if kind in ("h2o", "streaming"):
        eager = kind == "h2o"
        press, spec = scorer(draw, n, r, [kind])
    elif kind == "adakv":
        floor = pick([0.0, 0.1, 0.2, 0.5, 0.8, 1.0])
        inner, spec = scorer(draw, n, r, SCORERS)
        press = kvpress.AdaKVPress(inner, alpha_safeguard=floor)
        spec = f"adakv:variant=kvpress,floor={floor} + {spec}"
    elif kind in ("criticalkv", "adacritical", "renumbercritical"):
        first, eps = pick([0.0, 0.25, 0.5, 0.7, 0.9]), pick([1e-4, 1e-2])
        inner, spec = scorer(draw, n, r, ["snapkv", "snapkv", "tova", "expected", "cur"])
        press = kvpress.CriticalKVPress(inner, epsilon=eps, first_stage_ratio=first)
        spec = f"criticalkv:epsilon={eps},first={first} + {spec}"
        if kind == "renumbercritical":
            press, spec = KeyRerotationPress(press), "renumber + " + spec
        if kind == "adacritical":
            floor = pick([0.2, 0.5])
            press = kvpress.AdaKVPress(press, alpha_safeguard=floor)
            spec = f"adakv:variant=kvpress,floor={floor} + {spec}"
    elif kind == "criticalada":
        floor, first, eps = pick([0.1, 0.2, 0.5, 0.8]), pick([0.25, 0.5, 0.9]), pick([1e-4, 1e-2])
        inner, spec = scorer(draw, n, r, ["snapkv", "snapkv", "tova", "expected"])
        press = kvpress.CriticalAdaKVPress(inner, alpha_safeguard=floor, epsilon=eps,
                                           first_stage_ratio=first)
        spec = (f"criticalkv:epsilon={eps},first={first} + adakv:variant=kvpress,floor={floor} + "
                f"{spec}")
    elif kind == "chunkkv":
        chunk = pick([1, 5, 10, 16, 20, 33, 64, 150])
        inner, spec = scorer(draw, n, r, SCORERS)
        press = kvpress.ChunkKVPress(inner, chunk_length=chunk)
        spec = f"chunkkv:chunk={chunk} + {spec}"
    elif kind == "pyramidkv":
        w, k, beta = pick([1, 4, 8, 16]), pick([3, 5, 7]), pick([1, 2, 3, 5, 8, 20])
        press = kvpress.PyramidKVPress(compression_ratio=r, window_size=w, kernel_size=k, beta=beta)
        share = f"{round((1 - r) * 100, 6):g}%"
        whole = abs(n * (1 - r) - round(n * (1 - r))) < 1e-6
        b = str(max(1, round(n * (1 - r)))) if whole and draw.random() < 0.5 else share
        if n * (1 - r) <= w:
            return case(draw, only, longest)
        spec = (f"pyramidkv:variant=kvpress,beta={beta} + snapkv:variant=kvpress,window={w},"
                f"kernel={k},budget={b}")
    elif kind == "renumber":
        inner, spec = scorer(draw, n, r, SCORERS + ["streaming"])
        press, spec = KeyRerotationPress(inner), "renumber + " + spec
    elif kind == "finch":
        w = pick([w for w in (1, 5, 16, 32, 64) if w < min(n_kept(n, r), n - 1)] or [0])
        if w == 0:
            return case(draw, only, longest)
        norm, move = pick([True, False]), pick([True, False])
        press = kvpress.FinchPress(compression_ratio=r, normalize_scores=norm, rerotate_keys=move)
        press.window_size, press.delimiter_token_id = w, -1
        spec = (f"finch:window={w},normalize={str(norm).lower()},renumber={str(move).lower()},"
                f"{budget(n, r, draw)}")
    elif kind in ("think", "snapthink"):
        w, share = pick([1, 8, 32, 64, 100]), pick([0.1, 0.25, 0.3, 0.4, 0.5, 0.7, 0.9])
        press = kvpress.ThinKPress(key_channel_compression_ratio=share, window_size=w)
        spec = f"think:variant=kvpress,window={w},ratio={share}"
        if kind == "snapthink":
            inner, text = scorer(draw, n, r, SCORERS)
            press, spec = kvpress.ComposedPress([inner, press]), f"{text} + {spec}"
    elif kind == "merge":
        least = pick([0.0, 0.3, 0.8])
        inner, spec = scorer(draw, n, r, SCORERS)
        press = kvpress.MergingPress(inner, similarity_threshold=least)
        spec = f"merge:variant=kvpress,least={least} + {spec}"
    elif kind == "simlayer":
        last, first = pick([1, 1, 3, 16]), pick([0, 4, 10])
        recent = pick([x for x in (20, 30, n // 3, n // 2) if x > last])
        least = pick([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
        press = kvpress.SimLayerKVPress(lazy_threshold=least, n_last=last, n_recent=recent,
                                        n_initial=first)
        spec = f"simlayer:threshold={least},recent={recent},sinks={first},last={last}"
    elif kind in ("decode", "prefilldecode"):
        every, target, decodes = pick([4, 7, 16]), pick([30, 64, n // 2, n, n + 8]), True
        inner, text = scorer(draw, n, 0.5, ["keydiff", "knorm"])
        inner.compression_ratio, name = 0.0, text.split(":")[0]
        press = kvpress.DecodingPress(inner, compression_interval=every, target_size=target)
        both = kind == "prefilldecode"
        if both:
            if target >= n:
                return case(draw, only, longest)
            ratio = press._find_target_compression_ratio(n, target)
            prefill = type(inner)(compression_ratio=ratio)
            press = kvpress.PrefillDecodingPress(prefill, press)
        spec = f"decode:every={every}{',prompt=true' if both else ''} + {name}:budget={target}"
    else:
        press, spec = scorer(draw, n, r, SCORERS)
    return kind, press, spec, eager, decodes, n, r


def main():
    options = argparse.ArgumentParser()
    options.add_argument("out", type=pathlib.Path)
    options.add_argument("--models", default="llama.hf")
    options.add_argument("--cases", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--forced", type=int, default=20)
    options.add_argument("--longest", type=int, default=1100)
    options.add_argument("--only", default="", help="kinds of WRAPPERS, with commas")
    args = options.parse_args()
    only = args.only.split(",") if args.only else None
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args.out.mkdir(parents=True, exist_ok=True)
    models = {}
    for name in args.models.split(","):
        folder = drawn_model(name, args.out) if name in MODELS else GOLDEN / name
        models[name] = folder, transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="sdpa")
    in_float64()
    for name, (folder, model) in models.items():
        model.double()
        model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config)
        draw = random.Random(f"{name} {args.seed}")
        for i in range(args.cases):
            kind, press, spec, eager, decodes, n, r = case(draw, only, args.longest)
            prompt = [draw.randrange(4, VOCABULARY) for _ in range(n)]
            forced = [draw.randrange(4, VOCABULARY) for _ in range(args.forced)]
            where = f"{name} {i} {spec} n={n} r={r}"
            try:
                kept, channels, logprobs, gap = run(model, press, prompt, forced, eager, decodes)
            except Exception as error:  # a press that its own checks refuse
                print(f"{where}: {type(error).__name__}: {str(error)[:200]}")
                continue
            golden = {"model": str(folder) if name in MODELS else name,
                      "press": type(press).__name__, "spec": spec, "n_prompt": n, "ratio": r,
                      "prompt_ids": prompt, "kept": kept, "continuation_ids": forced,
                      "continuation_logprobs": [float(f"{x:.6g}") for x in logprobs],
                      "smallest_cut_gap": gap}
            if kind in ("think", "snapthink"):
                golden["kept_channels"] = channels
            stem = f"{name.removesuffix('.hf')}_{args.seed}_{i:03}_{kind}"
            (args.out / f"{stem}.json").write_text(json.dumps(golden, separators=(",", ":")))


if __name__ == "__main__":
    main()
