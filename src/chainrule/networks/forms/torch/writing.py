"""A network as a torch.nn.Module: one module per layer, under its name, with channels in front where PyTorch
wants them.

Gradients are PyTorch's own; they are those of our formulas to rounding. What has no module is refused.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, MissingExtraError
from chainrule.base.scalars import check_choice
from chainrule.base.types import Array, Shape
from chainrule.formulas.primitives.grid import KEPT
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    GLU,
    GRU,
    LSTM,
    RNN,
    SELU,
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Bias,
    Clamp,
    Composite,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Crop1D,
    Crop2D,
    Crop3D,
    Dense,
    DenseTranspose,
    DepthwiseConv2D,
    Dropout,
    Embedding,
    Features,
    Flatten,
    Floor,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Identity,
    InstanceNorm,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LayerNorm,
    LeakyReLU,
    LearnedPositions,
    LocalResponseNorm,
    LogSigmoid,
    LogSoftmax,
    LpPool1D,
    LpPool2D,
    LpPool3D,
    Masking,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
    MaxUnpool1D,
    MaxUnpool2D,
    MaxUnpool3D,
    Mish,
    MultiHeadAttention,
    Pad1D,
    Pad2D,
    Pad3D,
    ParametricActivation,
    Part,
    PeriodicEmbedding,
    Permute,
    PixelShuffle,
    PositionalEncoding,
    PReLU,
    ReLU,
    ReLU6,
    Resample,
    Reshape,
    RMSNorm,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    SoftShrink,
    Softsign,
    SwiGLU,
    Tanh,
    TanhShrink,
    Threshold,
    UpSample1D,
    UpSample2D,
    UpSample3D,
    Wiring,
    Wrap,
)  # fmt: skip
from chainrule.layers.parts import places_of
from chainrule.layers.sequences.attention import GIVEN
from chainrule.layers.structure import shape_after
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS, AdaptivePool
from chainrule.networks.model import Model

Arrays = Mapping[str, Array]
FIRST, LAST, ANY = True, False, None  # where a module has the channels


def torch_module(network: Model, channels: str) -> Any:
    """The module of a network; arguments and errors as of `Network.to_torch`."""
    check_choice("to_torch channels", channels, ("last", "first"))
    try:
        import torch
    except ImportError:
        raise MissingExtraError("PyTorch", "torch", "to_torch") from None
    from chainrule.networks.forms.torch import modules, several

    writing = Writing(torch, modules, several, network)
    first, before = channels == "first", torch.get_default_dtype()
    torch.set_default_dtype(writing.dtype)
    try:
        made, ended = writing.chain(network.layers, network.input_shape, first)
        if len(network.output_shape) > 1 and ended is not first:
            made.append(("output", writing.turned(network.output_shape, first)))
        return writing.whole(made, first)
    finally:
        torch.set_default_dtype(before)


@dataclass
class Made:
    """A module, and where it leaves the channels; the parameters of ours that it has."""

    module: Any
    parameters: Sequence[tuple[str, str, tuple[Any, ...]]] = ()
    first: bool | None = ANY


class Writing:
    """A network on its way into modules."""

    def __init__(self, torch: Any, modules: Any, several: Any, network: Model) -> None:
        self.torch, self.nn, self.own, self.network = torch, torch.nn, modules, network
        self.several = several
        self.dtype = getattr(torch, str(np.dtype(network.dtype)))
        self.readings: list[tuple[str, str, tuple[Any, ...]]] = []
        self.layers: dict[int, str] = {}  # a module that is a layer -> its name
        self.known: dict[str, tuple[str, tuple[Any, ...]]] = {}  # parameter -> how it lies, and where

    def whole(self, made: Sequence[Any], first: bool) -> Any:
        """The module, with the names of its tensors known, and the network that it is."""
        module = self.own.Translated(self._named(made))
        paths = {id(held): name for name, held in [*module.named_parameters(), *module.named_buffers()]}
        module.shapes = {name: array.shape for name, array in self.network.parameters.items()}
        module.readings = [
            (name, how, tuple(paths[id(held)] for held in tensors)) for name, how, tensors in self.readings
        ]
        module.calls = self._calls(module)
        shape = self.network.input_shape
        module.origin = self.network.copy()
        module.takes = (shape[-1], *shape[:-1]) if first and len(shape) > 1 else shape
        module = module.to(self.dtype)
        module.made = module.described()
        return module

    def _named(self, made: Sequence[Any]) -> Any:
        return OrderedDict(made)

    def _calls(self, module: Any) -> dict[str, str]:
        """Every tensor's name within -> by the name of its layer, as PyTorch's own module of that name has
        it; names that two would have are left as they are.
        """
        calls = dict.fromkeys(module.state_dict())
        for path, part in module.named_modules():
            if id(part) in self.layers:
                inner = next((key for key in ("cell", "attention") if hasattr(part, key)), "")
                for key in part.state_dict():
                    own = key.removeprefix(f"{inner}.") if inner else key
                    calls[f"{path}.{key}"] = f"{self.layers[id(part)]}.{own}"
        made = {key: called or key for key, called in calls.items()}
        return made if len(set(made.values())) == len(made) else {}

    # -- the layers ------------------------------------------------------------------------------------------
    def chain(self, layers: Sequence[Layer], shape: Shape, first: bool) -> tuple[list[Any], bool]:
        """((name, module) of the layers in order, where the channels are at the end)."""
        made: list[Any] = []
        for layer in layers:
            after = self.network.shapes[str(layer.name)]
            name = re.sub(r"\W", "_", str(layer.name))
            if isinstance(layer, Composite):
                part, first = self._composite(layer, shape, first)
                made.append((name, part))
                shape = after
                continue
            wanted = self._wanted(layer, shape)
            if wanted is not ANY and wanted is not first and len(shape) > 1 and type(layer) is not Embedding:
                made.append((f"{name}_channels", self.turned(shape, bool(wanted))))
                first = bool(wanted)
            built = WRITERS[type(layer)](self, layer, shape, after, first)
            self._keep(layer, built)
            self.layers[id(built.module)] = str(layer.name)
            made.append((name, built.module))
            first = first if built.first is ANY else built.first
            shape = after
        return made, first

    def _wanted(self, layer: Layer, shape: Shape) -> bool | None:
        kind = type(layer)
        if kind is Masking:
            raise ArgumentError(
                f"to_torch cannot write {layer.name}, {layer!r}: PyTorch's modules pass on no mask of "
                "padding; leave Masking out, and give the module sequences of one length"
            )
        if kind not in WRITERS:
            raise ArgumentError(
                f"to_torch cannot write {layer.name}, {layer!r}: PyTorch has no module for it; a layer of "
                "your own is a torch.nn.Module of your own there"
            )
        if kind is Embedding and layer.padding is not None:  # type: ignore[attr-defined]
            raise ArgumentError(
                f"to_torch cannot write {layer.name}, {layer!r}: PyTorch's modules pass on no mask of "
                "padding; write Embedding without padding"
            )
        return WANTED.get(kind, LAST) if kind not in EITHER else ANY

    def _keep(self, layer: Layer, made: Made) -> None:
        """The numbers of the layer, in its tensors."""
        given, names = self.network.layer_parameters(layer), self.network.parameter_names(layer)
        for name, how, tensors in made.parameters:
            lies, known = self.known.setdefault(names[name], (how, tensors))
            if known is not tensors:  # of a layer before it that shares them
                if lies != how or any(a.shape != b.shape for a, b in zip(tensors, known, strict=True)):
                    raise self.refuse(layer, f"it shares {names[name]}, which lies otherwise there")
                for mine, theirs in zip(tensors, known, strict=True):
                    _tie(made.module, mine, theirs)
                continue
            self.readings.append((names[name], how, tensors))
            write(self.torch, how, tensors, given[name])

    def _wiring(self, layer: Wiring, shape: Shape, first: bool) -> tuple[Any, bool]:
        """Chains that read each other, a join the first of those that read several."""
        chains, values = [], [(shape, first)]
        for chain, sources in zip(layer.chains, layer.reads, strict=True):
            read = [values[source] for source in sources]
            before, own = read[0]
            made: list[Any] = []
            if len(sources) > 1:
                join: Any = chain[0]
                own = all(front for _, front in read) and len(before) > 1 and join.join != "row"
                turns = [
                    self.nn.Identity() if len(of) < 2 or front is own else self.turned(of, own)
                    for of, front in read
                ]
                before, chain = self.network.shapes[str(join.name)], chain[1:]
                made.append(("join", self.several.Join(join.join, 1 if own else -1, turns)))
            parts, end = self.chain(chain, before, own)
            made += parts
            chains.append(self.nn.Sequential(self._named(made)))
            values.append((shape_after(chain, before, self.network.shapes), end))
        return self.several.Wired(chains, layer.reads), values[-1][1]

    def _composite(self, layer: Composite, shape: Shape, first: bool) -> tuple[Any, bool]:
        if isinstance(layer, Wiring):
            return self._wiring(layer, shape, first)
        if type(layer).__name__ not in ("Residual", "Parallel", "Sequential", "Bidirectional"):
            raise ArgumentError(f"to_torch cannot write {layer.name}, a {type(layer).__name__}")
        ends = [self.chain(branch, shape, first) for branch in layer.chains]
        after = self.network.shapes[str(layer.name)]
        together = all(end for _, end in ends) and len(after) > 1
        branches = []
        for number, (parts, end) in enumerate(ends):
            if len(after) > 1 and end is not together:
                parts = [*parts, (f"turned{number}", self.turned(after, together))]
            branches.append(self.nn.Sequential(self._named(parts)) if parts else self.nn.Identity())
        if len(branches) == 1:
            return branches[0], together
        return self.own.Branches(branches, layer.join, 1 if together else -1), together

    def turned(self, shape: Shape, first: bool) -> Any:
        """Channels to the front or to the end of samples of a shape, as ours has it."""
        last = len(shape) - 1
        return self.own.Permute(*((last, *range(last)) if first else (*range(1, last + 1), 0)))

    def refuse(self, layer: Layer, what: str) -> ArgumentError:
        return ArgumentError(f"to_torch cannot write {layer.name}, {layer!r}: {what}")


# -- what lies where -----------------------------------------------------------------------------------------
def write(torch: Any, how: str, tensors: Sequence[Any], array: Array) -> None:
    """Our array into PyTorch's tensors."""
    with torch.no_grad():
        target, value = (
            tensors[0],
            np.ascontiguousarray(np.moveaxis(array, -1, 1) if how == "kernel" else array),
        )
        if how.startswith("part "):
            target = target.chunk(3)[int(how[-1])]
        if how in ("bias", "bias of gru"):
            tensors[1].zero_()
        target.copy_(torch.as_tensor(value).reshape(target.shape))


def _tie(module: Any, mine: Any, theirs: Any) -> None:
    """One tensor in place of another, wherever the module has it."""
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for key, tensor in held.items():
                if tensor is mine:
                    held[key] = theirs


# -- dense, shapes -------------------------------------------------------------------------------------------
def _dense(w: Writing, layer: Dense, x: Shape, z: Shape, first: bool) -> Made:
    cls = w.own.NtkLinear if layer.ntk else w.nn.Linear
    linear = cls(x[-1], layer.units, bias=layer.bias)
    return Made(linear, _named(linear, W="weight", **({"b": "bias"} if layer.bias else {})))


def _dense_transposed(w: Writing, layer: DenseTranspose, x: Shape, z: Shape, first: bool) -> Made:
    module = w.own.DenseTranspose(x[-1], layer.units, layer.bias)
    return Made(module, _named(module, W="weight", **({"b": "bias"} if layer.bias else {})))


def _named(module: Any, **names: str) -> list[tuple[str, str, tuple[Any, ...]]]:
    return [(ours, "same", (getattr(module, theirs),)) for ours, theirs in names.items()]


def _permute(w: Writing, layer: Permute, x: Shape, z: Shape, first: bool) -> Made:
    return Made(w.own.Permute(*layer.order))


def _reshape(w: Writing, layer: Reshape, x: Shape, z: Shape, first: bool) -> Made:
    return Made(w.own.Reshape(*z))


def _resample(w: Writing, layer: Resample, x: Shape, z: Shape, first: bool) -> Made:
    matrix = np.zeros((len(layer.weights), layer.size))
    for made, row in enumerate(layer.weights):
        for place, weight in row:
            matrix[made, place] += weight
    return Made(w.own.Along(layer.axis + 1, matrix))


def _scaled(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    plus = not isinstance(layer, Scale)
    shape = x if isinstance(layer, LearnedPositions) else x[-1:]
    module = w.own.Scaled(shape, plus, len(x) - 1 if first and len(x) > 1 else 0)
    return Made(module, _named(module, **{"P" if len(shape) > 1 else "b" if plus else "s": "weight"}))


def _features(w: Writing, layer: Features, x: Shape, z: Shape, first: bool) -> Made:
    return Made(w.own.Features(layer.start, layer.stop, _dim(x, first)))


def _dim(x: Shape, first: bool) -> int:
    """The axis of features."""
    return 1 if first and len(x) > 1 else -1


# -- windows -------------------------------------------------------------------------------------------------
def _even(pads: Sequence[tuple[int, int]]) -> bool:
    return all(before == after for before, after in pads)


def _flat(pads: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """As PyTorch has it, the last axis first."""
    return tuple(size for pair in reversed(pads) for size in pair)


def _framed(w: Writing, module: Any, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """A module behind a frame."""
    axes = len(pads)
    return w.nn.Sequential(getattr(w.nn, f"ConstantPad{axes}d")(_flat(pads), value), module)


def _conv(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    g, pads = layer.grid, layer.pads(x)
    inside = [before for before, _ in pads] if _even(pads) else 0
    channels = x[-1]
    conv = getattr(w.nn, f"Conv{layer.axes}d")(
        channels, z[-1], g.kernel, g.stride, inside, g.dilation, layer.groups_of(channels), layer.bias
    )
    return Made(conv if _even(pads) else _framed(w, conv, pads), _kernel_and_bias(layer, conv))


def _kernel_and_bias(layer: Any, conv: Any) -> list[tuple[str, str, tuple[Any, ...]]]:
    return [("W", "kernel", (conv.weight,)), *(_named(conv, b="bias") if layer.bias else [])]


def _conv_transposed(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    """All that its windows reach and what is left over behind, and then without the frame."""
    g, pads = layer.grid, layer.pads(z)
    spans = [s * (n - 1) + e for s, n, e in zip(g.stride, x[:-1], g.extent, strict=True)]
    more = [max(n + a + b - span, 0) for n, (a, b), span in zip(z[:-1], pads, spans, strict=True)]
    ends = [(a, span + m - n - a) for n, (a, _), span, m in zip(z[:-1], pads, spans, more, strict=True)]
    if any(m >= max(s, d) for m, s, d in zip(more, g.stride, g.dilation, strict=True)):
        raise w.refuse(layer, "PyTorch takes an output_padding below the stride or the dilation alone")
    inside = [before for before, _ in pads]
    plain = all((a, b - m) == (end[0], end[1] - m) for (a, b), m, end in zip(pads, more, ends, strict=True))
    plain = plain and _even(pads)
    conv = getattr(w.nn, f"ConvTranspose{layer.axes}d")(
        *(x[-1], z[-1], g.kernel, g.stride, inside if plain else 0, more),
        *(layer.groups, layer.bias, g.dilation),
    )
    crops = [(-before, -after) for before, after in ends]
    whole = conv if plain or not any(map(any, crops)) else w.nn.Sequential(conv, _pads(w, crops))
    return Made(whole, _kernel_and_bias(layer, conv))


def _pads(w: Writing, pads: Sequence[tuple[int, int]], mode: str = "Zero") -> Any:
    return getattr(w.nn, f"{mode}Pad{len(pads)}d")(_flat(pads))


def _sums(w: Writing, layer: Any, x: Shape, count_padding: bool) -> list[Any]:
    """Means of windows, by a matrix for every axis."""
    made, g = [], layer.grid
    for axis, size in enumerate(x[:-1]):
        (before, _), count = g.pads_along(axis, size), g.positions_along(axis, size)
        matrix = np.zeros((count, size))
        for i in range(count):
            places = i * g.stride[axis] - before + g.dilation[axis] * np.arange(g.kernel[axis])
            there = places[(places >= 0) & (places < size)]
            share = 1 / (g.kernel[axis] if count_padding else max(len(there), 1))
            matrix[i, there] = share if layer.divisor is None else 1.0 if axis else 1 / layer.divisor
        made.append(w.own.Along(axis + 2, matrix))
    return made


def _pool(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    g, pads = layer.grid, layer.pads(x)
    even = _even(pads) and all(2 * before <= k for (before, _), k in zip(pads, g.kernel, strict=True))
    inside = [before for before, _ in pads]
    if isinstance(layer, MaxPool2D):
        pool = getattr(w.nn, f"MaxPool{layer.axes}d")
        if even:
            return Made(pool(g.kernel, g.stride, inside, g.dilation))
        return Made(_framed(w, pool(g.kernel, g.stride, 0, g.dilation), pads, -math.inf))
    if isinstance(layer, AveragePool2D):
        whole = layer.divisor is None or (layer.axes > 1 and layer.divisor % 1 == 0)
        if even and max(g.dilation) == 1 and whole:
            pool = getattr(w.nn, f"AvgPool{layer.axes}d")
            options: dict[str, Any] = {"count_include_pad": layer.count_padding}
            if layer.divisor is not None:
                options["divisor_override"] = int(layer.divisor)
            return Made(pool(g.kernel, g.stride, inside, **options))
        return Made(w.nn.Sequential(*_sums(w, layer, x, layer.count_padding)))
    p, mean = (layer.p, False) if isinstance(layer, LpPool2D) else (2, layer.mean)
    factor = 1 if mean else math.prod(g.kernel)
    return Made(w.own.PowerPool(p, _sums(w, layer, x, not mean), factor))


def _unpool(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    g = layer.pool.grid
    pool = getattr(w.nn, f"MaxPool{len(g.kernel)}d")(g.kernel, g.stride, return_indices=True)
    frame = _flat(layer.pool.pads(layer.sources[1]))
    return Made(w.several.Unpool(pool, places_of(layer.sources), frame), first=FIRST)


def _global_pool(w: Writing, layer: Layer, x: Shape, z: Shape, first: bool) -> Made:
    kind, axes = "Max" if isinstance(layer, GlobalMaxPool) else "Avg", len(x) - 1
    pool = getattr(w.nn, f"Adaptive{kind}Pool{axes}d")(1)
    return Made(w.nn.Sequential(pool, w.nn.Flatten()), first=LAST)


def _adaptive(w: Writing, layer: AdaptivePool, x: Shape, z: Shape, first: bool) -> Made:
    kind = "Max" if layer.pool_class.kind == "maxpool" else "Avg"
    sizes = [None if size == KEPT else size for size in layer.sizes]
    return Made(getattr(w.nn, f"Adaptive{kind}Pool{layer.axes}d")(sizes[0] if layer.axes == 1 else sizes))


MODES = {"zeros": "Zero", "reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}


def _pad(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    return Made(_pads(w, layer.frame, MODES[layer.mode]))


def _upsample(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    factors = tuple(map(float, layer.factors))
    return Made(w.nn.Upsample(scale_factor=factors, mode=layer.mode))


# -- norms ---------------------------------------------------------------------------------------------------
def _affine(layer: Any, module: Any) -> list[tuple[str, str, tuple[Any, ...]]]:
    """γ and β; of PyTorch's both, where one alone is ours, the other stays as it starts."""
    made = []
    for name, theirs, there in (("gamma", "weight", layer.scale), ("beta", "bias", layer.shift)):
        held = getattr(module, theirs, None)
        if there:
            made.append((name, "same", (held,)))
        elif held is not None:
            held.requires_grad_(False)
    return made


def _batch_norm(w: Writing, layer: BatchNorm, x: Shape, z: Shape, first: bool) -> Made:
    axes = max(len(x) - 1, 1)
    affine = layer.scale or layer.shift
    norm = getattr(w.nn, f"BatchNorm{axes}d")(
        x[-1], layer.epsilon, layer.momentum, affine, track_running_stats=layer.tracked
    )  # fmt: skip
    if not layer.tracked:
        return Made(norm, _affine(layer, norm))
    kept = _named(norm, mean="running_mean", variance="running_var")
    kept += _named(norm, batches="num_batches_tracked") if layer.momentum is None else []
    return Made(norm, [*_affine(layer, norm), *kept])


def _layer_norm(w: Writing, layer: LayerNorm, x: Shape, z: Shape, first: bool) -> Made:
    affine = layer.scale or layer.shift
    shift = {"bias": layer.shift} if affine else {}
    norm = w.nn.LayerNorm(x[-layer.axes :], layer.epsilon, affine, **shift)
    return Made(norm, _affine(layer, norm))


def _rms_norm(w: Writing, layer: RMSNorm, x: Shape, z: Shape, first: bool) -> Made:
    norm = w.nn.RMSNorm(x[-layer.axes :], layer.epsilon, layer.scale)
    return Made(norm, _named(norm, gamma="weight") if layer.scale else [])


def _group_norm(w: Writing, layer: GroupNorm, x: Shape, z: Shape, first: bool) -> Made:
    norm = w.nn.GroupNorm(layer.groups, x[-1], layer.epsilon, layer.scale or layer.shift)
    return Made(norm, _affine(layer, norm))


def _instance_norm(w: Writing, layer: InstanceNorm, x: Shape, z: Shape, first: bool) -> Made:
    """As groups of one channel: nn.InstanceNorm wants to know how many axes there are."""
    if layer.tracked:
        affine, made = layer.scale or layer.shift, getattr(w.nn, f"InstanceNorm{len(x) - 1}d")
        module = made(x[-1], layer.epsilon, layer.momentum, affine, True)
        kept = _named(module, mean="running_mean", variance="running_var")
        return Made(module, [*_affine(layer, module), *kept])
    norm = w.nn.GroupNorm(x[-1], x[-1], layer.epsilon, layer.scale or layer.shift)
    return Made(norm, _affine(layer, norm))


def _local_norm(w: Writing, layer: LocalResponseNorm, x: Shape, z: Shape, first: bool) -> Made:
    (before, after), numbers = layer.sides, (layer.alpha, layer.beta, layer.k)
    if before == (before + after + 1) // 2 and len(x) > 1:
        return Made(w.nn.LocalResponseNorm(before + after + 1, *numbers))
    return Made(w.own.LocalResponse(before, after, *numbers))


# -- sequences -----------------------------------------------------------------------------------------------
def _embedding(w: Writing, layer: Embedding, x: Shape, z: Shape, first: bool) -> Made:
    table = w.nn.Embedding(layer.vocabulary, layer.features)
    return Made(table, _named(table, E="weight"), LAST)


def _positions(w: Writing, layer: PositionalEncoding, x: Shape, z: Shape, first: bool) -> Made:
    return Made(w.own.Positions(layer.forward(np.zeros((*x, 1)))[..., 0]))


def _recurrent(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    if layer.truncate:
        raise w.refuse(layer, "PyTorch's recurrences go back through all steps: truncate=None")
    options: dict[str, Any] = {"batch_first": True, "bias": layer.bias}
    kind = type(layer).__name__
    if kind == "RNN":
        if layer.activation not in ("tanh", "relu"):
            raise w.refuse(layer, "nn.RNN has the activations tanh and relu")
        options["nonlinearity"] = layer.activation
    if kind == "GRU" and not layer.reset_after:
        raise w.refuse(layer, "nn.GRU resets behind U: reset_after=True")
    inputs, size = layer.sequence_shape(x)[-1], layer.state_sizes[0]
    more = {"V": "weight_hr_l0"} if kind == "LSTM" and layer.projection else {}
    if kind == "LSTM" and (layer.peepholes or (layer.projection and size >= layer.units)):
        cell = w.own.PeepholeLSTM(inputs, layer.units, layer.projection, layer.bias, layer.peepholes)
        more |= {"P": "peepholes_l0"} if layer.peepholes else {}
    else:
        options |= {"proj_size": size} if more else {}
        cell = getattr(w.nn, kind)(inputs, layer.units, **options)
    made = _named(cell, W="weight_ih_l0", U="weight_hh_l0", **more)
    if layer.bias:
        gru = kind == "GRU"
        made.append(("b", "bias of gru" if gru else "bias", (cell.bias_ih_l0, cell.bias_hh_l0)))
        if gru:
            made.append(("v", "part 2", (cell.bias_hh_l0,)))
    way = (cell, layer.outputs == "all", layer.reverse)
    if not layer.plain:
        return Made(w.several.Recurrence(*way, places_of(layer.sources), layer.ends), made)
    return Made(w.own.Recurrence(*way), made)


def _part(w: Writing, layer: Part, x: Shape, z: Shape, first: bool) -> Made:
    _, vocabulary = w.network.input_parts.get(str(layer.name), (z, None))
    return Made(w.several.Part((layer.start, layer.stop, z), vocabulary is not None), (), LAST)


def _attention(w: Writing, layer: MultiHeadAttention, x: Shape, z: Shape, first: bool) -> Made:
    if layer.plain:
        module = w.own.SelfAttention(x[-1], layer.heads, layer.bias, layer.causal)
    else:
        (steps, _), (keys, _), _ = layer.shapes(x)
        distances, numbers = layer.of_pairs(steps, keys)
        module = w.several.Attention(
            [shape[-1] for shape in layer.shapes(x)],
            layer.heads,
            layer.shared,
            bias=layer.bias,
            causal=layer.causal,
            base=layer.rotary_base if layer.rotary else None,
            seen=np.array(layer.seen) if isinstance(layer.seen, tuple) else None,
            places=layer.places,
            given=layer.seen == GIVEN,
            row=layer.key_value_bias,
            zero=layer.zero_key_value,
            distances=distances,
            numbers=layer.parameters(x)["P"].shape[1] if layer.learned_positions else numbers,
        )
    held = module.attention
    more = [] if layer.plain else _added(layer, module)
    if held is None:
        linear = [(key, getattr(module, f"{key}_proj")) for key in "qkv"] + [("o", module.out_proj)]
        made: list[Any] = [named for key, own in linear for named in _named(own, **{f"W_{key}": "weight"})]
        biased = [(key, own) for key, own in linear if key in layer.biased]
        made += [named for key, own in biased for named in _named(own, **{f"b_{key}": "bias"})]
        return Made(module, made + more)
    made = [
        (f"W_{key}", f"part {place}", (held.in_proj_weight,))
        if held.in_proj_weight is not None
        else (f"W_{key}", "same", (getattr(held, f"{key}_proj_weight"),))
        for place, key in enumerate("qkv")
    ]
    made += _named(held.out_proj, W_o="weight")
    if layer.bias:
        with w.torch.no_grad():
            held.in_proj_bias.zero_()
        parts = [(place, key) for place, key in enumerate("qkv") if key in layer.biased]
        made += [(f"b_{key}", f"part {place}", (held.in_proj_bias,)) for place, key in parts]
        made += _named(held.out_proj, b_o="bias")
    return Made(module, made + more)


def _added(layer: MultiHeadAttention, module: Any) -> list[Any]:
    """The key and value more, and the numbers of distances."""
    rows = module if module.attention is None else module.attention
    made = _named(rows, k_0="bias_k", v_0="bias_v") if layer.key_value_bias else []
    return made + (_named(module, P="relative_position_bias") if layer.learned_positions else [])


# -- activations ---------------------------------------------------------------------------------------------
def _activation(w: Writing, layer: Any, x: Shape, z: Shape, first: bool) -> Made:
    return Made(ACTIVATIONS[type(layer)](w, layer))


def _softmax(w: Writing, layer: Layer, x: Shape, z: Shape, first: bool) -> Made:
    kind = "LogSoftmax" if isinstance(layer, LogSoftmax) else "Softmax"
    return Made(getattr(w.nn, kind)(_dim(x, first)))


def _prelu(w: Writing, layer: PReLU, x: Shape, z: Shape, first: bool) -> Made:
    module = w.nn.PReLU(1 if layer.shared else x[-1])
    return Made(module, _named(module, alpha="weight"))


def _softplus(w: Writing, layer: Softplus) -> Any:
    return w.nn.Softplus(layer.beta, 50.0 if layer.threshold is None else layer.threshold)


def _gated(w: Writing, layer: GLU, x: Shape, z: Shape, first: bool) -> Made:
    gate = ACTIVATIONS[type(layer._g)](w, layer._g)
    return Made(w.own.Gated(gate, _dim(x, first), True))


def _parametric(w: Writing, layer: ParametricActivation, x: Shape, z: Shape, first: bool) -> Made:
    f = ACTIVATIONS[type(layer.f)](w, layer.f)
    module = w.own.Parametric(f, x[-1], len(x) - 1 if first and len(x) > 1 else 0)
    return Made(module, _named(module, alpha="alpha"))


def _periodic(w: Writing, layer: PeriodicEmbedding, x: Shape, z: Shape, first: bool) -> Made:
    module = w.own.Periodic(x[-1], layer.hidden, layer.features)
    return Made(module, _named(module, W="W", b="b", V="V", c="c"))


ACTIVATIONS: dict[type[Layer], Callable[[Writing, Any], Any]] = {
    Identity: lambda w, layer: w.nn.Identity(),
    ReLU: lambda w, layer: w.nn.ReLU(),
    LeakyReLU: lambda w, layer: w.nn.LeakyReLU(layer.slope),
    ELU: lambda w, layer: w.nn.ELU(layer.alpha),
    CELU: lambda w, layer: w.nn.CELU(layer.alpha),
    SELU: lambda w, layer: w.nn.SELU() if repr(layer) == "SELU()" else w.own.Selu(layer.alpha, layer.scale),
    GELU: lambda w, layer: w.nn.GELU(approximate=layer.approximate),
    SiLU: lambda w, layer: w.nn.SiLU(),
    Mish: lambda w, layer: w.nn.Mish(),
    Sigmoid: lambda w, layer: w.nn.Sigmoid(),
    Tanh: lambda w, layer: w.nn.Tanh(),
    Softsign: lambda w, layer: w.nn.Softsign(),
    LogSigmoid: lambda w, layer: w.nn.LogSigmoid(),
    Softplus: _softplus,
    Threshold: lambda w, layer: w.nn.Threshold(layer.threshold, layer.value),
    HardShrink: lambda w, layer: w.nn.Hardshrink(layer.lam),
    SoftShrink: lambda w, layer: w.nn.Softshrink(layer.lam),
    TanhShrink: lambda w, layer: w.nn.Tanhshrink(),
    HardSigmoid: lambda w, layer: w.own.HardSigmoid(layer.slope, layer.shift),
    Floor: lambda w, layer: w.own.Floor(layer.toward_zero),
    Wrap: lambda w, layer: w.own.Wrap(layer.low, layer.high),
    HardTanh: lambda w, layer: w.nn.Hardtanh(layer.low, layer.high),
    HardSwish: lambda w, layer: w.nn.Hardswish(),
    ReLU6: lambda w, layer: w.nn.ReLU6(),
    Dropout: lambda w, layer: w.nn.Dropout(layer.rate),
    Clamp: lambda w, layer: w.own.Clamp(layer.low, layer.high),
}
WINDOWS: dict[type[Layer], Callable[..., Made]] = {
    **dict.fromkeys((Conv1D, Conv2D, Conv3D, DepthwiseConv2D), _conv),
    **dict.fromkeys((ConvTranspose1D, ConvTranspose2D, ConvTranspose3D), _conv_transposed),
    **dict.fromkeys((MaxPool1D, MaxPool2D, MaxPool3D, AveragePool1D, AveragePool2D, AveragePool3D), _pool),
    **dict.fromkeys((L2Pool1D, L2Pool2D, L2Pool3D, LpPool1D, LpPool2D, LpPool3D), _pool),
    **dict.fromkeys(ADAPTIVE_POOLS, _adaptive),
    **dict.fromkeys((GlobalAveragePool, GlobalMaxPool), _global_pool),
    **dict.fromkeys((Pad1D, Pad2D, Pad3D, Crop1D, Crop2D, Crop3D), _pad),
    **dict.fromkeys((UpSample1D, UpSample2D, UpSample3D), _upsample),
    PixelShuffle: lambda w, layer, x, z, first: Made(w.nn.PixelShuffle(layer.block)),
    BatchNorm: _batch_norm,
    GroupNorm: _group_norm,
    InstanceNorm: _instance_norm,
    LocalResponseNorm: _local_norm,
    PReLU: _prelu,
}
WRITERS: dict[type[Layer], Callable[..., Made]] = {
    **WINDOWS,
    **dict.fromkeys(ACTIVATIONS, _activation),
    Dense: _dense,
    DenseTranspose: _dense_transposed,
    Flatten: lambda w, layer, x, z, first: Made(w.nn.Flatten()),
    Permute: _permute,
    Reshape: _reshape,
    Resample: _resample,
    **dict.fromkeys((Bias, Scale, LearnedPositions), _scaled),
    Features: _features,
    LayerNorm: _layer_norm,
    RMSNorm: _rms_norm,
    Embedding: _embedding,
    PositionalEncoding: _positions,
    **dict.fromkeys((RNN, LSTM, GRU), _recurrent),
    MultiHeadAttention: _attention,
    Part: _part,
    **dict.fromkeys((MaxUnpool1D, MaxUnpool2D, MaxUnpool3D), _unpool),
    **dict.fromkeys((Softmax, LogSoftmax), _softmax),
    **dict.fromkeys((GLU, SwiGLU), _gated),
    ParametricActivation: _parametric,
    PeriodicEmbedding: _periodic,
}
WANTED: dict[type[Layer], bool] = dict.fromkeys(WINDOWS, FIRST)
EITHER = {*ACTIVATIONS, Bias, Scale, Features, Softmax, LogSoftmax, GLU, SwiGLU, ParametricActivation}
