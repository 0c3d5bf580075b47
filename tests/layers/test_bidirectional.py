"""Both ways, several layers, no bias: what is short for several layers is those layers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.layers.test_formulas import assert_close

RNG = np.random.default_rng(3)
X = RNG.standard_normal((3, 5, 2))
CELLS = (cr.RNN, cr.LSTM, cr.GRU)


def network(*layers: cr.Layer, **options: Any) -> cr.Network:
    return cr.Network(list(layers), input_shape=(5, 2), seed=4, dtype="float64", **options)


@pytest.mark.parametrize(
    ("cell", "outputs", "join"), list(itertools.product(CELLS, ("last", "all"), ("concat", "sum")))
)
def test_bidirectional_is_two_ways_side_by_side(cell: Any, outputs: str, join: str) -> None:
    both = network(cr.Bidirectional(cell(3, outputs=outputs), join=join))
    beside = network(
        cr.Parallel([[cell(3, outputs=outputs)], [cell(3, outputs=outputs, reverse=True)]], join=join)
    )
    assert both.output_shape == beside.output_shape
    numbers = dict(zip(beside.parameters, both.parameters.values(), strict=True))
    beside.set_parameters(numbers)
    y = RNG.standard_normal((3, *both.output_shape))
    one, other = (net.backpropagate(X, y, loss=cr.SquaredError()) for net in (both, beside))
    assert one.loss == other.loss
    for name, array in zip(other.gradients, one.gradients.values(), strict=True):
        assert_close(array, other.gradients[name])
    assert cr.check_gradients(both, X, y, loss=cr.SquaredError()).ok


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("ways", [1, 2])
def test_layers_are_layers_one_behind_the_other(cell: Any, ways: int) -> None:
    made = network(cell(3, layers=2, bidirectional=ways == 2, bias=False), cr.Dense(2))
    kind = cell.kind
    if ways == 1:
        assert list(made.shapes) == ["input", f"{kind}1", f"{kind}2", "dense1"]
        assert [*made.shapes.values()][1:3] == [(5, 3), (3,)]
    else:
        assert [layer.name for layer in made.layers] == ["bidirectional1", "bidirectional2", "dense1"]
        assert [made.shapes[f"bidirectional{n}"] for n in (1, 2)] == [(5, 6), (6,)]
    assert not any(name.rpartition(".")[2] in ("b", "v") for name in made.parameters if "dense" not in name)
    whole = cell(3, layers=2, bidirectional=ways == 2)
    assert whole.output_shape((5, 2)) == (3 * ways,)
    named = network(cell(3, layers=2, bidirectional=ways == 2, name="reader"))
    assert all(name.startswith("reader.") for name in named.parameters)


def test_it_is_stored_and_loaded(tmp_path: Path) -> None:
    made = network(
        cr.Bidirectional(cr.LSTM(3, outputs="all", name="read"), name="both"),
        cr.GRU(2, reset_after=False, bias=False, layers=2),
        cr.Dense(2),
    )
    assert [name for name in made.parameters if name.endswith(".U")][:2] == [
        "both.read.U",
        "both.read_back.U",
    ]
    made.save(tmp_path / "net.npz")
    again = cr.load(tmp_path / "net.npz")
    assert list(again.parameters) == list(made.parameters)
    np.testing.assert_array_equal(again.predict(X), made.predict(X))
    twice = cr.Network([made, cr.Dense(1)], input_shape=(5, 2), dtype="float64")
    np.testing.assert_array_equal(
        twice.parameters["sequential1.both.read_back.U"], made.parameters["both.read_back.U"]
    )


def test_a_mask_reaches_both_ways() -> None:
    made = network(cr.Masking(), cr.Bidirectional(cr.LSTM(3)))
    padded = np.concatenate([X[:, :3], np.zeros((3, 2, 2))], axis=1)
    short = cr.Network([cr.Bidirectional(cr.LSTM(3))], input_shape=(3, 2), dtype="float64")
    short.set_parameters(dict(made.parameters))
    assert_close(made.predict(padded), short.predict(X[:, :3]))


def test_ways_of_different_units_are_side_by_side() -> None:
    made = network(cr.Bidirectional(cr.LSTM(3), backward=cr.GRU(4, reverse=True)))
    assert made.output_shape == (7,)
    with pytest.raises(cr.ShapeError, match="adds its branches"):
        network(cr.Bidirectional(cr.LSTM(3), backward=cr.GRU(4, reverse=True), join="sum"))


def test_errors_say_what_to_write() -> None:
    for make, words in (
        (lambda: cr.Bidirectional(cr.Dense(3)), r"must be a layer such as LSTM\(10\).*received Dense"),
        (lambda: cr.Bidirectional(cr.LSTM(3, layers=2)), r"LSTM\(units, layers=..., bidirectional=True\)"),
        (
            lambda: cr.Bidirectional(cr.LSTM(3), backward=cr.LSTM(3)),
            r"LSTM\(3, reverse=True\) with its units",
        ),
        (
            lambda: cr.Bidirectional(cr.LSTM(3, outputs="all"), backward=cr.LSTM(3, reverse=True)),
            r"LSTM\(3, outputs='all', reverse=True\)",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(cr.ShapeError, match="LSTM layers must be a positive integer"):
        cr.LSTM(3, layers=0)


def test_verify_asks_for_the_layer_that_is_short_for_several() -> None:
    made = network(cr.LSTM(3, bidirectional=True))
    pair = (lambda x, *values: made.predict(x), lambda d, x, *values: (x, *values))
    with pytest.raises(ValueError, match=r"like=cr.LSTM\(.*bidirectional=True\)"):
        cr.verify(pair, args=(X, *made.parameters.values()), like="lstm", bidirectional=True)
