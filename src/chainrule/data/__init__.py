"""Data: what users have, read, prepared, its target understood, and checked at the door.

In: files, frames, lists, tensors.  Out: NumPy arrays that fit a network.
Knows: base, and losses, which say what fits.

A table goes through `tables` (a file as a Frame) or `frames` (a frame of any library), `preparation`
(columns as numbers) and `task` (whether its target is classes); every array through `door`, its targets
through `targets`. `on_disk` gives batches of files, `mapped` goes through large memory maps in pieces,
`fingerprints` recognises rows.

The readers are imported when they are asked for: a network needs the door alone, and starts 15 ms sooner.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chainrule.data.preparation import Preparation, Standardizer
from chainrule.data.split import split

if TYPE_CHECKING:
    from chainrule.data.on_disk import Batches, batches
    from chainrule.data.readers.idx import load_idx
    from chainrule.data.readers.npz import load_npy, load_npz
    from chainrule.data.readers.table import Table, load_csv
    from chainrule.data.sets.digits import load_digits
    from chainrule.data.sets.images import shifted
    from chainrule.data.sets.mnist import load_mnist
    from chainrule.data.tables.reader import read_table
    from chainrule.data.tables.understood import Reading

__all__ = [
    "Batches",
    "Preparation",
    "Reading",
    "Standardizer",
    "Table",
    "batches",
    "load_csv",
    "load_digits",
    "load_idx",
    "load_mnist",
    "load_npy",
    "load_npz",
    "read_table",
    "shifted",
    "split",
]

_homes = {
    "Batches": "on_disk",
    "batches": "on_disk",
    "Reading": "tables.understood",
    "Table": "readers.table",
    "load_csv": "readers.table",
    "load_digits": "sets.digits",
    "load_idx": "readers.idx",
    "load_mnist": "sets.mnist",
    "load_npy": "readers.npz",
    "load_npz": "readers.npz",
    "read_table": "tables.reader",
    "shifted": "sets.images",
}


def __getattr__(name: str) -> Any:
    if name not in _homes:
        from chainrule.base.attributes import absent

        raise absent(__name__, name, __all__)
    return getattr(import_module(f"chainrule.data.{_homes[name]}"), name)
