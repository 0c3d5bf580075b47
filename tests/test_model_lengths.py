"""Model and data files that lie about their lengths: refused, and no memory taken for what is not there."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import FileError
from tests.stored_networks import facts, refusal, sample


def zipped(path: Path, members: list[tuple[str, bytes]], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def members_of(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def header(description: str) -> bytes:
    """The header of an array in version 1 of NumPy's format."""
    return b"\x93NUMPY\x01\x00" + len(description).to_bytes(2, "little") + description.encode()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_with_tricks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    sample("images")[0].save(path)
    members = members_of(path)
    first = next(name for name, _ in members if name != "chainrule.npy")

    def refused(words: str) -> None:
        with pytest.raises(FileError, match=words):
            cr.load(path)

    zipped(path, members, compression=zipfile.ZIP_DEFLATED)
    refused("is compressed, which Network.save does not do: it is not unpacked")
    zipped(path, [*members, members[1]])
    refused("twice")
    zipped(path, [*members, ("note.txt", b"")])
    refused(r"note\.txt is no array")
    zipped(path, [(name, content + b"\0" * (name == first)) for name, content in members])
    refused("has another length than its header says")
    zipped(path, [(name, content[: -1 if name == first else None]) for name, content in members])
    refused("has another length than its header says")
    zipped(path, [(name, b"text" if name == first else content) for name, content in members])
    refused("is no array: it starts with 74 65 78 74")
    for text, words in (
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "holds Python objects"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10,), 'shape': (10,)}", "its header is not"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "its header is not"),
        ("{'descr': '<f4', 'fortran_order': __import__('os'), 'shape': (1,)}", "its header is not"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1,)}", "its shape is"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 30 + ",)}", "its shape is"),
        ("{" * 3000, "its header is not"),
        ("x" * 20_000, "its header would have 20,000 bytes"),
    ):
        zipped(path, [(name, header(text) if name == first else content) for name, content in members])
        refused(words)
    piped = Piped()
    with zipfile.ZipFile(piped, "w") as archive:  # type: ignore[call-overload]
        for name, content in members:
            archive.writestr(name, content)
    path.write_bytes(piped.content)
    refused("does not say how long it is")


class Piped:
    """A stream that cannot be sought in: a zip archive in it says lengths behind the contents."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, piece: bytes) -> int:
        self.content += piece
        return len(piece)

    def flush(self) -> None:
        pass


def test_another_name_or_length_before_a_member_changes_nothing_unnoticed(tmp_path: Path) -> None:
    """A zip archive has two headers for a member; every byte of the local ones is changed in turn."""
    network, X = sample("images")
    path = tmp_path / "net.npz"
    network.save(path)
    raw, expected = path.read_bytes(), facts(cr.load(path), X)
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[1].header_offset
    for place in range(start, start + 60):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0x11]) + raw[place + 1 :])
        assert refusal(path) is not None or facts(cr.load(path), X) == expected


def test_headers_of_safetensors_that_lie_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    sample("images")[0].save(path)
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    told, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    name = next(name for name in told if name != "__metadata__")
    record = told[name]
    begin, end = record["data_offsets"]

    def refused(content: bytes, words: str) -> None:
        path.write_bytes(content)
        with pytest.raises(FileError, match=words):
            cr.load(path)

    def with_record(**changes: Any) -> bytes:
        text = json.dumps({**told, name: {**record, **changes}}).encode()
        return len(text).to_bytes(8, "little") + text + data

    path.write_bytes(with_record())
    cr.load(path)
    for lie in (0, 1, length - 1, length + 1, len(raw), 2**40, 2**64 - 1):
        refused(lie.to_bytes(8, "little") + raw[8:], "is damaged or no .safetensors file")
    refused(raw + b"\0", "bytes, and .* follow its header")
    refused(raw[:-1], "is damaged")
    for changes in (
        {"data_offsets": [begin, end + 4]},
        {"data_offsets": [end, begin]},
        {"data_offsets": [begin, 2**62]},
        {"data_offsets": [begin]},
        {"data_offsets": [float(begin), float(end)]},
        {"shape": [2**31, 2**31, 2**31]},
        {"shape": [-1]},
        {"shape": "x"},
        {"dtype": 3},
        {"more": 1},
    ):
        refused(with_record(**changes), f"the record of the array '{name}' is damaged")
    refused(with_record(dtype="BF16"), f"the array '{name}' is BF16")
    refused(
        b"\x02\0\0\0\0\0\0\0" + b"[]" + data,
        "its header is no JSON object",
    )
    twice = json.dumps(told)[:-1] + f', "{name}": {json.dumps(record)}}}'
    refused(len(twice).to_bytes(8, "little") + twice.encode() + data, "stands in it twice")


BOMBS = """
import sys
import chainrule as cr
from chainrule.data import load_csv, load_idx, load_npy, load_npz

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

cr.load(sys.argv[1]).predict([[0.0] * 2])
before = peak()
for path in sys.argv[2:]:
    load = {"csv": lambda path: load_csv(path, -1), "npy": load_npy, "gz": load_idx, "idx": load_idx}.get(
        path.rpartition(".")[2], cr.load if "net" in path.rpartition("/")[2] else load_npz
    )
    try:
        load(path)
        said = "loaded"
    except cr.FileError as error:
        said = str(error)
    print(f"{peak() - before:.0f} {said}")
"""


def test_what_promises_much_and_holds_little_takes_no_memory(tmp_path: Path) -> None:
    """The growth of the peak of a process, MB, after each of these files, all of them below a megabyte."""
    healthy = tmp_path / "healthy.npz"
    sample("table")[0].save(healthy)
    giant = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
    bombs: list[Path] = []

    def add(name: str) -> Path:
        bombs.append(tmp_path / name)
        return bombs[-1]

    text = header(giant % ("<U15000000", "()")) + bytes(60_000_000)
    zipped(add("net1.npz"), [("chainrule.npy", text)], compression=zipfile.ZIP_DEFLATED)
    zipped(add("net2.npz"), [("chainrule.npy", header(giant % ("<U700000000", "()")))])
    with zipfile.ZipFile(add("net3.npz"), "w") as archive:  # many names for the same bytes
        archive.writestr("a0.npy", header(giant % ("<f4", "(50000,)")) + bytes(200_000))
        member = archive.infolist()[0]
        for number in range(1, 500):
            other = zipfile.ZipInfo(f"a{number}.npy")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(other, field, getattr(member, field))
            archive.filelist.append(other)
    record = {"a": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}}
    content = json.dumps(record).encode()
    add("net.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
    add("net2.safetensors").write_bytes((90_000_000).to_bytes(8, "little") + b"{")
    add("a.npy").write_bytes(header(giant % ("<f8", "(300000000,)")) + bytes(1000))
    lie = header(giant % ("<f8", "(100000000,)")) + bytes(500_000)
    zipped(add("b.npz"), [("X.npy", lie), ("y.npy", lie)], compression=zipfile.ZIP_DEFLATED)
    four = b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(60_000_000)
    zipped(add("c.npz"), [("X.npy", four), ("y.npy", lie)], compression=zipfile.ZIP_DEFLATED)
    zipped(add("d.npz"), [("X.npy", lie)], compression=zipfile.ZIP_LZMA)
    add("e.idx").write_bytes(b"\0\0\x08\x02\0\x01\0\0\0\x01\0\0" + bytes(1000))
    rows = "\n".join(["0,a"] * 20_000)
    add("f.csv").write_text(f"x,kind\n0,{'z' * 100_000}\n{rows}\n")
    honest = tmp_path / "honest.npz"
    np.savez_compressed(honest, X=np.zeros((2, 5_000_000)), y=np.zeros(2))
    assert all(path.stat().st_size < 1_000_000 for path in bombs)
    ran = subprocess.run(
        [sys.executable, "-c", BOMBS, healthy, *bombs, honest], capture_output=True, text=True, check=True
    )
    lines = ran.stdout.splitlines()
    assert len(lines) == len(bombs) + 1
    for path, line in zip(bombs, lines, strict=False):
        growth, said = line.split(" ", 1)
        assert said.startswith(str(path)), said
        assert float(growth) < 30, line
    growth, said = lines[-1].split(" ", 1)  # the honest one takes what it holds, once
    assert said == "loaded"
    assert 70 < float(growth) < 110
