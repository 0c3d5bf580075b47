"""Expression trees: what a formula becomes when it is called with symbols instead of arrays.

A tree holds meaning, not glyphs.  Leaves are `Symbol` (a quantity, bound to an array when the tree is
evaluated), `Number` and `Index` (a summation index).  Inner nodes are `Operation` (a primitive applied to
operands), `Over` (a sum, mean, maximum, ... over index ranges) and `Named` (an intermediate with a name of
its own).  Nodes are immutable and compare by structure, so trees can be searched, substituted and mutated:
see `walk`, `substitute`, `replace_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, ClassVar

from chainrule.formulas.rules import NO_TRAITS, Binder, Rule, Trait, rules

Path = tuple[int, ...]


class Expression:
    """Base of all nodes.  Python's operators build trees: on symbols `W @ x + b` is that formula."""

    __array_ufunc__ = None  # array * symbol comes here and is refused, instead of looping over the array
    # Set by chainrule.formulas: printers know trees, so trees know no printer.
    show: ClassVar[Callable[[Expression], str]] = object.__repr__

    @property
    def children(self) -> tuple[Expression, ...]:
        """Sub-expressions in reading order; () for leaves."""
        return ()

    @property
    def traits(self) -> frozenset[Trait]:
        """What the node's rule says of its value."""
        return NO_TRAITS

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        """The same node over other children."""
        return self

    def key(self) -> tuple[Any, ...]:
        """What structural equality compares."""
        raise NotImplementedError

    @cached_property
    def _hash(self) -> int:
        return hash(self.key())

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Real):  # False would be taken for the answer to `if alpha == 0`
            raise TypeError(
                "a formula cannot compare a symbol with a number by == or !=; write greater(a, b)"
            )
        return isinstance(other, Expression) and self._hash == other._hash and self.key() == other.key()

    @cached_property
    def free_indices(self) -> frozenset[str]:
        """Names of the summation indices that occur and are not bound inside."""
        return frozenset().union(*(child.free_indices for child in self.children))

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols that occur anywhere below."""
        return frozenset().union(*(child.symbols for child in self.children))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        # NumPy must not take a symbol for an array of one object: np.mean(x) would be x.
        raise TypeError("NumPy functions take no symbols; write with the primitives of chainrule.formulas")

    @property
    def T(self) -> Expression:
        return operation("transpose", self)

    def __add__(self, other: Any) -> Expression:
        return operation("add", self, other)

    def __radd__(self, other: Any) -> Expression:
        return operation("add", other, self)

    def __sub__(self, other: Any) -> Expression:
        return operation("subtract", self, other)

    def __rsub__(self, other: Any) -> Expression:
        return operation("subtract", other, self)

    def __mul__(self, other: Any) -> Expression:
        return operation("multiply", self, other)

    def __rmul__(self, other: Any) -> Expression:
        return operation("multiply", other, self)

    def __truediv__(self, other: Any) -> Expression:
        return operation("divide", self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return operation("divide", other, self)

    def __matmul__(self, other: Any) -> Expression:
        return operation("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Expression:
        return operation("matmul", other, self)

    def __pow__(self, exponent: float) -> Expression:
        return operation("power", self, exponent=exponent)

    def __neg__(self) -> Expression:
        return operation("negative", self)

    def __abs__(self) -> Expression:
        return operation("absolute", self)

    def __gt__(self, other: Any) -> Expression:
        return operation("greater", self, other)

    def __lt__(self, other: Any) -> Expression:
        return operation("greater", other, self)

    def __repr__(self) -> str:
        return self.show()

    def __bool__(self) -> bool:
        raise TypeError("a formula cannot branch on a symbol with if/and/or; write where(condition, yes, no)")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a formula cannot loop over a symbol; write sum_over(indices, ranges, body)")


@dataclass(frozen=True, eq=False, repr=False)
class Symbol(Expression):
    """A quantity.  `name` is what `evaluate` binds, `role` is what a notation prints (role "input": x^{l-1}).

    kind: "array" (features x samples), "image" (a quantity with positions i, j), or "scalar" (one entry, as
    in f(z)).
    """

    name: str
    role: str = ""
    kind: str = "array"

    def key(self) -> tuple[Any, ...]:
        return ("symbol", self.name, self.role, self.kind)

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset((self,))


@dataclass(frozen=True, eq=False, repr=False)
class Number(Expression):
    """A real constant written in the formula."""

    value: float

    def key(self) -> tuple[Any, ...]:
        return ("number", self.value)


@dataclass(frozen=True, eq=False, repr=False)
class Index(Expression):
    """A summation index: an integer while its `Over` is evaluated, a letter in print."""

    name: str

    def key(self) -> tuple[Any, ...]:
        return ("index", self.name)

    @cached_property
    def free_indices(self) -> frozenset[str]:
        return frozenset((self.name,))


@dataclass(frozen=True, eq=False, repr=False)
class Operation(Expression):
    """A primitive applied to operands; `static` holds configuration, not data (a grid, an exponent)."""

    rule: Rule
    operands: tuple[Expression, ...]
    static: tuple[tuple[str, Any], ...] = ()

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.operands

    @property
    def traits(self) -> frozenset[Trait]:
        return self.rule.traits

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.static)

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        return Operation(self.rule, children, self.static)

    def key(self) -> tuple[Any, ...]:
        return ("operation", self.rule.name, self.operands, self.static)


@dataclass(frozen=True, eq=False, repr=False)
class Over(Expression):
    """body(m, n, ...) reduced over ranges of its indices; these stay symbolic and print as Σ_{m,n}."""

    rule: Binder
    indices: tuple[str, ...]
    ranges: tuple[int, ...]
    body: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.body,)

    @property
    def traits(self) -> frozenset[Trait]:
        return self.rule.traits

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        return Over(self.rule, self.indices, self.ranges, children[0])

    def key(self) -> tuple[Any, ...]:
        return ("over", self.rule.name, self.indices, self.ranges, self.body)

    @cached_property
    def free_indices(self) -> frozenset[str]:
        return self.body.free_indices - frozenset(self.indices)


@dataclass(frozen=True, eq=False, repr=False)
class Named(Expression):
    """An intermediate quantity: prints as its name, with its definition on a line of its own."""

    name: str
    value: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.value,)

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        return Named(self.name, children[0])

    def key(self) -> tuple[Any, ...]:
        return ("named", self.name, self.value)


def operation(name: str, *operands: Any, **static: Any) -> Expression:
    """The primitive `name` applied to expressions and numbers."""
    return Operation(rules[name], tuple(as_expression(x) for x in operands), tuple(sorted(static.items())))


def as_expression(value: Any) -> Expression:
    """Expressions as they are, real numbers as `Number`; TypeError for arrays: bind those in `evaluate`."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return Number(value)  # type: ignore[arg-type]
    raise TypeError(
        f"a formula mixes symbols with numbers only, received {type(value).__name__}; "
        "give the array a Symbol and bind it in evaluate(tree, bindings)"
    )


def walk(tree: Expression, path: Path = ()) -> Iterator[tuple[Path, Expression]]:
    """Every node with its path from the root (child numbers), parents before children."""
    yield path, tree
    for number, child in enumerate(tree.children):
        yield from walk(child, (*path, number))


def substitute(tree: Expression, replacements: Mapping[Expression, Expression]) -> Expression:
    """Replace every node that equals a key.

    Replacements are not searched again, and an index is not replaced under the sum that binds it.
    """
    if tree in replacements:
        return replacements[tree]
    if isinstance(tree, Over) and any(Index(name) in replacements for name in tree.indices):
        bound = {Index(name) for name in tree.indices}
        replacements = {node: other for node, other in replacements.items() if node not in bound}
    children = tuple(substitute(child, replacements) for child in tree.children)
    return tree if children == tree.children else tree.rebuild(children)


def replace_at(tree: Expression, path: Path, replacement: Expression) -> Expression:
    """Replace the one node at `path`, as given by `walk`."""
    if not path:
        return replacement
    children = list(tree.children)
    children[path[0]] = replace_at(children[path[0]], path[1:], replacement)
    return tree.rebuild(tuple(children))
