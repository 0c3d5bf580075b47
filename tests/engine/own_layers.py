"""Layers and losses as a user writes them, from primitives alone: they compile to programs."""

from __future__ import annotations

from typing import Any

import chainrule as cr
from chainrule.formulas import (
    absolute,
    broadcast_samples,
    count_features,
    count_outputs,
    exp,
    fit,
    greater,
    log,
    log1p,
    max_features,
    mean_features,
    named,
    sqrt,
    sum_entries,
    sum_features,
    sum_outputs,
    sum_positions,
    sum_samples,
    tanh,
    where,
)

Shape = tuple[int, ...]


def learned(shape: Shape) -> cr.Parameter:
    return cr.Parameter(shape, initializer=cr.Normal(1.0), penalised=False)


class Swish(cr.Activation):
    def f(self, z: Any) -> Any:
        return z / (1 + exp(-z))

    def df(self, z: Any) -> Any:
        s = named("s", 1 / (1 + exp(-z)))
        return s + z * s * (1 - s)


class Same(cr.Layer):
    def forward(self, x: Any) -> Any:
        return x

    def delta(self, d: Any) -> Any:
        return d


class ScaleShift(cr.Layer):
    """scale ⊙ x + shift, per channel."""

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"scale": learned(input_shape[-1:]), "shift": learned(input_shape[-1:])}

    def forward(self, x: Any, scale: Any, shift: Any) -> Any:
        return broadcast_samples(scale) * x + broadcast_samples(shift)

    def delta(self, d: Any, scale: Any) -> Any:
        return broadcast_samples(scale) * d

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"scale": sum_samples(sum_positions(d * x)), "shift": sum_samples(sum_positions(d))}


class Everywhere(ScaleShift):
    """A scale and a shift of its own for every entry of the sample."""

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"scale": learned(input_shape), "shift": learned(input_shape)}

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {"scale": sum_samples(d * x), "shift": -(2 * sum_samples(d) - 3 * sum_samples(d))}


class PerPosition(cr.Layer):
    """One factor for all channels of a position, of which the logarithm is learned."""

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"q": learned((*input_shape[:-1], 1))}

    def forward(self, x: Any, q: Any) -> Any:
        return broadcast_samples(exp(q / 2)) * x

    def delta(self, d: Any, q: Any) -> Any:
        return exp(broadcast_samples(q) / 2) * d

    def gradients(self, d: Any, z: Any) -> dict[str, Any]:
        return {"q": sum_samples(sum_features(d * z)) / 2}


class Slopes(cr.Layer):
    """Two slopes for all entries, of shape (1,) and (); forward repeats them as NumPy does."""

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"left": learned((1,)), "right": learned(())}

    def forward(self, x: Any, left: Any, right: Any) -> Any:
        return where(greater(x, 0), right * x, left * x)

    def delta(self, d: Any, x: Any, left: Any, right: Any) -> Any:
        return d * where(greater(x, 0), right, broadcast_samples(left))

    def gradients(self, d: Any, x: Any, left: Any) -> dict[str, Any]:
        return {
            "left": fit(d * where(greater(x, 0), 0, x), left),
            "right": sum_entries(d * where(greater(x, 0), x, 0)),
        }


class LayerNorm(cr.Layer):
    """(x - mean) / sqrt(variance + ε) over the features, scaled and shifted."""

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"g": learned(input_shape[-1:]), "b": learned(input_shape[-1:])}

    def _normal(self, x: Any) -> Any:
        centred = named("c", x - mean_features(x))
        root = named("r", sqrt(mean_features(centred**2) + 1e-3))
        return named("n", centred / root), root

    def forward(self, x: Any, g: Any, b: Any) -> Any:
        return broadcast_samples(g) * self._normal(x)[0] + broadcast_samples(b)

    def delta(self, d: Any, x: Any, g: Any) -> Any:
        n, root = self._normal(x)
        scaled = named("e", d * broadcast_samples(g))
        return (scaled - mean_features(scaled) - n * mean_features(scaled * n)) / root

    def gradients(self, d: Any, x: Any) -> dict[str, Any]:
        return {
            "g": sum_samples(sum_positions(d * self._normal(x)[0])),
            "b": sum_samples(sum_positions(d)),
        }


class Sharp(cr.Layer):
    """Softmax of 3x."""

    def forward(self, x: Any) -> Any:
        t = exp(3 * (x - max_features(x)))
        return t / sum_features(t)

    def delta(self, d: Any, a: Any) -> Any:
        return 3 * a * (d - sum_features(a * d))


class Norm(cr.Layer):
    """The root mean square of the features: many channels in, one out."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 1)

    def forward(self, x: Any) -> Any:
        return sqrt(sum_features(x**2) / count_features(x) + 1e-3)

    def delta(self, d: Any, x: Any, z: Any) -> Any:
        return d * x / (count_features(x) * z)


class Spread(cr.Layer):
    """One channel in, five out."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], 5)

    def parameters(self, input_shape: Shape) -> dict[str, cr.Parameter]:
        return {"s": learned((5,))}

    def forward(self, x: Any, s: Any) -> Any:
        return tanh(broadcast_samples(s) * x)

    def delta(self, d: Any, z: Any, s: Any) -> Any:
        return sum_features(d * (1 - z**2) * broadcast_samples(s))

    def gradients(self, d: Any, x: Any, z: Any) -> dict[str, Any]:
        return {"s": sum_samples(sum_positions(d * (1 - z**2) * x))}


class Huber(cr.Loss):
    """e²/2 up to 1, |e| - 1/2 beyond; summed over the outputs."""

    def value(self, a: Any, y: Any) -> Any:
        e = named("e", absolute(a - y))
        return sum_outputs(where(greater(e, 1), e - 0.5, e**2 / 2))

    def gradient(self, a: Any, y: Any) -> Any:
        e = named("e", a - y)
        return where(greater(absolute(e), 1), greater(e, 0) - greater(0, e), e)


class LogCosh(cr.Loss):
    """log cosh (a - y), and a hundredth of the outputs' squared length; the mean over the outputs."""

    def value(self, a: Any, y: Any) -> Any:
        e = named("e", abs(a - y))
        total = sum_outputs(e + log1p(exp(-2 * e)) - log(2 + 0 * e))
        return total / count_outputs(a) + 0.01 * sum_outputs(a**2) / (2 * count_outputs(y))

    def gradient(self, a: Any, y: Any) -> Any:
        return (tanh(a - y) + 0.01 * a) / count_outputs(a)


class Angle(cr.Loss):
    """1 - cosine of the angle between the features of a and y, at every position: features are reduced."""

    def _parts(self, a: Any, y: Any) -> tuple[Any, Any, Any]:
        length, other = sqrt(sum_features(a**2) + 1), sqrt(sum_features(y**2) + 1)
        return sum_features(a * y) / (length * other), length, other

    def value(self, a: Any, y: Any) -> Any:
        return sum_outputs(1 - self._parts(a, y)[0])

    def gradient(self, a: Any, y: Any) -> Any:
        cosine, length, other = self._parts(a, y)
        return cosine * a / length**2 - y / (length * other)
