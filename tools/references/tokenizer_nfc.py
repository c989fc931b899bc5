"""Makes src/model/tokenizer/nfc_table.cc from Python's Unicode data: python tokenizer_nfc.py > nfc_table.cc"""
import sys
import unicodedata

HANGUL = range(0xAC00, 0xD7A4)


def main(out):
    pairs, classes = [], []
    for code in range(0x110000):
        c = chr(code)
        ccc = unicodedata.combining(c)
        if ccc and classes and classes[-1][1] == code - 1 and classes[-1][2] == ccc:
            classes[-1][1] = code
        elif ccc:
            classes.append([code, code, ccc])
        parts = unicodedata.decomposition(c).split()
        if not parts or parts[0].startswith("<") or code in HANGUL:
            continue
        first, second = int(parts[0], 16), int(parts[1], 16) if len(parts) > 1 else 0
        # Composition exclusions and singletons do not come back together.
        composes = second != 0 and unicodedata.normalize("NFC", chr(first) + chr(second)) == c
        pairs.append((code, first, second) + (() if composes else (0,)))
    print(f"// Made by tools/references/tokenizer_nfc.py from Unicode {unicodedata.unidata_version}; do not edit.\n"
          '#include "model/tokenizer/nfc_table.h"\n\nnamespace kvasir {\n\n// clang-format off', file=out)
    for kind, name, rows in (("Decomposition", "kDecompositions", pairs), ("CombiningClass", "kCombiningClasses", classes)):
        cells = ["{" + ",".join(f"0x{v:x}" if v > 9 else str(v) for v in row) + "}" for row in rows]
        print(f"const {kind} {name}[{len(rows)}] = {{", file=out)
        line = ""
        for cell in cells:
            if len(line) + len(cell) + 1 > 100:
                print(line, file=out)
                line = ""
            line += cell + ","
        print(line + "};", file=out)
        print(f"const size_t {name}Size = {len(rows)};", file=out)
    print("}  // namespace kvasir", file=out)


if __name__ == "__main__":
    main(sys.stdout)
