"""What mutants are made of, as somebody's functions on drawn arrays: layers, losses, penalties, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.calling import declared
from chainrule.losses import (
    BinaryCrossEntropy,
    CategoricalHinge,
    CosineDistance,
    CrossEntropy,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MultiMargin,
    NegativeLogLikelihood,
    Poisson,
    SoftMargin,
    SquaredError,
)
from chainrule.losses.penalties import L1, L2, ElasticNet, Penalty
from chainrule.reference.passes import layer_forward
from chainrule.verifying.meanings.functions.function import Function
from chainrule.verifying.meanings.functions.known import functions
from chainrule.verifying.mutants.examples import EXAMPLES, SAMPLES, Example

OUTPUTS = 4
Draw = Callable[[np.random.Generator], list[Array]]


@dataclass(frozen=True, eq=False)
class Written:
    """forward(*args) as somebody writes it, and arrays for it.  like: what it is meant to be."""

    like: Any
    names: tuple[str, ...]
    forward: Callable[..., Array]
    draw: Draw


def written(kind: str) -> Iterator[Written]:
    """Everything of that name."""
    for example in EXAMPLES.get(kind, ()):
        yield _layer(kind, example)
    yield from (_loss(*known) for known in LOSSES.get(kind, ()))
    yield from (_penalty(penalty) for penalty in PENALTIES.get(kind, ()))
    if kind in FUNCTIONS:
        yield _function(kind)


# -- layers --------------------------------------------------------------------------------------------------


def _layer(kind: str, example: Example) -> Written:
    layer = example.layer(kind)
    learned = {name: spec.shape for name, spec in layer.parameters(example.shape).items() if spec.learned}
    masks = [name for name, needed in declared(layer.forward) if needed and name not in ("x", *learned)]

    def draw(rng: np.random.Generator) -> list[Array]:
        shape = (SAMPLES, *example.shape)
        x: Array = rng.normal(size=shape)
        if "vocabulary" in example.options:
            x = rng.integers(0, example.options["vocabulary"], shape)
        if example.empty:
            x[0, : example.empty] = 0.0
        parameters = [rng.normal(size=size) for size in learned.values()]
        return [x, *parameters, *((rng.random(shape) < 0.6).astype(np.float64) for _ in masks)]

    def forward(x: Array, *others: Array) -> Array:
        given = dict(zip(learned, others, strict=False))
        flags = {
            name: np.moveaxis(value, 0, -1) for name, value in zip(masks, others[len(learned) :], strict=True)
        }
        with np.errstate(all="ignore"):
            return np.moveaxis(layer_forward(layer, np.moveaxis(x, 0, -1), {**given, **flags}), -1, 0)

    return Written(layer, ("x", *learned, *masks), forward, draw)


# -- losses --------------------------------------------------------------------------------------------------


def _softmax(z: Array) -> Array:
    grown = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def _log_softmax(z: Array) -> Array:
    return np.log(_softmax(z))


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def _as_it_is(z: Array) -> Array:
    return z


def _normal(rng: np.random.Generator) -> Array:
    return rng.normal(size=(SAMPLES, OUTPUTS))


def _one_hot(rng: np.random.Generator) -> Array:
    return np.eye(OUTPUTS)[rng.integers(0, OUTPUTS, SAMPLES)]


def _either(rng: np.random.Generator) -> Array:
    return rng.integers(0, 2, (SAMPLES, OUTPUTS)).astype(np.float64)


def _counts(rng: np.random.Generator) -> Array:
    return rng.integers(0, 5, (SAMPLES, OUTPUTS)).astype(np.float64)


# (loss, what comes before it in their function, how outputs and targets are drawn)
Known = tuple[Loss, Callable[[Array], Array], Callable[..., Array], Callable[..., Array]]
LOSSES: Mapping[str, tuple[Known, ...]] = {
    "SquaredError": ((SquaredError(), _as_it_is, _normal, _normal),),
    "MeanAbsoluteError": ((MeanAbsoluteError(), _as_it_is, _normal, _normal),),
    "Huber": ((Huber(), _as_it_is, _normal, _normal),),
    "CrossEntropy": (
        (CrossEntropy(), _softmax, _normal, _one_hot),
        (CrossEntropy(), _as_it_is, lambda rng: _softmax(_normal(rng)), _one_hot),
    ),
    "BinaryCrossEntropy": (
        (BinaryCrossEntropy(), _sigmoid, _normal, _either),
        (BinaryCrossEntropy(), _as_it_is, lambda rng: _sigmoid(_normal(rng)), _either),
    ),
    "Poisson": ((Poisson(), _as_it_is, lambda rng: np.exp(_normal(rng)), _counts),),
    "Hinge": ((Hinge(), _as_it_is, _normal, lambda rng: 2 * _either(rng) - 1),),
    "CategoricalHinge": ((CategoricalHinge(), _as_it_is, _normal, _one_hot),),
    "MultiMargin": ((MultiMargin(), _as_it_is, _normal, _one_hot),),
    "SoftMargin": ((SoftMargin(), _as_it_is, _normal, lambda rng: 2 * _either(rng) - 1),),
    "NegativeLogLikelihood": ((NegativeLogLikelihood(), _log_softmax, _normal, _one_hot),),
    "KLDivergence": ((KLDivergence(), _log_softmax, _normal, lambda rng: _softmax(_normal(rng))),),
    "CosineDistance": ((CosineDistance(), _as_it_is, _normal, _normal),),
}


def _loss(loss: Loss, before: Callable[[Array], Array], outputs: Any, targets: Any) -> Written:
    def forward(z: Array, y: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(np.sum(loss.value(before(z).T, y.T)) / len(z))

    return Written(loss, ("z", "y"), forward, lambda rng: [outputs(rng), targets(rng)])


# -- penalties, and functions of several inputs --------------------------------------------------------------

PENALTIES: Mapping[str, tuple[Penalty, ...]] = {
    "L1": (L1(0.3),),
    "L2": (L2(0.3),),
    "ElasticNet": (ElasticNet(0.3, 0.4),),
}
FUNCTIONS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "attention": ((SAMPLES, 5, 4), (SAMPLES, 5, 4), (SAMPLES, 5, 6)),
    "swiglu": ((SAMPLES, OUTPUTS),) * 2,
    "geglu": ((SAMPLES, OUTPUTS),) * 2,
    "glu": ((SAMPLES, OUTPUTS),) * 2,
    "maximum": ((SAMPLES, OUTPUTS),) * 2,
    "minimum": ((SAMPLES, OUTPUTS),) * 2,
    "rotary": ((SAMPLES, 5, 6), (5, 3), (5, 3)),
}
KINDS = (*EXAMPLES, *LOSSES, *PENALTIES, *FUNCTIONS)


def _penalty(penalty: Penalty) -> Written:
    def draw(rng: np.random.Generator) -> list[Array]:
        return [rng.normal(size=(4, 5))]

    return Written(penalty, ("W",), lambda W: np.asarray(penalty.value(W, 1)), draw)


def _function(kind: str) -> Written:
    function: Function = functions(kind, {})[0]
    shapes = FUNCTIONS[kind]

    def ours(value: Array) -> Array:
        """Samples last; what all samples have in common, of one axis fewer, behind an axis of one."""
        return np.moveaxis(value, 0, -1) if value.ndim == len(shapes[0]) else value[..., None]

    def forward(*args: Array) -> Array:
        made = function.forward(**dict(zip(function.inputs, map(ours, args), strict=True)))
        return np.moveaxis(np.asarray(made), -1, 0)

    def draw(rng: np.random.Generator) -> list[Array]:
        return [rng.normal(size=shape) for shape in shapes]

    return Written(kind, function.inputs, forward, draw)
