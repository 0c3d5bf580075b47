"""From a list of layers to their names, shapes and parameters, with errors that say which layer does not fit
and why.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from chainrule.errors import ShapeError
from chainrule.formulas.grid import Grid
from chainrule.initializers import Glorot, Initializer
from chainrule.layers import Layer, Parameter

Shape = tuple[int, ...]
INPUT = "input"
LARGEST = 2**40  # numbers of one parameter: 4 TB in float32
FORMULA_NAMES = ("x", "z", "a", "d", "y", "m")  # what the formulas of a layer call their other arguments


@dataclass(frozen=True)
class Architecture:
    """Layers with their names set, the output shape of every name, and the parameters as
    "layer.parameter".
    """

    layers: tuple[Layer, ...]
    shapes: Mapping[str, Shape]
    specs: Mapping[str, Parameter]


def architecture(layers: Any, input_shape: Any) -> Architecture:
    """Check and connect the layers.

    Every layer is copied on entry: a layer is a description, and the arrays belong to the network.  So one
    object may stand in a list twice, or in two networks, without sharing anything.
    """
    own = _named([copy.copy(layer) for layer in _checked(layers)])
    shapes: dict[str, Shape] = {INPUT: input_shape_from(input_shape)}
    specs: dict[str, Parameter] = {}
    shape = shapes[INPUT]
    _check_channels_last(own[0], shape)
    for number, layer in enumerate(own):
        place = f"layer {number + 1} of {len(own)}, {layer.name} = {layer!r}"
        output = _ask(layer.output_shape, shape, place, shapes)
        if not isinstance(output, tuple) or not all(
            isinstance(size, Integral) and int(size) > 0 for size in output
        ):
            raise ShapeError(
                f"{place}: output_shape must return a tuple of positive integers, it returned {output!r}"
            )
        for name, spec in _ask(layer.parameters, shape, place, shapes).items():
            if not isinstance(spec, Parameter) or not name.isidentifier() or name in FORMULA_NAMES:
                raise ShapeError(
                    f"{place}: parameters must return name -> Parameter(shape, ...), with names other than "
                    f"{', '.join(FORMULA_NAMES)}; it returned {name!r}: {spec!r}"
                )
            if math.prod(spec.shape) > LARGEST:
                raise ShapeError(
                    f"{place}: its parameter {name} of shape {spec.shape} would be larger than any memory: "
                    "check the sizes of this layer and of its input"
                )
            specs[f"{layer.name}.{name}"] = spec
        shapes[str(layer.name)] = shape = output
    return Architecture(tuple(own), shapes, specs)


def input_shape_from(value: Any) -> Shape:
    """(features,) or (rows, columns, channels) from an int or a sequence of ints."""
    sizes = (value,) if isinstance(value, Integral) else value
    if isinstance(sizes, Iterable) and not isinstance(sizes, str):
        sizes = tuple(sizes)
        if sizes and all(isinstance(s, Integral) and not isinstance(s, bool) and int(s) > 0 for s in sizes):
            return tuple(int(size) for size in sizes)
    raise ShapeError(
        "input_shape must be the shape of one sample, without the number of samples: 784 or (784,) for "
        f"vectors, (28, 28, 1) for images; received {value!r}"
    )


def _check_channels_last(first: Layer, shape: Shape) -> None:
    """ShapeError for images such as (1, 28, 28) under a kernel of several rows: nobody means 28 channels."""
    grid = getattr(first, "grid", None)
    if len(shape) != 3 or not isinstance(grid, Grid) or grid.kernel[0] == 1:
        return
    channels, rows, columns = shape
    if channels in (1, 3) and rows == columns > 4:
        raise ShapeError(
            f"{first!r} takes images with the channels last, received input_shape={shape}: write "
            f"{(rows, columns, channels)}, and X.transpose(0, 2, 3, 1) for data with the channels first"
        )


def initializer_of(architecture: Architecture, name: str) -> Initializer:
    """The initializer of a parameter: its own, or what suits the activation that follows, else Glorot.

    What follows is the first activation behind the layer, whatever pooling or Flatten stands between.
    """
    chosen = architecture.specs[name].initializer
    if chosen is not None:
        return chosen
    layer_name = name.rpartition(".")[0]
    names = [layer.name for layer in architecture.layers]
    for layer in architecture.layers[names.index(layer_name) + 1 :]:
        suits: Initializer | None = getattr(layer, "suits", None)
        if suits is not None:
            return suits
        if any(key.startswith(f"{layer.name}.") for key in architecture.specs):
            break
    return Glorot()


def _checked(layers: Any) -> list[Layer]:
    if isinstance(layers, (Layer, str)) or not isinstance(layers, Iterable):
        raise TypeError(f"layers must be a list such as [Dense(10), Softmax()], received {layers!r}")
    checked = list(layers)
    for number, layer in enumerate(checked):
        if isinstance(layer, Layer):
            continue
        place = f"layers[{number}]"
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(
                f"{place} is the class {layer.__name__}: write {layer.__name__}(...), with parentheses"
            )
        if isinstance(layer, (list, tuple)):
            raise TypeError(
                f"{place} is a {type(layer).__name__}: write one flat list, [*block, Dense(10), ...]"
            )
        raise TypeError(f"{place} must be a layer such as Dense(10) or ReLU(), received {layer!r}")
    if not checked:
        raise ShapeError("layers is empty: a network needs at least one, such as [Dense(10), Softmax()]")
    return checked


def _named(layers: list[Layer]) -> list[Layer]:
    """Give the nameless ones the next free kind + number, counted per kind: dense1, relu1, dense2."""
    taken: set[str] = set()
    for layer in layers:
        if layer.name is None:
            continue
        if (
            not isinstance(layer.name, str)
            or not re.fullmatch(r"[^\W\d][\w-]*", layer.name)
            or layer.name == INPUT
        ):
            raise ShapeError(
                "the name of a layer must be a letter, then letters, digits, _ and -, and not 'input'; "
                f"received {layer.name!r}"
            )
        if layer.name in taken:
            raise ShapeError(f"two layers are named {layer.name!r}: give one of them another name=")
        taken.add(layer.name)
    counts: dict[str, int] = {}
    for layer in layers:
        while layer.name is None:
            counts[layer.kind] = counts.get(layer.kind, 0) + 1
            name = f"{layer.kind}{counts[layer.kind]}"
            layer.name = None if name in taken else name
    return layers


def _ask(rule: Any, shape: Shape, place: str, shapes: Mapping[str, Shape]) -> Any:
    """Call a layer's shape rule; an error gains the layer's place and the shapes up to it."""
    try:
        return rule(shape)
    except (ShapeError, ValueError, TypeError, IndexError) as error:
        way = " → ".join(f"{name} {size}" for name, size in list(shapes.items())[-4:])
        raise ShapeError(f"{place}: {error} (shapes so far: {way})") from error
