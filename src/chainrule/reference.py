"""The specification: forward and backward pass by the layers' formulas alone, in float64, one line per
formula.

It is never optimised.  The compiled kernels, the finite differences and the printed derivation are tested
against it. Inside, samples are the last axis, as in the seeds: vectors are (features, m), images (rows,
columns, channels, m).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ShapeError
from chainrule.layers import Layer, call_formula
from chainrule.losses import Loss, loss_for
from chainrule.network import Network, penalty_value
from chainrule.penalties import Penalty
from chainrule.step import Step

Array = NDArray[Any]
Values = Mapping[str, Array]
_PREDICT_BATCH = 256  # samples per pass of `predict`: memory for the activations of this many only


def forward(network: Network, X: Array, parameters: Values | None = None, dtype: Any = np.float64) -> Array:
    """a^L: (N, *input_shape) -> (N, *output_shape)."""
    return to_rows(run_forward(network, to_columns(X, dtype), parameters, dtype)[-1])


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
    """One forward and backward pass.

    X: (N, *input_shape). y: as `encode_targets` returns it. weights: (N,), with mean 1 over the data they
    were given for. parameters: instead of the network's own. training_size: m of the penalty, by default N.

    J = (1/m) Σ_i w_i value_i + Σ_W penalty(W).  1/m enters once, in δ^L (seed 004); all else is sums over
    samples.
    """
    loss = loss_for(network.layers[-1]) if loss is None else loss
    m, training_size = len(X), training_size or len(X)
    outputs = run_forward(network, to_columns(X, dtype), parameters, dtype)
    targets = target_columns(y, network, dtype)
    scale = (np.ones(m) if weights is None else weights).astype(dtype) / m

    layers = list(network.layers)
    a, pair = outputs[-1], is_pair(layers[-1], loss)
    if pair:  # activation and loss in one formula, δ = (a - y) / m: no division by a (seed 002, 2.4.6)
        data_loss = np.sum(scale * loss.value_from_z(outputs[-2], targets))
        d = scale * loss.residual(a, targets)
        layers.pop()
    else:
        data_loss = np.sum(scale * loss.value(a, targets))
        d = scale * loss.gradient(a, targets)

    deltas, gradients = {_name(network, len(layers)): d}, {}
    for number in reversed(range(len(layers))):
        layer = layers[number]
        own = parameters_of(network, layer, parameters, dtype)
        d, of_layer = layer_backward(layer, d, outputs[number], outputs[number + 1], own)
        deltas[_name(network, number)] = d
        gradients.update({f"{layer.name}.{name}": g for name, g in of_layer.items()})

    values = {name: _value(network, name, parameters, dtype) for name in network.parameters}
    if penalty is not None:
        for name, spec in network.parameter_specs.items():
            if spec.penalised:
                gradients[name] = gradients[name] + penalty.gradient(values[name], training_size)
    total = float(data_loss) + penalty_value(values, network.parameter_specs, penalty, training_size)
    names = [_name(network, number) for number in range(len(outputs))]
    return Step(
        loss=total,
        data_loss=float(data_loss),
        activations={name: to_rows(x) for name, x in zip(names, outputs, strict=True)},
        deltas={name: to_rows(deltas[name]) for name in names if name in deltas},
        gradients={name: gradients[name] for name in network.parameters},
    )


def data_loss(
    network: Network,
    X: Array,
    y: Array,
    loss: Loss,
    weights: Array | None = None,
    parameters: Values | None = None,
    dtype: Any = np.float64,
) -> float:
    """(1/m) Σ_i w_i value_i by the forward pass alone; arguments as for `backpropagate`."""
    outputs = run_forward(network, to_columns(X, dtype), parameters, dtype)
    targets = target_columns(y, network, dtype)
    scale = (np.ones(len(X)) if weights is None else weights).astype(dtype) / len(X)
    if is_pair(network.layers[-1], loss):
        return float(np.sum(scale * loss.value_from_z(outputs[-2], targets)))
    return float(np.sum(scale * loss.value(outputs[-1], targets)))


def run_forward(network: Network, x: Array, parameters: Values | None, dtype: Any) -> list[Array]:
    """[input, output of layer 1, output of layer 2, ...], samples last."""
    outputs = [x]
    for layer in network.layers:
        z = layer_forward(layer, outputs[-1], parameters_of(network, layer, parameters, dtype))
        expected = (*network.shapes[str(layer.name)], x.shape[-1])
        if z.shape != expected:
            raise ShapeError(
                f"{_formula(layer, 'forward')} returned the shape {z.shape}, its output_shape says {expected}"
            )
        outputs.append(z)
    return outputs


def layer_forward(layer: Layer, x: Array, parameters: Values) -> Array:
    """The output of one layer, samples last."""
    return np.asarray(_evaluate(layer, "forward", {"x": x, **parameters}))


def layer_backward(
    layer: Layer, d: Array, x: Array, output: Array, parameters: Values
) -> tuple[Array, dict[str, Array]]:
    """(∂J/∂x, ∂J/∂parameter by name) from d = ∂J/∂output, samples last.

    A gradient has the shape of its variable (seed 004 §5): ShapeError that names the formula if it has not.
    """
    available = {"d": d, "x": x, "z": output, "a": output, **parameters}
    below = np.asarray(_evaluate(layer, "delta", available))
    if below.shape != x.shape:
        raise ShapeError(
            f"{_formula(layer, 'delta')} must have the shape {x.shape} of x, it returned {below.shape}"
        )
    gradients = _evaluate(layer, "gradients", available)
    if set(gradients) != set(parameters):
        raise ShapeError(
            f"{_formula(layer, 'gradients')} must return one gradient per parameter, {sorted(parameters)}, "
            f"it returned {sorted(gradients)}"
        )
    for name, value in parameters.items():
        if np.shape(gradients[name]) != value.shape:
            raise ShapeError(
                f"{_formula(layer, 'gradients')} must return {name!r} with the shape {value.shape}, "
                f"it returned {np.shape(gradients[name])}"
            )
    return below, {name: np.asarray(gradients[name]) for name in parameters}


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
        return np.concatenate(list(parts)).astype(network.dtype, copy=False)

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


def _name(network: Network, number: int) -> str:
    return "input" if number == 0 else str(network.layers[number - 1].name)


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
