"""Keras's weights of an architecture like the network's: as `model.get_weights()` lists them, or its files.

Keras itself is not needed. Its layers lie in the same order as ours, kernels with their filters last, gates
of a GRU in the order update, reset, new.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, FileError, MissingExtraError, ShapeError, describe
from chainrule.base.scalars import entries, text_path
from chainrule.base.types import Array
from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNorm,
    Bidirectional,
    Composite,
    Conv1D,
    Conv2D,
    Conv3D,
    ConvTranspose1D,
    ConvTranspose2D,
    ConvTranspose3D,
    Dense,
    DepthwiseConv2D,
    Embedding,
    GroupNorm,
    Layer,
    LayerNorm,
    MultiHeadAttention,
    PReLU,
    RMSNorm,
)  # fmt: skip
from chainrule.networks.forms.written import gates_in_order
from chainrule.networks.model import Model

SUFFIXES = (".npz", ".h5", ".keras")
GRU_GATES = ("run", "urn")  # ours, Keras's
Turn = Callable[[Array], Array]


@dataclass(frozen=True)
class Weight:
    """An array of Keras: its name there, ours, and how it is turned to Keras and back."""

    theirs: str
    ours: str
    there: Turn = lambda array: array
    back: Turn = lambda array: array


def keras_weights(network: Model) -> list[Array]:
    """The arrays in the order of `model.get_weights()`; ArgumentError for a layer that Keras has not."""
    made: list[Array] = []
    for layer, _ in _with_weights(network):
        given = network.layer_parameters(layer)
        if type(layer) is GRU and layer.bias:
            made += _gru_to(given)
            continue
        arrays = [_turned(weight, given) for weight in _weights(layer, given)]
        if type(layer) is PReLU:  # the same for all positions
            ones = (1,) * (len(network.shapes[str(layer.name)]) - 1)
            arrays = [array.reshape(*ones, -1) for array in arrays]
        made += arrays
    return made


def _with_weights(network: Model) -> list[tuple[Layer, str]]:
    """(layer, its path in Keras's file) of all layers that have weights; ArgumentError for one it has not."""
    leaves = [*_leaves(network, network.layers, Counter())]
    known = {str(layer.name) for layer, _ in leaves}
    for name in network.parameters:
        if (layer_name := name.rpartition(".")[0]) not in known:
            known_ones = ", ".join(cls.__name__ for cls in NAMES)
            raise ArgumentError(f"{layer_name} has no like in Keras: weights go both ways of {known_ones}")
    return leaves


def set_keras_weights(network: Model, weights: Any) -> None:
    """The parameters from a list, or a file; if one array does not fit nothing is changed."""
    leaves = _with_weights(network)
    if isinstance(weights, str | os.PathLike):
        arrays = _from_file(text_path(weights), leaves)
    else:
        given = entries(weights)
        if given is None:
            raise ArgumentError(
                "weights must be a list of arrays, model.get_weights(), or a file, received "
                f"{describe(weights)}"
            )
        arrays = [np.asarray(array) for array in given]
    wanted = sum(_count(network, layer) for layer, _ in leaves)
    if len(arrays) != wanted:
        raise ShapeError(
            f"the network has {wanted} arrays of Keras's, {_listed(network, leaves)}; received {len(arrays)}"
        )
    parameters: dict[str, Array] = {}
    for layer, _ in leaves:
        count = _count(network, layer)
        names = network.parameter_names(layer)
        for name, array in _read(network, layer, arrays[:count]).items():
            parameters[names[name]] = array
        arrays = arrays[count:]
    network.set_parameters(parameters)


def _leaves(network: Model, layers: Sequence[Layer], seen: Counter[str]) -> Iterator[tuple[Layer, str]]:
    """(layer, its path in Keras's file) of the layers that have weights, in order; a layer that stands in the
    network again is the same one there.
    """
    for layer in layers:
        if layer.tied is not None:
            raise ArgumentError(f"{layer.name} = {layer!r} has no like in Keras: no Dense of its is tied")
        names = network.parameter_names(layer)
        if names and not any(f"{layer.name}.{key}" == name for key, name in names.items()):
            continue
        if isinstance(layer, Bidirectional):
            path = _path("bidirectional", seen)
            yield layer.layer, f"{path}/forward_layer/cell"
            yield layer.backward, f"{path}/backward_layer/cell"
        elif isinstance(layer, Composite):
            for chain in layer.chains:
                yield from _leaves(network, chain, seen)
        elif type(layer) in NAMES:
            name, _, within = NAMES[type(layer)].partition("/")
            path = _path(name, seen)
            yield layer, f"{path}/{within}" if within else path


def _path(name: str, seen: Counter[str]) -> str:
    seen[name] += 1
    return f"layers/{name}" if seen[name] == 1 else f"layers/{name}_{seen[name] - 1}"


def _count(network: Model, layer: Layer) -> int:
    given = network.layer_parameters(layer)
    return 3 if type(layer) is GRU and layer.bias else len(_weights(layer, given))


def _listed(network: Model, leaves: Sequence[tuple[Layer, str]]) -> str:
    return ", ".join(f"{_count(network, layer)} of {layer.name}" for layer, _ in leaves)


# -- layers --------------------------------------------------------------------------------------------------
def _transposed(array: Array) -> Array:
    return array.T


def _filters_last(array: Array) -> Array:
    return np.moveaxis(array, 0, -1)


def _filters_first(array: Array) -> Array:
    return np.moveaxis(array, -1, 0)


def _weights(layer: Layer, given: Mapping[str, Array]) -> list[Weight]:
    """The arrays of a layer in Keras's order; ArgumentError where it is written in another way there."""
    kind = type(layer)
    if isinstance(layer, Dense) and layer.ntk:
        raise _unlike(layer, "Keras divides no product by √n")
    if isinstance(layer, LSTM) and (layer.projection or layer.peepholes):
        raise _unlike(layer, f"its LSTM has no projections and no peepholes: LSTM({layer.units})")
    if kind is MultiHeadAttention:
        return _attention(layer, given)
    kernel = _depthwise(layer) if isinstance(layer, DepthwiseConv2D) else KERNELS.get(kind, [])
    more = [Weight("bias", "b")] if "b" in given and kernel else []
    return [*kernel, *more, *(weight for weight in PLAIN if weight.ours in given)]


def _depthwise(layer: DepthwiseConv2D) -> list[Weight]:
    """(rows, columns, channels, filters of each) there, the filters of a channel side by side here."""
    each = layer.multiplier

    def there(array: Array) -> Array:
        return array[..., 0].reshape(-1, each, *array.shape[1:3]).transpose(2, 3, 0, 1)

    def back(array: Array) -> Array:
        return array.transpose(2, 3, 0, 1).reshape(-1, *array.shape[:2], 1)

    return [Weight("depthwise_kernel", "W", there, back)]


def _attention(layer: Any, given: Mapping[str, Array]) -> list[Weight]:
    if layer.rotary or layer.extra_rows or layer.relative_positions:
        raise ArgumentError(
            f"{layer.name}, {layer!r}, has no like in Keras: its attention turns nothing, adds nothing to "
            "scores and has no key more"
        )
    size, features = len(given["W_q"]), len(given["W_q"]) // layer.heads

    def there(W: Array) -> Array:
        return W.T.reshape(W.shape[1], -1, features)

    def back(K: Array) -> Array:
        return K.reshape(len(K), -1).T

    made = []
    for name, key in (("query", "q"), ("key", "k"), ("value", "v")):
        made.append(Weight(name, f"W_{key}", there, back))
        if layer.bias:  # that of the keys cancels in the softmax
            made.append(
                Weight(
                    f"{name} bias", f"b_{key}", lambda b: b.reshape(-1, features), lambda b: b.reshape(-1)
                )
            )
    made.append(
        Weight(
            "output",
            "W_o",
            lambda W: W.T.reshape(-1, features, size),
            lambda K: K.reshape(size, size).T,
        )
    )
    return [*made, *([Weight("output bias", "b_o")] if layer.bias else [])]


_RECURRENT = [
    Weight("kernel", "W", _transposed, _transposed),
    Weight("recurrent_kernel", "U", _transposed, _transposed),
]


def _gates(theirs: str, ours: str) -> Weight:
    return Weight(
        theirs,
        ours,
        lambda array: gates_in_order(array, *GRU_GATES).T,
        lambda array: gates_in_order(array.T, *GRU_GATES[::-1]),
    )


_GRU = [_gates("kernel", "W"), _gates("recurrent_kernel", "U")]
_CONVOLUTION = [Weight("kernel", "W", _filters_last, _filters_first)]
KERNELS: dict[type[Layer], list[Weight]] = {
    Dense: [Weight("kernel", "W", _transposed, _transposed)],
    **dict.fromkeys((Conv1D, Conv2D, Conv3D), _CONVOLUTION),
    **dict.fromkeys((ConvTranspose1D, ConvTranspose2D, ConvTranspose3D), _CONVOLUTION),
    **dict.fromkeys((RNN, LSTM), _RECURRENT),
    GRU: _GRU,
}
PLAIN = (
    *(Weight("gamma", "gamma"), Weight("beta", "beta"), Weight("moving_mean", "mean")),
    *(Weight("moving_variance", "variance"), Weight("embeddings", "E")),
    Weight("alpha", "alpha", back=lambda array: array.ravel()),
)
# Where Keras 3 has a layer's arrays in a file of weights.
NAMES: dict[type[Layer], str] = {
    Dense: "dense",
    Conv1D: "conv1d",
    Conv2D: "conv2d",
    Conv3D: "conv3d",
    DepthwiseConv2D: "depthwise_conv2d",
    ConvTranspose1D: "conv1d_transpose",
    ConvTranspose2D: "conv2d_transpose",
    ConvTranspose3D: "conv3d_transpose",
    BatchNorm: "batch_normalization",
    LayerNorm: "layer_normalization",
    GroupNorm: "group_normalization",
    RMSNorm: "rms_normalization",
    Embedding: "embedding",
    PReLU: "p_re_lu",
    RNN: "simple_rnn/cell",
    LSTM: "lstm/cell",
    GRU: "gru/cell",
    MultiHeadAttention: "multi_head_attention",
}
_PARTS = ("query_dense", "key_dense", "value_dense", "output_dense")


def _turned(weight: Weight, given: Mapping[str, Array]) -> Array:
    if weight.ours == "b_k":
        return weight.there(np.zeros_like(given["b_v"]))
    return np.ascontiguousarray(weight.there(given[weight.ours]))


def _gru_to(given: Mapping[str, Array]) -> list[Array]:
    """The bias has two rows where the reset is behind U: beside W, and beside U, that of the new state."""
    kernels = [_turned(weight, given) for weight in _GRU]
    if "v" not in given:
        return [*kernels, gates_in_order(given["b"], *GRU_GATES)]
    b, v = given["b"], given["v"]
    beside = np.concatenate([np.zeros(2 * len(v), v.dtype), v])
    return [*kernels, np.stack([gates_in_order(row, *GRU_GATES) for row in (b, beside)])]


def _read(network: Model, layer: Layer, arrays: Sequence[Array]) -> dict[str, Array]:
    """The parameters of a layer from its arrays."""
    given = network.layer_parameters(layer)
    if type(layer) is GRU and layer.bias:
        return _gru_from(layer, given, arrays)
    made = {}
    for weight, array in zip(_weights(layer, given), arrays, strict=True):
        if weight.ours == "b_k":
            continue
        wanted = _turned(weight, given).shape
        fits = array.size == np.prod(wanted) and (array.shape == wanted or weight.theirs == "alpha")
        if not fits:
            raise _misfit(layer, weight.theirs, wanted, array)
        made[weight.ours] = weight.back(array)
    return made


def _gru_from(layer: Any, given: Mapping[str, Array], arrays: Sequence[Array]) -> dict[str, Array]:
    made = {}
    for weight, array in zip(_GRU, arrays, strict=False):
        wanted = _turned(weight, given).shape
        if array.shape != wanted:
            raise _misfit(layer, weight.theirs, wanted, array)
        made[weight.ours] = weight.back(array)
    units, bias = layer.units, arrays[2]
    if bias.shape != ((2, 3 * units) if layer.reset_after else (3 * units,)):
        raise ArgumentError(
            f"{layer.name}: a bias of the shape {bias.shape} is that of a GRU with "
            f"reset_after={bias.ndim == 2}: write GRU({units}, reset_after={bias.ndim == 2})"
        )
    if not layer.reset_after:
        return {**made, "b": gates_in_order(bias, *GRU_GATES[::-1])}
    b, beside = (gates_in_order(row, *GRU_GATES[::-1]) for row in bias)
    rest = np.concatenate([beside[: 2 * units], np.zeros(units, beside.dtype)])
    return {**made, "b": b + rest, "v": beside[2 * units :]}


def _misfit(layer: Layer, theirs: str, wanted: tuple[int, ...], array: Array) -> ShapeError:
    return ShapeError(
        f"{layer.name}, {layer!r}: Keras's {theirs} must have the shape {tuple(map(int, wanted))}, received "
        f"{array.shape}; the two architectures differ here, or in their order"
    )


def _unlike(layer: Layer, what: str) -> ArgumentError:
    return ArgumentError(f"{layer.name}, {layer!r} has no like in Keras: {what}")


# -- files ---------------------------------------------------------------------------------------------------
def _from_file(path: str, leaves: Sequence[tuple[Layer, str]]) -> list[Array]:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise FileError(f"{path}: weights of Keras are in files that end in {', '.join(SUFFIXES)}")
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return _numbered(path, dict(archive))
        if suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return _from_h5(path, io.BytesIO(archive.read("model.weights.h5")), leaves)
        return _from_h5(path, path, leaves)
    except (FileError, MissingExtraError):
        raise
    except Exception as error:  # what readers throw at a damaged file, or one that is not there
        raise FileError(f"{path}: weights cannot be read from it ({error})") from error


def _numbered(path: str, held: Mapping[str, Array]) -> list[Array]:
    """np.savez(path, *model.get_weights()): arr_0, arr_1, ..."""
    numbered = {int(found[1]): held[name] for name in held if (found := re.fullmatch(r"arr_(\d+)", name))}
    if not numbered or len(numbered) != len(held):
        raise FileError(
            f"{path}: arrays are taken as arr_0, arr_1, ..., written by np.savez(path, *model.get_weights())"
        )
    return [numbered[n] for n in sorted(numbered)]


def _from_h5(path: str, source: Any, leaves: Sequence[tuple[Layer, str]]) -> list[Array]:
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "keras", f"reading {os.path.basename(path)}") from None
    with h5py.File(source, "r") as file:
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:  # Keras 2, and model.save("net.h5"): in the order of the layers
            groups = [root[_text(name)] for name in root.attrs["layer_names"]]
            return [
                np.asarray(group[_text(name)]) for group in groups for name in group.attrs["weight_names"]
            ]
        made: list[Array] = []
        for layer, place in leaves:
            if place not in file:
                there = ", ".join(sorted(file["layers"])) if "layers" in file else "nothing"
                raise FileError(
                    f"{path}: has no {place!r} for {layer.name}; of layers it holds {there}. Models within "
                    "models are taken as np.savez('weights.npz', *model.get_weights())"
                )
            parts = [place] if f"{place}/vars/0" in file else [f"{place}/{part}" for part in _PARTS]
            for part in parts:
                held = file[f"{part}/vars"]
                made += [np.asarray(held[name]) for name in sorted(held, key=int)]
        return made


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
