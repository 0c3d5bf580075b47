"""Every formula that a layer, a loss or a penalty prints, once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from chainrule.formulas import trace
from chainrule.formulas.printing import Equation
from chainrule.losses.penalties import L1, L2, ElasticNet
from tests.cases import LAYER_CASES
from tests.test_losses import CASES as LOSS_CASES


@cache
def equations() -> list[tuple[str, Equation]]:
    """(where it is from, the equation): equations and the definitions of their intermediates."""
    return [*_each()]


def _each() -> Iterator[tuple[str, Equation]]:
    makers: list[tuple[str, Any]] = [(case.id, case.make()) for case in LAYER_CASES]
    makers += [(f"{loss!r}", loss) for loss, _, _ in LOSS_CASES]
    makers += [(f"{penalty!r}", penalty) for penalty in (L1(0.1), L2(0.1), ElasticNet(0.1, 0.2))]
    seen = set()
    for name, thing in makers:
        for part, equation in trace(thing).equations.items():
            for line in (equation, *equation.definitions):
                if repr(line) not in seen:
                    seen.add(repr(line))
                    yield f"{name} {part}", line
