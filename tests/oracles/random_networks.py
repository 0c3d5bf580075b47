"""Random networks of two to eight layers, drawn from every layer there is, as descriptions.

A network starts from a kind of sample (a vector, an image, a sequence) and draws layers that fit; what does
not fit, or makes the network too large for the file, is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.base.errors import ChainruleError
from chainrule.networks.architecture import leaves
from tests.oracles.stored import layer

Random = np.random.Generator
Words = list[Any]
Maker = Callable[[Random], Words]
MOST_PARAMETERS, MOST_NUMBERS = 260, 120  # of a network; of one sample's value


def pick(r: Random, *choices: Any) -> Any:
    return choices[int(r.integers(len(choices)))]


def whole(r: Random, low: int, high: int) -> int:
    return int(r.integers(low, high + 1))


def pair(r: Random, low: int, high: int) -> list[int]:
    return [whole(r, low, high), whole(r, low, high)]


ACTIVATIONS: tuple[Maker, ...] = (
    *(
        (lambda r, name=name: [name, {}])  # type: ignore[misc]
        for name in (
            "Sigmoid", "Tanh", "ReLU", "Softplus", "GELU", "SELU", "SiLU", "Mish", "HardSigmoid", "HardTanh",
            "HardSwish", "Identity", "PReLU", "Softmax", "Softsign",
        )
    ),
    lambda r: ["LeakyReLU", {"slope": pick(r, 0.01, 0.3, -0.2)}],
    lambda r: ["ELU", {"alpha": pick(r, 1.0, 0.5)}],
)  # fmt: skip


def dense(r: Random) -> Words:
    return ["Dense", {"units": whole(r, 1, 9), "bias": bool(r.random() < 0.8)}]


def convolution(r: Random) -> Words:
    groups = pick(r, 1, 1, 2, 3)
    return ["Conv2D", {
        "filters": groups * whole(r, 1, 3), "kernel_size": pair(r, 1, 3), "stride": pair(r, 1, 2),
        "padding": pick(r, "valid", "same", [[1, 0], [0, 1]], 1), "dilation": pick(r, 1, 1, [2, 1], 2),
        "groups": groups, "bias": bool(r.random() < 0.8)}]  # fmt: skip


def winograd(r: Random) -> Words:
    """3x3 at stride 1 with channels enough for the fast algorithm."""
    return ["Conv2D", {"filters": 8, "kernel_size": 3, "padding": pick(r, "same", "valid", 1)}]


def depthwise(r: Random) -> Words:
    return ["DepthwiseConv2D", {
        "kernel_size": pair(r, 1, 3), "multiplier": pick(r, 1, 1, 2), "stride": pick(r, 1, [1, 2]),
        "padding": pick(r, "same", "valid")}]  # fmt: skip


def transposed(r: Random) -> Words:
    stride = whole(r, 1, 2)
    arguments = {
        "filters": whole(r, 1, 3),
        "kernel_size": pair(r, 1, 3),
        "stride": stride,
        "padding": pick(r, "valid", 1),
        "output_padding": whole(r, 0, stride - 1),
        "dilation": pick(r, 1, 2),
    }
    return ["ConvTranspose2D", arguments]


def conv1(r: Random) -> Words:
    return ["Conv1D", {
        "filters": whole(r, 1, 4), "kernel_size": whole(r, 1, 3), "stride": whole(r, 1, 2),
        "padding": pick(r, "valid", "same", [2, 0]), "dilation": whole(r, 1, 2)}]  # fmt: skip


def transposed1(r: Random) -> Words:
    return [
        "ConvTranspose1D",
        {"filters": whole(r, 1, 3), "kernel_size": whole(r, 1, 3), "stride": whole(r, 1, 2)},
    ]


def pool(r: Random) -> Words:
    name = pick(r, "MaxPool2D", "AveragePool2D", "L2Pool2D")
    arguments = {"window": pair(r, 1, 3), "stride": pair(r, 1, 2), "padding": pick(r, "valid", "same")}
    return [name, arguments | _way(r, name)]


def pool1(r: Random) -> Words:
    name = pick(r, "MaxPool1D", "AveragePool1D", "L2Pool1D")
    arguments = {"window": whole(r, 1, 3), "stride": whole(r, 1, 2), "padding": pick(r, "valid", "same")}
    return [name, arguments | _way(r, name)]


def _way(r: Random, name: str) -> dict[str, bool]:
    option = {"A": "count_padding", "L": "mean"}.get(name[0])
    return {} if option is None else {option: bool(r.random() < 0.5)}


def whole_pool(r: Random) -> Words:
    return [pick(r, "GlobalAveragePool", "GlobalMaxPool"), {}]


def recurrent(r: Random) -> Words:
    name = pick(r, "RNN", "LSTM", "GRU")
    arguments: dict[str, Any] = {"units": whole(r, 1, 5), "outputs": pick(r, "all", "last")}
    arguments |= {"reverse": bool(r.random() < 0.3), "truncate": pick(r, None, None, 2)}
    if name == "RNN":
        arguments["activation"] = pick(r, "tanh", "relu", "sigmoid")
    return [name, arguments]


def attention(r: Random) -> Words:
    return ["MultiHeadAttention", {"heads": pick(r, 1, 2), "causal": bool(r.random() < 0.4)}]


def positions(r: Random) -> Words:
    return [pick(r, "PositionalEncoding", "LearnedPositions"), {}]


def norm(r: Random) -> Words:
    name = pick(r, "LayerNorm", "RMSNorm", "BatchNorm", "GroupNorm")
    return [name, {"groups": pick(r, 1, 2, 3)} if name == "GroupNorm" else {}]


def embedding(r: Random) -> Words:
    return [
        "Embedding",
        {"vocabulary": whole(r, 3, 9), "features": whole(r, 1, 5), "padding": pick(r, None, 0)},
    ]


# By the number of axes of a sample: the layers that fit it.
LAYERS: dict[int, tuple[Maker, ...]] = {
    1: (dense, dense, dense, norm),
    2: (
        *(dense, conv1, conv1, transposed1, pool1, whole_pool, positions, norm),
        *(recurrent, recurrent, recurrent, attention, attention),
    ),
    3: (convolution, convolution, winograd, depthwise, transposed, pool, pool, whole_pool, norm),
}


def residual(r: Random, shape: tuple[int, ...]) -> Words | None:
    """Two layers around a way past them; a shortcut where the shape changes."""
    inner = [pick(r, *LAYERS[len(shape)])(r), pick(r, *ACTIVATIONS)(r)]
    try:
        after = cr.Network([layer(one) for one in inner], input_shape=shape).output_shape
    except ChainruleError:
        return None
    if after == shape:
        return ["Residual", {"layers": inner}]
    return ["Parallel", {"chains": [inner, inner], "join": pick(r, "sum", "concat")}]


def starts(r: Random) -> tuple[int, ...]:
    """The shape of a sample: a vector, a sequence or an image."""
    kind = r.random()
    if kind < 0.3:
        return (whole(r, 1, 12),)
    if kind < 0.5:
        return (whole(r, 2, 8), whole(r, 1, 5))
    if kind < 0.65:
        return (whole(r, 4, 5), whole(r, 4, 5), 8)  # channels enough for Winograd
    return (whole(r, 3, 7), whole(r, 3, 7), pick(r, 1, 2, 3, 6))


def random_layers(r: Random) -> tuple[list[Words], tuple[int, ...]]:
    """Layers that fit one on the other, up to what belongs to the loss, and the shape of a sample."""
    start = starts(r)
    words: list[Words] = []
    shape = start
    if len(start) == 2 and r.random() < 0.4:  # ids, or steps of which some are padding
        words = [embedding(r)] if r.random() < 0.7 else [["Masking", {}]]
        start = start[:1] if words[0][0] == "Embedding" else start
        shape = cr.Network(list(map(layer, words)), input_shape=start).output_shape
    count = whole(r, 2, 7)
    for _ in range(20 * count):
        if len(words) == count:
            break
        draw = r.random()
        new: Words | None
        if draw < 0.45 and words:
            new = pick(r, *ACTIVATIONS)(r)
        elif draw < 0.6:
            new = residual(r, shape)
        elif draw < 0.66 and len(shape) > 1:
            new = ["Flatten", {}]
        else:
            new = pick(r, *LAYERS[len(shape)])(r)
        if new is None:
            continue
        try:
            network = cr.Network(list(map(layer, [*words, new])), input_shape=start)
        except (ChainruleError, ValueError):
            continue  # it does not fit
        if any(values_of_a_group(own, network) < 2 for own in leaves(network.layers)):
            continue  # nothing to normalise
        largest = max(int(np.prod(own)) for own in network.shapes.values())
        if largest <= MOST_NUMBERS and network.count_parameters() <= MOST_PARAMETERS:
            words, shape = [*words, new], network.output_shape
    return words, start


def values_of_a_group(own: cr.Layer, network: cr.Network) -> int:
    """How many values a normalisation within samples takes together."""
    *positions, channels = network.shapes[str(own.name)]
    if isinstance(own, cr.layers.GroupNorm):
        return int(np.prod(positions)) * channels // own.groups
    return channels if isinstance(own, cr.layers.LayerNorm | cr.layers.RMSNorm) else 2


def random_loss(r: Random, shape: tuple[int, ...]) -> tuple[list[Words], Words]:
    """The last layer where it belongs to the loss, and the loss."""
    draw = r.random()
    smoothing = pick(r, 0.0, 0.0, 0.1)
    if draw < 0.25 and shape[-1] > 1:
        return [["Softmax", {}]], ["CrossEntropy", {"label_smoothing": smoothing}]
    if draw < 0.4:
        return [["Sigmoid", {}]], ["BinaryCrossEntropy", {"label_smoothing": smoothing}]
    mean = {"mean_outputs": bool(r.random() < 0.5)}
    squared = {"squared": bool(r.random() < 0.5)}
    choices: list[tuple[list[Words], Words]] = [
        ([], ["SquaredError", mean]),
        ([], ["SquaredError", mean]),
        ([], ["MeanAbsoluteError", mean]),
        ([], ["Huber", {"delta": pick(r, 0.5, 1.0), **mean}]),
        ([["Softplus", {}]], ["Poisson", {}]),
        ([["Dense" if len(shape) < 3 else "Conv2D", _last(shape)]], ["Poisson", {"log_input": True}]),
        ([["Dense" if len(shape) < 3 else "Conv2D", _last(shape)]], ["Hinge", squared]),
    ]
    if shape[-1] > 1 and len(shape) == 1:
        choices.append(([["Dense", _last(shape)]], ["CategoricalHinge", squared]))
    return pick(r, *choices)  # type: ignore[no-any-return]


def _last(shape: tuple[int, ...]) -> dict[str, int]:
    return {"units": shape[-1]} if len(shape) < 3 else {"filters": shape[-1], "kernel_size": 1}
