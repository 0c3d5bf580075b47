"""A penalty alone as a meaning: its value and gradient of one array, with λ as it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.formulas.evaluation import evaluate
from chainrule.formulas.expression import Expression
from chainrule.formulas.tracing import Formulas, trace
from chainrule.losses.penalties import L1, L2, Penalty
from chainrule.verifying.meanings.forms import Form
from chainrule.verifying.meanings.meaning import NONE, Argument, Bound, Edit, Edits, Meaning, edited
from chainrule.verifying.probes import Probe, fresh


@dataclass(eq=False)
class PenaltyMeaning(Meaning):
    """penalty: of ours, whose one argument is a weight array of any shape."""

    penalty: Penalty

    @property
    def title(self) -> str:  # type: ignore[override]
        return repr(self.penalty)

    @property
    def arguments(self) -> tuple[Argument, ...]:  # type: ignore[override]
        return (Argument(0, "W", "gradient"),)

    @property
    def samples(self) -> Sequence[tuple[int, int]]:
        return []

    @cached_property
    def formulas(self) -> Formulas:
        return trace(self.penalty)

    def bind(self, probe: Probe) -> Bound:
        W = probe.args[0].astype(np.float64)
        constants = {
            name: getattr(self.penalty, name) for name in self.formulas.symbols if hasattr(self.penalty, name)
        }
        known = {"W": W, "training_size": 1, "scale": float(np.sum(probe.delta)), **constants}
        axes = tuple(range(W.ndim))
        return Bound(known, {0: Form(axes, W.shape, W.shape)}, {"n": W.size})

    def gradient(self, bound: Bound, name: str, edits: Edits = NONE) -> Array:
        wrong = edited(edits, name)
        tree = self.formulas[name] if wrong is None else wrong
        with np.errstate(all="ignore"):
            return np.asanyarray(bound.values["scale"] * evaluate(tree, bound.values), dtype=np.float64)

    def places(self, name: str) -> Iterable[str]:
        return (name,)

    def instead(self, name: str, bound: Bound) -> Iterator[Edit]:
        if not isinstance(self.penalty, (L1, L2)):
            return
        strength = self.penalty.lam
        for other in (L1, L2):
            if not isinstance(self.penalty, other):
                tree = trace(other(strength))[name]
                yield Edit(name, "instead", {name: tree}, type(self.penalty).__name__, other.__name__)

    def formula(self, place: str) -> Expression:
        return self.formulas[place]


def penalty_meaning(
    like: Any,
    args: Sequence[Array],
    out: Array,
    forward: Callable[[Sequence[Array]], Array],
    tolerance: float,
) -> PenaltyMeaning | None:
    """The penalty whose value their forward gives; of a class without λ the λ that gives it."""
    if len(args) != 1 or out.size != 1:
        return None
    other = fresh(args[0], args[0].shape, np.random.default_rng(1))
    value, second = float(out.reshape(-1)[0]), float(np.asarray(forward([other.copy()])).reshape(-1)[0])
    penalty: Penalty
    if isinstance(like, Penalty):
        penalty = like
    else:
        kind, options = like
        if issubclass(kind, (L1, L2)) and "lam" not in options:
            of_one = float(kind(1.0, **options).value(args[0].astype(np.float64), 1))
            rate = float(f"{value / of_one:.10g}") if of_one and value / of_one > 0 else 1.0
            options = {"lam": rate, **options}
        penalty = kind(**options)
    ours = [float(penalty.value(array.astype(np.float64), 1)) for array in (args[0], other)]
    scale = max(abs(value), abs(second)) or 1.0
    near = abs(ours[0] - value) <= tolerance * scale and abs(ours[1] - second) <= tolerance * scale
    return PenaltyMeaning(penalty) if near else None
