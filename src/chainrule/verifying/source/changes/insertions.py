"""What is missing in a function: a factor, a divisor, a term, at every place where one can stand."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations, permutations, product

from chainrule.verifying.source.changes.change import Change, Rewriting
from chainrule.verifying.source.scope import Scope, own
from chainrule.verifying.source.written import Written

# Derivatives that people multiply by, of an array that they have.
SLOPES = ("({0} > 0)", "(1 - {0} ** 2)", "{0} * (1 - {0})", "(1 - {0})", "{0} ** 2")
JOINED = (ast.Add, ast.Sub, ast.MatMult)
MOST_SIZES, MOST_LIMITS = 6, 8
CLIPPING = frozenset(("clip", "clamp", "clamp_", "minimum", "maximum", "min", "max", "hardtanh", "where"))


class Insertions(Rewriting):
    """Those of one function."""

    def __init__(
        self,
        place: Written,
        scope: Scope,
        shapes: Iterable[tuple[int, ...]] = (),
        forward: Sequence[ast.AST] = (),
    ) -> None:
        """shapes: of the arguments whose gradients are wrong.  forward: the functions of the output."""
        super().__init__(place, scope)
        self.shapes = set(shapes)
        self.limits = list(dict.fromkeys(limits_in(forward)))[:MOST_LIMITS]
        known = {*scope.atoms, scope.numpy or "np"}
        scales = (each for each in scales_in(forward) if names_in(each) <= known)
        self.scales = dict.fromkeys(each for each in map(ast.unparse, scales) if each not in scope.atoms)
        calls = (each for each in own(scope.node) if isinstance(each, ast.Call) and each.args)
        self.roots = {id(each.args[0]) for each in calls if self.of(each.func).endswith("sqrt")}

    def __iter__(self) -> Iterator[Change]:
        for change, node in self.all():
            # A whole value is where people forget something, before what stands within one.
            early = id(node) in self.whole_values or change.rank < 4
            yield change if early else replace(change, rank=change.rank + 1)

    def all(self) -> Iterator[tuple[Change, ast.expr]]:
        """With the places where they stand."""
        for node in own(self.scope.node):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "exp":
                yield from ((change, node) for change in self.sums(node))
        for node in self.places():
            kinds = (
                self.near(node),
                self.divisors(node),
                self.factors(node),
                self.terms(node),
                self.conditions(node),
                self.products(node),
            )
            for each in kinds:
                yield from ((change, node) for change in each)

    def near(self, node: ast.expr) -> Iterator[Change]:
        yield self.behind("sign", node, "", "-", front="-")
        yield self.behind("transposed", node, ".T")
        yield self.behind("copy", node, ".copy()")
        if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
            zero = f"{self.scope.numpy or 'np'}.zeros_like({self.of(node)})"
            yield replace(self.instead("zero", 4, node, zero), rank=3 if id(node) in self.begins() else 6)

    def begins(self) -> set[int]:
        """What is given to a name by itself."""
        return {id(each.value) for each in own(self.scope.node) if isinstance(each, ast.Assign)}

    @cached_property
    def whole_values(self) -> set[int]:
        return {id(node) for node in self.whole()}

    def whole(self) -> Iterator[ast.expr]:
        """Whole values, and entries of what is returned."""
        for node in own(self.scope.node):
            if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and node.value is not None:
                yield from self.parts(node.value)
        if isinstance(self.scope.node, ast.Lambda):
            yield from self.parts(self.scope.node.body)

    def places(self) -> Iterator[ast.expr]:
        """Whole values, terms of sums, factors of matrices' products, and what functions are called with."""
        yield from self.whole()
        for node in own(self.scope.node):
            if isinstance(node, ast.BinOp) and isinstance(node.op, JOINED):
                yield from (side for side in (node.left, node.right) if not isinstance(side, ast.Constant))
                for side in (node.left, node.right):  # of h.T @ d, where (r * h).T must be
                    if isinstance(side, ast.Attribute) and side.attr == "T":
                        yield side.value
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") not in ("range", "len", "zip"):
                kinds = (ast.Name, ast.Attribute, ast.BinOp, ast.Subscript, ast.Call)
                yield from (each for each in handed_on(node) if isinstance(each, kinds))
                owner = getattr(node.func, "value", None)  # of x.sum(0), where x times something is summed
                if isinstance(owner, ast.Name) and owner.id in self.scope.atoms:
                    yield owner

    def parts(self, value: ast.expr) -> Iterator[ast.expr]:
        if isinstance(value, (ast.Tuple, ast.List)):
            for each in value.elts:
                if not isinstance(each, (ast.Starred, ast.Tuple)):
                    yield from self.parts(each)
        elif isinstance(value, ast.Dict):
            yield from value.values
        else:
            yield value

    def behind(self, kind: str, node: ast.expr, new: str, right: str = "", front: str = "") -> Change:
        begin, end = self.place.span(node)
        before, close = ("", "") if self.firm(node) == self.of(node) else ("(", ")")
        if front or new[:1] != ".":  # it may itself be within a product
            front, new = f"({front}", f"{new})"
        pieces = ((begin, begin, front + before), (end, end, close + new))
        return Change(kind, 4, self.of(node), right or new.strip(" *+-/()"), pieces)

    def by(self, node: ast.expr, size: str, rank: int) -> Iterator[Change]:
        """Divided by a size, and multiplied."""
        yield replace(self.behind("divisor_missing", node, f" / {size}", size), rank=rank)
        yield replace(self.behind("factor_missing", node, f" * {size}", size), rank=rank)

    def divisors(self, node: ast.expr) -> Iterator[Change]:
        sizes = [atom.text for atom in self.scope.numbers]
        for atom in self.scope.arrays[:MOST_SIZES]:
            sizes += [f"{atom.text}.shape[{axis}]" for axis in range(min(len(atom.shape), 2))]
        for size in dict.fromkeys(sizes):
            if size in self.scope.outside:
                continue  # a factor of a closure too much, which cannot be left out, would be divided by
            rank = 6 if "shape" in size else 4
            # What was kept for this and is not read is what is missing, if anything is.
            yield from self.by(node, size, 3 if size in self.scope.unused else rank)
            if self.scope.numpy:
                yield from self.by(node, f"{self.scope.numpy}.sqrt({size})", rank + 1)
        counts = [atom.text for atom in self.scope.numbers if atom.kind == "whole number"][: 2 * MOST_SIZES]
        for one, other in combinations(counts, 2):
            size = f"({one} * {other})"
            yield replace(self.behind("divisor_missing", node, f" / {size}", size), rank=5)
        for one, other in permutations(counts, 2):
            yield from self.by(node, f"({one} // {other})", 5)
        whole = id(node) in self.whole_values
        for size in self.scales:  # what the forward divides by
            yield from self.by(node, size if size.isidentifier() else f"({size})", 3 if whole else 4)
        for number in ("2", "0.5", "3"):
            yield replace(self.behind("factor_missing", node, f" * {number}", number), rank=6)

    def conditions(self, node: ast.expr) -> Iterator[Change]:
        """A mask, or one more condition of one."""
        atoms = [*self.scope.numbers, *(a for a in self.scope.arrays if a.shape in ((1,), (1, 1)))]
        limits = dict.fromkeys([*(atom.text for atom in atoms), *self.limits])
        for atom in self.scope.arrays:
            for limit in limits:
                for sign in ("<", ">"):
                    condition = f"({atom.text} {sign} {limit})"
                    if isinstance(node, (ast.Compare, ast.BinOp)) and _is_condition(node):
                        yield self.behind("condition_missing", node, f" & {condition}", condition)
                    elif isinstance(node, (ast.Name, ast.BinOp)) and not _is_condition(node):
                        made = self.behind("factor_missing", node, f" * {condition}", condition)
                        yield replace(made, rank=5)

    def factors(self, node: ast.expr) -> Iterator[Change]:
        for atom in self.scope.arrays:
            if atom.text == self.of(node):
                continue
            named = (form for name in self.scope.callables for form in _of_function(name))
            for form in ("{0}", *SLOPES, *named) if atom.text not in self.scope.zero else ():
                factor = form.format(atom.text)
                yield self.behind("factor_missing", node, f" * {factor}", factor)
            yield self.behind("divisor_missing", node, f" / {atom.text}", atom.text)

    def sums(self, node: ast.Call) -> Iterator[Change]:
        """exp(x) divided by its sum, of what is a softmax and no exp."""
        keeps = "keepdim" if self.scope.library == "torch" else "keepdims"
        for axis in (-1, 0):
            total = f"{self.of(node)}.sum({axis}, {keeps}=True)"
            yield replace(self.behind("divisor_missing", node, f" / {total}", total), rank=3)

    def terms(self, node: ast.expr) -> Iterator[Change]:
        for atom in self.scope.numbers:  # ε, say
            if atom.kind == "number" and atom.text != self.of(node):
                made = self.behind("term_missing", node, f" + {atom.text}", f"+ {atom.text}")
                yield replace(made, rank=3) if id(node) in self.roots else made
        own = self.scope.atoms.get(self.of(node))
        for atom in self.scope.arrays:
            last = own is not None and own.kind == "array" and own.shape[:-1] == atom.shape
            text = f"{atom.text}[..., None]" if last else atom.text  # one number for each row
            for sign in ("+", "-"):
                made = self.behind("term_missing", node, f" {sign} {text}", f"{sign} {text}")
                if text == self.of(node):  # x + x is 2 x
                    made = self.behind("factor_missing", node, " * 2", "2")
                # What is computed and never read is what is missing, if anything is.
                yield replace(made, rank=3) if atom.text in self.scope.unused else made

    def products(self, node: ast.expr) -> Iterator[Change]:
        """Terms of two matrices, of the shape of what is wrong; of two arrays of which one is not used."""
        unused = [atom for atom in self.scope.arrays if atom.text in self.scope.unused]
        for atom, factor, sign in product(unused, self.scope.arrays, ("+", "-")):
            term = f"{sign} {atom.text} * {factor.text}"
            yield replace(self.behind("term_missing", node, f" {term}", term), rank=5)
        matrices = [
            (a.text, a.shape) for a in self.scope.arrays if len(a.shape) == 2 and a.text.isidentifier()
        ]
        matrices += [(f"{text}.T", shape[::-1]) for text, shape in matrices]
        for (one, left), (other, right) in product(matrices, matrices):
            if left[1] == right[0] and (left[0], right[1]) in self.shapes:
                yield replace(
                    self.behind("term_missing", node, f" + {one} @ {other}", f"+ {one} @ {other}"), rank=5
                )


def limits_in(functions: Iterable[ast.AST]) -> Iterator[str]:
    """The numbers that values are cut at or compared with."""
    for function in functions:
        for node in ast.walk(function):
            parts: list[ast.expr] = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            if isinstance(node, ast.Call):
                clips = getattr(node.func, "attr", getattr(node.func, "id", "")) in CLIPPING
                keywords = (each.value for each in node.keywords if each.arg not in ("axis", "dim"))
                parts = [*node.args, *keywords] if clips else []
            for part in parts:
                number = part.operand if isinstance(part, ast.UnaryOp) else part
                if isinstance(number, ast.Constant) and type(number.value) in (int, float):
                    yield ast.unparse(part)


def scales_in(functions: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """What is divided by, or multiplied with behind, that is no number."""
    for function in functions:
        for node in ast.walk(function):
            product = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Mult))
            if isinstance(node, ast.BinOp) and product and names_in(node.right):
                yield node.right


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def handed_on(node: ast.Call) -> list[ast.expr]:
    """What a function is called with, each of a tuple by itself."""
    listed = (a.elts if isinstance(a, (ast.Tuple, ast.List)) else [a] for a in node.args)
    return [each for group in listed for each in group]


def _is_condition(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, (ast.BitAnd, ast.BitOr)) and _is_condition(node.left)
    return isinstance(node, ast.Compare)


def _of_function(name: str) -> tuple[str, str]:
    return f"{name}({{0}})", f"{name}({{0}}) * (1 - {name}({{0}}))"
