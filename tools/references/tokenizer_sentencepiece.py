"""References of SentencePiece tokenizers: python tokenizer_sentencepiece.py OUT_DIR

Trains tiny models on texts of our own with PyPI's `sentencepiece` and writes, for each, NAME.json (the
GGUF metadata that stands for the model) and NAME.jsonl (lines of {"text", "ids"}, no BOS or EOS, control
tokens not parsed).
"""
import io
import json
import pathlib
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb

from tokenizer_texts import SENTENCES, texts

# What the character map of `unigram_map` does: ligature, full-width letters, a tab, one in two, gone.
RULES = [("\ufb01", "fi"), ("\uff21", "A"), ("\uff22", "B"), ("\t", " "), ("\u3000", " "), ("\u2460", "1"),
         ("e\u0301", "\u00e9"), ("\u00bd", "1/2"), ("\u200b", "")]

MODELS = {
    # As Llama 2: bytes for the unknown, spaces kept, a space put first.
    "spm_bpe": dict(model_type="bpe", vocab_size=700, byte_fallback=True, add_dummy_prefix=True,
                    remove_extra_whitespaces=False, normalization_rule_name="identity"),
    # As Gemma: no space put first, user-defined pieces.
    "spm_bpe_user": dict(model_type="bpe", vocab_size=700, byte_fallback=True, add_dummy_prefix=False,
                         remove_extra_whitespaces=False, normalization_rule_name="identity",
                         user_defined_symbols=["<tool>", "\n\n", "token", "tokens"]),
    # No bytes: runs of unknown characters are one unknown token.
    "spm_bpe_unk": dict(model_type="bpe", vocab_size=420, byte_fallback=False, add_dummy_prefix=True,
                        remove_extra_whitespaces=False, normalization_rule_name="identity",
                        character_coverage=0.98),
    # As T5: a character map, spaces collapsed, unknown tokens.
    "spm_unigram": dict(model_type="unigram", vocab_size=420, byte_fallback=False, add_dummy_prefix=True,
                        remove_extra_whitespaces=True, character_coverage=0.98, rules=True),
    "spm_unigram_bytes": dict(model_type="unigram", vocab_size=700, byte_fallback=True, add_dummy_prefix=True,
                              remove_extra_whitespaces=False, normalization_rule_name="identity"),
}


def train(options):
    options = dict(options)
    with tempfile.TemporaryDirectory() as folder:
        if options.pop("rules", False):
            path = pathlib.Path(folder, "rules.tsv")
            hexes = lambda s: " ".join(f"{ord(c):X}" for c in s)
            path.write_text("".join(f"{hexes(a)}\t{hexes(b)}\n" for a, b in RULES))
            options["normalization_rule_tsv"] = str(path)
        out = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES), model_writer=out, hard_vocab_limit=False,
                                       minloglevel=2, num_threads=1, **options)
    return out.getvalue()


def metadata(proto):
    """The keys that GGUF converters write."""
    keys = {
        "tokenizer.ggml.model": "llama" if proto.trainer_spec.model_type == pb.TrainerSpec.BPE else "t5",
        "tokenizer.ggml.tokens": [p.piece for p in proto.pieces],
        "tokenizer.ggml.scores": [p.score for p in proto.pieces],
        "tokenizer.ggml.token_type": [p.type for p in proto.pieces],
        "tokenizer.ggml.unknown_token_id": proto.trainer_spec.unk_id,
        "tokenizer.ggml.bos_token_id": proto.trainer_spec.bos_id,
        "tokenizer.ggml.eos_token_id": proto.trainer_spec.eos_id,
        "tokenizer.ggml.add_space_prefix": proto.normalizer_spec.add_dummy_prefix,
        "tokenizer.ggml.remove_extra_whitespaces": proto.normalizer_spec.remove_extra_whitespaces,
    }
    if proto.normalizer_spec.precompiled_charsmap:
        keys["tokenizer.ggml.precompiled_charsmap"] = list(proto.normalizer_spec.precompiled_charsmap)
    return keys


def main(out):
    for name, options in MODELS.items():
        model = train(options)
        proto = pb.ModelProto()
        proto.ParseFromString(model)
        sp = spm.SentencePieceProcessor(model_proto=model)
        pathlib.Path(out, name + ".json").write_text(json.dumps(metadata(proto), separators=(",", ":")) + "\n")
        # SentencePiece ends C strings at NUL in places; GGUF files' readers do not agree on it either.
        lines = [{"text": t, "ids": sp.encode(t), "parse_special": False} for t in texts(7) if "\x00" not in t]
        pathlib.Path(out, name + ".jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main(sys.argv[1])
