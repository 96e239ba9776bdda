#!/usr/bin/python3
"""Writes processor/engine/keyword_fold_table.inc from Python's unicodedata.

Run by hand, never by the build: the table decides which replies count as STOP, so a new one is a
new engine version. It holds two lists, sorted, without ASCII:

  KEYWORD_FOLD(first, last, letter)  first folds to `letter`, first + 1 to the next letter, ...
  KEYWORD_SKIP(first, last)          these carry no letter: punctuation, symbols, emoji, spaces,
                                     marks, control and format characters

Folding is compatibility decomposition, case folding, decomposition again, marks dropped; a code
point is listed if exactly one ASCII letter or digit is left. The pictograph blocks are skipped
whole, so that an emoji newer than the Unicode version used here does not hide a STOP.

usage: ops/tables/generate_keyword_fold.py > processor/engine/keyword_fold_table.inc
"""

import unicodedata

PICTOGRAPHS = range(0x1F000, 0x1FB00)
SURROGATES = range(0xD800, 0xE000)
SKIPPED_CATEGORIES = ("P", "S", "Z", "M")


def fold(character):
    text = unicodedata.normalize("NFKD", character).casefold()
    text = unicodedata.normalize("NFKD", text)
    return "".join(c for c in text if not unicodedata.category(c).startswith("M"))


def is_skipped(code_point):
    category = unicodedata.category(chr(code_point))
    return (category.startswith(SKIPPED_CATEGORIES) or category in ("Cc", "Cf")
            or code_point in PICTOGRAPHS)


def tables():
    folds = []  # [first, last, letter of first]
    skips = []  # [first, last]
    for code_point in range(0x80, 0x110000):
        if code_point in SURROGATES:
            continue
        text = fold(chr(code_point))
        if len(text) == 1 and text.isascii() and text.isalnum():
            if folds and folds[-1][1] == code_point - 1 and \
                    ord(text) - ord(folds[-1][2]) == code_point - folds[-1][0]:
                folds[-1][1] = code_point
            else:
                folds.append([code_point, code_point, text])
        elif is_skipped(code_point):
            if skips and skips[-1][1] == code_point - 1:
                skips[-1][1] = code_point
            else:
                skips.append([code_point, code_point])
    return folds, skips


def main():
    folds, skips = tables()
    print("// Made by ops/tables/generate_keyword_fold.py from the Unicode Character Database,")
    print(f"// version {unicodedata.unidata_version}. Never edit; make a new one only with a new "
          "engine version.")
    print("// clang-format off")
    for first, last, letter in folds:
        print(f"KEYWORD_FOLD(0x{first:04X}, 0x{last:04X}, '{letter}')")
    for first, last in skips:
        print(f"KEYWORD_SKIP(0x{first:04X}, 0x{last:04X})")
    print("// clang-format on")


if __name__ == "__main__":
    main()
