"""Assignments, branches and loops written otherwise: `+=` for `=`, one name throughout a line for another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.changes.operators import OPERATORS
from chainrule.verifying.source.scope import is_atom

# Of what is assigned to, the other ways.
ASSIGNING = {"+=": ("=", "-="), "-=": ("+=", "="), "*=": ("/=", "="), "/=": ("*=", "=")}
PARTS = ("[:, 1:]", "[1:]", "[:, :-1]", "[:-1]")


class Lines(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Assign):
            yield from self.assigned(node)
        elif isinstance(node, ast.AugAssign):
            yield from self.added(node)
        elif isinstance(node, ast.If):
            yield from self.chosen(node)
        elif isinstance(node, ast.For):
            yield from self.looped(node)
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and node.value is not None:
            yield from self.another_name(node.value)
            yield from self.without_index(node.value)
            if isinstance(node, ast.AugAssign):
                yield from self.same_part(node)

    def assigned(self, node: ast.Assign) -> Iterator[Change]:
        target = node.targets[0]
        plain = isinstance(target, (ast.Name, ast.Attribute, ast.Subscript))
        if len(node.targets) == 1 and plain:
            for kind, new in (("overwritten", "+="), ("subtracted", "-=")):
                yield from self.between(kind, 0, target, node.value, "=", new)
        if isinstance(target, ast.Tuple) and len(node.targets) == 1:
            yield from self.exchanged(target.elts)
        if isinstance(target, ast.Subscript) and len(node.targets) == 1:
            yield from self.set(node, target)

    def set(
        self, node: ast.Assign | ast.AugAssign, target: ast.Subscript, sign: str = ""
    ) -> Iterator[Change]:
        """Entries that are set, and must be added up where an index stands there twice."""
        array, index = self.of(target.value), self.of(target.slice)
        value = f"-{self.firm(node.value)}" if sign else self.of(node.value)
        if not isinstance(target.slice, ast.Slice) and self.scope.numpy:
            if self.scope.library == "torch" and not isinstance(target.slice, ast.Tuple):
                yield self.instead("overwritten", 1, node, f"{array}.index_add_(0, {index}, {value})")
            if self.scope.library == "torch":
                places = index if isinstance(target.slice, ast.Tuple) else f"{index},"
                new = f"{array}.index_put_(({places}), {sign}{self.firm(node.value)}, accumulate=True)"
                yield self.instead("overwritten", 2, node, new)
            elif self.scope.library == "numpy":
                new = f"{self.scope.numpy}.add.at({array}, ({index}), {value})"
                yield self.instead("overwritten", 1, node, new)

    def added(self, node: ast.AugAssign) -> Iterator[Change]:
        old = OPERATORS.get(type(node.op), "") + "="
        for new in ASSIGNING.get(old, ()):
            kind = "added_up" if (old, new) == ("+=", "=") else "operator"
            yield from self.between(kind, 0, node.target, node.value, old, new)
        # NumPy adds once where an index stands there twice.
        if old in ("+=", "-=") and isinstance(node.target, ast.Subscript):
            yield from self.set(node, node.target, "-" if old == "-=" else "")

    def chosen(self, node: ast.If) -> Iterator[Change]:
        yield self.instead("negated", 3, node.test, f"not ({self.of(node.test)})")
        yield self.instead("condition", 3, node.test, "True")

    def looped(self, node: ast.For) -> Iterator[Change]:
        if isinstance(node.iter, (ast.Name, ast.Attribute)):
            yield self.instead("reversed", 1, node.iter, f"reversed({self.of(node.iter)})")

    def another_name(self, value: ast.expr) -> Iterator[Change]:
        """Another name wherever one stands in a value twice."""
        for text, nodes in self.loads(value).items():
            for other in self.scope.atoms.values() if len(nodes) > 1 else ():
                if other.text != text and other.like(self.scope.atoms[text]):
                    pieces = tuple((*self.place.span(each), other.text) for each in nodes)
                    yield Change("name", 2, text, other.text, pieces)

    def loads(self, value: ast.expr) -> dict[str, list[ast.AST]]:
        """What is at hand -> where it stands in a value."""
        made: dict[str, list[ast.AST]] = {}
        for each in ast.walk(value):
            if is_atom(each) and ast.unparse(each) in self.scope.atoms:
                made.setdefault(ast.unparse(each), []).append(each)
        return made

    def without_index(self, value: ast.expr) -> Iterator[Change]:
        """One index of several arrays left out everywhere."""
        entered: dict[str, list[ast.Subscript]] = {}
        for each in ast.walk(value):
            if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Load):
                entered.setdefault(ast.unparse(each.slice), []).append(each)
        for same in entered.values():
            spans = [(self.place.span(each.value)[1], self.place.span(each)[1]) for each in same]
            if len(same) > 1 and all(b <= c for (_, b), (c, _) in pairwise(sorted(spans))):
                pieces = tuple((begin, end, "") for begin, end in spans)
                yield Change("index_extra", 2, self.of(same[0].slice), "", pieces)

    def same_part(self, node: ast.AugAssign) -> Iterator[Change]:
        """The same part of all arrays of one shape."""
        target = self.scope.atoms.get(ast.unparse(node.target))
        if target is None or target.kind != "array":
            return
        loads = self.loads(node.value).items()
        alike = [each for text, nodes in loads if self.scope.atoms[text].like(target) for each in nodes]
        ends = [self.place.span(each)[1] for each in (node.target, *alike)]
        text = self.of(node.target)
        for part in PARTS:
            yield Change("part", 2, text, f"{text}{part}", tuple((end, end, part) for end in ends))
