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

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")  # a cached_property takes a lock
        if known is None:
            known = self.__dict__["_hash"] = hash(self.key())
        return known

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Real):  # False would be taken for the answer to `if alpha == 0`
            raise TypeError(
                "a formula cannot compare a symbol with a number by == or !=; write greater(a, b)"
            )
        return isinstance(other, Expression) and hash(self) == hash(other) and self.key() == other.key()

    @cached_property
    def free_indices(self) -> frozenset[str]:
        """Names of the summation indices that occur and are not bound inside."""
        return _united([child.free_indices for child in self.children])

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols that occur anywhere below."""
        return _united([child.symbols for child in self.children])

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of intermediate quantities that are defined anywhere below."""
        return _united([child.names for child in self.children])

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

    @cached_property
    def names(self) -> frozenset[str]:
        return self.value.names | {self.name}

    def rebuild(self, children: tuple[Expression, ...]) -> Expression:
        return Named(self.name, children[0])

    def key(self) -> tuple[Any, ...]:
        return ("named", self.name, self.value)


def _united(sets: list[frozenset[Any]]) -> frozenset[Any]:
    """All of them: one of them as it is where it holds the others."""
    held = [each for each in sets if each]
    return frozenset().union(*held) if len(held) > 1 else held[0] if held else frozenset()


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
    waiting = [(path, tree)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        children = node.children
        waiting += [((*path, number), children[number]) for number in range(len(children) - 1, -1, -1)]


def substitute(tree: Expression, replacements: Mapping[Expression, Expression]) -> Expression:
    """Replace every node that equals a key.

    Replacements are not searched again, and an index is not replaced under the sum that binds it.
    """
    return _substituted(tree, replacements, [(node, node.symbols) for node in replacements], {})


def _substituted(
    tree: Expression,
    replacements: Mapping[Expression, Expression],
    needs: list[tuple[Expression, frozenset[Symbol]]],
    done: dict[int, Expression],
) -> Expression:
    """needs: the keys with the symbols that a tree with one of them in it has.  done: by the identity of
    nodes, which a formula uses several times.
    """
    if tree in replacements:
        return replacements[tree]
    known = done.get(id(tree))
    if known is not None:
        return known
    made, symbols = tree, tree.symbols
    if any(needed <= symbols for _, needed in needs):
        if isinstance(tree, Over) and any(Index(name) in replacements for name in tree.indices):
            bound = {Index(name) for name in tree.indices}
            replacements = {node: other for node, other in replacements.items() if node not in bound}
            made = tree.rebuild((substitute(tree.body, replacements),))
        else:
            children = tuple(_substituted(child, replacements, needs, done) for child in tree.children)
            same = all(new is old for new, old in zip(children, tree.children, strict=True))
            made = tree if same else tree.rebuild(children)
    done[id(tree)] = made
    return made


def replace_at(tree: Expression, path: Path, replacement: Expression) -> Expression:
    """Replace the one node at `path`, as given by `walk`."""
    if not path:
        return replacement
    children = list(tree.children)
    children[path[0]] = replace_at(children[path[0]], path[1:], replacement)
    return tree.rebuild(tuple(children))
