"""Where a quantity is looked at in a formula: the subscripts that are pushed down to letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainrule.formulas.expression import Expression
from chainrule.formulas.printing.boxes import Box, Word
from chainrule.formulas.printing.kinds import axes

if TYPE_CHECKING:
    from chainrule.formulas.printing.compose import Composer


@dataclass(frozen=True)
class At:
    """Subscripts under which a quantity is looked at: a position (a coordinate per axis) and a feature."""

    position: tuple[Box, ...] | None = None
    feature: Box | None = None


NOWHERE = At()
Layout = Callable[["Composer", Any, At], Box]


def window_at(node: Expression) -> At:
    """A window: (i, j), or (i) in a sequence."""
    return At(tuple(map(Word, "ij"[: axes(node)])))


def pixel(node: Expression) -> At:
    """A pixel: (u, v), or (u) in a sequence."""
    return At(tuple(map(Word, "uv"[: axes(node)])))
