"""Tables by what to write, and answers that depend on the value which was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

SAME = "nothing: it is so without it"


@dataclass(frozen=True)
class ByValue:
    """The advice of the first case which has the value; otherwise `otherwise`."""

    otherwise: str
    cases: tuple[tuple[str, tuple[Any, ...]], ...]

    def of(self, value: Any) -> str:
        given = _plain(value)
        # False == 0 and 2 == 2.0 are wanted: other libraries take both.
        return next((advice for advice, values in self.cases if given in values), self.otherwise)


Advice: TypeAlias = str | ByValue


def by_name(instead: Mapping[Any, tuple[str, ...]]) -> dict[str, Any]:
    """What to write (an Advice), by every name that stands for it."""
    by_name = {name: advice for advice, names in instead.items() for name in names}
    assert len(by_name) == sum(map(len, instead.values())), "a name stands for two things"
    return by_name


def by_value(otherwise: str, cases: Mapping[str, tuple[Any, ...]]) -> ByValue:
    """`otherwise`, but where the value is among those of a case the case's advice."""
    return ByValue(otherwise, tuple(cases.items()))


def besides(advice: str, *same: Any) -> ByValue:
    """`advice`, but for the values `same`, of what there is anyway: to write nothing."""
    return ByValue(advice, ((SAME, same),))


def of_value(advice: Advice, value: Any) -> str:
    """The text for this value."""
    return advice.of(value) if isinstance(advice, ByValue) else advice


def _plain(value: Any) -> Any:
    """A value as the tables have it: strings, numbers, None, and tuples of them; any other is in no case."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):  # the tables have flat ones of at most 3
        flat = len(value) <= 3 and not any(isinstance(entry, list | tuple) for entry in value)
        return tuple(_plain(entry) for entry in value) if flat else object()
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, np.dtype) or type(value).__name__ in ("dtype", "device"):  # the latter PyTorch's
        return str(value).removeprefix("torch.")
    return value if value is None or isinstance(value, str | int | float) else object()
