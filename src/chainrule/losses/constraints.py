"""What the weights must satisfy after every update of training.  Biases are free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import describe
from chainrule.base.keywords import teach
from chainrule.base.norms import row_norms
from chainrule.base.scalars import check_number
from chainrule.layers import Parameter


@teach()
@dataclass(frozen=True)
class MaxNorm:
    """The norm of each unit's incoming weights is at most `limit` (Srivastava et al. 2014, §5.1, their c).

    After an update, w ← w · limit / ‖w‖ wherever ‖w‖ > limit. w is a row of the W of `Dense`, of the W or of
    the U of a recurrent layer, of an `Embedding`; a filter of a convolution.
    """

    limit: float = 3.0

    def __post_init__(self) -> None:
        check_number("MaxNorm limit", self.limit, hint="write MaxNorm(3.0)")

    def apply(self, W: Any, parameter: Parameter | None = None) -> Any:
        """W with no unit above the limit, of W's shape and dtype; without `parameter` the first axis counts
        the units.
        """
        W = np.asarray(W)
        by_unit = W.reshape((parameter or Parameter(W.shape)).units).astype(np.float64)
        rows = np.moveaxis(by_unit, 1, -1)  # [group][unit][weight]
        norms = np.expand_dims(row_norms(rows.reshape(-1, rows.shape[-1])).reshape(rows.shape[:-1]), 1)
        factors = np.where(norms > self.limit, self.limit / np.maximum(norms, self.limit), 1.0)
        return (by_unit * factors).reshape(W.shape).astype(W.dtype)


def constraint_from(value: Any) -> MaxNorm | None:
    """The constraint itself; TypeError if it is not one."""
    if value is None or isinstance(value, MaxNorm):
        return value
    raise TypeError(f"constraint must be MaxNorm(3.0), say, or None, received {describe(value)}")
