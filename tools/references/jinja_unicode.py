#!/usr/bin/env python3
"""Writes src/jinja/unicode_{properties,cases}.cc: what Python knows of characters."""
import sys

LIMIT = 0x110000


def properties(c):
    s = chr(c)
    bits = (s.isalpha(), s.isdecimal(), s.isdigit(), s.isnumeric(), s.islower(), s.isupper(),
            s.istitle() and not s.isupper(), s.isprintable(), s.isspace(),
            # case-ignorable: does not keep a sigma before it from being judged by what follows
            ("A\u03a3" + s + "A").lower()[1] == "\u03c3" and not (s.islower() or s.isupper()
                                                                  or s.istitle()))
    return sum(1 << i for i, bit in enumerate(bits) if bit)


def runs():
    out, last = [], None
    for c in range(LIMIT):
        p = 0 if 0xD800 <= c < 0xE000 else properties(c)
        if p != last:
            out.append(c << 10 | p)
            last = p
    return out


def mapping(convert):
    """Ranges (first, last, stride, delta) of characters that change, and the ones that grow."""
    ranges, special = [], []
    for c in range(LIMIT):
        if 0xD800 <= c < 0xE000:
            continue
        to = convert(chr(c))
        if len(to) > 1:
            special.append((c, [ord(x) for x in to]))
            continue
        delta = ord(to) - c
        if delta == 0:
            continue
        if ranges and ranges[-1][3] == delta:
            first, last, stride, _ = ranges[-1]
            step = c - last
            if step <= 2 and (first == last or step == stride):
                ranges[-1] = (first, c, step, delta)
                continue
        ranges.append((c, c, 1, delta))
    return ranges, special


def wrap(cells, out):
    line = "   "
    for cell in cells:
        if len(line) + len(cell) + 2 > 100:
            out.append(line)
            line = "   "
        line += " " + cell + ","
    out.append(line)


def begin():
    return ["// Made by tools/references/jinja_unicode.py from Python's Unicode tables; do not edit.",
            '#include "jinja/unicode.h"', "", "namespace kvasir::jinja::unicode {", "",
            "// clang-format off"]


def end(out, path):
    out += ["// clang-format on", "", "}  // namespace kvasir::jinja::unicode", ""]
    open(path, "w").write("\n".join(out))


def write_properties(path):
    out = begin() + ["// Runs of equal properties: first character << 10 | CharBits.",
                     "const uint32_t kRuns[] = {"]
    cells = runs()
    wrap([hex(r) for r in cells], out)
    out += ["};", f"const int kRunCount = {len(cells)};"]
    end(out, path)


def write_cases(path):
    out = begin()
    for name, convert, base in (("Upper", str.upper, None), ("Lower", str.lower, None),
                                ("Title", str.title, str.upper), ("Fold", str.casefold, str.lower)):
        if base is None:
            ranges, special = mapping(convert)
            out += [f"const CaseRange k{name}Ranges[] = {{"]
            wrap(["{%#x, %#x, %d, %d}" % r for r in ranges], out)
            out += ["};", f"const int k{name}RangeCount = {len(ranges)};", ""]
        else:  # only where it differs from the base
            special = [(c, [ord(x) for x in convert(chr(c))]) for c in range(LIMIT)
                       if not 0xD800 <= c < 0xE000 and convert(chr(c)) != base(chr(c))]
        out += [f"const CaseSpecial k{name}Specials[] = {{"]
        wrap(["{%#x, {%s}}" % (c, ", ".join(hex(x) for x in to)) for c, to in special], out)
        out += ["};", f"const int k{name}SpecialCount = {len(special)};", ""]
    end(out[:-1], path)


write_properties(sys.argv[1] + "/unicode_properties.cc")
write_cases(sys.argv[1] + "/unicode_cases.cc")
