"""`chainrule data`: what is understood of a file, before anything is learned from it."""

from __future__ import annotations

import argparse
from pathlib import Path

from chainrule.base.tables import text_table
from chainrule.cli.output import say
from chainrule.data import Reading

headers = {"auto": None, "yes": True, "no": False}


def run(arguments: argparse.Namespace) -> int:
    """Print how a table was read, column by column, or the arrays of an NPZ or NPY file."""
    path = Path(arguments.file)
    say(arrays(path) if path.suffix.lower() in (".npz", ".npy") else reading_of(path, arguments))
    return 0


def reading_of(path: Path, arguments: argparse.Namespace, asked: tuple[str, ...] = ()) -> Reading:
    """The table in a file, by the options of `add_table_options`; asked: as of `read_table`."""
    from chainrule.data import read_table

    return read_table(
        path,
        delimiter=arguments.delimiter,
        decimal=arguments.decimal,
        encoding=arguments.encoding,
        header=headers[arguments.header],
        missing=arguments.missing,
        columns=arguments.columns,
        drop=arguments.drop,
        asked=asked,
    )


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
