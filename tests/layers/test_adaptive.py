"""Adaptive pools beside PyTorch's rule, written out, and beside the pools that they are of equal windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.training.networks import read_network_file
from chainrule.engine import Plan, set_threads, threads
from chainrule.formulas import trace
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS, AdaptivePool
from tests.cases import LAYER_CASES
from tests.pairwise import some

DRAWS = range(60)


def box_of(place: tuple[int, ...], shape: tuple[int, ...], sizes: tuple[Any, ...]) -> tuple[slice, ...]:
    """The rule with exact fractions."""
    made = []
    for i, n, s in zip(place, shape, sizes, strict=False):
        step = Fraction(n, n if s == "same" else s)
        made.append(slice(math.floor(i * step), math.ceil((i + 1) * step)))
    return tuple(made)


def written_out(
    layer: AdaptivePool, X: np.ndarray[Any, Any], delta: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Outputs and ∂J/∂X of samples first, window by window."""
    made, back = np.zeros_like(delta), np.zeros_like(X)
    for n, *place, c in np.ndindex(*delta.shape):
        at = (n, *place, c)
        box = (n, *box_of(tuple(place), X.shape[1:], layer.sizes), c)
        window = X[box]
        if "Max" in type(layer).__name__:
            made[at] = window.max()
            back[box] += delta[at] * (np.arange(window.size) == window.argmax()).reshape(window.shape)
        else:
            made[at] = window.sum() / window.size
            back[box] += delta[at] / window.size
    return made, back


def drawn(seed: int, ties: bool = False) -> tuple[AdaptivePool, np.ndarray[Any, Any]]:
    """A layer of any size, below and above that of the image, and a batch."""
    r = np.random.default_rng(seed)
    cls = ADAPTIVE_POOLS[seed % len(ADAPTIVE_POOLS)]
    shape = tuple(int(n) for n in r.integers(1, 9 if cls.axes < 3 else 5, cls.axes))
    sizes = tuple("same" if s == 0 else int(s) for s in r.integers(0, 9 if cls.axes < 3 else 6, cls.axes))
    X = r.normal(size=(int(r.integers(1, 6)), *shape, int(r.integers(1, 4))))
    return cls(sizes[0] if cls.axes == 1 else sizes), np.round(X) if ties else X


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


@pytest.mark.parametrize("seed", some(DRAWS, 24))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rule_written_out(seed: int, dtype: str) -> None:
    """By the kernels and by the formulas, with and without ties of a maximum."""
    layer, X = drawn(seed, ties=seed % 3 == 0)
    X = X.astype(dtype)
    network = cr.Network([layer], input_shape=X.shape[1:], dtype=dtype)
    y = np.random.default_rng(1).normal(size=(len(X), *network.output_shape)).astype(dtype)
    step = network.backpropagate(X, y, loss=cr.SquaredError())
    expected, _ = written_out(layer, X, y)
    close = {"rtol": 0, "atol": 1e-12 if dtype == "float64" else 1e-5}
    np.testing.assert_allclose(network.predict(X), expected, **close)
    delta = (expected - y) / len(X)
    _, below = written_out(layer, X, delta)
    np.testing.assert_allclose(step.deltas["input"], below, **close)
    plan = Plan(network, cr.SquaredError(), batch_size=4, keep=True)
    for begin in range(0, len(X), 4):  # partial batches too
        part = slice(begin, begin + 4)
        _, _, deltas, _ = plan.inspect(X[part], y[part], None)
        _, below = written_out(layer, X[part], (expected - y)[part] / len(X[part]))
        np.testing.assert_allclose(deltas["input"], below, **close)


@pytest.mark.parametrize("cls", ADAPTIVE_POOLS)
def test_equal_windows_are_the_pool_to_the_bit(cls: type[AdaptivePool]) -> None:
    """In the kernels of its own lanes, bands and channels: the same plan, the same numbers."""
    for shape, sizes, window, stride in (
        ((8, 6, 4), (4, 3, 2), (2, 2, 2), (2, 2, 2)),
        ((7, 9, 5), (3, 4, 2), (3, 3, 3), (2, 2, 2)),
        ((5, 7, 3), (1, 7, 3), (5, 1, 1), (5, 1, 1)),
    ):
        n = cls.axes
        size, kernel, step = ((each[0] if n == 1 else each[:n]) for each in (sizes, window, stride))
        conv = getattr(cr, f"Conv{n}D")
        X = np.random.default_rng(0).normal(size=(6, *shape[:n], 3)).astype(np.float32)
        y = np.arange(6) % 3
        made = []
        for pool in (cls(size), cls.pool_class(kernel, step)):
            net = cr.Network(
                [conv(8, 1), cr.Residual([cr.ReLU()]), pool, cr.Flatten(), cr.Dense(3), cr.Softmax()],
                input_shape=X.shape[1:],
                seed=3,
            )
            cr.fit(net, X, y, epochs=2, batch_size=4, progress=False, seed=1)
            made.append((net.predict(X), *net.parameters.values()))
        assert cls(size).plain((*shape[:n], 8)) is not None
        for own, plain in zip(*made, strict=True):
            np.testing.assert_array_equal(own, plain)


@pytest.mark.parametrize("seed", some(DRAWS, 6))
@pytest.mark.usefixtures("threads_as_before")
def test_a_sample_has_the_same_bits_in_every_batch_and_with_any_threads(seed: int) -> None:
    layer, _ = drawn(seed)
    conv = getattr(cr, f"Conv{layer.axes}D")
    shape = (*(5, 7, 3)[: layer.axes], 2)
    net = cr.Network([conv(9, 1), layer, cr.Flatten(), cr.Dense(2)], input_shape=shape, seed=seed)
    X = np.random.default_rng(2).normal(size=(37, *shape)).astype(np.float32)
    whole = net.predict(X)
    for count in (1, 2, 3, 4):
        set_threads(count)
        np.testing.assert_array_equal(net.predict(X), whole)
    for size in (5, 16, 37):
        plan = Plan(net, batch_size=size)
        np.testing.assert_array_equal(plan.predict(X), whole)
        np.testing.assert_array_equal(plan.predict(X[3:7]), whole[3:7])


def test_what_it_is_given() -> None:
    assert cr.AdaptiveAveragePool2D(None).size == "same"
    assert cr.AdaptiveAveragePool2D([3, None]).config()["size"] == [3, "same"]
    assert cr.AdaptiveMaxPool1D([3]).size == 3
    for size in (0, -1, 2.5, True, "all", (2, 2, 2), (2,), (), (2, 0), None, "same"):
        if size in (None, "same"):
            assert cr.AdaptiveMaxPool2D(size).sizes == ("same", "same")
            continue
        with pytest.raises(cr.ShapeError, match=r"size must be how many windows .*'same' for an axis"):
            cr.AdaptiveMaxPool2D(size)  # type: ignore[arg-type]
    with pytest.raises(cr.ShapeError, match="needs an image"):
        cr.Network([cr.AdaptiveMaxPool2D(2)], input_shape=7)
    with pytest.raises(cr.ShapeError, match="one channel"):
        cr.Network([cr.AdaptiveMaxPool2D(2)], input_shape=(7, 7))


def test_files_have_it(tmp_path: Path) -> None:
    text = 'input_shape = [7, 5, 2]\nlayers = [{ type = "AdaptiveMaxPool2D", size = [3, "same"] }, "Flatten"]'
    (tmp_path / "net.toml").write_text(text)
    layers, shape = read_network_file(tmp_path / "net.toml")
    net = cr.Network([*layers, cr.Dense(2)], input_shape=shape, seed=1)
    X = np.random.default_rng(0).normal(size=(3, 7, 5, 2)).astype(np.float32)
    net.save(tmp_path / "net.npz")
    again = cr.load(tmp_path / "net.npz")
    assert repr(again.layers[0]) == "AdaptiveMaxPool2D((3, 'same'))"
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_a_graph_and_a_mask_of_steps() -> None:
    """Images of several sizes meet at one; what is pooled in parts has other steps, and no mask."""
    nodes: dict[str, Any] = {
        "a": (cr.AdaptiveAveragePool2D(3), "x"),
        "b": ([cr.Conv2D(2, 1), cr.AdaptiveMaxPool2D((3, 3))], "y"),
        "sum": (cr.Add(), "a", "b"),
        "out": ([cr.Flatten(), cr.Dense(2)], "sum"),
    }
    net = cr.Graph(nodes, inputs={"x": (5, 4, 2), "y": (2, 8, 3)}, seed=1, dtype="float64")
    r = np.random.default_rng(0)
    X = {"x": r.normal(size=(4, 5, 4, 2)), "y": r.normal(size=(4, 2, 8, 3))}
    assert cr.check_gradients(net, X, r.normal(size=(4, 2)), cr.SquaredError()).ok
    layers = [cr.Masking(), cr.AdaptiveMaxPool1D(3), cr.LSTM(2)]
    masked = cr.Network(layers, input_shape=(5, 2), dtype="float64")  # type: ignore[arg-type]
    steps = r.normal(size=(3, 5, 2)) * np.array([1, 1, 1, 0, 0])[:, None]
    pooled = cr.Network([cr.AdaptiveMaxPool1D(3), *layers[2:]], input_shape=(5, 2), dtype="float64")
    pooled.set_parameters({name: array.copy() for name, array in masked.parameters.items()})
    np.testing.assert_allclose(masked.predict(steps), pooled.predict(steps), rtol=1e-12)


def parts(n: int, s: int) -> list[tuple[int, int]]:
    return [(i * n // s, -(-(i + 1) * n // s)) for i in range(s)]


def loops(largest: bool, mistake: str = "") -> tuple[Any, Any]:
    """(forward, backward) as somebody writes them for 3 parts of the steps of x (N, T, C)."""

    def forward(x: Any) -> Any:
        each = [x[:, a:b] for a, b in parts(x.shape[1], 3)]
        return np.stack([w.max(axis=1) if largest else w.mean(axis=1) for w in each], 1), x

    def backward(dout: Any, x: Any) -> Any:
        dx, size = np.zeros_like(x), x.shape[1]
        for i, (a, b) in enumerate(parts(size, 3)):
            if mistake == "floored":
                b = (i + 1) * size // 3
            elif mistake == "side_by_side":
                a, b = i * (size // 3), (i + 1) * (size // 3)
            w = x[:, a:b]
            count = -(-size // 3) if mistake == "even" else 1 if mistake == "undivided_parts" else b - a
            won = w.argmax(axis=1)[:, None] == np.arange(b - a)[None, :, None]
            share = won * dout[:, i : i + 1] if largest else np.ones(w.shape) * dout[:, i : i + 1] / count
            if mistake == "overwritten_parts":
                dx[:, a:b] = np.where(won, share, dx[:, a:b]) if largest else share
            else:
                dx[:, a:b] += share
        return dx

    return forward, backward


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize(
    "mistake", ["", "floored", "side_by_side", "even", "undivided_parts", "overwritten_parts"]
)
def test_verify_names_the_mistake(largest: bool, mistake: str) -> None:
    if largest and mistake in ("even", "undivided_parts"):
        return
    x = np.random.default_rng(0).normal(size=(3, 7, 4))
    like = cr.AdaptiveMaxPool1D(3) if largest else "adaptive_avg_pool1d(3)"
    verdict = cr.verify(*loops(largest, mistake), args=[x], like=like)
    assert bool(verdict) == (not mistake)
    assert [finding.mistake for finding in verdict.findings] == [mistake.replace("_", " ")] * bool(mistake)


def test_formulas_in_print() -> None:
    mean, most = (trace(cls(3)).equations for cls in (cr.AdaptiveAveragePool2D, cr.AdaptiveMaxPool1D))
    assert str(mean["forward"]) == "Xˡ_{i,j} = mean_{(u,v) ∈ R_{i,j}} Xˡ⁻¹_{u,v}"
    assert str(mean["delta"]) == "∂J/∂Xˡ⁻¹_{u,v} = Σ_{(i,j) : (u,v) ∈ R_{i,j}} (δˡ_{i,j} / |R_{i,j}|)"
    assert str(most["forward"]) == "Xˡ_i = max_{u ∈ R_i} Xˡ⁻¹_u"
    assert str(most["delta"]) == "∂J/∂Xˡ⁻¹_u = Σ_i δˡ_i [u = arg max_{R_i} Xˡ⁻¹]"
    assert "from ⌊i n/s⌋ to ⌈(i + 1) n/s⌉ − 1" in most["delta"].remarks[0]


def test_every_formula_has_its_remarks() -> None:
    """What LocalResponseNorm leaves unsaid ended in a KeyError of its own option."""
    for case in LAYER_CASES:
        for equation in trace(case.make()).equations.values():
            assert all(equation.remarks), case.id
