"""Embeddings and recurrences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.networks.forms.onnx.sequences import OPERATORS
from chainrule.networks.taking.building import cell
from chainrule.networks.taking.onnx.arithmetic import concat
from chainrule.networks.taking.onnx.moving import slice_of
from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    Recurred,
    Stacked,
    StepsFirst,
    constant_of,
    only_with,
    refuse,
    value_of,
)
from chainrule.networks.taking.onnx.shapes import squeeze
from chainrule.networks.taking.values import Value


def _gather(r: Reading, name: str, at: Attributes, E: Known, x: Known) -> Value:
    if isinstance(E, Recurred | Stacked):
        return _of_states(r, name, E, at, constant_of(name, x, "places"))
    if isinstance(E, Value):
        places = constant_of(name, x, "places")
        axis = r.place(name, E, at.get("axis", 0))
        size = E.theirs[axis]
        taps = tuple(((int(place) % size, 1.0),) for place in places.ravel())
        made = r.building.along(name, E, axis, taps)
        return r.building.reshaped(
            f"{name}_axes", made, (*E.theirs[:axis], *places.shape, *E.theirs[axis + 1 :])
        )
    only_with(name, at, axis=0)
    return r.building.embedding(name, value_of(name, x), constant_of(name, E, "table"))


ORDERS = dict(OPERATORS.values())  # in which the gates lie


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(
        r: Reading, name: str, at: Attributes, x: Known, W: Known, U: Known, B: Known = None,
        lengths: Known = None, *states: Known,
    ) -> Any:  # fmt: skip
        only_with(name, at, clip=None, input_forget=0)
        batchwise = bool(at.get("layout", 0)) and isinstance(x, Value) and not isinstance(x, StepsFirst)
        if batchwise:
            x = StepsFirst(value_of(name, x))
        if not isinstance(x, StepsFirst) or (at.get("layout", 0) and not batchwise):
            raise refuse(
                name, f"{kind} of a sequence that no Transpose has brought to (steps, samples, features)"
            )
        short = lengths is not None and (
            isinstance(lengths, Value) or set(np.ravel(lengths).tolist()) != {x.held.theirs[0]}
        )
        zeros = not any(np.any(state) for state in states if isinstance(state, np.ndarray))
        if short or not zeros or len(states) > (2 if kind == "LSTM" else 1):
            raise refuse(name, "a recurrence with lengths, states that are constants, or peepholes")
        begins = [_state(r, name, state, batchwise) for state in states if isinstance(state, Value)]
        if begins and len(begins) < (2 if kind == "LSTM" else 1):
            raise refuse(name, "an LSTM of which one state is given")
        direction = at.get("direction", "forward")
        options: dict[str, Any] = {"reverse": direction == "reverse"}
        wanted = ["Tanh"] if kind == "RNN" else ["Sigmoid", "Tanh", "Tanh"][: 3 if kind == "LSTM" else 2]
        functions = at.get("activations", wanted * (2 if direction == "bidirectional" else 1))
        plain = at.get("activation_alpha", [1.0]) == [1.0] and at.get("activation_beta", [0.0]) == [0.0]
        known = {"Tanh", "Relu", "Sigmoid", *(["Affine"] if plain else [])}
        if kind == "RNN" and set(functions) <= known:
            options["activation"] = functions[0].lower().replace("affine", "identity")
        elif functions[: len(wanted)] != wanted:
            raise refuse(name, f"activations={functions}")
        if kind == "GRU":
            options["reset_after"] = bool(at.get("linear_before_reset", 0))
        arrays = [constant_of(name, array, "weights") for array in (W, U)]
        given = [{"W": w, "U": u} for w, u in zip(*arrays, strict=True)]
        if B is not None:
            after, biases = options.get("reset_after", False), constant_of(name, B, "bias")
            halves = (np.split(b, 2) for b in biases)
            given = [cell(kind, w, u, b, c, after) for w, u, (b, c) in zip(*arrays, halves, strict=True)]
        every, last, cell_state = r.wanted(0), r.wanted(1), r.wanted(2)
        if (begins or cell_state or (every and last)) and len(given) > 1:
            raise refuse(name, "a recurrence of both directions whose states are given or read")
        value = r.building.recurrent(
            name, x.held, kind, given, ORDERS[kind], every=every, states=begins, **options
        )
        ends = [value if last and not every else None] * 2
        if (every and last) or cell_state:
            ends = [r.building.last_state(name, value, state) for state in "hc"[: 1 + (kind == "LSTM")]]
        if batchwise:
            made = [
                None if held is None else _with_directions(r, name, held, len(given))
                for held in (value if every else None, *ends)
            ]
            return tuple(made)
        states_out = (None if held is None else Recurred(held, 0, len(given)) for held in ends)
        return (Recurred(value, 1, len(given)) if every else None, *states_out)

    return read


def _state(r: Reading, name: str, state: Value, batchwise: bool) -> Value:
    """A first state, (units,) of a sample."""
    if isinstance(state, Stacked) and len(state.states) == 1:
        return state.states[0]
    if isinstance(state, Recurred) and not state.directions:
        return state.held
    if not batchwise or len(state.theirs) != 2 or state.theirs[0] != 1:
        raise refuse(name, "a first state that is not of one direction")
    return r.building.reshaped(f"{name}_state", state, state.theirs[1:])


def _with_directions(r: Reading, name: str, held: Value, count: int) -> Value:
    shape = (*held.theirs[:-1], count, held.theirs[-1] // count)
    return r.building.reshaped(f"{name}_directions", held, shape)


def _states(name: str, held: Known) -> list[Value]:
    """The last states in (layers, samples, units)."""
    if isinstance(held, Stacked):
        return list(held.states)
    if not isinstance(held, Recurred) or held.directions:
        raise refuse(name, "what is no last state of a recurrence beside one")
    return [held.held]


def _of_states(r: Reading, name: str, held: Known, at: Attributes, place: Any) -> Value:
    states = _states(name, held)
    if at.get("axis", 0) != 0 or np.size(place) != 1:
        raise refuse(name, "several of the last states of a recurrence")
    one = states[int(np.ravel(place)[0])]
    return Recurred(one, 0) if np.ndim(place) else one


_OF_SLICES: dict[str, list[int]] = {"starts": [], "ends": [], "axes": [0], "steps": [1]}


def _stacked(r: Reading, name: str, at: Attributes, *given: Known) -> Value:
    if at["axis"] == 0 and any(isinstance(value, Recurred | Stacked) for value in given):
        return Stacked([state for value in given for state in _states(name, value)])
    return concat(r, name, at, *given)


def _sliced(r: Reading, name: str, at: Attributes, x: Known, *given: Known) -> Value:
    if not isinstance(x, Recurred | Stacked):
        return slice_of(r, name, at, x, *given)
    starts, ends, axes, steps = (
        at.get(word, usual) if value is None else np.ravel(constant_of(name, value, word)).tolist()
        for (word, usual), value in zip(_OF_SLICES.items(), (*given, *[None] * 4), strict=False)
    )
    if axes != [0] or steps != [1]:
        raise refuse(name, f"a slice of states along {axes}")
    return Stacked(_states(name, x)[starts[0] : ends[0]])


def _squeeze_steps(r: Reading, name: str, at: Attributes, x: Known, axes: Known = None) -> Value:
    if not isinstance(x, Recurred):
        return squeeze(r, name, at, x, axes)
    given = at.get("axes") if axes is None else constant_of(name, axes, "axes").tolist()
    if given != [x.directions]:
        raise refuse(name, f"the axes {given} of a recurrence's output")
    return StepsFirst(x.held) if x.directions else x.held


NODES: dict[str, Callable[..., Any]] = {
    "Squeeze": _squeeze_steps,
    "Gather": _gather,
    "Concat": _stacked,
    "Slice": _sliced,
    **{kind: _recurrent(kind) for kind in ORDERS},
}
