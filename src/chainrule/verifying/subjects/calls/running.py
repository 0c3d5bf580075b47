"""Somebody's code is run: what it raises is told with its line; what it prints, seeds or sets stays here."""

from __future__ import annotations

import contextlib
import ctypes
import io
import linecache
import random
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from operator import is_
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.files.disk import first_line
from chainrule.base.shown import quoted

# What everybody calls, also who judges: what code puts in its place is taken back behind every call, and
# told.
SHARED = ("numpy", "numpy.linalg", "math", "time", "builtins", "torch", "torch.nn.functional")
replaced: set[str] = set()

_LIBRARIES = (sysconfig.get_paths()["stdlib"], str(Path(__file__).parents[3]))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing is printed or warned; afterwards random numbers and np.errstate are as they were.

    So every call of theirs draws the same random numbers: a mask is the same in each.
    """
    modules = {name: dict(vars(sys.modules[name])) for name in SHARED if name in sys.modules}
    numbers, state = _raw(), random.getstate()
    drawn = _numbers(numbers)
    torch = sys.modules.get("torch")
    generator = None if torch is None else torch.get_rng_state()
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(all="ignore"))
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            for name, before in modules.items():
                _put_back(name, before)
            if numbers is None or drawn["has_gauss"] or _raw() != numbers:
                np.random.set_state(drawn)  # noqa: NPY002
            random.setstate(state)
            if torch is not None and generator is not None:
                torch.set_rng_state(generator)


def _put_back(name: str, before: dict[str, Any]) -> None:
    """Functions of a module that are others now; what it loaded since stays."""
    now = vars(sys.modules[name])
    if len(now) == len(before) and all(map(is_, now.values(), before.values())):
        return  # names keep their order, and == would ask what they have put there
    for word, value in before.items():
        if now.get(word, value) is not value and callable(value):
            replaced.add(f"{name}.{word}")
            now[word] = value


_KNOWN: dict[bytes, Any] = {}  # states of np.random by their memory, those without half a pair of normals
_MOST_KNOWN, _STATE = 16, 625 * 4  # the numbers of MT19937 and the place among them, in bytes


def _raw() -> bytes | None:
    """The memory of np.random's generator, which every draw changes; None of another than MT19937.

    It is read as it is: get_state and set_state take 0.2 ms each, and there are hundreds of calls.
    """
    generator = np.random.mtrand.get_bit_generator()
    if type(generator) is not np.random.MT19937:
        return None
    return ctypes.string_at(generator.ctypes.state_address, _STATE)


def _numbers(raw: bytes | None) -> Any:
    """The state of np.random, whose memory is `raw`."""
    if raw is not None and raw in _KNOWN:
        return _KNOWN[raw]
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    if raw is not None and not state["has_gauss"]:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.pop(next(iter(_KNOWN)))
        _KNOWN[raw] = state
    return state


def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run within `quiet`."""

    def run(*args: Any) -> Any:
        with quiet():
            return function(*args)

    return run


def call(what: str, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
    """function(*args, **named). Raises DataError for whatever it raises, naming `what` and the line."""
    try:
        return function(*args, **named)
    except (Exception, SystemExit) as error:
        where = _line(error.__traceback__, getattr(function, "__code__", None))
        said = f"{type(error).__name__}: {quoted(first_line(error), 300)}"
        raise DataError(f"{what} raised {said}{where}") from error


def _line(traceback: TracebackType | None, code: CodeType | None) -> str:
    """Where it was raised: the deepest line of the file that their function is in, else of any that is no
    installed package's; "" where the call itself failed.
    """
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    home = None if code is None or installed(code.co_filename) else code.co_filename
    theirs = [
        (held, line)
        for held, line in frames[1:]
        if (held.co_filename == home if home is not None else not installed(held.co_filename))
    ]
    if not theirs:
        return ""
    held, line = theirs[-1]
    name = held.co_filename.replace("\\", "/").rpartition("/")[2]
    text = linecache.getline(held.co_filename, line).strip()
    return f", in {held.co_name}, line {line} of {quoted(name, 90)}" + (
        f": {quoted(text, 120)}" if text else ""
    )


def installed(file: str) -> bool:
    """Whether it is a library's, Python's own or this one's."""
    return file.startswith(_LIBRARIES) or "site-packages" in file or "dist-packages" in file
