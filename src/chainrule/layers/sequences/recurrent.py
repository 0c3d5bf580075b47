r"""RNN, LSTM, GRU: a cell that is applied at every step of a sequence to the step and to its own state.

A layer writes the equations of one step: `step`, and derived from it by hand `step_delta` and
`step_gradients`. The passes through time are the same for all: forward t = 1, 2, …; backward in reverse,
where ∂J/∂h_t is the sum of δ_t and of what step t+1 hands down; and a parameter, which every step reads, has
the sum of the steps' gradients (backpropagation through time).
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_flag
from chainrule.formulas import (
    beside,
    broadcast_samples,
    call_formula,
    correlate,
    flatten,
    gate,
    named,
    sum_samples,
)
from chainrule.layers.activations.rectifiers import ReLU
from chainrule.layers.activations.smooth import Activation, Identity, Sigmoid, Tanh
from chainrule.layers.base import Layer, Parameter, Shape, Value, Values
from chainrule.layers.checks import whole
from chainrule.layers.initializers import (
    Glorot,
    Initializer,
    InitializerLike,
    Ones,
    Orthogonal,
    PerGate,
    Zeros,
    given_initializer,
)
from chainrule.layers.parts import part_of, places_of, shapes_from
from chainrule.layers.sequences.bidirectional import Bidirectional
from chainrule.layers.structure import Masks, chain_shape

ACTIVATIONS: dict[str, Activation] = {
    "tanh": Tanh(),
    "relu": ReLU(),
    "sigmoid": Sigmoid(),
    "identity": Identity(),
}
sigma, tanh = Sigmoid().f, Tanh().f
MOST_LAYERS = 1000


def _given(W: Value, U: Value, b: Value, v: Value, V: Value, P: Value) -> Values:
    """What the formulas of a step may ask for, of any cell."""
    return {"W": W, "U": U, "b": b, "v": v, "V": V, "P": P}


class Recurrent(Layer):
    """Base of the layers that go through a sequence (T, F) step by step, with a state of `units` numbers.

    outputs: "last", the state after the last step, (units,); or "all", after every step, (T, units).
    reverse: from the last step to the first; "last" is then the state after step 1.
    truncate: k, for which δ passes from a step to the one before it except between steps k and k+1, 2k and
        2k+1, …, counted in the order of the passage: as if the sequence came in pieces of k steps and every
        piece took the state of the one before as given. None: never cut.
    layers, bidirectional: a network takes several layers in its place, one behind the other, each but the
        last with outputs="all", and each a `Bidirectional`, whose features are 2 · units.
    bias: False leaves b out, and the other biases of a cell.
    As a node of a `Graph` it may read its first states, (units,) each, behind the sequence, and its states
    after the last step are there by name: `"encoder": (LSTM(8), "x")` puts out "encoder.h" and "encoder.c",
    which `"decoder": (LSTM(8, outputs="all"), "y", "encoder.h", "encoder.c")` begins with. Without them it
    begins with 0. sources, the shapes of what it reads, and ends, whether its states are put out in a row
    behind its output, are for the Graph to fill in.
    Steps that a mask (`Masking`) calls padding leave the state as it is, put out 0 of "all", and get δ 0.

    W starts by `initializer`, by default Glorot, U by `recurrent_initializer`, by default Orthogonal: every
    gate as a matrix of its own.
    """

    passage = "recurrent"
    family = "recurrent"
    output = "output"
    gates: ClassVar[str] = "h"  # which lie in W, U and b one above the other, in this order
    states: ClassVar[tuple[str, ...]] = ("h",)  # the first is what is put out
    bidirectional: bool = False  # of a cell of one's own, which need not take them
    layers: int = 1
    bias: bool = True
    ends: bool = False
    sources: tuple[Shape, ...] = ()

    @teach("the number of units only, LSTM(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        outputs: str = "last",
        reverse: bool = False,
        bidirectional: bool = False,
        layers: int = 1,
        bias: bool = True,
        truncate: int | None = None,
        ends: bool = False,
        sources: Any = (),
        initializer: InitializerLike = None,
        recurrent_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        kind = type(self).__name__
        self.units = whole(units, f"{kind} units")
        meaning = "'last' (the state after the last step) or 'all' (after every step)"
        self.outputs = check_choice(f"{kind} outputs", outputs, ("last", "all"), meaning=meaning)
        self.reverse = check_flag(f"{kind} reverse", reverse)
        self.bidirectional = check_flag(f"{kind} bidirectional", bidirectional)
        self.layers = whole(layers, f"{kind} layers", maximum=MOST_LAYERS)
        self.bias = check_flag(f"{kind} bias", bias)
        self.truncate = None if truncate is None else whole(truncate, f"{kind} truncate")
        self.ends = check_flag(f"{kind} ends", ends)
        self.sources = shapes_from(sources, kind)
        self.initializer = given_initializer(initializer)
        self.recurrent_initializer = given_initializer(recurrent_initializer, "recurrent_initializer")
        self.name = name

    def step(self, *args: Value, **kwargs: Value) -> tuple[Value, ...]:
        """The states after a step, from x, the states before it, and the parameters."""
        raise NotImplementedError(f"{type(self).__name__} must define step(self, x, h, ...)")

    def step_delta(self, *args: Value, **kwargs: Value) -> Values:
        """∂J/∂x and ∂J/∂(state before) by name, from dh = ∂J/∂(state after)."""
        raise NotImplementedError(f"{type(self).__name__} must define step_delta(self, dh, ...)")

    def step_gradients(self, *args: Value, **kwargs: Value) -> Values:
        """∂J/∂(parameter) by name: the share of one step."""
        raise NotImplementedError(f"{type(self).__name__} must define step_gradients(self, dh, ...)")

    def unfolded(self) -> tuple[Layer, ...]:
        if self.layers == 1 and not self.bidirectional:
            return (self,)
        made: list[Layer] = []
        for number in range(1, self.layers + 1):
            single = self.another()
            single.layers, single.bidirectional, single.name = 1, False, None
            single.outputs = self.outputs if number == self.layers else "all"
            made.append(Bidirectional(single) if self.bidirectional else single)
        return tuple(made)

    def _biased(self, z: Value, b: Value) -> Value:
        return z + broadcast_samples(b) if self.bias else z

    @property
    def most_sources(self) -> int:
        return 1 + len(self.states)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Of every state, the first of which is what is put out, how many numbers it has."""
        return (self.units,) * len(self.states)

    def reading(self, shapes: tuple[Shape, ...]) -> Recurrent:
        kind = type(self).__name__
        states = " and ".join(self.states)
        if self.unfolded() != (self,):
            raise ShapeError(
                f"{self!r} stands for several layers, and states are given to one: write a node for each, "
                f"{kind}({self.units}, ...)"
            )
        if len(shapes) != self.most_sources:
            raise ShapeError(
                f"{kind} reads a sequence and {states}, {self.most_sources} values, received {len(shapes)}"
            )
        wanted = tuple((size,) for size in self.state_sizes)
        if shapes[1:] != wanted:
            received = ", ".join(map(str, shapes[1:]))
            alike = len(set(wanted)) == 1
            begun = f"shape {wanted[0]}, its units" if alike else "shapes " + " and ".join(map(str, wanted))
            other = f"write {kind}({shapes[1][-1]}, ...), or" if alike else "write"
            front = " and ".join(f"Dense({size})" for size in dict.fromkeys(self.state_sizes))
            raise ShapeError(
                f"{kind} begins with {states} of {begun}, received {received}: {other} {front} in front"
            )
        made = copy.copy(self)
        made.sources = shapes
        made.output_shape((sum(map(math.prod, shapes)),))
        return made

    @property
    def plain(self) -> bool:
        """Whether it reads a sequence alone, and puts out no states."""
        return not self.sources and not self.ends

    def sequence_shape(self, input_shape: Shape) -> Shape:
        """(steps, features) of what it goes through."""
        return self.sources[0] if self.sources else input_shape

    def masks_behind(self, mask: Value) -> Value:
        return Masks((mask,)) if self.ends and mask is not None else mask

    def read(self, x: Value) -> tuple[Value, Values]:
        """The sequence, and the states in front of its first step, by name."""
        if not self.sources:
            sizes = zip(self.states, self.state_sizes, strict=True)
            return x, {name: np.zeros((size, x.shape[-1]), x.dtype) for name, size in sizes}
        sequence, *first = (part_of(x, start, stop, shape) for start, stop, shape in places_of(self.sources))
        return sequence, dict(zip(self.states, first, strict=True))

    def forward(
        self, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, V: Value = None,
        P: Value = None, mask: Value = None,
    ) -> Value:
        passage = list(self._passage(x, _given(W, U, b, v, V, P), mask))
        first, last = self.states[0], passage[-1][2]
        if self.outputs == "last":
            out = last[first]
        else:
            after = [states[first] for _, _, states in passage]
            every = np.stack(after[::-1] if self.reverse else after)
            out = every if mask is None else every * mask[:, None, :]
        return np.concatenate([flatten(out), *last.values()]) if self.ends else out

    def delta(
        self, d: Value, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, V: Value = None,
        P: Value = None, mask: Value = None,
    ) -> Value:
        sequence, _ = self.read(x)
        below = np.empty_like(sequence)
        first: Values = {}
        for t, _, down, handed in self._back(d, x, _given(W, U, b, v, V, P), mask):
            below[t], first = down["x"], handed
        return np.concatenate([flatten(below), *first.values()]) if self.sources else below

    def gradients(
        self, d: Value, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, V: Value = None,
        P: Value = None, mask: Value = None,
    ) -> Values:
        shares = [
            call_formula(self.step_gradients, states)
            for _, states in self.backward_steps(d, x, _given(W, U, b, v, V, P), mask)
        ]
        return {name: np.sum([share[name] for share in shares], axis=0) for name in shares[0]}

    def _order(self, x: Value) -> range:
        return range(len(x))[::-1] if self.reverse else range(len(x))

    def _passage(
        self, x: Value, given: Mapping[str, Value], mask: Value
    ) -> Iterator[tuple[int, Values, Values]]:
        """(t, what step t is given, the states behind it) in the order of the passage."""
        x, states = self.read(x)
        for t in self._order(x):
            before = {"x": x[t], **states, **given}
            after = dict(zip(self.states, call_formula(self.step, before), strict=True))
            if mask is not None:
                after = {name: np.where(mask[t] > 0, value, states[name]) for name, value in after.items()}
            states = after
            yield t, before, states

    def backward_steps(
        self, d: Value, x: Value, given: Mapping[str, Value], mask: Value
    ) -> Iterator[tuple[int, Values]]:
        """(t, what the δ formulas of step t are given) from the last step of the passage to the first."""
        return ((t, states) for t, states, _, _ in self._back(d, x, given, mask))

    def _back(
        self, d: Value, x: Value, given: Mapping[str, Value], mask: Value
    ) -> Iterator[tuple[int, Values, Values, Values]]:
        """The same with what the step hands down by its formulas, and to the states in front of it."""
        passage = list(self._passage(x, given, mask))
        first, width = self.states[0], x.shape[-1]
        sizes = self.state_sizes
        arrived = {
            name: np.zeros((size, width), x.dtype) for name, size in zip(self.states, sizes, strict=True)
        }
        if self.ends:
            shown = len(d) - sum(sizes)
            arrived = dict(zip(self.states, np.split(d[shown:], np.cumsum(sizes)[:-1]), strict=True))
            d = d[:shown] if self.outputs == "last" else d[:shown].reshape(len(passage), sizes[0], -1)
        for number in reversed(range(len(passage))):
            t, before, _ = passage[number]
            there = 1 if mask is None else mask[t]
            if self.outputs == "all":
                arrived[first] = arrived[first] + d[t] * there
            elif number == len(passage) - 1:
                arrived[first] = arrived[first] + d
            states = {**before, **{f"d{name}": value * there for name, value in arrived.items()}}
            below = call_formula(self.step_delta, states)
            handed = {name: below[name] + value * (1 - there) for name, value in arrived.items()}
            yield t, states, below, handed
            cut = 0 if self.truncate and number % self.truncate == 0 else 1
            arrived = {name: value * cut for name, value in handed.items()}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        features, units, gates = self.sequence_shape(input_shape)[-1], self.units, len(self.gates)
        rows = gates * units
        W = PerGate((self.initializer or Glorot(),) * gates)
        U = PerGate((self.recurrent_initializer or Orthogonal(),) * gates)
        b = Parameter((rows,), features, units, PerGate(self.bias_starts()), penalised=False)
        return {
            "W": Parameter((rows, features), features, units, W),
            "U": Parameter((rows, self.state_sizes[0]), self.state_sizes[0], units, U),
            **({"b": b} if self.bias else {}),
        }

    def traits(self) -> set[str]:
        return super().traits() | ({"truncated"} if self.truncate else set())

    def bias_starts(self) -> tuple[Initializer, ...]:
        """How b starts, gate by gate."""
        return (Zeros(),) * len(self.gates)

    def output_shape(self, input_shape: Shape) -> Shape:
        if self.sources and input_shape != (sum(map(math.prod, self.sources)),):
            raise ShapeError(f"{self!r} reads its sources side by side in a row, received {input_shape}")
        own = self.sequence_shape(input_shape)
        if len(own) != 2:
            raise ShapeError(
                f"{type(self).__name__} needs a sequence (steps, features) per sample, received "
                f"{own}; {self._advice(own)}"
            )
        parts = self.unfolded()
        if parts != (self,):
            return chain_shape(parts, input_shape)
        shape = self.shown_shape(own[0])
        return (math.prod(shape) + sum(self.state_sizes),) if self.ends else shape

    def shown_shape(self, steps: int) -> Shape:
        """Of what it puts out without its states."""
        size = self.state_sizes[0]
        return (size,) if self.outputs == "last" else (steps, size)

    def _advice(self, input_shape: Shape) -> str:
        if len(input_shape) == 1:
            return (
                "a series of numbers has one feature, so write "
                f"{(*input_shape, 1)}; a layer of this kind below it keeps the steps with outputs='all'"
            )
        return "give the network a sequence as input_shape, such as (100, 3)"


class RNN(Recurrent):
    """h_t = f(W x_t + U h_{t-1} + b), f = tanh; W (units, F), U (units, units), b (units,).

    activation: "tanh", "relu", "sigmoid" or "identity".
    Source: Elman, Finding structure in time, 1990.
    """

    kind = "rnn"
    family = "rnn"

    @teach("the number of units only, RNN(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        activation: str = "tanh",
        outputs: str = "last",
        reverse: bool = False,
        bidirectional: bool = False,
        layers: int = 1,
        bias: bool = True,
        truncate: int | None = None,
        ends: bool = False,
        sources: Any = (),
        initializer: InitializerLike = None,
        recurrent_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            outputs=outputs,
            reverse=reverse,
            bidirectional=bidirectional,
            layers=layers,
            bias=bias,
            truncate=truncate,
            ends=ends,
            sources=sources,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
            name=name,
        )
        self.activation = check_choice("RNN activation", activation, ACTIVATIONS)
        self.saturated_below = self.f.saturated_below

    @property
    def f(self) -> Activation:
        """The activation as a layer."""
        return ACTIVATIONS[self.activation]

    def _z(self, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> Value:
        return named("z", self._biased(W @ x + U @ h, b))

    def step(self, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> tuple[Value, ...]:
        return (self.f.f(self._z(x, h, W, U, b)),)

    def _dz(self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> Value:
        return named("dz", dh * self.f.df(self._z(x, h, W, U, b)))

    def step_delta(self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> Values:
        dz = self._dz(dh, x, h, W, U, b)
        return {"x": W.T @ dz, "h": U.T @ dz}

    def step_gradients(self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> Values:
        dz = self._dz(dh, x, h, W, U, b)
        gradients = {"W": correlate(dz, x), "U": correlate(dz, h)}
        return {**gradients, "b": sum_samples(dz)} if self.bias else gradients

    def entry_derivative(self, x: Value, W: Value, U: Value, b: Value = None, mask: Value = None) -> Value:
        """At every step; padding counts as z = 0."""
        slopes = np.empty((len(self.read(x)[0]), self.units, x.shape[-1]), x.dtype)
        for t, before, _ in self._passage(x, {"W": W, "U": U, "b": b}, mask):
            z = self._z(**before)
            slopes[t] = self.f.df(z if mask is None else z * mask[t])
        return slopes


class LSTM(Recurrent):
    """A cell c_t that a gate f forgets and a gate i writes g to, and h_t = o ⊙ tanh(c_t).

    z = W x_t + U h_{t-1} + b holds z_i, z_f, z_g, z_o one above the other, PyTorch's order (Keras' too):
    W (4 units, F), U (4 units, units), b (4 units,), with i, f, o = σ(z) and g = tanh(z_g). b starts at 0,
    and at 1 for the gate f (Gers et al. 2000; Jozefowicz et al. 2015).
    PyTorch has two biases here, whose sum is b.
    projection: k, for h_t = V (o ⊙ tanh(c_t)) of k numbers, V (k, units), so that U is (4 units, k): what is
        put out and read by the next step is smaller than the cell (Sak et al. 2014; PyTorch's proj_size).
        V starts by `initializer`, by default Glorot.
    peepholes: the gates see the cell, i and f that of the step before and o the new one:
        i = σ(z_i + P_i ⊙ c_{t-1}), f likewise, o = σ(z_o + P_o ⊙ c_t). P (3 units,) holds P_i, P_f, P_o one
        above the other, and starts at 0 (Gers et al. 2002).
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997.
    """

    kind = "lstm"
    family = "lstm"
    gates = "ifgo"
    states = ("h", "c")
    seeing: ClassVar[str] = "ifo"  # the gates that have a peephole, in the order of the rows of P

    @teach("the number of units only, LSTM(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        projection: int | None = None,
        peepholes: bool = False,
        outputs: str = "last",
        reverse: bool = False,
        bidirectional: bool = False,
        layers: int = 1,
        bias: bool = True,
        truncate: int | None = None,
        ends: bool = False,
        sources: Any = (),
        initializer: InitializerLike = None,
        recurrent_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            outputs=outputs,
            reverse=reverse,
            bidirectional=bidirectional,
            layers=layers,
            bias=bias,
            truncate=truncate,
            ends=ends,
            sources=sources,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
            name=name,
        )
        self.projection = None if projection is None else whole(projection, "LSTM projection")
        self.peepholes = check_flag("LSTM peepholes", peepholes)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.projection or self.units, self.units

    def _seen(self, P: Value, cell: Value, k: str) -> Value:
        """What the gate k sees of the cell."""
        return gate(broadcast_samples(P), gate=k, gates=self.seeing) * cell

    def _gates(
        self, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value, P: Value
    ) -> tuple[Value, ...]:
        """i, f, g, o, and the new cell."""
        z = named("z", self._biased(W @ x + U @ h, b))
        parts = {k: gate(z, gate=k, gates=self.gates) for k in self.gates}
        if self.peepholes:
            parts |= {k: parts[k] + self._seen(P, c, k) for k in "if"}
        i, f, g = (named(k, tanh(parts[k]) if k == "g" else sigma(parts[k])) for k in "ifg")
        cell = f * c + i * g
        of_o = parts["o"] + self._seen(P, named("c", cell), "o") if self.peepholes else parts["o"]
        return i, f, g, named("o", sigma(of_o)), cell

    def step(
        self, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None, V: Value = None,
        P: Value = None,
    ) -> tuple[Value, ...]:
        _, _, _, o, cell = self._gates(x, h, c, W, U, b, P)
        q = o * tanh(named("c", cell))
        return V @ named("q", q) if self.projection else q, cell

    def _dz(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value, V: Value,
        P: Value,
    ) -> tuple[Values, Value, Value, Value]:
        """∂J/∂z of every gate, what comes down to c past the gates, c_t, and q = o ⊙ tanh(c_t)."""
        i, f, g, o, cell = self._gates(x, h, c, W, U, b, P)
        cell = named("c", cell)
        s = named("s", tanh(cell))
        dq = named("dq", V.T @ dh) if self.projection else dh
        do = dq * s * o * (1 - o)
        e = dc + dq * o * (1 - s**2)
        if self.peepholes:
            do = named("do", do)
            e = e + self._seen(P, do, "o")
        e = named("e", e)
        di, df = e * g * i * (1 - i), e * c * f * (1 - f)
        if self.peepholes:
            di, df = named("di", di), named("df", df)
        return {"i": di, "f": df, "g": e * i * (1 - g**2), "o": do}, e * f, cell, o * s

    def _stacked(self, d: Values) -> Value:
        """∂J/∂z, of that of every gate."""
        return named("dz", functools.reduce(beside, (d[k] for k in self.gates)))

    def step_delta(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None,
        V: Value = None, P: Value = None,
    ) -> Values:
        d, kept, _, _ = self._dz(dh, dc, x, h, c, W, U, b, V, P)
        if self.peepholes:
            kept = kept + self._seen(P, d["i"], "i") + self._seen(P, d["f"], "f")
        dz = self._stacked(d)
        return {"x": W.T @ dz, "h": U.T @ dz, "c": kept}

    def step_gradients(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None,
        V: Value = None, P: Value = None,
    ) -> Values:
        d, _, cell, q = self._dz(dh, dc, x, h, c, W, U, b, V, P)
        dz = self._stacked(d)
        gradients = {"W": correlate(dz, x), "U": correlate(dz, h)}
        gradients |= {"b": sum_samples(dz)} if self.bias else {}
        gradients |= {"V": correlate(dh, named("q", q))} if self.projection else {}
        if self.peepholes:
            by_gate = beside(beside(d["i"] * c, d["f"] * c), d["o"] * cell)
            gradients["P"] = sum_samples(by_gate)
        return gradients

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        made = super().parameters(input_shape)
        if self.projection:
            shape = (self.projection, self.units)
            start = self.initializer or Glorot()
            made["V"] = Parameter(shape, self.units, self.projection, start)
        if self.peepholes:
            made["P"] = Parameter((3 * self.units,), 1, self.units, Zeros())
        return made

    def bias_starts(self) -> tuple[Initializer, ...]:
        return Zeros(), Ones(), Zeros(), Zeros()


class GRU(Recurrent):
    """h_t = u ⊙ h_{t-1} + (1 - u) ⊙ n, n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t-1} + v)).

    The gates are r (reset) and u (update; PyTorch's and Keras' z), σ(W x_t + U h_{t-1} + b) of their rows. W
    (3 units, F), U (3 units, units) and b (3 units,) hold r, u, n one above the other, as PyTorch's; v
    (units,) is the bias of n within the reset. PyTorch has two biases for r and u, whose sum is b. Keras'
    order is u, r, n.
    reset_after: False resets in front of U, n = tanh(W_n x_t + b_n + U_n (r ⊙ h_{t-1})), without v: the cell
        as it was published, and ONNX's and older Keras's by default.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014; by default in the
    variant that resets behind U, which can be computed at once.
    """

    kind = "gru"
    gates = "run"

    @teach("the number of units only, GRU(10): the layer finds out its inputs")
    def __init__(
        self,
        units: int,
        *,
        reset_after: bool = True,
        outputs: str = "last",
        reverse: bool = False,
        bidirectional: bool = False,
        layers: int = 1,
        bias: bool = True,
        truncate: int | None = None,
        ends: bool = False,
        sources: Any = (),
        initializer: InitializerLike = None,
        recurrent_initializer: InitializerLike = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            units,
            outputs=outputs,
            reverse=reverse,
            bidirectional=bidirectional,
            layers=layers,
            bias=bias,
            truncate=truncate,
            ends=ends,
            sources=sources,
            initializer=initializer,
            recurrent_initializer=recurrent_initializer,
            name=name,
        )
        self.reset_after = check_flag("GRU reset_after", reset_after)

    def _rows(self, of: Value) -> dict[str, Value]:
        """What belongs to every gate."""
        return {k: gate(of, gate=k, gates=self.gates) for k in self.gates}

    def _gates(self, x: Value, h: Value, W: Value, U: Value, b: Value, v: Value) -> list[Value]:
        """r, u, s, n: s is what the reset lets through, r ⊙ s of U_n h + v, or U_n s of s = r ⊙ h."""
        p = self._rows(named("p", self._biased(W @ x, b)))
        if self.reset_after:
            q = self._rows(named("q", U @ h))
            r, u = (named(k, sigma(p[k] + q[k])) for k in "ru")
            s = named("s", q["n"] + broadcast_samples(v) if self.bias else q["n"])
            return [r, u, s, named("n", tanh(p["n"] + r * s))]
        of_gate = self._rows(U)
        r, u = (named(k, sigma(p[k] + of_gate[k] @ h)) for k in "ru")
        s = named("s", r * h)
        return [r, u, s, named("n", tanh(p["n"] + of_gate["n"] @ s))]

    def step(
        self, x: Value, h: Value, W: Value, U: Value, b: Value = None, v: Value = None
    ) -> tuple[Value, ...]:
        _, u, _, n = self._gates(x, h, W, U, b, v)
        return (u * h + (1 - u) * n,)

    def _deltas(
        self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value, v: Value
    ) -> tuple[Value, Value, Value, Value]:
        """∂J/∂p, ∂J/∂q (of a q of all gates), ∂J/∂s, and what comes down to h_{t-1} past the gates."""
        r, u, s, n = self._gates(x, h, W, U, b, v)
        dn, du = named("dn", dh * (1 - u) * (1 - n**2)), dh * (h - n) * u * (1 - u)
        if self.reset_after:
            ds = dn * r
            gates = beside(dn * s * r * (1 - r), du)
            return named("dp", beside(gates, dn)), named("dq", beside(gates, ds)), ds, dh * u
        ds = named("ds", self._rows(U)["n"].T @ dn)
        return named("dp", beside(beside(ds * h * r * (1 - r), du), dn)), None, ds, dh * u + ds * r

    def step_delta(
        self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value = None, v: Value = None
    ) -> Values:
        dp, dq, _, past = self._deltas(dh, x, h, W, U, b, v)
        if self.reset_after:
            return {"x": W.T @ dp, "h": U.T @ dq + past}
        of_gate, down = self._rows(U), self._rows(dp)
        return {"x": W.T @ dp, "h": of_gate["r"].T @ down["r"] + of_gate["u"].T @ down["u"] + past}

    def step_gradients(
        self, dh: Value, x: Value, h: Value, W: Value, U: Value, b: Value = None, v: Value = None
    ) -> Values:
        dp, dq, ds, _ = self._deltas(dh, x, h, W, U, b, v)
        if self.reset_after:
            of_state, biases = correlate(dq, h), {"b": sum_samples(dp), "v": sum_samples(ds)}
        else:
            s, down = self._gates(x, h, W, U, b, v)[2], self._rows(dp)
            reset = beside(correlate(down["r"], h), correlate(down["u"], h))
            of_state, biases = beside(reset, correlate(down["n"], s)), {"b": sum_samples(dp)}
        return {"W": correlate(dp, x), "U": of_state, **(biases if self.bias else {})}

    def parameters(self, input_shape: Shape) -> dict[str, Parameter]:
        features = self.sequence_shape(input_shape)[-1]
        start = Parameter((self.units,), features, self.units, Zeros(), penalised=False)
        made = super().parameters(input_shape)
        return {**made, "v": start} if self.reset_after and self.bias else made
