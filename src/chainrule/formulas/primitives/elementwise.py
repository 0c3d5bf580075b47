"""Primitives that act entry by entry: arithmetic, comparisons and functions of one variable.

Operands broadcast as in NumPy; `matching` is how a cotangent returns to an operand that was broadcast.
Every primitive preserves the float dtype it is given.
"""

# mypy: disable-error-code="has-type"
# (mypy infers a primitive after its decorator's arguments, which name primitives further down; all are Any)

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from chainrule.formulas.expression import Expression, Number, Operation
from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.rules import Trait


@primitive(
    wrong="one_of_many last_of_many mean_of_many dealt",
    layout="fit", entry="fit", traits={Trait.LIKE_SECOND},
    adjoint=lambda d, y, x, like: (stretch(d, x), None),
)
def fit(x: Any, like: Any) -> Any:
    """x summed over the axes along which `like` was broadcast to x's shape: the adjoint of broadcasting."""
    shape = np.shape(like)
    x = x.sum(axis=tuple(range(x.ndim - len(shape))))
    thin = tuple(axis for axis, size in enumerate(shape) if size == 1 != x.shape[axis])
    return x.sum(axis=thin, keepdims=True)


@primitive(
    layout="first_operand", entry="same_place", traits={Trait.LIKE_SECOND},
    adjoint=lambda d, y, x, like: (fit(d, x), None),
)
def stretch(x: Any, like: Any) -> Any:
    """x broadcast to the shape of `like`."""
    return np.broadcast_to(x, np.shape(like))


def matching(d: Any, operand: Any) -> Any:
    """The cotangent d, made to fit an operand that may have been broadcast; None for numbers.

    A vector repeated by broadcast_samples takes d as it is: its own adjoint sums over samples and positions.
    """
    if isinstance(operand, Operation) and operand.rule.name == "broadcast_samples":
        return d
    if isinstance(operand, Number) or (not isinstance(operand, Expression) and np.ndim(operand) == 0):
        return None
    return fit(d, operand)


# A function of its operands' numbers, unless `entry` says that it is a sum, a product or a choice of them.
entrywise = functools.partial(primitive, entry="call", traits={Trait.ENTRYWISE})


@entrywise(
    wrong="only:0 only:1 as:subtract twice:0 twice:1 raised epsilon:1", layout="add", entry="add",
    adjoint=lambda d, y, a, b: (matching(d, a), matching(d, b)),
)
def add(a: Any, b: Any) -> Any:
    """a + b"""
    return a + b


@entrywise(
    wrong="only:0 only:1 as:add swapped twice:1 raised derivative", layout="subtract", entry="subtract",
    adjoint=lambda d, y, a, b: (matching(d, a), matching(-d, b)),
)
def subtract(a: Any, b: Any) -> Any:
    """a - b"""
    return a - b


@entrywise(
    wrong="only:0 only:1 as:divide number:0 number:1 cases complement:0 complement:1 one_term derivative",
    layout="multiply", entry="multiply",
    adjoint=lambda d, y, a, b: (matching(d * b, a), matching(d * a, b)),
)
def multiply(a: Any, b: Any) -> Any:
    """Hadamard product: entry by entry, as in eq. 3 of the Tutorial."""
    return a * b


@entrywise(
    wrong="only:0 as:multiply number:1 again:1 one_term", layout="divide",
    adjoint=lambda d, y, a, b: (matching(d / b, a), matching(-d * y / b, b)),
)
def divide(a: Any, b: Any) -> Any:
    """a / b, entry by entry."""
    return a / b


@entrywise(
    wrong="only:0",
    layout="divide",
    adjoint=lambda d, y, a, b: (matching(ratio(d, b), a), matching(ratio(-d * y, b), b)),
)
def ratio(a: Any, b: Any) -> Any:
    """a / b, entry by entry, and 0 where b is 0."""
    quotient = a / np.where(b == 0, np.ones_like(b), b)
    return np.where(b == 0, np.zeros_like(quotient), quotient)


@entrywise(wrong="only:0", layout="negative", entry="negative", adjoint=lambda d, y, x: (-d,))
def negative(x: Any) -> Any:
    """-x"""
    return -x


@entrywise(
    wrong="only:0",
    layout="power",
    adjoint=lambda d, y, x, exponent: (
        d * (exponent * power(x, exponent=exponent - 1)) if exponent else None,  # 0 · 0^-1 is 0
    ),
)
def power(x: Any, *, exponent: float) -> Any:
    """x to a constant exponent."""
    return x**exponent


@entrywise(
    wrong="only:0 swapped as:multiply", layout="raised",
    adjoint=lambda d, y, a, b: (
        matching(d * b * where(greater(abs(b), 0), raised(a, b - 1), 0), a),  # 0 · 0^-1 is 0
        matching(d * xlogy(y, where(greater(maximum(abs(a), abs(b)), 0), a, 1)), b),  # 0 of 0^0
    ),
)
def raised(a: Any, b: Any) -> Any:
    """a to the power b, entry by entry; NaN of a negative a and a b that is not whole, as NumPy has it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.power(a, b)


@entrywise(wrong="only:0", layout="root", adjoint=lambda d, y, x: (d / (2 * y),))
def sqrt(x: Any) -> Any:
    """Square root."""
    return np.sqrt(x)


@entrywise(wrong="only:0 of_two", layout="exponential", adjoint=lambda d, y, x: (d * y,))
def exp(x: Any) -> Any:
    """e^x; beyond the type's range its limit +inf, without a warning: 1 / (1 + e^x) is 0 there."""
    with np.errstate(over="ignore"):
        return np.exp(x)


@entrywise(layout="exponential_minus_one", adjoint=lambda d, y, x: (d * exp(x),))
def expm1(x: Any) -> Any:
    """e^x - 1, accurate for small x; +inf beyond the type's range, without a warning."""
    with np.errstate(over="ignore"):
        return np.expm1(x)


@entrywise(wrong="only:0", layout=("function", "log"), adjoint=lambda d, y, x: (d / x,))
def log(x: Any) -> Any:
    """Natural logarithm; log 0 is -inf, without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(x)


@entrywise(layout="log_one_plus", adjoint=lambda d, y, x: (d / (1 + x),))
def log1p(x: Any) -> Any:
    """log(1 + x), accurate for small x."""
    return np.log1p(x)


@entrywise(
    layout="product_with_log",
    adjoint=lambda d, y, w, x: (matching(d * log(x), w), matching(d * w / x, x)),
)
def xlogy(w: Any, x: Any) -> Any:
    """w log x, with 0 log 0 = 0: the term of a cross-entropy."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(w == 0, np.zeros_like(w * x), w * np.log(x))


@entrywise(wrong="only:0", layout=("function", "tanh"), adjoint=lambda d, y, x: (d * (1 - y**2),))
def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(x)


@entrywise(wrong="only:0", layout=("function", "cos"), adjoint=lambda d, y, x: (-d * sin(x),))
def cos(x: Any) -> Any:
    """Cosine, x in radians."""
    return np.cos(x)


@entrywise(wrong="only:0", layout=("function", "sin"), adjoint=lambda d, y, x: (d * cos(x),))
def sin(x: Any) -> Any:
    """Sine, x in radians."""
    return np.sin(x)


@entrywise(layout=("function", "erf"), adjoint=lambda d, y, x: (d * (2 / math.sqrt(math.pi) * exp(-(x**2))),))
def erf(x: Any) -> Any:
    """Error function by the C library's erf, entry by entry: error below 1 ulp, about 0.1 µs per entry."""
    x = np.asarray(x)
    values = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size)
    return values.reshape(x.shape).astype(x.dtype, copy=False)


@entrywise(wrong="only:0", layout="bars", adjoint=lambda d, y, x: (d * (greater(x, 0) - greater(0, x)),))
def absolute(x: Any) -> Any:
    """|x|, with derivative 0 at 0."""
    return np.abs(x)


@entrywise(wrong="only:0", layout="floor", adjoint=lambda d, y, x: (None,))
def floor(x: Any) -> Any:
    """The whole number at or below x; its derivative is 0, at the whole numbers, where it jumps, too."""
    return np.floor(x)


@entrywise(
    wrong="only:0 only:1 zeroed", layout="maximum",
    adjoint=lambda d, y, a, b: (matching(d * greater(a, b), a), matching(d * (1 - greater(a, b)), b)),
)
def maximum(a: Any, b: Any) -> Any:
    """The larger of a and b; at equality the derivative goes to b: max(z, 0) has derivative 0 at 0."""
    return np.maximum(a, b)


@entrywise(
    wrong="only:0 only:1 zeroed", layout="minimum",
    adjoint=lambda d, y, a, b: (matching(d * greater(b, a), a), matching(d * (1 - greater(b, a)), b)),
)
def minimum(a: Any, b: Any) -> Any:
    """The smaller of a and b; at equality the derivative goes to b."""
    return np.minimum(a, b)


@entrywise(
    wrong="always swapped as:maximum", layout="greater", traits={Trait.ENTRYWISE, Trait.CHOOSES},
    adjoint=lambda d, y, a, b: (None, None),
)
def greater(a: Any, b: Any) -> Any:
    """Iverson bracket [a > b]: 1 or 0, in the float type of the operands."""
    return np.asarray(np.greater(a, b), dtype=np.result_type(a, b))


@entrywise(
    wrong="only:1 only:2 number:1 number:2", layout="cases", entry="where",
    adjoint=lambda d, y, condition, yes, no: (
        None,
        matching(where(condition, d, 0.0 * d), yes),
        matching(where(condition, 0.0 * d, d), no),
    ),
)
def where(condition: Any, yes: Any, no: Any) -> Any:
    """yes where the condition holds, no elsewhere."""
    dtype = np.result_type(condition, yes, no)
    return np.where(np.asarray(condition, dtype=bool), yes, no).astype(dtype, copy=False)


@primitive(layout="ones", entry="one", adjoint=lambda d, y, x: (None,))
def ones_like(x: Any) -> Any:
    """1 for every entry of x."""
    return np.ones_like(x)


@primitive(layout="zeros", entry="nothing", adjoint=lambda d, y, x: (None,))
def zeros_like(x: Any) -> Any:
    """0 for every entry of x."""
    return np.zeros_like(x)
