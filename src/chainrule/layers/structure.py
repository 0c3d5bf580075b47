r"""Layers made of layers: Sequential, Residual, Parallel.

Branches read the same input and are joined, and every branch is a chain of layers:
    z = F_1(x) + F_2(x) + …     or     z = (F_1(x) ; F_2(x) ; …)
Backward, a sum hands its δ to every branch as it is, a stack hands every branch its features; and where one
value is read by several branches its δ is the sum of theirs (the multivariate chain rule, Dezeming 2.1.7).
Of a maximum or minimum δ goes to the branch it is of, of equal ones to the first.
wiring.py has branches that read each other.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, entries
from chainrule.base.shown import clipped
from chainrule.formulas import (
    beside,
    first_features,
    greater,
    maximum,
    minimum,
    named,
    other_features,
    raised,
    where,
    xlogy,
)
from chainrule.layers.base import Layer, Shape, Value

Chain = tuple[Layer, ...]
JOINS = ("sum", "concat")
OF_TWO = ("quotient", "power")  # of a first and a second branch
V = TypeVar("V")
# Of what is joined so far and the next. At equality the derivative of a maximum goes to its second operand.
_JOINED: dict[str, Callable[[Value, Value], Value]] = {
    "sum": operator.add,
    "concat": beside,
    "product": operator.mul,
    "maximum": lambda joined, output: maximum(output, joined),
    "minimum": lambda joined, output: minimum(output, joined),
    "quotient": operator.truediv,
    "power": raised,
}
_ANY_JOIN = f"{', '.join(map(repr, [*_JOINED][:-1]))} or {[*_JOINED][-1]!r}"
# Whether the first is before the second, in a maximum or a minimum.
_BEFORE: dict[str, Callable[[Value, Value], Value]] = {
    "maximum": greater,
    "minimum": lambda one, other: greater(other, one),
}


class Sequential(Layer):
    """Layers in order under one name: a block to be repeated, `[Sequential([Dense(8), ReLU()]), ...]`.

    A network unfolds it: its layers become the network's, named "sequential1.dense1".
    """

    kind = "sequential"
    preparation: Any = None  # of the inputs of the network that it was made of

    @teach("Sequential([Dense(8), ReLU()])")
    def __init__(self, layers: Any, *, name: str | None = None) -> None:
        self.layers = chain(layers, "layers")
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        return chain_shape(self.layers, input_shape)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from chainrule.base.foreign.attributes import METHODS

            advice = ""
            if name in METHODS or name in ("predict", "classify", "summary", "accuracy", "loss", "save"):
                advice = ": a Sequential is a block of layers; what trains is Network([...], input_shape=784)"
            raise AttributeError(
                f"a Sequential has no attribute {clipped(repr(name))}{advice}", name=name, obj=self
            )


class Composite(Layer):
    """Base of the layers with branches: `chains`, and how they are joined: "sum", "concat", or, entry by
    entry, "product", "maximum", "minimum", "quotient" or "power".
    """

    passage = "composite"
    family = "composite"
    join: str = "sum"
    several: ClassVar[bool] = False  # whether every branch reads a value of its own

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The branches."""
        raise NotImplementedError(f"{type(self).__name__} must define chains")

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        """A copy with other layers in its branches."""
        raise NotImplementedError(f"{type(self).__name__} must define with_chains(self, chains)")

    def another(self) -> Self:
        return self.with_chains(tuple(tuple(layer.another() for layer in chain) for chain in self.chains))

    @property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """What every branch begins with: 0 is what comes in, k what branch k puts out. Of several sources
        the first layer of the branch is a composite too, whose branches read one each.
        """
        return ((0,),) * len(self.chains)

    @property
    def ends(self) -> tuple[int, ...]:
        """The branches whose outputs are joined."""
        return tuple(range(1, len(self.chains) + 1))

    @property
    def prefix(self) -> str:
        """What the names of the layers within begin with; of what is no name yet nothing does."""
        return f"{self.name}." if isinstance(self.name, str) else "."

    def named(self, given: Sequence[str]) -> list[str]:
        """The names of what came in and of what every branch puts out; `given`: those of what comes in."""
        names = [given[0]]
        for number, branch in enumerate(self.chains):
            names.append(str(branch[-1].name) if branch else given[number if self.several else 0])
        return names

    def masks(self, read: Sequence[Any]) -> Any:
        """The mask with which it begins, where it reads several values with these: the first there is."""
        return _first(read)

    def uses(self, value: int) -> int:
        """How many read value 0, what comes in, or k, what branch k puts out; to be joined is a use."""
        return sum(sources.count(value) for sources in self.reads) + self.ends.count(value)

    def following(self, rest: Chain) -> list[Chain]:
        """The layers behind every branch, where `rest` stand behind this: those of its first reader."""
        behind: list[Chain] = [()] * len(self.chains)
        for number in range(len(self.chains), 0, -1):
            readers = [n for n, sources in enumerate(self.reads) if number in sources]
            at = readers[0] if readers else None
            behind[number - 1] = rest if at is None else (*self.chains[at], *behind[at])
        return behind

    def traits(self) -> set[str]:
        return super().traits() | {"concat" if self.join == "concat" else f"{self.join} of branches"}

    def title(self) -> str:
        """One line for a table whose next rows are the layers within."""
        return f"{type(self).__name__}, {len(self.chains)} branches, {self.join}"

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.joined_shape(input_shape, [chain_shape(branch, input_shape) for branch in self.chains])

    def joined_shape(self, input_shape: Shape, shapes: list[Shape]) -> Shape:
        """The shape of the joined outputs; ShapeError where they do not fit together."""
        if self.join == "concat":
            if len({shape[:-1] for shape in shapes}) > 1:
                raise ShapeError(self._uneven(shapes))
            return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
        if len(set(shapes)) > 1:
            raise ShapeError(self._unequal(shapes))
        return shapes[0]

    def _uneven(self, shapes: list[Shape]) -> str:
        return (
            f"{type(self).__name__} puts its branches' features side by side, which needs outputs that agree "
            f"in everything but the last size; they put out {_listed(shapes)}"
        )

    def _unequal(self, shapes: list[Shape]) -> str:
        return (
            f"{type(self).__name__} adds its branches, which needs outputs of one shape; they put out "
            f"{_listed(shapes)}: write join='concat' to put their features side by side"
        )

    def forward(self, *outputs: Value) -> Value:
        """The joined outputs of the branches."""
        joined = outputs[0]
        for output in outputs[1:]:
            joined = _JOINED[self.join](joined, output)
        return joined

    def delta(self, d: Value, *outputs: Value) -> tuple[Value, ...]:
        """∂J/∂(output) of every branch."""
        if self.join == "sum":
            return (d,) * len(outputs)
        if self.join == "product":
            others = [outputs[:n] + outputs[n + 1 :] for n in range(len(outputs))]
            return tuple(functools.reduce(operator.mul, rest, d) for rest in others)
        if self.join in _BEFORE:
            return tuple(self._won(d, outputs, number) for number in range(len(outputs)))
        if self.join == "quotient":
            over, under = outputs
            quotient = named("q", over / under)
            return d / under, -(d * (quotient / under))  # under**2 may leave the range
        if self.join == "power":
            base, exponent = outputs
            less = where(greater(abs(exponent), 0), raised(base, exponent - 1), 0)  # 0 · 0^-1 is 0
            grown = where(greater(maximum(abs(base), abs(exponent)), 0), base, 1)  # 0^0 does not grow
            return d * (exponent * less), d * xlogy(raised(base, exponent), grown)
        parts = []
        for output in outputs[:-1]:
            parts.append(first_features(d, output))
            d = other_features(d, output)
        return (*parts, d)

    def _won(self, d: Value, outputs: tuple[Value, ...], number: int) -> Value:
        """δ where this output is before all, those in front of it surpassed and those behind not ahead."""
        before, own = _BEFORE[self.join], outputs[number]
        for output in outputs[:number]:
            d = d * before(own, output)
        for output in outputs[number + 1 :]:
            d = d * (1 - before(output, own))
        return d


class Residual(Composite):
    """x + F(x), F a chain of layers; `shortcut` stands on the other way, by default nothing: x itself.

    Source: He et al., Deep Residual Learning for Image Recognition, 2015.
    """

    kind = "residual"
    family = "residual"

    @teach("Residual([Dense(8), ReLU(), Dense(8)])")
    def __init__(self, layers: Any, *, shortcut: Any = (), name: str | None = None) -> None:
        self.layers = chain(layers, "layers")
        self.shortcut = chain(shortcut, "shortcut", empty=True)
        self.name = name

    @property
    def chains(self) -> tuple[Chain, ...]:
        return self.shortcut, self.layers

    def title(self) -> str:
        return "Residual: x + F(x)" if not self.shortcut else "Residual: shortcut(x) + F(x)"

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        made = copy.copy(self)
        made.shortcut, made.layers = chains
        return made

    def _unequal(self, shapes: list[Shape]) -> str:
        size = shapes[1][-1]
        projection = f"Dense({size})" if len(shapes[1]) < 3 else f"Conv2D({size}, 1, stride=...)"
        return (
            f"Residual adds its input to what its layers make of it, both of one shape; {shapes[0]} comes "
            f"by the shortcut, {shapes[1]} out of the layers: write shortcut=[{projection}], or layers that "
            "keep the shape"
        )


class Parallel(Composite):
    """Branches side by side on the same input.

    join: "sum"; "concat" for their features in a row; or, entry by entry, "product", a gate on a value,
    "maximum" (Maxout, Goodfellow et al. 2013), "minimum", and of two branches "quotient" or "power", the
    first divided by the second or raised to it.
    """

    kind = "parallel"
    family = "parallel"

    @teach("Parallel([[Dense(8), ReLU()], [Dense(8)]], join='concat')")
    def __init__(self, chains: Any, *, join: str = "sum", name: str | None = None) -> None:
        self.join = check_choice("join", join, tuple(_JOINED), meaning=_ANY_JOIN)
        branches = entries(chains)
        if branches is None:
            raise TypeError(
                "Parallel takes a list of branches, chains=[[Dense(8), ReLU()], Dense(8)], "
                f"received {describe(chains)}"
            )
        self._chains = tuple(
            chain(branch, f"branch {number + 1}", empty=True) for number, branch in enumerate(branches)
        )
        if not self._chains:
            raise ShapeError("Parallel needs at least one branch: Parallel([[Dense(8)], [Dense(8), ReLU()]])")
        if self.join in OF_TWO and len(self._chains) != 2:
            raise ShapeError(
                f"Parallel join={self.join!r} is of two branches, received {len(self._chains)}: "
                f"Parallel([[Dense(8)], [Dense(8), Softplus()]], join={self.join!r})"
            )
        self.name = name

    @property
    def chains(self) -> tuple[Chain, ...]:
        return self._chains

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        made = copy.copy(self)
        made._chains = chains
        return made


class Skip(Layer):
    """What an earlier layer put out, joined with what comes in: a skip connection by name.

    source: the name that was given to a layer before it in the same list, Conv2D(8, 3, name="down"), or to a
    Sequential; or "input". join: "concat", the earlier features first, or "sum". A network takes a Parallel
    in its place, in whose second branch stand the layers from there to here: skips lie within each other, as
    in a U-net.
    """

    kind = "skip"

    @teach("the name of the layer it goes on from, Skip('down')")
    def __init__(self, source: str, *, join: str = "concat", name: str | None = None) -> None:
        if not isinstance(source, str):
            raise TypeError(
                f"Skip source must be the name of a layer before it, 'conv1', received {describe(source)}"
            )
        self.source, self.name = source, name
        self.join = check_choice("join", join, JOINS, meaning="'concat' or 'sum'")

    def output_shape(self, input_shape: Shape) -> Shape:
        raise ShapeError(f"{self!r} stands in the list of a network, behind the layer it names")

    def joined(self, layers: list[Layer]) -> list[Layer]:
        """The layers before it, those behind its source in a branch. ShapeError where it has none of them."""
        names = ["input", *(layer.name for layer in layers)]
        # Of a block it is the last of those whose names begin with its own.
        ends = [n for n, name in enumerate(names) if f"{name}.".startswith(f"{self.source}.")]
        if not ends:
            within = next((c for c in layers if isinstance(c, Composite) and self.source in _names(c)), None)
            known = ", ".join(repr(name) for name in names if name is not None)
            raise ShapeError(
                f"{self!r} goes on from a layer before it that was given this name, and there are {known}"
                if within is None
                else f"{self!r} goes on from within {within!r}, whose end joins it already: let skips lie "
                "within each other, the last one named joined first, or give the layers another order"
            )
        first = ends[-1]
        if first == len(layers):
            raise ShapeError(f"{self!r} stands right behind its source: put layers between them")
        return [*layers[:first], Parallel([[], layers[first:]], join=self.join, name=self.name)]


def _names(composite: Composite) -> set[Any]:
    """The names of the layers within."""
    inner = [layer for chain in composite.chains for layer in chain]
    return {layer.name for layer in inner}.union(*(_names(c) for c in inner if isinstance(c, Composite)))


class Walk(Protocol):
    """A walk over layers: `mask` says which steps are there, None where nothing does."""

    mask: Any


def run_branches(
    walk: Walk | None,
    composite: Composite,
    given: Sequence[V],
    run: Callable[[int, Chain, tuple[V, ...]], V],
) -> list[V]:
    """What the branches that are joined put out, each as `run` makes it: of its number, from 1, its layers
    and what it reads.

    given: what comes in; of several values every branch reads its own. Every branch begins with the mask of
    the first value it reads that has one, and of those that are joined the first that has one goes on. A
    `Row` is given the masks of all it reads, and hands them on: `mask_for` and `mask_behind` take them.
    """
    made: list[tuple[V, ...]] = [tuple(given)]
    masks = [walk.mask if walk else None]
    several = isinstance(masks[0], Masks)
    for number, (branch, sources) in enumerate(zip(composite.chains, composite.reads, strict=True), 1):
        entry = tuple(value for source in sources for value in made[source])
        if walk:
            read = [None if several else masks[source] for source in sources]
            joins = len(sources) > 1 and isinstance(branch[0], Composite)
            walk.mask = branch[0].masks(read) if joins else _first(read)  # type: ignore[attr-defined]
        made.append((run(number, branch, (given[number - 1],) if len(given) > 1 else entry),))
        masks.append(walk.mask if walk else None)
    if walk:
        walk.mask = masks[0] if several else _first(masks[end] for end in composite.ends)
    return [made[end][0] for end in composite.ends]


class Masks(tuple[Any, ...]):
    """Of every value of a `Row` its mask, or None."""


def mask_for(layer: Layer, mask: Any) -> Any:
    """The mask that a layer's formulas are given."""
    return mask[layer.mask_source] if isinstance(mask, Masks) else mask


def mask_behind(layer: Layer, mask: Any) -> Any:
    """The mask that goes on behind a layer: of several sources that of the first."""
    return layer.masks_behind(mask[0] if isinstance(mask, Masks) else mask)


def shape_after(chain: Chain, shape: Shape, shapes: Mapping[str, Shape]) -> Shape:
    """What comes out of a chain that reads a value of this shape. shapes: by name, of every layer."""
    return shapes[str(chain[-1].name)] if chain else shape


def _first(masks: Iterable[Any]) -> Any:
    return next((mask for mask in masks if mask is not None), None)


def chain(layers: Any, argument: str, *, empty: bool = False) -> Chain:
    """A branch as a tuple of layers: from a layer, a list of layers, or a network."""
    if hasattr(layers, "as_layer") or isinstance(layers, Layer):
        layers = [layers]
    given = entries(layers)
    if given is None:
        raise TypeError(f"{argument} must be a list such as [Dense(10), ReLU()], received {describe(layers)}")
    members = tuple(layer.as_layer() if hasattr(type(layer), "as_layer") else layer for layer in given)
    for number, layer in enumerate(members):
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{argument}[{number}] is the class {layer.__name__}: "
                f"write {layer.__name__}(...), with parentheses"
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"{argument}[{number}] must be a layer such as Dense(10) or ReLU(), received "
                f"{describe(layer)}"
            )
    if not members and not empty:
        raise ShapeError(f"{argument} is empty: it needs at least one layer, such as [Dense(10), ReLU()]")
    return members


def chain_shape(layers: Chain, shape: Shape) -> Shape:
    """What comes out of a chain for one sample of this shape."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return shape


def _listed(shapes: list[Shape]) -> str:
    return ", ".join(map(str, shapes))
