"""One entry of a formula, worked out: its arithmetic gives the entry, and its terms are what contributes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule import reference
from chainrule.formulas import Index, Symbol, matmul, rules, sum_over, trace, window
from chainrule.formulas.elements.entry import NOTHING, ONE, Element, minus, number, times, total
from chainrule.formulas.elements.reader import Reader
from chainrule.formulas.primitives.grid import Grid
from chainrule.formulas.rules import binders
from chainrule.layers import Composite, Conv2D, MaxPool2D
from chainrule.layers.sequences.recurrent import Recurrent
from chainrule.networks.network import Network
from tests.cases import LAYER_CASES, LayerCase, inputs, output_delta, parameters
from tests.pairwise import some


def recomputed(element: Element) -> float:
    """The value from the leaves alone."""
    of = [recomputed(part) for part in element.of]
    match element.kind:
        case "sum":
            return math.fsum(of) + element.rest
        case "product":
            return math.prod(of)
        case "negative":
            return -of[0]
        case "call" if element.name == "max":
            return max(of)
        case "call" if element.name == "power":
            return of[0] ** of[1]
        case "call":
            return float(rules[element.name].evaluate(*map(np.float64, of)))
    return element.value


def bindings_of(case: LayerCase) -> tuple[object, dict[str, object]]:
    layer = case.make()
    network = Network([layer], input_shape=case.input_shape, dtype="float64")
    for name, value in parameters(case).items():
        network.parameters[f"{network.layers[0].name}.{name}"] = value
    x = reference.to_columns(inputs(case), np.float64)
    one = reference.run_forward(network, x, None, np.float64)[0]
    d = np.moveaxis(output_delta(case), 0, -1)
    return one, {"x": one.x, "z": one.output, "a": one.output, "d": d, **one.given}


PLAIN = [
    case
    for case in LAYER_CASES
    if not isinstance(case.make(), Composite) and not isinstance(case.make(), Recurrent)
]


@pytest.mark.parametrize("case", some(PLAIN, 70, lambda case: type(case.make())), ids=lambda case: case.id)
def test_every_layer(case: LayerCase) -> None:
    one, bindings = bindings_of(case)
    reader = Reader(bindings)
    rng = np.random.default_rng(0)
    for name, equation in trace(one.layer, one.given).equations.items():
        value = np.asarray(reader.value(equation.right), np.float64)
        if not value.size:
            continue
        scale = max(float(np.abs(value).max()), 1.0)
        for flat in rng.choice(value.size, size=min(6, value.size), replace=False):
            index = np.unravel_index(int(flat), value.shape)
            element = reader.element(equation.right, index)
            assert element.value == pytest.approx(value[index], rel=1e-12, abs=1e-12 * scale), (name, index)
            assert recomputed(element) == pytest.approx(value[index], rel=1e-11, abs=1e-11 * scale), (
                name,
                index,
            )
            short = element.shortened()
            assert recomputed(short) == pytest.approx(value[index], rel=1e-11, abs=1e-11 * scale)


def test_every_primitive_is_read() -> None:
    """A primitive without a rule is one number: that is so only for those that count, choose or make
    numbers.
    """
    assert {name for name, rule in rules.items() if rule.entry is None} == {
        "inside", "count_positions", "first_position", "count_features", "count_values", "largest_feature",
        "count_outputs", "one_hot", "sinusoids", "chosen", "not_later", "seen_by", "sloped",
        "count_labels", "log_paths", "path_shares",
    }  # fmt: skip
    assert {name for name, binder in binders.items() if binder.entry is None} == {"argmax_over"}


def test_a_unit_is_the_sum_over_its_inputs() -> None:
    W, x = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2) + 1
    tree = Symbol("W", "parameter W") @ Symbol("x", "input")
    element = Reader({"W": W, "x": x}).element(tree, (1, 0))
    assert [(e.name, e.index) for e in element.entries()] == [
        ("W", (1, 0)), ("x", (0, 0)), ("W", (1, 1)), ("x", (1, 0)), ("W", (1, 2)), ("x", (2, 0)),
    ]  # fmt: skip
    assert element.value == (W @ x)[1, 0]


def test_only_windows_that_read_a_pixel_contribute() -> None:
    """δ of a corner pixel under 'same' padding comes from four of nine windows; padding contributes
    nothing.
    """
    layer = Conv2D(1, 3, padding="same", bias=False)
    x, W = np.ones((5, 5, 1, 1)), np.arange(9.0).reshape(1, 3, 3, 1) + 1
    formulas = trace(layer)
    reader = Reader({"x": x, "W": W, "d": np.ones((5, 5, 1, 1))})
    corner = reader.element(formulas.delta, (0, 0, 0, 0))
    assert sorted({e.index[:2] for e in corner.entries() if e.name == "d"}) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    seen = reader.element(formulas.forward, (0, 0, 0, 0))
    assert sorted({e.index[:2] for e in seen.entries() if e.name == "x"}) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_overlapping_windows_add_up() -> None:
    """A pixel that wins two windows of a 2x2 pooling with stride 1 gets the δ of both."""
    x = np.zeros((3, 3, 1, 1))
    x[1, 1] = 5.0
    layer = MaxPool2D(2, 1)
    d = np.arange(4.0).reshape(2, 2, 1, 1) + 1
    element = Reader({"x": x, "d": d}).element(trace(layer).delta, (1, 1, 0, 0))
    assert element.value == 10.0
    assert len([e for e in element.entries() if e.name == "d"]) == 4


def test_long_sums_are_shortened_to_their_largest_terms() -> None:
    terms = total(number(v) for v in (1.0, -9.0, 2.0, 8.0, 0.5, 7.0, 1.5, 0.25, 3.0))
    short = terms.shortened(most=8, kept=3)
    assert [term.value for term in short.of] == [-9.0, 8.0, 7.0]
    assert (short.count, short.rest) == (6, 8.25)
    assert terms.shortened(most=9) == terms


def test_zeros_by_structure_vanish() -> None:
    a = number(3.0)
    assert total(()) is NOTHING
    assert total((NOTHING, a)) is a
    assert times(a, NOTHING) is NOTHING
    assert times(a, ONE) is a
    assert minus(minus(a)) is a
    assert [term.value for term in minus(total((a, number(4.0)))).of] == [-3.0, -4.0]


def test_an_entry_that_is_not_there() -> None:
    reader = Reader({"x": np.zeros((2, 3))})
    with pytest.raises(IndexError, match=r"shape \(2, 3\), which has no entry \(2, 0\)"):
        reader.element(Symbol("x"), (2, 0))
    with pytest.raises(IndexError, match="no entry"):
        reader.element(Symbol("x"), (0,))


def test_offsets_of_nested_sums() -> None:
    grid = Grid((2, 2))
    x = Symbol("x", "image", "image")
    tree = sum_over("mn", (2, 2), lambda m, n: matmul(Symbol("W"), window(x, m, n, grid=grid)))
    image = np.arange(9.0).reshape(3, 3, 1, 1)
    element = Reader({"x": image, "W": np.array([[2.0]])}).element(tree, (1, 0, 0, 0))
    assert element.value == 2 * (3 + 4 + 6 + 7)
    assert not tree.free_indices
    assert Index("m").free_indices == {"m"}
