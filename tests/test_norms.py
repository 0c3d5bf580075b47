"""Norms where squares of the numbers are beyond float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.base.norms import norm, norm_of_all, row_norms


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-200, 1e-150, 1e-10, 1.0, 1e150, 1e200, 1e300])
def test_norms_neither_overflow_nor_vanish(scale: float) -> None:
    tolerance = 1e-3 if scale < 1e-310 else 1e-14  # a subnormal number has few digits
    assert norm([3 * scale, 4 * scale]) == pytest.approx(5 * scale, rel=tolerance, abs=0)
    np.testing.assert_allclose(row_norms([[scale, 0], [0, 0], [1, 1]]), [scale, 0, math.sqrt(2)], rtol=1e-15)
    assert norm_of_all([[3 * scale], np.array([[4 * scale]])]) == pytest.approx(
        5 * scale, rel=tolerance, abs=0
    )


def test_what_is_not_finite_stays_so_and_nothing_has_the_norm_0() -> None:
    assert norm([]) == 0
    assert norm(np.zeros((2, 3))) == 0
    assert math.isnan(norm([1.0, math.nan]))
    assert norm([1.0, math.inf]) == math.inf
    assert row_norms(np.ones((3, 2, 2), np.float32)).tolist() == [2, 2, 2]
