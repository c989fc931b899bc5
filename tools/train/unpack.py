"""The weights of a GGUF file that export.py wrote, for train.py to go on from.

    python3 unpack.py ../../models/needle-11m-f16.gguf OUT
"""

import argparse
import pathlib
import struct

import numpy as np

from export import ALIGNMENT, ARRAY, BOOL, F16, FLOAT32, INT32, STRING, UINT32
from model import Config

SIZES = {UINT32: 4, INT32: 4, FLOAT32: 4, BOOL: 1}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.number("Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            item, n = self.number("I"), self.number("Q")
            for _ in range(n):
                self.skip(item)
        else:
            self.at += SIZES[kind]


def read(path):
    """Name to float32 array of every tensor."""
    reader = Reader(path.read_bytes())
    assert reader.number("I") == 0x46554747, f"{path} is no GGUF file"
    reader.number("I")
    n_tensors, n_keys = reader.number("Q"), reader.number("Q")
    for _ in range(n_keys):
        reader.text()
        reader.skip(reader.number("I"))
    infos = []
    for _ in range(n_tensors):
        name = reader.text()
        shape = [reader.number("Q") for _ in range(reader.number("I"))][::-1]
        infos.append((name, shape, np.float16 if reader.number("I") == F16 else np.float32,
                      reader.number("Q")))
    start = -(-reader.at // ALIGNMENT) * ALIGNMENT
    return {name: np.frombuffer(reader.data, kind, int(np.prod(shape)), start + offset)
            .reshape(shape).astype(np.float32) for name, shape, kind, offset in infos}


def weights(found, config):
    """In train.py's names: what export.tensors() took apart."""
    yield "embed", found["token_embd.weight"]
    yield "norm", found["output_norm.weight"]
    for i in range(config.layers):
        def of(*names, layer=i):
            return np.concatenate([found[f"blk.{layer}.{name}.weight"] for name in names])
        yield f"{i}_attn_norm", of("attn_norm")
        yield f"{i}_qkv", of("attn_q", "attn_k", "attn_v")
        yield f"{i}_o", of("attn_output")
        yield f"{i}_ffn_norm", of("ffn_norm")
        yield f"{i}_gate_up", of("ffn_gate", "ffn_up")
        yield f"{i}_down", of("ffn_down")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez(args.out / "weights-0.npz", **dict(weights(read(args.gguf), Config())))


if __name__ == "__main__":
    main()
