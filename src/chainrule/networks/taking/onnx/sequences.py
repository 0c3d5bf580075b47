"""Embeddings and recurrences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.types import Array
from chainrule.layers import LSTM
from chainrule.networks.forms.onnx.sequences import OPERATORS
from chainrule.networks.forms.written import gates_in_order
from chainrule.networks.taking.building import cell
from chainrule.networks.taking.onnx.reading import (
    Attributes,
    Known,
    Reading,
    behind,
    constant_of,
    only_with,
    opened,
    refuse,
    value_of,
)
from chainrule.networks.taking.values import Value


def _gather(r: Reading, name: str, at: Attributes, E: Known, x: Known) -> Value:
    if isinstance(E, Value):
        places = constant_of(name, x, "places")
        axis = r.place(name, E, at.get("axis", 0))
        size = E.theirs[axis]
        E, places = r.from_one(E, axis, places % size)
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
        lengths: Known = None, h: Known = None, c: Known = None, peepholes: Known = None,
    ) -> Any:  # fmt: skip
        only_with(name, at, clip=None)
        sequence, samples = opened(x)
        batchwise = bool(at.get("layout", 0))
        if samples != (not batchwise) or len(value_of(name, sequence).theirs) != 2:
            raise refuse(
                name, f"{kind} of a sequence that no Transpose has brought to (steps, samples, features)"
            )
        steps = sequence.theirs[0]
        if lengths is not None and set(np.ravel(constant_of(name, lengths, "lengths")).tolist()) != {steps}:
            raise refuse(name, "a recurrence with lengths")
        direction = at.get("direction", "forward")
        options: dict[str, Any] = {"reverse": direction == "reverse"}
        ways = 2 if direction == "bidirectional" else 1
        wanted = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[kind]
        wanted = wanted * ways
        functions = list(at.get("activations", wanted))
        plain = at.get("activation_alpha", [1.0]) == [1.0] and at.get("activation_beta", [0.0]) == [0.0]
        known = {"Tanh", "Relu", "Sigmoid", *(["Affine"] if plain else [])}
        if kind == "RNN" and functions == functions[:1] * ways and functions[0] in known:
            options["activation"] = functions[0].lower().replace("affine", "identity")
        elif functions != wanted:
            raise refuse(name, f"activations={functions}")
        if kind == "GRU":
            options["reset_after"] = bool(at.get("linear_before_reset", 0))
        arrays = [constant_of(name, array, "weights") for array in (W, U)]
        given = [{"W": w, "U": u} for w, u in zip(*arrays, strict=True)]
        if B is not None:
            after, biases = options.get("reset_after", False), constant_of(name, B, "bias")
            halves = (np.split(b, 2) for b in biases)
            given = [cell(kind, w, u, b, c, after) for w, u, (b, c) in zip(*arrays, halves, strict=True)]
        if peepholes is not None and np.any(P := constant_of(name, peepholes, "peepholes")):
            seeing = (gates_in_order(p, "iof", LSTM.seeing) for p in P)
            given = [{**one, "P": p} for one, p in zip(given, seeing, strict=True)]
        if at.get("input_forget", 0):
            given = [_coupled(one) for one in given]
        units = arrays[1].shape[-1]
        first = [
            _first(r, f"{name}_{word}", state, batchwise, (ways, units))
            for word, state in zip("hc", (h, c), strict=True)
        ]
        every, last, cells = (r.wanted(output) for output in range(3))
        made: Sequence[Value | None]
        if every + last == 1 and not cells and all(state is None for state in first):
            value = r.building.recurrent(name, sequence, kind, given, ORDERS[kind], every=every, **options)
            shape = (steps, ways, units) if every else (ways, units)
            one = r.building.reshaped(f"{name}_directions", value, shape)
            made = [one, None, None] if every else [None, one, None]
        else:
            given_ones = any(state is not None for state in first)
            ends = first[: 2 if kind == "LSTM" else 1] if given_ones else []
            made = r.building.recurrent_with_states(
                name, sequence, kind, given, ORDERS[kind], every=every, first=ends, **options
            )
        axes = (0, 0, 0) if batchwise else (2, 1, 1)  # which has the samples
        asked = zip((every, last, cells), made, axes, strict=False)
        return tuple(behind(value, axis) if there and value else None for there, value, axis in asked)

    return read


def _coupled(given: Mapping[str, Array]) -> dict[str, Array]:
    """An LSTM whose gate f is 1 - i, as one whose f has weights of its own: 1 - σ(z) = σ(-z). Training does
    not keep them together.
    """
    made = {}
    for name, array in given.items():
        order = LSTM.seeing if name == "P" else ORDERS["LSTM"]
        gates = dict(zip(order, np.split(array, len(order)), strict=True))
        made[name] = np.concatenate([-gates["i"] if gate == "f" else gates[gate] for gate in order])
    return made


def _first(r: Reading, name: str, state: Known, batchwise: bool, shape: tuple[int, int]) -> Any:
    """What every direction begins with, (directions, units) as a value or the same numbers for all samples;
    None for zeros.
    """
    if state is None or (isinstance(state, np.ndarray) and not np.any(state)):
        return None
    held, at = opened(state)
    if isinstance(held, Value):
        if at != (not batchwise) or held.theirs != shape:
            raise refuse(name, f"states of the shape {held.theirs}")
        return held
    samples = np.asarray(held) if batchwise else np.moveaxis(held, 1, 0)
    if np.ptp(samples, axis=0).any():
        raise refuse(name, "states that are constant and differ between samples")
    return samples[0]


NODES: dict[str, Callable[..., Any]] = {
    "Gather": _gather,
    **{kind: _recurrent(kind) for kind in ORDERS},
}
