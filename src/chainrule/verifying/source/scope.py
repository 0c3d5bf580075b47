"""What a function of theirs has at hand: names, attributes and entries, and what each was in the end."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.verifying.source.written import Function, Ran, Written

# What changed code must not reach: what is outside the process.
APART = frozenset(
    [
        "open",
        "exec",
        "eval",
        "compile",
        "input",
        "exit",
        "quit",
        "__import__",
        "os",
        "sys",
        "subprocess",
        "shutil",
        "socket",
        "pathlib",
        "Path",
        "requests",
        "urllib",
        "pickle",
        "save",
        "savez",
        "savez_compressed",
        "savetxt",
        "tofile",
        "dump",
        "unlink",
        "remove",
        "rmtree",
        "rename",
        "write",
        "write_text",
        "write_bytes",
        "system",
        "popen",
        "kill",
        "sleep",
    ]
)
GROWING = frozenset(("append", "extend", "insert", "add", "update"))
MOST_ATOMS, MOST_KEPT, MOST_GLOBAL = 40, 12, 8
LIBRARIES = ("numpy", "jax.numpy", "torch")
AXIS_WORDS = ("axis", "dim", "axes", "dims")
OVER = frozenset(
    [
        *("sum", "mean", "max", "min", "argmax", "argmin", "amax", "amin", "var", "std", "prod", "cumsum"),
        *("norm", "size", "squeeze", "unsqueeze", "expand_dims", "softmax", "log_softmax", "logsumexp"),
    ]
)


@dataclass(frozen=True)
class Atom:
    """A name, an attribute or an entry that the function uses, as it is written.

    kind: "array", "number", "whole number", "list", "slice", "object" and its class, or "" of anything else;
    shape: of an array, or (length,).
    """

    text: str
    kind: str
    shape: tuple[int, ...] = ()

    def like(self, other: Atom) -> bool:
        """Whether one may stand where the other does."""
        numbers = ("number", "whole number")
        if self.kind in numbers and other.kind in numbers:
            return True
        if self.kind != other.kind or not self.kind:
            return False
        return self.shape == other.shape or (self.kind == "array" and len(self.shape) == len(other.shape) < 2)

    def spreads(self, other: Atom) -> bool:
        """Whether it is an array of another shape of which one is spread over the other."""
        pairs = list(zip(self.shape, other.shape, strict=False))
        arrays = self.kind == other.kind == "array" and self.shape != other.shape
        return arrays and len(self.shape) == len(other.shape) and all(a == b or 1 in (a, b) for a, b in pairs)


@dataclass(frozen=True, eq=False)
class Scope:
    """Of one function.  atoms: by their text; stored: names that it assigns; grown: lists that it makes
    longer; unused: that it assigns and never reads, or not within its loop; zero: atoms that hold nothing but
    0; callables: functions of one argument that its file calls; numpy: what it calls NumPy, or jax.numpy or
    torch, "" where it uses none; library: which of them; entered: how many axes its arguments had; outside:
    names of the functions around it.
    """

    node: Function
    atoms: Mapping[str, Atom]
    stored: frozenset[str]
    grown: frozenset[str]
    callables: tuple[str, ...]
    numpy: str
    library: str
    unused: frozenset[str]
    zero: frozenset[str]
    entered: Mapping[str, int]
    outside: frozenset[str]

    @property
    def arrays(self) -> list[Atom]:
        return [atom for atom in self.atoms.values() if atom.kind == "array" and atom.shape]

    @property
    def numbers(self) -> list[Atom]:
        scalar = ("number", "whole number")
        return [a for a in self.atoms.values() if a.kind in scalar or (a.kind == "array" and not a.shape)]


def scope_of(node: Function, ran: Ran, others: Sequence[Ran] = ()) -> Scope | None:
    """What is at hand in a function; None of one that must not be run otherwise than it is."""
    nodes = list(own(node))
    own_names = _own_names(node)
    if any(not _harmless(each, node, own_names) for each in ast.walk(node)):
        return None
    stored = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    grown = set()
    for each in nodes:
        if isinstance(each, ast.Attribute) and each.attr in GROWING:
            grown.add(ast.unparse(each.value))
    atoms: dict[str, Atom] = {}
    for name, value in ran.names.items():
        if name.isidentifier():
            atoms[name] = _atom(name, value)
    for each in nodes:
        if isinstance(each, (ast.Attribute, ast.Subscript)) and is_atom(each):
            text = ast.unparse(each)
            known, value = _looked_up(each, ran)
            if known:
                atoms[text] = _atom(text, value)
        elif isinstance(each, ast.Name) and each.id in ran.world and each.id not in ran.names:
            atoms[each.id] = _atom(each.id, ran.world[each.id])
    owners = {
        text: value for text, value in ran.names.items() if _atom(text, value).kind.startswith("object")
    }
    words = {each.attr for each in nodes if isinstance(each, ast.Attribute)}
    for owner, word in product(owners, sorted(words)):  # of one object what is taken of another
        if of_framework(owners[owner]) and word not in owners[owner].__dict__:
            continue  # what PyTorch has saved, which is told once
        slot = getattr(type(owners[owner]), word, None)
        if not callable(slot) and not isinstance(slot, property):
            atoms[f"{owner}.{word}"] = _atom(f"{owner}.{word}", getattr(owners[owner], word, None))
    for owner, value in owners.items():  # what is kept there and not read here
        for word, held in list(getattr(value, "__dict__", {}).items())[:MOST_KEPT]:
            if word.isidentifier() and not word.startswith("_"):
                atoms.setdefault(f"{owner}.{word}", _atom(f"{owner}.{word}", held))
    for name in _numbers_of(ran.world) if getattr(ran.code, "co_filename", "")[:1] != "<" else ():
        atoms.setdefault(name, _atom(name, ran.world[name]))
    kept = dict([(text, atom) for text, atom in atoms.items() if atom.kind][:MOST_ATOMS])
    calls = {
        name
        for other in (ran, *others)
        for name in other.code.co_names
        if _of_one(other.world.get(name)) and other.world is ran.world
    }
    libraries = {n: str(v.__name__) for n, v in ran.world.items() if isinstance(v, ModuleType)}
    modules = [name for name, module in libraries.items() if module in LIBRARIES]
    named = {each.id for each in nodes if isinstance(each, ast.Name)}
    numpy = next((name for name in modules if name in named), _preferred(libraries, modules))
    read = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    entered = {name: np.ndim(value) for name, value in ran.given.items() if hasattr(value, "shape")}
    zero = frozenset(
        name for name, value in ran.names.items() if isinstance(value, np.ndarray) and not value.any()
    )
    unused = frozenset(stored - read).union(*(_left(each) for each in nodes if isinstance(each, ast.For)))
    outside = frozenset(ran.code.co_freevars)
    calls_ = tuple(sorted(calls))
    library = libraries.get(numpy, "")
    read_of = (numpy, library, unused, zero, entered, outside)
    return Scope(node, kept, frozenset(stored), frozenset(grown), calls_, *read_of)


def scopes_of(places: Iterable[Written]) -> Iterator[tuple[Written, Ran, Scope]]:
    """Of the functions of places each that has a scope, how it ran, and that."""
    for place in places:
        for key, node in place.nodes.items():
            scope = scope_of(node, place.ran[key], list(place.ran.values()))
            if scope is not None:
                yield place, place.ran[key], scope


def _numbers_of(world: Mapping[str, Any]) -> list[str]:
    """Numbers that a file names, of which a function reads one and should read another."""
    numbers = (
        name
        for name, value in world.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not name.startswith("_")
    )
    return list(islice(numbers, MOST_GLOBAL))


def _left(loop: ast.For) -> set[str]:
    """Names that a loop sets and does not read: what the next step should have taken over."""
    names = [each for each in own(loop) if isinstance(each, ast.Name)]
    read = {each.id for each in names if isinstance(each.ctx, ast.Load)}
    added = {ast.unparse(each.target) for each in own(loop) if isinstance(each, ast.AugAssign)}
    return {each.id for each in names if isinstance(each.ctx, ast.Store)} - read - added


def counters(function: Function) -> dict[str, list[ast.For]]:
    """The names that loops alone set, each with its loops: behind them it is what the last step left."""
    loops = [each for each in own(function) if isinstance(each, ast.For)]
    made: dict[str, list[ast.For]] = {}
    targets = set[int]()
    for loop in loops:
        for each in ast.walk(loop.target):
            if isinstance(each, ast.Name):
                made.setdefault(each.id, []).append(loop)
                targets.add(id(each))
    names = [e for e in own(function) if isinstance(e, ast.Name) and isinstance(e.ctx, ast.Store)]
    otherwise = {each.id for each in names if id(each) not in targets}
    return {name: held for name, held in made.items() if name not in otherwise}


def sizes_of(function: Function) -> set[str]:
    """Names that a function gives to sizes of arrays."""
    made = set[str]()
    for each in own(function):
        if isinstance(each, ast.Assign) and re.search(r"\.shape\b|\blen\(|\.size\b", ast.unparse(each.value)):
            names = (inner for target in each.targets for inner in ast.walk(target))
            made |= {name.id for name in names if isinstance(name, ast.Name)}
    return made


def own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of the functions in it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from own(child)


def axes_in(function: ast.AST) -> Iterator[ast.expr]:
    """What says an axis: of sum(axis=1), x.sum(0), x.shape[1] and x.size(1)."""
    for node in own(function):
        parts: Sequence[ast.expr] = []
        if isinstance(node, ast.keyword) and node.arg in AXIS_WORDS:
            parts = [node.value]
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "shape":
            parts = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in OVER:
            numbers = (ast.Constant, ast.UnaryOp, ast.Tuple)
            parts = [each for each in node.args[:2] if isinstance(each, numbers)]
        yield from (each for part in parts[-1:] for each in ast.walk(part) if isinstance(each, ast.expr))


def is_atom(node: ast.AST) -> bool:
    """Whether it is a name, an attribute of one, or its entry at a text or a whole number."""
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.Attribute):
        return is_atom(node.value)
    return (
        isinstance(node, ast.Subscript)
        and is_atom(node.value)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, (str, int))
    )


def _looked_up(node: ast.AST, ran: Ran) -> tuple[bool, Any]:
    """What an atom was, by the names and attributes that are kept: nothing of theirs is called."""
    if isinstance(node, ast.Name):
        for names in (ran.names, ran.world):
            if node.id in names:
                return True, names[node.id]
        return False, None
    assert isinstance(node, (ast.Attribute, ast.Subscript))
    known, owner = _looked_up(node.value, ran)
    if not known:
        return False, None
    if isinstance(node, ast.Attribute):
        if isinstance(owner, np.ndarray):
            return node.attr == "T", owner.T if node.attr == "T" else None
        kept = getattr(owner, "__dict__", {})
        return (True, kept[node.attr]) if node.attr in kept else (False, None)
    assert isinstance(node.slice, ast.Constant)
    if isinstance(owner, (dict, list, tuple)):
        try:
            key: Any = node.slice.value
            return True, owner[key]
        except (LookupError, TypeError):
            return False, None
    return False, None


def _atom(text: str, value: Any) -> Atom:
    if isinstance(value, np.ndarray) or (of_framework(value) and hasattr(value, "shape")):
        return Atom(text, "array", tuple(value.shape))
    if isinstance(value, (bool, np.bool_)) or value is None:
        return Atom(text, "")
    if isinstance(value, (int, np.integer)):
        return Atom(text, "whole number")
    if isinstance(value, (float, np.floating)):
        return Atom(text, "number")
    if isinstance(value, (list, tuple)):
        return Atom(text, "list", (len(value),))
    if isinstance(value, slice):
        return Atom(text, "slice")
    if hasattr(value, "__dict__") and not callable(value) and not isinstance(value, (type, ModuleType)):
        return Atom(text, f"object {type(value).__qualname__}")
    return Atom(text, "")


def entries_of(node: ast.Subscript) -> list[ast.expr]:
    """Of an index, each axis by itself."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _preferred(libraries: Mapping[str, str], modules: Sequence[str]) -> str:
    """Of the libraries that a file imports, where a function names none: a framework before NumPy."""
    frameworks = [name for name in modules if libraries[name] != "numpy"]
    return next(iter([*frameworks, *modules]), "")


def of_framework(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] in ("torch", "jax", "jaxlib") and not callable(value)


def _own_names(function: Function) -> set[str]:
    """Its arguments and what it assigns: a tensor may be called `input`."""
    given = (each.arg for each in ast.walk(function) if isinstance(each, ast.arg))
    stored = (e.id for e in ast.walk(function) if isinstance(e, ast.Name) and isinstance(e.ctx, ast.Store))
    return {*given, *stored}


def _harmless(node: ast.AST, function: Function, own_names: Collection[str]) -> bool:
    name = getattr(function, "name", "")
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.While, ast.Global, ast.Delete)):
        return False
    if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)):
        return False
    if isinstance(node, ast.Name):
        return node.id not in APART or node.id in own_names
    if isinstance(node, ast.Attribute):
        return node.attr not in APART
    if isinstance(node, ast.Call):
        called = node.func
        return not (isinstance(called, ast.Name) and called.id == name != "")
    return True


def _of_one(value: Any) -> bool:
    """Whether it is a function of theirs of one argument."""
    code = getattr(value, "__code__", None)
    return code is not None and code.co_argcount == 1 and not code.co_flags & 0x0C
