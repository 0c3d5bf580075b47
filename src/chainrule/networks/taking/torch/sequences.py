"""Embeddings, recurrences, attention, and parts of what they put out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array
from chainrule.layers import GELU, Bidirectional, Dropout, Layer, ReLU
from chainrule.layers.sequences.attention import GIVEN
from chainrule.networks.taking.building import cell
from chainrule.networks.taking.distances import relative
from chainrule.networks.taking.torch.arithmetic import multiplied
from chainrule.networks.taking.torch.elements import linear
from chainrule.networks.taking.torch.norms import layer_norm
from chainrule.networks.taking.torch.reading import Reading, States, Steps, array_of, axis_of
from chainrule.networks.taking.torch.shapes import squeeze, unsqueeze
from chainrule.networks.taking.values import HIDDEN, Flags, Value

ORDERS = {"RNN": "h", "LSTM": "ifgo", "GRU": "run"}


def _embedding(r: Reading, name: str, m: Any, x: Value) -> Value:
    if m.max_norm is not None:
        raise ArgumentError(f"{name}: max_norm has no layer in chainrule")
    E = array_of(m.weight)
    if m.padding_idx is not None and np.any(E[m.padding_idx]):
        raise ArgumentError(
            f"{name}: the row of padding_idx={m.padding_idx} is not zero, and would be zeros in chainrule"
        )
    r.ids.append(x.root)
    return r.building.embedding(name, x, E, None)


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(r: Reading, name: str, m: Any, x: Value, states: Any = None, *more: Any) -> Any:
        _samples_first(r, name, m)
        options = {"activation": m.nonlinearity} if kind == "RNN" else {}
        ends = ("", "_reverse") if m.bidirectional else ("",)
        begins = _first_states(r, name, kind, _told(states, more), m.num_layers * len(ends))
        layers = []
        for number in range(m.num_layers):
            given = [_cell(m, f"_l{number}{end}", kind) for end in ends]
            if number and m.dropout:
                x = r.building.entrywise(f"{name}_dropout", x, Dropout(m.dropout))
            if not begins:
                x = r.building.recurrent(name, x, kind, given, ORDERS[kind], every=True, **options)
                layers.append(x)
                continue
            apart = [
                r.building.recurrent(
                    name, x, kind, [held], ORDERS[kind], every=True, reverse=bool(way),
                    states=begins[len(layers) + way], **options,
                )
                for way, held in enumerate(given)
            ]  # fmt: skip
            layers += apart
            x = r.building.join(name, apart, "concat", 1) if len(apart) > 1 else apart[0]
        return Steps(name, x, kind, layers)

    return read


def _samples_first(r: Reading, name: str, m: Any) -> None:
    if not m.batch_first and not r.alone:
        raise ArgumentError(
            f"{name}: of a network with other layers a {type(m).__name__} is taken with batch_first=True, as "
            "samples are the first axis of all"
        )


def _cell_alone(kind: str) -> Callable[..., Any]:
    """nn.RNNCell and its kin: a sequence of one step."""

    def read(r: Reading, name: str, m: Any, x: Value, states: Any = None, *more: Any) -> Any:
        given = _told(states, more)
        options = {"activation": m.nonlinearity} if kind == "RNN" else {}
        x = r.building.reshaped(f"{name}_step", x, (1, *x.theirs))
        made = r.building.recurrent(
            name, x, kind, [_cell(m, "", kind)], ORDERS[kind], every=False, states=given, **options
        )
        if kind != "LSTM":
            return made
        return tuple(r.building.last_state(name, made, state) for state in "hc")

    return read


def _told(states: Any, more: Sequence[Any]) -> Sequence[Any]:
    """First states as a call has them: none, one, one behind the other, or in a tuple."""
    if more:
        return states, *more
    return states if isinstance(states, tuple | list) else [states] * (states is not None)


def _first_states(r: Reading, name: str, kind: str, given: Sequence[Any], count: int) -> list[list[Value]]:
    """Of every layer its first states, (units,) of a sample each; none where they are not given, or 0."""
    if all(isinstance(state, np.ndarray) and not state.any() for state in given):
        return []
    if len(given) == 1 + (kind == "LSTM") and all(isinstance(state, Value) for state in given):
        rows = [_rows(r, f"{name}_state", state, count) for state in given]
        return [list(of) for of in zip(*rows, strict=True)]
    if not all(isinstance(state, States) for state in given) or len(given) != 1 + (kind == "LSTM"):
        raise ArgumentError(
            f"{name}: first states of {kind} are taken of the states of another recurrence of as many layers"
        )
    if any(_count(state) != count for state in given):
        raise ArgumentError(f"{name}: {kind} has {count} layers and directions, its states others")
    held = [[_state(r, name, state, place) for place in range(count)] for state in given]
    return [list(of) for of in zip(*held, strict=True)]


def _rows(r: Reading, name: str, state: Value, count: int) -> list[Value]:
    """First states of every layer, which are an input: (units,) of one, (layers, units) of several."""
    if len(state.theirs) == 1 and count == 1:
        return [state]
    if len(state.theirs) != 2 or state.theirs[0] != count:
        raise ArgumentError(f"{name}: first states are (layers, units) of a sample, received {state.theirs}")
    parts = [r.building.along(f"{name}_{n}", state, 0, (((n, 1.0),),)) for n in range(count)]
    return [r.building.reshaped(f"{name}_row", part, state.theirs[1:]) for part in parts]


def _mask(
    name: str, given: Any, causal: bool, steps: int, keys: int, heads: int
) -> tuple[dict[str, Any], Array | None]:
    """The option of attention that hides what a mask of the module hides, and the numbers, by head, that the
    mask adds to scores beside.
    """
    later = np.tri(steps, keys, dtype=bool)
    if given is None:
        return {"causal": True} if causal else {}, None
    told = given
    if isinstance(given, np.ndarray) and given.ndim == 3 and len(given) and len(given) % heads == 0:
        of_samples = given.reshape(-1, heads, *given.shape[1:])
        given = of_samples[0] if (of_samples == of_samples[:1]).all() else given
    elif isinstance(given, np.ndarray) and given.ndim == 2:
        given = given[None]
    if not isinstance(given, np.ndarray) or given.shape not in ((1, steps, keys), (heads, steps, keys)):
        received = told.shape if isinstance(told, np.ndarray) else "an input"
        raise ArgumentError(
            f"{name}: a mask is taken that is a tensor ({steps}, {keys}) of the module or of arguments=, or "
            f"({heads}, {steps}, {keys}), of every head, received {received}"
        )
    seen = ~given if given.dtype == bool else given > HIDDEN
    if (seen != seen[:1]).any():
        raise ArgumentError(f"{name}: a mask is taken that hides the same keys from all heads")
    added = np.where(seen, given, 0) if given.dtype != bool and np.any(given[seen]) else None
    seen = seen[0]
    option = {"causal": True} if np.array_equal(seen, later) else {} if seen.all() else {"seen": seen}
    return option, added


def _seen_by(option: dict[str, Any], steps: int, keys: int) -> Array:
    """Which keys queries see, (steps, keys), by the option that says it."""
    every: Array = np.tri(steps, keys, dtype=bool) if option.get("causal") else np.ones((steps, keys), bool)
    return np.asarray(option.get("seen", every))


def attention(
    r: Reading, name: str, m: Any, values: Sequence[Value], mask: Any = None, causal: bool = False,
    padding: Any = None,
) -> Value:  # fmt: skip
    """values: queries, keys, values. padding: of every sample which keys are hidden, 1 or True."""
    q, k, v = values
    _samples_first(r, name, m)
    pairs = q.theirs[0], k.theirs[0]
    option, added = _mask(name, mask, causal, *pairs, m.num_heads)
    of_pairs = _seen_by(option, *pairs)
    read = values[:1] if q is k is v else values[:2] if k is v else values
    if padding is not None:
        table = option.pop("seen", None)
        read = [q, k, *([v] if k is not v else []), _seen(r, name, padding, table, *pairs)]
        option["seen"] = GIVEN
    option |= {"key_value_bias": m.bias_k is not None, "zero_key_value": bool(m.add_zero_attn)}
    option["bias"] = m.in_proj_bias is not None
    for layer, numbers in relative(m.num_heads, option, added, of_pairs):
        return r.building.attention(name, read, layer, projections(name, m) | numbers)
    raise ArgumentError(
        f"{name}: what a mask adds to scores is taken where it is a number of the distance of query and key "
        "(relative_positions), as of ALiBi or T5; this one has others for pairs of one distance"
    )


def _seen(r: Reading, name: str, padding: Any, table: Any, steps: int, keys: int) -> Value:
    """Which keys a query of a sample sees, (steps, keys) of 0 and 1: those that are no padding, and that the
    module's own mask leaves.
    """
    of = padding.of if isinstance(padding, Flags) and padding.equal else padding
    if not isinstance(of, Value) or of.theirs != (keys,) or of.root.node is not None:
        raise ArgumentError(
            f"{name}: a padding mask is an input of the shape ({keys},) of a sample, 1 where a step is "
            "padding, or ids == 0 of such ids; numbers that are computed of them, which PyTorch adds to the "
            "scores, are none: give the mask itself"
        )
    left = np.ones((steps, keys), bool) if table is None else np.asarray(table)
    return r.building.seen(name, padding, left)


def _cell(m: Any, end: str, kind: str) -> dict[str, Array]:
    W, U = array_of(getattr(m, f"weight_ih{end}")), array_of(getattr(m, f"weight_hh{end}"))
    V = {"V": array_of(getattr(m, f"weight_hr{end}"))} if vars(m).get("proj_size") else {}
    if not m.bias:
        return {"W": W, "U": U, **V}
    b, c = (array_of(getattr(m, f"bias_{which}{end}")) for which in ("ih", "hh"))
    return {**cell(kind, W, U, b, c), **V}


def projections(name: str, m: Any) -> dict[str, Array]:
    """W and b of an nn.MultiheadAttention, and its key and value more; a bias of the keys cancels in softmax
    and is left out, but where there is a key more.
    """
    parts = (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
    if m.in_proj_weight is not None:
        parts = m.in_proj_weight.chunk(3)
    held = {f"W_{key}": array_of(part) for key, part in zip("qkv", parts, strict=True)}
    held["W_o"] = array_of(m.out_proj.weight)
    if m.in_proj_bias is not None:
        b_q, b_k, b_v = np.split(array_of(m.in_proj_bias), 3)
        held |= {"b_q": b_q, "b_v": b_v, "b_o": array_of(m.out_proj.bias)}
        held |= {"b_k": b_k} if m.bias_k is not None or m.add_zero_attn else {}
    if m.bias_k is not None:
        held |= {"k_0": array_of(m.bias_k)[0], "v_0": array_of(m.bias_v)[0]}
    return held


def _block(r: Reading, name: str, m: Any, x: Value, memory: Value | None, masks: Sequence[Any]) -> Value:
    """nn.TransformerEncoderLayer, or with a memory nn.TransformerDecoderLayer."""
    b = r.building
    called = getattr(m.activation, "__name__", type(m.activation).__name__.lower())
    act: type[Layer] | None = {"relu": ReLU, "gelu": GELU}.get(called)
    if act is None:
        raise ArgumentError(f"{name}: a layer of a transformer is taken with the activation relu or gelu")

    def dropped(y: Value, layer: Any) -> Value:
        return b.entrywise(f"{name}_dropout", y, Dropout(layer.p)) if layer.p else y

    def to_itself(x: Value) -> Value:
        return dropped(attention(r, f"{name}_self_attn", m.self_attn, [x] * 3, *masks[:3]), m.dropout1)

    def to_memory(x: Value) -> Value:
        read = [x, memory, memory]
        y = attention(r, f"{name}_multihead_attn", m.multihead_attn, read, *masks[3:])  # type: ignore[arg-type]
        return dropped(y, m.dropout2)

    def dense(x: Value) -> Value:
        y = linear(r, f"{name}_linear1", m.linear1, x)
        y = dropped(b.entrywise(f"{name}_{act.kind}", y, act()), m.dropout)
        last = m.dropout2 if memory is None else m.dropout3
        return dropped(linear(r, f"{name}_linear2", m.linear2, y), last)

    parts = [to_itself, dense] if memory is None else [to_itself, to_memory, dense]
    for number, part in enumerate(parts, 1):
        norm = getattr(m, f"norm{number}")
        if m.norm_first:
            x = b.join(f"{name}_residual", [x, part(layer_norm(r, f"{name}_norm", norm, x))], "sum")
        else:
            x = layer_norm(r, f"{name}_norm", norm, b.join(f"{name}_residual", [x, part(x)], "sum"))
    return x


def _encoder_layer(
    r: Reading, name: str, m: Any, src: Value, src_mask: Any = None, src_key_padding_mask: Any = None,
    is_causal: Any = False,
) -> Value:  # fmt: skip
    return _block(r, name, m, src, None, (src_mask, False, src_key_padding_mask))


def _decoder_layer(
    r: Reading, name: str, m: Any, tgt: Value, memory: Value, tgt_mask: Any = None, memory_mask: Any = None,
    tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None, tgt_is_causal: Any = False,
    memory_is_causal: Any = False,
) -> Value:  # fmt: skip
    masks = (tgt_mask, False, tgt_key_padding_mask, memory_mask, False, memory_key_padding_mask)
    return _block(r, name, m, tgt, memory, masks)


def _stack(block: Callable[..., Value], *sources: str) -> Callable[..., Value]:
    """nn.TransformerEncoder and nn.TransformerDecoder: layers one behind the other, and a norm."""

    def read(r: Reading, name: str, m: Any, *given: Any, mask: Any = None, **options: Any) -> Value:
        named = [options.pop(source) for source in sources[len(given) :] if source in options]
        if len(given) + len(named) < len(sources):
            raise ArgumentError(f"{name}: {type(m).__name__} reads {' and '.join(sources)}")
        x, *others = (*given, *named)
        told = (mask,) if mask is not None else ()
        for number, layer in enumerate(m.layers):
            x = block(r, f"{name}_layers_{number}", layer, x, *others, *told, **options)
        return x if m.norm is None else layer_norm(r, f"{name}_norm", m.norm, x)

    return read


_encoder, _decoder = _stack(_encoder_layer, "src"), _stack(_decoder_layer, "tgt", "memory")


def _transformer(
    r: Reading, name: str, m: Any, src: Value, tgt: Value, src_mask: Any = None, tgt_mask: Any = None,
    memory_mask: Any = None, src_key_padding_mask: Any = None, tgt_key_padding_mask: Any = None,
    memory_key_padding_mask: Any = None, *causal: Any, **are_causal: Any,
) -> Value:  # fmt: skip
    """is_causal of a mask says what the mask says itself."""
    memory = _encoder(
        r, f"{name}_encoder", m.encoder, src, mask=src_mask, src_key_padding_mask=src_key_padding_mask
    )
    masks = {
        "tgt_mask": tgt_mask,
        "memory_mask": memory_mask,
        "tgt_key_padding_mask": tgt_key_padding_mask,
        "memory_key_padding_mask": memory_key_padding_mask,
    }
    return _decoder(r, f"{name}_decoder", m.decoder, tgt, memory, **masks)


def _attention(
    r: Reading, name: str, m: Any, query: Value, key: Value, value: Any = None, key_padding_mask: Any = None,
    need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:  # fmt: skip
    if m.dropout:
        raise ArgumentError(f"{name}: attention is taken without dropout of its weights")
    value = key if value is None else value  # of two inputs of a module alone the second is both
    return (attention(r, name, m, (query, key, value), attn_mask, padding=key_padding_mask), None)


def _item(r: Reading, name: str, x: Any, place: Any) -> Any:
    if isinstance(x, Steps | tuple | np.ndarray):
        return x[place]
    if isinstance(x, States):
        return _state(r, name, x, place)
    every = (
        isinstance(place, tuple)
        and len(place) in (2, 3)
        and all(p == slice(None) for p in (place[0], *place[2:]))
    )
    steps = isinstance(x, Value) and len(x.theirs) == 2 and x.layout.first is False  # not turned about
    if steps and every and place[1] in (-1, len(x.theirs) and x.theirs[0] - 1):
        layer = x.node.layers[-1] if x.node and x.node.layers else None
        if getattr(layer, "outputs", "") == "all" and not getattr(layer, "reverse", False):
            return r.building.last_state(name, x, "h")
    if isinstance(x, Value) and isinstance(place, tuple) and place:
        if place[0] is Ellipsis:
            return _part(r, name, x, place)
        if place[0] == slice(None):
            return _part(r, name, x, place[1:])
    raise ArgumentError(f"{name}: parts of a value are taken as output[:, -1] of a recurrent layer alone")


def _state(r: Reading, name: str, x: States, place: Any) -> Value:
    """h[-1]: of the layer at this place, (units,)."""
    layers, count = x.of.layers, _count(x)
    ways = count // len(layers)
    if isinstance(place, tuple) and all(one == slice(None) for one in place[1:]):
        place = place[0]
    if not isinstance(place, int) or not -count <= place < count:
        raise ArgumentError(f"{name}: states are taken of a layer at a time, h[-1], received {place!r}")
    number, way = divmod(place % count, ways)
    every = layers[number]
    if ways == 1:
        return r.building.last_state(name, every, x.state)
    assert every.node is not None
    both: Any = every.node.layers[-1]
    single = copy.copy((both.layer, both.backward)[way])  # the same layer, of which the last state is read
    return r.building.last_state(
        name, Value(every.theirs, every.layout, r.building.node(name, every.node.inputs[0], single)), x.state
    )


def _count(x: States) -> int:
    """How many states there are, of layers and of their directions."""
    layers = x.of.layers
    both = layers[0].node and isinstance(layers[0].node.layers[-1], Bidirectional)
    return 2 * len(layers) if both else len(layers)


def _part(r: Reading, name: str, x: Value, places: Sequence[Any]) -> Value:
    """x[:, 1:3, ..., None, -1]: slices and places of the axes behind the samples, and new ones."""
    told, axes = list(places), len(x.theirs)
    count = sum(place is not None and place is not Ellipsis for place in told)
    if count > axes:
        raise ArgumentError(f"{name}: {count} places of {axes} axes behind the samples")
    if Ellipsis in told:
        at = told.index(Ellipsis)
        told[at : at + 1] = [slice(None)] * (axes - count)
    kept, axis = [], -1
    for place in told:
        if place is None:
            kept.append(1)
            continue
        axis += 1
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
    return r.building.reshaped(f"{name}axes_of", x, (*kept, *x.theirs[axis + 1 :]))


MODULES: dict[str, Callable[..., Any]] = {
    "Embedding": _embedding,
    **{kind: _recurrent(kind) for kind in ORDERS},
    **{f"{kind}Cell": _cell_alone(kind) for kind in ORDERS},
    "TransformerEncoderLayer": _encoder_layer,
    "TransformerDecoderLayer": _decoder_layer,
    "TransformerEncoder": _encoder,
    "TransformerDecoder": _decoder,
    "Transformer": _transformer,
    "MultiheadAttention": _attention,
}


def _split(r: Reading, name: str, x: Value, sizes: Any, dim: int = 0) -> tuple[Value, ...]:
    """Parts of an axis one after the other: of a size, or of sizes."""
    axis = axis_of(name, x, dim)
    whole = x.theirs[axis]
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    return r.building.split(name, x, axis, sizes)


def _chunk(r: Reading, name: str, x: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    return _split(r, name, x, -(-x.theirs[axis_of(name, x, dim)] // chunks), dim)


def _unlike(r: Reading, name: str, *_: Any, **options: Any) -> Value:
    raise ArgumentError(
        f"{name}: of products of two values nn.MultiheadAttention is taken; a module that writes its "
        "attention out comes by torch.onnx.export(...) and cr.from_onnx, which finds it"
    )


def _matmul(r: Reading, name: str, x: Any, matrix: Any) -> Value:
    if not isinstance(x, Value) or not isinstance(matrix, np.ndarray) or matrix.ndim != 2:
        return _unlike(r, name)
    return r.building.dense(name, x, matrix.T, None)


def _squeezed(r: Reading, name: str, x: Any, dim: int | None = None) -> Value:
    """Also of the states of one layer, h.squeeze(0)."""
    if isinstance(x, States) and dim in (0, None) and len(x.of.layers) == 1:
        return _state(r, name, x, 0)
    if not isinstance(x, Value):
        raise ArgumentError(f"{name}: squeeze of states is taken of a recurrence of one layer")
    return squeeze(r, name, x, dim)


def _flags(equal: bool) -> Callable[..., Any]:
    def read(r: Reading, name: str, a: Any, b: Any) -> Flags:
        of, number = (a, b) if isinstance(a, Value) else (b, a)
        if not isinstance(of, Value) or of.node is not None or not isinstance(number, int):
            raise ArgumentError(f"{name}: ids of an input are compared with a whole number, ids == 0")
        r.compared.append((name, of.root))
        return Flags(of, number, equal)

    return read


# Functions that take a comparison of ids as it is.
OF_FLAGS = {"invert", "logical_not", "bitwise_not", "masked_fill", "unsqueeze", "getattr", "size", "getitem"}


def numbers_of(r: Reading, name: str, given: Any) -> Any:
    """1 where a comparison of ids holds, 0 where not; anything else as it is."""
    if not isinstance(given, Flags):
        return given
    if len(given.of.theirs) != 1:
        raise ArgumentError(f"{name}: a comparison of ids is taken of a sequence of them")
    return _with_axes(r, name, r.building.told(name, given), given.axes)


def _with_axes(r: Reading, name: str, x: Value, count: int) -> Value:
    """With so many axes of one entry behind."""
    for _ in range(count):
        x = unsqueeze(r, f"{name}_axis", x, -1)
    return x


def _hidden(r: Reading, name: str, x: Value, mask: Any, value: float) -> Value:
    """x with a number where a comparison of ids holds, which is not learned."""
    if not isinstance(mask, Flags) or not isinstance(value, int | float):
        raise ArgumentError(
            f"{name}: masked_fill is taken of a number where ids are one, (ids == 0, 0)"
        )
    if not np.isfinite(value):
        raise ArgumentError(
            f"{name}: masked_fill is taken of finite numbers: write (ids == 0, -1e9), which no maximum takes "
            "and of which a softmax leaves nothing"
        )
    left = multiplied(r, name, x, numbers_of(r, f"{name}_left", mask.turned()))
    if not value:
        return left
    filled = numbers_of(r, f"{name}_there", replace(mask, axes=0))
    taps = tuple(((step, float(value)),) for step in range(filled.theirs[0]))
    filled = _with_axes(r, name, r.building.along(f"{name}_number", filled, 0, taps), mask.axes)
    return r.building.join(f"{name}_filled", [left, filled], "sum")


def _same_number(r: Reading, name: str, x: Any, *types: Any, **more: Any) -> Any:
    """Numbers have one type here."""
    return x


def _not(r: Reading, name: str, x: Any) -> Flags:
    if not isinstance(x, Flags):
        raise ArgumentError(f"{name}: not is taken of a comparison of ids, ~(ids != 0)")
    return x.turned()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": _flags(equal=True),
    **dict.fromkeys(("ne", "not_equal"), _flags(equal=False)),
    **dict.fromkeys(("invert", "logical_not", "bitwise_not"), _not),
    **dict.fromkeys(("float", "double", "to", "type_as"), _same_number),
    "masked_fill": _hidden,
    "split": _split,
    "chunk": _chunk,
    **dict.fromkeys(("scaled_dot_product_attention", "bmm", "baddbmm", "einsum"), _unlike),
    **dict.fromkeys(("matmul", "mm"), _matmul),
    "squeeze": _squeezed,
    "embedding": lambda r, name, x, E, padding_idx=None, **_: r.building.embedding(name, x, E, None),
    "getitem": _item,
}
