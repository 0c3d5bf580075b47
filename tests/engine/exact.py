"""Activations and their derivatives to 40 digits, by the standard library's decimal numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
DIGITS = 40
FAR = 4.0  # beyond it erfc by its continued fraction, below by the series of erf

Function = Callable[[Decimal], Decimal]


def _sigmoid(z: Decimal) -> Decimal:
    return 1 / (1 + (-z).exp())


def _sigmoid_slope(z: Decimal) -> Decimal:
    e = (-abs(z)).exp()
    return e / (1 + e) ** 2


def _tanh(z: Decimal) -> Decimal:
    e = (2 * z).exp()
    return (e - 1) / (e + 1)


def _tanh_slope(z: Decimal) -> Decimal:
    return 4 * _sigmoid_slope(2 * z)


def _softplus(z: Decimal) -> Decimal:
    return max(z, Decimal(0)) + (1 + (-abs(z)).exp()).ln()


def _erfc(u: Decimal) -> Decimal:
    """For u > 0."""
    if u > FAR:
        tail = u
        for k in range(300, 0, -1):
            tail = u + Decimal(k) / 2 / tail
        return (-u * u).exp() / (PI.sqrt() * tail)
    total = term = u
    n = 0
    while n < u * u or abs(term) > Decimal(10) ** -DIGITS * (-u * u).exp():
        n += 1
        term = -term * u * u / n
        total += term / (2 * n + 1)
    return 1 - 2 * total / PI.sqrt()


def _normal(z: Decimal) -> Decimal:
    tail = _erfc(abs(z) / Decimal(2).sqrt()) / 2
    return tail if z < 0 else 1 - tail


def _gelu(z: Decimal) -> Decimal:
    return z * _normal(z)


def _gelu_slope(z: Decimal) -> Decimal:
    return _normal(z) + z * (-z * z / 2).exp() / (2 * PI).sqrt()


FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "Sigmoid": (_sigmoid, _sigmoid_slope),
    "Tanh": (_tanh, _tanh_slope),
    "Softplus": (_softplus, _sigmoid),
    "GELU": (_gelu, _gelu_slope),
}


def evaluate(function: Function, z: float) -> Decimal:
    """function(z), right to DIGITS digits."""
    lost = min(abs(z), 800.0)  # of 1 + e^-z and the like where e^-z is small
    lost += 2 * z * z if z * z < 2 * FAR * FAR else 0.0  # of the alternating series of erf
    lost += -math.log(abs(z)) if 0 < abs(z) < 1 else 0.0  # of e^2z - 1
    with localcontext() as context:
        context.prec = DIGITS + 10 + int(lost / math.log(10))
        return function(Decimal(z))
