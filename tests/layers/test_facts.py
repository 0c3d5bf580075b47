"""What a layer states about itself, and what doctor and report make of a layer they have never seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnosing.flow import flow_of
from chainrule.explaining.facts.pictures import pictures_of
from chainrule.explaining.references.features import features_of
from chainrule.explaining.words import derivations
from chainrule.layers import Activation
from chainrule.layers.initializers import Initializer
from chainrule.reference import Pass


class Algebraic(Activation):
    """z / √(1 + z²), of a user's own: bounded, f' = 0.01 at |z| = 4.53."""

    saturated_below = 0.01
    suits = cr.Normal(0.5)

    def f(self, z: Any) -> Any:
        return z / (1 + z**2) ** 0.5

    def df(self, z: Any) -> Any:
        return (1 + z**2) ** -1.5


class Dense(cr.Layer):
    """Of a user's own, and no chainrule.Dense whatever its name."""

    def forward(self, x: Any) -> Any:
        return 2 * x

    def delta(self, d: Any) -> Any:
        return 2 * d


def test_a_layer_of_ones_own_states_nothing() -> None:
    layer = Dense()
    assert (layer.passage, layer.families, layer.traits()) == ("other", (), set())
    assert layer.saturated_below is layer.suits is layer.entry_derivative(0) is layer.winners(0) is None


def test_the_doctor_believes_an_activation_of_ones_own() -> None:
    """Two of four entries have |z| > 4.53; the weights in front would start with its 0.5."""
    network = cr.Network([cr.Dense(1), Algebraic(), cr.Dense(1)], input_shape=1, dtype="float64", seed=0)
    network.set_parameters({"dense1.W": [[1.0]], "dense1.b": [0.0]})
    flow = flow_of(network, np.array([[-9.0], [0.5], [1.0], [5.0]]), np.zeros((4, 1)), loss="squared_error")
    record = next(one for one in flow["layers"] if one["class"] == "Algebraic")
    assert (record["kind"], record["saturated"], record["saturated_below"]) == ("activation", 0.5, 0.01)
    assert record["slope"] == pytest.approx(1.25**-1.5)
    assert flow["parameters"][0]["suited_std"] == 0.5


def test_the_report_explains_an_activation_of_ones_own() -> None:
    assert derivations.reference(Algebraic(), "delta") == "Tutorial FC ③④ · Dezeming 2.1.2"
    assert derivations.why(Algebraic(), "forward") == derivations.why(cr.Tanh(), "forward")
    z = np.linspace(-2, 2, 6).reshape(2, 3)
    one = Pass(Algebraic(name="algebraic1"), z, Algebraic().f(z), {})
    assert "curve" in [picture["kind"] for picture in pictures_of(one, 0, {}, {}, "{}.{}".format)]


def test_a_class_is_what_it_says_and_not_what_it_is_called() -> None:
    network = cr.Network([Dense()], input_shape=3)
    assert "dense" not in features_of(network, cr.SquaredError(), None)
    assert derivations.reference(Dense(), "delta") == ""


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "identity"])
@pytest.mark.parametrize("reverse", [False, True])
def test_an_rnn_knows_the_derivative_at_every_step(activation: str, reverse: bool) -> None:
    """tanh' = 1 - h², σ' = h (1 - h), by the states that it puts out."""
    rng = np.random.default_rng(0)
    layer = cr.RNN(3, activation=activation, outputs="all", reverse=reverse)
    x, W, U, b = (rng.standard_normal(shape) for shape in ((5, 2, 4), (3, 2), (3, 3), (3,)))
    h = layer.forward(x, W, U, b)
    expected = {"tanh": 1 - h**2, "relu": h > 0, "sigmoid": h * (1 - h), "identity": np.ones_like(h)}
    np.testing.assert_allclose(layer.entry_derivative(x, W, U, b), expected[activation], rtol=1e-12)


def test_padding_counts_as_zero_in_the_derivative_of_an_rnn() -> None:
    """σ'(0) = 1/4; as h = 0 it was 0, and padding counted as saturated."""
    ones, zero, mask = np.ones((1, 1)), np.zeros(1), np.array([[1.0], [0.0]])
    slopes = cr.RNN(1, activation="sigmoid").entry_derivative(np.full((2, 1, 1), 9.0), ones, ones, zero, mask)
    assert slopes[1] == 0.25


@pytest.mark.parametrize(
    "start", [cr.He(), cr.Glorot(), cr.ScaledNormal(), cr.Normal(0.3), cr.Uniform(0.2)], ids=repr
)
def test_an_initializer_knows_its_deviation(start: Initializer) -> None:
    drawn = start((400, 500), 500, 400, np.random.default_rng(0))
    deviation = start.deviation(500, 400)
    assert deviation is not None
    assert drawn.std() == pytest.approx(deviation, rel=5 / math.sqrt(2 * drawn.size))
    assert cr.Orthogonal().deviation(500, 400) is None


def test_winners_and_ties_of_overlapping_windows() -> None:
    """By hand, windows of 2 x 2 one apart in
        1 3 3
        0 2 3
    the first takes the left 3; the second all three of its 3's, the first of which wins again.
    """
    layer = cr.MaxPool2D(2, 1)
    x = np.array([[1.0, 3.0, 3.0], [0.0, 2.0, 3.0]])[:, :, None, None]
    assert layer.winners(x).ravel().tolist() == [1, 0]
    assert cr.AveragePool2D(2).winners(x) is None
    one = Pass(layer, x, layer.forward(x), {})
    (picture,) = (found for found in pictures_of(one, 0, {}, {}, "{}.{}".format) if "marks" in found)
    marks = {(mark["row"], mark["column"]): mark["kind"] for mark in picture["marks"] if not mark["text"]}
    assert marks == {(0, 1): "winner", (0, 2): "tie", (1, 2): "tie"}
