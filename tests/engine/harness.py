"""What the tests of the engine share: levels, batches, tolerances, and the comparison with the formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

import chainrule as cr
from chainrule import _native, reference
from chainrule.engine import Plan, lanes, set_threads, threads
from chainrule.engine.lowering import walk
from chainrule.layers.norms.normalization import Normalization
from chainrule.networks.architecture import all_layers, told_apart
from tests import by_formula
from tests.pairwise import CHOICE

Array = NDArray[Any]

LEVELS: list[str] = _native.supported_levels()
DTYPES = ("float32", "float64")
MACHINES = [(level, dtype) for level in LEVELS for dtype in DTYPES]

# A sum of n terms is wrong by at most n·eps of the sum of their magnitudes, in practice by about √n·eps. The
# allowance is SAFETY·eps·(terms of all sums passed), of the largest entry of what is compared; Winograd's
# transforms (16 products for four results) and activations of a few ulp are within SAFETY.
SAFETY = 4.0
# Entries of a tensor are compared on the scale of its largest entry, but not below this share of the largest
# of all tensors of its kind: what is small because it cancels carries the rounding errors of what was added.
SMALLEST_SHARE = 1e-2
# A ReLU's input or the lead of a maximum must be away from a tie by this share of the largest value, or
# float32 and float64 may take different branches: 80 float32 roundings.
KINK_MARGIN = 1e-5


def machines_by_turns(number: int) -> list[tuple[str, str]]:
    """Every level, with float32 and float64 by turns, of the next case the other way; with --whole both."""
    if CHOICE["whole"]:
        return MACHINES
    turn = number + CHOICE["draw"]
    return [(level, DTYPES[(turn + place) % 2]) for place, level in enumerate(LEVELS)]


def batch_sizes(width: int) -> tuple[int, ...]:
    """Around the lanes of a register: one, one short, full, one over, and two blocks and a bit."""
    return tuple(sorted({1, max(width - 1, 1), width, width + 1, 2 * width + 3}))


def residual(*layers: cr.Layer) -> cr.Residual:
    return cr.Residual(list(layers))


def moved_away(network: cr.Network, rng: np.random.Generator) -> None:
    """Every parameter away from where it starts, in place."""
    for key, array in network.parameters.items():
        network.parameters[key] = array + 0.2 * rng.random(array.shape)


def choosing(monkeypatch: pytest.MonkeyPatch, chooser: str, first: object) -> Iterator[list[object]]:
    """What lies in the lanes of the plans that are made from now on, in place of what `chooser` of lowering
    says: the last entry of the list.  Threads are as before at the end.
    """
    wanted = [first]
    monkeypatch.setattr(walk, chooser, lambda *arguments: wanted[-1])
    before = threads()
    yield wanted
    set_threads(before)


def close(found: dict[str, Array], expected: dict[str, Array], tolerance: Any) -> None:
    """Of one scale, but for what is small everywhere."""
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        scale = max(np.abs(array).max(), 1e-2 * largest)
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * scale, err_msg=name)


@dataclass(frozen=True, eq=False)
class Problem:
    """A network in float32 (every number of it is one in float64 too) and a batch for it."""

    network: cr.Network
    X: Array
    y: Array  # encoded: int64 class numbers or numbers of the output's shape
    loss: cr.Loss
    penalty: cr.Penalty | None = None
    weights: Array | None = None
    training_size: int | None = None

    def first(self, samples: int) -> Problem:
        weights = None if self.weights is None else self.weights[:samples]
        return replace(self, X=self.X[:samples], y=self.y[:samples], weights=weights)

    def step(self) -> cr.Step:
        size = self.training_size
        return by_formula.backpropagate(
            self.network, self.X, self.y, self.loss, self.penalty, self.weights, size
        )

    def plan(
        self, level: str, dtype: str, *, keep: bool, batch_size: int | None = None, **options: Any
    ) -> Plan:
        return Plan(
            self.network,
            self.loss,
            self.penalty,
            dtype=dtype,
            level=level,
            keep=keep,
            batch_size=batch_size or len(self.X),
            training_size=self.training_size or len(self.X),
            **options,
        )


def summed_terms(network: cr.Network, samples: int) -> int:
    """How many terms the sums have that a value can pass on its way through the network and back, all
    together.
    """
    terms = 8
    for layer in all_layers(network.layers):
        positions = int(np.prod(network.shapes[str(layer.name)][:-1]))
        for array in network.layer_parameters(layer).values():
            first = (array.shape or (1,))[0]
            kernel = int(np.prod(array.shape[1:-1]))
            terms += array.size // first + samples * positions  # forward and δ; the gradient
            terms += first * (array.ndim > 2) * kernel
        if isinstance(layer, Normalization):  # two averages each way
            shape = network.shapes[str(layer.name)]
            over = {cr.BatchNorm: samples * positions, cr.GroupNorm: positions * shape[-1]}
            terms += 4 * over.get(type(layer), shape[-1])
        terms += 4 + (network.shapes[str(layer.name)][-1] if isinstance(layer, cr.Softmax) else 0)
    return terms


def sums_of_delta(step: cr.Step) -> dict[str, float]:
    """Name of a bias -> the largest Σ|δ| that its gradient adds up: in front of a normalisation δ cancels."""
    sums = {}
    for name in step.gradients:
        delta = step.deltas.get(name.rpartition(".")[0])
        if name.endswith(".b") and delta is not None:
            sums[name] = float(np.abs(delta).sum(axis=tuple(range(delta.ndim - 1))).max(initial=0))
    return sums


def assert_close(
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: float,
    kind: str,
    sums: Mapping[str, float] | None = None,
) -> None:
    """Every array within `tolerance` of its largest entry, or of the sum of magnitudes it is made of."""
    assert set(actual) == set(expected), f"{kind}: {sorted(actual)} instead of {sorted(expected)}"
    largest = {name: float(np.abs(array).max(initial=0)) for name, array in expected.items()}
    floor = SMALLEST_SHARE * max(largest.values(), default=0.0)
    for name, array in expected.items():
        assert actual[name].shape == array.shape, f"{kind} {name}"
        error = np.abs(actual[name].astype(np.float64) - array)
        allowed = tolerance * max(largest[name], floor, (sums or {}).get(name, 0.0))
        worst = np.unravel_index(np.argmax(error), error.shape)
        assert (error <= allowed).all(), (  # NaN fails too
            f"{kind} {name}: wrong by {error[worst]:.3g} at {worst}, allowed {allowed:.3g}"
        )


def assert_like_reference(problem: Problem, level: str, dtype: str, batch_size: int, step: cr.Step) -> None:
    """Everything the formulas say of a batch, by the plan that keeps all layers apart and by the fused
    one.
    """
    tolerance = SAFETY * float(np.finfo(dtype).eps) * summed_terms(problem.network, len(problem.X))
    loss_scale = max(abs(step.loss), 1.0)
    for keep in (True, False):
        plan = problem.plan(level, dtype, keep=keep, batch_size=batch_size)
        name = f"{'kept' if keep else 'fused'} {level} {dtype} {len(problem.X)} of {batch_size}:"
        if keep:
            loss, activations, deltas, gradients = plan.inspect(problem.X, problem.y, problem.weights)
            assert_close(activations, step.activations, tolerance, f"{name} activation")
            assert_close(deltas, step.deltas, tolerance, f"{name} δ")
        else:
            loss, gradients = plan.gradients(problem.X, problem.y, problem.weights)
        assert_close(gradients, step.gradients, tolerance, f"{name} gradient", sums_of_delta(step))
        assert abs(loss - step.loss) <= tolerance * loss_scale, f"{name} loss {loss}, expected {step.loss}"
        outputs = {"output": plan.predict(problem.X)}
        expected = step.output
        if told_apart(problem.network.layers):  # a prediction is another pass than that of the step
            expected = reference.forward(problem.network, problem.X)
        assert_close(outputs, {"output": expected}, tolerance, f"{name} predicted")


def away_from_kinks(network: cr.Network, X: Array) -> bool:
    """Whether no ReLU and no maximum of the network is so close to a tie that rounding could decide it."""
    passes = reference.run_forward(network, reference.to_columns(X, np.float64), None, np.float64)
    for layer, x in ((one.layer, one.x) for one in reference.leaf_passes(passes)):
        margin = KINK_MARGIN * np.abs(x).max(initial=0)
        kinks = (0.0,) if isinstance(layer, cr.PReLU) else getattr(layer, "kinks", ())
        if any(((np.abs(x - kink) < margin) & (x != kink)).any() for kink in kinks):
            return False
        if isinstance(layer, cr.MaxUnpool2D):
            layer, x = layer.pool, layer.read(x)[1]
        if isinstance(layer, cr.MaxPool2D | cr.GlobalMaxPool) and not _clear_maxima(layer, x, margin):
            return False
    return True


def _clear_maxima(layer: cr.MaxPool2D | cr.GlobalMaxPool, x: Array, margin: float) -> bool:
    positions = tuple(range(x.ndim - 2))
    if isinstance(layer, cr.GlobalMaxPool):
        windows = sliding_window_view(x, x.shape[:-2], axis=positions)
    else:
        steps = tuple(slice(None, None, step) for step in layer.grid.stride)
        frame = [*layer.pads(x.shape[:-1]), (0, 0), (0, 0)]
        padded = np.pad(x, frame, constant_values=-np.finfo(x.dtype).max)
        windows = sliding_window_view(padded, layer.grid.kernel, axis=positions)[steps]
    best = np.sort(windows.reshape(*windows.shape[: x.ndim], -1), axis=-1)[..., -2:]
    if best.shape[-1] < 2:
        return True
    with np.errstate(over="ignore"):
        close = best[..., 1] - best[..., 0] < margin
    return not (close & (best[..., 1] != best[..., 0])).any()  # 0 and 0 behind a ReLU is an exact tie


def width(level: str, dtype: str) -> int:
    return lanes(dtype, level)


def same_bits(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Equal as bytes: NaN equals NaN, 0 differs from -0."""
    return set(one) == set(other) and all(one[name].tobytes() == other[name].tobytes() for name in one)
