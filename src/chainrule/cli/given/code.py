"""Somebody's code: FILE.py or module.path, run in this process, and what is taken of it."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule.base.errors import FileError
from chainrule.base.files.disk import opened
from chainrule.base.languages import Say
from chainrule.base.shown import quoted
from chainrule.cli.given.failures import theirs
from chainrule.verifying.texts import TEXTS

MOST_BYTES = 4 * 2**20  # of a source file: ten times the longest of NumPy's
HOW = "write FILE.py:NAME, FILE.py:forward,backward, or module.path:NAME"
WORDS = (("forward", "backward"), ("Forward", "Backward"), ("fwd", "bwd"), ("fprop", "bprop"))


@dataclass(frozen=True)
class Code:
    """given: what verify takes.  module: that it is of.  name: how it is called in messages.  said: what was
    taken where that was not told.
    """

    given: Any
    module: ModuleType
    name: str
    said: Say | None = None


def code_at(place: str) -> Code:
    """What `place`, FILE.py:NAME, names.  Raises FileError where there is no such thing, TheirError for what
    the file raises.
    """
    path, names = split(place)
    module = load(path)
    if not names:
        return taken(module, path)
    if len(names) == 2:
        first, second = (named(module, name, path) for name in names)
        return Code((first, second), module, place)
    if len(names) > 2:
        raise FileError(f"'{quoted(place)}' names {len(names)} things: {HOW}")
    name = names[0]
    pairs = {pair[0]: pair for pair in pairs_in(module)}
    for pair in pairs.values():
        if name in (pair[0], _stem(pair)) and not (name != pair[0] and hasattr(module, name)):
            functions = tuple(getattr(module, word) for word in pair)
            return Code(functions, module, place, TEXTS.say("given.taken", first=pair[0], second=pair[1]))
    return Code(made(named(module, name, path), name, path), module, place)


def split(place: str) -> tuple[str, list[str]]:
    """("FILE.py" or "module.path", names)."""
    head, sign, tail = place.rpartition(":")
    if place.endswith(".py") or not sign or "/" in tail or "\\" in tail:
        head, tail = place, ""
    if head.endswith(".ipynb"):
        raise FileError(f"{quoted(head)}: a notebook: save its code as a .py file, and {HOW}")
    names = [name.strip() for name in tail.split(",") if name.strip()]
    if not head or (not names and not head.endswith(".py") and not os.path.exists(head)):
        raise FileError(f"'{quoted(place)}' names no code: {HOW}")
    return head, names


def load(path: str) -> ModuleType:
    """The module, run."""
    if path.endswith(".py") or os.path.exists(path) or "/" in path:
        return _of_file(Path(path))
    sys.path.append(os.getcwd())
    with theirs(path):
        return import_module(path)


def _of_file(path: Path) -> ModuleType:
    if path.is_dir():
        raise FileError(f"{quoted(path)}: is a folder: name a file in it, {quoted(path)}/FILE.py:NAME")
    if path.suffix != ".py":
        raise FileError(f"{quoted(path)}: is no .py file: {HOW}")
    with opened(path) as (stream, size):
        if size > MOST_BYTES:
            raise FileError(f"{quoted(path)}: has {size:,} bytes, which no file of code has")
        source = stream.read(MOST_BYTES + 1)
    full = str(path.resolve())
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"verified_{path.stem}"
    module = ModuleType(name)
    module.__file__ = full
    sys.modules[name] = module  # where dataclasses and copies look for the classes of a module
    # In front, as Python has it, while the file is run; behind afterwards, so that their modules are found
    # by a later import and one called json is not taken for Python's.
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with theirs(full, path):
            exec(compile(source, full, "exec"), module.__dict__)  # what the command is for
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.append(folder)
    return module


def named(module: ModuleType, name: str, path: str) -> Any:
    """module.NAME, where NAME may have dots.  Raises FileError that says what there is."""
    value: Any = module
    for part in name.split("."):
        with theirs(path):
            present = hasattr(value, part)
        if not present:
            held = public(value)
            close = get_close_matches(part, held, 1, 0.6)
            meant = f"; did you mean {quoted(close[0])}" if close else f"; it has {listed(held)}"
            where = quoted(path) if value is module else f"{quoted(path)}: {quoted(name.rpartition('.')[0])}"
            raise FileError(f"{where}: has no '{quoted(part)}'{meant}")
        value = getattr(value, part)
    return value


def made(value: Any, name: str, path: str) -> Any:
    """A class as an object of it; what is torch's or static takes its class as it is."""
    if not isinstance(value, type):
        return value
    static = isinstance(inspect.getattr_static(value, "forward", None), staticmethod | classmethod)
    if static or any(base.__module__.split(".")[0] == "torch" for base in value.__mro__):
        return value
    try:
        inspect.signature(value).bind()
    except TypeError:
        needed = ", ".join(
            parameter.name
            for parameter in inspect.signature(value).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        )
        raise FileError(
            f"{quoted(path)}: the class {quoted(name)} needs {needed}: make an object in the file, "
            f"layer = {quoted(name)}(...), and name that, {quoted(path)}:layer"
        ) from None
    except ValueError:  # no signature: of compiled code
        pass
    with theirs(path):
        return value()


def taken(module: ModuleType, path: str) -> Code:
    """What is taken where no name is told: forward and backward, or all that there is."""
    pairs = pairs_in(module)
    if ("forward", "backward") in pairs:
        return Code((module.forward, module.backward), module, path)
    objects = [
        name for name, value in vars(module).items() if not name.startswith("_") and _passes(value, module)
    ]
    candidates = [",".join(pair) for pair in pairs] + objects
    if len(candidates) == 1:
        code = code_of(module, candidates[0], path)
        first, sign, second = candidates[0].partition(",")
        said = TEXTS.say("given.taken_object", name=first)
        if sign:
            said = TEXTS.say("given.taken", first=first, second=second)
        return Code(code, module, f"{path}:{candidates[0]}", said)
    if candidates:
        written = ", ".join(f"{quoted(path)}:{name}" for name in candidates[:8])
        more = f" and {len(candidates) - 8} more" if len(candidates) > 8 else ""
        raise FileError(f"{quoted(path)}: has {len(candidates)} backward passes: say which, {written}{more}")
    raise FileError(
        f"{quoted(path)}: has no forward and backward, nor a class with these methods; it has "
        f"{listed(public(module))}: {HOW}"
    )


def code_of(module: ModuleType, name: str, path: str) -> Any:
    """A pair, or an object."""
    if "," in name:
        return tuple(getattr(module, word) for word in name.split(","))
    return made(getattr(module, name), name, path)


def pairs_in(module: ModuleType) -> list[tuple[str, str]]:
    """Functions whose names differ by forward and backward, in their order."""
    held = {name: value for name, value in vars(module).items() if callable(value)}
    return [
        (name, other)
        for name in held
        for first, second in WORDS
        if first in name and (other := name.replace(first, second)) in held
    ]


def _stem(pair: tuple[str, str]) -> str:
    """conv of conv_forward."""
    for first, _ in WORDS:
        if first in pair[0]:
            return pair[0].replace(first, "").strip("_")
    return pair[0]


def _passes(value: Any, module: ModuleType) -> bool:
    """Whether it is a class of this file, or an object, with both methods."""
    kind = value if isinstance(value, type) else type(value)
    both = all(callable(getattr(kind, word, None)) for word in ("forward", "backward"))
    return both and (not isinstance(value, type) or value.__module__ == module.__name__)


def public(value: Any) -> list[str]:
    """The names that a module or an object has of its own."""
    return [
        name
        for name, held in vars(value).items()
        if not name.startswith("_") and not isinstance(held, ModuleType)
    ] if hasattr(value, "__dict__") else []  # fmt: skip


def listed(names: Sequence[str]) -> str:
    shown = ", ".join(quoted(name) for name in names[:12])
    return (shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")) or "nothing"
