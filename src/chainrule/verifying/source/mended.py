"""A change that makes something right, and the text of it that a reader is to see."""

from __future__ import annotations

import ast
import contextlib
import re
from dataclasses import dataclass
from textwrap import dedent

from chainrule.verifying.source.changes.change import Change
from chainrule.verifying.source.written import Written

# What is quoted by itself: no number and no slice, which say too little.
QUOTABLE = (
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute, ast.Subscript),
    ast.Name,
)


@dataclass(frozen=True, eq=False)
class Mended:
    """A change, where it was made, and of which arguments it made the gradient right.  first: the one without
    which it does not.
    """

    place: Written
    change: Change
    text: bytes
    numbers: frozenset[int]
    first: Mended | None = None

    @property
    def line(self) -> int:
        return self.place.line_at(self.change.span[0])

    def quoted(self) -> tuple[int, int, str, str]:
        """(its line, its column from 1 on, as it is, as it must be) of the smallest expression that is
        changed and stands once in its lines; of the lines of whole statements where a statement is changed.
        """
        begin, end = self.change.span
        whole = one_line(self._lines(self.text)[2])
        size = len(self.place.text)
        signed, begin, close = plain_signs(self.text, begin, len(self.text) - (size - end))
        end = size - (len(signed) - close)
        tidied = folded(tidy(signed, begin, close), begin, size - end)
        nodes = [node for top in self.place.nodes.values() for node in ast.walk(top)]
        called = {id(each.func) for each in nodes if isinstance(each, ast.Call)}
        called |= {id(each.value) for each in nodes if isinstance(each, ast.Attribute)}
        quotable = (each for each in nodes if isinstance(each, QUOTABLE) and id(each) not in called)
        held = map(self.place.span, quotable)
        for first, last in sorted(held, key=lambda span: span[1] - span[0]):
            if first <= begin and end <= last and not self.change.kind.startswith("line"):
                behind = len(self.place.text) - last
                stands = one_line(self.place.text[first:last].decode())
                if len(re.findall(rf"(?<![\w.]){re.escape(stands)}(?!\w)", whole)) == 1:
                    write = one_line(tidied[first : len(tidied) - behind].decode())
                    return *self.place.position(first), stands, write
        return self._lines(without_pass(tidied, begin, len(tidied) - (size - end)))

    def _lines(self, text: bytes) -> tuple[int, int, str, str]:
        """(the first, where its text begins, as they are, as they are in `text`) of the lines that are
        changed.
        """
        begin, end = self.change.span
        first, last = self.place.line_at(begin), self.place.line_at(end)
        nodes = (each for top in self.place.nodes.values() for each in ast.walk(top))
        whole = [each for each in nodes if isinstance(each, ast.stmt) and not hasattr(each, "body")]
        spans = [(each.lineno, each.end_lineno or each.lineno) for each in whole]
        first = min([first, *(top for top, bottom in spans if top <= first <= bottom)])
        last = max([last, *(bottom for top, bottom in spans if top <= last <= bottom)])
        more = text.count(b"\n") - self.place.text.count(b"\n")
        before = self.place.lines(self.place.text, first, last)
        after = self.place.lines(text, first, last + more)
        column = len(before[0]) - len(before[0].lstrip()) + 1 if before else 1
        rows = dedent("\n".join([*before, *after])).split("\n")  # by one margin: what is moved is seen
        return first, column, "\n".join(rows[: len(before)]), "\n".join(rows[len(before) :])


def one_line(text: str) -> str:
    """Of lines, which may have comments."""
    return " ".join(re.sub(r"(^|\s+)#[^'\"]*$", "", line).strip() for line in text.splitlines())


class _Signs(ast.NodeTransformer):
    """Every minus as far out as it goes without another number: -(a * b) of -a * b, a - b of a + -b."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and _negative(node.operand):
            return node.operand.operand  # type: ignore[attr-defined, no-any-return]
        return node.operand if isinstance(node.op, ast.UAdd) else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, (ast.Add, ast.Sub)) and _negative(node.right):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            node.right = node.right.operand  # type: ignore[attr-defined]
        elif isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult)):
            minus = _negative(node.left) != _negative(node.right)
            node.left, node.right = (
                side.operand if _negative(side) else side  # type: ignore[attr-defined]
                for side in (node.left, node.right)
            )
            return ast.UnaryOp(ast.USub(), node) if minus else node
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, (ast.Add, ast.Sub)) and _negative(node.value):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            node.value = node.value.operand  # type: ignore[attr-defined]
        return node


def _negative(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def plain_signs(text: bytes, begin: int, end: int) -> tuple[bytes, int, int]:
    """A statement with one sign for two in a row that reach into a place, and where what is new begins and
    ends: `a + b` for `a - -b`, `a * 0.5` for `a * --0.5`.
    """
    meant, at = ast.dump(_Signs().visit(ast.parse(text))), 0
    while (two := re.compile(rb"([-+])(=?[\s(]*)([-+])\s*").search(text, at)) is not None:
        at = two.start() + 1
        if two.end() < begin or two.start() > end or not {two[1], two[3]} >= {b"-"}:
            continue
        sign = b"+" if two[1] == two[3] else b"-"
        for new in (two[2], sign + two[2]):
            less = text[: two.start()] + new + text[two.end() :]
            with contextlib.suppress(SyntaxError, ValueError):
                if ast.dump(_Signs().visit(ast.parse(less))) == meant:
                    begin, end = min(begin, two.start()), max(end, two.end()) - len(text) + len(less)
                    text, at = less, max(two.start() - 1, 0)
                    break
    return text, begin, end


def without_pass(text: bytes, begin: int, end: int) -> bytes:
    """A statement without the lines `pass`, between two places, that stand beside others."""
    close = len(text) - end
    for line in reversed(list(re.finditer(rb"\n[ \t]*pass[ \t]*(?=\n|$)", text))):
        less = text[: line.start()] + text[line.end() :]
        if begin <= line.end() and line.start() <= len(text) - close:
            with contextlib.suppress(SyntaxError, ValueError):
                ast.parse(less)
                text = less
    return text


def tidy(text: bytes, begin: int, end: int) -> bytes:
    """A statement without the brackets, between two places, that change nothing."""
    tree, at = ast.dump(ast.parse(text)), begin
    while (at := text.find(b"(", at, end)) >= 0:
        closing = (close for close in range(at, end) if text[close : close + 1] == b")")
        for close in (each for each in closing if _balanced(text[at + 1 : each])):
            less = text[:at] + text[at + 1 : close] + text[close + 1 :]
            with contextlib.suppress(SyntaxError, ValueError):
                if ast.dump(ast.parse(less)) == tree:
                    text, at, end = less, at - 1, end - 2
                    break
        at += 1
    return text


def _balanced(text: bytes) -> bool:
    """Whether every bracket that closes was opened, and the other way round."""
    open_ = 0
    for sign in re.findall(rb"[()]", text):
        open_ += 1 if sign == b"(" else -1
        if open_ < 0:
            return False
    return open_ == 0


def folded(text: bytes, begin: int, rest: int) -> bytes:
    """A statement with one number for a sum of numbers that ends behind `begin` and begins before `rest` from
    the end of it: `** -1.5` for `** (-0.5 - 1)`.
    """
    sums = []
    place = Written("", 1, text, 0, "")
    for node in ast.walk(ast.parse(text)):
        value = _value(node) if isinstance(node, ast.BinOp) else None
        first, last = place.span(node) if value is not None else (0, 0)
        signed = value is not None and value < 0 and text[:first].rstrip(b" (")[-1:] in (b"+", b"-")
        if value is not None and last > begin and first < len(text) - rest and not signed:
            sums.append((first, last, repr(value)))
    if not sums:
        return text
    first, last, number = min(sums, key=lambda each: (each[0], -each[1]))  # the whole of the first
    text = text[:first] + number.encode() + text[last:]
    return folded(tidy(text, max(first - 1, 0), len(text) - rest), begin, rest)


def _value(node: ast.AST) -> float | int | None:
    """Of a sum of numbers that are written out."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in (int, float) else None  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        return None if value is None else -value
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub)):
        return None
    left, right = _value(node.left), _value(node.right)
    if left is None or right is None:
        return None
    made = left + right if isinstance(node.op, ast.Add) else left - right
    return made if isinstance(made, int) else float(f"{made:.12g}")
