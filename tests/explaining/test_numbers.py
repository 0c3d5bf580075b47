"""Numbers in print add up as printed."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from chainrule.explaining.numbers import column, is_exact, short


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


def test_exact() -> None:
    assert is_exact(0.5)
    assert is_exact(12.25)
    assert not is_exact(1 / 3)
    assert not is_exact(123456.5)
