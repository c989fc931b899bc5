"""The tasks as token ids, with what is to be predicted.

RULER's tasks in its plain text form (niah_*, vt), the passkey, the sequence of digits, JSON pairs,
the city needle of heat maps, copying and induction. A training sample varies what a benchmark may
write differently (the introduction, what stands between question and answer) and asks several
questions of one context; `ruler` makes one question in the exact form.

A sample is (ids, targets): targets[i] is the token after ids[i] where that token is part of an
answer, else -1. The token after an answer is EOS, also where the text goes on with a question.
"""

import random

import prose
import words
from bpe import BOS, EOS, SPECIAL

NEEDLE = "One of the special magic {t} for {key} is: {value}."
NIAH_INTRO = ("Some special magic {t} are hidden within the following text. Make sure to memorize "
              "it. I will quiz you about the {t} afterwards.")
NIAH_INTRO_1 = ("A special magic {t} is hidden within the following text. Make sure to memorize "
                "it. I will quiz you about the {t} afterwards.")
NIAH_QUESTION = "What are all the special magic {t} for {key} mentioned in the provided text?"
NIAH_PREFIX = " The special magic {t} for {key} mentioned in the provided text are"
NIAH_QUESTION_1 = "What is the special magic {t} for {key} mentioned in the provided text?"
NIAH_PREFIX_1 = " The special magic {t} for {key} mentioned in the provided text is"
VT_INTRO = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n"
VT_QUESTION = "Question: Find all variables that are assigned the value {value} in the text above."
VT_PREFIX = (" Answer: According to the chain(s) of variable assignment in the text above, {n} "
             "variables are assigned the value {value}, they are: ")
INTROS = [
    NIAH_INTRO, NIAH_INTRO,
    "Some special magic {t} are hidden in the following text. Memorise them: you will be quizzed.",
    NIAH_INTRO_1,
    "Read the text below and remember every special magic {t} in it.",
    "Here is a long text. There will be questions about it.",
    "",
]
VT_INTROS = [
    VT_INTRO, VT_INTRO,
    "Memorise and track the chains of variable assignment hidden in the text.\n",
    "Read the text below. Variables are assigned values in it, and variables to variables.\n",
    "",
]
KEY_LINES = {
    "passkey": ("The pass key is {value}. Remember it. {value} is the pass key.",
                "What is the pass key?", "The pass key is"),
    "digits": ("The sequence of digits is {value}. Remember it. {value} is the sequence of digits.",
               "What is the sequence of digits?", "The sequence of digits is"),
}
HIDDEN_INTRO = ("There is an important info hidden inside a lot of irrelevant text. Find it and "
                "memorize it. I will quiz you about the important information there.")
CITY = ("The special magic {key} number is: {value}", "What is the special magic {key} number?",
        "The special magic {key} number is:")
BOOK = ("This is a very long story book: <book>", "</book>.\n")
LIST_INTRO = "Here is a list of words.\n\n"
LIST_QUESTIONS = ("Repeat the list of words from its start.",
                  'Repeat the list of words, starting from "{cue}".')
KV_INTRO = "Extract the value corresponding to the specified key in the JSON object below.\n"
KV_QUESTION = 'Key: "{key}"\nThe value associated with the specified key is: '
BETWEEN = ["", "", "", "\n"]           # between question and answer prefix: end of the user's turn
AFTER = ["\n", "\n\n", "\n", " "]       # between an answer and the next question

# haystack, key, value, keys, values a key, queried keys
RULER = {
    "niah_single_1": ("noise", "words", "numbers", 1, 1, 1),
    "niah_single_2": ("prose", "words", "numbers", 1, 1, 1),
    "niah_single_3": ("prose", "words", "uuids", 1, 1, 1),
    "niah_multikey_1": ("prose", "words", "numbers", 4, 1, 1),
    "niah_multikey_2": ("needle", "words", "numbers", 1, 1, 1),
    "niah_multikey_3": ("needle", "uuids", "uuids", 1, 1, 1),
    "niah_multivalue": ("prose", "words", "numbers", 1, 4, 1),
    "niah_multiquery": ("prose", "words", "numbers", 4, 1, 4),
}
QUIZZED = [*RULER, "vt", "passkey", "digits", "kv", "city", "copy", "induction"]


def fixed_texts():
    """What the tokenizer must know best. A change here changes tokenizer.json: forms that came
    later are left out."""
    intros = [intro for intro in INTROS if intro != NIAH_INTRO_1]
    texts = [prose.NOISE, NIAH_QUESTION, NIAH_PREFIX, NIAH_QUESTION_1, NIAH_PREFIX_1, NEEDLE,
             VT_QUESTION, VT_PREFIX, HIDDEN_INTRO, KV_INTRO, KV_QUESTION, *CITY[:2], *intros,
             *VT_INTROS,
             "A special magic {t} is hidden within the following text. Make sure to memorize it."]
    for line, question, prefix in KEY_LINES.values():
        texts += [line, question, " " + prefix]
    return texts + [" special magic numbers number uuids uuid words word ", " JSON data", "VAR ="]


def draw(rng, kind, pools=None):
    if kind == "words":
        return f"{rng.choice(pools[0])}-{rng.choice(pools[1])}" if pools else words.pair(rng)
    return words.uuid(rng) if kind == "uuids" else words.number(rng)


def listed(items):
    if len(items) == 1:
        return items[0]
    return ", ".join(items[:-1]) + ", and " + items[-1]


class Maker:
    """Makes samples. Units of filler are drawn from a store that is renewed little by little."""

    N_STORE = 3000

    def __init__(self, tokenizer, seed):
        self.rng = random.Random(seed)
        self.encode = tokenizer.encode
        self.store = {kind: [] for kind in prose.FILLERS}

    def filler(self, kind):
        store = self.store[kind]
        if len(store) < self.N_STORE and (kind != "noise" or not store):
            if not store or self.rng.random() < 0.5:
                store.append(self.new_unit(kind))
        elif kind != "noise" and self.rng.random() < 0.02:
            store[self.rng.randrange(len(store))] = self.new_unit(kind)
        return store[int(self.rng.random() * len(store))]

    def new_unit(self, kind):
        return self.encode(prose.FILLERS[kind][1] + prose.unit(self.rng, kind))

    # --- parts of a sample ---

    def haystack(self, kind, room, needles):
        """Units of at most `room` tokens with the needles (ids) among them, in order of place."""
        units = []
        if kind == "mixed":
            kinds = self.rng.sample(list(prose.FILLERS), 3)
        while room > 0:
            unit = self.filler(self.rng.choice(kinds) if kind == "mixed" else kind)
            room -= len(unit)
            if room >= 0:
                units.append(unit)
        return self.hide(units, needles)

    def hide(self, units, needles):
        places = sorted(self.rng.randrange(len(units) + 1) for _ in needles)
        out, last = [], 0
        for place, needle in zip(places, needles):
            for unit in units[last:place]:
                out += unit
            out += needle
            last = place
        for unit in units[last:]:
            out += unit
        return out

    def finish(self, context, questions):
        """Context, then each (question ids, answer ids, what goes between it and the next)."""
        ids, targets = list(context), [-1] * len(context)
        for question, answer, after in questions:
            ids += question + answer + after
            targets += [-1] * (len(question) - 1) + answer + [EOS] + [-1] * len(after)
        return ids, targets

    def question(self, question, prefix, answer, exact):
        between, after = "", []
        if not exact:
            between = self.rng.choice(BETWEEN)
            if prefix and self.rng.random() < 0.2:
                prefix = prefix[1:] if prefix[0] == " " else " " + prefix
            after = self.encode(self.rng.choice(AFTER))
            if self.rng.random() < 0.5:
                after = [EOS] + after
        # The answer is cut by itself, as a model makes it.
        return self.encode(question + between + prefix), self.encode(answer), after

    def n_questions(self, length, cost, n_most):
        """Questions that fit a quarter of the length."""
        return max(1, min(n_most, int(length / 4 / cost), 16))

    # --- tasks ---

    def niah(self, length, config, exact=False):
        rng = self.rng
        hay, key_kind, value_kind, n_keys, n_values, n_queries = config
        cost = 45 + 25 * (key_kind == "uuids") + 26 * n_queries + 16 * n_values * n_queries
        if value_kind == "uuids":
            cost += 25 * n_values * n_queries
        n_asked = 1 if exact else self.n_questions(length, cost, 16)
        if hay == "needle" and not exact:
            n_keys = max(n_keys, n_asked)
        t = value_kind
        pools = None
        if not exact and rng.random() < 0.5:  # few words: keys that differ in one of theirs
            pools = (rng.sample(words.ADJECTIVES, rng.choice((20, 60, 170))),
                     rng.sample(words.NOUNS, rng.choice((60, 280, 800))))
        table = {}
        while len(table) < n_keys:
            key = draw(rng, key_kind, pools)
            table[key] = [draw(rng, value_kind) for _ in range(n_values)]
        lines = [(key, value) for key, values in table.items() for value in values]
        rng.shuffle(lines)

        questions, keys = [], list(table)
        for i in range(min(n_asked, n_keys // n_queries)):
            asked = rng.sample(keys, n_queries)
            if hay == "needle" or not exact:
                asked = keys[i * n_queries:(i + 1) * n_queries]
            one = n_queries * n_values == 1
            names = {"t": t[:-1] if one else t, "key": listed(asked)}
            # Values of one key in any order (`table` has them in no order); several keys are named
            # again, each before its values.
            values = [", ".join(table[key]) for key in asked]
            if n_queries > 1:
                values = [f"{key}: {value}" for key, value in zip(asked, values)]
            questions.append(self.question(
                (NIAH_QUESTION_1 if one else NIAH_QUESTION).format(**names),
                (NIAH_PREFIX_1 if one else NIAH_PREFIX).format(**names),
                " " + ", ".join(values), exact))

        intro = rng.choice(INTROS).format(t=t)
        if exact:
            intro = NIAH_INTRO_1.format(t=t[:-1]) if one else NIAH_INTRO.format(t=t)
        head = [BOS] + self.encode(intro)
        between = " " if hay in ("prose", "salad") else "\n"
        needles = [self.encode(between + NEEDLE.format(t=t, key=key, value=value))
                   for key, value in lines]
        tail = self.encode("\n")
        room = length - len(head) - len(tail) - sum(map(len, needles))
        room -= sum(len(q) + len(a) + len(after) for q, a, after in questions)
        if hay == "needle":
            units = []
            while room > 0:
                key = draw(rng, key_kind, pools)
                if key in table:
                    continue
                unit = self.encode("\n" + NEEDLE.format(t=t, key=key, value=draw(rng, value_kind)))
                room -= len(unit)
                if room >= 0:
                    units.append(unit)
            context = self.hide(units, needles)
        else:
            context = self.haystack(hay, room, needles)
        return self.finish(head + context + tail, questions)

    def any_niah(self, length):
        """A configuration of RULER's, or one near it; what does not fit a short text is cut."""
        rng = self.rng
        if rng.random() < 0.6:
            name = rng.choices(list(RULER), weights=(1, 1, 1, 1, 3, 2, 3, 2))[0]
            hay, key, value, n_keys, n_values, n_queries = RULER[name]
        else:
            hay = rng.choice(("noise", "prose", "salad", "data", "real", "mixed", "needle"))
            key = rng.choice(("words", "words", "words", "uuids", "numbers"))
            value = rng.choice(("numbers", "numbers", "uuids", "words"))
            n_keys, n_values = rng.choice(((1, 1), (2, 1), (4, 1), (8, 1), (2, 4), (3, 3), (1, 4)))
            n_queries = rng.choice((1, 1, 2, 3, 4)) if n_values == 1 else 1
        if hay != "needle" and rng.random() < 0.25:
            hay = rng.choice(("noise", "salad", "data", "real", "mixed"))
        if hay != "needle" and rng.random() < 0.5:  # more to ask about
            most = max(1, length // 64 // n_values)
            n_keys = rng.choice((n_keys, 2 * n_queries, 4 * n_queries, 16))
            n_keys = max(n_queries, min(n_keys, most))
        if length < 512:
            if value == "uuids" or key == "uuids":
                n_keys = n_values = n_queries = 1
            n_values, n_queries = min(n_values, 4), min(n_queries, 2)
            n_keys = 1 if n_values > 1 else min(n_keys, 2)
        if length < 256:
            key = "words" if key == "uuids" else key
            value = "numbers" if value == "uuids" else value
            n_values = n_queries = n_keys = 1
            n_keys = rng.choice((1, 1, 2)) if hay != "needle" else 1
        return self.niah(length, (hay, key, value, n_keys, n_values, min(n_queries, n_keys)))

    def chain(self, hops, n_letters, value):
        names = set()
        while len(names) < hops + 1:
            names.add(words.letters(self.rng, n_letters))
        names = list(names)
        self.rng.shuffle(names)
        lines = [f"VAR {names[0]} = {value}"]
        lines += [f"VAR {b} = VAR {a} " for a, b in zip(names, names[1:])]
        return names, lines

    def vt_ask(self, names, value):
        return VT_QUESTION.format(value=value), VT_PREFIX.format(n=len(names), value=value)

    def vt(self, length, exact=False):
        rng = self.rng
        hops = 4 if exact or (length >= 512 and rng.random() < 0.8) else rng.randrange(1, 6)
        n_chains = 1
        if length < 256:
            hops = 1
        elif not exact:
            n_chains = rng.choice((1, 1, 1, 2, 3)) if length >= 512 else 1
        intro = VT_INTRO if exact else rng.choice(VT_INTROS)
        hay = "noise" if exact or rng.random() < 0.7 else rng.choice(("data", "real", "salad"))
        head = [BOS]
        if exact or (length >= 768 and rng.random() < 0.7):  # the one-shot example
            value = words.number(rng, 5)
            names, lines = self.chain(hops, 3, value)
            question, prefix = self.vt_ask(names, value)
            body = self.haystack("noise", 330 if exact else rng.randrange(50, 380),
                                 [self.encode("\n" + line) for line in lines])
            head += self.encode(intro) + body + self.encode(
                "\n" + question + prefix + rng.choice((" ", " ", "")) + " ".join(names)
                    + rng.choice(("\n\n", "\n\n", "\n")))
        chains, values = [], set()
        while len(values) < n_chains:
            values.add(words.number(rng, 5))
        for value in values:
            chains.append((value, *self.chain(hops, 5, value)))
        head += self.encode(intro)
        tail = self.encode("\n")
        questions = [self.question(*self.vt_ask(names, value), " ".join(names), exact)
                     for value, names, _ in chains]
        lines = [list(lines) for _, _, lines in chains]
        needles = []
        while any(lines):  # chains interleave; each keeps its order
            lines = [left for left in lines if left]
            needles.append(self.encode("\n" + rng.choice(lines).pop(0)))
        room = length - len(head) - len(tail) - sum(map(len, needles))
        room -= sum(len(q) + len(a) + len(after) for q, a, after in questions)
        return self.finish(head + self.haystack(hay, room, needles) + tail, questions)

    def key_line(self, length, name, exact=False):
        rng = self.rng
        line, question, prefix = KEY_LINES[name]
        value = words.number(rng, 5) if name == "passkey" else self.runs_of_digits()
        hay = "noise" if exact or rng.random() < 0.7 else rng.choice(("prose", "real", "salad"))
        between = " " if hay in ("prose", "salad") else "\n"
        questions = [self.question(question, prefix, " " + value, exact)]
        head = [BOS] + self.encode(rng.choice((HIDDEN_INTRO, HIDDEN_INTRO, "")))
        needles = [self.encode(between + line.format(value=value))]
        tail = self.encode("\n")
        room = length - len(head) - len(needles[0]) - len(tail) - sum(map(len, questions[0]))
        return self.finish(head + self.haystack(hay, room, needles) + tail, questions)

    def runs_of_digits(self):
        digits = list(words.number(self.rng, 5))
        for k in range(5):
            p = self.rng.randrange(5 + k)
            digits.insert(p, digits[p])
        return "".join(digits)

    def city(self, length, exact=False):
        """The heat map's needle."""
        rng = self.rng
        n_keys = 1 if exact else max(1, min(8, length // 128))
        hay = "prose" if exact or rng.random() < 0.6 else rng.choice(("noise", "real", "salad"))
        table = {}
        while len(table) < n_keys:
            key = prose.name(rng) if rng.random() < 0.7 else rng.choice(words.NOUNS)
            table[key] = words.number(rng)
        needles = [self.encode("\n" + CITY[0].format(key=key, value=value) + "\n")
                   for key, value in table.items()]
        questions = []
        for key, value in table.items():
            prefix = CITY[2].format(key=key) if exact or rng.random() < 0.8 else ""
            questions.append(self.question(CITY[1].format(key=key), prefix, " " + value, exact))
        rng.shuffle(needles)
        head, tail = [BOS], self.encode("\n")
        if exact or rng.random() < 0.4:
            head, tail = head + self.encode(BOOK[0]), self.encode(" " + BOOK[1])
        room = length - len(head) - len(tail) - sum(map(len, needles))
        room -= sum(len(q) + len(a) + len(after) for q, a, after in questions)
        return self.finish(head + self.haystack(hay, room, needles) + tail, questions)

    def kv(self, length, exact=False):
        """JSON pairs of UUIDs."""
        rng = self.rng
        n_asked = 1 if exact else self.n_questions(length, 110, 8)
        asked = [(words.uuid(rng), words.uuid(rng)) for _ in range(n_asked)]
        quote = "" if exact or rng.random() < 0.5 else '"'
        questions = [self.question(KV_QUESTION.format(key=key), quote, value, True)
                     for key, value in asked]
        questions = [(q, a, self.encode("\n\n")) for q, a, _ in questions]
        pairs = [self.encode(f'"{key}": "{value}", ') for key, value in asked]
        head = [BOS] + self.encode(KV_INTRO + "JSON data:\n{")
        tail = self.encode("}\n\n")
        room = length - len(head) - len(tail) - sum(map(len, pairs))
        room -= sum(len(q) + len(a) + len(after) for q, a, after in questions)
        while room > 0:
            unit = self.encode(f'"{words.uuid(rng)}": "{words.uuid(rng)}", ')
            room -= len(unit)
            if room >= 0:
                pairs.append(unit)
        rng.shuffle(pairs)
        body = [i for pair in pairs for i in pair]
        return self.finish(head + body + tail, questions)

    def passage(self, length):
        """A passage of the context begins again: it goes on as before."""
        rng = self.rng
        kind = rng.choice(("prose", "salad", "data", "real"))
        n_given, n_answer = 16, 32 if length >= 256 else 12
        after = self.encode("\n")
        n_asked = self.n_questions(length, n_given + n_answer, 8)
        room = length - 1 - n_asked * (n_given + n_answer + 2)
        context = [BOS]
        self.filler(kind)
        for unit in rng.sample(self.store[kind], len(self.store[kind])):  # none of them twice
            if len(unit) + len(context) > room:
                break
            context += unit
        questions = []
        for _ in range(n_asked):
            at = rng.randrange(1, max(2, len(context) - n_given - n_answer))
            passage = context[at:at + n_given + n_answer]
            questions.append((after + passage[:n_given], passage[n_given:], []))
        return self.without_end(*self.finish(context, questions))

    @staticmethod
    def without_end(ids, targets):
        return ids, [-1 if target == EOS else target for target in targets]

    def list_word(self, kind):
        rng = self.rng
        if kind == "pool":
            kind = "word" if rng.random() < 0.15 else "compound"
        if kind == "compound":
            return rng.choice(words.NOUNS) + rng.choice(words.NOUNS)
        if kind == "word":
            return rng.choice(rng.choice((words.NOUNS, words.ADJECTIVES, words.VERBS)))
        return words.pair(rng) if kind == "pair" else words.pseudo_word(rng)

    def word_list(self, length, exact=False, middle=None):
        """A list of words, said again from its start or from three words in its middle."""
        rng = self.rng
        kind = "pool" if exact else rng.choice(("pool", "pool", "word", "pair", "pseudo"))
        n_said = 16 if exact or length >= 512 else 6
        cost = 30 + 5 * n_said
        n_asked = 1 if exact else self.n_questions(length, cost, 8)
        room = length - 14 - n_asked * cost
        items, ids = [], []
        while room > 0 or len(items) < n_said + 3:
            word = self.list_word(kind)
            more = self.encode(" " + word if items else word)
            room -= len(more)
            items.append(word)
            ids += more
        context = [BOS] + self.encode(LIST_INTRO) + ids + self.encode("\n\n")
        questions = []
        for _ in range(n_asked):
            inside = rng.random() < 0.7 if middle is None else middle
            at = rng.randrange(len(items) - n_said - 2) if inside else 0
            cue = " ".join(items[at:at + 3])
            said = " " + " ".join(items[at + 3:at + 3 + n_said])
            question = LIST_QUESTIONS[inside].format(cue=cue)
            questions.append(self.question(question, cue, said, exact))
        return self.without_end(*self.finish(context, questions))

    def copy_ids(self, length):
        """Random tokens, then the same again: induction in its barest form."""
        rng = self.rng
        pool = range(len(SPECIAL), 4096)
        if rng.random() < 0.3:
            pool = rng.sample(pool, rng.choice((64, 256, 1024)))
        n = rng.randrange(max(4, length // 8), (length - 1) // 2 + 1)
        part = rng.choices(pool, k=n)
        ids = ([BOS] + part * (length // n + 1))[:length]
        targets = [-1] * length
        targets[n:length - 1] = ids[n + 1:]
        # What the first tokens of a repeat are can only be known from the second repeat on.
        targets[n] = -1
        return ids, targets

    def copy_text(self, length):
        """Lines of any kind, then the same again."""
        rng = self.rng
        n = max(16, (length - 4) // 2)
        part = self.haystack(rng.choice(("prose", "salad", "data", "real", "mixed")), n, [])
        if not part:
            return self.copy_ids(length)
        between = self.encode(rng.choice(("", "\n", "\n\n", "\nAgain:", "\nCopy:")))
        ids = [BOS] + part + between + part
        targets = [-1] * (len(part) + len(between) + 1)
        targets += part[1:] + [-1]
        return ids, targets

    def any(self, length, early):
        """(task name, ids, targets) of a training sample; `early`: while induction is learnt."""
        rng = self.rng
        pick = rng.random()
        n_copy = 0.3 if early else 0.04
        if pick < n_copy:
            return "copy_ids", *self.copy_ids(length)
        if pick < n_copy + 0.05:
            return "copy_text", *self.copy_text(length)
        pick = rng.random()
        if pick < 0.5 or length < 128:
            ids, targets = self.any_niah(length)
            return "niah", ids, targets
        if pick < 0.78:
            return "vt", *self.vt(length)
        if pick < 0.80:
            name = rng.choice(list(KEY_LINES))
            return name, *self.key_line(length, name)
        if pick < 0.84 and length >= 512:
            return "kv", *self.kv(length)
        if pick < 0.86:
            return "city", *self.city(length)
        if pick < 0.97 and length >= 256:
            return "words", *self.word_list(length)
        return "passage", *self.passage(length)

    def ruler(self, name, length):
        """One question in the exact form, not longer than `length` with its answer."""
        if name in RULER:
            return self.niah(length, RULER[name], exact=True)
        if name in KEY_LINES:
            return self.key_line(length, name, exact=True)
        if name in ("copy", "induction"):
            return self.word_list(length, exact=True, middle=name == "induction")
        return getattr(self, name)(length, exact=True)
