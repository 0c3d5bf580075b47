"""Many changes of one text compiled once, each at its statement: numbers choose which of them run.

To compile a text anew for every change takes as long as to run it ten times; a statement that is chosen takes
a comparison or two more.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Sequence
from textwrap import dedent

from chainrule.verifying.source.changes.change import Change
from chainrule.verifying.source.written import Written, functions_in

AT = "__chainrule_at__"  # among the names of their file: per statement, which change of it runs, from 1 on
MADE_OTHERWISE = (ast.Lambda, ast.FunctionDef, ast.ClassDef)  # functions of which there would be several


class Switchboard:
    """Of changes of one place.  slots: per change its statement and its number there, None where it is in no
    single statement.
    """

    def __init__(self, place: Written, changes: Sequence[Change]) -> None:
        self.place = place
        tree = ast.parse(b"\n" * (place.line - 1) + place.text)
        held = [
            (place.span(each), each)
            for each in ast.walk(tree)
            if isinstance(each, ast.stmt) and _is_simple(each)
        ]
        lists: dict[int, list[ast.stmt]] = {}  # per statement, what may stand for it
        numbers: dict[int, int] = {}
        self.slots: list[tuple[int, int] | None] = []
        for change in changes:
            begin, end = change.span
            found = next((pair for pair in held if pair[0][0] <= begin and end <= pair[0][1]), None)
            made = None if found is None else self._statement(change, *found[0])
            if found is None or made is None:
                self.slots.append(None)
                continue
            slot = numbers.setdefault(id(found[1]), len(numbers))
            lists.setdefault(slot, []).append(made)
            self.slots.append((slot, len(lists[slot])))
        self.at = [0] * len(numbers)
        switching = _Switching({node: (slot, lists[slot]) for node, slot in numbers.items()})
        made_tree = ast.fix_missing_locations(switching.visit(tree))
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            whole = compile(made_tree, place.file, "exec", flags=place.flags, dont_inherit=True)
            self.codes = functions_in(whole)
            return
        self.codes = {}

    def _statement(self, change: Change, begin: int, end: int) -> ast.stmt | None:
        """The statement from `begin` to `end` with the change made; None where that is not one."""
        text = change.text(self.place.text)
        more = len(text) - len(self.place.text)
        try:
            made = ast.parse(dedent(text[begin : end + more].decode())).body
        except (SyntaxError, ValueError):
            return None
        return made[0] if len(made) == 1 and _is_simple(made[0]) else None

    @contextlib.contextmanager
    def standing(self) -> Iterator[bool]:
        """Within it their functions are these, as they were until something is chosen, if that can be."""
        worlds = [each.__globals__ for held in self.place.functions.values() for each in held]
        with self.place.running(self.codes or None) as possible:
            try:
                for world in worlds:
                    world[AT] = self.at
                yield possible
            finally:
                self.choose()
                for world in worlds:
                    world.pop(AT, None)

    def choose(self, *changes: int) -> None:
        """These alone run, by their numbers: of each statement one at most."""
        self.at[:] = [0] * len(self.at)
        for number in changes:
            slot = self.slots[number]
            if slot is not None:
                self.at[slot[0]] = slot[1]


def _is_simple(node: ast.stmt) -> bool:
    kinds = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.AnnAssign, ast.Pass)
    return isinstance(node, kinds) and not any(isinstance(each, MADE_OTHERWISE) for each in ast.walk(node))


class _Switching(ast.NodeTransformer):
    """lists: of statements, by their identity, (the slot, what may stand for them)."""

    def __init__(self, lists: dict[int, tuple[int, list[ast.stmt]]]) -> None:
        self.lists = lists

    def generic_visit(self, node: ast.AST) -> ast.AST:
        slot, others = self.lists.get(id(node), (0, []))
        if not others or not isinstance(node, ast.stmt):
            return super().generic_visit(node)
        return ast.If(_at(slot), [_chosen(slot, 1, others)], [node])


def _at(slot: int) -> ast.expr:
    return ast.Subscript(ast.Name(AT, ast.Load()), ast.Constant(slot), ast.Load())


def _chosen(slot: int, first: int, others: Sequence[ast.stmt]) -> ast.stmt:
    """Of statements with numbers from `first` on: by halves."""
    if len(others) == 1:
        return others[0]
    middle = len(others) // 2
    test = ast.Compare(_at(slot), [ast.Lt()], [ast.Constant(first + middle)])
    parts = others[:middle], others[middle:]
    return ast.If(test, [_chosen(slot, first, parts[0])], [_chosen(slot, first + middle, parts[1])])
