"""check_layer and its kin: every built-in formula passes, every planted mistake is found and named."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.base.errors import ShapeError
from chainrule.checking import GradientError, check_layer, check_loss, check_penalty
from chainrule.formulas import correlate, kernel_at, place, stack_over, sum_over, sum_samples, window
from chainrule.layers import (
    AveragePool2D,
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
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss, SquaredError
from chainrule.losses.penalties import L2
from tests.cases import LAYER_CASES
from tests.pairwise import some


@pytest.mark.parametrize(
    "case", some(LAYER_CASES, 70, lambda case: type(case.make())), ids=lambda case: case.id
)
def test_every_built_in_layer_passes(case) -> None:
    report = check_layer(case.make(), case.input_shape)
    assert report.ok, str(report)
    if case.make().differentiable_input:
        assert report["delta"].kind == "ok"
    assert report.relative_difference < 1e-8


class DroppedTranspose(Dense):
    def delta(self, d, W):
        return W @ d


class SwappedGradient(Dense):
    def gradients(self, d, x):
        return {"W": x @ d.T, "b": sum_samples(d)}


class AveragedTwice(Dense):
    def gradients(self, d, x):
        return {"W": d @ x.T / d.shape[-1], "b": sum_samples(d)}


class BiasMean(Dense):
    def gradients(self, d, x):
        return {"W": d @ x.T, "b": d.mean(axis=-1)}


class SlightlyOff(Dense):
    def gradients(self, d, x):
        return {"W": d @ x.T * (1 + 1e-5), "b": sum_samples(d)}


class OneEntryWrong(Dense):
    def gradients(self, d, x):
        W = d @ x.T
        W[1, 2] *= -1
        return {"W": W, "b": sum_samples(d)}


class WithoutDerivative(Tanh):
    def delta(self, d):
        return d


class WrongSign(Tanh):
    def df(self, z):
        return -super().df(z)


class SigmoidOfA(Sigmoid):
    def df(self, z):
        return z * (1 - z)  # a formula for a, applied to z


class OtherSlope(LeakyReLU):
    def df(self, z):
        return np.where(z > 0, 1.0, 0.02)


class ElementwiseSoftmax(Softmax):
    def delta(self, d, a):
        return d * a * (1 - a)


class UnflippedKernel(Conv2D):
    def delta(self, d, W, x):
        g = self.grid
        k1, k2 = g.kernel
        return sum_over(
            "mn",
            g.kernel,
            lambda m, n: place(kernel_at(W, k1 - 1 - m, k2 - 1 - n).T @ d, x, m, n, grid=g),
        )


class FlippedGradient(Conv2D):
    def gradients(self, d, x):
        right = super().gradients(d, x)
        return {**right, "W": right["W"][:, ::-1, ::-1]}


class OneSampleBias(Conv2D):
    def gradients(self, d, x):
        g = self.grid
        W = stack_over("mn", g.kernel, lambda m, n: correlate(d, window(x, m, n, grid=g)))
        return {"W": W, "b": d[..., 0].sum(axis=(0, 1))}


class OverwritingPool(MaxPool2D):
    """Windows that share their maximum overwrite each other's δ, as several libraries once shipped."""

    def delta(self, d, x):
        out, winners = np.zeros_like(x), self.branches(x)
        rows, columns = self.grid.kernel
        for i, j, c, s in np.ndindex(d.shape):
            m, n = divmod(int(winners[i, j, c, s]), columns)
            out[i * self.grid.stride[0] + m, j * self.grid.stride[1] + n, c, s] = d[i, j, c, s]
        assert rows
        return out


class UndividedPool(AveragePool2D):
    def delta(self, d, x):
        return super().delta(d, x) * 4


class ReversedFlatten(Flatten):
    def delta(self, d, x):
        return d[::-1].reshape(x.shape)


@pytest.mark.parametrize(
    ("layer", "shape", "wrong"),
    [
        (DroppedTranspose(4), 4, {"delta"}),
        (SwappedGradient(4), 4, {"W"}),
        (AveragedTwice(4), 5, {"W"}),
        (BiasMean(4), 5, {"b"}),
        (SlightlyOff(4), 5, {"W"}),
        (OneEntryWrong(4), 5, {"W"}),
        (OneEntryWrong(40), 50, {"W"}),
        (WithoutDerivative(), 5, {"delta"}),
        (WrongSign(), 5, {"delta"}),
        (SigmoidOfA(), 5, {"delta"}),
        (OtherSlope(), 50, {"delta"}),
        (ElementwiseSoftmax(), 5, {"delta"}),
        (UnflippedKernel(2, 3), (6, 5, 2), {"delta"}),
        (FlippedGradient(2, 3), (6, 5, 2), {"W"}),
        (OneSampleBias(2, 3), (6, 5, 2), {"b"}),
        (OverwritingPool(3, stride=1), (6, 6, 2), {"delta"}),
        (UndividedPool(2), (4, 4, 2), {"delta"}),
        (ReversedFlatten(), (2, 2, 3), {"delta"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "",
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_mistakes_are_found_and_named(layer, shape, wrong, seed) -> None:
    report = check_layer(layer, shape, seed=seed)
    assert not report
    assert {record.name for record in report.wrong} - {"everything"} == wrong, str(report)
    with pytest.raises(GradientError, match="WRONG"):
        report.raise_if_wrong()


def test_the_wrong_entry_is_shown_with_both_numbers() -> None:
    report = check_layer(OneEntryWrong(4), 5, entries="all")
    worst = report["W"].worst
    assert worst.index == (1, 2)
    assert worst.analytic == pytest.approx(-worst.numeric, rel=1e-6)
    assert f"{worst.analytic:.8g}" in str(report)
    assert "[1, 2]" in str(report)


@pytest.mark.parametrize("layer", [ReLU(), LeakyReLU(0.2), MaxPool2D(2), MaxPool2D(3, stride=1)], ids=repr)
def test_inputs_at_kinks_raise_no_alarm(layer) -> None:
    """Whole numbers from -1 to 1: ReLU at 0 and ties of the maximum almost everywhere."""
    x = np.random.default_rng(0).integers(-1, 2, (4, 6, 6, 2)).astype(float)
    report = check_layer(layer, (6, 6, 2), x=x)
    assert report.ok, str(report)
    assert report["delta"].kinks > 0
    assert "kinks)" in report["delta"].verdict


@pytest.mark.parametrize(
    "layer", [OtherSlope(0.01), OverwritingPool(3, stride=1)], ids=lambda value: type(value).__name__
)
def test_kinks_hide_no_mistake(layer) -> None:
    x = np.random.default_rng(0).integers(-1, 2, (4, 6, 6, 2)).astype(float)
    assert check_layer(layer, (6, 6, 2), x=x).wrong


def test_nothing_but_kinks_is_checked_nearby() -> None:
    report = check_layer(ReLU(), 5, x=np.zeros((3, 5)))
    assert report.ok
    assert report["delta"].kinks == 15
    assert "away from there" in str(report)

    class Wrong(ReLU):
        def df(self, z):
            return 2.0 * (z > 0)

    assert check_layer(Wrong(), 5, x=np.zeros((3, 5))).wrong


class Absolute(Layer):
    """A kink of which no `branches` tells."""

    def forward(self, x):
        return np.abs(x)

    def delta(self, d, x):
        return d * np.where(x >= 0, 1, -1)


def test_a_layer_without_branches_raises_no_alarm_at_its_kink() -> None:
    x = np.array([[0.0, 1.0, -1.0, 0.0, 1e-5, -1e-4]])
    report = check_layer(Absolute(), 6, x=x)
    assert report.ok, str(report)
    assert report["delta"].kinks == 2
    assert report["delta"].entries == 4


def test_what_cannot_be_checked_does_not_pass() -> None:
    class Constant(Layer):
        def forward(self, x):
            return 0 * x

        def delta(self, d):
            return 0 * d

    report = check_layer(Constant(), 3)
    assert not report.ok
    assert not report.wrong
    assert report["delta"].verdict.startswith("not checkable (the loss does not depend on it here")
    with pytest.raises(GradientError, match="nothing could be checked"):
        report.raise_if_wrong()


def test_given_parameters_and_inputs_are_used() -> None:
    class Log(Layer):
        def forward(self, x):
            return np.log(x)

        def delta(self, d, x):
            return d / x

    assert check_layer(Log(), 3, x=np.array([[0.5, 2.0, 3.0]])).ok
    report = check_layer(Dense(1), 2, x=np.ones((1, 2)), parameters={"W": np.zeros((1, 2))})
    assert report.ok


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="layer object such as"):
        check_layer(Dense, 3)
    with pytest.raises(ShapeError, match=r"x must have the shape \(samples, 3\)"):
        check_layer(ReLU(), 3, x=np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"gradients .* must return 'W' with the shape \(2, 3\)"):
        check_layer(SwappedGradient(2), 3)
    for option in ({"entries": 0}, {"entries": "some"}, {"direction": "x"}, {"tolerance": 1.0}):
        with pytest.raises(ValueError, match=next(iter(option))):
            check_layer(Dense(2), 3, **option)


# -- losses and penalties
def outputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((4, 3)), rng.random((4, 3))
    return z, y / y.sum(axis=1, keepdims=True), np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "loss", [SquaredError(), SquaredError(mean_outputs=True), BinaryCrossEntropy(), CrossEntropy()]
)
def test_built_in_losses_pass(loss) -> None:
    z, y, a = outputs()
    assert check_loss(loss, a, y).ok
    if loss.output is not None:
        assert check_loss(loss, a, y, z=z)["residual"].kind == "ok"


class HalfForgotten(Loss):
    def value(self, a, y):
        return ((a - y) ** 2).sum(axis=0)

    def gradient(self, a, y):
        return a - y


class WrongResidual(CrossEntropy):
    def residual(self, a, y):
        return (a - y) * a


def test_wrong_losses_and_penalties_are_found() -> None:
    z, y, a = outputs()
    assert check_loss(HalfForgotten(), a, y)["gradient"].kind == "WRONG"
    assert check_loss(WrongResidual(), a, y, z=z)["residual"].kind == "WRONG"

    class Halved(L2):
        def gradient(self, W, training_size):
            return super().gradient(W, training_size) / 2

    W = np.random.default_rng(0).standard_normal((3, 4))
    assert check_penalty(L2(0.1, per_sample=True), W, 50).ok
    assert check_penalty(Halved(0.1), W, 50).wrong
