"""Files: read through one open descriptor, and written as a whole or not at all.

A file is written under another name in the folder of its target and moved into its place, so that whoever
reads finds the old one or the new one, whatever ends the writer or the machine: the content is on the disk
before the move, and the move when the writer is told that it is done.  That name says who writes,
`.chainrule-HOST-PID-BEGAN-TOKEN`: the next writer in that folder removes what a dead process has left there.
Files without a name (O_TMPFILE) would leave nothing, but they cannot take the place of another file, and NFS
has none.  Locks would tell the living from the dead, too, but a network file system may grant the same lock
to two machines.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from chainrule.base.errors import FileError

PathLike = str | os.PathLike[str]
Write = Callable[[BinaryIO], object]
# What another machine or container, or a version before these names, has left is removed after a day: whether
# its writer lives cannot be seen from here, and writing to a file renews its time.
STALE_SECONDS = 86400.0
LONGEST_TEXT = 2**28  # bytes of a text that is read at once: a report, a history, a description
READER_SECONDS = 10.0  # for a pipe to be written to
_PART = re.compile(
    r"\.chainrule-(?:(?P<host>[0-9a-f]{12})-(?P<pid>\d+)-(?P<began>\d+)-[0-9a-f]{8}|[0-9a-f]{16})"
)
_MOST_LINKS = 40  # on the way to a file; Linux follows as many
_NOT_IN_THIS_FOLDER = (errno.EACCES, errno.EPERM, errno.EROFS)
_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)  # some network file systems
_NOT_REPLACED = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.EXDEV)  # a sticky folder, a mounted file


# -- reading ------------------------------------------------------------------------------------------------
@contextmanager
def opened(path: PathLike, *, pipes: bool = False) -> Iterator[tuple[BinaryIO, int]]:
    """A file for reading, and its size in bytes: all that is asked of it is asked of this one descriptor.

    So a file that is replaced meanwhile is still the old one here, whole.  Raises FileError where it is
    missing or cannot be read, and for what is no file: folders, devices, and pipes (`pipes` takes these, of
    size 0).
    """
    path = Path(path)
    _check_name(path, "cannot be read")
    try:
        with open(path, "rb", opener=None if pipes else _without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not (stat.S_ISREG(status.st_mode) or (pipes and stat.S_ISFIFO(status.st_mode))):
                raise FileError(f"{path}: cannot be read, it is no file")
            yield stream, status.st_size
    except FileNotFoundError:
        raise FileError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise FileError(f"{path}: cannot be read, it is a directory") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or first_line(error)})") from None


def read_text(path: PathLike) -> str:
    """The text of a file in UTF-8.

    Raises FileError as `opened` does, for more than LONGEST_TEXT bytes, and for what is no UTF-8.
    """
    with opened(path) as (stream, _):
        content = stream.read(LONGEST_TEXT + 1)  # the files of /proc say a size of 0
    if len(content) > LONGEST_TEXT:
        raise FileError(f"{path}: not read, it has more than {LONGEST_TEXT:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path}: not a text file in UTF-8 (byte 0x{error.object[error.start]:02x})"
        ) from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its name where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes to would keep `open` for ever; of a file the flag means nothing."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_name(path: Path, what: str) -> None:
    if "\0" in str(path):
        raise FileError(f"{str(path)!r}: {what}, a file name holds no NUL character")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise FileError(f"{str(path)!a}: {what}, this is no name of a file") from None


# -- writing ------------------------------------------------------------------------------------------------
def write_whole(target: PathLike, write: Write) -> None:
    """The file that `write` makes; what was there stays until all of it is on the disk.

    A file that is replaced keeps its mode, its group and, for root, its owner; a new one follows the umask.
    A symbolic link stays one, and what it points to is written; a hard link parts from its other names,
    which keep the old content.  Where the file may be written but its folder not, and where it is mounted by
    itself, it is overwritten in place after all of the new content has been made and space for it reserved:
    there alone a crash can leave a part.  Pipes, devices and the process's own /dev/stdout and /dev/fd/N are
    written to, not replaced.

    Raises FileError that names the file and the reason: a read-only file is one.  BrokenPipeError where the
    process's own output has been closed.
    """
    target = Path(target)
    try:
        place = _place(target)
        if isinstance(place, int):
            _pour(place, write)
        elif place.special:
            _pour(place.path, write)
        else:
            _replace(place, write)
    except BrokenPipeError as error:
        if descriptor(target) is not None:
            raise
        raise FileError(f"{target}: cannot be written ({error.strerror})") from error
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror or first_line(error)})") from error


def write_text(target: PathLike, text: str) -> None:
    """`write_whole` of a text in UTF-8; a lone surrogate, which has no bytes, becomes an escape."""
    content = text.encode("utf-8", "backslashreplace")
    write_whole(target, lambda stream: stream.write(content))


def check_writable(target: PathLike) -> None:
    """Raise FileError now where `write_whole` would: before the work, not after.  Nothing is left behind."""
    target = Path(target)
    try:
        place = _place(target)
        if isinstance(place, int):
            os.close(place)
        elif not place.special:
            part = _part(place.path.parent)
            try:
                _create(part, 0o600).close()
            except OSError as error:
                if place.before is None or error.errno not in _NOT_IN_THIS_FOLDER:
                    raise
            finally:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror or first_line(error)})") from error


def descriptor(path: PathLike) -> int | None:
    """N where the path is the open descriptor N of this process: /dev/stdout, /dev/fd/N, a link to one."""
    place = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(place)
        place = os.path.join(os.path.realpath(folder), name)
        match = re.fullmatch(rf"(?:/proc/{os.getpid()}(?:/task/\d+)?|/dev)/fd/(\d{{1,9}})", place)
        if match:
            return int(match[1])
        try:
            place = os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place)))
        except OSError:  # no link: the way ends here
            return None
    return None


class _Place:
    """Where a file goes, its links followed, and what is there: None is nothing yet."""

    def __init__(self, path: Path, before: os.stat_result | None) -> None:
        self.path = path
        self.before = before
        self.special = before is not None and not stat.S_ISREG(before.st_mode)


def _place(target: Path) -> _Place | int:
    """The place of a target, or a copy of the process's own descriptor.  FileError where none may stand."""
    _check_name(target, "not written")
    handle = descriptor(target)
    if handle is not None:
        return os.dup(handle)
    path = Path(os.path.realpath(target))
    try:
        before = os.stat(target)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise FileError(
                f"{target}: cannot be written (there is no folder {target.parent}: make it first)"
            ) from None
        return _Place(path, None)
    kind = before.st_mode
    if stat.S_ISDIR(kind):
        raise FileError(f"{target}: cannot be written (this is a folder)")
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        return _Place(target, before)  # as it was named: the way of /proc/PID/fd/N leads to no name
    if not stat.S_ISREG(kind):
        raise FileError(f"{target}: cannot be written (this is no file)")
    # No write bit at all is a wish that root respects, too, although nothing would stop it.
    if not kind & 0o222 or not os.access(path, os.W_OK):
        raise FileError(f"{target}: cannot be written (it is read-only)")
    return _Place(path, before)


def _pour(place: int | Path, write: Write) -> None:
    """Into what is no file: everything is made first, so that an error in making it writes nothing."""
    content = io.BytesIO()  # some formats seek while they are written
    with open(place, "wb", opener=_with_a_reader) as stream:
        write(content)
        for output in (sys.stdout, sys.stderr):  # what was printed before comes before
            if output is not None:
                output.flush()
        stream.write(content.getbuffer())
        stream.flush()


def _with_a_reader(path: str, flags: int) -> int:
    """A pipe that nobody reads would keep `open` for ever: its reader is waited for a while."""
    until = time.monotonic() + READER_SECONDS
    while True:
        try:
            pipe = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() >= until:
                raise OSError(error.errno, "nobody reads this pipe: start its reader first") from None
            time.sleep(0.02)
        else:
            os.set_blocking(pipe, True)
            return pipe


def _replace(place: _Place, write: Write) -> None:
    folder, before = place.path.parent, place.before
    remove_leftovers(folder)
    part = _part(folder)
    try:
        try:
            stream = _create(part, 0o666 if before is None else 0o600)
        except OSError as error:
            if before is None or error.errno not in _NOT_IN_THIS_FOLDER:
                raise
            content = io.BytesIO()
            write(content)
            _overwrite(place.path, content, len(content.getbuffer()))
            return
        with stream:
            write(stream)
            stream.flush()
            if before is not None:
                _resemble(part, before)
            os.fsync(stream.fileno())
        try:
            os.replace(part, place.path)
        except OSError as error:
            if before is None or error.errno not in _NOT_REPLACED:
                raise
            with open(part, "rb") as made:
                _overwrite(place.path, made, os.fstat(made.fileno()).st_size)
        else:
            _settle(folder)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """A name is on the disk only when its folder is: without this a power failure may take the new file back
    and, to one that has removed older files since, leave none.
    """
    if os.name != "posix":  # Windows opens no folders
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that may be written to but not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(handle)


def _create(part: Path, mode: int) -> BinaryIO:
    return open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _resemble(part: Path, before: os.stat_result) -> None:
    """Mode, group and owner of the file that is about to be replaced, as far as they may be set."""
    mode = stat.S_IMODE(before.st_mode) & 0o777
    made = part.stat()
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        for owner in (before.st_uid, -1):
            try:
                os.chown(part, owner, before.st_gid)
                break
            except OSError:
                continue
        else:
            mode &= ~0o070 | (mode & 0o007) << 3  # another group gets what everybody gets
    os.chmod(part, mode)


def _overwrite(path: Path, content: BinaryIO, size: int) -> None:
    """In place.  The space is taken first: where there is none the old content stays."""
    content.seek(0)
    with open(path, "r+b") as stream:
        old = os.fstat(stream.fileno()).st_size
        if size > old and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(stream.fileno(), 0, size)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                    os.ftruncate(stream.fileno(), old)
                    raise
        shutil.copyfileobj(content, stream, 2**20)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())


# -- what the dead have left --------------------------------------------------------------------------------
def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of dead writers; those of the living stay, and what is in doubt."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _PART.fullmatch(entry.name)
            if match is None:
                continue
            with suppress(OSError):
                if _left_behind(match, entry):
                    os.unlink(entry.path)


def _left_behind(match: re.Match[str], entry: os.DirEntry[str]) -> bool:
    if match["host"] == _host():
        return not _lives(int(match["pid"]), match["began"])
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS


def _part(folder: Path) -> Path:
    """A new name for an unfinished file; short: the target's own may be the longest that there can be."""
    pid = os.getpid()
    return folder / f".chainrule-{_host()}-{pid}-{_began(pid) or 0}-{secrets.token_hex(4)}"


@functools.cache
def _host() -> str:
    """What the numbers of processes belong to: this machine since it started, and this container of it."""
    import hashlib
    import platform

    facts = [os.fsencode(platform.node())]
    with suppress(OSError):
        facts += [Path("/proc/sys/kernel/random/boot_id").read_bytes(), os.readlink(b"/proc/self/ns/pid")]
    return hashlib.sha256(b"\n".join(facts)).hexdigest()[:12]


def _lives(pid: int, began: str) -> bool:
    """Whether the process that began then still runs; a number alone may belong to another by now."""
    if os.name != "posix":  # there os.kill ends processes, whatever the signal
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    except OverflowError:
        return False
    now = _began(pid)
    return now != "" if now is None or began == "0" else now == began


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; "" where it is dead and only not yet buried, None
    where this system does not say.
    """
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "" if words[0] in (b"Z", b"X") else str(int(words[19]))
    except (OSError, IndexError, ValueError):
        return None
