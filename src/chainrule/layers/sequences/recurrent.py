r"""RNN, LSTM, GRU: a cell that is applied at every step of a sequence to the step and to its own state.

A layer writes the equations of one step: `step`, and derived from it by hand `step_delta` and
`step_gradients`. The passes through time are the same for all: forward t = 1, 2, …; backward in reverse,
where ∂J/∂h_t is the sum of δ_t and of what step t+1 hands down; and a parameter, which every step reads, has
the sum of the steps' gradients (backpropagation through time).
"""

from __future__ import annotations

import copy
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
        if any(shape != (self.units,) for shape in shapes[1:]):
            received = ", ".join(map(str, shapes[1:]))
            raise ShapeError(
                f"{kind} begins with {states} of shape {(self.units,)}, its units, received {received}: "
                f"write {kind}({shapes[1][-1]}, ...), or Dense({self.units}) in front"
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
            return x, {name: np.zeros((self.units, x.shape[-1]), x.dtype) for name in self.states}
        sequence, *first = (part_of(x, start, stop, shape) for start, stop, shape in places_of(self.sources))
        return sequence, dict(zip(self.states, first, strict=True))

    def forward(
        self, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, mask: Value = None
    ) -> Value:
        passage = list(self._passage(x, {"W": W, "U": U, "b": b, "v": v}, mask))
        first, last = self.states[0], passage[-1][2]
        if self.outputs == "last":
            out = last[first]
        else:
            after = [states[first] for _, _, states in passage]
            every = np.stack(after[::-1] if self.reverse else after)
            out = every if mask is None else every * mask[:, None, :]
        return np.concatenate([flatten(out), *last.values()]) if self.ends else out

    def delta(
        self, d: Value, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, mask: Value = None
    ) -> Value:
        sequence, _ = self.read(x)
        below = np.empty_like(sequence)
        first: Values = {}
        for t, _, down, handed in self._back(d, x, {"W": W, "U": U, "b": b, "v": v}, mask):
            below[t], first = down["x"], handed
        return np.concatenate([flatten(below), *first.values()]) if self.sources else below

    def gradients(
        self, d: Value, x: Value, W: Value, U: Value, b: Value = None, v: Value = None, mask: Value = None
    ) -> Values:
        shares = [
            call_formula(self.step_gradients, states)
            for _, states in self.backward_steps(d, x, {"W": W, "U": U, "b": b, "v": v}, mask)
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
        arrived = {name: np.zeros((self.units, width), x.dtype) for name in self.states}
        if self.ends:
            size = len(d) - len(self.states) * self.units
            arrived = dict(zip(self.states, d[size:].reshape(len(self.states), self.units, -1), strict=True))
            d = d[:size] if self.outputs == "last" else d[:size].reshape(len(passage), self.units, -1)
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
            "U": Parameter((rows, units), units, units, U),
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
        return (math.prod(shape) + len(self.states) * self.units,) if self.ends else shape

    def shown_shape(self, steps: int) -> Shape:
        """Of what it puts out without its states."""
        return (self.units,) if self.outputs == "last" else (steps, self.units)

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
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997.
    """

    kind = "lstm"
    family = "lstm"
    gates = "ifgo"
    states = ("h", "c")

    def _gates(self, x: Value, h: Value, W: Value, U: Value, b: Value = None) -> list[Value]:
        z = named("z", self._biased(W @ x + U @ h, b))
        parts = ((k, gate(z, gate=k, gates=self.gates)) for k in self.gates)
        return [named(k, tanh(part) if k == "g" else sigma(part)) for k, part in parts]

    def step(self, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None) -> tuple[Value, ...]:
        i, f, g, o = self._gates(x, h, W, U, b)
        cell = f * c + i * g
        return o * tanh(named("c", cell)), cell

    def _dz(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None
    ) -> tuple[Value, Value]:
        """(∂J/∂z, what comes down to c through both of its readers)."""
        i, f, g, o = self._gates(x, h, W, U, b)
        s = named("s", tanh(named("c", f * c + i * g)))
        e = named("e", dc + dh * o * (1 - s**2))
        di, df = e * g * i * (1 - i), e * c * f * (1 - f)
        dg, do = e * i * (1 - g**2), dh * s * o * (1 - o)
        return named("dz", beside(beside(beside(di, df), dg), do)), e * f

    def step_delta(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None
    ) -> Values:
        dz, kept = self._dz(dh, dc, x, h, c, W, U, b)
        return {"x": W.T @ dz, "h": U.T @ dz, "c": kept}

    def step_gradients(
        self, dh: Value, dc: Value, x: Value, h: Value, c: Value, W: Value, U: Value, b: Value = None
    ) -> Values:
        dz, _ = self._dz(dh, dc, x, h, c, W, U, b)
        gradients = {"W": correlate(dz, x), "U": correlate(dz, h)}
        return {**gradients, "b": sum_samples(dz)} if self.bias else gradients

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
