"""Objects that make the step themselves: backward(dout, lr), self.lr within backward, update(lr) behind it.

The gradients that they keep nowhere are read off what a step changes, divided by the learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.subjects.calls.arguments import parameters_of
from chainrule.verifying.subjects.calls.passing import RATES
from chainrule.verifying.subjects.calls.running import call
from chainrule.verifying.subjects.held import Held, at
from chainrule.verifying.texts import TEXTS

# A power of two, by which dividing is exact, and so large that what W - ηg rounds off is of g's last digits.
RATE, OF_FLOAT16 = 2.0**20, 2.0**6
STEPS = (
    *("update", "step", "update_params", "update_parameters", "update_weights", "apply_gradients"),
    *("optimize", "gradient_step", "sgd_step"),
)


@dataclass(frozen=True)
class Updating:
    """method: which makes the step.  rate: the name of its learning rate, a parameter of it or, `kept`, an
    attribute of the object.  behind: whether the method is called behind backward.
    """

    method: str
    rate: str
    kept: bool = False
    behind: bool = False

    def note(self, title: str) -> Say:
        """How the gradients are come by."""
        return TEXTS.say("subject.rate", name=f"{title}.{self.method}", rate=self.rate)

    def set_rate(self, owner: Any, rate: float) -> None:
        """Before backward is called."""
        if self.kept:
            setattr(owner, self.rate, rate)

    def finish(self, owner: Any, rate: float) -> None:
        """Behind backward: the step, where it is a method of its own."""
        if self.behind:
            what = f"{type(owner).__name__}.{self.method}"
            call(what, getattr(owner, self.method), *(() if self.kept else (rate,)))


def updating_of(owner: Any, backward: str) -> Updating | None:
    """How an object may make the step; None where it takes no learning rate anywhere."""
    taken = _rate_in([parameter.name for parameter in parameters_of(getattr(owner, backward))])
    if taken is not None:
        return Updating(backward, taken)
    numbers = vars(owner).items() if hasattr(owner, "__dict__") else ()
    kept = _rate_in([name for name, value in numbers if isinstance(value, Real)])
    for name in STEPS:
        method = getattr(owner, name, None)
        needed = [p.name for p in parameters_of(method) if p.default is p.empty] if callable(method) else None
        optional = [p.name for p in parameters_of(method)] if callable(method) else []
        if needed is not None and len(needed) <= 1:
            if (rate := _rate_in(optional[:1])) is not None:
                return Updating(name, rate, behind=True)
            if not needed and kept is not None:
                return Updating(name, kept, kept=True, behind=True)
    return None if kept is None else Updating(backward, kept, kept=True)


def _rate_in(names: Sequence[str]) -> str | None:
    return next((name for name in names if name.lower().strip("_") in RATES), None)


def rate_for(held: Sequence[Held]) -> float:
    """The learning rate of a step that is looked at."""
    return OF_FLOAT16 if any(entry.array.dtype == np.float16 for entry in held) else RATE


def change(owner: Any, entry: Held, before: Array, rate: float) -> Array | None:
    """The gradient by which a step has changed an array of the object; None where it is not there."""
    now = at(owner, entry.paths[0])
    if not isinstance(now, np.ndarray) or now.shape != before.shape:
        return None
    return np.asarray((before - now) / before.dtype.type(rate))
