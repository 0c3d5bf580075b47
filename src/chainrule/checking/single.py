"""A single layer, loss or penalty: its formulas against finite differences, apart from any network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import reference
from chainrule.base.errors import ArgumentError, ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.memory import check_memory
from chainrule.base.scalars import check_count
from chainrule.base.types import Array
from chainrule.checking.compare import TOLERANCE, Comparison, Direction, Entries, compare, named
from chainrule.checking.evaluators import FunctionEvaluator, Values
from chainrule.checking.report import GradientReport
from chainrule.data.arrays import numbers, plain_array
from chainrule.formulas.tracing import refuse_several
from chainrule.layers import Embedding, Layer, Recurrent
from chainrule.layers.initializers import Glorot
from chainrule.layers.randomness import random_bits
from chainrule.losses import Loss
from chainrule.losses.penalties import Penalty
from chainrule.networks.architecture import architecture, input_shape_from

X = "x"
DELTA = "delta"


@teach("check_layer(layer, input_shape), and the others by name")
def check_layer(
    layer: Layer,
    input_shape: Any,
    *,
    samples: int = 3,
    x: Any = None,
    parameters: Values | None = None,
    entries: Entries = "auto",
    direction: Direction = "auto",
    tolerance: float | None = None,
    seed: int = 0,
) -> GradientReport:
    """Check the formulas of one layer, `delta` and `gradients`, against finite differences of its `forward`.

    input_shape: of one sample. x: inputs (samples, *input_shape) to check at, by default normal random
    numbers, for an Embedding ids; give them where forward needs others (a logarithm: positive ones).
    parameters: name -> array, by default as initialised, slightly shaken so that no bias is 0. Other options
    as for `check_gradients`.

    J is Σ c ⊙ forward(x) with random numbers c, so d = c. The report's records are "delta" and the
    parameters' names. Raises ShapeError where a formula returns another shape than it must, and
    ValueError for a recurrence that cuts δ.
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"check_layer takes a layer object such as Dense(3), received {describe(layer)}")
    refuse_truncated(layer)
    samples, seed = check_count("samples", samples), check_count("seed", seed, 0, math.inf)
    if parameters is not None and not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict, name -> array, received {describe(parameters)}")
    refuse_several(layer)
    rng = np.random.Generator(np.random.PCG64(seed))
    plan = architecture([layer], input_shape)
    planned, shape = plan.layers[0], input_shape_from(input_shape)
    check_memory("samples", f"a batch of {samples}", (samples, *shape))
    rows = _inputs(planned, (samples, *shape), rng) if x is None else numbers(plain_array(x, "x"), "x")
    rows = rows.astype(np.float64)
    if rows.shape[1:] != shape or not len(rows):
        raise ShapeError(
            f"x must have the shape (samples, {', '.join(map(str, shape))}), received {rows.shape}"
        )
    values = {}
    for name, spec in planned.parameters(shape).items():
        if parameters is not None and name in parameters:
            values[name] = np.asarray(parameters[name], dtype=np.float64)
            continue
        start = (spec.initializer or Glorot())(spec.shape, spec.fan_in, spec.fan_out, rng)
        values[name] = start + 0.1 * rng.standard_normal(spec.shape)
    expected = (*plan.shapes[str(planned.name)], len(rows))
    comparison = _compare_layer(
        planned, np.moveaxis(rows, 0, -1), values, expected, entries, direction, tolerance, seed
    )
    return _report(f"layer {planned!r}", comparison, tolerance)


def refuse_truncated(layer: Layer) -> None:
    """ValueError for a layer whose δ is meant to be another number than the derivative."""
    if isinstance(layer, Recurrent) and layer.truncate is not None:
        raise ArgumentError(
            f"{layer!r} cuts δ on its way through time, so its gradients are not the derivatives that finite "
            "differences give; check it with truncate=None"
        )


def check_loss(
    loss: Loss, a: Any, y: Any, *, z: Any = None, tolerance: float | None = None, seed: int = 0
) -> GradientReport:
    """Check the gradient of a loss, and with z the residual of its pair, against finite differences of its
    values.

    a, y, z: (samples, *output_shape), y as the formulas take it (`Loss.prepared`). The records are "gradient"
    and "residual"; a residual is also WRONG where `value_from_z` is another function than `value`.
    """
    a, y = (np.moveaxis(np.asarray(array, dtype=np.float64), 0, -1) for array in (a, y))
    evaluator = FunctionEvaluator(
        {"a": a},
        lambda v: np.sum(loss.value(v["a"], y)),
        lambda v: {"a": _shaped(loss.gradient(v["a"], y), a, loss)},
        lambda v: loss.branches(v["a"], y),
    )
    options: dict[str, Any] = {"entries": "auto", "direction": "auto", "tolerance": tolerance, "seed": seed}
    if z is None or loss.output is None:
        return _report(f"loss {loss!r}", named(compare(evaluator, **options), {"a": "gradient"}), tolerance)
    activation = loss.output()
    paired = FunctionEvaluator(
        {"z": np.moveaxis(np.asarray(z, dtype=np.float64), 0, -1)},
        lambda v: np.sum(loss.value_from_z(v["z"], y)),
        lambda v: {"z": _shaped(loss.residual(reference.layer_forward(activation, v["z"], {}), y), a, loss)},
    )
    return _report(f"loss {loss!r}", named(compare(paired, **options), {"z": "residual"}), tolerance)


def check_penalty(
    penalty: Penalty, W: Array, training_size: int, *, tolerance: float | None = None
) -> GradientReport:
    """Check the gradient of a penalty against finite differences of its value; the record is "gradient"."""
    evaluator = FunctionEvaluator(
        {"gradient": np.asarray(W, dtype=np.float64)},
        lambda v: penalty.value(v["gradient"], training_size),
        lambda v: {"gradient": _shaped(penalty.gradient(v["gradient"], training_size), W, penalty)},
        lambda v: penalty.branches(v["gradient"]),
    )
    comparison = compare(evaluator, entries="auto", direction="auto", tolerance=tolerance, seed=0)
    return _report(f"penalty {penalty!r}", comparison, tolerance)


def _inputs(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Normal random numbers, for an Embedding ids."""
    if isinstance(layer, Embedding):
        return rng.integers(0, layer.vocabulary, shape)
    return rng.standard_normal(shape)


def _compare_layer(
    layer: Layer,
    x: Array,
    parameters: dict[str, Array],
    expected: tuple[int, ...],
    entries: Entries,
    direction: Direction,
    tolerance: float | None,
    seed: int,
) -> Comparison:
    c = np.random.Generator(np.random.PCG64(seed + 1)).standard_normal(expected)
    specs = layer.parameters(x.shape[:-1])
    learned = {name: array for name, array in parameters.items() if specs[name].learned}
    # What is not compared: numbers beside the parameters, and what a training pass draws.
    fixed = {name: array for name, array in parameters.items() if not specs[name].learned}
    fixed |= layer.draw(x.shape, lambda shape: random_bits(seed, 0, "check", shape))

    def forward(values: Values) -> Array:
        given = fixed | {name: value for name, value in values.items() if name != X}
        z = reference.layer_forward(layer, values.get(X, x), given)
        if z.shape != expected:
            raise ShapeError(
                f"{type(layer).__name__}.forward returned the shape {z.shape}, expected {expected}"
            )
        return z

    def gradients(values: Values) -> dict[str, Array]:
        given = fixed | {name: value for name, value in values.items() if name != X}
        below, of_parameters = reference.layer_backward(layer, c, values.get(X, x), forward(values), given)
        return {X: below, **of_parameters}

    compared = {X: x, **learned} if layer.differentiable_input else learned
    evaluator = FunctionEvaluator(
        compared, lambda v: np.sum(c * forward(v)), gradients, lambda v: layer.branches(v.get(X, x))
    )
    comparison = compare(evaluator, entries=entries, direction=direction, tolerance=tolerance, seed=seed)
    return named(comparison, {X: DELTA})


def _shaped(gradient: Any, like: Array, owner: Any) -> Array:
    array = np.asarray(gradient)
    if array.shape != like.shape:
        raise ShapeError(
            f"the gradient of {owner!r} must have the shape {like.shape}, it returned {array.shape}"
        )
    return array


def _report(title: str, comparison: Comparison, tolerance: float | None) -> GradientReport:
    return GradientReport(
        title=title,
        parameters=comparison.records,
        relative_difference=comparison.relative_difference,
        loss=comparison.loss,
        tolerance=tolerance or TOLERANCE,
        computed_by="reference",
    )
