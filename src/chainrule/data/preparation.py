"""How the inputs of a network were prepared, which a table's network must carry to be of use elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.base.errors import DataError, FileError
from chainrule.data.split import Standardizer


@dataclass(eq=False)
class Preparation:
    """How inputs were prepared for a model, and how its outputs are read; everything None: as they are.

    feature_names: of the columns, in order. inputs: what brought them to one scale: give the network
    preparation.inputs(X). targets: what scaled a regression's target: preparation.targets.undo(outputs) is in
    its own unit. A network carries it as `network.preparation`, and its file too.
    """

    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    inputs: Standardizer | None = None
    targets: Standardizer | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; `from_json` reads it."""
        return {
            "feature_names": None if self.feature_names is None else list(self.feature_names),
            "target_name": self.target_name,
            "inputs": None if self.inputs is None else self.inputs.to_json(),
            "targets": None if self.targets is None else self.targets.to_json(),
        }

    @classmethod
    def from_json(cls, stored: Any, path: str | os.PathLike[str]) -> Preparation:
        """The preparation that `to_json` described. Raises FileError with `path` when it is damaged."""
        if not isinstance(stored, Mapping):
            raise FileError(f"{path}: does not say how the inputs were prepared")
        names, target_name = stored.get("feature_names"), stored.get("target_name")
        named = names if isinstance(names, list) else []
        damaged = named != (names or []) or not all(isinstance(name, str) for name in named)
        if damaged or not isinstance(target_name, (str, type(None))):
            raise FileError(f"{path}: the names of the features or of the target are damaged")
        scales: list[Standardizer | None] = []
        for part in ("inputs", "targets"):
            try:
                scales.append(None if stored.get(part) is None else Standardizer.from_json(stored[part]))
            except (DataError, TypeError) as error:
                raise FileError(f"{path}: {part}: {error}") from None
        return cls(tuple(named) or None, target_name, *scales)
