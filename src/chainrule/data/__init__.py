"""Data: sets that come with Python packages, files, and the checks at the door."""

from __future__ import annotations

from chainrule.data.digits import load_digits
from chainrule.data.idx import load_idx
from chainrule.data.mnist import load_mnist
from chainrule.data.npz import load_npy, load_npz
from chainrule.data.split import Standardizer, split
from chainrule.data.table import Table, load_csv

__all__ = [
    "Standardizer",
    "Table",
    "load_csv",
    "load_digits",
    "load_idx",
    "load_mnist",
    "load_npy",
    "load_npz",
    "split",
]
