"""Notation, conventions, the algorithm, references and errata as sections: of the network at hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Listing, Section, Table
from chainrule.explaining.references.sources import OF_NOTATION, SOURCES, TUTORIALS
from chainrule.formulas import NOTATIONS
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box

HEADINGS = {name: source.heading for name, source in OF_NOTATION.items()}


def section(report: cr.Report, name: str, notation: str = "tutorial") -> Section:
    return next(one for one in report.outline(notation=notation, linear=True).sections if one.id == name)


def text(cell: Any) -> str:
    return render_text.render(cell) if isinstance(cell, Box) else cell.en if isinstance(cell, Say) else cell


def table(found: Section, name: str) -> list[list[str]]:
    block = next(block for block in found.blocks if block.id == name)
    assert isinstance(block, Table)
    return [[text(cell) for cell in row] for row in (block.head, *block.rows)]


def dense(**options: Any) -> cr.Report:
    layers = [cr.Dense(4), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    network = cr.Network(layers, input_shape=5, seed=1)
    X = np.random.default_rng(0).standard_normal((4, 5))
    return cr.explain(network, X, [0, 1, 2, 1], check=False, **options)


@pytest.mark.parametrize("notation", NOTATIONS)
def test_letters_stand_in_every_notation_this_reports_first(notation: str) -> None:
    head, *rows = table(section(dense(), "notation", notation), "letters")
    assert head[1] == f"{HEADINGS[notation]}, here"
    assert set(head[2:]) == set(HEADINGS.values()) - {HEADINGS[notation]}
    by_source = {
        name.removesuffix(", here"): {row[0]: row[at] for row in rows} for at, name in enumerate(head)
    }
    delta = "residual (error term), ∂J/∂z"
    assert {name: by_source[HEADINGS[name]][delta] for name in NOTATIONS} == {
        "tutorial": "δˡ", "ufldl": "δˡ⁺¹", "ng": "∂J/∂z⁽ˡ⁺¹⁾", "matrix": "∂C/∂Zˡ", "nielsen": "δˡ",
    }  # fmt: skip
    hat = "the bias, copied into every column (sample)"
    assert [by_source[HEADINGS[name]][hat] for name in ("tutorial", "matrix", "ng")] == [
        "b̂ˡ", "b̂ˡ", "a⁽ˡ⁾_0 = 1"
    ]  # fmt: skip
    ones = "a column of ones, one per sample: a matrix times 𝟏 is the sum of its columns"
    assert {by_source[HEADINGS[name]][ones] for name in NOTATIONS} == {"𝟏"}
    first = {name: by_source[HEADINGS[name]]["number of the input layer"] for name in NOTATIONS}
    assert first == {"tutorial": "1", "ufldl": "1", "ng": "1", "matrix": "0", "nielsen": "1"}


def test_the_same_formulas_in_every_notation() -> None:
    head, *rows = table(section(dense(), "notation"), "same-formulas")
    column = {name: [row[head.index(name)] for row in rows] for name in head}
    assert column["Dezeming (Ng)"][1] == "a⁽ˡ⁺¹⁾ = g(z⁽ˡ⁺¹⁾)"
    assert column["Dezeming (Ng)"][2] == ""  # there δ has no letter of its own
    assert column["Ning Yu (UFLDL)"][3] == "δˡ = ((Wˡ)ᵀ δˡ⁺¹) • f'(zˡ)"
    assert column["Matrix notes"][4] == "∂C/∂Wˡ = ∂C/∂Zˡ (Aˡ⁻¹)ᵀ"
    layers = [cr.Conv2D(2, 3), cr.GlobalAveragePool(), cr.Softmax()]
    network = cr.Network(layers, input_shape=(5, 5, 1), seed=1)
    report = cr.explain(network, np.ones((2, 5, 5, 1)), [0, 1], check=False)
    assert "b̂ˡ" in [row[1] for row in table(section(report, "notation"), "letters")]
    assert [block.id for block in section(report, "notation").blocks] == ["letters", "conventions"]


@pytest.mark.parametrize(("notation", "first"), [("tutorial", 1), ("matrix", 0)])
def test_steps_have_this_networks_numbers(notation: str, first: int) -> None:
    found = section(dense(penalty=cr.L2(0.1)), "algorithm", notation)
    steps = found.blocks[0]
    assert isinstance(steps, Listing)
    said = [item.en for item in steps.items]
    assert f"as layer {first}," in said[0]
    assert said[1] == f"Forward, from layer {first + 1} to layer {first + 2}: steps F1 to F4."
    assert said[2].startswith(f"{'J' if first else 'C'}, and δ of layer {first + 2} at the output")
    assert said[3].startswith(f"Backward, from layer {first + 2} to layer {first + 1}: steps B3 to B1.")
    assert "the penalty's part" in said[4]
    assert "penalty" not in section(dense(), "algorithm").blocks[0].items[4].en  # type: ignore[attr-defined]


def test_the_trace_follows_the_tutorials_order() -> None:
    rows = table(section(dense(), "algorithm"), "trace")[1:]
    assert [row[3] for row in rows] == [
        "z²", "a²", "z³", "a³", "J_i", "∂J_i/∂a³", "δ³",
        "∂J/∂W³", "∂J/∂b³", "∂J/∂a²", "δ²", "∂J/∂W²", "∂J/∂b²", "∂J/∂x¹", "θ",
    ]  # fmt: skip
    where = "Tutorial FC ③ · Ning Yu · Dezeming 2.5.8 · Matrix notes §5"
    assert rows[9] == ["", "", "", "∂J/∂a²", "W³, δ³", where]
    assert [row[0] for row in rows if row[0].startswith("B")] == ["B3", "B2", "B1"]


def test_a_repeat_counts_with_its_own_number() -> None:
    layers = [layer for _ in range(25) for layer in (cr.Dense(4), cr.Tanh())]
    network = cr.Network([*layers, cr.Dense(2), cr.Softmax()], input_shape=4, seed=0)
    X = np.random.default_rng(0).standard_normal((3, 4))
    report = cr.explain(network, X, [0, 1, 1], check=False)
    rows = table(section(report, "algorithm"), "trace")[1:]
    computed = [row[3] for row in rows]
    assert [f"z{n}" for n in "²³⁴"] == computed[0:6:2]
    assert "∂J/∂W²⁰" in computed
    assert len(computed) == len(set(computed))


def errata(report: cr.Report, notation: str | None = None) -> list[str]:
    sections = report.outline(notation=notation, linear=True).sections
    found = next((one for one in sections if one.id == "errata"), None)
    return [] if found is None else [row[0] for row in table(found, "errata-table")[1:]]


def test_errata_are_those_of_the_network() -> None:
    where = errata(dense(errata=True))
    assert "Tutorial FC ③" in where
    assert not [one for one in where if one.startswith("Tutorial conv")]
    assert {source.name for source in TUTORIALS} == {
        source.name for source in TUTORIALS for one in where if one.startswith(source.name)
    }


def test_errata_are_shown_on_request_or_with_the_notation_of_their_text() -> None:
    report = dense()
    assert errata(report) == errata(report, "tutorial") == errata(report, "nielsen") == []
    for notation in ("ufldl", "ng", "matrix"):
        name = OF_NOTATION[notation].name
        for where in (errata(report, notation), errata(dense(notation=notation))):
            assert where
            assert all(one.startswith(f"{name} ") for one in where)
    assert "errata=True" in str(dense(errata=True))
    assert "errata=" not in str(report)
    with pytest.raises(ValueError, match="errata must be True or False"):
        dense(errata="yes")


def references(report: cr.Report, **options: Any) -> list[str]:
    last = report.outline(**options).sections[-1]
    assert last.id == "references"
    (found,) = last.blocks
    assert isinstance(found, Listing)
    return [item.en.partition(":")[0] for item in found.items]


def test_the_references_are_the_texts_that_are_cited() -> None:
    names = references(dense())
    assert names == [*(one.name for one in TUTORIALS), "Nielsen", "CS231n", "deeplearning.ai"]
    norms = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dropout(0.5), cr.Dense(2)], input_shape=3, seed=1)
    X = np.random.default_rng(0).standard_normal((4, 3))
    found = references(cr.explain(norms, X, X[:, :2], check=False))
    assert found == [*names, "Ioffe, Szegedy 2015", "Srivastava 2014"]
    assert set(names) < {source.name for source in SOURCES}


def test_nothing_speaks_of_seeds_but_that_of_the_random_numbers() -> None:
    for notation in NOTATIONS:
        report = dense(notation=notation, errata=True, penalty=cr.L2(0.1, per_sample=True))
        for text_ in (str(report), report.markdown()):
            assert not re.search(r"(?<![\w])S[0-4](?![\w(])|种子|seed(?! \d+, float|=)", text_)


def test_a_document_of_before_the_texts_had_names_still_reads(tmp_path: Path) -> None:
    report = dense()
    old = json.loads(report.json())
    for one in old["slips"]:
        one["seed"] = f"S{[source.name for source in TUTORIALS].index(one.pop('reference'))}"
    del old["meta"]["errata"]
    old["meta"]["notation"] = "seed000"
    whole = json.dumps(old, ensure_ascii=False)
    for number, source in enumerate(TUTORIALS):
        whole = re.sub(rf'("(?:reference|source)": "[^"]*?){source.name}', rf"\g<1>S{number}", whole)
        whole = re.sub(rf'("(?:reference|source)": "[^"]*?){source.name}', rf"\g<1>S{number}", whole)
    assert "S0 FC ③ · S1 · S2 2.5.8 · S4 §5" in whole
    path = tmp_path / "old.json"
    path.write_text(whole, encoding="utf-8")
    read = cr.Report.from_json(path)
    assert str(read) == str(report)
    assert errata(read, "ng") == errata(report, "ng")
    assert read.markdown(notation="seed000") == report.markdown()
