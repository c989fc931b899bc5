"""References of tokenizer.json: python tokenizer_json.py OUT_DIR

Trains three tiny models with PyPI's `tokenizers` (byte-level BPE, character BPE with byte tokens, unigram) on
texts of our own and writes json_models.json: {"models": {name: tokenizer.json}, "texts", "variants": [{"name",
"model", "patch", "ids": [one list a text]}]}. A variant is its model with the members of `patch` put in place.
The models merge across words, so that every cut of a pre-tokenizer shows in the ids.
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer_texts import SENTENCES, texts

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
WORD = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{UP}*{LOW}+%s|[^\r\n\p{{L}}\p{{N}}]?{UP}+{LOW}*%s|"
SYMBOLS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
SLASHES = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*"
LLAMA3 = CONTRACTION + WORD + r"\p{N}{1,3}" + SYMBOLS + TAIL
QWEN2 = CONTRACTION + WORD + r"\p{N}" + SYMBOLS + TAIL
GPT4O = CASED % (CONTRACTION + "?", CONTRACTION + "?") + r"\p{N}{1,3}" + SLASHES + TAIL
TEKKEN = CASED % ("", "") + r"\p{N}" + SLASHES + TAIL
DEEPSEEK3 = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
             r"| ?[\p{P}\p{S}]+[\r\n]*" + TAIL)


def seq(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(use_regex=False, add_prefix_space=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def metaspace(scheme, cut=True):
    return {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": cut}


def added(id, content, special=False, **flags):
    base = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special}
    return {**base, **flags}


BYTES = lambda *steps: {"pre_tokenizer": seq(*steps, byte_level())}
VARIANTS = [
    ("gpt2", "bytes", {"pre_tokenizer": byte_level(use_regex=True)}),
    ("prefix_space", "bytes", {"pre_tokenizer": byte_level(use_regex=True, add_prefix_space=True)}),
    ("digits_each", "bytes", {"pre_tokenizer": seq({"type": "Digits", "individual_digits": True}, byte_level(True))}),
    ("digits_runs", "bytes", {"pre_tokenizer": seq({"type": "Digits", "individual_digits": False},
                                                   byte_level(True, True))}),
    ("llama3", "bytes", BYTES(split(LLAMA3))),
    ("qwen2_nfc", "bytes", {**BYTES(split(QWEN2)), "normalizer": {"type": "NFC"}}),
    ("gpt4o", "bytes", BYTES(split(GPT4O))),
    ("gpt4o_removed", "bytes", BYTES(split(GPT4O, "Removed", True))),
    ("tekken", "bytes", BYTES(split(TEKKEN))),
    ("deepseek3", "bytes", BYTES(split(r"\p{N}{1,3}"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                                 split(DEEPSEEK3))),
    ("punctuation", "bytes", BYTES({"type": "Punctuation", "behavior": "Contiguous"})),
    ("punctuation_after", "bytes", BYTES({"type": "Punctuation", "behavior": "MergedWithPrevious"})),
    ("whitespace", "bytes", BYTES({"type": "Whitespace"})),
    ("whitespace_split", "bytes", BYTES({"type": "WhitespaceSplit"})),
    ("split_next", "bytes", BYTES(split(" ", "MergedWithNext", kind="String"))),
    ("split_previous", "bytes", BYTES(split(" ", "MergedWithPrevious", kind="String"))),
    ("split_lines", "bytes", BYTES(split(r"^\s|\s$"), split("a", "Removed", kind="String"))),
    ("split_empty", "bytes", BYTES(split(r"(?=[A-Z])"))),
    ("whole_words", "bytes", {**BYTES(split(LLAMA3)), "ignore_merges": True}),
    ("added", "bytes", {"pre_tokenizer": byte_level(True), "added_tokens": [
        added(900, "<|im_end|>", True), added(901, "<|im|>", True), added(902, "the", single_word=True),
        added(903, "bread", lstrip=True, rstrip=True), added(904, "  "), added(905, "tokens"),
        added(906, "token")]}),
    ("llama2", "characters", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}}),
    ("llama2_added", "characters", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}, "added_tokens": [
            added(900, "<|im_end|>", True), added(901, "the", normalized=True), added(902, "ri")]}),
    ("metaspace_first", "characters", {"pre_tokenizer": metaspace("first", False), "added_tokens": [
        added(900, "<|im_end|>", True)]}),
    ("metaspace_always", "characters", {"pre_tokenizer": metaspace("always"), "added_tokens": [
        added(900, "<|im_end|>", True)]}),
    ("metaspace_never", "characters", {"pre_tokenizer": metaspace("never")}),
    ("strip", "characters", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]}}),
    ("unigram", "unigram", {"pre_tokenizer": metaspace("always")}),
    ("unigram_whole", "unigram", {"pre_tokenizer": metaspace("first", False)}),
]
MORE_TEXTS = ["<|im_end|>", "a<|im_end|> the river", "the<|im_end|>the", "bathe the there, the", "soft  bread  and bread",
              "token tokens tokenss", " ri the rising", "<|im|><|im_end|><|im_", "Hello <|im_end|>  world"]


def train():
    byte = Tokenizer(models.BPE())
    byte.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    byte.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=700, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    char = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    char.train_from_iterator([s.replace(" ", "\u2581") for s in SENTENCES], trainers.BpeTrainer(
        vocab_size=700, show_progress=False, special_tokens=["<unk>"] + [f"<0x{b:02X}>" for b in range(256)]))
    uni = Tokenizer(models.Unigram())
    uni.pre_tokenizer = pre_tokenizers.Metaspace()
    uni.train_from_iterator(SENTENCES, trainers.UnigramTrainer(
        vocab_size=400, show_progress=False, special_tokens=["<unk>"], unk_token="<unk>"))
    made = {"bytes": json.loads(byte.to_str()), "characters": json.loads(char.to_str()),
            "unigram": json.loads(uni.to_str())}
    for model in made.values():
        model.update(added_tokens=[], normalizer=None, pre_tokenizer=None)
        if isinstance(model["model"]["merges"] if "merges" in model["model"] else None, list):
            model["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in model["model"]["merges"]]
    made["bytes"]["decoder"] = json.loads(decoders.ByteLevel().__getstate__())
    space = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    made["characters"]["decoder"] = {"type": "Sequence", "decoders": [space, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    made["unigram"]["decoder"] = {"type": "Sequence", "decoders": [space, {"type": "Fuse"}]}
    return made


def main(out):
    made = train()
    strings = texts(11, 24) + MORE_TEXTS
    variants = []
    for name, model, patch in VARIANTS:
        tokenizer_json = {**json.loads(json.dumps(made[model])), **patch}
        if tokenizer_json.pop("ignore_merges", False):
            tokenizer_json["model"]["ignore_merges"] = True
        tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json))
        for token in patch.get("added_tokens", []):  # the library numbers them itself
            token["id"] = tokenizer.token_to_id(token["content"])
        variants.append({"name": name, "model": model, "patch": patch, "ids": [tokenizer.encode(t).ids for t in strings]})
    path = pathlib.Path(out, "json_models.json")
    path.write_text(json.dumps({"models": made, "texts": strings, "variants": variants}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
