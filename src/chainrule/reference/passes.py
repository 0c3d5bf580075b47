"""The specification: forward and backward pass by the layers' formulas alone, in float64, one line per
formula.

It is never optimised.  The compiled kernels, the finite differences and the printed derivation are tested
against it. Inside, samples are the last axis, as in Matrix notes: vectors are (features, m), images (rows,
columns, channels, m).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.types import Array
from chainrule.layers import Composite, Layer, call_formula
from chainrule.layers.precision import BFLOAT16, is_rounded, rounded
from chainrule.layers.randomness import random_bits
from chainrule.layers.structure import Chain, Masks, mask_behind, mask_for, run_branches
from chainrule.networks.architecture import check_batch, computed_together
from chainrule.networks.model import Model

Values = Mapping[str, Array]


@dataclass
class PassContext:
    """What a pass needs beside numbers: whether it trains, the random numbers' seed and step, and the mask of
    the samples' sequences, (steps, m): from the layer that says which steps are there, through those that
    keep the steps; of branches, the mask of the first that has one goes on. `follow` says what goes on
    instead of a layer's output.
    """

    training: bool
    seed: int = 0
    step: int = 0
    mask: Array | None = None
    follow: Callable[[Pass], Array] | None = None

    def bits(self, name: str) -> Callable[[tuple[int, ...]], Array]:
        """The random numbers of a layer in this pass."""
        return lambda shape: random_bits(self.seed, self.step, name, shape)


@dataclass(frozen=True, eq=False)
class Pass:
    """One layer's forward pass: what went in, what came out (samples last), what else its formulas were
    given, and of a composite the passes within its branches, the outputs that it joins, and what came in
    beside x where every branch reads a value of its own. rounded: whether its products are of bfloat16.
    """

    layer: Layer
    x: Array
    output: Array
    given: Values
    inside: tuple[tuple[Pass, ...], ...] = ()
    ends: tuple[Array, ...] = ()
    beside: tuple[Array, ...] = ()
    rounded: bool = False

    @property
    def name(self) -> str:
        return str(self.layer.name)


@dataclass(frozen=True, eq=False)
class Backward:
    """One layer's backward pass: d = ∂J/∂(its output), below = ∂J/∂(its input), and its gradients.

    forward: the pass it goes back over.  place: "" on the network's main chain, "residual1/2" in the second
    branch of residual1.
    """

    forward: Pass
    place: str
    d: Array
    below: Array
    gradients: dict[str, Array]


def run_forward(
    network: Model, x: Array, parameters: Values | None, dtype: Any, context: PassContext | None = None
) -> list[Pass]:
    """The passes of the network's layers in order; without a context those of a training step."""
    context = PassContext(training=True) if context is None else context

    def chain(layers: Iterable[Layer], x: Array, *beside: Array) -> list[Pass]:
        passes: list[Pass] = []
        for layer in layers:
            if isinstance(layer, Composite):
                layer_pass, beside = composite(layer, x, *beside), ()
            else:
                layer_pass = leaf(layer, x)
            expected = (*network.shapes[layer_pass.name], x.shape[-1])
            if layer_pass.output.shape != expected:
                raise ShapeError(
                    f"{_formula(layer, 'forward')} returned the shape {layer_pass.output.shape}, "
                    f"its output_shape says {expected}"
                )
            if context.follow is not None:
                layer_pass = replace(layer_pass, output=context.follow(layer_pass))
            passes.append(layer_pass)
            x = layer_pass.output
            if isinstance(context.mask, Masks):
                continue  # they are the next layer's, which reads several values
            if context.mask is not None and (x.ndim != 3 or len(x) != len(context.mask)):
                context.mask = None  # the steps end here
        return passes

    def composite(layer: Composite, x: Array, *beside: Array) -> Pass:
        inside: list[tuple[Pass, ...]] = []

        def branch(number: int, layers: Chain, given: tuple[Array, ...]) -> Array:
            inside.append(tuple(chain(layers, *given)))
            return inside[-1][-1].output if layers else given[0]

        ends = run_branches(context, layer, (x, *beside), branch)
        return Pass(layer, x, layer.forward(*ends), {}, tuple(inside), tuple(ends), beside)

    def leaf(layer: Layer, x: Array) -> Pass:
        given = dict(parameters_of(network, layer, parameters, dtype))
        if (read := mask_for(layer, context.mask)) is not None:
            given["mask"] = read.astype(dtype)
        if context.training:
            given |= layer.draw(x.shape, context.bits(layer.stream))
        mask = layer.mask(x)
        context.mask = mask_behind(layer, context.mask) if mask is None else mask
        rounds = network.precision == BFLOAT16 and is_rounded(layer)
        output = layer_forward(layer, x, given, training=context.training, rounds=rounds)
        return Pass(layer, x, output, given, rounded=rounds)

    together = network.layers if context.training else computed_together(network.layers)
    check_batch(together, network.shapes, x.shape[-1])
    return chain(network.layers, x)


@dataclass(frozen=True)
class BackwardRules:
    """How a backward pass goes: `leaf` computes (∂J/∂x, gradients) of a layer from d and its pass, and `join`
    what arrives at a composite's input from its branches' shares.
    """

    leaf: Callable[[Pass, Array], tuple[Array, dict[str, Array]]]
    join: Callable[[Pass, Sequence[Array]], Array]


def _leaf(layer_pass: Pass, d: Array) -> tuple[Array, dict[str, Array]]:
    given = (layer_pass.x, layer_pass.output, layer_pass.given)
    return layer_backward(layer_pass.layer, d, *given, rounds=layer_pass.rounded)


def _join(layer_pass: Pass, parts: Sequence[Array]) -> Array:
    return functools.reduce(np.add, parts)  # one value, several readers: its δ is the sum of theirs


RIGHT = BackwardRules(_leaf, _join)


def run_backward(
    passes: Sequence[Pass],
    d: Array,
    visit: Callable[[Backward], None],
    place: str = "",
    rules: BackwardRules = RIGHT,
) -> Array:
    """∂J/∂(input of the chain) from d = ∂J/∂(its output).  `visit` is told of every layer, the last one first
    and a composite behind what is in it.
    """
    return _backward(passes, d, visit, place, rules)[0]


def _backward(
    passes: Sequence[Pass], d: Array, visit: Callable[[Backward], None], place: str, rules: BackwardRules
) -> tuple[Array, ...]:
    """The same of every value that the chain reads."""
    below: tuple[Array, ...] = (d,)
    for layer_pass in reversed(passes):
        gradients: dict[str, Array] = {}
        (d,) = below
        if isinstance(layer_pass.layer, Composite):
            below = _backward_within(layer_pass, layer_pass.layer, d, visit, rules)
        else:
            share, gradients = rules.leaf(layer_pass, d)
            below = (share,)
        visit(Backward(layer_pass, place, d, below[0], gradients))
    return below


def _backward_within(
    layer_pass: Pass, layer: Composite, d: Array, visit: Callable[[Backward], None], rules: BackwardRules
) -> tuple[Array, ...]:
    """∂J/∂ of what came into a composite: through its branches, each behind those that read it."""
    joined = len(layer.chains) + 1
    arrived: list[dict[int, Array]] = [{} for _ in range(joined)]  # value -> reader -> its share of δ
    for end, part in zip(layer.ends, layer.delta(d, *layer_pass.ends), strict=True):
        arrived[end][joined] = part
    for number in reversed(range(1, joined)):
        shares = [arrived[number][reader] for reader in sorted(arrived[number])]
        inside, place = layer_pass.inside[number - 1], f"{layer_pass.name}/{number}"
        parts = _backward(inside, functools.reduce(np.add, shares), visit, place, rules)
        for source, part in zip(layer.reads[number - 1], parts, strict=True):
            before = arrived[source].get(number)
            arrived[source][number] = part if before is None else before + part
    shares = [arrived[0][reader] for reader in sorted(arrived[0])]
    return tuple(shares) if layer_pass.beside else (rules.join(layer_pass, shares),)


def all_passes(passes: Iterable[Pass]) -> Iterator[Pass]:
    """Every pass, those of composites behind what is in them."""
    for layer_pass in passes:
        for inside in layer_pass.inside:
            yield from all_passes(inside)
        yield layer_pass


def leaf_passes(passes: Iterable[Pass]) -> list[Pass]:
    """The passes of the layers that compute."""
    return [layer_pass for layer_pass in all_passes(passes) if not isinstance(layer_pass.layer, Composite)]


def layer_forward(
    layer: Layer, x: Array, given: Values, *, training: bool = True, rounds: bool = False
) -> Array:
    """The output of one layer, samples last; `given`: its parameters and what else its formula declares;
    rounds: x and W to bfloat16 first.
    """
    formula = "forward" if training or layer.infer is None else "infer"
    available = {"x": x, **given}
    return np.asanyarray(_evaluate(layer, formula, _rounded(available) if rounds else available))


_FACTORS = ("x", "W", "d")


def _rounded(available: Values) -> dict[str, Array]:
    return {name: rounded(value) if name in _FACTORS else value for name, value in available.items()}


def layer_backward(
    layer: Layer, d: Array, x: Array, output: Array, given: Values, *, rounds: bool = False
) -> tuple[Array, dict[str, Array]]:
    """(∂J/∂x, ∂J/∂parameter by name) from d = ∂J/∂output, samples last; rounds: d, x and W to bfloat16 where
    they are multiplied.

    A gradient has the shape of its variable (Matrix notes §5): ShapeError that names the formula if it
    has not.
    """
    available = {"d": d, "x": x, "z": output, "a": output, **given}
    factors = _rounded(available) if rounds else available
    below = np.asanyarray(_evaluate(layer, "delta", factors))
    if below.shape != x.shape:
        raise ShapeError(
            f"{_formula(layer, 'delta')} must have the shape {x.shape} of x, it returned {below.shape}"
        )
    gradients = _evaluate(layer, "gradients", factors)
    if rounds and "b" in gradients:  # a sum of δ as it is
        gradients = {**gradients, "b": _evaluate(layer, "gradients", available)["b"]}
    learned = [name for name, spec in layer.parameters(x.shape[:-1]).items() if spec.learned]
    if set(gradients) != set(learned):
        raise ShapeError(
            f"{_formula(layer, 'gradients')} must return one gradient per parameter, {sorted(learned)}, "
            f"it returned {sorted(gradients)}"
        )
    for name in learned:
        if np.shape(gradients[name]) != given[name].shape:
            raise ShapeError(
                f"{_formula(layer, 'gradients')} must return {name!r} with the shape {given[name].shape}, "
                f"it returned {np.shape(gradients[name])}"
            )
    return below, {name: np.asanyarray(gradients[name]) for name in learned}


def parameters_of(network: Model, layer: Layer, parameters: Values | None, dtype: Any) -> dict[str, Array]:
    """The parameters of one layer by their own names."""
    return {
        key: _value(network, name, parameters, dtype) for key, name in network.parameter_names(layer).items()
    }


def to_columns(X: Array, dtype: Any) -> Array:
    """Samples first -> samples last; uint8 are pixels, value / 255."""
    columns = np.moveaxis(X, 0, -1).astype(dtype)
    return columns / 255 if X.dtype == np.uint8 else columns


def to_rows(x: Array) -> Array:
    """Samples last -> samples first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 0))


def target_columns(y: Array, network: Model, dtype: Any) -> Array:
    """Targets with samples last; class numbers (N,) become one-hot columns."""
    if y.dtype.kind in "iu" and y.ndim == len(network.output_shape):
        y = np.eye(network.output_shape[-1])[y]
    return np.moveaxis(y, 0, -1).astype(dtype)


def network_values(network: Model, parameters: Values | None, dtype: Any) -> dict[str, Array]:
    """All parameters by name, in `dtype`."""
    return {name: _value(network, name, parameters, dtype) for name in network.parameters}


def _value(network: Model, name: str, parameters: Values | None, dtype: Any) -> Array:
    return (network.parameters if parameters is None else parameters)[name].astype(dtype, copy=False)


def _evaluate(layer: Layer, formula: str, available: Values) -> Any:
    try:
        return call_formula(getattr(layer, formula), available)
    except ValueError as error:  # NumPy: shapes that do not fit, such as a transpose forgotten
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in available.items())
        title = _formula(layer, formula)
        raise ShapeError(f"{title} cannot be computed: {error}; there are {shapes}") from error


def _formula(layer: Layer, formula: str) -> str:
    return f"{type(layer).__name__}.{formula} ({layer.name})"
