"""References of patterns: python tokenizer_regex.py OUT_DIR

What PyPI's `tokenizers` (Oniguruma) makes of patterns that PCRE2 reads otherwise. Writes regex.json: {"patterns":
[[pattern, [[text, [pieces]], ...]], ...], "whitespace": [[text, [pieces]], ...]}; a text is cut before and after each
match. "unigram": {"scores", "ids": [[text, [ids]], ...]}: a vocabulary whose cuts tie but for rounding.
"normalizers": {type: [[text, normalised], ...]}.
"""
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

TEXTS = ["क्षत्रिय नमस्ते", "ภาษาไทย น้ำ", "cafe\u0301 re\u0301sume\u0301_1", "עִבְרִית שָׁלוֹם", "a_b __x 12³ ½c ⓐ",
         "漢、字 あーい", "x\n\ny\x0bz", "aaaaaaa{x} a{2}", "don't,STOP (now) $5 ²", "\u00ad\u200da\u200cb \u180e",
         "AbC1d", "क\u200dष", ""]
PATTERNS = [
    r"\w+", r"\W+", r"[\w']+", r"[^\w\s]+", r"\b", r"\B", r"\b\w+", r"\w+\b", r"[[:alnum:]]+", r"[[:alpha:]]+",
    r"[[:word:]]+", r"[[:punct:]]+", r"[[:^alpha:]]+", r"[[:space:][:digit:]]+", r"[[:upper:]][[:lower:]]*",
    r"[[:graph:]]+", r"[[:cntrl:]]", r"\p{Punct}+", r"\p{Letter}+", r"\p{Alnum}+", r"\P{Word}+", r"\p{^Alpha}+",
    r"\p{Uppercase_Letter}\p{lowercase letter}*", r"\p{Han}+", r"\p{Hiragana}+|\p{Katakana}+", r"[\u4e00-\u9fff]+",
    r"\x{4e00}|\u5b57", r"(?m)x.+y", r"(?-m)x.+y", r"x.+y", r"(?m:x.)", r"a{2,3}+", r"a{2}+", r"a{2}?", r"a{,2}",
    r"a{2,3}?", r"(ab?){2}+|a{1,2}", r"a\{x\}", r"a{x}", r"a{2}\{2}", r"\v", r"(?i)AB|c1", r"a(?i)b|c", r"(a(?i)b|c)1?",
    r"[]x]+", r"[\b]", r"(?#a)x", "(?x) a b # (c", "(?x: b)#?|(?x)a # [\n b", r"a++a|aa", r"\d{1,2}+", r"\p{L}{2}+", r"[\p{Alnum}_]+", r"é{2}+|e\u0301",
]


def cut(step, text):
    return [piece for piece, _ in step.pre_tokenize_str(text)]


def unigram():
    scores = [["<unk>", 0.0], ["a", -0.1], ["aa", -0.2], ["aaa", -0.3], ["b", -0.7], ["ab", -0.8], ["ba", -0.8],
              ["-", -1.1], ["--", -2.2], ["---", -3.3]]
    tokenizer = Tokenizer(models.Unigram([tuple(pair) for pair in scores], unk_id=0))
    texts = ["a" * n for n in range(1, 24)] + ["-" * n for n in range(1, 24)] + ["ab" * n for n in range(1, 8)]
    return {"scores": scores, "ids": [[text, tokenizer.encode(text).ids] for text in texts]}


def normalized():
    texts = TEXTS + ["\u212b ﬁ ① Ａ\u3000ｶﾞ ½ x² ﷺ \u00a0 각 \u1ea1\u0301 \u0958", "ΣΑΣ İI ẞß ǅ", "é\u20dd\u0903"]
    return {kind: [[text, getattr(normalizers, kind)().normalize_str(text)] for text in texts]
            for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")}


def main():
    patterns = []
    for pattern in PATTERNS:
        step = pre_tokenizers.Split(Regex(pattern), "isolated")
        patterns.append([pattern, [[text, cut(step, text)] for text in TEXTS]])
    whitespace = [[text, cut(pre_tokenizers.Whitespace(), text)] for text in TEXTS]
    document = {"patterns": patterns, "whitespace": whitespace, "unigram": unigram(),
                "normalizers": normalized()}
    out = pathlib.Path(sys.argv[1]) / "regex.json"
    out.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
