"""Operations written otherwise: another operator, operands exchanged or left out, other parentheses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from chainrule.verifying.source.changes.change import Change, Rewriting, is_one, is_transposed

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
    ast.BitAnd: "&", ast.BitOr: "|", ast.And: "and", ast.Or: "or",
}  # fmt: skip
OTHERS = {
    "+": "-", "-": "+", "*": "/ @", "/": "*", "@": "*", "**": "*",
    ">": "< >= <=", ">=": "> < <=", "<": "> <= >=", "<=": "< > >=", "==": "!= >= <= >", "!=": "==",
    "&": "|", "|": "&", "and": "or", "or": "and",
}  # fmt: skip
PRODUCTS = ("dot", "matmul", "mm", "bmm", "einsum", "tensordot", "inner")  # of the arrays in parentheses
MOST_IN_A_ROW = 7  # operands around which parentheses are tried


class Operators(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.BinOp):
            yield from self.operation(node)
            yield from self.slopes(node)
            yield from self.diagonal(node)
            yield from self.grouped(node)
            yield from self.scaled(node)
        elif isinstance(node, ast.UnaryOp):
            yield from self.negated(node)
        elif isinstance(node, ast.Compare):
            yield from self.compared(node)
        elif isinstance(node, ast.BoolOp):
            yield from self.joined(node)

    def operation(self, node: ast.BinOp) -> Iterator[Change]:
        old = OPERATORS.get(type(node.op), "")
        left, right = self.of(node.left), self.of(node.right)
        for new in OTHERS.get(old, "").split():
            yield from self.between("operator", 1, node.left, node.right, old, new)
        if old in ("-", "/", "@", "**"):
            spans = self.place.span(node.left), self.place.span(node.right)
            pieces = ((*spans[0], self.firm(node.right)), (*spans[1], self.firm(node.left)))
            yield Change("exchanged", 1, f"{left} {old} {right}", f"{right} {old} {left}", pieces)
        if old == "**" and not isinstance(node.right, ast.Constant):
            for by in ("- 1", "+ 1"):
                yield self.instead("name", 1, node.right, f"({self.firm(node.right)} {by})")
        extra = {"*": "factor_extra", "/": "divisor_extra", "+": "term_extra", "-": "term_extra"}
        kind = extra.get(old, "extra")
        yield self.instead(kind, 2, node, self.firm(node.left), wrong=right)
        if old == "-" and is_one(node.left):
            yield self.instead("name", 2, node, self.firm(node.right))
        if old == "-":
            yield self.instead("term_extra", 2, node, f"(-{self.firm(node.right)})", wrong=left)
        elif old != "/":
            yield self.instead(kind, 2, node, self.firm(node.right), wrong=left)
        call = node.left
        if isinstance(call, ast.Call) and len(call.args) == 1 and not call.keywords and old in "+-*/":
            close = self.place.span(call)[1] - 1  # of √v + ε for √(v + ε)
            end, inner = self.place.span(node)[1], self.of(call.args[0])
            pieces = ((close, close, f" {old} {self.firm(node.right)}"), (close + 1, end, ""))
            yield Change("parentheses", 2, inner, f"{inner} {old} {right}", pieces)
        method = call.func if isinstance(call, ast.Call) and not call.args and not call.keywords else None
        if isinstance(method, ast.Attribute) and old in "+-*/":  # of v.sqrt() + ε for (v + ε).sqrt()
            inner = self.of(method.value)
            called = self.of(call).removeprefix(inner)
            yield self.instead("parentheses", 2, node, f"({inner} {old} {self.firm(node.right)}){called}")
        for side in (node.left, node.right) if old == "*" else ():
            yield from self.some_entries(side)
        if old in ("@", "*"):
            for side in (node.left, node.right):
                if old == "@" and not is_transposed(side):
                    yield self.instead("transposed", 1, side, f"{self.firm(side)}.T")

    def some_entries(self, node: ast.expr) -> Iterator[Change]:
        """An array without its first or last entry, row or column, as a penalty that spares the bias."""
        atom, library = self.scope.atoms.get(ast.unparse(node)), self.scope.numpy
        if atom is None or atom.kind != "array" or not 1 <= len(atom.shape) <= 2 or not library:
            return
        array = self.firm(node)
        for axis in range(len(atom.shape)):
            size = f"len({array})" if axis == 0 else f"{array}.shape[{axis}]"
            spread = "[:, None]" if axis < len(atom.shape) - 1 else ""
            for condition in ("> 0", f"< {size} - 1"):
                mask = f"({library}.arange({size}) {condition}){spread}"
                yield self.instead("entry_extra", 3, node, f"({array} * {mask})", mask)

    def grouped(self, node: ast.BinOp) -> Iterator[Change]:
        """Parentheses around some of what stands in a row, and without those that are there."""
        parts = list(self.row(node))
        if not 3 <= len(parts) <= MOST_IN_A_ROW:
            return
        for first, last in combinations(range(len(parts)), 2):
            begin, end = parts[first][0], parts[last][1]
            if last - first + 1 < len(parts):
                right = f"({self.place.text[begin:end].decode()})"
                pieces = ((begin, begin, "("), (end, end, ")"))
                yield Change("parentheses", 3, right[1:-1], right, pieces)
        for begin, end in parts:
            inner = self.place.text[begin:end].decode()
            if inner[0] == "(" and inner[-1] == ")":
                pieces = ((begin, begin + 1, ""), (end - 1, end, ""))
                yield Change("parentheses", 3, inner, inner[1:-1], pieces)

    def scaled(self, node: ast.BinOp) -> Iterator[Change]:
        """What a product of matrices is scaled by taken into it, to either side, and out of it: of the rows
        of A @ D by their own divisors for those of D by theirs.
        """
        old, sides = OPERATORS.get(type(node.op), ""), (node.left, node.right)
        for number, (side, beside) in enumerate((sides, sides[::-1])):
            inner = OPERATORS.get(type(side.op), "") if isinstance(side, ast.BinOp) else ""
            if isinstance(side, ast.Call) and (old == "*" or (old == "/" and number == 0)):
                yield from self.scaled_within(node, side, old, beside)
            if not isinstance(side, ast.BinOp):
                continue
            first, last, other = self.firm(side.left), self.firm(side.right), self.firm(beside)
            if inner == "@" and (old == "*" or (old == "/" and number == 0)):
                yield self.instead("parentheses", 3, node, f"{first} @ ({last} {old} {other})")
                yield self.instead("parentheses", 3, node, f"({first} {old} {other}) @ {last}")
            elif old == "@" and inner in ("*", "/"):
                product = f"{first} @ {other}" if number == 0 else f"{other} @ {first}"
                yield self.instead("parentheses", 3, node, f"{product} {inner} {last}")

    def scaled_within(self, node: ast.BinOp, call: ast.Call, old: str, by: ast.expr) -> Iterator[Change]:
        """The same where the product is a call, np.dot(A.T, D) / n for np.dot(A.T, D / n)."""
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name not in PRODUCTS:
            return
        start = self.place.span(call)[0]
        whole = self.of(call).encode()
        for each in call.args:
            if isinstance(each, (ast.Constant, ast.Starred)):
                continue
            begin, end = (at - start for at in self.place.span(each))
            new = f"{self.firm(each)} {old} {self.firm(by)}".encode()
            yield self.instead("parentheses", 3, node, (whole[:begin] + new + whole[end:]).decode())

    def row(self, node: ast.expr) -> Iterator[tuple[int, int]]:
        """Where the operands of a row of operations begin and end, with their parentheses."""
        text = self.place.text
        if not isinstance(node, ast.BinOp):
            yield self.place.span(node)
            return
        for side in (node.left, node.right):
            if self.apart(side):
                first, last = self.place.span(side)
                yield text.rindex(b"(", 0, first), text.index(b")", last) + 1
            else:
                yield from self.row(side)

    def apart(self, node: ast.expr) -> bool:
        """Whether an operand that is an operation itself stands in parentheses."""
        begin, end = self.place.span(node)
        before, behind = self.place.text[:begin].rstrip(), self.place.text[end:].lstrip()
        return isinstance(node, ast.BinOp) and before[-1:] == b"(" and behind[:1] == b")"

    def slopes(self, node: ast.BinOp) -> Iterator[Change]:
        """The derivative of the sigmoid for that of tanh, and the other way round, of what they gave."""
        if not is_one(getattr(node, "left", None)) and not isinstance(node.op, ast.Mult):
            return
        if isinstance(node.op, ast.Sub):
            base = _squared(node.right)
            if base is not None:
                text = self.firm(base)
                yield self.instead("slope", 1, node, f"{text} * (1 - {text})")
            return
        rest = node.right
        if isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Sub) and is_one(rest.left):
            text, left = self.of(rest.right), node.left
            if self.of(left) == text:
                yield self.instead("slope", 1, node, f"(1 - {text} ** 2)")
            elif (
                isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult) and self.of(left.right) == text
            ):
                wrong, right = f"{text} * (1 - {text})", f"(1 - {text} ** 2)"
                yield self.instead("slope", 1, node, f"{self.firm(left.left)} * {right}", right, wrong)
                yield self.instead("factor_extra", 2, node, self.firm(left.left), wrong=wrong)

    def diagonal(self, node: ast.BinOp) -> Iterator[Change]:
        """p · (g - Σ p·g), softmax's, for p · g · (1 - p), its diagonal alone."""
        factors = list(_factors(node))
        rests = [each.right for each in factors if isinstance(each, ast.BinOp) and is_one(each.left)]
        library = self.scope.library
        if not rests or not library or len(factors) < 3:
            return
        p = self.firm(rests[0])
        others = [each for each in factors if is_one(getattr(each, "left", None)) is False]
        g = " * ".join(self.firm(each) for each in others if self.firm(each) != p)
        keeps = "keepdim" if library == "torch" else "keepdims"
        if g and any(self.firm(each) == p for each in others):
            for axis in ("-1", "0", "1"):
                new = f"{p} * ({g} - ({p} * {g}).sum({axis}, {keeps}=True))"
                yield self.instead("diagonal", 1, node, f"({new})", new)

    def negated(self, node: ast.UnaryOp) -> Iterator[Change]:
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            yield self.instead("sign", 1, node, self.firm(node.operand))
        elif isinstance(node.op, (ast.Not, ast.Invert)):
            yield self.instead("negated", 1, node, self.firm(node.operand))

    def compared(self, node: ast.Compare) -> Iterator[Change]:
        parts = [node.left, *node.comparators]
        for op, left, right in zip(node.ops, parts, parts[1:], strict=False):
            old = OPERATORS.get(type(op), "")
            for new in OTHERS.get(old, "").split():
                yield from self.between("operator", 1, left, right, old, new)
        for each in node.comparators:
            if not isinstance(each, (ast.Name, ast.Attribute)):  # of which other names are tried anyway
                yield from (self.instead("name", 2, each, other.text) for other in self.scope.numbers)
            yield from (self.instead("name", 3, each, f"-{other.text}") for other in self.scope.numbers)
        for each in parts:
            atom = self.scope.atoms.get(ast.unparse(each))
            if atom is not None and atom.kind == "whole number":
                for by in (" - 1", " + 1"):
                    yield self.instead("index", 2, each, self.firm(each) + by)

    def joined(self, node: ast.BoolOp) -> Iterator[Change]:
        """Or for and, and one condition less."""
        old = OPERATORS[type(node.op)]
        if len(node.values) == 2:
            left, right = node.values
            yield from self.between("operator", 1, left, right, old, OTHERS[old])
            for kept, gone in ((left, right), (right, left)):
                yield self.instead("extra", 2, node, self.firm(kept), wrong=self.of(gone))


def _factors(node: ast.expr) -> Iterator[ast.expr]:
    """Of a product, however it is nested."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from _factors(node.left)
        yield from _factors(node.right)
    else:
        yield node


def _squared(node: ast.AST) -> ast.expr | None:
    """What is squared: of a ** 2 and of a * a."""
    if not isinstance(node, ast.BinOp):
        return None
    twice = isinstance(node.op, ast.Mult) and ast.dump(node.left) == ast.dump(node.right)
    power = isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant) and node.right.value == 2
    return node.left if twice or power else None
