#!/usr/bin/env python3
"""Random small templates with what jinja2 renders, one JSON object a line: jinja_random.py N SEED."""
import json
import random
import re
import sys

from jinja_cases import VARIABLES
from jinja_reference import render

R = random.Random()
STRINGS = ["a", "", "Hello, World", " pad ", "a,b,,c", "x=1;y=2", "été 世界 ß", "it's", 'q"q',
           "l1\nl2\n", "<b>&", "12", "-3.5", "ABC", "aXbXc", "tab\there", "-", "\\", "o", "l", " "]
NUMBERS = ["0", "1", "2", "3", "-1", "7", "10", "2.5", "-0.5", "100", "1.0", "12345.678", "a", "b", "f"]
ATTRIBUTES = ["name", "age", "role", "content"]


def pick(options):
    return R.choice(options)()


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def maybe(*options):
    """Arguments, cut at a random place."""
    return ", ".join(str(o) for o in options[:R.randint(0, len(options))])


def number(d):
    if d > 3:
        return R.choice(NUMBERS)
    n, s, l = lambda: number(d + 1), lambda: string(d + 1), lambda: sequence(d + 1)
    return pick([
        lambda: R.choice(NUMBERS), lambda: R.choice(NUMBERS),
        lambda: f"({n()} {R.choice(['+', '-', '*', '/', '//', '%'])} {n()})",
        lambda: f"(-{n()})", lambda: f"({n()}) ** {R.choice([0, 1, 2, 3])}",
        lambda: f"({s()}) | length", lambda: f"({l()}) | length", lambda: f"({n()}) | int",
        lambda: f"({s()}) | int({maybe(n(), 10)})", lambda: f"({n()}) | float", lambda: f"({n()}) | abs",
        lambda: f"({n()}) | round({maybe(R.randint(-1, 3), quoted(R.choice(['common', 'ceil', 'floor'])))})",
        lambda: f"({s()}).find({s()})", lambda: f"({s()}).count({s()}{R.choice(['', ', 1', ', -3, 9'])})",
        lambda: f"({s()}).rfind({s()}, {R.randint(-3, 3)})", lambda: f"({s()}) | wordcount",
        lambda: "l | " + R.choice(["sum", "max", "min", "first", "last"]), lambda: "people | sum('age')",
        lambda: f"({s()}) | float", lambda: f"({l()}).count({any_value(d + 1)})"])


def string(d):
    if d > 3:
        return R.choice([quoted(R.choice(STRINGS)), "s", "u"])
    n, s, l = lambda: number(d + 1), lambda: string(d + 1), lambda: sequence(d + 1)
    c = lambda: quoted(R.choice([" ", "-", "l", "o", "ab", "é", "lo"]))
    i = lambda: R.choice(["", "1", "-1", "2", "0", "-2", "5", "none"])
    return pick([
        lambda: quoted(R.choice(STRINGS)), lambda: quoted(R.choice(STRINGS)), lambda: R.choice(["s", "u"]),
        lambda: f"({s()} + {s()})", lambda: f"({s()} ~ {any_value(d + 1)})",
        lambda: f"({s()}) * {R.randint(-1, 3)}", lambda: f"({s()})[{i()}:{i()}]",
        lambda: f"({s()})[{i()}:{i()}:{R.choice([1, 2, -1, -2])}]", lambda: f"({any_value(d + 1)}) | string",
        lambda: f"({s()}).{R.choice(['strip', 'lstrip', 'rstrip'])}({R.choice(['', c(), c()])})",
        lambda: f"({s()}).{R.choice(['upper', 'lower', 'title', 'capitalize', 'swapcase', 'casefold'])}()",
        lambda: f"({s()}).replace({s()}, {s()}{R.choice(['', ', 1', ', -1'])})",
        lambda: f"({s()}).{R.choice(['center', 'ljust', 'rjust'])}({R.randint(0, 9)}{R.choice(['', ', ' + quoted('*')])})",
        lambda: f"({s()}).zfill({R.randint(0, 7)})", lambda: f"({s()}).join(words)",
        lambda: f"({s()}).removeprefix({c()})", lambda: f"({s()}).expandtabs({R.randint(0, 5)})",
        lambda: f"({l()}) | join({R.choice(['', c()])})", lambda: f"({any_value(d + 1)}) | tojson",
        lambda: f"({any_value(d + 1)}) | tojson(indent={R.randint(0, 3)}, sort_keys={R.choice(['true', 'false'])})",
        lambda: f"({s()}) | {R.choice(['upper', 'lower', 'title', 'capitalize', 'trim', 'e', 'safe', 'striptags', 'urlencode', 'forceescape', 'reverse', 'string', 'center'])}",
        lambda: f"({s()}) | replace({s()}, {s()})", lambda: f"({s()}) | trim({c()})",
        lambda: f"({s()}) | indent({maybe(R.randint(0, 3), 'true', 'true')})",
        lambda: f"({s()}) | truncate({maybe(R.randint(3, 12), R.choice(['true', 'false']), quoted('..'), 0)})",
        lambda: f"({s()}) | wordwrap({maybe(R.randint(1, 12), R.choice(['true', 'false']))})",
        lambda: f"'%s|%5s|%-4s|%r' % ({s()}, {n()}, {n()}, {any_value(d + 1)})",
        lambda: f"'%{R.choice(['d', '5d', '05d', '+d', 'x', '.2f', '8.3f', 'e', 'g', '+.1f', '#x', '-6d', ' d'])}' % ({n()} | {R.choice(['int', 'int', 'float'])})",
        lambda: f"'%s-%s' | format({any_value(d + 1)}, {n()})",
        lambda: f"'{{}}/{{!r}}'.format({any_value(d + 1)}, {s()})",
        lambda: f"'{{:{R.choice(['', '>', '<', '^', '*^', '0>'])}{R.choice(['', '8', '3', '.2'])}}}'.format({s()})",
        lambda: f"'{{:{R.choice(['', '>', '<', '^', '=', '+', ' ', '*>'])}{R.choice(['', '8', '08', '8,', '_', '.2', '.3f', '10.2e', 'g', '.1%', ',.2f', '.0f', '#.3g'])}}}'.format({n()} | float)",
        lambda: f"'{{:{R.choice(['', '>', '<', '^', '=', '+', '0>'])}{R.choice(['', '8', '08', '8,', '#x', 'b', 'o', '012_', ',', '6X', 'd', '.1f'])}}}'.format({n()} | int)",
        lambda: f"({s()} if {boolean(d + 1)} else {s()})", lambda: f"(words | {R.choice(['first', 'last', 'max', 'min'])})",
        lambda: f"messages[{R.randint(-5, 4)}].role", lambda: f"nothing | default({s()})",
        lambda: f"({s()} or {s()})", lambda: f"({s()} and {s()})", lambda: f"{n()} | filesizeformat",
        lambda: f"({dictionary(d + 1)}) | xmlattr", lambda: f"({dictionary(d + 1)}) | urlencode"])


def sequence(d):
    if d > 3:
        return R.choice(["l", "words", "[]", "e", "range(4)", "people"])
    n, s, l = lambda: number(d + 1), lambda: string(d + 1), lambda: sequence(d + 1)
    i = lambda: R.choice(["", "1", "-1", "2", "0", "none"])
    test = lambda: R.choice([", 'string'", ", 'number'", "", ", 'defined'", ", 'none'", ", 'iterable'", ", 'ne', 1"])
    attribute = lambda: quoted(R.choice(ATTRIBUTES))
    return pick([
        lambda: R.choice(["l", "words", "e", "people", "messages"]),
        lambda: "[" + ", ".join(any_value(d + 1) for _ in range(R.randint(0, 3))) + "]",
        lambda: "(" + "".join(any_value(d + 1) + ", " for _ in range(R.randint(1, 3))) + ")",
        lambda: f"range({R.randint(0, 6)})", lambda: f"range({R.randint(-3, 3)}, {R.randint(-5, 8)}, {R.choice([1, 2, -1, -2])})",
        lambda: f"([{n()}] + [{s()}])", lambda: f"[{any_value(d + 1)}] * {R.randint(-1, 3)}",
        lambda: f"({s()}).split({R.choice(['', quoted(','), quoted('l'), 'none, 1', quoted(',') + ', 1', 'maxsplit=1'])})",
        lambda: f"({s()}).rsplit({R.choice(['', quoted(','), 'none, 1', quoted('l') + ', 1'])})",
        lambda: f"({s()}).splitlines({R.choice(['', 'true'])})", lambda: f"({s()}).partition({quoted(R.choice(['l', ',', '=']))})",
        lambda: f"({l()} | list)[{i()}:{i()}]", lambda: f"({l()} | list)[::{R.choice([1, 2, -1, -2])}]",
        lambda: f"({l()}) | list", lambda: f"({s()}) | list", lambda: f"({l()}) | reverse | list",
        lambda: f"(words + [{s()}]) | sort({maybe(R.choice(['true', 'false']), R.choice(['true', 'false']))})",
        lambda: f"[{n()}, {n()}, {n()}] | sort({maybe('true')})", lambda: f"people | sort(attribute='{R.choice(['age', 'name', 'age,name'])}')",
        lambda: f"({l()}) | map('string') | list", lambda: f"({l()}) | map({R.choice(['attribute=' + attribute(), quoted('string')])}) | list",
        lambda: f"({l()}) | select({test()[2:]}) | list", lambda: f"({l()}) | reject({test()[2:]}) | list",
        lambda: f"({R.choice(['people', 'messages'])}) | {R.choice(['selectattr', 'rejectattr'])}({attribute()}{test()}) | list",
        lambda: f"({l()}) | {R.choice(['batch', 'slice'])}({R.randint(1, 4)}{R.choice(['', ', 0'])}) | list",
        lambda: f"(words + [{s()}]) | unique({maybe('true')}) | list", lambda: f"({dictionary(d + 1)}) | list",
        lambda: f"({dictionary(d + 1)}).{R.choice(['keys', 'values', 'items'])}()" + R.choice([" | list", ""]),
        lambda: f"({dictionary(d + 1)}) | dictsort({maybe(R.choice(['true', 'false']))})",
        lambda: f"{R.choice(['people', 'messages'])} | groupby({quoted(R.choice(['age', 'role', 'name']))}{R.choice(['', ', ' + quoted('z')])})",
        lambda: f"({l()} if {boolean(d + 1)} else {l()})", lambda: f"({dictionary(d + 1)}) | items | list"])


def dictionary(d):
    if d > 3:
        return R.choice(["d", "d.y", "{}", "people[0]"])
    return pick([
        lambda: "{" + ", ".join(quoted(R.choice(["k", "B", "a", "é"])) + ": " + any_value(d + 1) for _ in range(R.randint(0, 3))) + "}",
        lambda: R.choice(["d", "d.y", "people[1]", "messages[0]"]),
        lambda: f"dict(a={any_value(d + 1)}, b={any_value(d + 1)})"])


def boolean(d):
    if d > 3:
        return R.choice(["true", "false", "t"])
    v, n, s, l = (lambda: any_value(d + 1), lambda: number(d + 1), lambda: string(d + 1), lambda: sequence(d + 1))
    simple = ["defined", "undefined", "none", "boolean", "callable", "false", "true", "float", "integer", "iterable",
              "mapping", "number", "sequence", "string", "lower", "upper", "escaped"]
    return pick([
        lambda: R.choice(["true", "false", "t", "n"]), lambda: f"({v()} {R.choice(['==', '!='])} {v()})",
        lambda: f"({n()} {R.choice(['<', '<=', '>', '>='])} {n()})", lambda: f"({s()} {R.choice(['<', '>='])} {s()})",
        lambda: f"({n()} < {n()} <= {n()})", lambda: f"({s()} {R.choice(['in', 'not in'])} {s()})",
        lambda: f"({v()} {R.choice(['in', 'not in'])} {l()})", lambda: f"({s()} in {dictionary(d + 1)})",
        lambda: f"(not {boolean(d + 1)})", lambda: f"({v()} {R.choice(['and', 'or'])} {v()})",
        lambda: f"({v()} is {R.choice(['', 'not '])}{R.choice(simple)})", lambda: f"({n()} | int is {R.choice(['odd', 'even', 'divisibleby 3'])})",
        lambda: f"({n()} is {R.choice(['eq', 'ne', 'lt', 'gt', 'le', 'ge'])}({n()}))", lambda: f"({v()} is in({l()}))",
        lambda: f"({s()}).{R.choice(['isdigit', 'isalpha', 'isupper', 'istitle', 'isspace', 'isalnum', 'islower', 'isidentifier', 'isascii'])}()",
        lambda: f"({s()}).{R.choice(['startswith', 'endswith'])}({s()}{R.choice(['', ', 1', ', -2', ', 0, 3'])})"])


def any_value(d):
    return pick([lambda: number(d), lambda: string(d), lambda: sequence(d), lambda: dictionary(d), lambda: boolean(d),
                 lambda: R.choice(["none", "x", "y", "nothing", "f", "n", "d.x", "d['y']", "messages[1].content", "d.nope"])])


def expr(depth=0):
    return any_value(depth)


def args(low, high, depth):
    return ", ".join(any_value(depth) for _ in range(R.randint(low, high)))


def space(opening):
    return R.choice(["", "", "", "-", "+"] if opening else ["", "", "", "-"])


def tag(text):
    return "{%" + space(True) + " " + text + " " + space(False) + "%}"


def text():
    return R.choice(["", " ", "\n", "\n  ", "a", " b ", "\n\n", "t\n", "  c\n", "\t"])


def statements(depth):
    return "".join(statement(depth) for _ in range(R.randint(1, 3)))


def statement(depth=0):
    kind = R.random()
    if depth > 2 or kind < 0.45:
        return text() + "{{" + space(True) + " " + expr() + " " + space(False) + "}}" + text()
    if kind < 0.57:
        middle = tag("else") + statements(depth + 1) if R.random() < 0.5 else ""
        return tag("if " + expr(2)) + statements(depth + 1) + middle + tag("endif")
    if kind < 0.72:
        source = R.choice(["l", "words", "messages", "range(3)", "d", "d.y.items()", expr(2)])
        target = "k, v" if "items()" in source else "x"
        inside = "{{ loop." + R.choice(["index", "index0", "first", "last", "length", "revindex",
                                        "previtem", "nextitem"]) + " }}"
        jump = tag("if " + expr(3)) + tag(R.choice(["break", "continue"])) + tag("endif")
        guard = " if " + expr(3) if R.random() < 0.2 else ""
        other = tag("else") + text() if R.random() < 0.3 else ""
        return (tag(f"for {target} in {source}{guard}") + inside + (jump if R.random() < 0.3 else "")
                + statements(depth + 1) + other + tag("endfor"))
    if kind < 0.82:
        return tag(f"set {R.choice(['x', 'y', 'a', 's'])} = {expr(1)}")
    if kind < 0.86:
        return tag("set y") + statements(depth + 1) + tag("endset")
    if kind < 0.90:
        return (tag("macro m(x, y=1)") + statements(depth + 1) + tag("endmacro")
                + "{{ m(" + args(1, 2, 2) + ") }}")
    if kind < 0.93:
        return tag(f"with y = {expr(2)}") + statements(depth + 1) + tag("endwith")
    if kind < 0.96:
        return tag("filter " + R.choice(["upper", "trim", "indent(2)"])) + statements(depth + 1) + tag(
            "endfilter")
    return text() + "{#" + space(True) + " c " + space(False) + "#}" + text()


def main(n, seed):
    R.seed(seed)
    while n > 0:
        template = statements(0)
        used = {k: v for k, v in VARIABLES.items() if re.search(rf"\b{k}\b", template)}
        row = render(template, used)
        # Memory addresses, identities of objects and Undefined hashes cannot be compared.
        if row["expected"] is not None and re.search(r" at 0x|<built-in|<bound|Cycler", row["expected"]):
            continue
        print(json.dumps(row))
        n -= 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
