"""Several networks that differ by their seed alone, and the mean of what they say.

A run folder holds them as model.safetensors, model-2.safetensors, ...; `run.json` names them in `members`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.cli.folder import description_name, is_file, read_description
from chainrule.cli.output import remark

if TYPE_CHECKING:
    from chainrule.networks.network import Network


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks with the same inputs, outputs and classes, at least one."""

    members: Sequence[Network]

    @property
    def first(self) -> Network:
        return self.members[0]

    def predict(self, X: Array) -> Array:
        """The mean of the members' outputs (N, *output_shape).  Raises NonFiniteError as theirs."""
        return mean_of([member.predict(X) for member in self.members])

    def labels(self, outputs: Array) -> Array:
        """The label of every sample by the mean outputs, as a network's `classify` chooses it."""
        from chainrule.networks.network import class_ids_of

        ids = class_ids_of(self.first, outputs)
        return ids if self.first.classes is None else self.first.classes[ids]


def mean_of(outputs: Sequence[Array]) -> Array:
    """The mean in float64; a single one as it is."""
    if len(outputs) == 1:
        return outputs[0]
    return np.asarray(sum(values.astype(np.float64) for values in outputs) / len(outputs))


def open_ensemble(place: str | Path, first: Network) -> Ensemble:
    """All networks of a run folder; of a model file that one alone.

    first: the folder's first network, which is open already. Raises FileError for members that are missing,
    damaged, or fit the first one not.
    """
    from chainrule.networks.network import load

    place = Path(place)
    names = member_names(place)
    members = [first]
    for name in names[1:]:
        path = place / name
        if path.parent != place or not is_file(path):
            raise FileError(
                f"{place / description_name}: names the model '{quoted(name)}', which is not in the folder"
            )
        member = load(path)
        alike = (member.input_shape, member.output_shape) == (first.input_shape, first.output_shape)
        if not alike or not np.array_equal(_labels(member), _labels(first)):
            raise FileError(f"{path}: has other inputs, outputs or classes than the first network beside it")
        members.append(member)
    return Ensemble(members)


def _labels(network: Network) -> Array:
    return np.array([]) if network.classes is None else network.classes


def member_names(place: Path) -> list[str]:
    """The files of a run folder's networks that `run.json` lists; none where it lists one alone."""
    content = read_description(place / description_name) if place.is_dir() else None
    names = [] if content is None else content.get("members")
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) and "\0" not in name for name in names):
        raise FileError(f"{place / description_name}: 'members' must be a list of names of files")
    if names and content is not None and names[0] != content.get("model"):
        raise FileError(f"{place / description_name}: 'members' must begin with the model")
    return names


def say_first(place: str | Path) -> None:
    """A line on standard error where a command looks at the first network of several."""
    names = member_names(Path(place))
    if len(names) > 1:
        remark(f"{place} is an ensemble of {len(names)} networks; this looks at the first, {names[0]}")
