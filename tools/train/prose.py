"""Filler: what stands between the needles. Every function gives one unit, a sentence or a line.

Kinds: RULER's noise line, prose of a small grammar, word salad, lines of data, and lines of real
text (the standard library's source and this repository's pages), so that no kind of text is new to
the model. All draw from the generator that they are given: a seed fixes the text.
"""

import functools
import pathlib
import random
import re
import sysconfig

import words
from words import ADJECTIVES, ADVERBS, FUNCTION_WORDS, NOUNS, VERBS

NOISE = ("The grass is green. The sky is blue. The sun is yellow. Here we go. "
         "There and back again.")
TIMES = ["in the morning", "at noon", "after the rain", "before dawn", "during the winter",
         "every week", "last year", "once a month", "that evening", "on the third day",
         "for many years", "since the harvest", "in those days", "at last", "by the end of June"]
PLACES = ["near", "behind", "beside", "under", "above", "inside", "outside", "across from",
          "on the way to", "not far from", "at the edge of", "in the middle of", "next to"]
JOINS = ["and", "but", "because", "while", "so", "although", "until", "when", "since", "before"]


def name(rng):
    return words.pseudo_word(rng).capitalize()


def noun_phrase(rng):
    kind = rng.random()
    if kind < 0.2:
        return name(rng)
    article = rng.choice(("the", "the", "a", "his", "her", "their", "every", "this", "another"))
    noun = rng.choice(NOUNS) if rng.random() < 0.9 else words.pseudo_word(rng)
    if kind < 0.6:
        noun = f"{rng.choice(ADJECTIVES)} {noun}"
    if article == "a" and noun[0] in "aeiou":
        article = "an"
    if kind > 0.9:
        return f"{rng.choice(('many', 'some', 'two', 'several', 'the'))} {words.plural(noun)}"
    return f"{article} {noun}"


def clause(rng):
    parts = [noun_phrase(rng)]
    if rng.random() < 0.3:
        parts.append(rng.choice(ADVERBS))
    verb = rng.choice(VERBS)
    form = rng.random()
    if form < 0.6:
        parts.append(words.past(verb))
    elif form < 0.75:
        parts.append(words.third(verb))
    elif form < 0.9:
        parts.append(f"{rng.choice(('was', 'is', 'kept', 'began'))} {words.ing(verb)}")
    else:
        parts.append(f"{rng.choice(('would', 'could', 'did not', 'wanted to', 'might'))} {verb}")
    if rng.random() < 0.8:
        parts.append(noun_phrase(rng))
    if rng.random() < 0.4:
        parts.append(f"{rng.choice(PLACES)} {noun_phrase(rng)}")
    if rng.random() < 0.25:
        parts.append(rng.choice(TIMES))
    return " ".join(parts)


def sentence(rng):
    text = clause(rng)
    if rng.random() < 0.45:
        text += rng.choice((", ", " ", "; ")) + rng.choice(JOINS) + " " + clause(rng)
    if rng.random() < 0.1:
        text = rng.choice(TIMES) + ", " + text
    if rng.random() < 0.08:
        return f'"{text[0].upper()}{text[1:]}," said {name(rng)}.'
    return text[0].upper() + text[1:] + rng.choice((".", ".", ".", ".", ".", "!", "?"))


def salad(rng):
    pools = (NOUNS, ADJECTIVES, VERBS, ADVERBS, FUNCTION_WORDS)
    out = []
    for _ in range(rng.randrange(4, 24)):
        kind = rng.random()
        if kind < 0.7:
            word = rng.choice(rng.choice(pools))
        elif kind < 0.9:
            word = words.pseudo_word(rng)
        elif kind < 0.95:
            word = words.number(rng, rng.randrange(1, 9))
        else:
            word = words.pair(rng)
        if rng.random() < 0.1:
            word = rng.choice((word.capitalize(), word.upper()))
        out.append(word + (rng.choice(",;:)!?-'\"") if rng.random() < 0.08 else ""))
    return " ".join(out) + rng.choice((".", ".", "", ":", "!"))


def data_line(rng):
    kind = rng.randrange(10)
    noun, pair = rng.choice(NOUNS), words.pair(rng)
    if kind == 0:
        return f"{pair}: {words.number(rng, rng.randrange(1, 9))}"
    if kind == 1:
        return f"The {noun} of {pair} has the number {words.number(rng)}."
    if kind == 2:
        return f'"{words.uuid(rng)}": "{words.uuid(rng)}",'
    if kind == 3:
        return ", ".join(words.number(rng, rng.randrange(1, 8)) for _ in range(5))
    if kind == 4:
        return f"{noun} = {rng.choice(NOUNS)}({words.number(rng, 3)}, {pair!r})"
    if kind == 5:
        return f"{rng.choice(NOUNS).upper()} {words.letters(rng, 5)} = {words.number(rng, 5)}"
    if kind == 6:
        return f"- {words.pair(rng)}, {words.pair(rng)} and {words.pair(rng)}"
    if kind == 7:
        return f"The {rng.choice(ADJECTIVES)} {noun} for {pair} is: {words.pseudo_word(rng)}."
    if kind == 8:
        return f"{rng.randrange(1, 400)}. {rng.choice(NOUNS)} {rng.randrange(1, 400)}. {noun}"
    return f"id {words.uuid(rng)} at {rng.randrange(24):02d}:{rng.randrange(60):02d}"


@functools.cache
def real_lines():
    root = pathlib.Path(__file__).resolve().parents[2]
    files = sorted(root.glob("docs/*.md")) + sorted(root.glob("*.md"))
    files += sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    lines = []
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="ignore").splitlines():
            line = re.sub(r"\s+", " ", line).strip()
            if 30 <= len(line) <= 160 and line.isascii() and line.isprintable():
                lines.append(line)
    return lines


def real(rng):
    return rng.choice(real_lines())


# kind: (unit, what joins units)
FILLERS = {
    "noise": (lambda rng: NOISE, "\n"),
    "prose": (sentence, " "),
    "salad": (salad, " "),
    "data": (data_line, "\n"),
    "real": (real, "\n"),
}


def unit(rng: random.Random, kind):
    return FILLERS[kind][0](rng)
