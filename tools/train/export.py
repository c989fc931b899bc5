"""Writes the needle model as a GGUF file: F16 matrices, F32 norms, its tokenizer within.

    python3 export.py --from OUT models/needle-11m-f16.gguf
"""

import argparse
import pathlib
import struct

import numpy as np

import bpe
from model import Config

CHAT = "{% for message in messages %}{{ message.content }}{% endfor %}"
CONTEXT = 16384
ALIGNMENT = 32
# GGUF's numbers for the types of values and of tensors.
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32, F16 = 0, 1
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3
MOSTLY_F16 = 1


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def plain(kind, value):
    if kind == STRING:
        return text(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)


def entry(key, kind, value, item=None):
    body = plain(kind, value) if kind != ARRAY else (
        struct.pack("<IQ", item, len(value)) + b"".join(plain(item, each) for each in value))
    return text(key) + struct.pack("<I", kind) + body


def metadata(config):
    tokenizer = bpe.Tokenizer.load()
    merges = [" ".join(merge) for merge in tokenizer.ranks]
    types = [CONTROL_TOKEN if i < len(bpe.SPECIAL) else NORMAL_TOKEN for i in range(config.vocab)]
    return [
        entry("general.architecture", STRING, "llama"),
        entry("general.name", STRING, "Kvasir needle 11M"),
        entry("general.description", STRING, "answers needle, tracking and copying questions about "
              "generated texts of up to 16384 tokens, and does nothing else"),
        entry("general.alignment", UINT32, ALIGNMENT),
        entry("general.file_type", UINT32, MOSTLY_F16),
        entry("llama.context_length", UINT32, CONTEXT),
        entry("llama.embedding_length", UINT32, config.hidden),
        entry("llama.block_count", UINT32, config.layers),
        entry("llama.feed_forward_length", UINT32, config.ffn),
        entry("llama.attention.head_count", UINT32, config.q_heads),
        entry("llama.attention.head_count_kv", UINT32, config.kv_heads),
        entry("llama.attention.key_length", UINT32, config.head_dim),
        entry("llama.attention.value_length", UINT32, config.head_dim),
        entry("llama.attention.layer_norm_rms_epsilon", FLOAT32, config.eps),
        entry("llama.rope.dimension_count", UINT32, config.head_dim),
        entry("llama.rope.freq_base", FLOAT32, config.theta),
        entry("llama.vocab_size", UINT32, config.vocab),
        entry("tokenizer.ggml.model", STRING, "gpt2"),
        entry("tokenizer.ggml.pre", STRING, "smollm"),
        entry("tokenizer.ggml.tokens", ARRAY, tokenizer.pieces, STRING),
        entry("tokenizer.ggml.token_type", ARRAY, types, INT32),
        entry("tokenizer.ggml.merges", ARRAY, merges, STRING),
        entry("tokenizer.ggml.bos_token_id", UINT32, bpe.BOS),
        entry("tokenizer.ggml.eos_token_id", UINT32, bpe.EOS),
        entry("tokenizer.ggml.padding_token_id", UINT32, bpe.PAD),
        entry("tokenizer.ggml.add_bos_token", BOOL, True),
        entry("tokenizer.chat_template", STRING, CHAT),
    ]


def tensors(weights, config):
    """(GGUF's name, array) in the order of the file. The head is the embedding."""
    heads, kv = config.q_heads * config.head_dim, config.kv_heads * config.head_dim
    yield "token_embd.weight", weights["embed"]
    yield "output_norm.weight", weights["norm"]
    for i in range(config.layers):
        q, k, v = np.split(weights[f"{i}_qkv"], (heads, heads + kv))
        gate, up = np.split(weights[f"{i}_gate_up"], 2)
        for name, array in (("attn_norm", weights[f"{i}_attn_norm"]), ("attn_q", q), ("attn_k", k),
                            ("attn_v", v), ("attn_output", weights[f"{i}_o"]),
                            ("ffn_norm", weights[f"{i}_ffn_norm"]), ("ffn_gate", gate),
                            ("ffn_up", up), ("ffn_down", weights[f"{i}_down"])):
            yield f"blk.{i}.{name}.weight", array


def write(path, weights, config):
    infos, blobs, offset = [], [], 0
    for name, array in tensors(weights, config):
        data = np.ascontiguousarray(array, np.float32 if array.ndim == 1 else np.float16)
        assert np.isfinite(data).all(), f"{name} does not fit float16"
        kind = F32 if array.ndim == 1 else F16
        shape = array.shape[::-1]  # GGUF counts the fastest dimension first
        infos.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind,
                                              offset))
        blob = data.tobytes()
        blob += bytes(-len(blob) % ALIGNMENT)
        blobs.append(blob)
        offset += len(blob)
    entries = metadata(config)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries)) + b"".join(entries + infos)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + b"".join(blobs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="start", type=pathlib.Path, required=True,
                        help="a folder with weights-N.npz")
    parser.add_argument("path", type=pathlib.Path)
    args = parser.parse_args()
    weights = {}
    for file in sorted(args.start.glob("weights-*.npz")):
        weights |= np.load(file)
    write(args.path, weights, Config())
    print(f"{args.path}: {args.path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
