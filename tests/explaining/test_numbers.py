"""Numbers in print add up as printed."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from chainrule.base.numbers import column, equality, short


def decimal(text: str) -> Decimal:
    return Decimal(text.replace("−", "-"))


@pytest.mark.parametrize("seed", range(20))
def test_a_column_adds_up_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = (rng.standard_normal(rng.integers(1, 9)) * 10.0 ** rng.integers(-9, 9)).tolist()
    printed, total = column(terms, sum(terms))
    assert sum(map(decimal, printed), Decimal(0)) == decimal(total)
    assert float(decimal(total)) == pytest.approx(sum(terms), rel=2e-3, abs=1e-12)


def test_a_sum_that_cancels_keeps_its_digits() -> None:
    printed, total = column([1.0, -0.9998765], 0.0001235)
    assert (printed, total) == (["1.00000000", "−0.99987650"], "0.00012350")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.52041, "0.5204"), (-12.3456, "−12.35"), (0.0, "0"), (-0.0, "0"), (123456.0, "123456"),
        (2.1e-7, "2.1e−7"),
        (float("inf"), "∞"), (float("-inf"), "−∞"), (float("nan"), "NaN"), (1e9, "1e9"),
    ],
)  # fmt: skip
def test_short(value: float, text: str) -> None:
    assert short(value) == text


def test_the_sign_before_a_number_tells_whether_it_is_rounded() -> None:
    for value in (0.5, 12.25, 0.1, -3.0, 0.0):
        assert equality(short(value), value) == "="
    for value in (1 / 3, 123456.5, -0.472139):
        assert equality(short(value), value) == "≈"
    assert equality("−0.213", Fraction(-213, 1000)) == "="
    assert equality("−0.2129", Fraction(-21295, 100000)) == "≈"


def test_a_sum_is_printed_with_its_own_digits() -> None:
    """−0.31722 − 0.54790 + 0.39299 is −0.47213 as printed with five decimals; the value is −0.472139."""
    terms = [-0.3172244, -0.5479044, 0.3929898]
    printed, total = column(terms, sum(terms))
    assert sum(map(decimal, printed)) == decimal(total)
    assert decimal(total) == round(Decimal(sum(terms)), -decimal(total).as_tuple().exponent)
