"""The needle model's tokenizer: byte-level BPE, trained and used in plain Python.

Text is cut as GGUF's pre-tokenizer "smollm" cuts it (each digit alone, then GPT-2's pattern), then
pieces are merged. Some merges are never learned, so that what the tasks ask for is cut the same way
wherever it stands: no two capitals (variable names are letters one by one), no space with a single
capital, no white space with white space.

`python3 bpe.py` trains it on the tasks' words and writes tokenizer.json (Hugging Face's format).
"""

import collections
import json
import pathlib
import random
import re

FILE = pathlib.Path(__file__).with_name("tokenizer.json")
N_VOCAB = 4096
SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>"]
BOS, EOS, PAD = 0, 1, 2

# The same cut as the two steps of "smollm", for text in ASCII.
PIECES = re.compile(r"[0-9]|'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+"
                    r"|\s+(?![^\s0-9])|\s+")


def byte_letters():
    """GPT-2's printable letter for each byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, n = {}, 0
    for byte in range(256):
        letters[byte] = chr(byte) if byte in keep else chr(256 + n)
        n += byte not in keep
    return letters


BYTES = byte_letters()
SPACE = BYTES[32]


def as_letters(text):
    return "".join(BYTES[byte] for byte in text.encode())


class Tokenizer:
    def __init__(self, pieces, merges):
        self.pieces = pieces  # id -> piece, in GPT-2's letters
        self.ids = {piece: i for i, piece in enumerate(pieces)}
        self.ranks = {tuple(merge): i for i, merge in enumerate(merges)}
        self.known = {}

    @classmethod
    def load(cls, path=FILE):
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))["model"]
        pieces = sorted(data["vocab"], key=data["vocab"].get)
        return cls(pieces, [tuple(merge) for merge in data["merges"]])

    def encode(self, text):
        out = []
        for piece in PIECES.findall(text):
            ids = self.known.get(piece)
            if ids is None:
                ids = self.known[piece] = self.merge(as_letters(piece))
            out += ids
        return out

    def merge(self, letters):
        parts = list(letters)
        while len(parts) > 1:
            rank, at = min((self.ranks.get(pair, 1 << 30), i)
                           for i, pair in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        return [self.ids[part] for part in parts]

    def decode(self, ids):
        back = {letter: byte for byte, letter in BYTES.items()}
        letters = "".join(self.pieces[i] for i in ids if i >= len(SPECIAL))
        return bytes(back[letter] for letter in letters).decode(errors="replace")


def may_merge(left, right):
    piece = left + right
    capitals = [c for c in piece if c.isascii() and c.isupper()]
    blanks = [c for c in piece if c in (SPACE, BYTES[10], BYTES[9], BYTES[13])]
    return len(capitals) < 2 and len(blanks) < 2 and piece not in {SPACE + c for c in capitals}


def train(counts, n_merges):
    """The merges of BPE over words with counts; ties go to the pair that sorts first."""
    words = [(list(word), n) for word, n in sorted(counts.items()) if len(word) > 1]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (parts, n) in enumerate(words):
        for pair in zip(parts, parts[1:]):
            pairs[pair] += n
            where[pair].add(i)
    merges = []
    while len(merges) < n_merges:
        most = max(pairs.values())
        best = min(pair for pair, n in pairs.items() if n == most)
        if not may_merge(*best):
            pairs[best] = -1 << 60  # never the most frequent one again
            continue
        merges.append(best)
        for i in sorted(where.pop(best)):
            parts, n = words[i]
            for pair in zip(parts, parts[1:]):
                pairs[pair] -= n
            at = 0
            while at + 1 < len(parts):
                if (parts[at], parts[at + 1]) == best:
                    parts[at:at + 2] = [parts[at] + parts[at + 1]]
                at += 1
            for pair in zip(parts, parts[1:]):
                pairs[pair] += n
                where[pair].add(i)
        del pairs[best]
    return merges


def corpus():
    """Words with weights: the tasks' own words first, then prose and pseudo-words."""
    import prose
    import tasks
    import words

    counts = collections.Counter()

    def add(text, weight=1):
        for piece in PIECES.findall(text):
            counts[as_letters(piece)] += weight

    rng = random.Random(1)
    for text in tasks.fixed_texts():
        add(text, 300)
    for noun in words.NOUNS:
        add(noun, 30)
        add(" " + noun, 30)
        add(" " + words.plural(noun), 3)
    for adjective in words.ADJECTIVES:
        add(" " + adjective, 30)
        add(adjective, 10)
    for verb in words.VERBS:
        for form in (verb, words.past(verb), words.ing(verb), words.third(verb)):
            add(" " + form, 8)
    for word in words.ADVERBS + words.FUNCTION_WORDS:
        add(" " + word, 20)
        add(" " + word.capitalize(), 3)
    for _ in range(3000):
        add(" " + prose.sentence(rng))
        add(" " + words.pseudo_word(rng))
    return counts


def main():
    merges = train(corpus(), N_VOCAB - 256 - len(SPECIAL))
    pieces = SPECIAL + [BYTES[byte] for byte in range(256)] + ["".join(merge) for merge in merges]
    added = [{"id": i, "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, piece in enumerate(SPECIAL)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                  "use_regex": True}
    data = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": SPECIAL[BOS], "type_id": 0}},
                                      {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                    {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {SPECIAL[BOS]: {"id": SPECIAL[BOS], "ids": [BOS],
                                                             "tokens": [SPECIAL[BOS]]}}},
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {piece: i for i, piece in enumerate(pieces)},
                  "merges": [list(merge) for merge in merges]},
    }
    assert len(data["model"]["vocab"]) == N_VOCAB, "a piece was made twice"
    FILE.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{FILE}: {len(pieces)} pieces")


if __name__ == "__main__":
    main()
