"""What goes wrong in somebody's code, as a line: the kind of error, their file and their line."""

from __future__ import annotations

import io
import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from traceback import walk_tb

import chainrule
from chainrule.base.errors import ChainruleError, FileError
from chainrule.base.shown import quoted

OURS = str(Path(chainrule.__file__).parent)
LONGEST = 400  # characters of what their error says


class TheirError(FileError):
    """Somebody's code raised an error, or ended the program.

    kind: of the error.  file, line: of theirs, None where it is not known.
    """

    def __init__(self, message: str, kind: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.file, self.line = kind, file, line


@contextmanager
def theirs(path: str, shown: str | Path | None = None) -> Iterator[None]:
    """Within it whatever is raised is told as theirs.  path: of their file; shown: as it was written."""
    try:
        yield
    except TheirError:
        raise
    except (Exception, SystemExit) as error:
        raise their_error(error, path, shown) from error


@contextmanager
def theirs_alone(path: str, shown: str | Path | None = None) -> Iterator[None]:
    """The same where ours runs theirs: what no line of their file raised is raised as it is."""
    try:
        yield
    except TheirError:
        raise
    except (Exception, SystemExit) as error:
        cause: BaseException = error
        while isinstance(cause, ChainruleError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, ChainruleError) or not (isinstance(cause, SystemExit) or _place(cause, path)):
            raise
        raise their_error(cause, path, shown) from error


def their_error(error: BaseException, path: str, shown: str | Path | None = None) -> TheirError:
    """An error as a TheirError, with the last line of their folder that it passed."""
    name = quoted(path if shown is None else shown)
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        line = error.lineno
        at = name if error.filename in (path, None) else quoted(error.filename)
        where = f"{at}, line {line}" if line else at
        text = quoted((error.text or "").strip(), 120)
        said = f"{where}: not Python: {quoted(error.msg, LONGEST)}" + (f", in '{text}'" if text else "")
        if "codec can't decode" in str(error.msg):
            said = f"{where}: not UTF-8 text: save it as UTF-8, or name its encoding in the first line"
        return TheirError(said, kind, path, line)
    place = _place(error, path)
    where = name
    if place is not None:
        file, line, function = place
        where = (name if file == path else quoted(_short(file))) + f", line {line}"
        where += "" if function == "<module>" else f", in {quoted(function)}"
    if isinstance(error, SystemExit):
        said = (
            f"{where}: ends the program, sys.exit({quoted('' if error.code is None else repr(error.code))})"
        )
    elif isinstance(error, EOFError):
        said = f"{where}: reads standard input, which is empty here"
    elif isinstance(error, ModuleNotFoundError):
        said = f"{where}: {quoted(error, LONGEST)}: it is not installed in {sys.executable}"
    elif isinstance(error, UnicodeDecodeError) and place is None:
        said = f"{where}: not UTF-8 text: save it as UTF-8, or name its encoding in the first line"
    else:
        said = f"{where}: {kind}" + (f": {quoted(error, LONGEST)}" if _says(error) else "")
    if place is not None and (text := linecache.getline(place[0], place[1]).strip()):
        said += f" ({quoted(text, 120)})"
    return TheirError(said, kind, None if place is None else place[0], None if place is None else place[1])


def _says(error: BaseException) -> bool:
    try:
        return bool(str(error))
    except Exception:  # a __str__ of theirs
        return False


def _place(error: BaseException, path: str) -> tuple[str, int, str] | None:
    """(file, line, function) of the last frame in their file, else in its folder."""
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in walk_tb(error.__traceback__)
    ]
    own = [frame for frame in frames if frame[0] == path]
    if own:
        folder = os.path.dirname(path) + os.sep
        near = [f for f in frames if f[0].startswith(folder) and "site-packages" not in f[0]]
        return near[-1] if os.path.isabs(path) and near else own[-1]
    outside = [f for f in frames if not f[0].startswith((OURS, "<")) and "site-packages" not in f[0]]
    outside = [f for f in outside if not f[0].startswith(os.path.dirname(os.__file__))]
    return outside[-1] if outside else None


def _short(file: str) -> str:
    with suppress(ValueError):
        return os.path.relpath(file)
    return file


@contextmanager
def apart() -> Iterator[None]:
    """What their code prints goes to standard error, and it has nothing to read: standard output is ours."""
    kept: dict[int, int] = {}
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    stdin, sys.stdin = sys.stdin, io.StringIO()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    for number, other in ((0, nowhere), (1, 2)):  # what compiled code and processes of theirs print
        with suppress(OSError):
            kept[number] = os.dup(number)
            os.dup2(other, number)
    os.close(nowhere)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdin = stdin
        for number, before in kept.items():
            with suppress(OSError):
                os.dup2(before, number)
                os.close(before)
