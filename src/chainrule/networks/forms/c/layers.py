"""Which layer is which call of C: one function per family, and the table, by the exact class.

An activation without an entry is written by its formula. A writer is given where its input stands and where
its output goes, and adds lines to the body.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.types import Array, Shape
from chainrule.formulas.primitives.steps import turns
from chainrule.layers import (
    GLU,
    GRU,
    LSTM,
    RNN,
    Activation,
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    BatchNorm,
    Bias,
    Clamp,
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
    Embedding,
    Features,
    GlobalAveragePool,
    GlobalMaxPool,
    GroupNorm,
    Heads,
    InstanceNorm,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    Layer,
    LayerNorm,
    LearnedPositions,
    LocalResponseNorm,
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
    Resample,
    Reshape,
    RMSNorm,
    Scale,
    Softmax,
    SwiGLU,
    UpSample1D,
    UpSample2D,
    UpSample3D,
)
from chainrule.layers.activations.gated import GATES
from chainrule.layers.columns.periodic import TURN
from chainrule.layers.parts import places_of
from chainrule.layers.sequences.attention import GIVEN
from chainrule.layers.windows.adaptive import ADAPTIVE_POOLS, AdaptivePool
from chainrule.networks.forms.c.entrywise import function, number
from chainrule.networks.forms.written import Unwritable, positions

Arrays = Mapping[str, Array]


@dataclass
class Place:
    """Where a value stands: an expression of C, and the shape of the sample."""

    name: str
    shape: Shape


@dataclass
class Body:
    """The text that is being written: constants, functions of activations, and the lines of the pass."""

    constants: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    windows: int = 0  # how many there are so far
    scratch: int = 0  # numbers that a layer needs beside its input and output, at most
    mask: str | None = None  # of the steps, as an expression
    mask_place: str = ""  # where a layer that makes one writes it

    learns: bool = False  # whether the parameters may change
    names: Callable[[Layer], Mapping[str, str]] = lambda layer: {}  # of its parameters

    def derivative(self, layer: Any) -> str:
        """The name of a function that is the f' of an activation."""
        return self.function(layer, layer.df, "df")

    def function(self, layer: Layer, f: Callable[[Any], Any], called: str) -> str:
        """The name of a function of single entries that belongs to an activation."""
        options = "_".join(str(value) for key, value in sorted(layer.config().items()) if key != "name")
        words = f"net_{called}_{layer.kind}_{options}"
        name = "".join(letter if letter.isalnum() else "_" for letter in words).rstrip("_")
        text = function(name, f)
        if self.functions.setdefault(name, text) != text:
            raise Unwritable(f"an f that differs between two layers of the kind {layer.kind}")
        return name

    def array(self, name: str, values: Array) -> str:
        """A constant array, once; its name."""
        name = "net_" + "".join(letter if letter.isalnum() else "_" for letter in name)
        if name in self.constants:
            return name
        shown = [number(value) for value in np.asarray(values, np.float32).ravel().tolist()]
        rows = [", ".join(shown[first : first + 8]) for first in range(0, len(shown), 8)]
        text = ",\n    ".join(rows)
        kind = "float" if self.learns else "const float"
        self.constants[name] = f"static {kind} {name}[{len(shown)}] = {{\n    {text}\n}};\n"
        return name

    def whole_numbers(self, name: str, values: Sequence[int]) -> str:
        """A constant array of them, once; its name."""
        name = "net_" + "".join(letter if letter.isalnum() else "_" for letter in name)
        text = ", ".join(map(str, values))
        self.constants[name] = f"static const int {name}[{len(values)}] = {{{text}}};\n"
        return name

    def call(self, name: str, *arguments: Any) -> None:
        given = ("NULL" if argument is None else str(argument) for argument in arguments)
        self.lines.append(f"net_{name}({', '.join(given)});")

    def needs(self, scratch: int) -> str:
        """Scratch memory of so many numbers."""
        self.scratch = max(self.scratch, scratch)
        return "scratch"


Writer = Callable[[Body, Any, Place, Place, Arrays], None]


def given_arrays(body: Body, layer: Layer, given: Arrays, *names: str) -> list[str | None]:
    """The names of a layer's parameters as constants; None for one that it has not."""
    own = body.names(layer)
    owners = {full.rpartition(".")[0] for full in own.values()}  # one, of a layer that stands twice the first
    owner = owners.pop() if len(owners) == 1 else layer.name
    called = {name: own.get(name, f"{owner}_{name}") for name in names}  # parameters, or made of them
    return [body.array(called[name], given[name]) if name in given else None for name in names]


def _dense(body: Body, layer: Dense, x: Place, z: Place, given: Arrays) -> None:
    if layer.ntk:
        given = {**given, "W": given["W"] / layer.divisor(x.shape)}
    W, b = given_arrays(body, layer, given, "W", "b")
    body.call("dense", x.name, W, b, positions(x.shape), x.shape[-1], layer.units, z.name)


def _dense_transposed(body: Body, layer: DenseTranspose, x: Place, z: Place, given: Arrays) -> None:
    W, b = given_arrays(body, layer, given, "W", "b")
    body.call("dense_transposed", x.name, W, b, positions(x.shape), x.shape[-1], layer.units, z.name)


# -- windows -----------------------------------------------------------------------------------------------
def _image(shape: Shape) -> tuple[int, int]:
    """Rows and columns; a sequence is one row, and the planes of a volume lie one below the other."""
    return positions(shape) // shape[-2], shape[-2]


def _three(sizes: Sequence[int], one: int = 1) -> list[int]:
    """Of planes, rows and columns, where there may be columns alone."""
    return [one] * (3 - len(sizes)) + [*sizes]


def _window(body: Body, layer: Any, x: Shape, z: Shape, image: Shape, groups: int) -> str:
    g, pads = layer.grid, layer.pads(image)
    sizes = [*_three(g.kernel), *_three(g.stride), *_three(g.dilation)]
    first = _three([before for before, _ in pads], 0)
    numbers = [*_three(x[:-1]), x[-1], *_three(z[:-1]), z[-1], *sizes, *first, groups]
    body.windows += 1
    name = f"window{body.windows}"
    body.lines.append(f"const net_window {name} = {{{', '.join(map(str, numbers))}}};")
    return name


def _conv(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    W, b = given_arrays(body, layer, given, "W", "b")
    window = _window(body, layer, x.shape, z.shape, x.shape, layer.groups_of(x.shape[-1]))
    body.call("conv", x.name, W, b, window, z.name)


def _conv_transposed(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    W, b = given_arrays(body, layer, given, "W", "b")
    window = _window(body, layer, x.shape, z.shape, z.shape, layer.groups)
    body.call("conv_transposed", x.name, W, b, window, z.name)


def _pool(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    if isinstance(layer, LpPool2D):
        kind, p = 4, layer.p
    else:
        kind = (
            0 if isinstance(layer, MaxPool2D) else 1 if isinstance(layer, AveragePool2D) else 2 + layer.mean
        )
        p = 2.0
    window = _window(body, layer, x.shape, z.shape, x.shape, 1)
    divisor = layer.divisor or layer.count_padding * math.prod(layer.grid.kernel)
    body.call("pool", x.name, window, int(kind), number(p), number(divisor), z.name)


def _adaptive(body: Body, layer: AdaptivePool, x: Place, z: Place, given: Arrays) -> None:
    """A pool where its windows are equal; else means along one axis after the other, and for maxima the
    pixels of all windows side by side, of shorter ones the last once more.
    """
    plain = layer.plain(x.shape)
    if plain is not None:
        _pool(body, plain, x, z, given)
        return
    windows = layer.windows(x.shape)
    if layer.pool_class.kind == "maxpool":
        most = [max(map(len, own)) for own in windows]
        places = [
            [min(w[0] + m, w[-1]) for w in own for m in range(length)]
            for own, length in zip(windows, most, strict=True)
        ]
        shape = (*map(len, places), x.shape[-1])
        made = Place(body.needs(math.prod(shape)), shape)
        _picked_places(body, str(layer.name), places, x, made)
        sizes = (most[0], most[0]) if layer.axes == 1 else (tuple(most), tuple(most))
        _pool(body, layer.pool_class(*sizes, name=layer.name), made, z, given)
        return
    for axis, own in enumerate(windows):
        taps = [[(u, 1 / len(window)) for u in window] for window in own]
        shape = (*(len(done) for done in windows[: axis + 1]), *x.shape[axis + 1 :])
        made = z if axis + 1 == len(windows) else Place(body.needs(math.prod(shape)), shape)
        step = Resample(axis, taps, x.shape[axis], name=f"{layer.name}_{axis}")
        _resampled(body, step, x, made, given)
        x = made


def _unpool(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    values, pooled = layer.sources
    window = _window(body, layer.pool, pooled, values, pooled, 1)
    places = (f"{x.name} + {start}" for start, _, _ in places_of(layer.sources))
    body.call("unpool", *places, window, z.name)


def _global_pool(body: Body, layer: Layer, x: Place, z: Place, given: Arrays) -> None:
    largest = int(isinstance(layer, GlobalMaxPool))
    body.call("global_pool", x.name, body.mask, positions(x.shape), x.shape[-1], largest, z.name)


# -- pixels that move ---------------------------------------------------------------------------------------
def _picked(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    """Every row and column of z from one of x, or from none."""
    if getattr(layer, "mode", "").endswith("linear"):
        _between(body, layer, x, z)
        return
    _picked_places(
        body, str(layer.name), [layer.sources(axis, size) for axis, size in enumerate(x.shape[:-1])], x, z
    )


def _picked_places(body: Body, name: str, places: Sequence[Sequence[int]], x: Place, z: Place) -> None:
    """The same of the places along every axis, -1 for none."""
    *others, columns = places
    rows = [0]
    for size, own in zip(x.shape, others, strict=False):  # rows of planes one below the other
        rows = [-1 if at < 0 or u < 0 else at * size + u for at in rows for u in own]
    names = [
        body.whole_numbers(f"{name}_{word}", told)
        for word, told in (("rows", rows), ("columns", columns))
    ]
    body.call("pick", x.name, *names, *_image(z.shape), z.shape[-1], _image(x.shape)[1], z.name)


def _between(body: Body, layer: UpSample2D, x: Place, z: Place) -> None:
    """Every row and column of z between two of x; of a volume between two planes before."""
    told = [
        (layer.sources(axis, size), layer.shares(axis, size)) for axis, size in enumerate(x.shape[:-1])
    ]
    alone: tuple[list[int], list[tuple[int, float]]] = ([0], [(0, 0.0)])
    if len(told) == 3:
        planes, rest = x.shape[0], math.prod(x.shape[1:-1])
        made = Place(body.needs(math.prod((z.shape[0], *x.shape[1:]))), (z.shape[0], *x.shape[1:]))
        every = ([*range(rest)], [(place, 0.0) for place in range(rest)])
        first, second = (
            Place(place.name, (count, rest, x.shape[-1]))
            for place, count in ((x, planes), (made, z.shape[0]))
        )
        _between_two(body, f"{layer.name}_planes", told[0], every, first, second)
        height, (of_row, shares), x = x.shape[1], told[1], made
        rows = (
            [t * height + u for t in range(z.shape[0]) for u in of_row],
            [(t * height + u, share) for t in range(z.shape[0]) for u, share in shares],
        )
        _between_two(body, str(layer.name), rows, told[2], x, z)
        return
    _between_two(body, str(layer.name), told[0] if len(told) == 2 else alone, told[-1], x, z)


def _between_two(body: Body, name: str, rows: Any, columns: Any, x: Place, z: Place) -> None:
    names: list[str] = []
    for word, (first, shares) in (("rows", rows), ("columns", columns)):
        second, share = zip(*shares, strict=True)
        names.append(body.whole_numbers(f"{name}_{word}", first))
        names.append(body.whole_numbers(f"{name}_{word}_next", second))
        names.append(body.array(f"{name}_{word}_share", np.array(share)))
    body.call("between", x.name, *names, *_image(z.shape), z.shape[-1], _image(x.shape)[1], z.name)


def _shuffled(body: Body, layer: PixelShuffle, x: Place, z: Place, given: Arrays) -> None:
    body.call("shuffle", x.name, *x.shape, layer.block, z.name)


def _permuted(body: Body, layer: Permute, x: Place, z: Place, given: Arrays) -> None:
    places = np.arange(math.prod(x.shape)).reshape(x.shape).transpose(layer.order)
    names = body.whole_numbers(f"{layer.name}_places", places.ravel().tolist())
    body.lines.append(f"for (int i = 0; i < {places.size}; i++) {z.name}[i] = {x.name}[{names}[i]];")


def _reshaped(body: Body, layer: Reshape, x: Place, z: Place, given: Arrays) -> None:
    body.lines.append(f"for (int i = 0; i < {math.prod(x.shape)}; i++) {z.name}[i] = {x.name}[i];")


def _resampled(body: Body, layer: Resample, x: Place, z: Place, given: Arrays) -> None:
    ends = np.cumsum([len(row) for row in layer.weights])
    pairs = [pair for row in layer.weights for pair in row] or [(0, 0.0)]
    names = (
        body.whole_numbers(f"{layer.name}_ends", ends.tolist()),
        body.whole_numbers(f"{layer.name}_places", [place for place, _ in pairs]),
        body.array(f"{layer.name}_weights", np.array([weight for _, weight in pairs])),
    )
    outer, inner = math.prod(x.shape[: layer.axis]), math.prod(x.shape[layer.axis + 1 :])
    body.call("along", x.name, *names, outer, layer.size, len(layer.weights), inner, z.name)


# -- normalisation -----------------------------------------------------------------------------------------
def _batch_norm(body: Body, layer: BatchNorm | InstanceNorm, x: Place, z: Place, given: Arrays) -> None:
    if not layer.tracked:
        raise ArgumentError(
            f"to_c cannot write {layer.name}, {layer!r}: it predicts by all samples that are asked for "
            "together, and the C function takes one; train with BatchNorm(), which keeps running numbers"
        )
    factor = given.get("gamma", 1) / np.sqrt(given["variance"].astype(np.float64) + layer.epsilon)
    shift = given.get("beta", 0) - given["mean"] * factor
    names = given_arrays(body, layer, {"factor": factor, "shift": shift}, "factor", "shift")
    body.call("scale", x.name, *names, positions(x.shape), x.shape[-1], z.name)


def _normalise(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    """Over groups of channels and all positions, or every row by itself: a position, or several."""
    if layer.tracked:
        return _batch_norm(body, layer, x, z, given)
    gamma, beta = given_arrays(body, layer, given, "gamma", "beta")
    shape = layer.rows_of(x.shape) if isinstance(layer, LayerNorm | RMSNorm) else x.shape
    channels, count = shape[-1], positions(shape)
    centred = int(not isinstance(layer, RMSNorm))
    if isinstance(layer, GroupNorm | InstanceNorm):
        groups = channels if isinstance(layer, InstanceNorm) else layer.groups
        sizes: tuple[Any, ...] = (count, channels, groups, number(layer.epsilon), centred)
        body.call("normalise", x.name, gamma, beta, *sizes, z.name)
        return
    body.lines.append(f"for (int p = 0; p < {count}; p++)")
    sizes = (1, channels, 1, number(layer.epsilon), centred)
    at = f"p * {channels}"
    body.call("normalise", f"{x.name} + {at}", gamma, beta, *sizes, f"{z.name} + {at}")
    body.lines[-1] = "    " + body.lines[-1]


def _local_norm(body: Body, layer: LocalResponseNorm, x: Place, z: Place, given: Arrays) -> None:
    numbers = (number(layer.share), number(layer.k), number(layer.beta))
    body.call("local_norm", x.name, positions(x.shape), x.shape[-1], *layer.sides, *numbers, z.name)


# -- activations -------------------------------------------------------------------------------------------
def entrywise(body: Body, layer: Activation, x: Place, z: Place) -> None:
    """An activation by its own f."""
    name = body.function(layer, layer.f, "f")
    body.lines.append(f"for (int i = 0; i < {math.prod(x.shape)}; i++) {z.name}[i] = {name}({x.name}[i]);")


def _softmax(body: Body, layer: Softmax, x: Place, z: Place, given: Arrays) -> None:
    body.call("softmax", x.name, positions(x.shape), x.shape[-1], z.name)


def _log_softmax(body: Body, layer: LogSoftmax, x: Place, z: Place, given: Arrays) -> None:
    body.call("log_softmax", x.name, positions(x.shape), x.shape[-1], z.name)


def _gated(body: Body, layer: GLU, x: Place, z: Place, given: Arrays) -> None:
    """The first half of every position's features times the gate of the second."""
    gate = GATES[layer.gate]
    name, half = body.function(layer, gate.f, "g"), z.shape[-1]
    at = f"{x.name}[i + i / {half} * {half}"
    body.lines.append(
        f"for (int i = 0; i < {math.prod(z.shape)}; i++) {z.name}[i] = {at}] * {name}({at} + {half}]);"
    )


def _prelu(body: Body, layer: PReLU, x: Place, z: Place, given: Arrays) -> None:
    each = {"alpha": np.broadcast_to(given["alpha"], x.shape[-1:])}
    alpha = given_arrays(body, layer, each, "alpha")
    body.call("prelu", x.name, *alpha, positions(x.shape), x.shape[-1], z.name)


# -- columns of a table ------------------------------------------------------------------------------------
def _features(body: Body, layer: Features, x: Place, z: Place, given: Arrays) -> None:
    n, taken = x.shape[-1], layer.stop - layer.start
    body.lines.append(
        f"for (int p = 0; p < {positions(x.shape)}; p++) for (int i = 0; i < {taken}; i++) "
        f"{z.name}[p * {taken} + i] = {x.name}[p * {n} + {layer.start} + i];"
    )


def _part(body: Body, layer: Part, x: Place, z: Place, given: Arrays) -> None:
    size = math.prod(z.shape)
    body.lines.append(f"for (int i = 0; i < {size}; i++) {z.name}[i] = {x.name}[{layer.start} + i];")


def _heads(body: Body, layer: Heads, x: Place, z: Place, given: Arrays) -> None:
    """Every output by its own activation."""
    for f, shape, (start, _) in zip(layer.activations, layer.shapes, layer.places, strict=True):
        from_, to = (Place(f"({value.name} + {start})", shape) for value in (x, z))
        write(body, f, from_, to, {})


def _bias(body: Body, layer: Bias, x: Place, z: Place, given: Arrays) -> None:
    (b,) = given_arrays(body, layer, given, "b")
    body.lines.append(
        f"for (int i = 0; i < {math.prod(x.shape)}; i++) {z.name}[i] = {x.name}[i] + {b}[i % {x.shape[-1]}];"
    )


def _scale(body: Body, layer: Scale, x: Place, z: Place, given: Arrays) -> None:
    (s,) = given_arrays(body, layer, given, "s")
    body.lines.append(
        f"for (int i = 0; i < {math.prod(x.shape)}; i++) {z.name}[i] = {s}[i % {x.shape[-1]}] * {x.name}[i];"
    )


def _clamp(body: Body, layer: Clamp, x: Place, z: Place, given: Arrays) -> None:
    low, high = number(layer.low), number(layer.high)
    body.lines.append(
        f"for (int i = 0; i < {math.prod(x.shape)}; i++) "
        f"{z.name}[i] = {x.name}[i] < {low} ? {low} : {x.name}[i] > {high} ? {high} : {x.name}[i];"
    )


def _parametric(body: Body, layer: ParametricActivation, x: Place, z: Place, given: Arrays) -> None:
    (alpha,) = given_arrays(body, layer, given, "alpha")
    f, v, share = body.function(layer, layer.f.f, "f"), f"{x.name}[i]", f"{alpha}[i % {x.shape[-1]}]"
    body.lines.append(
        f"for (int i = 0; i < {math.prod(x.shape)}; i++) "
        f"{z.name}[i] = (1.0f - {share}) * {v} + {share} * {f}({v});"
    )


def _periodic(body: Body, layer: PeriodicEmbedding, x: Place, z: Place, given: Arrays) -> None:
    n, hidden, made = x.shape[0], layer.hidden, layer.features - 1
    W, b, V, c = given_arrays(body, layer, {**given, "W": given["W"] * TURN}, "W", "b", "V", "c")
    body.lines += [
        f"for (int i = 0; i < {n}; i++) {{",
        f"  {z.name}[i] = {x.name}[i];",
        f"  for (int k = 0; k < {made}; k++) {{",
        f"    float sum = {c}[i * {made} + k];",
        f"    for (int h = 0; h < {hidden}; h++)",
        f"      sum += {V}[(i * {made} + k) * {hidden} + h] * "
        f"cosf({W}[i * {hidden} + h] * {x.name}[i] + {b}[i * {hidden} + h]);",
        f"    {z.name}[{n} + i * {made} + k] = sum;",
        "  }",
        "}",
    ]


# -- sequences ---------------------------------------------------------------------------------------------
def _embedding(body: Body, layer: Embedding, x: Place, z: Place, given: Arrays) -> None:
    padding, count = -1 if layer.padding is None else layer.padding, math.prod(x.shape)
    mask = None
    if layer.padding is not None and len(x.shape) == 1:
        body.mask = mask = body.mask_place
    names = given_arrays(body, layer, given, "E")
    sizes = (count, layer.vocabulary, layer.features, padding, mask)
    body.call("embedding", x.name, *names, *sizes, z.name)


def _masking(body: Body, layer: Masking, x: Place, z: Place, given: Arrays) -> None:
    body.mask = body.mask_place
    body.call("masking", x.name, *x.shape, number(layer.value), body.mask, z.name)


def _positions(body: Body, layer: Layer, x: Place, z: Place, given: Arrays) -> None:
    if isinstance(layer, LearnedPositions):
        (P,) = given_arrays(body, layer, given, "P")
    else:
        P = body.array(f"{layer.name}_P", np.asarray(layer.forward(np.zeros((*x.shape, 1))))[..., 0])
    body.call("add", x.name, P, math.prod(x.shape), z.name)


CELLS = {"tanh": 0, "relu": 1, "sigmoid": 2, "identity": 3, "lstm": 4, "gru": 5}


def _recurrent(body: Body, layer: Any, x: Place, z: Place, given: Arrays) -> None:
    names = given_arrays(body, layer, given, "W", "U", "b", "v", "V", "P")
    kind = CELLS[layer.activation if isinstance(layer, RNN) else layer.kind]
    kind += isinstance(layer, GRU) and not layer.reset_after
    steps, features = layer.sequence_shape(x.shape)
    first = f"{x.name} + {steps * features}" if layer.sources else None
    way = (int(layer.reverse), int(layer.outputs == "all"), int(layer.ends))
    sizes = (steps, features, layer.units, layer.state_sizes[0])
    options = (first, kind, *sizes, *way, body.needs(sizes[-1] + 5 * layer.units))
    body.call("recurrent", x.name, *names, body.mask, *options, z.name)


def _attention(body: Body, layer: MultiHeadAttention, x: Place, z: Place, given: Arrays) -> None:
    shapes, shared = layer.shapes(x.shape), layer.shared
    (steps, features), keys = shapes[0], shapes[1][0]
    places, seen, sizes = [x.name] * 3, "NULL", [steps * features, *[keys * features // shared] * 2]
    if layer.sources:
        parts = [f"{x.name} + {start}" for start, _, _ in layer.places]
        seen = parts.pop() if layer.seen == GIVEN else seen
        places = [*parts[:2], parts[-1]]
    if isinstance(layer.seen, tuple):
        seen = body.array(f"{layer.name}_seen", np.array(layer.seen, np.float32))
    work = body.needs(sum(sizes) + sizes[0] + keys)
    made = [f"{work} + {sum(sizes[:number_of])}" for number_of in range(4)]
    for key, read, shape, place in zip("qkv", places, shapes, made, strict=False):
        names = given_arrays(body, layer, given, f"W_{key}", f"b_{key}")
        body.call("dense", read, *names, *shape, features if key == "q" else features // shared, place)
    if layer.rotary:
        size = features // layer.heads
        for key, place, count, many in zip("qk", made, (steps, keys), (1, shared), strict=False):
            tables = turns(count, size, layer.rotary_base)
            names = [
                body.array(f"{layer.name}_{word}_{key}", table)
                for word, table in zip(("cosines", "sines"), tables, strict=True)
            ]
            body.call("turn", place, *names, count, layer.heads // many, size)
    sums = f"{work} + {sum(sizes) + sizes[0]}"
    rows = given_arrays(body, layer, given, "k_0", "v_0")
    at, numbers = layer.of_pairs(steps, keys, given.get("P"))
    added: tuple[Any, ...] = (None, None, 0)
    if at is not None:
        called = body.array(f"{layer.name}_numbers", numbers)
        added = (body.whole_numbers(f"{layer.name}_distances", at.ravel().tolist()), called, numbers.shape[1])
    options = (steps, keys, features, layer.heads, shared, int(layer.causal), sums)
    more = (*rows, int(layer.zero_key_value), *added)
    body.call("attention", *made[:3], body.mask, seen, *more, *options, made[3])
    names = given_arrays(body, layer, given, "W_o", "b_o")
    body.call("dense", made[3], *names, steps, features, features, z.name)


LAYERS: dict[type[Layer], Writer] = {
    Dense: _dense,
    DenseTranspose: _dense_transposed,
    Conv1D: _conv,
    Conv2D: _conv,
    Conv3D: _conv,
    DepthwiseConv2D: _conv,
    ConvTranspose1D: _conv_transposed,
    ConvTranspose2D: _conv_transposed,
    ConvTranspose3D: _conv_transposed,
    MaxPool1D: _pool,
    MaxPool2D: _pool,
    MaxPool3D: _pool,
    AveragePool1D: _pool,
    AveragePool2D: _pool,
    AveragePool3D: _pool,
    L2Pool1D: _pool,
    L2Pool2D: _pool,
    L2Pool3D: _pool,
    LpPool1D: _pool,
    LpPool2D: _pool,
    LpPool3D: _pool,
    **dict.fromkeys((MaxUnpool1D, MaxUnpool2D, MaxUnpool3D), _unpool),
    **dict.fromkeys(ADAPTIVE_POOLS, _adaptive),
    **dict.fromkeys((Pad1D, Pad2D, Pad3D, Crop1D, Crop2D, Crop3D), _picked),
    **dict.fromkeys((UpSample1D, UpSample2D, UpSample3D), _picked),
    PixelShuffle: _shuffled,
    Permute: _permuted,
    Reshape: _reshaped,
    Resample: _resampled,
    GlobalAveragePool: _global_pool,
    GlobalMaxPool: _global_pool,
    BatchNorm: _batch_norm,
    LayerNorm: _normalise,
    GroupNorm: _normalise,
    LocalResponseNorm: _local_norm,
    InstanceNorm: _normalise,
    RMSNorm: _normalise,
    Softmax: _softmax,
    LogSoftmax: _log_softmax,
    GLU: _gated,
    SwiGLU: _gated,
    PReLU: _prelu,
    ParametricActivation: _parametric,
    Features: _features,
    Part: _part,
    Heads: _heads,
    Scale: _scale,
    Bias: _bias,
    Clamp: _clamp,
    PeriodicEmbedding: _periodic,
    Embedding: _embedding,
    Masking: _masking,
    PositionalEncoding: _positions,
    LearnedPositions: _positions,
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    MultiHeadAttention: _attention,
}


def write(body: Body, layer: Layer, x: Place, z: Place, given: Arrays) -> None:
    """The lines of one layer."""
    writer = LAYERS.get(type(layer))
    if writer is not None:
        writer(body, layer, x, z, given)
    elif isinstance(layer, Activation) and type(layer).forward is Activation.forward:
        entrywise(body, layer, x, z)
    else:
        raise Unwritable("a forward formula of its own, which is more than a function of single entries")
