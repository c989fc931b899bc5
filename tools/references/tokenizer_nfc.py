"""Makes src/model/tokenizer/{nfc_table,nfkc_table,nfkc_pool}.cc from Python's Unicode data: python tokenizer_nfc.py FOLDER"""
import pathlib
import sys
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)


def main(folder):
    pairs, classes, compatible, pool = [], [], [], []
    for code in range(0x110000):
        c = chr(code)
        ccc = unicodedata.combining(c)
        if ccc and classes and classes[-1][1] == code - 1 and classes[-1][2] == ccc:
            classes[-1][1] = code
        elif ccc:
            classes.append([code, code, ccc])
        full = unicodedata.normalize("NFKD", c)
        if full != unicodedata.normalize("NFD", c):
            compatible.append((code, len(pool)))
            pool += [(ord(part),) for part in full]
        parts = unicodedata.decomposition(c).split()
        if not parts or parts[0].startswith("<") or code in HANGUL:
            continue
        first, second = int(parts[0], 16), int(parts[1], 16) if len(parts) > 1 else 0
        # Composition exclusions and singletons do not come back together.
        composes = second != 0 and unicodedata.normalize("NFC", chr(first) + chr(second)) == c
        pairs.append((code, first, second) + (() if composes else (0,)))
    write(folder / "nfc_table.cc", (("Decomposition", "kDecompositions", pairs),
                                    ("CombiningClass", "kCombiningClasses", classes)))
    compatible.append((0x110000, len(pool)))  # where the last one ends
    write(folder / "nfkc_table.cc", (("Compatibility", "kCompatibilities", compatible),))
    write(folder / "nfkc_pool.cc", (("char32_t", "kCompatibilityPool", pool),))


def write(path, tables):
    out = path.open("w")
    print(f"// Made by tools/references/tokenizer_nfc.py from Unicode {unicodedata.unidata_version}; do not edit.\n"
          '#include "model/tokenizer/nfc_table.h"\n\nnamespace kvasir {\n\n// clang-format off', file=out)
    for kind, name, rows in tables:
        def number(i, v):  # places in the pool are decimal: shorter
            return f"0x{v:x}" if v > 9 and (kind, i) != ("Compatibility", 1) else str(v)
        cells = [",".join(number(i, v) for i, v in enumerate(row)) for row in rows]
        if kind != "char32_t":
            cells = ["{" + cell + "}" for cell in cells]
        print(f"const {kind} {name}[{len(rows)}] = {{", file=out)
        line = ""
        for cell in cells:
            if len(line) + len(cell) + 1 > 100:
                print(line, file=out)
                line = ""
            line += cell + ","
        print(line + "};", file=out)
        if kind != "char32_t":
            print(f"const size_t {name}Size = {len(rows)};", file=out)
    print("}  // namespace kvasir", file=out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
