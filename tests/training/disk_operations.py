"""What is done to files, recorded; what may be on the disk if the machine stops at any moment of it; and
operations that fail.

The disk of the model is a harsh one: of what was written to a file since its last fsync any part may be
there, and of the names that were made, moved and removed since the folder's last fsync any selection.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainrule.base.files import disk

Operation = tuple[Any, ...]  # ("write", name, offset, bytes), ("fsync", name), ("rename", one, other), ...


class _Stream(io.RawIOBase):
    """A file whose writes are told."""

    def __init__(self, path: Path, stream: Any, tell_operation: Callable[[Operation], None]) -> None:
        self.path, self.stream, self.told = path, stream, tell_operation

    def write(self, content: Any) -> int:
        self.told(("write", self.path.name, self.stream.tell(), bytes(content)))
        return int(self.stream.write(content))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self.stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self.stream.tell())

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def flush(self) -> None:
        if not self.stream.closed:
            self.stream.flush()

    def fileno(self) -> int:
        return int(self.stream.fileno())

    def close(self) -> None:
        self.stream.close()
        super().close()


@contextmanager
def told(hear: Callable[[Operation], None]) -> Iterator[None]:
    """Every operation on files is heard before it is done; what `hear` raises, the operation raises."""
    create, fsync, replace, unlink = disk._create, os.fsync, os.replace, os.unlink
    names: dict[int, str] = {}

    def created(part: Path, mode: int) -> Any:
        hear(("create", part.name))
        stream = create(part, mode)
        names[os.fstat(stream.fileno()).st_ino] = part.name
        return _Stream(part, stream, hear)

    def synced(handle: int) -> None:
        status = os.fstat(handle)
        hear(("fsync", names.get(status.st_ino, "")))  # "": the folder
        fsync(handle)

    def replaced(one: Any, other: Any, **options: Any) -> None:
        hear(("rename", Path(one).name, Path(other).name))
        replace(one, other, **options)

    def unlinked(path: Any, **options: Any) -> None:
        if os.path.lexists(path):
            hear(("unlink", Path(path).name))
        unlink(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "_create", created)
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", replaced)
        patch.setattr(os, "unlink", unlinked)
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: _removed(self, unlinked, missing_ok))
        yield


def _removed(path: Path, unlink: Callable[[Any], None], missing_ok: bool) -> None:
    try:
        unlink(path)
    except FileNotFoundError:
        if not missing_ok:
            raise


class Failing:
    """Raises at the operation of a number, from 0, and at none that comes after."""

    def __init__(self, number: int, code: int) -> None:
        self.left, self.code = number, code
        self.failed: Operation | None = None

    def __call__(self, operation: Operation) -> None:
        if self.left == 0 and self.failed is None:
            self.failed = operation
            raise OSError(self.code, os.strerror(self.code))
        self.left -= 1


NO_ROOM, BROKEN = errno.ENOSPC, errno.EIO


def states(operations: list[Operation], done: int) -> Iterator[dict[str, bytes]]:
    """Every folder, by name, that may be found if the machine stops once `done` operations were begun."""
    files: dict[
        int, tuple[bytes, list[tuple[int, bytes]]]
    ] = {}  # what is there for certain, and what came since
    certain: dict[str, int] = {}
    pending: list[Callable[[dict[str, int]], None]] = []
    now: dict[str, int] = {}
    for number, (kind, *what) in enumerate(operations[:done]):
        if kind == "create":
            files[number] = b"", []
            change = _made(what[0], number)
        elif kind == "write":
            files[now[what[0]]][1].append((what[1], what[2]))
            continue
        elif kind == "fsync":
            if what[0]:
                held = files[now[what[0]]]
                files[now[what[0]]] = _written(*held), []
            else:
                certain, pending = dict(now), []
            continue
        else:
            change = _moved(*what) if kind == "rename" else _gone(what[0])
        change(now)
        pending.append(change)
    for chosen in itertools.product((True, False), repeat=len(pending)):
        names = dict(certain)
        for change in itertools.compress(pending, chosen):
            change(names)
        contents = [_contents(*files[held]) for held in names.values()]
        for choice in itertools.product(*contents):
            yield dict(zip(names, choice, strict=True))


def _made(name: str, held: int) -> Callable[[dict[str, int]], None]:
    return lambda names: names.__setitem__(name, held)


def _moved(one: str, other: str) -> Callable[[dict[str, int]], None]:
    def change(names: dict[str, int]) -> None:
        if one in names:
            names[other] = names.pop(one)

    return change


def _gone(name: str) -> Callable[[dict[str, int]], None]:
    return lambda names: names.pop(name, None) and None  # type: ignore[func-returns-value]


def _written(content: bytes, writes: list[tuple[int, bytes]]) -> bytes:
    whole = bytearray(content)
    for offset, piece in writes:
        whole.extend(bytes(max(0, offset - len(whole))))
        whole[offset : offset + len(piece)] = piece
    return bytes(whole)


def _contents(content: bytes, writes: list[tuple[int, bytes]]) -> list[bytes]:
    """What may be in a file: all, nothing of what came since, half of it, its length without its numbers."""
    if not writes:
        return [content]
    whole = _written(content, writes)
    half = _written(content, writes[: len(writes) // 2])
    return [*dict.fromkeys((whole, content, half, whole[: len(whole) // 3], bytes(len(whole))))]
