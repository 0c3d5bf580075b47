"""The reference pass against numbers from the literature, and its conventions one by one."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import reference
from chainrule.base.errors import ShapeError
from chainrule.layers import (
    Activation,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, SquaredError
from chainrule.losses.penalties import L2
from chainrule.networks.network import Network
from chainrule.training.fit import fit
from chainrule.training.optimizers import SGD
from tests import by_formula


def mazur() -> tuple[Network, np.ndarray, np.ndarray]:
    """Mazur's 2-2-2 network of sigmoids with ½ squared error."""
    net = Network([Dense(2), Sigmoid(), Dense(2), Sigmoid()], input_shape=2, dtype="float64")
    net.set_parameters(
        {
            "dense1.W": [[0.15, 0.20], [0.25, 0.30]],
            "dense1.b": [0.35, 0.35],
            "dense2.W": [[0.40, 0.45], [0.50, 0.55]],
            "dense2.b": [0.60, 0.60],
        }
    )
    return net, np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])


def sines(rows: int, columns: int) -> np.ndarray:
    return np.sin(np.arange(1, rows * columns + 1)).reshape(rows, columns, order="F") / 10


def ng() -> tuple[Network, np.ndarray, np.ndarray]:
    """Ng's check network of exercise 4: 3-5-3 sigmoids, 5 samples, Θ with the bias as column 0."""
    net = Network([Dense(5), Sigmoid(), Dense(3), Sigmoid()], input_shape=3, dtype="float64")
    first, second = sines(5, 4), sines(3, 6)
    net.set_parameters(
        {
            "dense1.W": first[:, 1:],
            "dense1.b": first[:, 0],
            "dense2.W": second[:, 1:],
            "dense2.b": second[:, 0],
        }
    )
    return net, sines(5, 3), np.eye(3)[np.arange(1, 6) % 3]


def unrolled(gradients: dict[str, np.ndarray]) -> np.ndarray:
    parts = []
    for layer in ("dense1", "dense2"):
        theta = np.column_stack([gradients[f"{layer}.b"], gradients[f"{layer}.W"]])
        parts.append(theta.ravel(order="F"))
    return np.concatenate(parts)


def test_mazur_forward_and_backward() -> None:
    net, X, y = mazur()
    step = by_formula.backpropagate(net, X, y, SquaredError())
    assert step.output == pytest.approx(np.array([[0.7513650696, 0.7729284653]]), abs=5e-11)
    assert step.loss == pytest.approx(0.29837110876, abs=5e-12)
    assert step.deltas["dense2"] == pytest.approx(np.array([[0.1384985616, -0.0380982365]]), abs=5e-11)
    assert step.deltas["dense1"] == pytest.approx(np.array([[0.0087713547, 0.0099542547]]), abs=5e-11)
    assert step.gradients["dense2.W"][0, 0] == pytest.approx(0.0821670406, abs=5e-11)


def test_mazur_one_step_and_ten_thousand() -> None:
    """The first step by the formulas; ten thousand by the engine, which takes the same."""
    net, X, y = mazur()
    biases = {name: net.parameters[name].copy() for name in ("dense1.b", "dense2.b")}
    gradients = by_formula.backpropagate(net, X, y, SquaredError()).gradients
    weights = {name: net.parameters[name] - 0.5 * gradients[name] for name in ("dense1.W", "dense2.W")}
    second = np.array([[0.35891648, 0.408666186], [0.511301270, 0.561370121]])
    first = np.array([[0.1497807161, 0.1995614323], [0.2497511436, 0.2995022873]])
    assert weights["dense2.W"] == pytest.approx(second, abs=5e-9)
    assert weights["dense1.W"] == pytest.approx(first, abs=5e-11)
    stepped = net.copy()
    stepped.set_parameters(weights)
    loss = by_formula.backpropagate(stepped, X, y, SquaredError()).loss
    assert loss == pytest.approx(0.2910277737, abs=5e-11)
    history = fit(
        net, X, y, loss=SquaredError(), optimizer=SGD(0.5), freeze="*.b", epochs=10_000, progress=False
    )
    assert history.loss[1] == pytest.approx(loss, rel=1e-12)
    assert by_formula.backpropagate(net, X, y, SquaredError()).loss == pytest.approx(3.5102e-5, abs=5e-10)
    for name, bias in biases.items():
        assert np.array_equal(net.parameters[name], bias)


def test_ng_check_network() -> None:
    net, X, y = ng()
    step = by_formula.backpropagate(net, X, y, BinaryCrossEntropy())
    gradient = unrolled(dict(step.gradients))
    assert step.loss == pytest.approx(2.100950569902, abs=5e-13)
    assert np.linalg.norm(gradient) == pytest.approx(0.522310080021, abs=5e-13)
    first = [-0.00927825, 0.00889912, -0.00836011, 0.00762814, -0.00674798, -3.04979e-6]
    assert gradient[:6] == pytest.approx(first, abs=5e-9)


def test_ng_check_network_with_penalty() -> None:
    net, X, y = ng()
    step = by_formula.backpropagate(net, X, y, BinaryCrossEntropy(), L2(3.0, per_sample=True))
    assert step.loss == pytest.approx(2.146359815024, abs=5e-13)
    assert np.linalg.norm(unrolled(dict(step.gradients))) == pytest.approx(0.555328497790, abs=5e-13)
    bare = by_formula.backpropagate(net, X, y, BinaryCrossEntropy())
    assert step.data_loss == bare.loss
    for name in ("dense1.b", "dense2.b"):
        assert np.array_equal(step.gradients[name], bare.gradients[name])


def small() -> tuple[Network, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    layers = [
        Conv2D(3, 2),
        Tanh(),
        MaxPool2D(2, stride=1),
        Flatten(),
        Dense(4),
        LeakyReLU(),
        Dense(3),
        Softmax(),
    ]
    net = Network(layers, input_shape=(5, 4, 2), dtype="float64", seed=1)
    return net, rng.standard_normal((7, 5, 4, 2)), rng.integers(0, 3, 7)


def test_batch_is_the_mean_of_its_samples() -> None:
    """Nielsen's loop over samples and the full matrix give the same gradient (Matrix notes, last section)."""
    net, X, y = small()
    whole = by_formula.backpropagate(net, X, y, CrossEntropy())
    single = [by_formula.backpropagate(net, X[i : i + 1], y[i : i + 1], CrossEntropy()) for i in range(7)]
    assert whole.loss == pytest.approx(np.mean([step.loss for step in single]), rel=1e-14)
    for name, gradient in whole.gradients.items():
        assert gradient == pytest.approx(
            np.mean([step.gradients[name] for step in single], axis=0), abs=1e-15
        )
    for name, delta in whole.deltas.items():  # 1/m is already in δ
        assert delta * 7 == pytest.approx(np.concatenate([step.deltas[name] for step in single]), abs=1e-15)


def test_weights_repeat_samples() -> None:
    net, X, y = small()
    counts = np.array([2, 1, 0, 1, 1, 3, 1])
    weighted = by_formula.backpropagate(net, X, y, CrossEntropy(), weights=counts / counts.mean())
    repeated = by_formula.backpropagate(net, X.repeat(counts, 0), y.repeat(counts), CrossEntropy())
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-14)
    for name, gradient in repeated.gradients.items():
        assert weighted.gradients[name] == pytest.approx(gradient, abs=1e-15)


def test_pair_equals_the_two_formulas_in_turn() -> None:
    """a - y is what the loss's gradient and the activation's δ give together; a subclass is not fused."""

    class OtherSoftmax(Softmax):
        pass

    net, X, y = small()
    apart = Network([*net.layers[:-1], OtherSoftmax()], input_shape=(5, 4, 2), dtype="float64")
    apart.set_parameters(net.parameters)
    fused = by_formula.backpropagate(net, X, y, CrossEntropy())
    unfused = by_formula.backpropagate(apart, X, y, CrossEntropy())
    assert fused.loss == pytest.approx(unfused.loss, rel=1e-14)
    assert "softmax1" not in fused.deltas
    assert "othersoftmax1" in unfused.deltas
    assert fused.deltas["dense2"] == pytest.approx(unfused.deltas["dense2"], abs=1e-15)
    assert fused.deltas["dense2"] == pytest.approx((fused.output - np.eye(3)[y]) / 7, abs=1e-16)


def test_saturated_outputs_stay_finite() -> None:
    net = Network([Dense(2), Softmax()], input_shape=1, dtype="float64")
    net.set_parameters({"dense1.W": [[1000.0], [-1000.0]]})
    step = by_formula.backpropagate(net, np.ones((1, 1)), np.array([1]), CrossEntropy())
    assert step.loss == 2000.0
    assert step.gradients["dense1.W"] == pytest.approx(np.array([[1.0], [-1.0]]))
    binary = Network([Dense(1), Sigmoid()], input_shape=1, dtype="float64")
    binary.set_parameters({"dense1.W": [[1000.0]]})
    assert by_formula.backpropagate(binary, np.ones((1, 1)), np.zeros((1, 1))).loss == 1000.0


def test_pixels_are_divided_by_255() -> None:
    net, _, y = small()
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 2), dtype=np.uint8)
    a = by_formula.backpropagate(net, pixels, y)
    b = by_formula.backpropagate(net, pixels / 255, y)
    assert a.loss == b.loss
    assert np.array_equal(a.activations["input"], pixels / 255)


def test_squared_error_conventions() -> None:
    net = Network([Dense(4)], input_shape=3, dtype="float64", seed=2)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    a = reference.forward(net, X)
    summed = by_formula.backpropagate(net, X, y, SquaredError())
    assert summed.loss == pytest.approx(0.5 * ((a - y) ** 2).sum() / 5)
    assert summed.gradients["dense1.W"] == pytest.approx((a - y).T @ X / 5)
    mean = by_formula.backpropagate(net, X, y, SquaredError(mean_outputs=True))
    assert mean.loss == pytest.approx(summed.loss / 4)
    assert mean.gradients["dense1.b"] == pytest.approx(summed.gradients["dense1.b"] / 4)


def test_penalty_conventions() -> None:
    net, X, y = small()
    bare = by_formula.backpropagate(net, X, y)
    weights = {name: w for name, w in net.parameters.items() if name.endswith("W")}
    squares = sum(float((w**2).sum()) for w in weights.values())
    plain = by_formula.backpropagate(net, X, y, None, L2(0.3))
    divided = by_formula.backpropagate(net, X, y, None, L2(0.3, per_sample=True), training_size=50)
    assert plain.loss - plain.data_loss == pytest.approx(0.15 * squares)
    assert divided.loss - divided.data_loss == pytest.approx(0.15 * squares / 50)
    for name, w in weights.items():
        assert plain.gradients[name] == pytest.approx(bare.gradients[name] + 0.3 * w)
        assert divided.gradients[name] == pytest.approx(bare.gradients[name] + 0.3 / 50 * w)


def test_names_shapes_and_memory_order() -> None:
    net, X, y = small()
    step = by_formula.backpropagate(net, X, y)
    names = ["input", *(layer.name for layer in net.layers)]
    assert list(step.activations) == names
    assert list(step.deltas) == names[:-1]
    assert list(step.gradients) == list(net.parameters)
    for name, activation in step.activations.items():
        assert activation.shape == (7, *net.shapes[name])
        assert activation.flags.c_contiguous
    for name, gradient in step.gradients.items():
        assert gradient.shape == net.parameters[name].shape


def test_other_parameters_than_the_networks_own() -> None:
    net, X, y = small()
    other = {name: array * 2 for name, array in net.parameters.items()}
    twice = net.copy()
    twice.set_parameters(other)
    step = by_formula.backpropagate(net, X, y, parameters=other)
    assert step.loss == by_formula.backpropagate(twice, X, y).loss
    assert np.array_equal(reference.forward(net, X, other), reference.forward(twice, X))


def test_softmax_at_every_pixel() -> None:
    net = Network([Conv2D(3, 1), Softmax()], input_shape=(2, 2, 1), dtype="float64")
    labels = np.array([[[0, 1], [2, 1]]])
    step = by_formula.backpropagate(net, np.ones((1, 2, 2, 1)), labels)
    assert step.output.sum(axis=-1) == pytest.approx(np.ones((1, 2, 2)))
    assert step.loss == pytest.approx(-np.log(np.take_along_axis(step.output, labels[..., None], -1)).sum())


class WrongDelta(Dense):
    def delta(self, d, W):
        return d


class WrongGradient(Dense):
    def gradients(self, d, x):
        return {"W": x @ d.T, "b": d.sum(axis=-1)}


class MissingGradient(Dense):
    def gradients(self, d, x):
        return {"W": d @ x.T}


class WrongForward(Dense):
    def forward(self, x, W, b):
        return x


class ForgottenTranspose(Dense):
    def delta(self, d, W):
        return W @ d


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (WrongDelta(2), r"WrongDelta\.delta.*shape \(3, 4\) of x, it returned \(2, 4\)"),
        (WrongGradient(2), r"WrongGradient\.gradients.*'W' with the shape \(2, 3\), it returned \(3, 2\)"),
        (MissingGradient(2), r"MissingGradient\.gradients.*\['W', 'b'\], it returned \['W'\]"),
        (
            WrongForward(2),
            r"WrongForward\.forward.*returned the shape \(3, 4\), its output_shape says \(2, 4\)",
        ),
        (ForgottenTranspose(2), r"ForgottenTranspose\.delta.*cannot be computed.*W \(2, 3\)"),
    ],
)
def test_formulas_of_the_wrong_shape_are_named(layer: Layer, words: str) -> None:
    net = Network([layer], input_shape=3, dtype="float64")
    with pytest.raises(ShapeError, match=words):
        by_formula.backpropagate(net, np.ones((4, 3)), np.ones((4, 2)))


def test_an_activation_of_ones_own() -> None:
    class Square(Activation):
        def f(self, z):
            return z**2

        def df(self, z):
            return 2 * z

    net = Network([Square(), ReLU()], input_shape=2, dtype="float64")
    step = by_formula.backpropagate(net, np.array([[3.0, -1.0]]), np.zeros((1, 2)))
    assert step.output.tolist() == [[9.0, 1.0]]
    assert step.deltas["input"].tolist() == [[54.0, -2.0]]
