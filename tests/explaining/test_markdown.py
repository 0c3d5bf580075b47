"""Markdown: whole tables, formulas in a known LaTeX, pictures that are there, sums that add up as printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import Say, same
from chainrule.explaining.blocks.kinds import (
    Bars,
    Chain,
    Code,
    Curve,
    Finding,
    Listing,
    Maps,
    Outline,
    Paragraph,
    Section,
    Table,
    Worked,
)
from chainrule.explaining.render.markdown import document as markdown
from chainrule.explaining.render.markdown import text as markdown_text
from chainrule.formulas.printing.boxes import Fence, Word
from tests.explaining.languages import HAN
from tests.explaining.reports import NAMES, report
from tests.pairwise import each

_DISPLAY = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!\\)\$([^$\n]+)(?<!\\)\$")
_CELLS = re.compile(r"(?<!\\)\|")
_COMMAND = re.compile(r"\\([A-Za-z]+|.)")
# What MathJax (GitHub, Jupyter) and KaTeX both know.
KNOWN = {",", "\\", "|", "{", "}", *re.findall(r"\w+", """
    frac tfrac sqrt left right operatorname mathbf mathrm mathbin hat widehat text boxed begin end quad
    thinspace cdot cdots ldots vdots ddots odot bullet circ ast times pm partial sum top log exp tanh max min
    le ge lt gt approx in to leftarrow Vert vert lbrace rbrace infty underline hspace
    alpha beta gamma delta varepsilon eta theta lambda mu pi rho sigma tau varphi omega Delta Theta Omega
""")}  # fmt: skip


def made(name: str, dtype: str = "float64", language: str = "en+zh", notation: str | None = None) -> str:
    return markdown.render(report(name, dtype).outline(language=language, notation=notation))[0]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The pipe tables of a text, cell by cell: head, rule, rows."""
    for block in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        yield [
            [cell.strip() for cell in _CELLS.split(line.strip()[1:-1])] for line in block.strip().split("\n")
        ]


def of_kind(outline: Outline, *kinds: type) -> list[object]:
    found: list[object] = []

    def look(blocks: tuple[object, ...]) -> None:
        for block in blocks:
            if isinstance(block, kinds):
                found.append(block)
            look(getattr(block, "blocks", ()))

    look(outline.sections)
    return found


@pytest.mark.turns(2)
@pytest.mark.parametrize(("name", "dtype"), each(NAMES, ["float32", "float64"]))
def test_tables_are_whole(name: str, dtype: str) -> None:
    """Every row has as many cells as the head, whatever bars stand in formulas and texts."""
    text = made(name, dtype)
    found = list(tables(text))
    outline = report(name, dtype).outline()
    expected = [block for block in of_kind(outline, Table, Worked) if isinstance(block, Table) or block.terms]  # type: ignore[attr-defined]
    assert len(found) == len(expected)
    for table in found:
        assert {len(row) for row in table} == {len(table[0])}
        assert all(re.fullmatch(r":--|--:", cell) for cell in table[1])


NOTATIONS = ["tutorial", "ufldl", "ng", "matrix", "nielsen"]


@pytest.mark.turns(2)
@pytest.mark.parametrize(("name", "notation"), each(NAMES, NOTATIONS, turns=3))
def test_formulas_are_in_a_latex_that_all_readers_know(name: str, notation: str) -> None:
    text = made(name, language="en", notation=notation)
    inline = _INLINE.findall(_DISPLAY.sub("", text))
    displayed = _DISPLAY.findall(text)
    assert displayed
    assert inline
    for latex in (*displayed, *inline):
        assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
        assert len(re.findall(r"\\left(?![a-z])", latex)) == len(re.findall(r"\\right(?![a-z])", latex))
        assert set(_COMMAND.findall(latex)) <= KNOWN, set(_COMMAND.findall(latex)) - KNOWN
        assert set(re.findall(r"\\begin\{(\w+)\}", latex)) <= {"aligned", "pmatrix", "cases"}
        assert not HAN.search(latex)
    for latex in inline:  # nothing in a line that Markdown takes for its own
        assert not re.search(r"\\[^A-Za-z]|[|*<>]", latex), latex
    assert r"\bm" not in text
    assert r"\tag" not in text


def test_every_formula_is_there() -> None:
    """As many displayed formulas as formulas, worked elements and matrices."""
    for name in ("dense", "conv"):
        outline = report(name).outline()
        kinds = (markdown.Formula, Worked, markdown.Matrix)
        assert len(_DISPLAY.findall(made(name))) == len(of_kind(outline, *kinds))


@pytest.mark.parametrize(("name", "dtype"), each(NAMES, ["float32", "float64"]))
def test_terms_add_up_as_printed(name: str, dtype: str) -> None:
    count = 0
    for table in tables(made(name, dtype, "en")):
        if not table[-1][0].startswith("sum Σ"):
            continue
        *terms, total = (row[-1].replace("−", "-").strip("*") for row in table[2:])
        assert sum(map(Decimal, terms)) == Decimal(total)
        count += 1
    assert count >= 2


@pytest.mark.turns(3)
@pytest.mark.parametrize("name", NAMES)
def test_pictures_lie_beside_the_text(name: str, tmp_path: Path) -> None:
    path = tmp_path / "my report.md"
    text = report(name).markdown(path)
    assert path.read_text(encoding="utf-8") == text
    links = [unquote(link) for link in re.findall(r"!\[[^\n]*\]\(([^)]*)\)", text)]
    files = sorted((tmp_path / "my report_files").iterdir())
    assert sorted(tmp_path / link for link in links) == files
    drawn = of_kind(report(name).outline(), Maps, Bars, Curve, Chain)
    assert len(files) == len(drawn) == len(set(links))
    for file in files:
        root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        classes = {name for one in root.iter() for name in one.get("class", "").split()}
        style = "".join(root.itertext()).split(".paper", 1)
        assert "prefers-color-scheme:dark" in style[0]
        cells = {name for name in classes if re.fullmatch(r"k\d+", name)}
        assert all(f".{name}{{" in style[1] for name in cells)
        used = {link.get("href") for link in root.iter("{http://www.w3.org/2000/svg}use")}
        symbols = {f"#{one.get('id')}" for one in root.iter("{http://www.w3.org/2000/svg}symbol")}
        assert used <= symbols
        assert not [link for link in root.iter() if (link.get("href") or "#").startswith(("http", "/"))]


def test_without_a_path_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "](report_files/chain.svg)" in report("dense").markdown()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["dense", "conv", "recurrent"])
def test_languages(name: str) -> None:
    english, chinese = made(name, language="en"), made(name, language="zh")
    assert not HAN.search(english)
    assert "反向传播" in chinese
    words = [
        word
        for line in chinese.split("\n")
        if re.match(r"#|\*\*|<summary>|\| [^$]*\| :--", line)
        for word in re.findall(r"[A-Za-z]{4,}", re.sub(r"`[^`]*`|\([^)]*\)", "", line))
    ]
    names = {layer["name"].rstrip("0123456789") for layer in report(name).document["graph"]["layers"]}
    assert not {word for word in words if word not in names} & {
        "formula", "this", "layer", "shapes", "with", "term", "factors", "product", "Forward", "Backward",
        "notation", "table", "Verdict", "network",
    }  # fmt: skip
    both = made(name)
    for line in ("## Backward · 反向传播", "term · 项"):
        assert line in both


def test_headings_are_the_sections_and_cards() -> None:
    text = made("conv", language="en")
    outline = report("conv").outline(language="en")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [section.title.en for section in outline.sections]
    steps = [card.title.en for card in of_kind(outline, markdown.Card)]  # type: ignore[attr-defined]
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [step.replace("_", r"\_") for step in steps]


def test_long_things_are_folded() -> None:
    text = made("deep", language="en")
    assert text.count("<details>") == text.count("</details>") > 100
    for inner in re.findall(r"<summary>(.*?)</summary>\n(.*)", text):
        assert inner[0]
        assert inner[1] == ""  # Markdown within needs a blank line before it


# -- blocks by themselves ------------------------------------------------------------------------------------


def alone(*blocks: object, language: str = "en") -> str:
    outline = Outline(same("t"), (Section(same("s"), blocks),), language, "tutorial", {})  # type: ignore[arg-type]
    return markdown.render(outline)[0].split("## s\n\n")[1].rstrip("\n")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b * c | d <e> [f] $g$ #h", r"a\_b \* c \| d \<e\> \[f\] \$g\$ \#h"),
        ("call `net.fit(x_y)` now", "call `net.fit(x_y)` now"),
        ("`a | b`", "<code>a &#124; b</code>"),
        ("1. is no list", r"1\. is no list"),
        ("- nor this", r"\- nor this"),
        ("2 + 3", "2 + 3"),
        ("−0.5 stays", "−0.5 stays"),
    ],
)
def test_texts_are_shown_as_they_are(text: str, written: str) -> None:
    assert alone(Paragraph(same(text))) == written


def test_cells_with_bars_stay_cells() -> None:
    norm = Fence(Word("x"), "|", "|")
    table = alone(Table((norm, "a|b"), (("c", norm), ("`d|e`", Say("f | g", "")))))
    (found,) = tables(table)
    assert [len(row) for row in found] == [2, 2, 2, 2]
    assert found[0] == [r"$\vert x\vert$", r"a\|b"]
    assert found[3] == ["<code>d&#124;e</code>", r"f \| g"]


def test_lists_code_findings() -> None:
    listing = Listing((same("one"), same("two")), ordered=True)
    assert alone(listing) == "1. one\n2. two"
    assert alone(Code("x = 1\ny = `2`\n")) == "```python\nx = 1\ny = `2`\n```"
    finding = Finding("bad", same("what"), same("why"), same("cure"))
    assert alone(finding) == "> **✕ wrong: what**\n>\n> why\n>\n> What to do: cure"


def test_numbers_in_tables_of_terms() -> None:
    assert markdown_text.figure("−2.1e−7") == r"$-2.1\cdot 10^{-7}$"
    assert markdown_text.figure("−0.31") == "−0.31"
    assert markdown_text.in_line(r"\{a\,b\} | c * d < e \|f\|") == (
        r"$\lbrace a\thinspace b\rbrace  \vert  c \ast  d \lt  e \Vert f\Vert$"
    )


def test_a_layer_with_special_characters_in_its_name() -> None:
    layers = [cr.Dense(3, name="first_layer"), cr.Tanh(name="f_a-b"), cr.Dense(2, name="c_d")]
    network = cr.Network(layers, input_shape=2, seed=0)
    X = np.random.default_rng(0).standard_normal((2, 2))
    text = cr.explain(network, X, X, check=False).markdown()
    plain = _INLINE.sub("", _DISPLAY.sub("", text))
    plain = re.sub(r"`[^`]*`|^```.*?^```|\]\([^)]*\)", "", plain, flags=re.DOTALL | re.MULTILINE)
    assert r"first\_layer" in plain
    assert not re.search(r"(?<!\\)_", plain), re.findall(r".{20}(?<!\\)_.{20}", plain)[:3]


def test_volumes_have_maps_of_their_planes(tmp_path: Path) -> None:
    network = cr.Network([cr.Conv3D(2, 2), cr.Flatten(), cr.Dense(1)], input_shape=(3, 4, 4, 1))
    X = np.random.default_rng(0).standard_normal((2, 3, 4, 4, 1))
    explained = cr.explain(network, X, [[0.0], [1.0]], check=False)
    explained.markdown(tmp_path / "report.md")
    drawn = [path.read_text(encoding="utf-8") for path in (tmp_path / "report_files").glob("conv1*.svg")]
    assert any("d = 1, c = 1" in text for text in drawn)  # of the output
    assert any("k = 0, d = 1, c = 0" in text for text in drawn)  # of W
