"""Networks by name, dense, realmlp, conv and lstm, and networks described in a TOML file."""

from __future__ import annotations

import argparse
import inspect
import math
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chainrule.base.errors import ChainruleError, DataError, FileError, ShapeError
from chainrule.base.files.disk import read_text
from chainrule.base.memory import check_bytes
from chainrule.base.shown import quoted
from chainrule.base.types import Array, Shape
from chainrule.data.frames import Frame
from chainrule.layers import (
    LSTM,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    Layer,
    Masking,
    MaxPool2D,
    MultiHeadAttention,
    PositionalEncoding,
    Recurrent,
    ReLU,
    Softmax,
    layer_classes,
    structure_classes,
)

classes = layer_classes | structure_classes
TOO_DEEP = "lists and tables are nested too deep; write the layers one after the other"
named = ("dense", "conv", "lstm")
REALMLP = "realmlp"
# Options that say how to train: RealMLP is its published figures.
_OF_TRAINING = ("batch_size", "rate", "schedule", "optimizer", "momentum", "penalty", "clip", "patience")
large_image = 20  # pixels of the shorter side; from here on the 5x5 kernels of LeNet fit twice


def no_table(arguments: argparse.Namespace) -> DataError:
    """What to say where RealMLP is asked for and there is no table."""
    return DataError(
        f"--network {REALMLP} takes the rows of a table, and {arguments.source} is none: leave it out"
    )


def is_tabular(arguments: argparse.Namespace, X: Frame | Array) -> bool:
    """Whether RealMLP is trained on these rows.  Raises DataError where it is asked for and cannot be."""
    if arguments.network != REALMLP:
        return False
    if not isinstance(X, Frame):
        raise no_table(arguments)
    for name in _OF_TRAINING:
        if getattr(arguments, name) is not None:
            raise DataError(
                f"--{name.replace('_', '-')} does not go with --network {REALMLP}, which is trained with its "
                "published figures: leave it out, or write --network dense"
            )
    return True


def named_layers(
    kind: str, input_shape: Shape, outputs: int, *, classify: bool, vocabulary: int | None = None
) -> list[Layer]:
    """The layers of `--network dense`, `conv` or `lstm` for these inputs and outputs.

    vocabulary: the inputs are ids below it.
    """
    if kind == "conv":
        return [*conv_body(input_shape), *head(outputs, classify)]
    if kind == "lstm":
        return [*lstm_body(input_shape, vocabulary), *head(outputs, classify)]
    if vocabulary is not None:
        return [Embedding(vocabulary, 16), Flatten(), Dense(64), ReLU(), *head(outputs, classify)]
    return [*dense_body(input_shape), *head(outputs, classify)]


def dense_body(input_shape: Shape) -> list[Layer]:
    """Two hidden layers for features, one of 100 for images."""
    if len(input_shape) == 1:
        return [Dense(64), ReLU(), Dense(32), ReLU()]
    return [Flatten(), Dense(100), ReLU()]


def lstm_body(input_shape: Shape, vocabulary: int | None) -> list[Layer]:
    """An LSTM over the steps, of whose states the last counts; ids are embedded first."""
    if vocabulary is None and len(input_shape) != 2:
        raise ShapeError(
            f"--network lstm needs sequences (steps, features), but a sample has shape {input_shape}: write "
            "--network dense"
        )
    embedded: list[Layer] = [] if vocabulary is None else [Embedding(vocabulary, 16)]
    return [*embedded, LSTM(32)]


def sequential(layers: Iterable[Layer]) -> str | None:
    """What a network that begins with these layers reads: "ids", "sequences", or None: neither."""
    for layer in layers:
        if isinstance(layer, Embedding):
            return "ids"
        if isinstance(layer, Recurrent | Masking | MultiHeadAttention | PositionalEncoding | Conv1D):
            return "sequences"
        if isinstance(layer, Flatten | Dense | Conv2D):
            return None
    return None


def conv_body(input_shape: Shape) -> list[Layer]:
    """Small images: three 3x3 convolutions, two poolings. Large ones: LeNet's two convolutions of 5x5."""
    if len(input_shape) != 3:
        raise ShapeError(
            f"--network conv needs images, but a sample has shape {input_shape}: write --network dense"
        )
    if min(input_shape[:2]) >= large_image:
        body: list[Layer] = [Conv2D(20, 5), ReLU(), MaxPool2D(2), Conv2D(40, 5), ReLU(), MaxPool2D(2)]
        return [*body, Flatten(), Dense(100), ReLU()]
    body = [Conv2D(16, 3, padding="same"), ReLU(), Conv2D(32, 3, padding="same"), ReLU()]
    if min(input_shape[:2]) >= 4:
        body += [MaxPool2D(2), Conv2D(64, 3, padding="same"), ReLU(), MaxPool2D(2)]
    return [*body, Flatten(), Dense(64), ReLU()]


def head(outputs: int, classify: bool) -> list[Layer]:
    return [Dense(outputs), Softmax()] if classify else [Dense(outputs)]


def read_network_file(path: str | Path) -> tuple[list[Layer], Shape | None]:
    """The layers of a TOML file and its `input_shape`, None where it states none.

    The file holds a list `layers` of tables: `type` is a layer's class, the other keys are its arguments;
    a layer without arguments may be its name alone. Layers within a Residual, Parallel or Sequential are
    lists of the same kind, those of a Bidirectional single ones. Raises FileError that names the entry.
    """
    path = Path(path)
    text = read_text(path)
    try:
        content = tomllib.loads(text.removeprefix("\N{BYTE ORDER MARK}"))  # editors on Windows write one
    except RecursionError:
        raise FileError(f"{path}: {TOO_DEEP}") from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: not TOML ({error})") from None
    except ValueError:  # Python reads integers of at most 4300 digits
        raise FileError(
            f"{path}: not TOML that can be read, it holds an integer of thousands of digits"
        ) from None
    unknown = sorted(content.keys() - {"layers", "input_shape"})
    if unknown:
        raise FileError(
            f"{path}: '{quoted(unknown[0])}' is no entry of a network file; it holds layers and input_shape"
        )
    entries = content.get("layers")
    if not isinstance(entries, list) or not entries:
        raise FileError(
            f'{path}: holds no list of layers; write layers = [{{ type = "Dense", units = 10 }}, "Softmax"]'
        )
    try:
        return make_layers(entries, str(path)), input_shape_of(content, path)
    except RecursionError:
        raise FileError(f"{path}: {TOO_DEEP}") from None


def check_network(layers: list[Layer], input_shape: Shape, samples: int, place: str) -> None:
    """Raise ShapeError that names the file at `place`, where the layers do not fit together, and where the
    network and so many samples, in float64, exceed this machine's memory.
    """
    from chainrule.networks.architecture import architecture

    try:
        built = architecture(layers, input_shape)
    except ShapeError as error:
        raise ShapeError(f"{place}: {error}") from None
    numbers = sum(math.prod(spec.shape) for spec in built.specs.values())
    numbers += samples * sum(map(math.prod, built.shapes.values()))
    fewer = ", or take fewer samples" if samples > 1 else ""
    check_bytes(
        place,
        f"the network with {samples} sample{'s' * (samples != 1)}",
        8 * numbers,
        f"make input_shape {quoted(str(input_shape))} or the layers smaller{fewer}",
    )


def input_shape_of(content: dict[str, Any], path: Path) -> Shape | None:
    shape = content.get("input_shape")
    if shape is None:
        return None
    sizes = shape if isinstance(shape, list) else [shape]
    if not sizes or not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise FileError(
            f"{path}: input_shape is {quoted(repr(shape))}: write the shape of one sample, such as "
            "[28, 28, 1] or 4, every size below 2147483648"
        )
    return tuple(sizes)


def make_layers(entries: Any, place: str) -> list[Layer]:
    """A list of layers, or one of a single entry."""
    entries = entries if isinstance(entries, list) else [entries]
    return [make_layer(entry, f"{place}, layer {number}") for number, entry in enumerate(entries, start=1)]


def make_layer(entry: Any, place: str) -> Layer:
    """One layer from its entry: a table with `type`, or a name alone."""
    table = {"type": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict) or not isinstance(table.get("type"), str):
        raise FileError(
            f'{place}: write a table with a type, such as {{ type = "Dense", units = 10 }}, or a name'
        )
    name = table["type"]
    if name not in classes:
        raise FileError(f"{place}: there is no layer '{quoted(name)}'; the layers are {', '.join(classes)}")
    arguments = {key: value for key, value in table.items() if key != "type"}
    accepted = inspect.signature(classes[name]).parameters
    for key in arguments:
        if key not in accepted:
            raise FileError(
                f"{place}: {name} takes no '{quoted(key)}'; its arguments are {', '.join(accepted) or 'none'}"
            )
    for key, parameter in accepted.items():
        if parameter.default is parameter.empty and key not in arguments:
            raise FileError(f"{place}: {name} needs '{key}'; its arguments are {', '.join(accepted)}")
    made = {key: argument(key, value, place) for key, value in arguments.items()}
    try:
        return classes[name](**made)
    except (ChainruleError, ValueError, TypeError, OverflowError) as error:
        raise FileError(f"{place}: {error}") from None


def argument(key: str, value: Any, place: str) -> Any:
    """What a layer is called with: its layers where it is made of layers, otherwise what the file holds."""
    if key == "layers" and not isinstance(value, int):  # of a recurrence it is how many
        return make_layers(value, place)
    if key in ("layer", "backward"):
        return make_layer(value, f"{place}, {key}")
    if key == "shortcut":
        return make_layers(value, f"{place}, shortcut")
    if key == "chains":
        chains = value if isinstance(value, list) else [value]
        return [
            make_layers(chain, f"{place}, branch {number}") for number, chain in enumerate(chains, start=1)
        ]
    return as_tuple(value)


def as_tuple(value: Any) -> Any:
    """TOML knows lists where the layers take tuples: padding = [[1, 1], [0, 0]]."""
    return tuple(as_tuple(entry) for entry in value) if isinstance(value, list) else value
