"""Places of a function written otherwise: what people write for each kind of expression, the other way round.

Every kind of node says which neighbours it has: an operator another, an index another index, a product one
factor more or less. A change is a piece of text in place of another.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, permutations
from typing import Any

from chainrule.verifying.source.scope import Scope, entries_of, is_atom, own
from chainrule.verifying.source.written import Written

Piece = tuple[int, int, str]  # (where it begins, where it ends, what stands there instead)


@dataclass(frozen=True)
class Change:
    """kind: a key of the texts.  rank: the most natural first.  wrong, right: the part that differs, as it is
    and as it should be.  pieces: of the text.
    """

    kind: str
    rank: int
    wrong: str
    right: str
    pieces: tuple[Piece, ...]

    def text(self, before: bytes) -> bytes:
        """The text with the change made."""
        made = before
        for begin, end, new in sorted(self.pieces, reverse=True):
            made = made[:begin] + new.encode() + made[end:]
        return made


OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**",
    ast.FloorDiv: "//",
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
OTHERS = {
    "+": "-", "-": "+", "*": "/ @", "/": "*", "@": "*", "**": "*",
    ">": "< >= <=", ">=": "> < <=", "<": "> <= >=", "<=": "< > >=", "==": "!= >= <= >", "!=": "==",
}  # fmt: skip
# Functions of which one is written for another.
ALIKE = (
    ("argmax", "argmin"),
    ("max", "min", "sum", "mean"),
    ("maximum", "minimum"),
    ("sum", "mean", "max"),
    ("sign", "abs"),
    ("exp", "log", "log1p", "expm1"),
    ("sin", "cos"),
    ("tanh", "sinh", "cosh", "arctan"),
    ("sqrt", "square"),
    ("outer", "dot", "multiply", "matmul"),
    ("hstack", "vstack"),
    ("zeros_like", "ones_like", "empty_like"),
    ("zeros", "ones"),
    ("ceil", "floor"),
    ("add", "subtract"),
    ("divide", "multiply"),
    ("sqrt", "rsqrt"),
    ("exp", "exp2"),
    ("log", "log2"),
    ("sigmoid", "tanh"),
    ("softmax", "log_softmax"),
    ("clamp_min", "clamp_max"),
    ("tril", "triu"),
    ("repeat", "repeat_interleave", "tile"),
    ("logical_and", "logical_or"),
)
KEYWORDS = {"min": "max", "max": "min"}
ODD = ("exp", "expm1", "sin", "tanh", "sinh", "sigmoid", "sig", "log1p")  # whose argument's sign is forgotten
SETTING = {"index_copy_": "index_add_", "scatter_": "scatter_add_", "scatter": "scatter_add"}
LEFT_OUT = {"index_put_": "accumulate", "index_put": "accumulate", "scan": "reverse"}  # True, of a call
JOINERS = ("c_", "r_", "s_", "index_exp", "mgrid", "ogrid")  # NumPy reads np.c_ @ w, without [], for ever
NUMBERS = (0, 1, 2, -1, 0.5)
MOST_IN_A_ROW = 7  # operands around which parentheses are tried
AXES = ("0", "1", "-1", "-2", "2", "(0, 1)", "(0, 2)", "(1, 2)", "(2, 3)", "(0, 2, 3)")
REDUCING = ("sum", "mean", "max", "argmax", "min", "argmin")


class Changes:
    """Those of one function."""

    def __init__(self, place: Written, scope: Scope) -> None:
        self.place, self.scope = place, scope

    def __iter__(self) -> Iterator[Change]:
        """Of every expression and assignment in it."""
        told = set[tuple[Piece, ...]]()
        for node in own(self.scope.node):
            for kind, neighbours in _NEIGHBOURS.items():
                for change in neighbours(self, node) if isinstance(node, kind) else ():
                    if change.pieces not in told:
                        told.add(change.pieces)
                        yield change

    @property
    def permuted(self) -> str:
        """What their library calls another order of the axes."""
        return "permute" if self.scope.library == "torch" else "transpose"

    def of(self, node: ast.AST) -> str:
        return self.place.of(node)

    def firm(self, node: ast.AST) -> str:
        """The text of a node as it may stand in any expression."""
        loose = (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.Starred)
        if isinstance(node, loose) or (isinstance(node, ast.Tuple) and not self.of(node).startswith("(")):
            return f"({self.of(node)})"
        return self.of(node)

    def instead(
        self, kind: str, rank: int, node: ast.AST, new: str, right: str = "", wrong: str = ""
    ) -> Change:
        """Another text for a node."""
        return Change(kind, rank, wrong or self.of(node), right or new, ((*self.place.span(node), new),))

    def between(
        self, kind: str, rank: int, left: ast.AST, right: ast.AST, old: str, new: str
    ) -> Iterator[Change]:
        """Another operator between two nodes."""
        begin, end = self.place.span(left)[1], self.place.span(right)[0]
        gap = self.place.text[begin:end].decode()
        found = re.search(rf"(?<![*/<>=!]){re.escape(old)}(?![*/<>=])", gap)
        if found is not None and "#" not in gap:
            at = begin + len(gap[: found.start()].encode())
            yield Change(kind, rank, old, new, ((at, at + len(old), new),))

    # -- assignments
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
        for new in {"+=": ("=", "-="), "-=": ("+=", "="), "*=": ("/=", "="), "/=": ("*=", "=")}.get(old, ()):
            kind = "added_up" if (old, new) == ("+=", "=") else "operator"
            yield from self.between(kind, 0, node.target, node.value, old, new)
        # NumPy adds once where an index stands there twice.
        if old in ("+=", "-=") and isinstance(node.target, ast.Subscript):
            yield from self.set(node, node.target, "-" if old == "-=" else "")

    def exchanged(self, parts: Sequence[ast.expr]) -> Iterator[Change]:
        """Two of several that stand in a row."""
        if any(isinstance(part, ast.Starred) for part in parts):
            return
        for first, one in enumerate(parts):
            for other in parts[first + 1 :]:
                texts = self.of(one), self.of(other)
                if texts[0] != texts[1]:
                    spans = self.place.span(one), self.place.span(other)
                    pieces = ((*spans[0], texts[1]), (*spans[1], texts[0]))
                    yield Change("exchanged", 1, ", ".join(texts), ", ".join(texts[::-1]), pieces)

    # -- operations
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
        if id(node) in self.sizes and all(self._is_number(each) for each in (node.left, node.right)):
            yield from self.spread(node)
        yield self.instead(kind, 2, node, self.firm(node.left), wrong=right)
        if old == "-" and _is_one(node.left):
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
        for side in (node.left, node.right) if old == "*" else ():
            yield from self.some_entries(side)
        if old in ("@", "*"):
            for side in (node.left, node.right):
                if old == "@" and not _transposed(side):
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

    def _is_number(self, node: ast.AST) -> bool:
        atom = self.scope.atoms.get(ast.unparse(node))
        whole = atom is not None and atom.kind in ("number", "whole number")
        return whole or isinstance(node, ast.Constant)

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
        if not _is_one(getattr(node, "left", None)) and not isinstance(node.op, ast.Mult):
            return
        if isinstance(node.op, ast.Sub):
            base = _squared(node.right)
            if base is not None:
                text = self.firm(base)
                yield self.instead("slope", 1, node, f"{text} * (1 - {text})")
            return
        rest = node.right
        if isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Sub) and _is_one(rest.left):
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
        rests = [each.right for each in factors if isinstance(each, ast.BinOp) and _is_one(each.left)]
        library = self.scope.library
        if not rests or not library or len(factors) < 3:
            return
        p = self.firm(rests[0])
        others = [each for each in factors if _is_one(getattr(each, "left", None)) is False]
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

    def chosen(self, node: ast.If) -> Iterator[Change]:
        yield self.instead("negated", 3, node.test, f"not ({self.of(node.test)})")
        yield self.instead("condition", 3, node.test, "True")

    def looped(self, node: ast.For) -> Iterator[Change]:
        if isinstance(node.iter, (ast.Name, ast.Attribute)):
            yield self.instead("reversed", 1, node.iter, f"reversed({self.of(node.iter)})")

    # -- names, numbers
    def named(self, node: ast.AST) -> Iterator[Change]:
        """Another name, attribute or entry of the same kind."""
        if not is_atom(node) or not isinstance(getattr(node, "ctx", None), ast.Load):
            return
        text = ast.unparse(node)
        mine = self.scope.atoms.get(text)
        if mine is not None and (mine.kind == "list" or (mine.kind == "array" and mine.shape)):
            yield self.instead("backwards", 3, node, f"{text}[::-1]")
        if mine is None or text in self.scope.grown:
            return
        whole = [atom for atom in self.scope.numbers if atom.kind == "whole number" and atom.text != text]
        for other in whole if mine.kind == "whole number" else ():
            yield self.instead("divisor_missing", 2, node, f"({text} // {other.text})", other.text, text)
        for other in self.scope.atoms.values():
            if other.text != text and other.like(mine) and other.text not in self.scope.grown:
                yield self.instead("name", 1, node, other.text)
            elif other.spreads(mine) and other.text not in self.scope.grown:
                yield self.instead("name", 2, node, other.text)
        if mine.kind in ("number", "whole number"):
            yield from self.spread(node)
        for entry in self.entries_at_hand.get(text, ()):  # of each sample its own
            for more in ("", "[:, None]"):
                yield self.instead("name", 2, node, entry + more)
        if mine.kind in ("array", "number"):
            yield self.instead("name", 3, node, f"(1 - {text})", f"1 - {text}")
        if mine.kind == "array":
            yield self.instead("squared", 3, node, f"({text} ** 2)", f"{text} ** 2")
        for dimensions in {len(mine.shape), self.scope.entered.get(text, 0)} & {3, 4}:
            for order in list(permutations(range(dimensions)))[1:]:
                yield self.instead("transposed", 3, node, f"{text}.{self.permuted}{order}")
            for axes in (("-1",), ("-2", "-1"))[dimensions - 3 :]:
                turned = f"[..., {', '.join('::-1' for _ in axes)}]"
                turned = f".flip({', '.join(axes)})" if self.scope.library == "torch" else turned
                yield self.instead("turned", 3, node, text + turned)
        if mine.kind == "array" and len(mine.shape) == 2 and mine.shape[0] == mine.shape[1] > 1:
            yield self.instead("symmetric", 3, node, f"(({text} + {text}.T) / 2)", f"({text} + {text}.T) / 2")

    def spread(self, node: ast.AST) -> Iterator[Change]:
        """A count of each sample or window in place of one number, as it is, with axes more, or its entry."""
        if id(node) not in self.sizes:
            return
        for atom in self.scope.arrays:
            if len(atom.shape) == 1:
                for more in ("", "[:, None]", "[:, None, None]", "[:, None, None, None]"):
                    yield self.instead("name", 3, node, atom.text + more)
            for index in self.indices:
                if index.count(",") + 1 == len(atom.shape):
                    yield self.instead("name", 3, node, f"{atom.text}[{index}]")

    @cached_property
    def sizes(self) -> frozenset[int]:
        """Numbers by which something is divided, or multiplied."""
        made = list[ast.expr]()
        for each in own(self.scope.node):
            if isinstance(each, (ast.BinOp, ast.AugAssign)) and isinstance(each.op, (ast.Mult, ast.Div)):
                made.append(each.right if isinstance(each, ast.BinOp) else each.value)
        return frozenset(map(id, made))

    @cached_property
    def entries_at_hand(self) -> dict[str, list[str]]:
        """Of arrays the entries that stand in the function by the numbers of others."""
        made: dict[str, list[str]] = {}
        for each in own(self.scope.node):
            if isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Name) and is_atom(each.value):
                made.setdefault(ast.unparse(each.value), []).append(ast.unparse(each))
        return {text: list(dict.fromkeys(entries)) for text, entries in made.items()}

    @cached_property
    def indices(self) -> list[str]:
        """Of loops, those that stand in one index together."""
        parts = (each for each in own(self.scope.node) if isinstance(each, ast.Subscript))
        names = ([each.id for each in entries_of(part) if isinstance(each, ast.Name)] for part in parts)
        return list(dict.fromkeys(", ".join(each) for each in names if each))

    def throughout(self, node: ast.Assign | ast.AugAssign | ast.Return) -> Iterator[Change]:
        """Another name wherever one stands in a line twice; the same part of all arrays of one shape."""
        if node.value is None:
            return
        loads: dict[str, list[ast.AST]] = {}
        for each in ast.walk(node.value):
            if is_atom(each) and ast.unparse(each) in self.scope.atoms:
                loads.setdefault(ast.unparse(each), []).append(each)
        for text, nodes in loads.items():
            mine = self.scope.atoms[text]
            for other in self.scope.atoms.values() if len(nodes) > 1 else ():
                if other.text != text and other.like(mine):
                    pieces = tuple((*self.place.span(each), other.text) for each in nodes)
                    yield Change("name", 2, text, other.text, pieces)
        entered: dict[str, list[ast.Subscript]] = {}
        for each in ast.walk(node.value):
            if isinstance(each, ast.Subscript) and isinstance(each.ctx, ast.Load):
                entered.setdefault(ast.unparse(each.slice), []).append(each)
        for same in entered.values():
            spans = [(self.place.span(each.value)[1], self.place.span(each)[1]) for each in same]
            if len(same) > 1 and all(b <= c for (_, b), (c, _) in pairwise(sorted(spans))):
                pieces = tuple((begin, end, "") for begin, end in spans)
                yield Change("index_extra", 2, self.of(same[0].slice), "", pieces)
        target = getattr(node, "target", None)
        mine_ = None if target is None else self.scope.atoms.get(ast.unparse(target))
        if target is None or mine_ is None or mine_.kind != "array":
            return
        alike = [
            each for text, nodes in loads.items() for each in nodes if self.scope.atoms[text].like(mine_)
        ]
        for part in ("[:, 1:]", "[1:]", "[:, :-1]", "[:-1]"):
            ends = [self.place.span(each)[1] for each in (target, *alike)]
            yield Change(
                "part", 2, self.of(target), f"{self.of(target)}{part}", tuple((e, e, part) for e in ends)
            )

    def number(self, node: ast.Constant) -> Iterator[Change]:
        value = node.value
        if isinstance(value, str):
            yield from self.key(node)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        near = (
            (value + 1, value - 1, -value, *NUMBERS)
            if isinstance(value, int)
            else (-value, 1 - value, 2 * value, value / 2, *NUMBERS)
        )
        for other in dict.fromkeys(near):
            if other != value:
                yield self.instead("number", 2, node, repr(other))
        for atom in self.scope.numbers:
            yield self.instead("name", 3, node, atom.text)

    def key(self, node: ast.Constant) -> Iterator[Change]:
        """Another key of those that the function uses."""
        texts = {
            each.slice.value: None
            for each in own(self.scope.node)
            if isinstance(each, ast.Subscript) and isinstance(each.slice, ast.Constant)
        }
        for other in texts if node.value in texts else ():
            if isinstance(other, str) and other != node.value:
                yield self.instead("name", 1, node, repr(other))

    # -- entries and parts
    def part(self, node: ast.Subscript) -> Iterator[Change]:
        yield from self.counted(node)
        if isinstance(node.ctx, ast.Load) and getattr(node.value, "attr", "") not in JOINERS:
            text = self.of(node)
            yield self.instead("index_extra", 2, node, self.firm(node.value), wrong=self.of(node.slice))
            yield self.instead("squared", 2, node, f"({text} ** 2)", f"{text} ** 2")
        entries = entries_of(node)
        for entry in entries:
            for atom in self.scope.numbers:  # an index that stands still, or is another
                if atom.kind == "whole number" and atom.text != self.of(entry):
                    yield self.instead("index", 1, entry, atom.text)
                    if self.of(entry) == ":" and len(entries) > 1 and self.scope.numpy:
                        rows = f"{self.scope.numpy}.arange({atom.text})"
                        yield self.instead("index", 2, entry, rows)
            if isinstance(entry, ast.Slice):
                yield from self.slice(entry)
            elif not isinstance(entry, ast.Constant):
                for by in (" - 1", " + 1"):
                    yield self.instead("index", 1, entry, self.firm(entry) + by)
                for atom in self.scope.numbers:  # of a window its beginning
                    if atom.kind == "whole number" and atom.text != self.of(entry):
                        yield self.instead("index", 2, entry, f"{atom.text} + {self.firm(entry)}")
                if len(entries) > 1:
                    yield self.instead("index", 2, entry, ":")
        if len(entries) > 1:
            yield from self.exchanged([each for each in entries if not isinstance(each, ast.Slice)])

    def slice(self, node: ast.Slice) -> Iterator[Change]:
        lower, upper, step = ("" if x is None else self.of(x) for x in (node.lower, node.upper, node.step))

        def made(a: str, b: str, c: str) -> str:
            return f"{a}:{b}" + (f":{c}" if c else "")

        now = made(lower, upper, step)
        whole = [atom.text for atom in self.scope.numbers if atom.kind == "whole number"]
        others = [
            made("", upper, step),
            made(lower, "", step),
            made(lower, upper, ""),
            made(upper, lower, step),
        ]
        for by in ("-1", "+1"):
            others += [made(f"{lower}{by}", upper, step)] if lower else []
            others += [made(lower, f"{upper}{by}", step)] if upper else []
        others += [] if lower or upper or step else ["1:", ":-1", "::-1"]
        others += {"1:": [":-1"], ":-1": ["1:"], "::-1": [":"]}.get(now, [])
        others += [made("", f"-{lower}", step)] if lower and not upper else []
        others += [made(f"-{upper}", "", step), made(upper, "", step)] if upper and not lower else []
        for name in whole if lower or upper else ():  # a window without its stride or its padding
            if lower and upper.startswith(lower):
                rest = upper.removeprefix(lower)
                others += [made(f"{lower}*{name}", f"{lower}*{name}{rest}", step)]
                others += [made(f"{lower}+{name}", f"{lower}+{name}{rest}", step)]
            others += [made(f"{lower}+{name}" if lower else name, f"{upper}+{name}" if upper else "", step)]
            others += [made(lower, f"{upper}-{name}" if upper else f"-{name}", step)]
        for other in dict.fromkeys(others):
            if other != now:
                yield self.instead("slice", 2, node, other)

    # -- calls
    def called(self, node: ast.Call) -> Iterator[Change]:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        end = self.place.span(function)[1]
        for group in ALIKE if isinstance(function, ast.Attribute) else ():
            for other in group if name in group else ():
                if other != name:
                    yield Change("function", 1, name, other, ((end - len(name), end, other),))
        yield from self.exchanged(node.args)
        for each in node.args if name in ODD else ():
            if not isinstance(each, (ast.UnaryOp, ast.Starred, ast.Constant)):
                yield self.instead("sign", 2, each, f"-{self.firm(each)}", "-")
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if isinstance(inner, ast.BinOp) and OPERATORS.get(type(inner.op)) in ("+", "-", "*", "/"):
            outside = f"{OPERATORS[type(inner.op)]} {self.firm(inner.right)}"
            new = f"{self.of(function)}({self.of(inner.left)}) {outside}"
            yield self.instead("parentheses", 2, node, f"({new})", new)
        if name in ("sum", "mean") and isinstance(function, ast.Attribute):
            yield from self.folded(node, function.value)
        if len(node.args) == 1 and name not in ("range", "len", "float", "int", "list", "dict"):
            yield self.instead("call_extra", 2, node, self.firm(node.args[0]), wrong=name)
        method = isinstance(function, ast.Attribute) and not (
            isinstance(function.value, ast.Name) and function.value.id not in self.scope.atoms
        )
        if method and isinstance(function, ast.Attribute):
            yield self.instead("call_extra", 2, node, self.firm(function.value), wrong=f".{name}")
        if name in ("dot", "matmul", "tensordot", "outer"):
            for side in node.args[:2]:
                if not _transposed(side):
                    yield self.instead("transposed", 1, side, f"{self.firm(side)}.T")
        if name == "where" and len(node.args) == 3:
            for branch in node.args[1:]:
                for new in ("0", "1"):
                    yield self.instead("name", 3, branch, new)
                for atom in (*self.scope.arrays, *self.scope.numbers):
                    yield self.instead("name", 3, branch, atom.text)
        if name == "range":
            yield from self.ranged(node)
        if name == "reversed":
            yield self.instead("reversed", 1, node, self.of(node.args[0]))
        at = function.value if isinstance(function, ast.Attribute) else None
        entries = at.value if isinstance(at, ast.Subscript) else None
        if name == "set" and isinstance(entries, ast.Attribute) and entries.attr == "at":
            yield Change("overwritten", 1, "set", "add", ((end - len(name), end, "add"),))
        if name == "add" and isinstance(entries, ast.Attribute) and entries.attr == "at":
            yield Change("added_up", 1, "add", "set", ((end - len(name), end, "set"),))
        yield from self.counted(node)
        if name == "cumsum":
            yield from self.accumulated(node)
        if name in SETTING:
            new = SETTING[name]
            yield Change("overwritten", 1, name, new, ((end - len(name), end, new),))
        yield from self.left_out(node, name)
        if name == "einsum" and node.args and isinstance(node.args[0], ast.Constant):
            yield from self.letters(node.args[0])
        yield from self.axes(node, name)
        for keyword in node.keywords:
            if keyword.arg in KEYWORDS and keyword.arg is not None:
                begin = self.place.span(keyword)[0]
                piece = (begin, begin + len(keyword.arg), KEYWORDS[keyword.arg])
                yield Change("name", 1, f"{keyword.arg}=", f"{piece[2]}=", (piece,))
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
                yield self.instead("name", 2, keyword.value, repr(not keyword.value.value))
        if name == "transpose":
            yield from self.orders(node)

    def left_out(self, node: ast.Call, name: str) -> Iterator[Change]:
        """A keyword that is True where people forget it."""
        keyword = LEFT_OUT.get(name, "")
        if keyword and not any(each.arg in (keyword, None) for each in node.keywords):
            close = self.place.span(node)[1] - 1
            lead = "" if self.place.text[:close].rstrip().endswith(b",") else ", "
            piece = (close, close, f"{lead}{keyword}=True")
            yield Change("keyword_missing", 1, self.of(node.func), f"{keyword}=True", (piece,))

    def counted(self, node: ast.expr) -> Iterator[Change]:
        """What is counted elsewhere in place of x.shape[0], len(x), x.numel()."""
        text = self.of(node)
        if re.fullmatch(r"len\([\w.]+\)|[\w.]+\.(shape\[-?\d\]|numel\(\)|size\(-?\d\))", text) is None:
            return
        arrays = [atom for atom in self.scope.arrays if len(atom.shape) <= 2 and atom.shape[-1] == 1]
        for atom in (*self.scope.numbers, *arrays):
            yield self.instead("name", 2, node, atom.text)

    def accumulated(self, node: ast.Call) -> Iterator[Change]:
        """Sums from the end in place of sums from the beginning."""
        function = node.func
        if not isinstance(function, ast.Attribute):
            return
        of_library = isinstance(function.value, ast.Name) and function.value.id == self.scope.numpy
        values = [*([] if of_library else [function.value]), *node.args, *(k.value for k in node.keywords)]
        if len(values) == 2:
            array, axis = self.firm(values[0]), self.of(values[1])
            flip = f"{self.scope.numpy}.flip" if self.scope.numpy else ""
            if flip:
                over = f"({axis},)" if self.scope.library == "torch" else axis
                new = f"{flip}({self.scope.numpy}.cumsum({flip}({array}, {over}), {axis}), {over})"
                yield self.instead("reversed", 1, node, new)

    def folded(self, node: ast.Call, owner: ast.expr) -> Iterator[Change]:
        """x.reshape(b, a, ...).sum(0) for x.reshape(a, b, ...).sum(1): neighbours, or dealt in turn."""
        axis = self.axis_by_place(node) or next((k.value for k in node.keywords if k.arg == "axis"), None)
        reshaped = isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute)
        if not reshaped or not isinstance(axis, ast.Constant) or not isinstance(owner, ast.Call):
            return
        sizes = owner.args[0].elts if owner.args and isinstance(owner.args[0], ast.Tuple) else owner.args
        number = axis.value
        if not isinstance(number, int) or number < 0 or getattr(owner.func, "attr", "") != "reshape":
            return
        for first in (number - 1, number):
            if 0 <= first < len(sizes) - 1:
                one, other = sizes[first : first + 2]
                pieces = (
                    (*self.place.span(one), self.of(other)),
                    (*self.place.span(other), self.of(one)),
                    (*self.place.span(axis), str(2 * first + 1 - number)),
                )
                wrong = f"{self.of(one)}, {self.of(other)}"
                yield Change("exchanged", 1, wrong, f"{self.of(other)}, {self.of(one)}", pieces)

    def letters(self, node: ast.Constant) -> Iterator[Change]:
        """Two letters of one part of what einsum sums exchanged."""
        if not isinstance(node.value, str):
            return
        for part in re.finditer(r"[a-zA-Z]+", node.value):
            for one, other in combinations(sorted(set(part[0])), 2):
                swapped = part[0].translate(str.maketrans(one + other, other + one))
                made = node.value[: part.start()] + swapped + node.value[part.end() :]
                yield self.instead("index", 1, node, repr(made))

    def orders(self, node: ast.Call) -> Iterator[Change]:
        """Another order of the axes."""
        listed = node.args[0].elts if node.args and isinstance(node.args[0], ast.Tuple) else node.args
        if not listed or not all(isinstance(each, ast.Constant) for each in listed):
            return
        now = [self.of(each) for each in listed]
        if len(now) > 4:
            return  # two of them exchanged is tried as of any arguments
        begin, end = self.place.span(listed[0])[0], self.place.span(listed[-1])[1]
        for order in permutations(now):
            if list(order) != now:
                yield Change("axes", 1, ", ".join(now), ", ".join(order), ((begin, end, ", ".join(order)),))

    def ranged(self, node: ast.Call) -> Iterator[Change]:
        yield self.instead("reversed", 1, node, f"reversed({self.of(node)})")
        args = [self.of(each) for each in node.args]
        if len(args) == 1:
            others = [[f"{args[0]} - 1"], [f"{args[0]} + 1"], ["1", args[0]]]
        else:
            others = [[args[0], f"{args[1]}{by}", *args[2:]] for by in (" - 1", " + 1")]
            others += [[f"{args[0]}{by}", *args[1:]] for by in (" - 1", " + 1")]
            others += [[args[1]]] if len(args) == 2 else []
        for other in others:
            yield self.instead("range", 2, node, f"range({', '.join(other)})")

    def axes(self, node: ast.Call, name: str) -> Iterator[Change]:
        given = next((keyword for keyword in node.keywords if keyword.arg in ("axis", "dim")), None)
        by_place = self.axis_by_place(node) if given is None and name in REDUCING else None
        for other in AXES if by_place is not None else ():
            if by_place is not None and self.of(by_place).replace(" ", "") != other.replace(" ", ""):
                yield self.instead("axis", 1, by_place, other)
        word = "axis" if given is None else given.arg
        keeps = "keepdim" if word == "dim" else "keepdims"
        for other in AXES if given is not None else ():
            if given is not None and self.of(given.value).replace(" ", "") != other.replace(" ", ""):
                yield self.instead(
                    "axis", 1, given.value, other, f"{word}={other}", f"{word}={self.of(given.value)}"
                )
        close = self.place.span(node)[1] - 1
        last = node.keywords[-1] if node.keywords else None
        if last is not None and last.arg == "keepdims":
            before = [*node.args, *(keyword.value for keyword in node.keywords)][-2:-1]
            begin = self.place.span(before[0])[1] if before else self.place.span(node.func)[1] + 1
            kept = "keepdims=" + self.of(last.value)
            yield Change("extra", 2, kept, self.of(node.func), ((begin, close, ""),))
        if given is None and name in REDUCING:
            lead = ", " if node.args or node.keywords else ""
            for axis in AXES:
                for keep in ("", ", keepdims=True"):
                    new = f"{lead}axis={axis}{keep}"
                    yield Change("axis", 2, self.of(node), f"axis={axis}{keep}", ((close, close, new),))
        if given is not None and not any(keyword.arg == keeps for keyword in node.keywords):
            piece = (close, close, f", {keeps}=True")
            yield Change("axis", 2, self.of(node), f"{keeps}=True", (piece,))

    def axis_by_place(self, node: ast.Call) -> ast.expr | None:
        """The axis of x.sum(0) and of np.sum(x, 0)."""
        function = node.func
        owner = function.value if isinstance(function, ast.Attribute) else None
        of_library = isinstance(owner, ast.Name) and owner.id == self.scope.numpy
        rest = node.args[1:2] if of_library else node.args[:1]
        parts = [each for arg in rest for each in (arg.elts if isinstance(arg, ast.Tuple) else [arg])]
        plain = all(isinstance(each, (ast.Constant, ast.UnaryOp)) for each in parts)
        return rest[0] if rest and plain else None

    # -- what there is
    def transposed(self, node: ast.Attribute) -> Iterator[Change]:
        if node.attr == "T":
            yield self.instead("not_transposed", 1, node, self.firm(node.value), wrong=".T")


def _is_one(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


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


def _transposed(node: ast.AST) -> bool:
    inner = node.func if isinstance(node, ast.Call) else node
    return isinstance(inner, ast.Attribute) and inner.attr in ("T", "transpose")


_NEIGHBOURS: dict[type[ast.AST] | tuple[type[ast.AST], ...], Callable[[Changes, Any], Iterator[Change]]] = {
    ast.Assign: Changes.assigned,
    ast.AugAssign: Changes.added,
    ast.BinOp: Changes.operation,
    (ast.BinOp,): Changes.slopes,
    (ast.BinOp, ast.BinOp): Changes.diagonal,
    (ast.BinOp, ast.BinOp, ast.BinOp): Changes.grouped,
    ast.UnaryOp: Changes.negated,
    ast.Compare: Changes.compared,
    ast.If: Changes.chosen,
    ast.For: Changes.looped,
    ast.Constant: Changes.number,
    ast.Call: Changes.called,
    ast.Attribute: Changes.transposed,
    ast.expr: Changes.named,
    ast.Subscript: Changes.part,
    (ast.Tuple, ast.List): lambda self, node: (
        self.exchanged(node.elts) if isinstance(node.ctx, ast.Load) else iter(())
    ),
    (ast.Assign, ast.AugAssign, ast.Return): Changes.throughout,
}
