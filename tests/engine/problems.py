"""Random small networks with data, loss, penalty and weights, each from a seed: sizes around the lanes, odd
pictures, every padding, dilation and grouping, overlapping and ragged pools, every activation wherever it can
stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.networks.architecture import architecture
from tests.engine.harness import Array, Problem, away_from_kinks

WIDTHS = (1, 3, 7, 8, 9, 15, 16, 17, 33)  # channels and units around the lanes of every level
LARGEST_MAP = 2500  # scalars of one sample's value: keeps the reference fast
LARGEST_BATCH = 36  # more than two blocks of AVX-512 in float32

Random = np.random.Generator
Maker = Callable[[Random], cr.Layer]

ACTIVATIONS: tuple[Maker, ...] = (
    lambda r: cr.ReLU(),
    lambda r: cr.LeakyReLU(float(r.choice([0.1, 0.5, 0.0, -0.2]))),
    lambda r: cr.Sigmoid(),
    lambda r: cr.Tanh(),
    lambda r: cr.Softplus(),
    lambda r: cr.GELU(),
    lambda r: cr.ELU(float(r.choice([1.0, 0.4]))),
    lambda r: cr.SELU(),
    lambda r: cr.SiLU(),
    lambda r: cr.Mish(),
    lambda r: cr.HardSigmoid(),
    lambda r: cr.HardTanh(),
    lambda r: cr.HardSwish(),
    lambda r: cr.PReLU(float(r.choice([0.25, 0.0, -0.2]))),
    lambda r: cr.Identity(),
    lambda r: cr.Softmax(),
    lambda r: cr.Softsign(),
    lambda r: cr.ParametricActivation(str(r.choice(["selu", "mish", "tanh"]))),
    lambda r: cr.Scale(),
    lambda r: cr.Clamp(-0.5, 0.5),
)


def _width(r: Random) -> int:
    return int(r.choice(WIDTHS))


def _direct(r: Random, channels: int) -> cr.Layer:
    kernel = (int(r.integers(1, 5)), int(r.integers(1, 5)))
    stride = (int(r.integers(1, 3)), int(r.integers(1, 3)))
    (top, bottom), (left, right) = [
        r.integers(0, size, 2).tolist() for size in kernel
    ]  # less than the kernel
    padding: Any = [0, "same", "same", (top, left), ((top, bottom), (left, right))][r.integers(5)]
    return cr.Conv2D(_width(r), kernel, stride=stride, padding=padding, bias=bool(r.random() < 0.8))


def _winograd(r: Random, channels: int) -> cr.Layer:
    paddings: list[Any] = ["valid", "same", 0, 1, 2, ((0, 2), (1, 0)), ((2, 1), (0, 2)), (1, 2)]
    filters = int(r.choice([8, 9, 15, 16, 17, 33]))
    return cr.Conv2D(filters, 3, padding=paddings[r.integers(len(paddings))], bias=bool(r.random() < 0.8))


def _sizes(r: Random, low: int, high: int, axes: int) -> Any:
    """A number per axis; for one axis the number."""
    sizes = tuple(r.integers(low, high, axes).tolist())
    return sizes if axes > 1 else sizes[0]


def _apart(r: Random, channels: int, axes: int = 2) -> cr.Layer:
    """Dilated, grouped and depthwise."""
    options: dict[str, Any] = {
        "stride": _sizes(r, 1, 3, axes),
        "dilation": _sizes(r, 1, 4, axes),
        "padding": ["same", "valid", 1][r.integers(3)],
        "bias": bool(r.random() < 0.8),
    }
    kernel = _sizes(r, 2, 5, axes)
    groups = int(r.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    filters = groups * int(r.integers(1, 5 if groups < 9 else 3))
    if r.random() < 0.25:
        transposed = cr.ConvTranspose1D if axes == 1 else cr.ConvTranspose2D
        if options["padding"] != "same" and options["stride"] in (2, (2, 2)) and r.random() < 0.7:
            options["output_padding"] = 1
        return transposed(filters, kernel, groups=groups, **options)
    if axes == 1:
        return cr.Conv1D(filters, kernel, groups=groups, **options)
    if r.random() < 0.3:
        return cr.DepthwiseConv2D(kernel, multiplier=int(r.integers(1, 3)), **options)
    return cr.Conv2D(filters, kernel, groups=groups, **options)


def _sequence(r: Random, channels: int) -> cr.Layer:
    return _apart(r, channels, 1)


def _pool(r: Random) -> cr.Layer:
    cls = cr.MaxPool2D if r.random() < 0.6 else cr.AveragePool2D
    window = (int(r.integers(1, 4)), int(r.integers(1, 4)))
    return cls(2) if r.random() < 0.3 else cls(window, (int(r.integers(1, 4)), int(r.integers(1, 4))))


def _padded_pool(r: Random, axes: int) -> cr.Layer:
    """Every pooling, with padding."""
    options: dict[str, Any] = {"padding": [0, "same", 1][r.integers(3)]}
    window, stride = _sizes(r, 2, 4, axes), _sizes(r, 1, 4, axes)
    flag, kind = bool(r.random() < 0.5), r.integers(8)
    if kind < 3:
        return (cr.MaxPool1D if axes == 1 else cr.MaxPool2D)(window, stride, **options)
    if kind < 5:
        average = cr.AveragePool1D if axes == 1 else cr.AveragePool2D
        return average(window, stride, count_padding=flag, **options)
    if kind < 7:
        return (cr.L2Pool1D if axes == 1 else cr.L2Pool2D)(window, stride, mean=flag, **options)
    return cr.GlobalAveragePool() if flag else cr.GlobalMaxPool()


def _add(layers: list[cr.Layer], shape: tuple[int, ...], layer: cr.Layer) -> tuple[int, ...]:
    """The new shape; the layer is left out where it does not fit or makes the value too large."""
    try:
        new = layer.output_shape(shape)
    except ValueError:
        return shape
    if int(np.prod(new)) > LARGEST_MAP or min(new) < 1:
        return shape
    layers.append(layer)
    return new


def _image_body(
    r: Random, conv: Callable[[Random, int], cr.Layer], shape: tuple[int, ...]
) -> tuple[list[cr.Layer], tuple[int, ...]]:
    layers: list[cr.Layer] = []
    pool = _pool if conv in (_direct, _winograd) else lambda r: _padded_pool(r, len(shape) - 1)
    for _ in range(int(r.integers(2, 4))):
        if len(shape) == 1:  # behind a global pooling
            break
        if r.random() < 0.2:
            shape = _add(layers, shape, cr.Identity())
        shape = _add(layers, shape, conv(r, shape[-1]))
        for _ in range(int(r.integers(0, 3))):
            shape = _add(layers, shape, ACTIVATIONS[r.integers(len(ACTIVATIONS))](r))
        if r.random() < 0.5:
            shape = _add(layers, shape, pool(r))
        if r.random() < 0.2:
            shape = _add(layers, shape, ACTIVATIONS[r.integers(len(ACTIVATIONS))](r))
    return layers, shape


def _dense_body(r: Random, layers: list[cr.Layer], shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    for _ in range(count):
        shape = _add(layers, shape, cr.Dense(_width(r), bias=bool(r.random() < 0.8)))
        for _ in range(int(r.integers(0, 3))):
            shape = _add(layers, shape, ACTIVATIONS[r.integers(len(ACTIVATIONS))](r))
    return shape


def _normalized(r: Random, shape: tuple[int, ...]) -> list[cr.Layer]:
    """Normalisations and dropout between dense layers or convolutions."""
    layers: list[cr.Layer] = []
    for _ in range(int(r.integers(2, 4))):
        width = int(r.choice([3, 8, 9, 16, 17]))
        groups = int(r.choice([g for g in range(1, width + 1) if width % g == 0 and g < width]))
        across = cr.Conv2D(width, 2, padding=1) if len(shape) == 3 else cr.Dense(width)
        shape = _add(layers, shape, across)
        normal = [cr.BatchNorm(), cr.BatchNorm(), cr.LayerNorm(), cr.RMSNorm(), cr.GroupNorm(groups)]
        shape = _add(layers, shape, normal[r.integers(5)])
        if r.random() < 0.7:
            shape = _add(layers, shape, ACTIVATIONS[r.integers(len(ACTIVATIONS))](r))
        if r.random() < 0.4:
            shape = _add(layers, shape, cr.Dropout(float(r.choice([0.1, 0.5]))))
    return layers


def random_layers(r: Random, family: str) -> tuple[list[cr.Layer], tuple[int, ...]]:
    """Layers up to, not including, what belongs to the loss, and the input's shape."""
    if family == "dense":
        flat = r.random() < 0.3
        shape: tuple[int, ...] = (2, 3, _width(r)) if flat else (_width(r),)
        layers: list[cr.Layer] = [cr.Flatten()] if flat else []
        _dense_body(r, layers, layers[0].output_shape(shape) if flat else shape, int(r.integers(1, 4)))
        return layers, shape
    channels = int(r.choice([8, 9, 16, 17])) if family == "winograd" else _width(r)
    shape = (int(r.integers(3, 9)), int(r.integers(3, 9)), channels)
    if family == "normalized":
        shape = [shape, shape[1:], shape[2:]][r.integers(3)]
        return _normalized(r, shape), shape
    if family == "sequence":
        shape = (shape[0] + shape[1], channels)
    conv = {"winograd": _winograd, "direct": _direct, "apart": _apart, "sequence": _sequence}[family]
    layers, end = _image_body(r, conv, shape)
    if r.random() < 0.7:
        end = _add(layers, end, cr.Flatten())
        if r.random() < 0.3:
            end = _add(layers, end, cr.Identity())
        if r.random() < 0.7:
            _dense_body(r, layers, end, int(r.integers(1, 3)))
    return layers, shape


def _loss_and_targets(
    r: Random, network_shape: tuple[int, ...], samples: int
) -> tuple[list[cr.Layer], cr.Loss, Array]:
    """The layers that belong to the loss, and targets as the door would encode them."""
    shape = (samples, *network_shape)
    kind = r.integers(6)
    if kind <= 1 and network_shape[-1] > 1:
        if kind == 0:
            return [cr.Softmax()], cr.CrossEntropy(), r.integers(0, network_shape[-1], shape[:-1])
        soft = r.random(shape) ** 3  # in float64: probabilities rounded to float32 do not sum to 1
        return [cr.Softmax()], cr.CrossEntropy(), soft / soft.sum(axis=-1, keepdims=True)
    if kind == 2:
        return [cr.Sigmoid()], cr.BinaryCrossEntropy(), r.random(shape)
    if kind == 3:
        return [cr.Sigmoid()], cr.BinaryCrossEntropy(), r.integers(0, 2, shape).astype(np.float64)
    return [], cr.SquaredError(mean_outputs=bool(kind == 4)), r.standard_normal(shape)


def random_problem(seed: int, family: str) -> Problem:
    """The network of a seed, and the first batch of it that is away from every kink; large networks of many
    rectifiers have none, and another network is drawn.
    """
    for attempt in range(5):
        found = _problem(np.random.default_rng([seed, len(family), attempt]), seed, family)
        if found is not None:
            return found
    raise AssertionError(f"no network of seed {seed} ({family}) has a batch away from its kinks")


def _problem(r: Random, seed: int, family: str) -> Problem | None:
    layers, shape = random_layers(r, family)
    if architecture(layers, shape).constant:  # a softmax over one channel, which a new network refuses
        return None
    # over few samples a batch normalisation's δ cancels to nothing
    samples = int(r.integers(8 if family == "normalized" else 1, LARGEST_BATCH + 1))
    ends = cr.Network(layers, input_shape=shape).output_shape
    last, loss, y = _loss_and_targets(r, ends, samples)
    network = cr.Network([*layers, *last], input_shape=shape, seed=seed)
    biases = {
        key: array + 0.3 * r.standard_normal(array.shape)
        for key, array in network.parameters.items()
        if array.ndim == 1
    }
    biases = {key: abs(value) if key.endswith(".variance") else value for key, value in biases.items()}
    network.set_parameters(biases)  # they start at 0 (γ at 1), where they could be left out unseen
    penalty = [None, cr.L2(0.03), cr.L2(0.7, per_sample=True)][r.integers(3)]
    weights = None if r.random() < 0.5 else r.random(samples) * r.choice([0, 1, 3], samples) + 1e-3
    weights = None if weights is None else weights / weights.mean()
    for _ in range(50):
        X = r.standard_normal((samples, *shape)).astype(np.float32)
        if away_from_kinks(network, X):
            return Problem(network, X, y, loss, penalty, weights, training_size=3 * samples)
    return None


# What attention of 4 heads and 19 steps may be told: keys that are seen, shared, more, turned, and numbers of
# distances.
SEEN = np.random.default_rng(4).random((19, 19)) < 0.6
ATTENDING: dict[str, dict[str, Any]] = {
    "rows": {"key_value_bias": True, "zero_key_value": True, "causal": True},
    "buckets, shared rows": {
        "key_value_heads": 2,
        "key_value_bias": True,
        "relative_positions": "t5",
        "buckets": 6,
        "max_distance": 8,
    },
    "turned": {"rotary": True, "key_value_heads": 1},
    "slopes": {"relative_positions": "alibi", "zero_key_value": True},
    "distances": {"relative_positions": "learned", "max_distance": 5, "causal": True},
    "shown": {"seen": SEEN, "relative_positions": "learned"},
    "shown alone": {"seen": SEEN},
}
