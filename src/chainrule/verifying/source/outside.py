"""Arrays that functions of theirs reach without being handed them: what is written there is undone."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.source.written import Ran

DEEP = 3  # lists of objects of arrays
MOST_ENTRIES = 100_000  # of one that is kept


class Outside:
    """Those of global names, closures and objects."""

    def __init__(self, functions: Iterable[Ran]) -> None:
        self.kept: dict[int, tuple[Array, Array]] = {}
        for ran in functions:
            for name in ran.code.co_names:
                self._keep(ran.world.get(name), DEEP)
            for name in (*ran.code.co_freevars, *ran.given):
                self._keep(ran.names.get(name), DEEP)

    def restore(self) -> None:
        """Back to what they were."""
        for array, before in self.kept.values():
            if not np.array_equal(array, before, equal_nan=before.dtype.kind == "f"):
                array[...] = before

    def _keep(self, value: Any, deep: int) -> None:
        if isinstance(value, np.ndarray):
            writes = value.flags.writeable and value.dtype.kind in "fiub" and value.size <= MOST_ENTRIES
            if writes and id(value) not in self.kept:
                self.kept[id(value)] = (value, value.copy())
        elif deep == 0 or isinstance(value, (type, ModuleType, FunctionType)):
            return
        elif isinstance(value, dict):
            for each in list(value.values()):
                self._keep(each, deep - 1)
        elif isinstance(value, (list, tuple)):
            for each in value:
                self._keep(each, deep - 1)
        elif hasattr(value, "__dict__"):
            self._keep(vars(value), deep - 1)
