"""What a table is packed in: plain, gzip, bzip2, xz, zip, Zstandard, Parquet, Feather (Arrow).

Told by the first bytes, not by the name.  What is a table of no kind read here (a spreadsheet, a web page,
JSON, ARFF) is refused with what to do.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base.errors import FileError, MissingExtraError
from chainrule.base.files.disk import first_line, opened
from chainrule.base.shown import quoted

NO_TABLES = {
    b"\xd0\xcf\x11\xe0": "a spreadsheet or document of Microsoft Office",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "an array of NumPy's: give it the ending .npy",
    b"SQLite format 3": "a database of SQLite",
    b"$FL2": "a file of SPSS",
    b"7z\xbc\xaf": "an archive of 7-Zip: unpack it",
    b"Rar!": "an archive of RAR: unpack it",
    b"version https://git-lfs": "a pointer of Git LFS, not the data: run git lfs pull",
}
SPREADSHEET = "save it as CSV (in UTF-8), one sheet a file"


@dataclass(frozen=True)
class Content:
    """The bytes of a text, or a table of Arrow's with its types; `container` says what they came in."""

    container: str
    data: bytes = b""
    arrow: Any = None


def content_of(path: Path) -> Content:
    """What the file holds, unpacked; a pipe is read to its end.  Raises FileError for what is no table."""
    with opened(path, pipes=True) as (stream, _):
        data = stream.read()
    packed = ""
    for start, name, unpack in (
        (b"\x1f\x8b", "gzip", _gunzip),
        (b"BZh", "bzip2", _bunzip),
        (b"\xfd7zXZ", "xz", _unxz),
        (b"\x28\xb5\x2f\xfd", "Zstandard", _unzstd),
        (b"PK\x03\x04", "zip", _unzip),
        (b"PK\x05\x06", "zip", _unzip),
    ):
        if data.startswith(start):
            try:
                packed, data = name, unpack(path, data)
            except FileError:  # says what it is; a ValueError, too
                raise
            except (OSError, EOFError, ValueError, zlib.error) as error:
                raise FileError(f"{path}: a damaged {name} file ({first_line(error)})") from None
            break
    if data[:4] == b"PAR1" or data[:6] == b"ARROW1" or data[:4] == b"FEA1":
        return _columnar(path, data)
    _refuse(path, data)
    return Content(packed or "text", data)


def _gunzip(path: Path, data: bytes) -> bytes:
    import gzip

    return gzip.decompress(data)


def _bunzip(path: Path, data: bytes) -> bytes:
    import bz2

    return bz2.decompress(data)


def _unxz(path: Path, data: bytes) -> bytes:
    import lzma

    try:
        return lzma.decompress(data)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from None


def _unzstd(path: Path, data: bytes) -> bytes:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("pyarrow", "tables", f"{path}: a Zstandard file") from None
    try:
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
            unpacked: bytes = stream.read()
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None
    return unpacked


def _unzip(path: Path, data: bytes) -> bytes:
    """The only file of an archive."""
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if "[Content_Types].xml" in names or "mimetype" in names:
                raise FileError(f"{path}: a spreadsheet or document: {SPREADSHEET}")
            names = [name for name in names if not name.startswith("__MACOSX/")]
            if len(names) != 1:
                listed = ", ".join(quoted(name, 40) for name in names[:6]) or "nothing"
                raise FileError(
                    f"{path}: an archive of {len(names)} files ({listed}): unpack the one to read"
                )
            return archive.read(names[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(first_line(error)) from None


def _columnar(path: Path, data: bytes) -> Content:
    name = "Parquet" if data[:4] == b"PAR1" else "Feather"
    try:
        import narwhals.stable.v2  # noqa: F401 - which makes the Frame of it
        import pyarrow
        import pyarrow.feather
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow and narwhals", "tables", f"{path}: a {name} file") from None
    buffer = pyarrow.BufferReader(data)
    try:
        if name == "Parquet":  # which reads no two columns of one name
            check_names(path, pyarrow.parquet.read_schema(pyarrow.BufferReader(data)).names)
        read = pyarrow.parquet.read_table if name == "Parquet" else pyarrow.feather.read_table
        table = read(buffer)
        check_names(path, table.column_names)
        return Content(name, arrow=table)
    except FileError:  # a ValueError, too
        raise
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise FileError(f"{path}: a damaged {name} file ({first_line(error)})") from None


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise FileError for two columns of one name."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise FileError(
                f"{path}: two columns are called '{quoted(name)}'; give every column its own name"
            )


def _refuse(path: Path, data: bytes) -> None:
    """Raise FileError for what is known to be no table of rows."""
    for start, what in NO_TABLES.items():
        if data.startswith(start):
            advice = f": {SPREADSHEET}" if "spreadsheet" in what else ""
            raise FileError(f"{path}: {what}{advice}")
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise FileError(f"{path}: a page of the web, not a table: download the file itself")
    if start.startswith((b'{"', b"[{", b"[[")) or (start.startswith(b"{") and b'":' in start):
        raise FileError(
            f"{path}: JSON, not a table: write it as CSV, such as with pandas' read_json and to_csv"
        )
    lines = [line.strip() for line in start.split(b"\n")]
    if any(line.startswith((b"@relation", b"@attribute")) for line in lines):
        raise FileError(
            f"{path}: an ARFF file: write it as CSV, the names after @attribute as its first line, "
            "the lines after @data below it"
        )
