"""The functions of theirs that ran, the text that they were written in, and that text with a change in it.

A changed text is compiled, never run: the code objects of it take the place of those of the living functions
for as long as a block lasts, so closures, methods and decorators stay what they are.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import gc
import linecache
import re
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from types import CodeType, FrameType, FunctionType
from typing import Any

from chainrule.verifying.subjects.calls.effort import is_theirs, profiled

_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= int(getattr(__future__, _name).compiler_flag)
Key = tuple[tuple[str, int], ...]  # names of functions from outside in, each with its number among its like
Function = ast.FunctionDef | ast.Lambda
HOOK = "__chainrule_hook__"  # what an expression goes through, among the names of its file


@dataclass(frozen=True, eq=False)
class Ran:
    """A function of theirs that ran: its arguments when it was last called, its names when it returned."""

    code: CodeType
    given: Mapping[str, Any]
    names: Mapping[str, Any]
    world: Mapping[str, Any]


def ran(run: Callable[[], object]) -> dict[CodeType, Ran]:
    """The functions of theirs that a call runs: no library's, and in a file that can be read."""
    seen: dict[CodeType, Ran] = {}
    given: dict[CodeType, Mapping[str, Any]] = {}

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and is_theirs(frame.f_code):
            given[frame.f_code] = dict(frame.f_locals)
        elif event == "return" and frame.f_code in given:
            code = frame.f_code
            seen[code] = Ran(code, given[code], dict(frame.f_locals), frame.f_globals)

    profiled(run, note)
    return seen


@dataclass(eq=False)
class Written:
    """A statement at the top of a file with functions of theirs in it.

    file, line: where it begins.  text: of the whole statement.  imported: names that the file imports, whose
    methods are compiled otherwise.  functions: those that live, by their key.
    nodes: of the functions that ran, by their key.
    """

    file: str
    line: int
    text: bytes
    flags: int
    imported: str
    functions: dict[Key, list[FunctionType]] = field(default_factory=dict)
    nodes: dict[Key, Function] = field(default_factory=dict)
    ran: dict[Key, Ran] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = [len(line) for line in self.text.splitlines(keepends=True)]
        self._begins = [sum(lengths[:number]) for number in range(len(lengths))]

    def offset(self, line: int, column: int) -> int:
        """Of a place that the syntax tree tells."""
        return self._begins[line - self.line] + column

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where the text of a node begins and ends."""
        begin = self.offset(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        return begin, self.offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def of(self, node: ast.AST) -> str:
        """The text of a node."""
        begin, end = self.span(node)
        return self.text[begin:end].decode()

    def line_at(self, offset: int) -> int:
        """The number of the line, in the file, of a place."""
        return self.line + bisect_right(self._begins, offset) - 1

    def position(self, offset: int) -> tuple[int, int]:
        """The line, and the column from 1 on, of a place."""
        line = self.line_at(offset)
        return line, len(self.text[self._begins[line - self.line] : offset].decode()) + 1

    @property
    def title(self) -> str:
        """The file's name; the function's or the class's of what was typed in, which has none."""
        name = PurePath(self.file).name
        found = re.search(r"^(?:class|def)\s+(\w+)", self.text.decode(), re.MULTILINE)
        return name if found is None or not name.startswith("<") else found[1]

    def lines(self, text: bytes, first: int, last: int) -> list[str]:
        """Lines of a text of this statement, by their numbers in the file, without comments."""
        shown = text.decode().splitlines()[first - self.line : last - self.line + 1]
        bare = (re.sub(r"(^|\s+)#[^'\"]*$", "", line).rstrip() for line in shown)
        return [line for line in bare if line]

    def compiled(self, text: bytes) -> dict[Key, CodeType] | None:
        """The functions in a text of this statement; None where it is none."""
        before = "\n" * (self.line - 1)
        if self.imported and before:
            before = f"import {self.imported}{before}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of `3[y]`, say, which nobody wrote
                source = before.encode() + text
                whole = compile(source, self.file, "exec", flags=self.flags, dont_inherit=True)
        except (SyntaxError, ValueError):
            return None
        return functions_in(whole)

    def rewritten(self, text: bytes) -> Written:
        """The same with another text in place of this one."""
        made = Written(self.file, self.line, text, self.flags, self.imported, self.functions, ran=self.ran)
        statement = ast.parse(b"\n" * (self.line - 1) + text).body[0]
        for key, code in (made.compiled(text) or {}).items():
            node = _node(statement, code) if key in self.nodes else None
            if node is not None:
                made.nodes[key] = node
        return made

    @contextlib.contextmanager
    def changed(self, text: bytes) -> Iterator[bool]:
        """Within it their functions are those of this text, if that can be."""
        with self.running(self.compiled(text)) as possible:
            yield possible

    @contextlib.contextmanager
    def running(self, made: Mapping[Key, CodeType] | None) -> Iterator[bool]:
        """Within it their functions are these, if that can be."""
        before = [(function, function.__code__) for each in self.functions.values() for function in each]
        possible = made is not None and all(
            key in made and made[key].co_freevars == function.__code__.co_freevars
            for key, each in self.functions.items()
            for function in each
        )
        try:
            if possible and made is not None:
                for key, each in self.functions.items():
                    for function in each:
                        function.__code__ = made[key]
            yield possible
        finally:
            for function, code in before:
                function.__code__ = code

    @contextlib.contextmanager
    def around(
        self, node: ast.expr, world: Mapping[str, Any], hook: Callable[..., Any], *more: str
    ) -> Iterator[bool]:
        """Within it an expression goes through a function, which is given what `more` say there, too, if that
        can be.  world: the names of their file, where the function is found.
        """
        begin, end = self.span(node)
        handed = ", ".join((self.of(node), *more))
        text = self.text[:begin] + f"{HOOK}({handed})".encode() + self.text[end:]
        with self.changed(text) as possible:
            if not possible or not isinstance(world, dict):
                yield False
                return
            world[HOOK] = hook
            try:
                yield True
            finally:
                world.pop(HOOK, None)


def functions_in(whole: CodeType) -> dict[Key, CodeType]:
    """The functions in what was compiled, by their keys."""
    return dict(_within(whole, ()))


def _within(code: CodeType, key: Key) -> Iterator[tuple[Key, CodeType]]:
    count = Counter[str]()
    for each in code.co_consts:
        if isinstance(each, CodeType):
            inner = (*key, (each.co_name, count[each.co_name]))
            count[each.co_name] += 1
            yield inner, each
            yield from _within(each, inner)


def written(codes: Iterable[Ran]) -> list[Written]:
    """The statements in which functions that ran were written, as far as their text is what runs."""
    made: dict[tuple[str, int], Written] = {}
    known: dict[str, tuple[list[str], Sequence[ast.stmt]] | None] = {}
    placed: list[tuple[Written, Key, Ran]] = []
    for each in codes:
        file = each.code.co_filename
        if file not in known:
            known[file] = _parsed(file)
        parsed = known[file]
        statement = None if parsed is None else _around(parsed[1], each.code.co_firstlineno)
        if parsed is None or statement is None:
            continue
        first, last = _first_line(statement), statement.end_lineno or statement.lineno
        if (file, first) not in made:
            text = "".join(parsed[0][first - 1 : last]).encode()
            made[file, first] = Written(file, first, text, each.code.co_flags & _FUTURE, _imported(parsed[1]))
        place = made[file, first]
        codes_in = place.compiled(place.text) or {}
        key = next((key for key, code in codes_in.items() if _same(code, each.code)), None)
        node = None if key is None else _node(statement, each.code)
        if key is not None:
            placed.append((place, key, each))
            if node is not None:
                place.nodes[key], place.ran[key] = node, each
    living: dict[CodeType, list[FunctionType]] = {}
    for function in gc.get_referrers(*(each.code for _, _, each in placed)) if placed else ():
        if isinstance(function, FunctionType):
            living.setdefault(function.__code__, []).append(function)
    for place, key, each in placed:
        if each.code in living:
            place.functions[key] = living[each.code]
    return [place for place in made.values() if place.functions and place.nodes]


def _same(one: CodeType, other: CodeType) -> bool:
    """Whether they are the same code.  Not by ==, which on Python 3.11 sees what a run has left in it."""

    def parts(code: CodeType) -> tuple[object, ...]:
        constants = [repr(each) for each in code.co_consts if not isinstance(each, CodeType)]
        names = code.co_names, code.co_varnames, code.co_freevars
        return code.co_name, code.co_firstlineno, code.co_code, names, constants

    return parts(one) == parts(other)


def _parsed(file: str) -> tuple[list[str], Sequence[ast.stmt]] | None:
    lines = linecache.getlines(file)
    try:
        return (lines, ast.parse("".join(lines)).body) if lines else None
    except (SyntaxError, ValueError):
        return None


def _imported(body: Sequence[ast.stmt]) -> str:
    names = (
        alias.asname or alias.name.partition(".")[0]
        for each in body
        if isinstance(each, (ast.Import, ast.ImportFrom))
        for alias in each.names
    )
    return ", ".join(dict.fromkeys(name for name in names if name != "*"))


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(int(each.lineno) for each in decorators)])


def _around(body: Sequence[ast.stmt], line: int) -> ast.stmt | None:
    spans = ((each, _first_line(each), each.end_lineno or each.lineno) for each in body)
    return next((each for each, first, last in spans if first <= line <= last), None)


def _node(statement: ast.stmt, code: CodeType) -> Function | None:
    """Of the function in the syntax tree; of lambdas the one that alone begins on its line."""
    found: list[Function] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            if _first_line(node) == code.co_firstlineno:
                found.append(node)
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            names = tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args))
            if node.lineno == code.co_firstlineno and names == code.co_varnames[: code.co_argcount]:
                found.append(node)
    return found[0] if len(found) == 1 else None
