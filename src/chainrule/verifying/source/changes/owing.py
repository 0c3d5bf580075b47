"""Lines written so that they keep to the contract: on a copy, cleared before, of one type, in any layout."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.changes.operators import OPERATORS
from chainrule.verifying.source.scope import Scope, is_atom, own
from chainrule.verifying.source.written import Written

MAKING = ("zeros", "ones", "empty", "full", "eye", "arange", "linspace", "array", "asarray")
WIDENING = ("float64", "float32", "float16", "double", "float", "half", "astype", "to", "type")
LAID = ("ravel", "flatten", "reshape", "copy", "astype", "array", "asarray")  # that take an order
LIKE = {"empty_like": "empty", "zeros_like": "zeros", "ones_like": "ones"}


class Owing(Rewriting):
    """Of one function.  names: what they were when it returned."""

    def __init__(self, place: Written, scope: Scope, names: Mapping[str, Any]) -> None:
        super().__init__(place, scope)
        self.names = names
        body = scope.node.body
        self.body: list[ast.stmt] = body if isinstance(body, list) else []

    # -- written on what is another's
    def unwritten(self) -> Iterator[Change]:
        """Writes made on a copy."""
        for node in own(self.scope.node):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                op = OPERATORS.get(type(node.op), "")
                target = node.target.id
                if op and self.is_array(node.target):
                    yield self.instead("copy", 0, node, f"{target} = {target} {op} {self.firm(node.value)}")
            elif isinstance(node, ast.Assign) and self.is_alias(node.value):
                yield self.instead("copy", 1, node.value, self.copied(node.value))
            elif isinstance(node, ast.Call):
                yield from self.out_of_place(node)
            alone = isinstance(node, ast.AugAssign) or (
                isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
            )
            if alone and isinstance(node, ast.stmt) and self.begins(node):
                yield Change("line_extra", 2, self.of(node), "", ((*self.place.span(node), "pass"),))
        for number, line in enumerate(self.body):
            written = dict.fromkeys(self.written(line))
            for text in written:
                yield from self.on_a_copy(number, text, 2)
            for text in self.bound(line) if number + 1 < len(self.body) else ():
                yield from self.on_a_copy(number + 1, text, 3)
        for text in self.given:
            yield from self.on_a_copy(0, text, 3)

    def out_of_place(self, node: ast.Call) -> Iterator[Change]:
        """x.mul(y) for x.mul_(y), and np.multiply(a, b) for np.multiply(a, b, out=a)."""
        function = node.func
        alone = any(isinstance(each, ast.Expr) and each.value is node for each in own(self.scope.node))
        text = self.of(node)
        if isinstance(function, ast.Attribute) and function.attr.endswith("_") and is_atom(function.value):
            end = self.place.span(function)[1] - self.place.span(node)[0]
            bare = text.encode()
            new = (bare[: end - 1] + bare[end:]).decode()
            yield self.instead("copy", 0, node, f"{self.of(function.value)} = {new}" if alone else new)
        for keyword in node.keywords:
            if keyword.arg == "out":
                new = self.call_without(node, keyword)
                yield self.instead("copy", 0, node, f"{self.of(keyword.value)} = {new}" if alone else new)

    def on_a_copy(self, number: int, text: str, rank: int) -> Iterator[Change]:
        """From a line on, a copy in place of what a name, an attribute or an entry of a dict is."""
        line = self.body[number] if number < len(self.body) else None  # of a lambda there is none
        if line is None or not self.begins(line):
            return
        node = ast.parse(text, mode="eval").body
        local = text if isinstance(node, ast.Name) else self.local(node)
        new = f"{local} = {self.copied(node, text)}"
        pieces = [self.in_front(line, new)]
        if local != text:
            for each in self.body[number:]:
                for inner in ast.walk(each):
                    if is_atom(inner) and ast.unparse(inner) == text:
                        pieces.append((*self.place.span(inner), local))
        yield Change("line_missing", rank, text, new, tuple(pieces))

    def written(self, line: ast.stmt) -> Iterator[str]:
        """What a line writes on: entries of it, a method of it, what a function is given first."""
        for node in ast.walk(line):
            if isinstance(node, ast.AugAssign):
                yield from self.owner(node.target)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Subscript):
                        yield from self.owner(target)
            elif isinstance(node, ast.Call):
                out = [keyword.value for keyword in node.keywords if keyword.arg == "out"]
                owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
                for each in (*out, *owner, *node.args[:1]):
                    yield from self.owner(each)

    def owner(self, node: ast.AST) -> Iterator[str]:
        """The array that something is a part of."""
        while isinstance(node, ast.Subscript) and not (is_atom(node) and self.is_array(node)):
            node = node.value
        if is_atom(node) and self.is_array(node):
            yield ast.unparse(node)

    def bound(self, line: ast.stmt) -> Iterator[str]:
        """Arrays that a line takes out of what was kept."""
        for target in line.targets if isinstance(line, ast.Assign) else ():
            for each in target.elts if isinstance(target, ast.Tuple) else ():
                if isinstance(each, ast.Name) and self.is_array(each):
                    yield each.id

    @property
    def given(self) -> list[str]:
        """Arguments that are arrays."""
        args = self.scope.node.args
        names = [each.arg for each in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        return [name for name in names if self.is_array(ast.Name(name, ast.Load()))]

    # -- adds up from call to call
    def cleared(self) -> Iterator[Change]:
        """Set for added, and 0 before it is added."""
        for node in own(self.scope.node):
            if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
                yield from self.between("added_up", 0, node.target, node.value, "+=", "=")
            value = node.value if isinstance(node, ast.Assign) else None
            if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
                for kept, gone in ((value.right, value.left), (value.left, value.right)):
                    yield self.instead("term_extra", 1, value, self.firm(kept), wrong=self.of(gone))
        for line in self.body:
            for text in dict.fromkeys(self.written(line)) if self.begins(line) else ():
                new = f"{text} = {self.zeros(text)}"
                yield Change("line_missing", 2, text, new, (self.in_front(line, new),))

    def zeros(self, text: str) -> str:
        return f"{self.scope.numpy}.zeros_like({text})" if self.scope.numpy else f"0 * {text}"

    # -- of one type
    def typed(self, wanted: str) -> Iterator[Change]:
        """Of the type `wanted`, by an array at hand that has it."""
        like = [text for text in self.names if self.type_of(text) == wanted and text.isidentifier()]
        types = [f"{text}.dtype" for text in [*(t for t in self.given if t in like), *like]][:4]
        for node in own(self.scope.node):
            if isinstance(node, ast.Call):
                yield from self.converted(node)
                for type_ in types:
                    yield from self.made_of(node, type_)
        to = "to" if self.scope.library == "torch" else "astype"
        for node in own(self.scope.node):
            for value in self.returned(node):
                for type_ in types:
                    yield self.instead("type", 3, value, f"{self.firm(value)}.{to}({type_})")

    def returned(self, node: ast.AST) -> Iterator[ast.expr]:
        """What is handed out, or kept as an attribute or an entry."""
        if isinstance(node, ast.Return) and node.value is not None:
            whole = node.value
            yield from whole.elts if isinstance(whole, (ast.Tuple, ast.List)) else (
                whole.values if isinstance(whole, ast.Dict) else (whole,)
            )
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
            yield node.value

    def converted(self, node: ast.Call) -> Iterator[Change]:
        """A conversion less."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in WIDENING and isinstance(node.func, ast.Attribute) and len(node.args) <= 1:
            method = not (isinstance(node.func.value, ast.Name) and node.func.value.id == self.scope.numpy)
            inner = node.func.value if method else next(iter(node.args), None)
            if inner is not None:
                yield self.instead("call_extra", 0, node, self.firm(inner), wrong=name)
        for keyword in node.keywords:
            if keyword.arg == "dtype":
                new = self.call_without(node, keyword)
                yield self.instead("type", 1, node, new, wrong=self.of(keyword))

    def made_of(self, node: ast.Call, type_: str) -> Iterator[Change]:
        """An array that is made of this type."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        for keyword in node.keywords:
            if keyword.arg == "dtype" and self.of(keyword.value) != type_:
                yield self.instead("type", 1, keyword.value, type_)
        if name in MAKING and not any(keyword.arg == "dtype" for keyword in node.keywords):
            yield self.instead("type", 1, node, f"{self.of(node)[:-1]}, dtype={type_})")

    # -- in any layout
    def laid(self) -> Iterator[Change]:
        """In the order of rows, whatever the memory's is."""
        found = [
            change
            for node in own(self.scope.node)
            if isinstance(node, ast.Call)
            for change in self.in_order(node)
        ]
        yield from found
        first = [change for change in found if change.rank == 0]
        spans = sorted(piece[:2] for change in first for piece in change.pieces)
        if len(first) > 1 and all(one[1] <= other[0] for one, other in pairwise(spans)):
            pieces = tuple(piece for change in first for piece in change.pieces)
            yield Change("layout", 1, first[0].wrong, first[0].right, pieces)
        for number, line in enumerate(self.body):
            for text in self.given if number == 0 else ():
                yield from self.contiguous(line, text)
            behind = self.body[number + 1] if number + 1 < len(self.body) else None
            for text in self.bound(line) if behind is not None else ():
                assert behind is not None
                yield from self.contiguous(behind, text)

    def in_order(self, node: ast.Call) -> Iterator[Change]:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        orders = [each for each in node.args if isinstance(each, ast.Constant) and each.value in ("K", "A")]
        keywords = [each for each in node.keywords if each.arg == "order"]
        for each in (*orders, *keywords) if name in LAID else ():
            yield self.instead("layout", 0, node, self.call_without(node, each), wrong=self.of(each))
        if name == "view" and self.scope.library == "torch":
            end = self.place.span(node.func)[1]
            yield Change("function", 0, name, "reshape", ((end - len(name), end, "reshape"),))
        if name in LIKE and node.args:
            owner, array = self.of(node.func).rpartition(".")[0], self.firm(node.args[0])
            new = f"{owner}.{LIKE[name]}({array}.shape, dtype={array}.dtype)"
            yield self.instead("layout", 1, node, new, wrong=name)

    def contiguous(self, line: ast.stmt, text: str) -> Iterator[Change]:
        if self.begins(line):
            numpy = self.scope.numpy or "np"
            tensor = hasattr(self.names.get(text), "contiguous")
            new = f"{text} = " + (f"{text}.contiguous()" if tensor else f"{numpy}.ascontiguousarray({text})")
            yield Change("line_missing", 2, text, new, (self.in_front(line, new),))

    def call_without(self, node: ast.Call, argument: ast.AST) -> str:
        """The text of a call with an argument less."""
        rest = [self.of(each) for each in (*node.args, *node.keywords) if each is not argument]
        return f"{self.of(node.func)}({', '.join(rest)})"

    # -- what things are
    def is_array(self, node: ast.AST) -> bool:
        atom = self.scope.atoms.get(ast.unparse(node))
        return atom is not None and atom.kind == "array"

    def is_alias(self, value: ast.expr) -> bool:
        """Whether it is an array that is there already, or a part of one, or one in another shape."""
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            value = value.func.value if is_atom(value.func.value) else value
        while isinstance(value, ast.Subscript) and not is_atom(value):
            value = value.value
        return is_atom(value) and self.is_array(value)

    def copied(self, node: ast.AST, text: str = "") -> str:
        whole = text or self.firm(node)
        atom = self.names.get(whole)
        clone = hasattr(atom, "clone") or (atom is None and self.scope.library == "torch")
        return f"{whole}.{'clone' if clone else 'copy'}()"

    def type_of(self, text: str) -> str:
        return str(getattr(self.names.get(text), "dtype", "")).removeprefix("torch.")

    def begins(self, line: ast.stmt) -> bool:
        """Whether nothing stands before it on its line."""
        lead = self.place.text[: self.place.span(line)[0]].rpartition(b"\n")[2]
        return not lead.strip()

    def local(self, node: ast.AST) -> str:
        """A name for an attribute or an entry that is not used yet."""
        last = node.attr if isinstance(node, ast.Attribute) else ""
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            last = str(node.slice.value)
        name = last if last.isidentifier() else "kept"
        while name in self.used:
            name += "_"
        return name

    @cached_property
    def used(self) -> Collection[str]:
        nodes = list(ast.walk(self.scope.node))
        return {*(each.id for each in nodes if isinstance(each, ast.Name)), *self.names}


def changes_for(mistake: str, expected: str, owing: Owing) -> Iterator[Change]:
    """Of a mistake against the contract.  expected: the type, of one that is of another."""
    if mistake in ("input modified", "δ modified", "writes into its arguments", "cache changed"):
        yield from owing.unwritten()
    if mistake == "accumulated":
        yield from owing.cleared()
    if mistake == "wrong dtype":
        yield from owing.typed(expected)
    if mistake == "contiguous only":
        yield from owing.laid()

