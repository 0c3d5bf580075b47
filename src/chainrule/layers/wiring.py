r"""Layers of a graph: Wiring, chains that read each other, and Add, Concat, Maximum, ..., where values meet.

Every chain k reads what comes in, v_0, or what chains before it put out:
    v_k = F_k(v_i),   F_k(v_i + v_j + …),   F_k((v_i ; v_j ; …)),   F_k(v_i ⊙ v_j ⊙ …),   F_k(max(v_i, v_j)) …
Backward, δ of v_i is the sum of what all its readers hand down (the multivariate chain rule, Dezeming 2.1.7).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any, Self

from chainrule.base.errors import ShapeError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import entries
from chainrule.formulas import beside, flatten, unflatten
from chainrule.layers.base import Shape, Value
from chainrule.layers.checks import whole
from chainrule.layers.structure import OF_TWO, Chain, Composite, Masks, chain


class Wiring(Composite):
    """What a `Graph` makes of the nodes between which several ways lead: chains of layers, each with what it
    reads, the last of which is put out.

    chains: lists of layers, in the order of computation. reads: of every chain the numbers of what it reads,
    0 for what comes in, k for chain k; several where its first layer joins as many. The layers within keep
    their names as they are.
    """

    kind = "wiring"
    family = "wiring"

    @teach("Graph({'a': Dense(8), 'b': Dense(8), 'sum': (Add(), 'a', 'b')}, input_shape=784)")
    def __init__(self, chains: Any, reads: Any, *, name: str | None = None) -> None:
        self._chains = tuple(chain(part, f"chain {n + 1}") for n, part in enumerate(chains))
        self._reads = tuple(tuple(whole(source, "Wiring reads", 0) for source in part) for part in reads)
        if not self._chains or len(self._chains) != len(self._reads):
            raise ShapeError(f"Wiring takes what each chain reads, received {len(self._reads)} of them")
        for number, sources in enumerate(self._reads, 1):
            if not sources or max(sources) >= number:
                raise ShapeError(f"Wiring chain {number} must read chains before it, received {sources}")
        unread = [n for n in range(1, len(self._chains)) if not any(n in sources for sources in self._reads)]
        if unread:
            raise ShapeError(f"Wiring chain {unread[0]} is read by none: leave it out")
        self.name = name

    @property
    def chains(self) -> tuple[Chain, ...]:
        return self._chains

    @property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        return self._reads

    @property
    def ends(self) -> tuple[int, ...]:
        return (len(self._chains),)

    @property
    def prefix(self) -> str:
        return ""

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        made = copy.copy(self)
        made._chains = chains
        return made

    def title(self) -> str:
        return f"Wiring of {len(self.chains)} chain{'s' * (len(self.chains) > 1)}"


class Join(Composite):
    """Where several values of a `Graph` meet: ways without layers, each from a source of its own.

    sources: their names, which the Graph fills in.
    """

    family = "join"
    several = True

    @teach("{name}()")
    def __init__(self, *, sources: Any = (), name: str | None = None) -> None:
        names = entries(sources)
        if names is None or not all(isinstance(source, str) for source in names):
            raise TypeError(
                f"{self!r} is told its sources by a Graph, 'both': ({self!r}, 'a', 'b'), "
                f"received {describe(sources)}"
            )
        self.sources, self.name = tuple(names), name

    @property
    def chains(self) -> tuple[Chain, ...]:
        return ((),) * len(self.sources)

    def with_chains(self, chains: tuple[Chain, ...]) -> Self:
        return copy.copy(self)

    def joining(self, sources: tuple[str, ...]) -> Join:
        """A copy for these sources."""
        made = copy.copy(self)
        made.sources = sources
        return made

    def title(self) -> str:
        return f"{type(self).__name__} of {', '.join(self.sources)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _listed(self, shapes: list[Shape]) -> str:
        return ", ".join(f"{name} {shape}" for name, shape in zip(self.sources, shapes, strict=True))

    def output_shape(self, input_shape: Shape) -> Shape:
        raise ShapeError(
            f"{self!r} joins nodes of a Graph: write Graph({{..., 'joined': ({self!r}, 'a', 'b')}}, ...)"
        )


class EntryByEntry(Join):
    """Values of one shape, joined entry by entry; what is shorter, or of size 1 along an axis, repeats."""

    verb = ""
    otherwise = ""  # what else to write where shapes differ

    def _unequal(self, shapes: list[Shape]) -> str:
        return (
            f"{self.verb} values of one shape, and they are {self._listed(shapes)}: let layers in front "
            f"bring them to one shape, Dense(n) or Conv2D(n, 1){self.otherwise}"
        )

    def joining(self, sources: tuple[str, ...]) -> Join:
        if self.join in OF_TWO and len(sources) != 2:
            raise ShapeError(
                f"{self!r} is of two nodes, received {len(sources)}: write ({self!r}, 'a', 'b')"
            )
        return super().joining(sources)


class Add(EntryByEntry):
    """The sum of several nodes of a `Graph`, all of one shape: `"sum": (Add(), "a", "b")`."""

    kind = "add"
    join = "sum"
    family = "add"
    verb = "adds"
    otherwise = ", or write Concat() to put their features side by side"


class Multiply(EntryByEntry):
    """The product of several nodes of a `Graph`, entry by entry, all of one shape: a gate on a value."""

    kind = "multiply"
    join = "product"
    family = "multiply"
    verb = "multiplies"


class Maximum(EntryByEntry):
    """The largest of several nodes of a `Graph`, entry by entry: `"most": (Maximum(), "a", "b")`.

    δ goes to the largest, of equal ones to the first; PyTorch and JAX share it among them.
    """

    kind = "maximum"
    join = "maximum"
    family = "maximum"
    verb = "takes the largest of"


class Minimum(EntryByEntry):
    """The smallest of several nodes of a `Graph`, entry by entry: `"least": (Minimum(), "a", "b")`.

    δ goes to the smallest, of equal ones to the first; PyTorch and JAX share it among them.
    """

    kind = "minimum"
    join = "minimum"
    family = "minimum"
    verb = "takes the smallest of"


class Divide(EntryByEntry):
    """A node of a `Graph` divided by another, entry by entry: `"share": (Divide(), "part", "whole")`."""

    kind = "divide"
    join = "quotient"
    family = "divide"
    verb = "divides"


class Raise(EntryByEntry):
    """A node of a `Graph` to the power of another, entry by entry: `"grown": (Raise(), "base", "exponent")`.

    Of a base below 0 and an exponent that is not whole it is NaN; so is ∂J/∂(exponent) of any base below 0.
    Of 0^0, which is 1, both derivatives are 0, as in PyTorch: there is no limit to learn from.
    """

    kind = "raise"
    join = "power"
    family = "raise"
    verb = "raises"


class Concat(Join):
    """Several nodes of a `Graph` with their features, or channels, side by side, in the order written:
    `"both": (Concat(), "a", "b")`. They agree in all sizes but the last.
    """

    kind = "concat"
    join = "concat"
    family = "concat"

    def _uneven(self, shapes: list[Shape]) -> str:
        return (
            f"puts features side by side, of values that agree in all sizes but the last, and they are "
            f"{self._listed(shapes)}: let layers in front bring them there, UpSample2D(2), a pool, or "
            "Flatten() before each"
        )


class Row(Join):
    """Several values side by side in one row of numbers, for a layer that reads them all: a `Graph` puts it
    in front of such a layer. The masks of all go with them.
    """

    kind = "row"
    join = "row"
    family = "row"

    @teach("Graph({..., 'read': (MultiHeadAttention(4), 'queries', 'keys_and_values')}, ...)")
    def __init__(self, *, sources: Any = (), name: str | None = None) -> None:
        super().__init__(sources=sources, name=name)

    def masks(self, read: Sequence[Any]) -> Any:
        return Masks(read) if any(mask is not None for mask in read) else None

    def joined_shape(self, input_shape: Shape, shapes: list[Shape]) -> Shape:
        return (sum(map(math.prod, shapes)),)

    def forward(self, *outputs: Value) -> Value:
        return functools.reduce(beside, map(flatten, outputs))

    def delta(self, d: Value, *outputs: Value) -> tuple[Value, ...]:
        parts = super().delta(d, *map(flatten, outputs))
        return tuple(unflatten(part, like=output) for part, output in zip(parts, outputs, strict=True))
