"""Layers and losses whose formulas are no programs: evaluated on the host for their part of a native plan.

Each uses NumPy itself somewhere; what is written with primitives alone is in test_programs.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.engine import Plan
from chainrule.engine.lowering.operations import OPERATIONS
from chainrule.formulas import sum_samples
from tests import by_formula
from tests.engine.harness import MACHINES, Problem, assert_like_reference, away_from_kinks

machines = pytest.mark.parametrize(("level", "dtype"), MACHINES)


class Scale(cr.Layer):
    """z = g ⊙ x, one factor per entry."""

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, cr.Parameter]:
        return {"g": cr.Parameter(input_shape, initializer=cr.Normal(1.0))}

    def forward(self, x: Any, g: Any) -> Any:
        return g[..., None] * x

    def delta(self, d: Any, g: Any) -> Any:
        return g[..., None] * d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"g": (d * x).sum(axis=-1)}


class Bilinear(cr.Layer):
    """z_k = Σ_ij x_i B_kij x_j, with a bias: another shape than its input, two parameters."""

    def __init__(self, units: int, *, name: str | None = None) -> None:
        self.units, self.name = units, name

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.units,)

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, cr.Parameter]:
        (n,) = input_shape
        return {
            "B": cr.Parameter((self.units, n, n), n * n, self.units, cr.ScaledNormal()),
            "c": cr.Parameter((self.units,), initializer=cr.Normal(0.1), penalised=False),
        }

    def forward(self, x: Any, B: Any, c: Any) -> Any:
        return np.einsum("im,kij,jm->km", x, B, x) + c[:, None]

    def delta(self, d: Any, x: Any, B: Any) -> Any:
        return np.einsum("km,kij,jm->im", d, B + B.transpose(0, 2, 1), x)

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"B": np.einsum("km,im,jm->kij", d, x, x), "c": sum_samples(d)}


class Cube(cr.Activation):
    def f(self, z: Any) -> Any:
        return np.power(z, 3) / 8

    def df(self, z: Any) -> Any:
        return 3 * z**2 / 8


class OtherReLU(cr.ReLU):
    """A subclass with formulas of its own: the kernel of its parent would be wrong."""

    def f(self, z: Any) -> Any:
        return np.maximum(z, 0) ** 2

    def df(self, z: Any) -> Any:
        return 2 * np.maximum(z, 0)


class OtherSoftmax(cr.Softmax):
    """Softmax at temperature 2."""

    def forward(self, x: Any) -> Any:
        return super().forward(np.divide(x, 2))

    def delta(self, d: Any, a: Any) -> Any:
        return super().delta(d, a) / 2


class OtherDense(cr.Dense):
    """Computes what Dense does, on the host: its weights are not kept in panels."""


class Pinball(cr.Loss):
    """The 0.8 quantile, smooth at 0."""

    def value(self, a: Any, y: Any) -> Any:
        e = y - a
        return (0.3 * e + np.log(np.cosh(e)) / 2).reshape(-1, e.shape[-1]).sum(axis=0)

    def gradient(self, a: Any, y: Any) -> Any:
        return -0.3 - np.tanh(y - a) / 2


class Shifted(cr.SquaredError):
    """A subclass of a native loss."""

    def value(self, a: Any, y: Any) -> Any:
        return super().value(a, np.add(y, 1))

    def gradient(self, a: Any, y: Any) -> Any:
        return super().gradient(a, np.add(y, 1))


IMAGE = (5, 6, 8)
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "first": ((6,), [Scale(), cr.Dense(9), cr.ReLU(), cr.Dense(3)]),
    "between": ((6,), [cr.Dense(9), cr.Tanh(), Bilinear(5), cr.Softplus(), cr.Dense(3)]),
    "behind a fused z": ((6,), [cr.Dense(9), cr.GELU(), Scale(), cr.Dense(3), cr.LeakyReLU(-0.2), Scale()]),
    "last": ((6,), [cr.Dense(7), cr.GELU(), Bilinear(3)]),
    "alone": ((4,), [Scale()]),
    "without parameters, first": ((6,), [Cube(), cr.Dense(3)]),
    "without parameters, alone": ((6,), [Cube(), cr.Identity(), Cube()]),
    "between convolutions": (
        IMAGE,
        [cr.Conv2D(8, 3, padding=1), Scale(), cr.Conv2D(9, 3, padding=2), Cube(), cr.Flatten(), cr.Dense(3)],
    ),
    "image, first": (IMAGE, [Scale(), cr.Conv2D(3, 2, padding=1), cr.MaxPool2D(2)]),
    "image, behind winograd": (
        IMAGE,
        [cr.Conv2D(8, 3), cr.Sigmoid(), Cube(), cr.Flatten(), Scale(), cr.Dense(2)],
    ),
    "before a flatten": (IMAGE, [cr.Conv2D(3, 2), Scale(), cr.Flatten(), cr.Flatten(), cr.Dense(3)]),
    "subclass of ReLU": ((6,), [cr.Dense(9), OtherReLU(), cr.Dense(3), cr.ReLU(), OtherReLU()]),
    "subclass of Dense": ((6,), [OtherDense(9), cr.ReLU(), OtherDense(3)]),
}
LOSSES = {"native": cr.SquaredError(), "own": Pinball(), "subclass": Shifted()}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", NETWORKS)
def test_formulas_among_kernels(name: str, loss: str) -> None:
    shape, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, seed=3)
    r = np.random.default_rng(5)
    X = next(
        X
        for X in (r.standard_normal((11, *shape)).astype(np.float32) for _ in range(100))
        if away_from_kinks(network, X)
    )
    y = r.standard_normal((11, *network.output_shape)).astype(np.float32)
    weights = r.random(11)
    problem = Problem(network, X, y, LOSSES[loss], cr.L2(0.1), weights / weights.mean())
    plan = problem.plan(*MACHINES[0], keep=False)
    assert plan._built.hosts
    assert (plan._built.lost is None) == (loss == "native")
    for part in (problem, problem.first(1)):
        step = part.step()
        for level, dtype in MACHINES:
            assert_like_reference(part, level, dtype, len(part.X), step)


def test_only_the_very_classes_have_kernels() -> None:
    assert not {OtherReLU, OtherDense, OtherSoftmax} & set(OPERATIONS)


@machines
def test_labels_reach_a_subclass_of_softmax(level: str, dtype: str) -> None:
    """The pair is then no pair: value and gradient come from the formulas, the labels as one-hot rows."""
    network = cr.Network([cr.Dense(5), OtherSoftmax()], input_shape=4, seed=1)
    r = np.random.default_rng(6)
    X, y = r.standard_normal((9, 4)).astype(np.float32), r.integers(0, 5, 9)
    for targets in (y, np.eye(5)[y]):
        problem = Problem(network, X, targets, cr.CrossEntropy())
        assert_like_reference(problem, level, dtype, 9, problem.step())
        assert problem.plan(level, dtype, keep=False).evaluate(X, targets).accuracy is None


@machines
def test_training_with_own_layers_and_loss(level: str, dtype: str) -> None:
    """Updates reach the parameters of the host, and the host sees the updated ones."""
    network = cr.Network([cr.Dense(7), Scale(), Cube(), Bilinear(2)], input_shape=5, dtype=dtype, seed=2)
    r = np.random.default_rng(7)
    X, y = r.standard_normal((12, 5)), r.standard_normal((12, 2))
    plan = Plan(network, Pinball(), None, cr.SGD(), batch_size=12, level=level)
    theta = {key: array.astype(np.float64) for key, array in network.parameters.items()}
    for _ in range(3):
        plan.train_epoch(X, y, np.arange(12), np.array([0.01]))
        gradients = by_formula.backpropagate(network, X, y, Pinball(), parameters=theta).gradients
        theta = {key: array - 0.01 * gradients[key] for key, array in theta.items()}
    for key, array in plan.parameters().items():
        np.testing.assert_allclose(
            array, theta[key], rtol=0, atol=1e-4 if dtype == "float32" else 1e-12, err_msg=key
        )


# -- formulas that are wrong ---------------------------------------------------------------------------------


class Wrong(Scale):
    """Scale with one formula replaced."""

    def __init__(self, what: str, *, name: str | None = None) -> None:
        self.what, self.name = what, name

    def forward(self, x: Any, g: Any) -> Any:
        if self.what == "forward raises":
            raise KeyError("my formula")
        return x[:1] if self.what == "forward shape" else super().forward(x, g)

    def delta(self, d: Any, g: Any) -> Any:
        if self.what == "delta raises":
            raise ZeroDivisionError("my formula")
        return d.T if self.what == "delta shape" else super().delta(d, g)

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        if self.what == "gradient missing":
            return {}
        return {"g": d * x} if self.what == "gradient shape" else super().gradients(d, x)


class WrongLoss(Pinball):
    def value(self, a: Any, y: Any) -> Any:
        return super().value(a, y).sum()


class WrongGradient(Pinball):
    def gradient(self, a: Any, y: Any) -> Any:
        return super().gradient(a, y).sum(axis=0)


MISTAKES: dict[str, tuple[type[Exception], str]] = {
    "forward shape": (ValueError, r"Wrong\.forward returned.*shape \(1, 3\).*\(4, 3\)"),
    "delta shape": (ValueError, r"Wrong\.delta returned.*shape \(3, 4\).*\(4, 3\)"),
    "gradient shape": (ValueError, r"Wrong\.gradients must return 'g'.*\(4,\).*\(4, 3\)"),
    "gradient missing": (ValueError, r"Wrong\.gradients must return 'g'.*\(4,\).*nothing"),
    "forward raises": (KeyError, "my formula"),
    "delta raises": (ZeroDivisionError, "my formula"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_wrong_formula_is_told_and_the_plan_stays_usable(what: str) -> None:
    error, message = MISTAKES[what]
    network = cr.Network([cr.Dense(4), Wrong(what), cr.Dense(2)], input_shape=3, seed=1)
    plan = Plan(network, cr.SquaredError(), None, cr.SGD(), batch_size=3)
    X, y = np.ones((3, 3), np.float32), np.ones((3, 2), np.float32)
    for _ in range(2):
        with pytest.raises(error, match=message):
            plan.gradients(X, y)
        with pytest.raises(error, match=message):
            plan.train_epoch(X, y, np.arange(3), np.array([0.1]))
    assert all(np.array_equal(array, network.parameters[key]) for key, array in plan.parameters().items())
    plan.network.layers[1].what = ""  # type: ignore[attr-defined]
    loss, gradients = plan.gradients(X, y)
    step = by_formula.backpropagate(network, X, y, cr.SquaredError())
    assert loss == pytest.approx(step.loss, rel=1e-6)
    for key, expected in step.gradients.items():
        np.testing.assert_allclose(gradients[key], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (WrongLoss(), r"WrongLoss\.value must return.*\(3,\)"),
        (WrongGradient(), r"WrongGradient\.gradient returned"),
    ],
)
def test_a_wrong_loss_is_told(loss: cr.Loss, message: str) -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3, seed=1)
    plan = Plan(network, loss, batch_size=3)
    with pytest.raises(ValueError, match=message):
        plan.gradients(np.ones((3, 3), np.float32), np.ones((3, 2), np.float32))


class Centred(cr.Layer):
    """x minus its mean over the batch; a prediction takes a running mean."""

    mixes_samples = True

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, cr.Parameter]:
        return {"mean": cr.Parameter(input_shape, initializer=cr.Zeros(), penalised=False, learned=False)}

    def forward(self, x: Any) -> Any:
        return x - np.mean(x, axis=-1, keepdims=True)

    def delta(self, d: Any) -> Any:
        return d - np.mean(d, axis=-1, keepdims=True)

    def infer(self, x: Any, mean: Any) -> Any:
        return x - mean[..., None]

    def running(self, x: Any, mean: Any) -> dict[str, Any]:
        return {"mean": (mean + np.mean(x, axis=-1)) / 2}


class Noise(cr.Layer):
    """x plus uniform noise in training."""

    def draw(self, shape: tuple[int, ...], bits: Any) -> dict[str, Any]:
        return {"noise": bits(shape) / 2**32}

    def forward(self, x: Any, noise: Any) -> Any:
        return x + np.asarray(noise, x.dtype)

    def delta(self, d: Any) -> Any:
        return d

    def infer(self, x: Any) -> Any:
        return x


@machines
def test_training_passes_of_ones_own(level: str, dtype: str) -> None:
    r = np.random.default_rng(5)
    layers = [cr.Dense(5), Centred(), cr.Parallel([[Noise()], [Noise()]]), cr.Tanh(), cr.Dense(2)]
    network = cr.Network(layers, input_shape=4, seed=2)
    network.parameters["centred1.mean"] = r.standard_normal(5)
    X = r.standard_normal((37, 4)).astype(np.float32)
    problem = Problem(network, X, r.standard_normal((37, 2)).astype(np.float32), cr.SquaredError())
    assert_like_reference(problem, level, dtype, 37, problem.step())

    plan = problem.plan(level, dtype, keep=False, optimizer=cr.SGD(1.0))
    mean, start = network.parameters["centred1.mean"], plan.parameters()
    trained = []
    for seed in (1, 2):
        plan.load()
        plan.set_seed(seed)
        plan.train_epoch(X, problem.y.astype(dtype), np.arange(37), np.array([0.1]))
        trained.append(plan.parameters())
    z = reference.run_forward(network, reference.to_columns(X, np.float64), None, np.float64)[0].output
    expected = (mean + z.mean(axis=-1)) / 2
    for found in trained:
        np.testing.assert_allclose(found["centred1.mean"], expected, rtol=1e-5, atol=1e-6)
        assert not np.array_equal(found["dense2.W"], start["dense2.W"])
    assert not np.array_equal(trained[0]["dense2.W"], trained[1]["dense2.W"])  # other noise


@machines
def test_frozen_parameters_of_ones_own_stay_and_hand_the_same_delta_down(level: str, dtype: str) -> None:
    r = np.random.default_rng(7)
    layers = [cr.Dense(4), Scale(), Centred(), cr.Tanh(), Bilinear(3), cr.Dense(2)]
    network = cr.Network(layers, input_shape=4, seed=2)
    X, y = r.standard_normal((21, 4)).astype(dtype), r.standard_normal((21, 2)).astype(dtype)
    ends = []
    for frozen in ([], ["scale1.g"], ["bilinear1.B", "bilinear1.c"], ["centred1.mean"], ["bilinear1.c"]):
        plan = Plan(
            network, cr.SquaredError(), optimizer=cr.SGD(), batch_size=21, level=level, dtype=dtype,
            rate_factors=dict.fromkeys(frozen, 0.0),
        )  # fmt: skip
        before = plan.parameters()
        plan.train_epoch(X, y, np.arange(21), np.array([0.1]))
        ends.append(plan.parameters())
        for name, array in ends[-1].items():
            expected = before[name] if name in frozen else ends[0][name]
            np.testing.assert_array_equal(array, expected, err_msg=f"{frozen}: {name}")
            assert not np.array_equal(ends[0][name], before[name])
