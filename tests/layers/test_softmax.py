"""A softmax of one value is always 1: refused in a new network, loaded with a warning from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([cr.Dense(1), cr.Softmax()], (3,)),
        ([cr.Conv2D(1, 1), cr.Softmax()], (2, 2, 3)),
        ([cr.LSTM(1, outputs="all"), cr.Softmax()], (4, 3)),
        ([cr.Parallel([[cr.Dense(1), cr.Softmax()], [cr.Dense(1)]])], (3,)),
        ([cr.Dense(1), cr.Softmax(), cr.Dense(2)], (3,)),
    ],
)
def test_one_value_is_refused(layers: list[cr.Layer], shape: tuple[int, ...]) -> None:
    with pytest.raises(cr.ShapeError, match=r"is always 1, .* no δ down; for two classes write Sigmoid\(\)"):
        cr.Network(layers, input_shape=shape)


def test_one_step_one_position_and_two_classes_are_not() -> None:
    attention = cr.Network([cr.MultiHeadAttention(1)], input_shape=(1, 1))  # its weights are all 1
    assert np.isfinite(attention.predict(np.ones((2, 1, 1)))).all()
    for shape in ((1, 2), (1, 1, 2), (2,)):
        halves = cr.Network([cr.Softmax()], input_shape=shape).predict(np.zeros((1, *shape)))
        np.testing.assert_array_equal(halves, np.full((1, *shape), 0.5))
    for layers in ([cr.Dense(1), cr.Sigmoid()], [cr.Dense(1), cr.Dense(2), cr.Softmax()]):  # what is advised
        assert cr.Network(layers, input_shape=3).predict(np.eye(3)).std() > 0


def test_a_file_with_one_value_still_loads(tmp_path: Path) -> None:
    parameters = {"dense1.W": np.array([[1.0, 2.0]]), "dense1.b": np.zeros(1)}
    old = cr.Network._made([cr.Dense(1), cr.Softmax()], parameters, 2, "float32", None)  # past the check
    old.save(tmp_path / "old.npz")
    with pytest.warns(UserWarning, match=r"is always 1, .* write Sigmoid\(\)"):
        network = cr.load(tmp_path / "old.npz")
    X = np.random.default_rng(0).standard_normal((5, 2))
    np.testing.assert_array_equal(network.predict(X), np.ones((5, 1)))
    step = network.backpropagate(X, np.zeros((5, 1)), loss=cr.SquaredError())
    assert not any(gradient.any() for gradient in step.gradients.values())
