"""References of GGUF's pre-tokenizer names: python tokenizer_names.py OUT_DIR

Writes, for one name of each family, the ids that llama.cpp (PyPI's llama-cpp-python) gives with the byte-level
model of OUT_DIR/json_models.json (tokenizer_json.py): names.json, {"texts", "ids": {name: [one list a text]}}.
"""
import json
import pathlib
import struct
import sys
import tempfile

import llama_cpp

from tokenizer_texts import EDGES, texts

NAMES = ["default", "gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "qwen35", "seed-coder", "minicpm5", "laguna",
         "ufakzeka", "jais-2", "bailingmoe", "exaone-moe", "gpt-4o", "tekken", "youtu", "deepseek-llm",
         "deepseek-coder", "deepseek-v3", "falcon", "bloom", "viking", "chameleon"]
U32, I32, STRING, ARRAY = 4, 5, 8, 9


def text(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def gguf(tokens, merges, pre):
    """A vocabulary without a model, as bytes."""
    strings = lambda items: struct.pack("<IQ", STRING, len(items)) + b"".join(map(text, items))
    ends = {"<|bos|>", "<|eos|>"}
    types = b"".join(struct.pack("<i", 3 if t in ends else 1) for t in tokens)
    pairs = [("general.architecture", STRING, text("llama")), ("tokenizer.ggml.model", STRING, text("gpt2")),
             ("tokenizer.ggml.pre", STRING, text(pre)), ("tokenizer.ggml.tokens", ARRAY, strings(tokens)),
             ("tokenizer.ggml.merges", ARRAY, strings(merges)),
             ("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ", I32, len(tokens)) + types),
             ("tokenizer.ggml.bos_token_id", U32, struct.pack("<I", tokens.index("<|bos|>"))),
             ("tokenizer.ggml.eos_token_id", U32, struct.pack("<I", tokens.index("<|eos|>")))]
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    return head + b"".join(text(k) + struct.pack("<I", t) + v for k, t, v in pairs)


@llama_cpp.llama_log_callback
def silent(level, message, user_data):
    pass


def main(out):
    llama_cpp.llama_log_set(silent, None)
    model = json.loads(pathlib.Path(out, "json_models.json").read_text())["models"]["bytes"]["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get) + ["<|bos|>", "<|eos|>"]
    strings = [t for t in EDGES + texts(5, 20)[-20:] if "\x00" not in t]
    ids = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            path = pathlib.Path(folder, name + ".gguf")
            path.write_bytes(gguf(tokens, model["merges"], name))
            llama = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
            ids[name] = [llama.tokenize(t.encode(), add_bos=False, special=True) for t in strings]
    made = json.dumps({"texts": strings, "ids": ids}, separators=(",", ":"))
    pathlib.Path(out, "names.json").write_text(made + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
