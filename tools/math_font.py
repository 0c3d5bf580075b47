"""Make the page's math font: the glyphs our formulas need, out of STIX Two Math, as woff2 of about 30 KB.

    npm pack @fontsource/stix-two-math && tar xzf fontsource-stix-two-math-*.tgz
    pip install fonttools brotli
    python tools/math_font.py package/files/stix-two-math-latin-400-normal.woff2

writes src/chainrule/explaining/page/style/math.woff2.  Without a MATH table Chromium grows every parenthesis
and sets scripts where a text font would; the subset keeps the table with the variants and assemblies of its
delimiters.  The Open Font License wants a derived font under a name of its own: it is called Chainrule Math.
The result is committed, so that nobody needs fonttools; run this again when a formula prints a sign that is
missing (tests/formulas/test_mathml_in_browser.py).  Made from STIX Two Math 2.12 b168a; it is reproducible.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FAMILY = "Chainrule Math"
TARGET = Path(__file__).parents[1] / "src/chainrule/explaining/page/style/math.woff2"

_RANGES = (
    (0x20, 0x7E),  # ASCII: names of functions, digits
    (0x391, 0x3A9),
    (0x3B1, 0x3C9),  # Greek; an <mi> of one letter is drawn from the italic letters below
    (0x1D434, 0x1D467),  # italic Latin; its h is U+210E
    (0x1D6E2, 0x1D71B),  # italic Greek with ∂ and the variants of ε, θ, φ
    (0x1D7CE, 0x1D7D7),  # bold digits: 𝟏
    (0x2061, 0x2064),  # invisible operators
)
_SIGNS = (
    "ℎℓℝϵϕ" "·×÷±¬½°−∂∇∑∏√∞" "∈∉≤≥≠≈" "→←↑↓↔↦⇒" "⊙⊗⊕•∘∗⋆⊤⊥" "⋯⋮⋱…" "′″‴" "‖∥⟨⟩⌊⌋⌈⌉"
    "ˆ\N{COMBINING CIRCUMFLEX ACCENT}¯\N{COMBINING MACRON}˜\N{COMBINING TILDE}"
    "\N{NO-BREAK SPACE}\N{THIN SPACE}\N{HAIR SPACE}\N{EM SPACE}"
)  # fmt: skip
_COPYRIGHT, _FAMILY, _STYLE, _UNIQUE, _FULL, _VERSION, _POSTSCRIPT, _LICENCE, _LICENCE_URL = (
    0, 1, 2, 3, 4, 5, 6, 13, 14,
)  # fmt: skip


def characters() -> set[int]:
    """The code points the font is asked for."""
    return {code for first, last in _RANGES for code in range(first, last + 1)} | set(map(ord, _SIGNS))


def make(source: Path, codes: Iterable[int]) -> TTFont:
    """The subset, renamed.  Raises SystemExit if the source has no MATH table."""
    font = TTFont(source, recalcTimestamp=False)
    if "MATH" not in font:
        raise SystemExit(f"{source} has no MATH table; STIX Two Math and Latin Modern Math have one")
    kept = [_COPYRIGHT, _STYLE, _VERSION, _LICENCE, _LICENCE_URL]
    options = subset.Options(hinting=False, glyph_names=False, layout_features=[], name_IDs=kept)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    names = font["name"]
    postscript = FAMILY.replace(" ", "") + "-Regular"
    for number in (_FAMILY, _UNIQUE, _FULL, _POSTSCRIPT):
        names.setName(FAMILY if number in (_FAMILY, _FULL) else postscript, number, 3, 1, 0x409)
    font.flavor = "woff2"
    return font


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the page's math font.")
    parser.add_argument("source", type=Path, help="STIX Two Math, as otf, ttf or woff2")
    parser.add_argument("--target", type=Path, default=TARGET)
    options = parser.parse_args()
    make(options.source, characters()).save(options.target)
    print(f"{options.target}: {options.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
