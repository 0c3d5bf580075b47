"""fit_full_batch: known minima, Ng's setting, float32 networks, what is kept however it ends."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests import by_formula

import chainrule as cr
from chainrule.networks.objective import Objective
from chainrule.oracles.ng import sines
from chainrule.training import full_batch
from chainrule.training.full_batch import FullBatch
from chainrule.training.parts import prepare
from chainrule.training.progress import LineProgress

METHODS = ("L-BFGS-B", "CG")


def three_classes(samples: int = 150) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = np.arange(samples) % 3
    return rng.standard_normal((samples, 4)) + 0.7 * np.eye(4)[y], y


def mlp(dtype: str = "float64", **options: Any) -> cr.Network:
    layers = [cr.Dense(6), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=4, dtype=dtype, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_regression_reaches_scikit_learns_minimum(method: str, weighted: bool) -> None:
    """λ/(2m)·ΣW² with λ = 1/C: the very J that LogisticRegression minimises, divided by m."""
    from sklearn.linear_model import LogisticRegression

    X, y = three_classes()
    weights = np.random.default_rng(1).random(len(y)) if weighted else None
    weights = None if weights is None else weights / weights.mean()
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=weights)
    net = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4, dtype="float64", seed=3)
    penalty = cr.L2(2.0, per_sample=True)
    history = cr.fit_full_batch(
        net, X, y, penalty=penalty, method=method, iterations=500, tolerance=1e-10, sample_weight=weights
    )
    W, b = net.parameters["dense1.W"], net.parameters["dense1.b"]
    data = prepare(net, cr.CrossEntropy(), X, y, weights, None, 0)
    objective = FullBatch(net, data.training, Objective(cr.CrossEntropy(), penalty, len(data.training)))
    ours, slope = objective(net.flat_parameters())
    at_theirs, their_slope = objective(
        objective.vector({"dense1.W": theirs.coef_, "dense1.b": theirs.intercept_})
    )
    # Their minimum is one of our J too; ours is left where J no longer falls in float64. The gradients' norms
    # here, from 6 starts: at most 4e-9 and 3e-8.
    assert np.linalg.norm(their_slope) < 1e-8
    assert np.linalg.norm(slope) < 1e-7
    # The least curvature μ is the penalty's, 2/m: J - J* <= ‖∂J/∂θ‖² / 2μ.
    left = float(slope @ slope) / (2 * 2.0 / len(y))
    assert abs(ours - at_theirs) <= 16 * np.finfo(np.float64).eps * ours + left
    # J - J* >= μ/2 ‖θ - θ*‖² as well, and J is known to 25 roundings.
    # 9e-7 here; from 24 starts L-BFGS came to 0.9e-7 and CG to 7.9e-7.
    reach = 5 * np.sqrt(2 * np.finfo(np.float64).eps * ours / (2.0 / len(y)))
    assert np.abs(W - theirs.coef_).max() < reach
    assert b - b.mean() == pytest.approx(theirs.intercept_ - theirs.intercept_.mean(), abs=reach)
    assert history.stopped is not None
    assert net.classify(X).tolist() == theirs.predict(X).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_of_a_linear_problem_is_the_least_squares_solution(method: str) -> None:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((40, 3))
    Y = X @ rng.standard_normal((3, 2)) + rng.standard_normal((40, 2))
    net = cr.Network([cr.Dense(2)], input_shape=3, dtype="float64")
    cr.fit_full_batch(net, X, Y, method=method, tolerance=1e-12)
    # J does not tell points apart that are closer than about √ε = 1.5e-8.
    solution = np.linalg.lstsq(np.column_stack([np.ones(40), X]), Y, rcond=None)[0]
    assert net.parameters["dense1.W"] == pytest.approx(solution[1:].T, abs=3e-8)
    assert net.parameters["dense1.b"] == pytest.approx(solution[0], abs=3e-8)


def test_ngs_setting() -> None:
    """Sigmoids, binary cross-entropy, λ/(2m), weights within ±0.12, 50 iterations of conjugate gradients."""
    X, y = cr.data.load_digits()
    X, targets = X[:300].reshape(300, 64), np.eye(10)[y[:300]]
    start = {"initializer": cr.Uniform(0.12), "bias_initializer": cr.Uniform(0.12)}
    layers = [cr.Dense(25, **start), cr.Sigmoid(), cr.Dense(10, **start), cr.Sigmoid()]
    net = cr.Network(layers, input_shape=64, dtype="float64", seed=0)
    penalty = cr.L2(1.0, per_sample=True)
    before = net.loss(X, targets, penalty=penalty)
    history = cr.fit_full_batch(net, X, targets, penalty=penalty, method="CG", iterations=50)
    assert len(history) == 50
    assert history.stopped is None
    assert net.loss(X, targets, penalty=penalty) < before / 5
    assert history.loss[-1] == pytest.approx(
        net.loss(X, targets), rel=1e-12
    )  # of the data, without the penalty
    assert net.accuracy(X, targets) > 0.97


@pytest.mark.parametrize("samples", [1, 2, 37, full_batch.PART + 3])
@pytest.mark.parametrize("penalty", [None, cr.L2(0.3), cr.L2(0.7, per_sample=True)])
def test_objective_is_j_and_its_gradient(samples: int, penalty: cr.Penalty | None) -> None:
    """Whole or in parts: the reference's J and gradient at any θ."""
    X, y = three_classes(samples)
    net = mlp()
    weights = np.random.default_rng(3).random(samples) + 0.1
    data = prepare(net, cr.CrossEntropy(), X, y if samples > 2 else np.eye(3)[y], weights, None, 0)
    objective = FullBatch(net, data.training, Objective(cr.CrossEntropy(), penalty, len(data.training)))
    theta = np.random.default_rng(4).standard_normal(net.count_parameters())
    value, gradient = objective(theta)
    expected = by_formula.backpropagate(
        net,
        X,
        y,
        cr.CrossEntropy(),
        penalty,
        weights / weights.mean(),
        parameters=objective.named(theta),
    )
    assert value == pytest.approx(expected.loss, rel=1e-13)
    assert gradient == pytest.approx(objective.vector(expected.gradients), abs=1e-13)
    assert np.array_equal(objective.vector(objective.named(theta)), theta)


def test_samples_made_piece_by_piece_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = 5 * full_batch.PART + 9
    X, y = three_classes(samples)
    weights = np.random.default_rng(3).random(samples)
    net = mlp(seed=1)
    data = prepare(net, cr.CrossEntropy(), X, y, weights / weights.mean(), None, 0)
    objective, theta = Objective(cr.CrossEntropy(), None, samples), net.flat_parameters()
    whole = FullBatch(net, data.training, objective)(theta)
    made = replace(data.training, inputs=full_batch._Made(X, np.copy))
    for piece, calls in ((1, 6), (4 * 2 * full_batch.PART, 3), (2**22, 1)):
        monkeypatch.setattr(full_batch, "_PIECE", piece)
        by_pieces = FullBatch(net, made, objective)
        assert -(-samples // by_pieces.piece) == calls
        found = by_pieces(theta)
        assert found[0] == whole[0]
        assert np.array_equal(found[1], whole[1])


def test_an_evaluation_that_is_not_finite_leaves_nothing_behind() -> None:
    X, y = three_classes(3 * full_batch.PART)
    X[2 * full_batch.PART] = 1e200  # in the third part, behind gradients of two
    net = cr.Network([cr.Dense(1)], input_shape=4, dtype="float64")
    loss, targets = cr.SquaredError(), y[:, None].astype(float)
    data = prepare(net, loss, X, targets, None, None, 0)
    once, again = (FullBatch(net, data.training, Objective(loss, None, len(X))) for _ in range(2))
    theta = np.zeros(5)
    assert np.isnan(again(np.full(5, 1e200))[0])
    expected, found = once(theta), again(theta)
    assert expected[0] == found[0]
    assert np.array_equal(expected[1], found[1])


@pytest.mark.parametrize("method", METHODS)
def test_the_history_has_the_lowest_j(method: str) -> None:
    X, y = three_classes()
    net, penalty = mlp(), cr.L2(0.01)
    history = cr.fit_full_batch(net, X, y, method=method, penalty=penalty, iterations=9)
    assert history.minimum == pytest.approx(net.loss(X, y, penalty=penalty), rel=1e-14)
    assert cr.fit(net, X, y, epochs=1, progress=False).minimum is None


def test_a_float32_network_gets_the_float64_minimum_rounded() -> None:
    X, y = three_classes()
    X = X.astype(np.float32)
    options: dict[str, Any] = {"penalty": cr.L2(0.01), "iterations": 60}
    small, large = mlp("float32", seed=1), mlp("float64", seed=1)
    large.set_parameters(small.parameters)
    of_small = cr.fit_full_batch(small, X, y, **options)
    of_large = cr.fit_full_batch(large, X, y, **options)
    assert of_small.loss == of_large.loss
    for name, value in small.parameters.items():
        assert value.dtype == np.float32
        assert np.array_equal(value, large.parameters[name].astype(np.float32))


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    X, y = three_classes(full_batch.PART + 100)
    nets = [mlp(seed=2) for _ in range(3)]
    for threads, net in enumerate(nets, 1):
        cr.fit_full_batch(net, X, y, iterations=10, threads=threads)
    for name, value in nets[0].parameters.items():
        assert all(np.array_equal(value, net.parameters[name]) for net in nets[1:])


def test_own_losses_layers_pixels_and_labels_by_name() -> None:
    class Cubed(cr.Activation):
        def f(self, z: Any) -> Any:
            return z**3

        def df(self, z: Any) -> Any:
            return 3 * z**2

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 3, 3, 1), dtype=np.uint8)
    names = np.array(["dark", "light"])[(pixels.mean(axis=(1, 2, 3)) > 127).astype(int)]
    net = cr.Network([cr.Flatten(), cr.Dense(4), Cubed(), cr.Dense(2), cr.Softmax()], input_shape=(3, 3, 1))
    cr.fit_full_batch(net, pixels, names, penalty=cr.L2(1e-4))
    assert net.classes is not None
    assert net.classes.tolist() == ["dark", "light"]
    assert net.accuracy(pixels, names) == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_interrupted_it_keeps_the_best(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = three_classes()
    net, seen = mlp(), []
    whole = FullBatch.__call__

    def interrupted(self: FullBatch, theta: Any) -> Any:
        if len(seen) == 12:
            raise KeyboardInterrupt
        J, gradient = whole(self, theta)
        seen.append((J, theta.copy()))
        return J, gradient

    monkeypatch.setattr(FullBatch, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cr.fit_full_batch(net, X, y, method=method)
    best = min(seen, key=lambda pair: pair[0])
    assert net.loss(X, y) == pytest.approx(best[0], rel=1e-14)
    assert net.history.stopped == f"interrupted after iteration {len(net.history)}"
    assert len(net.history) >= 1


def test_progress_line_and_history() -> None:
    X, y = three_classes()
    stream = io.StringIO()
    history = cr.fit_full_batch(mlp(), X, y, iterations=5, progress=LineProgress(stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("iteration 1/5  loss ")
    assert history.epoch == [1, 2, 3, 4, 5]
    assert history.loss == sorted(history.loss, reverse=True)
    assert all(seconds >= 0 for seconds in history.seconds)
    assert repr(history).splitlines()[0].split() == ["epoch", "loss", "seconds"]  # there is no rate
    assert repr(history).endswith("; CrossEntropy(), 'L-BFGS-B'")
    with pytest.raises(ValueError, match="resume holds no state of an optimizer"):
        cr.fit(mlp(), X, y, resume=history)


def test_infinite_points_of_the_line_search_are_left() -> None:
    """exp(z) overflows for long steps: J = ∞ there is no reason to stop."""

    class Exp(cr.Activation):
        def f(self, z: Any) -> Any:
            with np.errstate(over="ignore"):
                return np.exp(z)

        def df(self, z: Any) -> Any:
            with np.errstate(over="ignore"):
                return np.exp(z)

    net = cr.Network([cr.Dense(1), Exp()], input_shape=1, dtype="float64", seed=0)
    X = np.linspace(0, 40, 10)[:, None]
    with np.errstate(all="ignore"):
        before = net.loss(X, np.exp(0.3 * X), loss=cr.SquaredError())
        cr.fit_full_batch(net, X, np.exp(0.3 * X), loss=cr.SquaredError())
        assert net.loss(X, np.exp(0.3 * X), loss=cr.SquaredError()) <= before


def test_not_finite_at_the_start() -> None:
    net = cr.Network([cr.Dense(1)], input_shape=1, dtype="float64")
    net.set_parameters({"dense1.W": [[1e200]]})
    with pytest.raises(cr.NonFiniteError, match="at the start"):
        cr.fit_full_batch(net, np.full((2, 1), 1e200), np.zeros((2, 1)))
    assert net.parameters["dense1.W"] == 1e200


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"method": "adam"}, ValueError, "method must be 'L-BFGS-B' or 'CG', received 'adam'"),
        ({"method": None}, ValueError, "method must be"),
        ({"iterations": 0}, ValueError, "iterations must be a whole number"),
        ({"tolerance": -1.0}, ValueError, "tolerance must be"),
        ({"optimizer": "lbfgs"}, TypeError, "write method='L-BFGS-B' or 'CG'"),
        ({"max_iter": 5}, TypeError, "write iterations=100"),
        ({"batch_size": 5}, TypeError, "every step uses all samples"),
        ({"loss": "binary_cross_entropy"}, cr.PairError, "Softmax"),
        ({"penalty": 0.1}, TypeError, "penalty must be"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    net = mlp()
    before = {name: value.copy() for name, value in net.parameters.items()}
    with pytest.raises(error, match=words):
        cr.fit_full_batch(net, *three_classes(), **options)
    assert all(np.array_equal(value, net.parameters[name]) for name, value in before.items())


@pytest.mark.parametrize(("name", "method"), [("lbfgs", "L-BFGS-B"), ("L-BFGS", "L-BFGS-B"), ("cg", "CG")])
def test_fit_names_it(name: str, method: str) -> None:
    words = rf"takes all samples at once: write fit_full_batch\(network, X, y, method='{method}'\)"
    with pytest.raises(ValueError, match=words):
        cr.fit(mlp(), *three_classes(), optimizer=name)


def test_method_names_of_other_libraries() -> None:
    X, y = three_classes()
    nets = [mlp(), mlp()]
    for net, method in zip(nets, ("lbfgs", "L-BFGS-B"), strict=True):
        cr.fit_full_batch(net, X, y, method=method, iterations=3)
    assert np.array_equal(*(net.parameters["dense1.W"] for net in nets))


def test_class_weights_are_sample_weights() -> None:
    X, y = three_classes()
    nets = [mlp(), mlp()]
    cr.fit_full_batch(nets[0], X, y, iterations=20, class_weight={0: 1.0, 1: 5.0, 2: 2.0})
    cr.fit_full_batch(nets[1], X, y, iterations=20, sample_weight=np.array([1.0, 5.0, 2.0])[y])
    for name, value in nets[0].parameters.items():
        assert value == pytest.approx(nets[1].parameters[name], abs=1e-9)


def test_labels_without_a_softmax_are_warned_of() -> None:
    net = cr.Network([cr.Dense(3)], input_shape=4)
    with pytest.warns(UserWarning, match="trains these class labels by SquaredError"):
        cr.fit_full_batch(net, *three_classes(), iterations=2)


def test_a_network_without_parameters_is_refused() -> None:
    network = cr.Network([cr.Flatten()], input_shape=(2, 2))
    with pytest.raises(ValueError, match="the network has none: add a layer with weights"):
        cr.fit_full_batch(network, np.ones((3, 2, 2)), np.ones((3, 4)))


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(
        cr.MissingExtraError, match=r"fit_full_batch needs SciPy: pip install 'chainrule\[full-batch\]'"
    ):
        cr.fit_full_batch(mlp(), *three_classes())


def test_check_network_of_ng_goes_downhill() -> None:
    net = cr.Network([cr.Dense(5), cr.Sigmoid(), cr.Dense(3), cr.Sigmoid()], input_shape=3, dtype="float64")
    net.set_theta([sines(5, 4), sines(3, 6)])
    targets = np.eye(3)[np.arange(1, 6) % 3]
    cr.fit_full_batch(net, sines(5, 3), targets, method="CG", iterations=400)
    assert net.loss(sines(5, 3), targets) < 0.05
