"""The specification: forward and backward pass by the layers' formulas alone, in float64, one line per
formula.

It is never optimised.  The compiled kernels, the finite differences and the printed derivation are tested
against it. Inside, samples are the last axis, as in the seeds: vectors are (features, m), images (rows,
columns, channels, m).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.base.errors import ShapeError
from chainrule.base.norms import row_norms
from chainrule.data.arrays import all_finite
from chainrule.layers import Composite, Layer, call_formula
from chainrule.layers.randomness import random_bits
from chainrule.losses import Loss, loss_for
from chainrule.losses.penalties import Penalty, penalty_value
from chainrule.networks.architecture import INPUT, check_batch
from chainrule.networks.executor import noticing, suspect
from chainrule.networks.network import Network
from chainrule.networks.per_sample import Samples
from chainrule.networks.step import Step

Array = NDArray[Any]
Values = Mapping[str, Array]
_PREDICT_BATCH = 256  # samples per pass of `predict` and `loss`: memory for the activations of this many only


@dataclass
class Context:
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
    given, and the passes within its branches.
    """

    layer: Layer
    x: Array
    output: Array
    given: Values
    inside: tuple[tuple[Pass, ...], ...] = ()

    @property
    def name(self) -> str:
        return str(self.layer.name)


def forward(network: Network, X: Array, parameters: Values | None = None, dtype: Any = np.float64) -> Array:
    """a^L of a prediction: (N, *input_shape) -> (N, *output_shape)."""
    x = to_columns(X, dtype)
    return to_rows(run_forward(network, x, parameters, dtype, Context(training=False))[-1].output)


def backpropagate(
    network: Network,
    X: Array,
    y: Array,
    loss: Loss | None = None,
    penalty: Penalty | None = None,
    weights: Array | None = None,
    training_size: int | None = None,
    parameters: Values | None = None,
    dtype: Any = np.float64,
) -> Step:
    """One forward and backward pass, as in training.

    X: (N, *input_shape). y: as `encode_targets` returns it. weights: (N,), with mean 1 over the data they
    were given for. parameters: instead of the network's own. training_size: m of the penalty, by default N.

    J = (1/m) Σ_i w_i value_i + Σ_W penalty(W).  1/m enters once, in δ^L (seed 004); all else is sums over
    samples.
    """
    loss = loss_for(network.layers[-1]) if loss is None else loss
    m, training_size = len(X), training_size or len(X)
    x = to_columns(X, dtype)
    passes = run_forward(network, x, parameters, dtype)
    targets = loss.prepared(target_columns(y, network, dtype))
    scale = (np.ones(m) if weights is None else weights).astype(dtype) / m

    below, a = passes, passes[-1].output
    if is_pair(network.layers[-1], loss):  # activation and loss in one formula, δ = (a - y) / m: no division
        data_loss = np.sum(scale * loss.value_from_z(passes[-1].x, targets))  # by a (seed 002, 2.4.6)
        d = scale * loss.residual(a, targets)
        below = passes[:-1]
    else:
        data_loss = np.sum(scale * loss.value(a, targets))
        d = scale * loss.gradient(a, targets)

    deltas: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    deltas[INPUT] = run_backward(below, d, deltas, gradients)

    values = {name: _value(network, name, parameters, dtype) for name in network.parameters}
    specs = network.parameter_specs
    if penalty is not None:
        for name, spec in specs.items():
            if spec.penalised:
                gradients[name] = gradients[name] + penalty.gradient(values[name], training_size)
    total = float(data_loss) + penalty_value(values, specs, penalty, training_size)
    activations = {INPUT: x, **{one.name: one.output for one in all_passes(passes)}}
    return Step(
        loss=total,
        data_loss=float(data_loss),
        activations={name: to_rows(value) for name, value in activations.items()},
        deltas={name: to_rows(deltas[name]) for name in activations if name in deltas},
        gradients={name: gradients[name] for name, spec in specs.items() if spec.learned},
    )


def data_loss(
    network: Network,
    X: Array,
    y: Array,
    loss: Loss,
    weights: Array | None = None,
    parameters: Values | None = None,
    dtype: Any = np.float64,
    *,
    training: bool = False,
) -> float:
    """(1/m) Σ_i w_i value_i by the forward pass alone; arguments as for `backpropagate`."""
    last = run_forward(network, to_columns(X, dtype), parameters, dtype, Context(training))[-1]
    targets = loss.prepared(target_columns(y, network, dtype))
    scale = (np.ones(len(X)) if weights is None else weights).astype(dtype) / len(X)
    if is_pair(network.layers[-1], loss):
        return float(np.sum(scale * loss.value_from_z(last.x, targets)))
    return float(np.sum(scale * loss.value(last.output, targets)))


def run_forward(
    network: Network, x: Array, parameters: Values | None, dtype: Any, context: Context | None = None
) -> list[Pass]:
    """The passes of the network's layers in order; without a context those of a training step."""
    context = Context(training=True) if context is None else context

    def chain(layers: Iterable[Layer], x: Array) -> list[Pass]:
        passes: list[Pass] = []
        for layer in layers:
            one = composite(layer, x) if isinstance(layer, Composite) else leaf(layer, x)
            expected = (*network.shapes[one.name], x.shape[-1])
            if one.output.shape != expected:
                raise ShapeError(
                    f"{_formula(layer, 'forward')} returned the shape {one.output.shape}, "
                    f"its output_shape says {expected}"
                )
            if context.follow is not None:
                one = replace(one, output=context.follow(one))
            passes.append(one)
            x = one.output
            if context.mask is not None and (x.ndim != 3 or len(x) != len(context.mask)):
                context.mask = None  # the steps end here
        return passes

    def composite(layer: Composite, x: Array) -> Pass:
        inside, before, after = [], context.mask, []
        for own in layer.chains:
            context.mask = before
            inside.append(tuple(chain(own, x)))
            after.append(context.mask)
        context.mask = next((mask for mask in after if mask is not None), None)
        outputs = [passes[-1].output if passes else x for passes in inside]
        return Pass(layer, x, layer.forward(*outputs), {}, tuple(inside))

    def leaf(layer: Layer, x: Array) -> Pass:
        given = dict(parameters_of(network, layer, parameters, dtype))
        if context.mask is not None:
            given["mask"] = context.mask.astype(dtype)
        if context.training:
            given |= layer.draw(x.shape, context.bits(layer.stream))
        found = layer.mask(x)
        context.mask = context.mask if found is None else found
        return Pass(layer, x, layer_forward(layer, x, given, training=context.training), given)

    if context.training:
        check_batch(network.layers, network.shapes, x.shape[-1])
    return chain(network.layers, x)


def run_backward(
    passes: Sequence[Pass], d: Array, deltas: dict[str, Array], gradients: dict[str, Array]
) -> Array:
    """∂J/∂(input of the chain) from d = ∂J/∂(its output); fills in δ of every layer and the gradients."""
    for one in reversed(passes):
        deltas[one.name] = d
        if isinstance(one.layer, Composite):
            outputs = [inside[-1].output if inside else one.x for inside in one.inside]
            parts = [
                run_backward(inside, part, deltas, gradients)
                for inside, part in zip(one.inside, one.layer.delta(d, *outputs), strict=True)
            ]
            d = functools.reduce(np.add, parts)  # one value, several readers: its δ is the sum of theirs
        else:
            d, of_layer = layer_backward(one.layer, d, one.x, one.output, one.given)
            gradients.update({f"{one.name}.{name}": gradient for name, gradient in of_layer.items()})
    return d


def all_passes(passes: Iterable[Pass]) -> Iterator[Pass]:
    """Every pass, those of composites behind what is in them."""
    for one in passes:
        for inside in one.inside:
            yield from all_passes(inside)
        yield one


def leaf_passes(passes: Iterable[Pass]) -> list[Pass]:
    """The passes of the layers that compute."""
    return [one for one in all_passes(passes) if not isinstance(one.layer, Composite)]


def layer_forward(layer: Layer, x: Array, given: Values, *, training: bool = True) -> Array:
    """The output of one layer, samples last; `given`: its parameters and what else its formula declares."""
    formula = "forward" if training or layer.infer is None else "infer"
    return np.asarray(_evaluate(layer, formula, {"x": x, **given}))


def layer_backward(
    layer: Layer, d: Array, x: Array, output: Array, given: Values
) -> tuple[Array, dict[str, Array]]:
    """(∂J/∂x, ∂J/∂parameter by name) from d = ∂J/∂output, samples last.

    A gradient has the shape of its variable (seed 004 §5): ShapeError that names the formula if it has not.
    """
    available = {"d": d, "x": x, "z": output, "a": output, **given}
    below = np.asarray(_evaluate(layer, "delta", available))
    if below.shape != x.shape:
        raise ShapeError(
            f"{_formula(layer, 'delta')} must have the shape {x.shape} of x, it returned {below.shape}"
        )
    gradients = _evaluate(layer, "gradients", available)
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
    return below, {name: np.asarray(gradients[name]) for name in learned}


def is_pair(last: Layer, loss: Loss) -> bool:
    """Whether output activation and loss are computed as one, a - y.

    Only the very class the loss names: a subclass may have another f, which the fused formula would ignore;
    and only where the loss's own formulas are one set.
    """
    return loss.output is not None and type(last) is loss.output and loss.pair_is_whole()


def parameters_of(network: Network, layer: Layer, parameters: Values | None, dtype: Any) -> dict[str, Array]:
    """The parameters of one layer by their own names."""
    return {
        key: _value(network, f"{layer.name}.{key}", parameters, dtype)
        for key in network.layer_parameters(layer)
    }


def to_columns(X: Array, dtype: Any) -> Array:
    """Samples first -> samples last; uint8 are pixels, value / 255."""
    columns = np.moveaxis(X, 0, -1).astype(dtype)
    return columns / 255 if X.dtype == np.uint8 else columns


def to_rows(x: Array) -> Array:
    """Samples last -> samples first."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 0))


def target_columns(y: Array, network: Network, dtype: Any) -> Array:
    """Targets with samples last; class numbers (N,) become one-hot columns."""
    if y.dtype.kind in "iu" and y.ndim == len(network.output_shape):
        y = np.eye(network.output_shape[-1])[y]
    return np.moveaxis(y, 0, -1).astype(dtype)


class ReferenceExecutor:
    """Executes networks by the formulas, in float64 whatever the network's dtype; predictions have the
    network's dtype.
    """

    def predict(self, network: Network, X: Array) -> Array:
        parts = (
            forward(network, X[start : start + _PREDICT_BATCH]) for start in range(0, len(X), _PREDICT_BATCH)
        )
        noticed: list[bool] = []
        with noticing(lambda: noticed.append(True)):
            a = np.concatenate(list(parts)).astype(network.dtype, copy=False)
        if noticed:
            suspect(slice(0, len(X)))
        return a

    def backpropagate(
        self,
        network: Network,
        X: Array,
        y: Array,
        loss: Loss,
        penalty: Penalty | None,
        weights: Array | None,
        training_size: int,
    ) -> Step:
        return backpropagate(network, X, y, loss, penalty, weights, training_size)

    def loss(self, network: Network, X: Array, y: Array, loss: Loss, weights: Array | None) -> float:
        total = 0.0
        for start in range(0, len(X), _PREDICT_BATCH):
            part = slice(start, start + _PREDICT_BATCH)
            own = None if weights is None else weights[part]
            total += data_loss(network, X[part], y[part], loss, own) * len(X[part])
        return total / len(X)

    def sample_norms(self, network: Network, X: Array, y: Array, loss: Loss, weights: Array | None) -> Array:
        own = Samples.of(network, self, X, y, loss, weights).gradients(allow_nonfinite=True).values()
        return row_norms(np.stack([np.zeros(len(X)), *map(row_norms, own)], axis=1))

    def first_nonfinite(self, network: Network, X: Array) -> str | None:
        context = Context(training=False)
        for name, array in network.parameters.items():
            if not all_finite(array):
                return f"parameter {name}"
        for one in all_passes(run_forward(network, to_columns(X, np.float64), None, np.float64, context)):
            if not all_finite(one.output.astype(network.dtype)):
                return f"output of {one.name}"
        return None

    def first_overflow(
        self, network: Network, X: Array, outputs: Mapping[str, Array] | None
    ) -> tuple[int, str, str] | None:
        from chainrule.reference.overflow import first_overflow

        training = outputs is not None
        if outputs is None:
            context = Context(training=False)
            passes = all_passes(run_forward(network, to_columns(X, np.float64), None, np.float64, context))
            outputs = {one.name: to_rows(one.output) for one in passes}
        return first_overflow(network, X, outputs, np.float64, training=training)


def _value(network: Network, name: str, parameters: Values | None, dtype: Any) -> Array:
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
