"""Layers made of layers: kernels against formulas, names, shapes, files, networks within networks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ShapeError
from chainrule.engine import Plan
from chainrule.formulas import Symbol, adjoint, evaluate, power, raised, trace
from chainrule.layers import Composite
from tests.engine.harness import (
    MACHINES,
    Problem,
    assert_like_reference,
    away_from_kinks,
    batch_sizes,
    same_bits,
    width,
)

LARGEST_BATCH = 2 * 16 + 3  # of AVX-512 in float32

# Every way a value can be read and joined: fused and unfused ends, empty branches, branches without
# parameters, halos that differ between the readers, views, Winograd on both sides, composites in composites.
NETWORKS: dict[str, tuple[tuple[int, ...], list[cr.Layer]]] = {
    "residual": ((5,), [cr.Residual([cr.Dense(5), cr.Tanh(), cr.Dense(5)]), cr.Dense(3)]),
    "first": ((4,), [cr.Residual([cr.Dense(4), cr.ReLU()])]),
    "fused ends": (
        (7,),
        [cr.Dense(6), cr.GELU(), cr.Residual([cr.Dense(6), cr.GELU()]), cr.ReLU(), cr.Dense(2)],
    ),
    "shortcut": ((9,), [cr.Residual([cr.Dense(4), cr.Tanh()], shortcut=[cr.Dense(4, bias=False)])]),
    "nothing learned below": ((6,), [cr.Parallel([[cr.Tanh()], [], [cr.Dense(6)]]), cr.Softplus()]),
    "nothing learned": ((6,), [cr.Parallel([[cr.Tanh()], []], join="concat")]),
    "concat": (
        (5,),
        [
            cr.Dense(8),
            cr.ReLU(),
            cr.Parallel([[cr.Dense(3)], [], [cr.Dense(17), cr.Tanh()]], join="concat"),
            cr.Dense(4),
        ],
    ),
    "maximum": (  # with ties at 0
        (5,),
        [
            cr.Parallel([[cr.Dense(7), cr.ReLU()], [cr.Dense(7)], [cr.Dense(7), cr.ReLU()]], join="maximum"),
            cr.Parallel([[], [cr.Dense(7), cr.Tanh()]], join="minimum"),
            cr.Dense(3),
        ],
    ),
    "quotient and power": (
        (4, 3, 2),
        [
            cr.Parallel([[cr.Conv2D(3, 2)], [cr.Conv2D(3, 2), cr.Softplus()]], join="quotient"),
            cr.Tanh(),
            cr.Parallel([[cr.Softplus()], [cr.Conv2D(3, 1), cr.Tanh()]], join="power"),
            cr.Flatten(),
            cr.Dense(2),
        ],
    ),
    "concat images": (
        (6, 5, 3),
        [
            cr.Conv2D(4, 3, padding="same"),
            cr.ReLU(),
            cr.Parallel(
                [
                    [cr.Conv2D(5, 3, padding="same")],
                    [cr.Conv2D(2, 1), cr.Sigmoid()],
                    [cr.MaxPool2D(3, 1), cr.Conv2D(3, 1, padding=0), cr.Conv2D(3, 3, padding=2)],
                ],
                join="concat",
            ),
            cr.Conv2D(3, 2),
            cr.Flatten(),
            cr.Dense(3),
        ],
    ),
    "winograd": (
        (8, 9, 8),
        [
            cr.Conv2D(16, 3, padding="same"),
            cr.Tanh(),
            cr.Residual([cr.Conv2D(16, 3, padding="same"), cr.Tanh(), cr.Conv2D(16, 3, padding="same")]),
            cr.GELU(),
            cr.Residual([cr.Conv2D(8, 3, padding="same"), cr.Tanh()], shortcut=[cr.Conv2D(8, 1)]),
            cr.Conv2D(9, 3),
        ],
    ),
    "nested": (
        (4, 4, 2),
        [
            cr.Residual(
                [cr.Residual([cr.Conv2D(2, 3, padding="same"), cr.Tanh()]), cr.Conv2D(2, 3, padding=1)]
            ),
            cr.Parallel([[cr.Parallel([[], [cr.Conv2D(2, 1)]])], [cr.AveragePool2D(1)]]),
        ],
    ),
    "flattened": (
        (3, 4, 2),
        [
            cr.Conv2D(3, 1),
            cr.ReLU(),
            cr.Parallel([[cr.Flatten(), cr.Dense(4)], [cr.Flatten(), cr.Dense(4), cr.ReLU()]]),
            cr.Dense(2),
        ],
    ),
    "flat before": (
        (3, 2, 2),
        [cr.Conv2D(3, 1), cr.GELU(), cr.Flatten(), cr.Residual([cr.Dense(18), cr.Flatten()])],
    ),
    "block": (
        (5,),
        [
            cr.Sequential([cr.Dense(6), cr.ReLU()]),
            cr.Residual(cr.Sequential([cr.Dense(6), cr.Tanh()])),
            cr.Sequential([cr.Sequential([cr.Dense(3)], name="inner")], name="outer"),
        ],
    ),
    "steps": (
        (6, 3),
        [
            cr.Dense(4),
            cr.ReLU(),
            cr.Residual([cr.Dense(8), cr.ReLU(), cr.Dense(4)]),
            cr.Flatten(),
            cr.Dense(2),
        ],
    ),
}
networks = pytest.mark.parametrize("name", NETWORKS)


@cache
def problem_of(name: str) -> Problem:
    shape, layers = NETWORKS[name]
    network = cr.Network(layers, input_shape=shape, seed=3)
    r = np.random.default_rng(5)
    for _ in range(200):
        X = r.standard_normal((LARGEST_BATCH, *shape)).astype(np.float32)
        if away_from_kinks(network, X):
            break
    else:
        raise AssertionError(f"no batch of {name} is away from its kinks")
    y = r.standard_normal((LARGEST_BATCH, *network.output_shape)).astype(np.float32)
    return Problem(network, X, y, cr.SquaredError())


@networks
@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_the_kernels_compute_the_formulas(name: str, level: str, dtype: str) -> None:
    for samples in batch_sizes(width(level, dtype)):
        problem = problem_of(name).first(samples)
        assert_like_reference(problem, level, dtype, samples, problem.step())


@pytest.mark.turns(4)
@networks
def test_gradients_are_derivatives(name: str) -> None:
    problem = problem_of(name).first(2)
    if not problem.network.parameters:
        return
    assert cr.check_gradients(problem.network, problem.X, problem.y, loss=problem.loss)
    assert cr.check_gradients(problem.network, problem.X, problem.y, loss=problem.loss, engine="reference")


@networks
def test_files_and_copies(name: str, tmp_path: Path) -> None:
    network = problem_of(name).network
    network.save(tmp_path / "net.npz")
    for again in (cr.load(tmp_path / "net.npz"), network.copy()):
        assert repr(again) == repr(network)
        assert again.summary() == network.summary()
        assert same_bits(again.parameters, network.parameters)
        assert again.predict(problem_of(name).X).tobytes() == network.predict(problem_of(name).X).tobytes()


def test_same_bits_for_any_number_of_threads() -> None:
    problem, found = problem_of("winograd"), []
    for threads in (1, 2, 3, 4):
        network = problem.network.copy()
        cr.fit(network, problem.X, problem.y, loss=problem.loss, epochs=2, batch_size=8, threads=threads)
        found.append(dict(network.parameters))
    assert all(same_bits(found[0], other) for other in found[1:])


def test_names_follow_the_way() -> None:
    network = cr.Network(
        [
            cr.Residual([cr.Dense(4), cr.ReLU(), cr.Residual([cr.Dense(4, name="deep")])], name="block"),
            cr.Dense(2),
        ],
        input_shape=4,
    )
    assert list(network.parameters) == [
        "block.dense1.W",
        "block.dense1.b",
        "block.residual1.deep.W",
        "block.residual1.deep.b",
        "dense1.W",
        "dense1.b",
    ]
    step = network.backpropagate(np.ones((2, 4)), np.ones((2, 2)))
    assert list(step.activations) == [
        "input",
        "block.dense1",
        "block.relu1",
        "block.residual1.deep",
        "block.residual1",
        "block",
        "dense1",
    ]
    # fan-out: the δ of the input is the sum of what comes down both ways
    W = network.parameters["block.dense1.W"]
    through = step.deltas["block.dense1"] @ W
    np.testing.assert_allclose(step.deltas["input"], step.deltas["block"] + through, rtol=1e-5, atol=1e-7)
    assert "block.residual1.deep" in network.summary()
    assert "F_1 + F_2" in str(network.formulas()["block"])


def test_initialisers_look_beyond_the_branch() -> None:
    """He where the next activation is a rectifier, even one behind the join."""
    layers = [cr.Residual([cr.Dense(400)]), cr.ReLU()]
    he = cr.Network(layers, input_shape=400, seed=1).parameters["residual1.dense1.W"].std()
    assert he == pytest.approx(np.sqrt(2 / 400), rel=0.01)
    glorot = (
        cr.Network([layers[0], cr.Tanh()], input_shape=400, seed=1).parameters["residual1.dense1.W"].std()
    )
    assert glorot == pytest.approx(np.sqrt(2 / 800), rel=0.01)


def test_a_network_in_a_network_brings_its_parameters() -> None:
    features = cr.Network(
        [cr.Dense(6), cr.ReLU(), cr.Residual([cr.Dense(6)])], input_shape=3, seed=4, name="features"
    )
    before = {name: array.copy() for name, array in features.parameters.items()}
    network = cr.Network([features, cr.Dense(2)], input_shape=3, seed=0)
    assert list(network.parameters)[:2] == ["features.dense1.W", "features.dense1.b"]
    for name, array in before.items():
        np.testing.assert_array_equal(network.parameters[f"features.{name}"], array)
    network.parameters["features.dense1.W"] = np.zeros((6, 3))
    np.testing.assert_array_equal(features.parameters["dense1.W"], before["dense1.W"])
    branch = cr.Network([cr.Residual(features, shortcut=[cr.Dense(6)])], input_shape=3)
    np.testing.assert_array_equal(branch.parameters["residual1.features.dense1.W"], before["dense1.W"])


@pytest.mark.parametrize(
    "layer",
    [
        *(cr.Parallel([[], [], []], join=join) for join in ("sum", "concat", "product")),
        *(cr.Parallel([[], [], []], join=join) for join in ("maximum", "minimum")),
        *(cr.Parallel([[], []], join=join) for join in ("quotient", "power")),
    ],
)
def test_the_split_of_delta_is_the_adjoint_of_the_join(layer: Composite) -> None:
    formulas = trace(layer)
    r = np.random.default_rng(0)
    outputs = {f"F{k}": 0.5 + r.random((3, 4)) for k in range(1, len(layer.chains) + 1)}
    if layer.join in ("maximum", "minimum"):  # of equal ones the first
        outputs["F2"][0] = outputs["F3"][0] = outputs["F1"][0]
        outputs["F3"][1] = outputs["F2"][1]
    if layer.join == "concat":
        outputs["F2"] = r.standard_normal((5, 4))
    z = layer.forward(*outputs.values())
    bindings: dict[str, Any] = {**outputs, "d": r.standard_normal(z.shape)}
    np.testing.assert_array_equal(evaluate(formulas.forward, bindings), z)
    for name, part in zip(outputs, layer.delta(bindings["d"], *outputs.values()), strict=True):
        derived = adjoint(formulas.forward, formulas.symbols[name], formulas.symbols["d"])
        np.testing.assert_allclose(evaluate(derived, bindings), part, rtol=1e-14)
        np.testing.assert_array_equal(evaluate(formulas[f"delta of {name}"], bindings), part)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cr.Residual([cr.Dense(3)]),
            r"\(4,\) comes .* \(3,\) out of the layers.*shortcut=\[Dense\(3\)\]",
        ),
        (
            lambda: cr.Parallel([[cr.Dense(3)], [cr.Dense(2)]]),
            r"one shape; they put out \(3,\), \(2,\): write join='concat'",
        ),
        (
            lambda: cr.Parallel([[cr.Flatten(), cr.Dense(3)], [cr.Conv2D(2, 1)]], join="concat"),
            "Conv2D needs an image",
        ),
        (lambda: cr.Residual([]), "layers is empty"),
        (lambda: cr.Parallel([]), "at least one branch"),
    ],
)
def test_shapes_that_do_not_fit(make: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        cr.Network([make()], input_shape=4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Residual([cr.Dense]), "is the class Dense: write Dense"),
        (lambda: cr.Residual([cr.Dense(3), "relu"]), r"layers\[1\] must be a layer"),
        (lambda: cr.Parallel(cr.Dense(3)), "a list of branches"),
        (lambda: cr.Parallel([3]), "branch 1 must be a list"),
        (lambda: cr.Parallel([[]], mode="concat"), "mode"),
    ],
)
def test_arguments_that_teach(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


def test_a_sequential_is_no_model() -> None:
    with pytest.raises(AttributeError, match=r"what trains is Network\(\["):
        cr.Sequential([cr.Dense(2)]).fit  # noqa: B018


def test_join_is_one_of_a_few() -> None:
    with pytest.raises(ValueError, match=r"join must be 'sum', .* 'quotient' or 'power', received 'add'"):
        cr.Parallel([[cr.Dense(2)]], join="add")
    with pytest.raises(ShapeError, match="join='quotient' is of two branches, received 1"):
        cr.Parallel([[cr.Dense(2)]], join="quotient")


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_a_quotient_by_what_has_no_square(level: str, dtype: str) -> None:
    """-a/b² lies within the range where b² does not: it was 0, or infinite, of a finite pass forward."""
    info = np.finfo(dtype)
    large, small = float(info.max) ** 0.6, float(info.tiny) ** 0.6
    a, b = np.array([[large, small, 0.0, -large, 6.0]]), np.array([[large, small, small, 2 * large, -3.0]])
    nodes = {"a": (cr.Bias(), "x"), "b": (cr.Bias(), "y"), "share": (cr.Divide(), "a", "b")}
    network = cr.Graph(nodes, inputs={"x": 5, "y": 5}, dtype=dtype)
    plan = Plan(network, cr.MeanAbsoluteError(), batch_size=1, level=level)
    _, gradients = plan.gradients(np.concatenate([a, b], axis=1), np.full((1, 5), -9.0))  # below all: δ is 1
    np.testing.assert_allclose(gradients["a.b"], 1 / b[0], rtol=8 * info.eps)
    np.testing.assert_allclose(gradients["b.b"], -(a / b / b)[0], rtol=8 * info.eps)


@pytest.mark.parametrize(("level", "dtype"), MACHINES)
def test_a_power_of_zero_is_flat(level: str, dtype: str) -> None:
    """y·x^(y-1) was 0·inf at x = y = 0; beside it, at (0, 1), it is 1. By y it is x^y log x, 0 at (0, 0) as
    PyTorch and JAX have it, and NaN below 0. Kernel, formula, adjoint.
    """
    x, y = np.array([[0.0, 0.0, 0.0, 2.0, -3.0, 0.5]]), np.array([[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]])
    expected, by_exponent = [[0, 1, 0, 12, 0, 0]], [[0, 0, 0, 8 * np.log(2), np.nan, np.log(0.5)]]
    nodes = {"x": (cr.Bias(), "a"), "y": (cr.Bias(), "b"), "power": (cr.Raise(), "x", "y")}
    network = cr.Graph(nodes, inputs={"a": 6, "b": 6}, dtype=dtype)
    plan = Plan(network, cr.MeanAbsoluteError(), batch_size=1, level=level)
    _, gradients = plan.gradients(np.concatenate([x, y], axis=1), np.full((1, 6), -9.0))  # below all: δ is 1
    np.testing.assert_allclose(gradients["x.b"], expected[0], rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(gradients["y.b"], by_exponent[0], rtol=8 * np.finfo(dtype).eps)
    with np.errstate(invalid="ignore"):
        of_base, of_exponent = cr.Raise().delta(np.ones_like(x), x, y)
    np.testing.assert_array_equal(of_base, expected)
    np.testing.assert_allclose(of_exponent, by_exponent, rtol=1e-15)
    a, b, d = (Symbol(name) for name in "abd")
    values = {"a": x, "b": y, "d": np.ones_like(x)}
    np.testing.assert_array_equal(evaluate(adjoint(raised(a, b), a, d), values), expected)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(evaluate(adjoint(raised(a, b), b, d), values), by_exponent, rtol=1e-15)
    flat = adjoint(power(a, exponent=0), a, d)
    np.testing.assert_array_equal(evaluate(flat, {"a": x, "d": np.ones_like(x)}), np.zeros_like(x))


def test_a_quotient_by_what_has_no_square_as_a_formula() -> None:
    over, under = np.array([1e200, 1e-200, 6.0]), np.array([1e200, 1e-200, -3.0])
    _, below = cr.Divide().delta(np.ones(3), over, under)
    np.testing.assert_allclose(below, [-1e-200, -1e200, -6 / 9], rtol=1e-15)
