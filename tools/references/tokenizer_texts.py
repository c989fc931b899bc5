"""Texts of our own for tokenizer references: sentences to train on, strings to encode."""
import random

SENTENCES = """
The cache keeps the keys and the values of every token that the model has read so far.
A method may drop some of them, and the next token must still see what matters.
Kvasir was the wisest of men, and whoever asked him a question got an answer.
When the river rises in spring, the ferryman ties his boat to the old willow.
She counted the steps: one, two, three, then lost count at twenty-seven and began again.
He said that it wasn't his, that they'd taken it, and that we'll never know why.
Bread needs flour, water, salt and time; everything else is a matter of taste.
The quick answer is rarely the right answer, but the right answer is often short.
Prices rose from 12.50 to 1,300 within 48 hours, which nobody had expected in 2019.
int main() { return run(argc, argv) ? 0 : 1; }  // nothing else to do here
for i in range(10): print(i, i * i, sep=", ")
Der Fluss ist breit, die Brücke schmal, und der Müller schläft noch über seinen Säcken.
Übermorgen fährt die Straßenbahn wieder, größer, schöner und hoffentlich pünktlich.
Le café était fermé, mais la boulangère nous a donné du pain et des pêches.
El niño pequeño soñaba con montañas, y la abuela le contaba cuentos de dragones.
Река широкая, мост узкий, а мельник всё ещё спит на своих мешках.
Зимой снег ложится на крыши, и дым поднимается прямо в небо.
河很宽，桥很窄，磨坊主还在睡觉。今天的天气很好，我们去散步吧。
川は広く、橋は狭い。粉屋はまだ眠っている。明日は晴れるでしょう。
강은 넓고 다리는 좁다. 방앗간 주인은 아직 자고 있다.
Ο ποταμός είναι πλατύς και η γέφυρα στενή.
""".strip().splitlines()

EDGES = [
    "", " ", "  ", "   ", "\n", "\t", " \n", "a", " a", "a ", "  a  b  ", "a\n\nb", "Hello, world!",
    "HELLO'S it's IT'LL they'd", "don\u2019t", "3.14159 1234567890 1,000", "\u00bd \u2167 \u00b2 \u0663",
    "snake_case CamelCase HTTPServer iPhone15Pro", "a.b.c/d/e?f=g&h=i#j", "!!!???...", "(){}[]<>",
    "    indented\n\tby tab", "trailing   ", "\r\nwindows\r\n", "x\u00a0y\u2003z\u3000w\u180ev",
    "e\u0301 \u00e9 n\u0303 \u0e01\u0e33 \u0939\u093f\u0928\u094d\u0926\u0940", "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea", "\U00010400\U0001d54f",
    "\u2581 \u2581\u2581a", "<0x0A> <s> </s> <unk>", "\ufb01ne \uff21\uff22 \u2460", "\u017ft '\u017f 'S",
    "\u4e2d\u6587 mixed \u6587\u5b57 12\u5e74", "aaaaaaaaaaaaaaaaaaaaaaaa", "\x00\x01\x7f\u0085\u2028",
    "tokenization tokenizer tokens", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "a\u200bb \ufeffc",
]


def texts(seed, n=60):
    """Edges, sentences and random mixtures of both; valid UTF-8."""
    rng = random.Random(seed)
    made = EDGES + SENTENCES
    alphabet = "".join(SENTENCES) + "".join(EDGES)
    for _ in range(n):
        if rng.random() < 0.5:
            made.append("".join(rng.choice(alphabet) for _ in range(rng.randint(1, 40))))
        else:
            words = " ".join(SENTENCES).split(" ")
            made.append(rng.choice(["", " ", "\n"]).join(rng.choice(words) + rng.choice(["", " ", "  ", "1"])
                                                         for _ in range(rng.randint(1, 12))))
    return made
