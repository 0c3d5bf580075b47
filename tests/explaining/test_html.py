"""The page of a report: well-formed, closed to the network, in its languages, within its budget."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import same
from chainrule.base.numbers import short
from chainrule.explaining.blocks.kinds import Bars, Maps, Matrix, Outline, Panel
from chainrule.explaining.outline.sections import outline
from chainrule.explaining.render.html import document as html_document
from chainrule.explaining.render.html import page as html
from chainrule.explaining.render.svg import maps as svg
from chainrule.formulas.printing.boxes import Word
from tests.explaining.sample_outline import hostile_outline, sample_outline
from tests.pairwise import each

VOID = {"meta", "input", "wbr", "br", "link", "img", "hr"}
HAN = re.compile(r"[\u4e00-\u9fff]")
SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
EVIL = "</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """A page as a list of elements, whose nesting is checked while it is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []  # (language of the nearest lang=, text)
        self._languages: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
            self._languages.append(found.get("lang", self._languages[-1] if self._languages else ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag, tag
        self._languages.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style", "title"):
            self.texts.append((self._languages[-1], data))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Attributes of the elements of a tag which have these; class_: one of their classes."""
        kind = wanted.pop("class_", None)
        return [
            one
            for name, one in self.elements
            if name == tag
            and (kind is None or kind in one.get("class", "").split())
            and all(one.get(key.replace("_", "-")) == value for key, value in wanted.items())
        ]


def _network(layers: list[Any], shape: Any, X: Any, y: Any, **options: Any) -> cr.Report:
    return cr.explain(cr.Network(layers, input_shape=shape, seed=1), X, y, check=False, **options)


@cache
def report(kind: str) -> cr.Report:
    """A convolutional network, one with branches, one of two hundred layers, a LeNet."""
    rng = np.random.default_rng(0)
    if kind == "conv":
        layers = [cr.Conv2D(3, 3), cr.Sigmoid(), cr.MaxPool2D(2, 1), cr.Flatten(), cr.Dense(3), cr.Softmax()]
        X = rng.standard_normal((4, 6, 6, 1))
        return _network(layers, (6, 6, 1), X, [0, 1, 2, 1], penalty=cr.L2(0.1))
    if kind == "branches":
        beside = cr.Parallel([[cr.Dense(2)], [cr.Dense(3), cr.Tanh()]], join="concat")
        layers = [cr.Residual([cr.Dense(5), cr.ReLU(), cr.Dense(5)]), beside, cr.Dense(2)]
        return _network(layers, 5, rng.standard_normal((3, 5)), rng.standard_normal((3, 2)))
    if kind == "deep":
        layers = [layer for _ in range(100) for layer in (cr.Dense(16), cr.Tanh())]
        return _network(layers, 16, rng.standard_normal((4, 16)), rng.standard_normal((4, 16)))
    layers = [
        cr.Conv2D(6, 5, padding=2), cr.Tanh(), cr.AveragePool2D(2), cr.Conv2D(16, 5), cr.Tanh(),
        cr.AveragePool2D(2), cr.Flatten(), cr.Dense(120), cr.Tanh(), cr.Dense(84), cr.Tanh(), cr.Dense(10),
        cr.Softmax(),
    ]  # fmt: skip
    return _network(layers, (28, 28, 1), rng.standard_normal((8, 28, 28, 1)), np.arange(8))


@cache
def text(kind: str, language: str = "en+zh") -> str:
    return report(kind).html(language=language)


@cache
def pages() -> list[str]:
    """Of every kind of block, of hostile names, and of networks."""
    made = [html.render(make) for make in (sample_outline("en+zh"), hostile_outline())]
    return [*made, *(text(kind) for kind in ("conv", "branches", "deep"))]


@pytest.mark.turns(2)
@pytest.mark.parametrize("number", range(5))
def test_it_is_well_formed(number: int) -> None:
    page = Page(pages()[number])
    ids = [one["id"] for _, one in page.elements if "id" in one]
    assert len(ids) == len(set(ids))
    links = [one["href"] for name, one in page.elements if name in ("a", "use") and "href" in one]
    assert links
    assert [link for link in links if not link.startswith("#") or link[1:] not in ids] == []
    heads = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert heads.count(1) == 1
    assert heads[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(heads)), heads


@pytest.mark.turns(2)
@pytest.mark.parametrize("number", range(5))
def test_who_cannot_see_it_is_told(number: int) -> None:
    source = pages()[number]
    page = Page(source)
    for name, one in page.elements:
        if name == "svg" and one.get("aria-hidden") != "true":
            assert one["role"] in ("img", "group")
        if name == "nav" or (name == "article" and "card" in one["class"]):
            assert one["aria-label"].strip()
        if one.get("class", "").startswith("level"):
            assert one["aria-label"].strip()
        if name == "th":
            assert one["scope"] in ("row", "col")
    pictures = re.findall(r"<svg(?! class=\"sprite\")[^>]*>(<title>[^<]+</title>)?", source)
    assert all(pictures)


@pytest.mark.parametrize("number", range(5))
def test_nothing_is_asked_of_the_network(number: int) -> None:
    source = pages()[number]
    page = Page(source)
    first, second = page.all("meta")[:2]
    assert first == {"charset": "utf-8"}
    assert second == {"http-equiv": "Content-Security-Policy", "content": html.POLICY}
    assert source.index("Content-Security-Policy") < source.index("<style>")
    assert html.POLICY.startswith("default-src 'none';")
    assert not re.search(r"\*|https?:|connect-src|unsafe-eval", html.POLICY)
    for name, one in page.elements:
        for attribute in ("src", "href", "action", "data", "srcset", "poster"):
            value = one.get(attribute, "")
            assert not value or value.startswith(("#", "data:")), (name, value)
    assert "@import" not in source
    assert re.findall(r"url\((?!data:)[^)]*\)", STYLE.findall(source)[0]) == []


def test_the_style_has_its_files_inside() -> None:
    style = html.stylesheet()
    assert "url(data:font/woff2;base64," in style
    assert not re.search(r"url\((?!\"?data:)", style)


def test_names_and_labels_are_text() -> None:
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=2, seed=0, name=EVIL)
    network.classes = [EVIL, "<b>", "a&b"]
    rng = np.random.default_rng(0)
    made = cr.explain(network, rng.standard_normal((3, 2)), np.array([EVIL, "<b>", "a&b"]), check=False)
    for source in (made.html(), html.render(hostile_outline())):
        page = Page(source)
        assert "<img" not in source
        assert page.all("img") == page.all("b", onclick="") == []
        assert not [one for _, one in page.elements if any(name.startswith("on") for name in one)]
        names = [name for name, one in page.elements if name == "script"]
        assert len(names) == 1 + len(html._files(".js"))
    assert "&lt;/script&gt;&lt;img src=x" in made.html()
    assert html_document.embedded({"a": EVIL}).count("<") == 0


@pytest.mark.turns(3)
@pytest.mark.parametrize("language", ["en", "zh", "en+zh"])
@pytest.mark.parametrize("kind", ["conv", "branches"])
def test_languages(kind: str, language: str) -> None:
    source = SCRIPT.sub("", text(kind, language))
    page = Page(source)
    assert page.all("html")[0]["data-language"] == language
    marked = {one for one, said in page.texts if said.strip()}
    if language == "en+zh":
        assert marked == {"en", "zh"}
        switch = page.all("input", name="language")
        assert [one["value"] for one in switch] == ["both", "en", "zh"]
        english = [said for one, said in page.texts if one == "en"]
        assert not [said for said in english if HAN.search(said) and said != "中文"]
        spans = len(page.all("span", lang="en")), len(page.all("span", lang="zh"))
        assert spans[0] == spans[1] > 50
    if language == "en":
        assert not HAN.search(source)
    if language == "zh":
        assert page.all("html")[0]["lang"] == "zh"
        titles = re.compile(r'<section[^>]* id="references".*?</section>', re.DOTALL)  # stay as they are
        said = [one for _, one in Page(titles.sub("", source)).texts]
        words = {word for one in said for word in re.findall(r"\b(?:the|and|of|with|is)\b", one)}
        assert not words
    assert not re.search(r"\{\}|Say\(|\bnan\b", re.sub(r"<code>.*?</code>", "", source))


def test_what_the_scripts_hold_on_to() -> None:
    page = Page(text("conv"))
    assert page.all("script", id="document", type="application/json")
    steps = [one["data-step"] for one in page.all("article", class_="card")]
    assert steps == ["L", *(f"F{n}" for n in range(1, 7)), *(f"B{n}" for n in range(5, 0, -1)), "U"]
    assert [one["data-step"] for one in page.all("a") if "data-step" in one] == steps
    layers = {one["data-layer"] for one in page.all("article") if "data-layer" in one}
    assert {"conv1", "maxpool1", "dense1"} <= layers
    assert {one["data-layer"] for one in page.all("g", class_="node")} >= {"conv1", "softmax1"}
    references = {one["data-ref"] for _, one in page.elements if "data-ref" in one}
    assert {"conv1.W", "delta:conv1", "input"} <= references
    for one in page.all("div", class_="worked"):
        assert re.fullmatch(r"\d+(,\d+)*", one["data-index"])
        assert one.get("data-quantity") or one["id"].startswith("L-")
    for one in page.all("figure", class_="maps"):
        assert re.fullmatch(r"\d,\d", one["data-axes"])
        float(one["data-scale"])
    for one in page.all("figure", class_="panel"):
        assert re.fullmatch(r"\d+,\d+", one["data-size"])
    for tag, kind in (("g", "cells"), ("g", "marks"), ("figure", "matrix"), ("figure", "chart")):
        assert page.all(tag, class_=kind)
    assert all({"data-row", "data-group"} <= set(one) for one in page.all("rect", class_="bar"))
    assert page.all("svg", class_="map")
    assert [one for _, one in page.elements if "data-cell" in one]  # winners of the pooling


def numbers_of(blocks: Any) -> list[float]:
    """The numbers of matrices and bars."""
    found: list[float] = []
    for block in blocks:
        if isinstance(block, Bars | Matrix):
            found += np.asarray(block.values).ravel().tolist()
        found += numbers_of(getattr(block, "blocks", ()))
    return found


def test_without_scripts_all_numbers_are_there() -> None:
    made = report("conv")
    bare = SCRIPT.sub("", text("conv"))
    sections = made.outline().sections
    shown = set(re.findall(r"[−\d][\d.e−]*", re.sub(r"<[^>]*>", " ", bare)))
    missing = [value for value in numbers_of(sections) if short(value) not in shown]
    assert not missing
    for section in sections:
        assert f'id="{section.id}"' in bare


@pytest.mark.parametrize("kind", ["conv", "branches", "deep"])
def test_pictures_are_xml(kind: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", SCRIPT.sub("", text(kind)), re.DOTALL)
    assert pictures
    for picture in pictures:
        ElementTree.fromstring(picture)


# -- the budget ----------------------------------------------------------------------------------------------


@cache
def sized(kind: str, budget: int) -> str:
    """The page of a report with a budget."""
    document = {**report(kind).document}
    document["meta"] = {**document["meta"], "budget": budget}
    return html.render(outline(document))


def test_a_page_of_the_usual_budget_has_all_that_is_seen() -> None:
    source = sized("lenet", 2_000_000)
    assert len(source.encode()) <= 2_000_000
    assert source.count('<figure class="panel"') == all_panels(report("lenet").outline())
    deep = sized("deep", 2_000_000)
    assert len(deep.encode()) <= 2_000_000
    assert 'id="document"' in deep  # it computes


def all_panels(made: Outline) -> int:
    def count(blocks: Any) -> int:
        return sum(
            len(block.panels) if isinstance(block, Maps) else count(getattr(block, "blocks", ()))
            for block in blocks
        )

    return count(made.sections)


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    ("kind", "budget"),
    each(["conv", "lenet", "deep"], [300_000, 600_000, 1_000_000, 1_500_000], turns=2),
)
def test_budgets(kind: str, budget: int) -> None:
    source = sized(kind, budget)
    size = len(source.encode())
    page = Page(source)
    left_out = page.all("p", class_="budget")
    if size > budget:  # formulas and worked elements alone are too many: it says so, and has nothing to spare
        said = re.search(r"It has ([\d.]+) (kB|MB) all the same", source)
        assert said is not None
        assert float(said[1]) * {"kB": 1e3, "MB": 1e6}[said[2]] == pytest.approx(size, rel=0.02)
        assert not page.all("script")
    elif size > 0.97 * budget or not page.all("script"):
        assert left_out
    worked = text_without_budget(kind).count('class="worked"')
    assert source.count('class="worked"') == worked > 0


@cache
def text_without_budget(kind: str) -> str:
    document = {**report(kind).document}
    document["meta"] = {key: value for key, value in document["meta"].items() if key != "budget"}
    return html.render(outline(document))


def test_what_is_left_out_first() -> None:
    full = text_without_budget("lenet")
    whole = len(full.encode())
    less = sized("lenet", whole - 10_000)
    assert "To stay within" in less
    assert '<table class="values">' in full
    assert '<table class="values">' not in less
    assert less.count("data-group") == full.count("data-group")
    fewer = sized("lenet", whole - 250_000)
    assert 'data-group="1"' not in fewer
    assert fewer.count('<figure class="panel"') == full.count('<figure class="panel"')
    assert "tables of pictures' numbers, bars of other samples." in fewer


def test_numbers_that_are_left_out_are_those_that_can_be_computed_again() -> None:
    document = report("conv").document
    sizes = {name: len(one.get("data", "")) for name, one in document["tensors"].items()}
    found = json.loads(html_document.embedded(document, freed=1))
    gone = {name for name, one in found["tensors"].items() if sizes[name] and "data" not in one}
    assert len(gone) == 1
    assert next(iter(gone)).startswith(("gradient:", "delta:"))
    found = json.loads(html_document.embedded(document, freed=10**9))
    assert not [one for one in found["tensors"].values() if "data" in one]
    assert all(set(one["stats"]) == {"min", "mean", "max", "norm"} for one in found["tensors"].values())


def test_layers_share_their_formulas() -> None:
    document = report("deep").document
    found = json.loads(html_document.embedded(document))
    assert len(found["graph"]["formulas"]) == 2
    for before, after in zip(document["graph"]["layers"], found["graph"]["layers"], strict=True):
        assert found["graph"]["formulas"][after["formulas"]] == json.loads(json.dumps(before["formulas"]))


def test_a_map_of_many_cells_is_an_image() -> None:
    rng = np.random.default_rng(0)
    few, many = (
        Maps(Word("z"), same("z"), (Panel("", rng.uniform(-1, 1, (size, size))),), 1.0) for size in (10, 40)
    )
    assert not svg.as_images(few)
    assert svg.as_images(many)
    drawn = [svg.panel_map(maps.panels[0], 1.0, "z", image=svg.as_images(maps)) for maps in (few, many)]
    assert drawn[0].count("<rect") == 100
    assert drawn[1].count("<image") == 1
    assert len(drawn[1]) < 2 * 40 * 40
