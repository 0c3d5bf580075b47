"""A module of PyTorch as a network: its layers, and its weights.

`torch.fx` follows the module's own forward, so that sums, concatenations and functions in it are seen, too.
The network takes images with their channels last, (N, rows, columns, channels), where the module takes them
first; what the two compute is the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, MissingExtraError, describe
from chainrule.base.types import Array
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Dropout,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Layer,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    TanhShrink,
    Threshold,
)
from chainrule.networks.network import Network
from chainrule.networks.taking.building import Building, cell
from chainrule.networks.taking.resizing import Resizing
from chainrule.networks.taking.values import Layout, Value

ORDERS = {"RNN": "h", "LSTM": "ifgo", "GRU": "run"}


def from_torch(module: Any, input_shape: Any = None, *, dtype: str | None = None) -> Network:
    """A network that computes what the module computes in eval mode, with its weights; it can be trained on.

    module: an nn.Sequential, or a module whose forward `torch.fx` can follow. Its layers are those that
        chainrule has; the error names the one that it has not.
    input_shape: of one sample as the module takes it, (channels, rows, columns) of images, by default what
        its first layer, a Linear, reads. The network itself takes (rows, columns, channels).
    dtype: by default that of the module's weights.
    Raises ArgumentError for what has no layer here, and MissingExtraError without PyTorch.
    """
    try:
        import torch
        from torch import fx
    except ImportError:
        raise MissingExtraError("PyTorch", "torch", "from_torch") from None
    if not isinstance(module, torch.nn.Module):
        raise ArgumentError(f"from_torch takes a torch.nn.Module, received {describe(module)}")
    shape = _input_shape(torch, module, input_shape)
    held = next((str(p.dtype) for p in module.parameters()), "torch.float32").removeprefix("torch.")
    single = fx.Tracer().is_leaf_module(module, "") and not isinstance(module, torch.nn.Sequential)
    whole = torch.nn.Sequential(module) if single else module
    try:
        graph = fx.Tracer().trace(whole)
    except Exception as error:  # whatever a stranger's forward does with symbols
        raise ArgumentError(
            f"from_torch cannot follow the forward of {type(module).__name__}: {error}; write it as an "
            "nn.Sequential, or without branches that depend on numbers"
        ) from error
    reading = _Reading(torch, whole, Building(shape))
    output = reading.read(graph)
    chosen = dtype or (held if held in ("float32", "float64") else "float32")
    return reading.building.network(output, chosen)


def _input_shape(torch: Any, module: Any, given: Any) -> tuple[int, ...]:
    if given is not None:
        return (int(given),) if isinstance(given, (int, np.integer)) else tuple(int(size) for size in given)
    for held in module.modules():
        if isinstance(held, torch.nn.Linear):
            return (int(held.in_features),)
        if not isinstance(held, torch.nn.Sequential | torch.nn.Flatten) and held is not module:
            break
    raise ArgumentError(
        "from_torch needs input_shape, the shape of one sample as the module takes it: (3, 32, 32) for "
        "images of 3 channels, (100, 16) for 100 steps of 16 features"
    )


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


class _Reading:
    """The nodes of a graph, one after the other."""

    def __init__(self, torch: Any, module: Any, building: Building) -> None:
        self.torch, self.module, self.building = torch, module, building
        self.values: dict[Any, Any] = {}
        self.tensors: dict[int, tuple[str, Any]] = {}  # a parameter -> the module that has it

    def read(self, graph: Any) -> Value:
        """The value that the graph puts out."""
        for node in graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.building.input
            elif node.op == "get_attr":
                raise ArgumentError(
                    f"{node.target}: a tensor of the module that is no layer's weight cannot be taken"
                )
            elif node.op == "output":
                output = self._known(node.args[0])
                if not isinstance(output, Value):
                    raise ArgumentError("from_torch takes modules with one output; this one gives several")
                return output
            else:
                self.values[node] = self._call(node)
        raise ArgumentError("the module has no output")

    def _known(self, argument: Any) -> Any:
        if isinstance(argument, tuple | list):
            return type(argument)(self._known(entry) for entry in argument)
        known = self.values.get(argument, argument) if hasattr(argument, "op") else argument
        if isinstance(known, _States):
            raise ArgumentError(
                f"{known.name}: the states after the last step are taken as output[:, -1] alone"
            )
        return known

    def _call(self, node: Any) -> Any:
        self.building.calls.begin(None)
        arguments = [self._known(argument) for argument in node.args]
        options = {name: self._known(value) for name, value in node.kwargs.items()}
        if node.op == "call_module":
            layer = self.module.get_submodule(node.target)
            return self._module(str(node.target), layer, arguments, options)
        name = (
            node.target
            if isinstance(node.target, str)
            else getattr(node.target, "__name__", str(node.target))
        )
        if name not in FUNCTIONS:
            raise ArgumentError(f"{node.name}: {name} has no layer in chainrule")
        return FUNCTIONS[name](self, node.name, *arguments, **options)

    def _module(self, name: str, layer: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
        kind = type(layer).__name__
        known = getattr(self.torch.nn, kind, None)
        if type(layer) is not known or kind not in MODULES:
            raise ArgumentError(f"{name}: {kind} has no layer in chainrule")
        self._check_tied(name, layer)
        self.building.calls.begin(layer if any(True for _ in layer.parameters()) else None)
        return MODULES[kind](self, name, layer, *arguments, **options)

    def _check_tied(self, name: str, layer: Any) -> None:
        """ArgumentError where a module shares a tensor that is not the matrix of a Linear or an Embedding."""
        for key, tensor in layer.named_parameters():
            by, held = self.tensors.setdefault(id(tensor), (name, layer))
            kinds = {type(one).__name__ for one in (layer, held)}
            if held is not layer and not (key == "weight" and kinds <= {"Linear", "Embedding"}):
                raise ArgumentError(
                    f"{name}: its {key} is that of {by}; the matrix of a Linear can be that of another "
                    "Linear or of an Embedding, nothing else"
                )


# -- modules -----------------------------------------------------------------------------------------------
def _linear(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.dense(name, x, _array(m.weight), None if m.bias is None else _array(m.bias))


def _frame(name: str, m: Any) -> list[tuple[int, int]]:
    """The padding of every axis."""
    if m.padding == "valid":
        return [(0, 0)] * len(m.kernel_size)
    if m.padding == "same":
        totals = [d * (k - 1) for d, k in zip(m.dilation, m.kernel_size, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in _sizes(m.padding, _axes(m))]


def _axes(m: Any) -> int:
    return 1 if type(m).__name__.endswith("1d") else 2


def _conv(r: _Reading, name: str, m: Any, x: Value) -> Value:
    b = None if m.bias is None else _array(m.bias)
    options: dict[str, Any] = {"stride": m.stride, "dilation": m.dilation, "groups": m.groups}
    frame, mode = _frame(name, m), getattr(m, "padding_mode", "zeros")
    if mode != "zeros" and any(map(any, frame)):
        x = r.building.pad(f"{name}_pad", x, frame, mode)
        frame = [(0, 0)] * len(frame)
    if m.transposed:
        options["output_padding"] = m.output_padding
        return r.building.transposed_convolution(name, x, _array(m.weight), b, pads=frame, **options)
    return r.building.convolution(name, x, _array(m.weight), b, pads=frame, **options)


def _padded(mode: str) -> Callable[..., Value]:
    """Modules, whose padding is (left, right, top, bottom)."""

    def read(r: _Reading, name: str, m: Any, x: Value) -> Value:
        sides = _by_axis(_sizes(m.padding, 2 * _axes(m)))
        if getattr(m, "value", 0):
            return r.building.framed(name, r.building.read(name, x, True), dict(enumerate(sides, 1)), m.value)
        return r.building.pad(name, x, sides, mode)

    return read


def _by_axis(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """(left, right, top, bottom) as ((top, bottom), (left, right))."""
    return list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]


def _pad(
    r: _Reading, name: str, x: Value, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Value:
    """F.pad of rows and columns."""
    axes = len(x.theirs) - 1
    every = [*pad, *(0 for _ in range(2 * axes - len(pad)))]
    if any(every[2 * axes :]) or axes not in (1, 2):
        raise ArgumentError(f"{name}: a padding of the axes of channels or samples has no layer in chainrule")
    x = r.building.read(name, x, True)
    if value:
        return r.building.framed(name, x, dict(enumerate(_by_axis(every), 1)), float(value))
    return r.building.pad(name, x, _by_axis(every), "zeros" if mode == "constant" else mode)


def _upsample(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return _interpolate(r, name, x, m.size, m.scale_factor, m.mode, m.align_corners)


def _interpolate(
    r: _Reading, name: str, x: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, **options: Any,
) -> Value:  # fmt: skip
    if mode not in RESIZED or options.get("antialias"):
        raise ArgumentError(f"{name}: mode={mode!r} with {options} has no layer in chainrule")
    x = r.building.read(name, x, True)
    *positions, _ = x.ours
    if scale_factor is None:
        sizes = [int(n) for n in _sizes(size, len(positions))]
        factors = [new / old for new, old in zip(sizes, positions, strict=True)]
    else:
        given = [float(factor) for factor in _sizes(scale_factor, len(positions))]
        sizes = [int(old * factor) for old, factor in zip(positions, given, strict=True)]
        kept = options.get("recompute_scale_factor")
        factors = [n / old for n, old in zip(sizes, positions, strict=True)] if kept else given
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if whole and mode in ("nearest", "nearest-exact", "linear", "bilinear") and not align_corners:
        return r.building.upsample(name, x, [int(factor) for factor in factors], "linear" in mode)
    kind, coordinates, rounds = RESIZED[mode]
    how = Resizing(kind, "align_corners" if align_corners else coordinates, rounds)
    for axis, (old, new, factor) in enumerate(zip(positions, sizes, factors, strict=True), 1):
        scale = new / old if align_corners else factor
        x = r.building.along(f"{name}_{axis}", x, axis, how.taps(old, new, scale))
    return x


# (mode, where a pixel lies, how it is rounded), as ONNX names them.
RESIZED = {
    "nearest": ("nearest", "asymmetric", "floor"),
    "nearest-exact": ("nearest", "half_pixel", "round_prefer_ceil"),
    **dict.fromkeys(("linear", "bilinear"), ("linear", "half_pixel", "floor")),
    "bicubic": ("cubic", "half_pixel", "floor"),
}


def _axis(name: str, x: Value, dim: int) -> int:
    """Which axis of a sample an axis of theirs is, whose samples are axis 0."""
    place = dim % (len(x.theirs) + 1) - 1
    if place < 0:
        raise ArgumentError(f"{name}: dim={dim} goes over the samples, which stay apart in chainrule")
    return place


def _sizes(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes


def _pooled(kind: str) -> Callable[..., Value]:
    """F.max_pool2d and its kin, along as many axes as the input has; a module gives its own options."""

    def read(
        r: _Reading, name: str, x: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, *,
        axes: int | None = None, dilation: Any = 1, norm_type: float = 2, count_include_pad: bool = True,
        ceil_mode: bool = False, **others: Any,
    ) -> Value:  # fmt: skip
        axes = len(x.theirs) - 1 if axes is None else axes
        for option, value in others.items():  # return_indices, divisor_override
            if value:
                raise ArgumentError(f"{name}: a pooling with {option}={value} has no layer in chainrule")
        if kind == "l2" and (norm_type % 2 or norm_type < 2):
            raise ArgumentError(
                f"{name}: a pooling by the norm {norm_type} has no layer in chainrule: PyTorch leaves out "
                "the absolute value, which makes a norm of even numbers alone"
            )
        kernel = _sizes(kernel_size, axes)
        step = kernel if stride is None else _sizes(stride, axes)
        pads = [(p, p) for p in _sizes(padding, axes)]
        counts = kind == "average" and bool(count_include_pad)
        return r.building.pool(
            name, x, kind, kernel, step, pads, dilation=_sizes(dilation, axes), norm=float(norm_type),
            ceil_mode=bool(ceil_mode), count_padding=counts,
        )  # fmt: skip

    return read


# Of the modules of pooling, beside kernel_size and stride; not every one has all.
POOL_OPTIONS = (
    *("padding", "dilation", "norm_type", "count_include_pad"),
    *("ceil_mode", "return_indices", "divisor_override"),
)


def _pool(kind: str) -> Callable[..., Value]:
    pooled = _pooled(kind)

    def read(r: _Reading, name: str, m: Any, x: Value) -> Value:
        options = {option: getattr(m, option) for option in POOL_OPTIONS if hasattr(m, option)}
        return pooled(r, name, x, m.kernel_size, m.stride, axes=_axes(m), **options)

    return read


def _adaptively(kind: str) -> Callable[..., Value]:
    def read(r: _Reading, name: str, x: Value, output_size: Any) -> Value:
        x = r.building.read(name, x, True)
        *positions, _ = x.ours
        told = _sizes(output_size, len(positions))
        sizes = [old if new is None else int(new) for old, new in zip(positions, told, strict=True)]
        if set(sizes) == {1}:
            return r.building.global_pool(name, x, kind, keep=True)
        return r.building.adaptive(name, x, kind, sizes)

    return read


def _adaptive(kind: str) -> Callable[..., Value]:
    pooled = _adaptively(kind)
    return lambda r, name, m, x: pooled(r, name, x, m.output_size)


def _batch_norm(r: _Reading, name: str, m: Any, x: Value) -> Value:
    if m.running_mean is None:
        raise ArgumentError(f"{name}: a BatchNorm without running statistics has no layer here")
    numbers = {**_scales(m), "mean": _array(m.running_mean), "variance": _array(m.running_var)}
    if m.momentum is None:
        numbers["batches"] = np.array([float(m.num_batches_tracked)])
    return r.building.batch_norm(name, x, numbers, m.eps, m.momentum)


def _scales(m: Any) -> dict[str, Array]:
    """γ and β, where there are."""
    given = {"gamma": m.weight, "beta": getattr(m, "bias", None)}
    return {key: _array(value) for key, value in given.items() if value is not None}


def _layer_norm(r: _Reading, name: str, m: Any, x: Value) -> Value:
    rms = type(m).__name__ == "RMSNorm"
    epsilon = r.torch.finfo(r.torch.float32).eps if m.eps is None else m.eps
    axes = len(m.normalized_shape)
    return r.building.last_norm(name, x, "rms" if rms else "layer", _scales(m), epsilon, axes)


def _group_norm(r: _Reading, name: str, m: Any, x: Value) -> Value:
    if getattr(m, "track_running_stats", False):
        raise ArgumentError(f"{name}: an InstanceNorm with running statistics has no layer in chainrule")
    groups = getattr(m, "num_groups", None)
    kind = "instance" if groups is None else "group"
    return r.building.norm(name, x, kind, _scales(m), m.eps, groups or 1)


def _local_norm(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.local_norm(name, x, m.size, m.alpha, m.beta, m.k)


def _flatten(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return _flat(r, name, x, m.start_dim, m.end_dim)


def _embedding(r: _Reading, name: str, m: Any, x: Value) -> Value:
    if m.max_norm is not None:
        raise ArgumentError(f"{name}: max_norm has no layer in chainrule")
    E = _array(m.weight)
    if m.padding_idx is not None and np.any(E[m.padding_idx]):
        raise ArgumentError(
            f"{name}: the row of padding_idx={m.padding_idx} is not zero, and would be zeros in chainrule"
        )
    return r.building.embedding(name, x, E, None)


def _recurrent(kind: str) -> Callable[..., Any]:
    def read(r: _Reading, name: str, m: Any, x: Value, *states: Any) -> Any:
        if states or not m.batch_first or vars(m).get("proj_size"):
            raise ArgumentError(
                f"{name}: {kind} is taken with batch_first=True, without given states or projections"
            )
        options = {"activation": m.nonlinearity} if kind == "RNN" else {}
        for number in range(m.num_layers):
            ends = ("", "_reverse") if m.bidirectional else ("",)
            given = [_cell(m, f"_l{number}{end}", kind) for end in ends]
            if number and m.dropout:
                x = r.building.entrywise(f"{name}_dropout", x, Dropout(m.dropout))
            x = r.building.recurrent(name, x, kind, given, ORDERS[kind], every=True, **options)
        return _Steps(name, x)

    return read


def _cell(m: Any, end: str, kind: str) -> dict[str, Array]:
    W, U = _array(getattr(m, f"weight_ih{end}")), _array(getattr(m, f"weight_hh{end}"))
    if not m.bias:
        return {"W": W, "U": U}
    b, c = (_array(getattr(m, f"bias_{which}{end}")) for which in ("ih", "hh"))
    return cell(kind, W, U, b, c)


class _Steps:
    """What a recurrent module gives: (the outputs of all steps, the states after the last)."""

    def __init__(self, name: str, every: Value) -> None:
        self.name, self.every = name, every

    def item(self, place: Any) -> Any:
        return self.every if place == 0 else _States(self.name)


@dataclass(frozen=True)
class _States:
    """The states after the last step, which nothing may read."""

    name: str


def _attention_block(r: _Reading, name: str, m: Any, x: Value) -> Value:
    """nn.TransformerEncoderLayer."""
    b = r.building
    called = getattr(m.activation, "__name__", type(m.activation).__name__.lower())
    act: type[Layer] | None = {"relu": ReLU, "gelu": GELU}.get(called)
    if act is None or not m.self_attn.batch_first:
        raise ArgumentError(
            f"{name}: an encoder layer is taken with batch_first=True and the activation relu or gelu"
        )

    def attention(x: Value) -> Value:
        y = b.attention(f"{name}_self_attn", x, m.self_attn.num_heads, _projections(name, m.self_attn))
        return dropped(y, m.dropout1)

    def dropped(y: Value, layer: Any) -> Value:
        return b.entrywise(f"{name}_dropout", y, Dropout(layer.p)) if layer.p else y

    def dense(x: Value) -> Value:
        y = _linear(r, f"{name}_linear1", m.linear1, x)
        y = dropped(b.entrywise(f"{name}_{act.kind}", y, act()), m.dropout)
        return dropped(_linear(r, f"{name}_linear2", m.linear2, y), m.dropout2)

    for part, norm in ((attention, m.norm1), (dense, m.norm2)):
        if m.norm_first:
            x = b.join(f"{name}_residual", [x, part(_layer_norm(r, f"{name}_norm", norm, x))], "sum")
        else:
            x = _layer_norm(r, f"{name}_norm", norm, b.join(f"{name}_residual", [x, part(x)], "sum"))
    return x


def _projections(name: str, m: Any) -> dict[str, Array]:
    if m.in_proj_weight is None or m.bias_k is not None or m.add_zero_attn:
        raise ArgumentError(
            f"{name}: attention is taken with queries, keys and values of one size, without bias_k"
        )
    W = dict(zip(("W_q", "W_k", "W_v"), np.split(_array(m.in_proj_weight), 3), strict=True))
    W["W_o"] = _array(m.out_proj.weight)
    if m.in_proj_bias is not None:
        b_q, _, b_v = np.split(_array(m.in_proj_bias), 3)
        W |= {"b_q": b_q, "b_v": b_v, "b_o": _array(m.out_proj.bias)}
    return W


def _self_attention(
    r: _Reading, name: str, m: Any, x: Value, key: Value, value: Value, **options: Any
) -> Any:
    unknown = {key: given for key, given in options.items() if given is not None and key != "need_weights"}
    if key is not x or value is not x or unknown or not m.batch_first or m.dropout:
        raise ArgumentError(
            f"{name}: attention is taken of a sequence with itself, batch_first=True, no masks, no dropout"
        )
    return (r.building.attention(name, x, m.num_heads, _projections(name, m)), None)


def _entrywise(make: Callable[[Any], Layer]) -> Callable[..., Value]:
    return lambda r, name, m, x: r.building.entrywise(name, x, make(m))


def _only(name: str, condition: bool, meant: str) -> None:
    if not condition:
        raise ArgumentError(f"{name} is taken with {meant}")


def _softplus(m: Any) -> Layer:
    return _softplus_of(m.beta, m.threshold)


def _softplus_of(beta: float = 1.0, threshold: float = 20.0) -> Layer:
    """Beyond βz = 20 the formula itself is z to 2e-9."""
    return Softplus() if (beta, threshold) == (1, 20) else Softplus(beta, threshold)


def _gelu(m: Any) -> Layer:
    return GELU(approximate=m.approximate)


def _hardtanh(m: Any) -> Layer:
    return HardTanh(m.min_val, m.max_val)


def _prelu(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.prelu(name, x, _array(m.weight), True)


def _softmax(r: _Reading, name: str, m: Any, x: Value) -> Value:
    return r.building.softmax(name, x, _axis(name, x, 1 if m.dim is None else m.dim))


MODULES: dict[str, Callable[..., Any]] = {
    "Linear": _linear,
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), _conv),
    **dict.fromkeys(("MaxPool1d", "MaxPool2d"), _pool("max")),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d"), _pool("average")),
    **dict.fromkeys(("LPPool1d", "LPPool2d"), _pool("l2")),
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d"), _adaptive("average")),
    **dict.fromkeys(("AdaptiveMaxPool1d", "AdaptiveMaxPool2d"), _adaptive("max")),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d"), _batch_norm),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), _layer_norm),
    **dict.fromkeys(("GroupNorm", "InstanceNorm1d", "InstanceNorm2d"), _group_norm),
    "LocalResponseNorm": _local_norm,
    **dict.fromkeys(("ZeroPad1d", "ZeroPad2d", "ConstantPad1d", "ConstantPad2d"), _padded("zeros")),
    **dict.fromkeys(("ReflectionPad1d", "ReflectionPad2d"), _padded("reflect")),
    **dict.fromkeys(("ReplicationPad1d", "ReplicationPad2d"), _padded("replicate")),
    **dict.fromkeys(("CircularPad1d", "CircularPad2d"), _padded("circular")),
    **dict.fromkeys(("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), _upsample),
    "PixelShuffle": lambda r, name, m, x: r.building.shuffle(name, x, m.upscale_factor),
    "Flatten": _flatten,
    "Unflatten": lambda r, name, m, x: _unflatten(r, name, x, m.dim, m.unflattened_size),
    "ChannelShuffle": lambda r, name, m, x: r.building.channel_shuffle(name, x, m.groups),
    "PixelUnshuffle": lambda r, name, m, x: r.building.unshuffle(name, x, m.downscale_factor),
    "LogSoftmax": lambda r, name, m, x: r.building.over_axis(
        name, x, _axis(name, x, 1 if m.dim is None else m.dim), LogSoftmax()
    ),
    "GLU": lambda r, name, m, x: _glu(r, name, x, m.dim),
    "Embedding": _embedding,
    **{kind: _recurrent(kind) for kind in ORDERS},
    "TransformerEncoderLayer": _attention_block,
    "MultiheadAttention": _self_attention,
    "Softmax": _softmax,
    "PReLU": _prelu,
    "Identity": lambda r, name, m, x: x,
    "Dropout": _entrywise(lambda m: Dropout(m.p)),
    "ReLU": _entrywise(lambda m: ReLU()),
    "LeakyReLU": _entrywise(lambda m: LeakyReLU(m.negative_slope)),
    "ELU": _entrywise(lambda m: ELU(m.alpha)),
    "SELU": _entrywise(lambda m: SELU()),
    "GELU": _entrywise(_gelu),
    "SiLU": _entrywise(lambda m: SiLU()),
    "Mish": _entrywise(lambda m: Mish()),
    "Sigmoid": _entrywise(lambda m: Sigmoid()),
    "Tanh": _entrywise(lambda m: Tanh()),
    "Softplus": _entrywise(_softplus),
    "Softsign": _entrywise(lambda m: Softsign()),
    "Hardtanh": _entrywise(_hardtanh),
    "ReLU6": _entrywise(lambda m: ReLU6()),
    "CELU": _entrywise(lambda m: CELU(m.alpha)),
    "LogSigmoid": _entrywise(lambda m: LogSigmoid()),
    "Threshold": _entrywise(lambda m: Threshold(m.threshold, m.value)),
    "Hardshrink": _entrywise(lambda m: HardShrink(m.lambd)),
    "Softshrink": _entrywise(lambda m: SoftShrink(m.lambd)),
    "Tanhshrink": _entrywise(lambda m: TanhShrink()),
    "Hardsigmoid": _entrywise(lambda m: HardSigmoid()),
    "Hardswish": _entrywise(lambda m: HardSwish()),
}


# -- functions and methods ---------------------------------------------------------------------------------
def _flat(r: _Reading, name: str, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(x.theirs) + 1
    start, end = start_dim % rank, end_dim % rank
    if start == 1 and end == rank - 1:
        return r.building.flatten(name, x)
    if start < 1:
        raise ArgumentError(
            f"{name}: flatten(start_dim={start_dim}) puts samples together; write start_dim=1"
        )
    sizes = x.theirs
    return r.building.reshaped(
        name, x, (*sizes[: start - 1], int(np.prod(sizes[start - 1 : end])), *sizes[end:])
    )


def _view(r: _Reading, name: str, x: Value, *shape: Any) -> Value:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    whole, rest = int(np.prod(x.theirs)), [int(size) for size in sizes[1:]]
    if len(rest) == 1 and rest[0] in (-1, whole):
        return r.building.flatten(name, x)
    known = int(np.prod([size for size in rest if size != -1]))
    fits = rest and rest.count(-1) <= 1 and (whole % known == 0 if -1 in rest else known == whole)
    if not fits:  # of two -1 the first is x.size(0)
        raise ArgumentError(
            f"{name}: view and reshape are taken with the samples first, x.view(x.size(0), ...), received "
            f"{sizes}"
        )
    return r.building.reshaped(name, x, tuple(whole // known if size == -1 else size for size in rest))


def _unflatten(r: _Reading, name: str, x: Value, dim: int, sizes: Any) -> Value:
    axis = _axis(name, x, dim)
    given = [int(size) for size in sizes]
    known = int(np.prod([size for size in given if size != -1]))
    made = [x.theirs[axis] // known if size == -1 else size for size in given]
    return r.building.reshaped(name, x, (*x.theirs[:axis], *made, *x.theirs[axis + 1 :]))


def _sum(r: _Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) != isinstance(b, Value):
        value, number = (a, b) if isinstance(a, Value) else (b, a)
        if isinstance(number, int | float):
            return r.building.plus(name, value, np.array(float(number)))
    if not (isinstance(a, Value) and isinstance(b, Value)):
        raise ArgumentError(f"{name}: a tensor added to a value has no layer in chainrule")
    return r.building.join(name, [a, b], "sum")


def _cat(r: _Reading, name: str, tensors: Sequence[Value], dim: int = 0) -> Value:
    return r.building.join(name, list(tensors), "concat", _axis(name, tensors[0], dim))


def _mean(r: _Reading, name: str, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
    axes = len(x.theirs)
    given = sorted(d % (axes + 1) for d in (dim if isinstance(dim, tuple | list) else [dim]) if d is not None)
    if axes > 1 and given == [*range(2, axes + 1)] and x.layout.first is not False:
        return r.building.global_pool(name, x, "average", bool(keepdim))
    if axes == 2 and given == [1] and x.layout.first is not True and not keepdim:
        turned = r.building.transpose(name, x, (0, 2, 1))
        return r.building.global_pool(name, turned, "average", keep=False)
    raise ArgumentError(
        f"{name}: a mean is taken over all rows and columns, mean(dim=(2, 3)), or over the steps"
    )


def _permute(r: _Reading, name: str, x: Value, *dims: Any) -> Value:
    perm = dims[0] if len(dims) == 1 else dims
    return r.building.transpose(name, x, [d % (len(x.theirs) + 1) for d in perm])


def _swap(r: _Reading, name: str, x: Value, a: int, b: int) -> Value:
    perm = [*range(len(x.theirs) + 1)]
    perm[a], perm[b] = perm[b], perm[a]
    return r.building.transpose(name, x, perm)


def _item(r: _Reading, name: str, x: Any, place: Any) -> Any:
    if isinstance(x, _Steps):
        return x.item(place)
    if isinstance(x, tuple):
        return x[place]
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


def _part(r: _Reading, name: str, x: Value, places: Sequence[Any]) -> Value:
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
    return r.building.reshaped(f"{name}_axes", x, (*kept, *x.theirs[len(told) :]))


def _last_step(r: _Reading, name: str, x: Value) -> Value:
    """output[:, -1]: the recurrent layer itself puts out its last state instead."""
    layer = x.node.layers[-1] if x.node and x.node.layers else None
    if layer is None or getattr(layer, "outputs", "") != "all" or getattr(layer, "reverse", False):
        raise ArgumentError(f"{name}: the last step is taken of a recurrent layer of one direction")
    vars(layer)["outputs"] = "last"
    return Value(x.theirs[1:], Layout(False), x.node)


def _squeeze(r: _Reading, name: str, x: Value, dim: int) -> Value:
    axis = _axis(name, x, dim)
    if x.theirs[axis] != 1:
        return x
    return r.building.reshaped(name, x, (*x.theirs[:axis], *x.theirs[axis + 1 :]))


def _unsqueeze(r: _Reading, name: str, x: Value, dim: int) -> Value:
    place = dim % (len(x.theirs) + 2) - 1
    if place < 0:
        raise ArgumentError(f"{name}: unsqueeze({dim}) stands in front of the samples")
    return r.building.reshaped(name, x, (*x.theirs[:place], 1, *x.theirs[place:]))


def _size(r: _Reading, name: str, x: Value, dim: Any = None) -> Any:
    sizes = (-1, *x.theirs)  # the samples: not known
    return sizes if dim is None else sizes[dim]


def _function(make: Callable[..., Layer]) -> Callable[..., Value]:
    def read(
        r: _Reading, name: str, x: Value, *arguments: Any, inplace: bool = False, **options: Any
    ) -> Value:
        return r.building.entrywise(name, x, make(*arguments, **options))

    return read


def _dropout(
    r: _Reading, name: str, x: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Value:
    return r.building.entrywise(name, x, Dropout(p)) if training and p else x


def _glu(r: _Reading, name: str, x: Value, dim: int = -1) -> Value:
    """The gate reads halves of the last axis."""
    b, axis = r.building, _axis(name, x, dim)
    if axis == 0 and len(x.theirs) > 1:
        read = b.read(name, x, True)
    else:
        read = b.plain(name, x)
        if axis != len(x.theirs) - 1:
            raise ArgumentError(f"{name}: GLU goes over the channels or the last axis, received dim={dim}")
    theirs = list(x.theirs)
    theirs[axis] //= 2
    return Value(tuple(theirs), Layout(read.layout.first), b.node(name, read, GLU()))


def _reduce(mean: bool) -> Callable[..., Value]:
    """Sums and means over any axes but that of samples."""

    def read(r: _Reading, name: str, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
        if mean:
            try:
                return _mean(r, name, x, dim, keepdim)
            except ArgumentError:
                pass
        if dim is None:
            raise ArgumentError(f"{name}: a sum or a mean over all, samples too, has no layer in chainrule")
        axes = sorted(_axis(name, x, d) for d in (dim if isinstance(dim, tuple | list) else [dim]))
        for axis in axes:
            size = x.theirs[axis]
            share = 1 / size if mean else 1.0
            x = r.building.along(f"{name}_{axis}", x, axis, (tuple((i, share) for i in range(size)),))
        if keepdim:
            return x
        kept = tuple(size for axis, size in enumerate(x.theirs) if axis not in axes)
        return r.building.reshaped(f"{name}_axes", x, kept)

    return read


def _product(r: _Reading, name: str, a: Any, b: Any) -> Value:
    value, number = (a, b) if isinstance(a, Value) else (b, a)
    if not isinstance(value, Value) or not isinstance(number, int | float):
        raise ArgumentError(f"{name}: a product of two values, or with a tensor, has no layer in chainrule")
    return r.building.times(name, value, np.array(float(number)))


def _quotient(r: _Reading, name: str, a: Any, b: Any) -> Value:
    if not isinstance(a, Value) or not isinstance(b, int | float):
        raise ArgumentError(f"{name}: a quotient is taken of a value by a number")
    return r.building.times(name, a, np.array(1.0 / b))


def _difference(r: _Reading, name: str, a: Any, b: Any) -> Value:
    if isinstance(a, Value) and isinstance(b, int | float):
        return r.building.plus(name, a, np.array(-float(b)))
    if isinstance(b, Value) and isinstance(a, int | float):
        return r.building.plus(
            name, r.building.times(f"{name}_negative", b, np.array(-1.0)), np.array(float(a))
        )
    raise ArgumentError(f"{name}: a difference of two values, or with a tensor, has no layer in chainrule")


def _softmaxed(r: _Reading, name: str, x: Value, dim: int = 1, **options: Any) -> Value:
    return r.building.softmax(name, x, _axis(name, x, dim))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "flatten": _flat,
    **dict.fromkeys(("view", "reshape"), _view),
    **dict.fromkeys((operator.add.__name__, operator.iadd.__name__, "add", "add_"), _sum),
    **dict.fromkeys(("cat", "concat"), _cat),
    "mean": _reduce(mean=True),
    "sum": _reduce(mean=False),
    **dict.fromkeys(("mul", "mul_", "multiply", "imul"), _product),
    **dict.fromkeys(("truediv", "div", "divide"), _quotient),
    **dict.fromkeys(("sub", "subtract"), _difference),
    "neg": lambda r, name, x: r.building.times(name, x, np.array(-1.0)),
    "unflatten": _unflatten,
    "squeeze": lambda r, name, x, dim: _squeeze(r, name, x, dim),
    "unsqueeze": lambda r, name, x, dim: _unsqueeze(r, name, x, dim),
    "glu": _glu,
    "log_softmax": lambda r, name, x, dim=1, **options: r.building.over_axis(
        name, x, _axis(name, x, dim), LogSoftmax()
    ),
    "channel_shuffle": lambda r, name, x, groups: r.building.channel_shuffle(name, x, groups),
    "pixel_unshuffle": lambda r, name, x, downscale_factor: r.building.unshuffle(name, x, downscale_factor),
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes"), _swap),
    "getitem": _item,
    "size": _size,
    "getattr": lambda r, name, x, what: _size(r, name, x) if what == "shape" else None,
    "contiguous": lambda r, name, x: x,
    "local_response_norm": lambda r, name, x, size, alpha=1e-4, beta=0.75, k=1.0: r.building.local_norm(
        name, x, size, alpha, beta, k
    ),
    "pad": _pad,
    "interpolate": _interpolate,
    "pixel_shuffle": lambda r, name, x, upscale_factor: r.building.shuffle(name, x, upscale_factor),
    "dropout": _dropout,
    **dict.fromkeys(("softmax", "_softmax"), _softmaxed),
    **dict.fromkeys(("relu", "relu_"), _function(ReLU)),
    "leaky_relu": _function(lambda negative_slope=0.01: LeakyReLU(negative_slope)),
    "elu": _function(lambda alpha=1.0: ELU(alpha)),
    "selu": _function(SELU),
    "gelu": _function(lambda approximate="none": GELU(approximate=approximate)),
    "silu": _function(SiLU),
    "mish": _function(Mish),
    **dict.fromkeys(("sigmoid", "sigmoid_"), _function(Sigmoid)),
    **dict.fromkeys(("tanh", "tanh_"), _function(Tanh)),
    "softplus": _function(_softplus_of),
    "relu6": _function(ReLU6),
    "logsigmoid": _function(LogSigmoid),
    "softsign": _function(Softsign),
    "hardswish": _function(HardSwish),
    "hardsigmoid": _function(HardSigmoid),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "boolean_dispatch"), _pooled("max")),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _pooled("average")),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _adaptively("average")),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), _adaptively("max")),
}
