"""How Chromium sets our MathML: every formula that is printed, with the page's own font and style."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

import pytest

from chainrule.explaining.render.html.page import stylesheet
from chainrule.formulas import NOTATIONS, mathml
from chainrule.formulas.printing.boxes import Fence, Hat, Scripts, Sign, Under, Word, row, tight
from chainrule.formulas.printing.render_mathml import escape, math, render
from tests.browser.page import Page
from tests.formulas.printed import equations

FAMILY = "Chainrule Math"
GEOMETRY = (Path(__file__).parent / "geometry.js").read_text("utf-8")


@cache
def _sources(notation: str) -> list[tuple[str, str]]:
    """(where it is from, the block of MathML) of all formulas."""
    return [(name, mathml(line, NOTATIONS[notation], display="block")) for name, line in equations()]


def _gallery(notation: str) -> str:
    """A page of all formulas; each <math> remembers where it is from."""
    lines = []
    for name, source in _sources(notation):
        marked = source.replace("<math ", f'<math data-from="{name}" ', 1)
        lines.append(f"<p>{marked}</p>")
    style = f"{stylesheet()} p {{ width: max-content; max-width: none }}"
    return f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{"".join(lines)}'


@pytest.mark.turns(4)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_every_formula_is_well_set(page: Page, notation: str) -> None:
    page.show(_gallery(notation))
    assert page.count("math") > 300
    assert page.evaluate(GEOMETRY) == []
    assert page.errors == page.requests == []


def test_all_glyphs_are_in_the_font(page: Page) -> None:
    tokens = set()
    for notation in NOTATIONS:
        for _, source in _sources(notation):
            root = ElementTree.fromstring(source)
            tokens |= {(_local(element), element.text) for element in root.iter() if element.text}
    shown = "".join(f"<math><{name} class='token'>{escape(text)}</{name}></math> " for name, text in tokens)
    page.show(f'<!DOCTYPE html><meta charset="utf-8"><style>{stylesheet()}</style>{shown}')
    assert page.evaluate("[...document.fonts].map(f => [f.family, f.status])") == [[FAMILY, "loaded"]]
    page.call("DOM.enable")
    page.call("CSS.enable")
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    nodes = page.call("DOM.querySelectorAll", nodeId=document, selector=".token")["nodeIds"]
    assert len(nodes) == len(tokens) > 50
    foreign = {}
    for node in nodes:
        fonts = page.call("CSS.getPlatformFontsForNode", nodeId=node)["fonts"]
        if {font["familyName"] for font in fonts} - {FAMILY}:
            foreign[page.call("DOM.getOuterHTML", nodeId=node)["outerHTML"]] = fonts
    assert foreign == {}


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _heights(page: Page, *bodies: str) -> list[float]:
    """How far each superscript of <math> with these bodies stands above the base line, in pixels."""
    lines = "".join(f"<p><span>x</span>{math(body)}</p>" for body in bodies)
    page.show(f"<!DOCTYPE html><style>{stylesheet()} span {{ font-size: 0 }}</style>{lines}")
    found: list[float] = page.evaluate(
        "[...document.querySelectorAll('p')].map(p => p.firstChild.getBoundingClientRect().bottom -"
        " p.querySelector('math').lastElementChild.lastElementChild.getBoundingClientRect().bottom)"
    )
    return found


def test_a_hat_does_not_raise_the_superscript(page: Page) -> None:
    b, layer = Word("b"), Word("l")
    plain, hatted = _heights(page, render(Scripts(b, sup=layer)), render(Scripts(Hat(b), sup=layer)))
    assert plain > 3
    assert abs(hatted - plain) < 1


def test_spaces_are_those_of_tex(page: Page) -> None:
    """None around signs in scripts, a thin one before and behind names of functions."""
    x, y, minus = Word("x"), Word("y"), Sign("−")
    close, loose = Scripts(x, sup=tight(x, minus, y)), Scripts(x, sup=row(x, minus, y))
    called = row(x, tight(Word("log"), Fence(y)))
    largest = row(Under(Word("max"), x), y)
    page.show(
        f"<!DOCTYPE html><style>{stylesheet()} math {{ font-size: 20px }}</style>"
        + "".join(math(render(box), "block") for box in (close, loose, called, largest))
    )
    gaps = page.evaluate(
        "[...document.querySelectorAll('mi + mo + mi, mi + mo + mrow, munder + mi')].map(e => {"
        " let before = e.previousElementSibling; if (/[\\u2061\\u2062−]/.test(before.textContent))"
        " before = before.previousElementSibling;"
        " return e.getBoundingClientRect().left - before.getBoundingClientRect().right; })"
    )
    thin = 0.167 * 20
    assert gaps[1] - gaps[0] > thin
    assert gaps[2:] == pytest.approx([thin, 0, thin], abs=0.7)  # x log, log(y), max y
    minus_width = page.evaluate("document.querySelector('mi + mo').getBoundingClientRect().width")
    assert gaps[0] == pytest.approx(minus_width, abs=0.7)
