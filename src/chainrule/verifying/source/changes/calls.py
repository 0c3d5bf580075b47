"""Calls written otherwise: another function, axis, order or range, arguments exchanged or left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import combinations, permutations, product

from chainrule.verifying.source.changes.change import Change, Rewriting, is_transposed
from chainrule.verifying.source.changes.operators import OPERATORS

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
LEFT_OUT = {"index_put_": "accumulate", "index_put": "accumulate", "scan": "reverse"}  # True, of a call
SETTING = {"index_copy_": "index_add_", "scatter_": "scatter_add_", "scatter": "scatter_add"}
AXES = ("0", "1", "-1", "-2", "2", "(0, 1)", "(0, 2)", "(1, 2)", "(2, 3)", "(0, 2, 3)")
MOST_OPERANDS = 60  # other operands of a sum, with their letters
REDUCING = ("sum", "mean", "max", "argmax", "min", "argmin")


class Calls(Rewriting):
    def beside(self, node: ast.AST) -> Iterator[Change]:
        if isinstance(node, ast.Call):
            yield from self.called(node)
        elif isinstance(node, ast.Attribute):
            yield from self.transposed(node)

    def called(self, node: ast.Call) -> Iterator[Change]:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        yield from self.another(node, name)
        yield from self.exchanged(node.args)
        yield from self.around(node, name)
        if name in ("sum", "mean") and isinstance(function, ast.Attribute):
            of_library = isinstance(function.value, ast.Name) and function.value.id == self.scope.numpy
            yield from self.folded(node, node.args[0] if of_library and node.args else function.value)
        yield from self.unwrapped(node, name)
        if name in ("dot", "matmul", "tensordot", "outer"):
            for side in node.args[:2]:
                if not is_transposed(side):
                    yield self.instead("transposed", 1, side, f"{self.firm(side)}.T")
        if name == "where" and len(node.args) == 3:
            yield from self.branches(node)
        if name == "range":
            yield from self.ranged(node)
        if name == "reversed":
            yield self.instead("reversed", 1, node, self.of(node.args[0]))
        yield from self.setting(node, name)
        if name == "cumsum":
            yield from self.accumulated(node)
        if name == "einsum" and node.args and isinstance(node.args[0], ast.Constant):
            yield from self.letters(node.args[0])
            yield from self.operands(node, node.args[0])
        yield from self.axes(node, name)
        yield from self.keywords(node)
        if name == "transpose":
            yield from self.orders(node)

    def another(self, node: ast.Call, name: str) -> Iterator[Change]:
        """Another function."""
        for group in ALIKE if isinstance(node.func, ast.Attribute) else ():
            for other in group if name in group else ():
                if other != name:
                    yield self.renamed("function", node, name, other)

    def renamed(self, kind: str, node: ast.Call, name: str, other: str) -> Change:
        end = self.place.span(node.func)[1]
        return Change(kind, 1, name, other, ((end - len(name), end, other),))

    def around(self, node: ast.Call, name: str) -> Iterator[Change]:
        """A sign in what is called, and a term that belongs behind it."""
        for each in node.args if name in ODD else ():
            if not isinstance(each, (ast.UnaryOp, ast.Starred, ast.Constant)):
                yield self.instead("sign", 2, each, f"-{self.firm(each)}", "-")
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if isinstance(inner, ast.BinOp) and OPERATORS.get(type(inner.op)) in ("+", "-", "*", "/"):
            outside = f"{OPERATORS[type(inner.op)]} {self.firm(inner.right)}"
            new = f"{self.of(node.func)}({self.of(inner.left)}) {outside}"
            yield self.instead("parentheses", 2, node, f"({new})", new)

    def unwrapped(self, node: ast.Call, name: str) -> Iterator[Change]:
        """What is called alone."""
        function = node.func
        if len(node.args) == 1 and name not in ("range", "len", "float", "int", "list", "dict"):
            yield self.instead("call_extra", 2, node, self.firm(node.args[0]), wrong=name)
        if isinstance(function, ast.Attribute):
            owner = function.value
            if not isinstance(owner, ast.Name) or owner.id in self.scope.atoms:  # a method, not a library's
                yield self.instead("call_extra", 2, node, self.firm(owner), wrong=f".{name}")

    def branches(self, node: ast.Call) -> Iterator[Change]:
        """Of where(condition, a, b)."""
        for branch in node.args[1:]:
            for new in ("0", "1"):
                yield self.instead("name", 3, branch, new)
            for atom in (*self.scope.arrays, *self.scope.numbers):
                yield self.instead("name", 3, branch, atom.text)

    def setting(self, node: ast.Call, name: str) -> Iterator[Change]:
        """Entries that are set, and must be added up; JAX's x.at[i].set(v), and its add the other way."""
        at = node.func.value if isinstance(node.func, ast.Attribute) else None
        entries = at.value if isinstance(at, ast.Subscript) else None
        if isinstance(entries, ast.Attribute) and entries.attr == "at":
            if name == "set":
                yield self.renamed("overwritten", node, "set", "add")
            if name == "add":
                yield self.renamed("added_up", node, "add", "set")
        if name in SETTING:
            yield self.renamed("overwritten", node, name, SETTING[name])
        yield from self.left_out(node, name)

    def left_out(self, node: ast.Call, name: str) -> Iterator[Change]:
        """A keyword that is True where people forget it."""
        keyword = LEFT_OUT.get(name, "")
        if keyword and not any(each.arg in (keyword, None) for each in node.keywords):
            close = self.place.span(node)[1] - 1
            lead = "" if self.place.text[:close].rstrip().endswith(b",") else ", "
            piece = (close, close, f"{lead}{keyword}=True")
            yield Change("keyword_missing", 1, self.of(node.func), f"{keyword}=True", (piece,))

    def keywords(self, node: ast.Call) -> Iterator[Change]:
        """Of clip(min=0), and flags."""
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg in KEYWORDS:
                begin = self.place.span(keyword)[0]
                piece = (begin, begin + len(keyword.arg), KEYWORDS[keyword.arg])
                yield Change("name", 1, f"{keyword.arg}=", f"{piece[2]}=", (piece,))
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
                yield self.instead("name", 2, keyword.value, repr(not keyword.value.value))

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
        named = (keyword.value for keyword in node.keywords if keyword.arg in ("axis", "dim"))
        axis = self.axis_by_place(node) or next(named, None)
        shaped = isinstance(owner, ast.Call) and getattr(owner.func, "attr", "") in ("reshape", "view")
        if not shaped or not isinstance(axis, ast.Constant) or not isinstance(owner, ast.Call):
            return
        sizes = owner.args[0].elts if owner.args and isinstance(owner.args[0], ast.Tuple) else owner.args
        number = axis.value
        if not isinstance(number, int) or number < 0:
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

    def operands(self, node: ast.Call, letters: ast.Constant) -> Iterator[Change]:
        """Another array at hand in the place of one that einsum sums, with the letters that fit its sizes."""
        found = re.fullmatch(r"([a-zA-Z,]+)->([a-zA-Z]*)", str(letters.value).replace(" ", ""))
        parts = found[1].split(",") if found is not None else []
        given = node.args[1:]
        if found is None or len(parts) != len(given):
            return
        shapes = [self.shape_of(each) for each in given]
        for number, (part, now) in enumerate(zip(parts, given, strict=True)):
            rest = [(p, s) for n, (p, s) in enumerate(zip(parts, shapes, strict=True)) if n != number]
            known = [*rest, (part, shapes[number])]
            sizes = {x: size for p, s in known for x, size in zip(p, s or (), strict=False)}
            beside = set("".join(p for p, _ in rest))
            count = 0
            for atom in self.scope.arrays:
                choices = [[x for x, n in sizes.items() if n == size] for size in atom.shape]
                for made in product(*choices):
                    word = "".join(made)
                    whole = beside | set(word) >= set(found[2]) and len(set(word)) == len(word)
                    same = (word, atom.text) == (part, self.of(now))
                    if not whole or same or count >= MOST_OPERANDS:
                        continue
                    count += 1
                    text = ",".join([*parts[:number], word, *parts[number + 1 :]])
                    pieces = [(*self.place.span(now), atom.text)] if atom.text != self.of(now) else []
                    if word != part:
                        new = repr(f"{text}->{found[2]}")
                        quote = self.of(letters)[-1]
                        pieces.append((*self.place.span(letters), quote + new[1:-1] + quote))
                    yield Change("name", 2, self.of(now), atom.text, tuple(pieces))

    def shape_of(self, node: ast.expr) -> tuple[int, ...] | None:
        atom = self.scope.atoms.get(ast.unparse(node))
        return atom.shape if atom is not None and atom.kind == "array" else None

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

    def transposed(self, node: ast.Attribute) -> Iterator[Change]:
        if node.attr == "T":
            yield self.instead("not_transposed", 1, node, self.firm(node.value), wrong=".T")
