"""Embeddings, recurrences, attention, and parts of what they put out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.layers import GELU, Dropout, Layer, ReLU
from chainrule.networks.taking.building import cell
from chainrule.networks.taking.torch.elements import linear
from chainrule.networks.taking.torch.norms import layer_norm
from chainrule.networks.taking.torch.reading import Reading, States, Steps, array_of
from chainrule.networks.taking.torch.several import projections
from chainrule.networks.taking.values import Layout, Value

ORDERS = {"RNN": "h", "LSTM": "ifgo", "GRU": "run"}


def _embedding(r: Reading, name: str, m: Any, x: Value) -> Value:
    if m.max_norm is not None:
        raise ArgumentError(f"{name}: max_norm has no layer in chainrule")
    E = array_of(m.weight)
    if m.padding_idx is not None and np.any(E[m.padding_idx]):
        raise ArgumentError(
            f"{name}: the row of padding_idx={m.padding_idx} is not zero, and would be zeros in chainrule"
        )
    return r.building.embedding(name, x, E, None)


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(r: Reading, name: str, m: Any, x: Value, *states: Any) -> Any:
        if states or not m.batch_first or vars(m).get("proj_size"):
            raise ArgumentError(
                f"{name}: {kind} is taken with batch_first=True, without given states or projections"
            )
        options = {"activation": m.nonlinearity} if kind == "RNN" else {}
        layers = []
        for number in range(m.num_layers):
            ends = ("", "_reverse") if m.bidirectional else ("",)
            given = [_cell(m, f"_l{number}{end}", kind) for end in ends]
            if number and m.dropout:
                x = r.building.entrywise(f"{name}_dropout", x, Dropout(m.dropout))
            x = r.building.recurrent(name, x, kind, given, ORDERS[kind], every=True, **options)
            layers.append(x)
        return Steps(name, layers, 2 if m.bidirectional else 1, kind == "LSTM")

    return read


def _cell(m: Any, end: str, kind: str) -> dict[str, Array]:
    W, U = array_of(getattr(m, f"weight_ih{end}")), array_of(getattr(m, f"weight_hh{end}"))
    if not m.bias:
        return {"W": W, "U": U}
    b, c = (array_of(getattr(m, f"bias_{which}{end}")) for which in ("ih", "hh"))
    return cell(kind, W, U, b, c)


def _attention_block(r: Reading, name: str, m: Any, x: Value) -> Value:
    """nn.TransformerEncoderLayer."""
    b = r.building
    called = getattr(m.activation, "__name__", type(m.activation).__name__.lower())
    act: type[Layer] | None = {"relu": ReLU, "gelu": GELU}.get(called)
    if act is None or not m.self_attn.batch_first:
        raise ArgumentError(
            f"{name}: an encoder layer is taken with batch_first=True and the activation relu or gelu"
        )

    def attention(x: Value) -> Value:
        y = b.attention(f"{name}_self_attn", x, m.self_attn.num_heads, projections(name, m.self_attn))
        return dropped(y, m.dropout1)

    def dropped(y: Value, layer: Any) -> Value:
        return b.entrywise(f"{name}_dropout", y, Dropout(layer.p)) if layer.p else y

    def dense(x: Value) -> Value:
        y = linear(r, f"{name}_linear1", m.linear1, x)
        y = dropped(b.entrywise(f"{name}_{act.kind}", y, act()), m.dropout)
        return dropped(linear(r, f"{name}_linear2", m.linear2, y), m.dropout2)

    for part, norm in ((attention, m.norm1), (dense, m.norm2)):
        if m.norm_first:
            x = b.join(f"{name}_residual", [x, part(layer_norm(r, f"{name}_norm", norm, x))], "sum")
        else:
            x = layer_norm(r, f"{name}_norm", norm, b.join(f"{name}_residual", [x, part(x)], "sum"))
    return x


def _self_attention(
    r: Reading, name: str, m: Any, x: Value, key: Value, value: Value, **options: Any
) -> Any:
    unknown = {key: given for key, given in options.items() if given is not None and key != "need_weights"}
    if key is not x or value is not x or unknown or not m.batch_first or m.dropout:
        raise ArgumentError(
            f"{name}: attention is taken of a sequence with itself, batch_first=True, no masks, no dropout"
        )
    return (r.building.attention(name, x, m.num_heads, projections(name, m)), None)


def _item(r: Reading, name: str, x: Any, place: Any) -> Any:
    if isinstance(x, Steps):
        return x.item(place)
    if isinstance(x, tuple):
        return x[place]
    if isinstance(x, States):
        return _state(r, name, x, place)
    every = (
        isinstance(place, tuple)
        and len(place) in (2, 3)
        and all(p == slice(None) for p in (place[0], *place[2:]))
    )
    if isinstance(x, Value) and every and place[1] in (-1, len(x.theirs) and x.theirs[0] - 1):
        layer = x.node.layers[-1] if x.node and x.node.layers else None
        if getattr(layer, "outputs", "") == "all" and not getattr(layer, "reverse", False):
            return _last_step(r, name, x)
    if isinstance(x, Value) and isinstance(place, tuple) and place:
        if place[0] is Ellipsis:
            return _part(r, name, x, place)
        if place[0] == slice(None):
            return _part(r, name, x, place[1:])
    raise ArgumentError(f"{name}: parts of a value are taken as output[:, -1] of a recurrent layer alone")


def _state(r: Reading, name: str, states: States, place: Any) -> Value:
    """h[-1]: what a layer puts out at its last step, which is the first of the way back."""
    if not isinstance(place, int):
        raise ArgumentError(f"{name}: of the states after the last step one is taken, h[-1]")
    steps, way = states.one(place)
    last, units = (0 if way else steps.theirs[0] - 1), steps.theirs[1] // states.ways
    at_end = r.building.along(f"{name}_step", steps, 0, (((last, 1.0),),))
    row = r.building.reshaped(f"{name}_row", at_end, (steps.theirs[1],))
    own = range(way * units, (way + 1) * units)
    return r.building.along(name, row, 0, tuple(((n, 1.0),) for n in own))


def _part(r: Reading, name: str, x: Value, places: Sequence[Any]) -> Value:
    """x[:, 1:3, ..., -1]: slices and places of the axes behind the samples."""
    told = list(places)
    if Ellipsis in told:
        at = told.index(Ellipsis)
        if len(told) > len(x.theirs) + 1:
            raise ArgumentError(f"{name}: {len(told) - 1} places of {len(x.theirs)} axes behind the samples")
        told[at : at + 1] = [slice(None)] * (len(x.theirs) - len(told) + 1)
    kept = []
    for axis, place in enumerate(told):
        size = x.theirs[axis]
        if isinstance(place, slice):
            chosen = list(range(*place.indices(size)))
        elif isinstance(place, int) and not isinstance(place, bool) and -size <= place < size:
            chosen = [place % size]
        else:
            raise ArgumentError(
                f"{name}: parts of a value are taken by slices and numbers, received {place!r}"
            )
        kept += [] if isinstance(place, int) else [len(chosen)]
        x = r.building.along(f"{name}_{axis}", x, axis, tuple(((i, 1.0),) for i in chosen))
    return r.building.reshaped(f"{name}axes_of", x, (*kept, *x.theirs[len(told) :]))


def _last_step(r: Reading, name: str, x: Value) -> Value:
    """output[:, -1]: the recurrent layer itself puts out its last state instead."""
    layer = x.node.layers[-1] if x.node and x.node.layers else None
    if layer is None or getattr(layer, "outputs", "") != "all" or getattr(layer, "reverse", False):
        raise ArgumentError(f"{name}: the last step is taken of a recurrent layer of one direction")
    vars(layer)["outputs"] = "last"
    return Value(x.theirs[1:], Layout(False), x.node)


MODULES: dict[str, Callable[..., Any]] = {
    "Embedding": _embedding,
    **{kind: _recurrent(kind) for kind in ORDERS},
    "TransformerEncoderLayer": _attention_block,
    "MultiheadAttention": _self_attention,
}


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "getitem": _item,
}
