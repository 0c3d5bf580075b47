"""Worksheets: the share of blanks, the same in every form, answers that are right and told nowhere else."""

from __future__ import annotations

import html
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import same
from chainrule.explaining.blocks.kinds import Bars, Maps, Matrix, Outline, Table, Worked
from chainrule.explaining.blocks.printed import Printed, Told, number_of
from chainrule.explaining.blocks.worked import figure
from chainrule.explaining.worksheet import blanks
from chainrule.explaining.worksheet import sheet as worksheet
from chainrule.explaining.worksheet.hiding import Hider
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Numeral, Word
from tests.explaining.languages import HAN
from tests.explaining.reports import NAMES, report
from tests.pairwise import each

ENDINGS = (".tex", ".html", ".md", ".txt")
_NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e[−-]?\d+)?")
_KEYS = {".tex": r"\clearpage", ".html": 'id="key"', ".md": "## Answer key", ".txt": "\nAnswer key\n"}


def written(name: str, ending: str, folder: Path, **options: object) -> tuple[str, str]:
    """(the sheet with the texts of its pictures, its key)."""
    path = folder / f"{name}{ending}"
    language = str(options.pop("language", "en"))
    text = report(name).worksheet(path, language=language, **options)  # type: ignore[arg-type]
    assert path.read_text(encoding="utf-8") == text
    sheet, key = text.split(_KEYS[ending]) if ending != ".html" else text.rsplit(_KEYS[ending], 1)
    for picture in sorted((folder / f"{name}_files").glob("*.svg")) if ending == ".md" else ():
        root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
        sheet += "\n" + "\n".join(text for text in root.itertext() if "{" not in text)
    return sheet, key


def key_of(name: str, **options: object) -> dict[int, str]:
    _, answers = worksheet.sheet(report(name).outline(), **options)  # type: ignore[arg-type]
    return answers


def seen(sheet: str, ending: str) -> str:
    """What can be read in a sheet: texts, and attributes that are shown or read out."""
    if ending == ".html":
        sheet = re.sub(r"<style>.*?</style>", "", sheet, flags=re.DOTALL)
        said = re.findall(r'(?:title|aria-label|alt|value|data-[\w-]+)="([^"]*)"', sheet)
        return html.unescape(re.sub(r"<[^>]*>", " ", sheet)) + "\n" + "\n".join(said)
    if ending == ".tex":  # coordinates of drawings are no numbers of the report
        return re.sub(r"\([-\d.]+,[-\d.]+\)", "", sheet)
    return sheet


def told(answer: str, tokens: list[str]) -> list[str]:
    """Those of the numbers in a text which are the answer, to as many digits as it has."""
    size = Decimal(answer.replace("−", "-").replace(",", "")).copy_abs()
    digits = len(size.normalize().as_tuple().digits)
    found = []
    for token in tokens:
        number = Decimal(token.replace("−", "-"))
        if len(number.normalize().as_tuple().digits) >= digits and number:
            places = number.adjusted() - digits + 1
            found += [token] if number.quantize(Decimal(1).scaleb(places)) == size else []
    return found


@pytest.mark.turns(2)
@pytest.mark.parametrize(("name", "ending"), each(NAMES, ENDINGS, turns=2))
def test_no_answer_is_told_in_the_sheet(name: str, ending: str, tmp_path: Path) -> None:
    sheet, key = written(name, ending, tmp_path, blanks=0.5, seed=3)
    tokens = list(dict.fromkeys(_NUMBER.findall(seen(sheet, ending))))
    answers = key_of(name, blanks=0.5, seed=3)
    assert len(answers) > 8
    for number, answer in answers.items():
        if "×" not in answer:
            assert told(answer, tokens) == [], (number, answer)
        assert f"({number})" in sheet
        assert f"({number})" in key
    assert "⟦" not in sheet + key
    # In full precision there is only the end of the scale of a picture, which no answer is.
    assert not re.search(r"\d\.\d{12}", seen(re.sub(r'data-scale="[^"]*"', "", sheet), ending))


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_key_has_every_answer_with_its_step(ending: str, tmp_path: Path) -> None:
    _, key = written("dense", ending, tmp_path)
    plain = re.sub(r"<[^>]*>", " ", key) if ending == ".html" else key.replace("$", "")
    plain = plain.replace(r"\times ", "×")
    for number, answer in key_of("dense").items():  # a shape is one of them, (4×4)
        shown = re.escape(answer).replace("−", "[−-]")
        assert re.search(rf"\({number}\)[\s|&]+[LFBU]\d*[\s|&]+{shown}", plain), (number, answer)


def test_the_page_carries_no_document_and_no_script(tmp_path: Path) -> None:
    sheet, key = written("conv", ".html", tmp_path)
    assert "<script" not in sheet + key
    assert set(re.findall(r"[\w/:-]*;base64", sheet + key)) <= {"data:font/woff2;base64"}
    assert "<input" not in re.sub(r'<input type="radio"[^>]*>', "", sheet + key)
    assert "<details" in key
    for attribute in re.findall(r'="([^"]*)"', sheet + key):
        assert "blank" not in attribute or attribute == "blank"


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_blanks_in_every_form_language_and_layout(name: str) -> None:
    made = [
        worksheet.sheet(report(name).outline(language=language, linear=linear), seed=5)[1]
        for language in ("en", "zh", "en+zh")
        for linear in (False, True)
    ]
    assert all(answers == made[0] for answers in made)


def test_other_seeds_ask_for_other_numbers() -> None:
    keys = [tuple(key_of("dense", seed=seed).values()) for seed in range(5)]
    assert len(set(keys)) == 5
    assert keys[0] == tuple(key_of("dense", seed=0).values())


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_the_share_that_is_left_blank(share: float) -> None:
    outline = report("residual").outline()
    kinds = Counter(one.kind for one in blanks.candidates(outline))
    assert set(kinds) == {"product", "result", "matrix", "table", "shape"}
    chosen = worksheet._chosen(blanks.candidates(outline), share, 0)
    assert Counter(one.kind for one in chosen) == {
        kind: round(share * count) for kind, count in kinds.items() if round(share * count)
    }


def test_at_least_one() -> None:
    assert len(key_of("recurrent", blanks=0.001)) == 1


@pytest.mark.turns(2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_sums_are_right_when_the_answers_are_put_in(name: str, dtype: str) -> None:
    """Every blank of a table of terms can be computed: with the key it adds up as the report's own does."""
    outline = report(name, dtype).outline()
    made, answers = worksheet.sheet(outline, blanks=1.0)
    whole = {block.id: block for block in every(outline) if isinstance(block, Worked)}
    count = 0

    def filled(text: str) -> str:
        sign, blank = ("−", text[1:]) if text.startswith("−⟦") else ("", text)
        if not blank.startswith("⟦"):
            return text
        answer = answers[int(blank.strip("⟦⟧"))]
        return answer if not sign else answer[1:] if answer.startswith("−") else "−" + answer

    for block in every(made):
        if isinstance(block, Worked):
            count += block.result.endswith("⟧") or any(product.endswith("⟧") for _, _, product in block.terms)
            before = whole[block.id]
            assert same_number(filled(block.result), before.result)
            for (_, factors, product), (_, given, computed) in zip(block.terms, before.terms, strict=True):
                assert same_number(filled(product), computed)
                assert all(map(same_number, map(filled, factors), given))
            if block.terms:
                total = sum(Decimal(filled(product).replace("−", "-")) for _, _, product in before.terms)
                assert total == Decimal(before.total.replace("−", "-"))
    assert count >= 3


def same_number(text: str, other: str) -> bool:
    """Equal as far as both are printed: an answer is printed with the digits of one of its places."""
    a, b = (float(one.replace("−", "-")) for one in (text, other))
    return a == b or abs(a - b) <= 1.1e-3 * abs(b)


def every(outline: Outline) -> list[object]:
    """All blocks of the cards of an outline."""
    return [block for card in blanks.cards(outline.sections) for block in card.blocks]


def test_a_blank_never_waits_for_another_that_waits_for_it() -> None:
    """An answer is not among the numbers that it, or anything before it, is computed from."""
    for name in NAMES:
        inputs: set[str] = set()
        for one in blanks.candidates(report(name).outline()):
            inputs |= {text.lstrip("−") for text in one.inputs}
            assert one.shape is not None or one.texts[0].lstrip("−") not in inputs


def test_a_result_that_is_read_off_is_not_asked_for() -> None:
    """A pooled maximum and a flattened pixel are among their own numbers."""
    found = blanks.candidates(report("conv").outline())
    assert not [one for one in found if one.step == "F4"]


@pytest.mark.parametrize("language", ["en", "zh", "en+zh"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_languages(language: str, ending: str, tmp_path: Path) -> None:
    text = report("dense").worksheet(tmp_path / f"sheet{ending}", language=language)
    visible = seen(text.replace("中文", ""), ending)
    assert bool(HAN.search(re.sub(r'font-family:[^;]*|"2460.*', "", visible))) == ("zh" in language)
    assert ("Compute them from what is printed" in visible) == ("en" in language)
    assert ("请由印出的内容计算" in visible) == ("zh" in language)


def test_a_seed_from_numpy(tmp_path: Path) -> None:
    with_numpy = report("dense").worksheet(tmp_path / "a.md", seed=np.int64(3))
    assert with_numpy.replace("a_files", "") == (
        report("dense").worksheet(tmp_path / "b.md", seed=3).replace("b_files", "")
    )


def test_the_form_may_be_named(tmp_path: Path) -> None:
    made = report("dense").worksheet(tmp_path / "sheet", form="markdown")
    assert made.startswith("# Worksheet")
    assert (tmp_path / "sheet_files").is_dir()


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("w.tex", {"blanks": 0}, ValueError, "blanks"),
        ("w.tex", {"blanks": 1.5}, ValueError, "blanks must be .*at most 1"),
        ("w.tex", {"blanks": "half"}, ValueError, "blanks"),
        (
            "w.tex",
            {"seed": -1},
            ValueError,
            "seed must be a whole number of at least 0, received -1: write seed=0",
        ),
        ("w.tex", {"seed": 0.5}, ValueError, "seed must be a whole number"),
        ("w.tex", {"form": "beamer"}, ValueError, "form must be one of 'article', 'html'.*received 'beamer'"),
        ("w.pdf", {}, cr.FileError, r"ends in none of \.tex, \.html.*report.worksheet\('w.html'\)"),
        ("w", {}, cr.FileError, "form='html'"),
    ],
)
def test_what_is_refused(
    name: str, options: dict[str, object], error: type[Exception], words: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        report("dense").worksheet(name, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


# -- its parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.5204", "0.5204", True), ("0.5204", "0.52043", True), ("0.5204", "−0.5204", True),
        ("0.5204", "0.5205", False), ("0.5204", "5.204", False), ("2.134e−7", "2.134", False),
        ("0.5204", "0.52", False), ("0.123", "0.123", False), ("0.123", "0.12304", False), ("1", "1", False),
        ("0.5204", "0.52045", True), ("0.5205", "0.52045", True), ("1,234", "1234", True),
    ],
)  # fmt: skip
def test_numbers_that_tell_each_other(one: str, other: str, same: bool) -> None:
    for asked, said in ((one, other), (other, one)):
        known: Told[bool] = Told()
        printed, number = Printed.of(asked), Printed.of(said)
        assert printed is not None
        assert number is not None
        known.add(printed, True)
        assert bool(known.find(number)) == same


@pytest.mark.parametrize("value", [0.5204, -0.5204, 2.134e-7, -2.134e-7, 123400000.0])
def test_a_number_in_a_formula_is_hidden_with_its_sign(value: float) -> None:
    text = number_of(figure(value))
    assert text is not None
    assert float(text.replace("−", "-")) == pytest.approx(value)
    hider = Hider([(text,)], {}, lambda number, _: f"⟦{number}⟧")
    assert render_text.render(hider.box(figure(value))) == "⟦1⟧"
    assert render_text.render(hider.box(figure(-value))) == "−⟦1⟧"
    assert render_text.render(hider.box(figure(2 * value))) == render_text.render(figure(2 * value))


def test_texts_keep_names_and_indices() -> None:
    hider = Hider([("0.5204",), ("−123.4",)], {}, lambda number, _: f"⟦{number}⟧")
    assert hider.text("conv0.5204 x0.5204 = 0.5204, −0.5204; 123.4.") == (
        "conv0.5204 x0.5204 = ⟦1⟧, −⟦1⟧; −⟦2⟧."
    )


def test_pictures_do_not_show_what_is_asked_for() -> None:
    values = np.array([[0.52041], [-0.3]])
    hider = Hider([("0.5204",)], {}, lambda number, _: f"⟦{number}⟧")
    bars = hider.block(Bars(Word("δ"), same("answers"), ("0", "1"), values))
    assert isinstance(bars, Table)
    assert bars.rows == (("0", "⟦1⟧"), ("1", "−0.3"))
    other = Bars(Word("δ"), same("answers"), ("0", "1"), values + 1)
    assert hider.block(other) is other
    matrix = hider.block(Matrix(Word("W"), values, (2, 1), stats=(-0.3, 0.1, 0.52041, 0.6)))
    assert isinstance(matrix, Matrix)
    assert matrix.printed == (("⟦1⟧",), ("−0.3",))
    assert matrix.values[0, 0] == 0
    assert not any(matrix.stats)


def test_maps_lose_the_cell_and_the_end_of_the_scale() -> None:
    picture = next(block for block in every(report("conv").outline()) if isinstance(block, Maps))
    largest = f"{picture.scale:.4g}"
    hider = Hider([(largest,)], {}, lambda number, _: f"⟦{number}⟧")
    made = hider.block(picture)
    assert isinstance(made, Maps)
    assert sum(int(np.isnan(panel.values).sum()) for panel in made.panels) >= 1
    assert made.scale > picture.scale
    assert f"{made.scale:.4g}" == f"{made.scale:.1g}"


def test_a_cell_that_is_asked_for_is_empty_in_latex(tmp_path: Path) -> None:
    assert "NaN" not in report("conv").worksheet(tmp_path / "sheet.tex", blanks=1.0)


def test_numerals_below_a_letter_stay() -> None:
    hider = Hider([("1234",)], {}, lambda number, _: "⟦1⟧")
    outline = report("dense").outline()
    block = next(block for block in every(outline) if isinstance(block, Worked))
    assert hider.box(block.left) == block.left
    assert hider.box(Numeral("1234")) == Numeral("⟦1⟧")
