"""One checkpoint as a file: the network as `Network.save` describes it, and beside it the training's state.

Version 1 of the format.  The description holds `network` (whose arrays' names begin with "network/"), `state`
(packed, see packing.py), and the shape, dtype and SHA-256 of every other array; all of it is under a seal.
A file that says another version is refused, not guessed at; `tests/stored_files` keeps one of every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import FileError
from chainrule.base.files.containers import open_container
from chainrule.base.files.disk import write_whole
from chainrule.base.files.sealed import (
    check_named,
    check_seal,
    check_version,
    checked_array,
    parsed,
    sealed_text,
    sha256,
    write_npz,
)
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite
from chainrule.data.preparation import Preparation
from chainrule.networks.forms.storage import HOLDING, HOLDING_VERSION, PREFIX, checked_description
from chainrule.networks.model import Model
from chainrule.training.checkpoints.packing import pack, unpack
from chainrule.version import __version__


class NewerError(FileError):
    """A checkpoint of a version that this program does not read: no damage, so none before it is taken."""


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint that has been read and checked.

    network: its description.  parameters: of the network.  state: of the training, see `fit`.
    """

    path: Path
    network: Mapping[str, Any]
    parameters: Mapping[str, Array]
    state: Mapping[str, Any]

    @property
    def known(self) -> tuple[Any, Preparation | None]:
        """The labels of the outputs and the preparation of the inputs, None where there are none."""
        stored = self.network.get("preparation")
        return self.network.get("classes"), stored and Preparation.from_json(stored, self.path)


def write(path: Path, network: Model, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, as a whole or not at all.  FileError as of `Network.save`; ArgumentError for state
    that no file holds.
    """
    parameters = {name: np.ascontiguousarray(array) for name, array in network.parameters.items()}
    beside: dict[str, Array] = {}
    packed = {name: pack(value, name, beside) for name, value in state.items()}
    description = {
        "format": HOLDING,
        "version": HOLDING_VERSION,
        "chainrule": __version__,
        "network": checked_description(network, parameters, path),
        "state": packed,
        "arrays": {
            name: {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": sha256(array)}
            for name, array in beside.items()
        },
    }
    text = sealed_text(description)
    arrays = {**{PREFIX + name: array for name, array in parameters.items()}, **beside}
    write_whole(path, lambda stream: write_npz(stream, arrays, text, as_bytes=True))


def read(path: Path) -> Saved:
    """A checkpoint, with every part checked.  FileError with the reason; NewerError for another version."""
    with open_container(path) as contents:
        if contents.description is None:
            raise FileError(f"{path}: is no checkpoint")
        description = parsed(contents.description, path)
        if description.get("format") != HOLDING:
            raise FileError(f"{path}: is no checkpoint of a training")
        try:
            check_version(description, HOLDING_VERSION, path)
        except FileError as error:
            raise NewerError(str(error)) from None
        check_seal(description, path)
        try:
            network, records = description["network"], description["arrays"]
            of_network = {PREFIX + name: record for name, record in network["arrays"].items()}
            check_named(contents, [*of_network, *records], path)
            parameters = {
                name.removeprefix(PREFIX): checked_array(contents, name, record, network["dtype"], path)
                for name, record in of_network.items()
            }
            arrays = {
                name: checked_array(contents, name, record, None, path) for name, record in records.items()
            }
            state = {name: unpack(value, arrays) for name, value in description["state"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{path}: its description is damaged ({type(error).__name__}: {error})") from None
    for name, array in parameters.items():
        if not all_finite(array):
            raise FileError(f"{path}: the parameter {name} holds NaN or infinity")
    return Saved(path, network, parameters, state)
