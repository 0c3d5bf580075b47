"""Data files that are damaged, lie or are replaced meanwhile: errors that name the file, or right numbers."""

from __future__ import annotations

import gzip
import os
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import FileError
from chainrule.base.files.disk import write_whole
from chainrule.data import load_csv, load_idx, load_npy, load_npz
from chainrule.data.readers.npz import open_npz
from tests.damage import mutants

GIANT = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def saved(path: Path, save: Callable[..., None], *arguments: Any, **named: Any) -> bytes:
    save(path, *arguments, **named)
    return path.read_bytes()


def samples(folder: Path) -> dict[str, tuple[bytes, Callable[[Path], Any]]]:
    """A healthy file of every kind, and who reads it."""
    X, y = np.arange(24.0).reshape(6, 4), np.array(["a", "b", "c"] * 2)
    idx = bytes([0, 0, 8, 2, 0, 0, 0, 6, 0, 0, 0, 4]) + bytes(range(24))
    text = "one,two,kind\n" + "".join(f"{n},{n / 7},{'ab'[n % 2]}\n" for n in range(6))
    return {
        "x.npy": (saved(folder / "x.npy", np.save, X), load_npy),
        "x.npz": (saved(folder / "x.npz", np.savez, X=X, y=y), load_npz),
        "packed.npz": (saved(folder / "packed.npz", np.savez_compressed, X=X, y=y), load_npz),
        "x.idx": (idx, load_idx),
        "x.gz": (gzip.compress(idx, mtime=0), load_idx),
        "x.csv": (text.encode(), lambda path: load_csv(path, "kind")),
    }


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "packed.npz", "x.idx", "x.gz", "x.csv"])
def test_a_damaged_file_ends_in_an_error_that_names_it_or_in_an_array(name: str, tmp_path: Path) -> None:
    raw, load = samples(tmp_path)[name]
    path, refused = tmp_path / name, 0
    for damaged in mutants(raw, 350, seed=7):
        path.write_bytes(damaged)
        try:
            load(path)
        except FileError as error:
            refused += str(path) in str(error)
    assert refused > 100


# What NumPy's own reader ends in, each in another kind of error.
ARRAYS = {
    "cut short": header(GIANT % ("<f8", "(3,)")) + bytes(20),
    "too long": header(GIANT % ("<f8", "(3,)")) + bytes(32),
    "no version": b"\x93NUMPY\x09\x00" + header(GIANT % ("<f8", "(3,)"))[8:] + bytes(24),
    "no text": b"\x93NUMPY\x01\x00\x10\x00" + b"\xff" * 16,
    "an expression": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1 if x else 2,), }")
    + bytes(24),
    "an escape": header("{'descr': '\\q', 'fortran_order': False, 'shape': (3,), }") + bytes(24),
    "no end": header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,"),
    "a deep nest": header("(" * 5000),
    "a long integer": header(GIANT % ("<f8", f"({'9' * 5000},)")),
    "petabytes": header(GIANT % ("<f8", "(1000000000, 1000000)")),
    "beyond 64 bits": header(GIANT % ("<f8", "(9223372036854775807, 9223372036854775807)")),
    "beyond 64 bits, and nothing": header(GIANT % ("<f8", "(0, 9223372036854775807, 9223372036854775807)")),
    "many dimensions": header(GIANT % ("<f8", f"({'1,' * 100})")) + bytes(8),
    "a negative size": header(GIANT % ("<f8", "(-3,)")) + bytes(24),
    "objects": header(GIANT % ("|O", "(3,)")) + b"\x80\x04K\x01." * 6,
    "a record": header("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }") + bytes(24),
    "no such type": header(GIANT % ("<f3", "(8,)")) + bytes(24),
    "entries of no bytes": header(GIANT % ("<U0", "(1000000000000,)")),
    "entries of too many bytes": header(GIANT % ("<U999999999", "(1,)")),
    "no header": b"\x93NUMPY",
    "a pickle": b"\x80\x04K\x01.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("method", [None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_that_are_none(name: str, method: int | None, tmp_path: Path) -> None:
    """By itself and in an archive, packed or not."""
    if method is None:
        path = tmp_path / "x.npy"
        path.write_bytes(ARRAYS[name])
        with pytest.raises(FileError, match=r"x\.npy: (not an .npy file, or a damaged one|does not hold)"):
            load_npy(path)
        return
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("X.npy", ARRAYS[name])
    with pytest.raises(FileError, match=r"x\.npz: the array 'X' (cannot be read|has shape)") as caught:
        load_npz(path, target=None)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    array = header(GIANT % ("<f8", "(3,)")) + bytes(24)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("X.npy", array)
        with pytest.raises(FileError, match=r"'X' cannot be read .*numpy\.savez_compressed packs nothing"):
            load_npz(path, target=None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", array)
        archive.writestr("X.npy", array)
    with pytest.raises(FileError, match="holds 'X' twice"):
        load_npz(path, target=None)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", array)
    raw = path.read_bytes()
    flags = raw.index(b"PK\x01\x02") + 8
    path.write_bytes(raw[:flags] + b"\x01" + raw[flags + 1 :])
    with pytest.raises(FileError, match=r"'X' cannot be read .*encrypted"):
        load_npz(path, target=None)
    np.savez_compressed(path, X=np.zeros((1000, 1000)))  # as many bytes to one as deflate can pack
    assert path.stat().st_size < 10_000
    assert load_npz(path, target=None)[0].shape == (1000, 1000)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i8", "<f2", ">f4", "<f8", "<U3", ">U3"])
def test_arrays_of_every_type_come_as_numpy_reads_them(dtype: str, order: str, tmp_path: Path) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 7, order=order).astype(dtype)
    np.save(tmp_path / "x.npy", array)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", X=array)
        for read in (load_npy(tmp_path / "x.npy"), load_npz(tmp_path / "x.npz", target=None)[0]):
            np.testing.assert_array_equal(read, array)
            assert read.dtype == array.dtype.newbyteorder("=")
            assert read.flags.writeable
            assert read.flags.f_contiguous == (order == "F")
    for version in ((1, 0), (2, 0), (3, 0)):
        with (tmp_path / "x.npy").open("wb") as stream:
            np.lib.format.write_array(stream, array, version)
        np.testing.assert_array_equal(load_npy(tmp_path / "x.npy"), array)


def test_headers_as_other_programs_write_them(tmp_path: Path) -> None:
    """Other quotes, another order, no spaces, no comma at the end."""
    for text in (
        '{"shape":(3,),"descr":"<f8","fortran_order":False}',
        "{'fortran_order': False, 'descr': '<f8', 'shape': (3,)}  \n",
        "{'descr' : '<f8' , 'fortran_order' : True , 'shape' : ( 3 , ) , }",
    ):
        (tmp_path / "x.npy").write_bytes(header(text) + np.array([1.0, 2.0, 3.0]).tobytes())
        assert load_npy(tmp_path / "x.npy").tolist() == [1, 2, 3]


def test_a_label_of_a_hundred_thousand_characters_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = "0,a\n" * 1000
    path.write_text(f"x,kind\n{rows}0,{'z' * 100_000}\n{rows}")
    with pytest.raises(FileError, match=r"line 1002, column 2 \(kind\): the target has 100,000 characters"):
        load_csv(path, "kind")
    path.write_text("x,kind\n" + f"0,{'z' * 1000}\n" * 2000)  # all are long: that is what they are
    assert load_csv(path, "kind").target.shape == (2000,)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for load in (load_idx, load_npy, load_npz):
        for path, words in ((pipe, "it is no file"), (tmp_path, "is a directory"), (Path("a\0b"), "NUL")):
            with pytest.raises(FileError, match=words):
                load(path)


def test_a_table_may_come_through_a_pipe(tmp_path: Path) -> None:
    """It is read once, from its beginning to its end."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("\ufeffa;b\n1;2\n3;4\n",))
    writer.start()
    table = load_csv(pipe, "b")
    writer.join()
    assert (table.names, table.features.tolist(), table.target.tolist()) == (("a",), [[1], [3]], [2, 4])


def test_arrays_of_one_file_are_of_one_moment(tmp_path: Path) -> None:
    """The file is replaced between the two arrays that are read of it."""
    path = tmp_path / "x.npz"
    np.savez(path, X=np.full((2, 2), 1), y=np.full(2, 1))
    with open_npz(path) as archive:
        X = archive.read("X")
        write_whole(path, lambda stream: np.savez(stream, X=np.full((2, 2), 2), y=np.full(2, 2)))
        y = archive.read("y", 2)
    assert (X == 1).all()
    assert (y == 1).all()
    assert (load_npz(path)[1] == 2).all()
