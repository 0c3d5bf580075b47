"""What is printed is what is executed: random networks of every layer, formula = kernel = finite difference.

The networks are those that PyTorch has computed (tests/oracles): 2 to 8 layers drawn from everything there
is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explaining.blocks.kinds import Block, Card, Section, Worked
from chainrule.explaining.blocks.worked import element_from
from chainrule.explaining.facts import choose
from chainrule.explaining.facts.tensors import decode
from chainrule.explaining.report import Report
from chainrule.explaining.words.catalogues import ELEMENTS
from chainrule.formulas import evaluate
from chainrule.formulas.elements.entry import Element
from chainrule.formulas.exchange import unpack
from tests.explaining.test_numbers import decimal
from tests.formulas.test_elements import recomputed
from tests.oracles.stored import StoredNetwork, read

EVERY = 14  # of 700 networks


@cache
def stored() -> list[StoredNetwork]:
    return list(read())


def chosen(part: int) -> list[StoredNetwork]:
    return stored()[part :: EVERY * 5]


def report_of(one: StoredNetwork) -> tuple[cr.Network, Report]:
    network = one.network("float64")
    report = cr.explain(network, one.inputs["X"], one.inputs["y"], loss=one.loss_object(), budget="20MB")
    return network, Report(json.loads(report.json()))


@pytest.mark.turns(2)
@pytest.mark.parametrize("part", range(0, EVERY * 5, EVERY))
def test_printed_formulas_give_the_kernels_numbers(part: int) -> None:
    count = 0
    for one in chosen(part):
        network, report = report_of(one)
        step = network.backpropagate(one.inputs["X"], one.inputs["y"], loss=one.loss_object())
        document = report.document
        assert report.ok, document["check"]
        for card in document["cards"]:
            for printed in (*card["forward"], *card["backward"]):
                count += check_part(card, printed, document["tensors"], step)
    assert count > 50


def check_part(card: Any, printed: Any, tensors: Any, step: cr.Step) -> int:
    """1 if the formula is one of whole tensors, evaluated from the document and compared with the kernels."""
    for worked in printed["worked"]:
        element = element_from(worked["element"])
        scale = max(abs(worked["value"]), size_of(element), 1e-30)
        assert abs(recomputed(element) - worked["value"]) <= 1e-10 * scale, (card["layer"], printed["part"])
    bindings = {symbol: decode(tensors[name]) for symbol, name in card["tensors"].items() if name in tensors}
    quantity = printed["quantity"]
    if "step" in printed or not quantity:
        return 0
    tree = unpack(printed["nodes"])[printed["right"]]
    if not {symbol.name for symbol in tree.symbols} <= {
        n for n, array in bindings.items() if array is not None
    }:
        return 0  # a branch's share of δ is no tensor of the document
    value = np.asarray(evaluate(tree, {name: array for name, array in bindings.items() if array is not None}))
    kind, _, name = quantity.rpartition(":")
    kernel = {"": step.activations, "delta": step.deltas, "gradient": step.gradients}[kind].get(name)
    if kernel is None:  # below an embedding there is no δ
        return 0
    found = kernel if kind == "gradient" else np.moveaxis(np.asarray(kernel), 0, -1)
    if kind == "delta" and len(consumers(tensors, card, name)) != 1:
        return 0  # one of several readers: its share alone
    size = max(float(np.abs(found).max(initial=0.0)), 1e-30)
    assert np.abs(value - found).max(initial=0.0) <= 1e-9 * size, (card["layer"], printed["part"])
    return 1


def consumers(tensors: Any, card: Any, name: str) -> list[str]:
    """Who reads a tensor: more than one where a composite's branches do."""
    return [card["layer"]] if card["depth"] == 0 else []


def size_of(element: Element) -> float:
    return max((abs(entry.value) for entry in element.entries()), default=0.0)


def blocks_of(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Card | Section):
            yield from blocks_of(block.blocks)


def test_tables_of_terms_add_up_as_printed() -> None:
    count = 0
    for one in chosen(3):
        _, report = report_of(one)
        for block in blocks_of(report.outline().sections):
            if isinstance(block, Worked) and block.terms:
                assert sum((decimal(value) for _, _, value in block.terms), decimal("0")) == decimal(
                    block.total
                )
                count += 1
    assert count > 20


def test_finite_differences_are_in_the_report() -> None:
    _, report = report_of(chosen(0)[0])
    rows = report.document["check"]["rows"]
    assert rows
    assert all(row["kind"] in ("ok", "not checkable") for row in rows)
    assert all(math.isfinite(float(row["max_error"])) for row in rows if row["entries"])


def test_the_contrast_of_a_factor_is_where_something_arrives() -> None:
    """f' is smallest in the first entry, but nothing arrives there: 0 would have another reason."""
    factor, arriving = np.array([[0.001], [0.01], [0.25]]), np.array([[0.0], [2.0], [3.0]])
    assert choose.factor_contrast(factor, arriving, 0) == ((1, 0), ELEMENTS["nearly_closed"])
    assert choose.factor_contrast(factor, np.zeros_like(arriving), 0) == ((0, 0), ELEMENTS["nearly_closed"])
    closed = np.array([[0.0], [0.0], [1.0]])
    assert choose.factor_contrast(closed, arriving, 0) == ((1, 0), ELEMENTS["closed"])
