"""`chainrule data`: what is understood of a file, before anything is learned from it."""

from __future__ import annotations

import argparse
from pathlib import Path

from chainrule.base.tables import text_table
from chainrule.cli.output import say
from chainrule.cli.training.raw import reading_of


def run(arguments: argparse.Namespace) -> int:
    """Print how a table was read, column by column, or the arrays of an NPZ or NPY file."""
    path = Path(arguments.file)
    if path.suffix.lower() in (".npz", ".npy"):
        say(arrays(path))
    else:
        say(reading_of(path, arguments))
    return 0


def arrays(path: Path) -> str:
    """Names, shapes and types of the arrays of a file of NumPy's."""
    from chainrule.data import load_npy
    from chainrule.data.readers.npz import open_npz

    rows = [("array", "shape", "dtype")]
    if path.suffix.lower() == ".npy":
        array = load_npy(path)
        rows.append((path.stem, str(array.shape), str(array.dtype)))
    else:
        with open_npz(path) as archive:
            for name in archive.names:
                array = archive.read(name)
                rows.append((name, str(array.shape), str(array.dtype)))
    return text_table(rows)
