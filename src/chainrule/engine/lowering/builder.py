"""What every operation asks of the native plan's builder: values, parameters, readers of a value, fused
activations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule._native import InLanes
from chainrule.base.errors import ShapeError
from chainrule.base.memory import LARGEST_SAMPLE
from chainrule.base.types import Shape
from chainrule.engine.lowering.values import (
    ACTIVATIONS,
    NO_HALO,
    Halo,
    Hosted,
    Value,
    as_image,
    in_panels,
    needs_z,
    slope,
)
from chainrule.layers import Identity, Layer
from chainrule.layers.precision import is_rounded
from chainrule.layers.structure import Masks

Bands = tuple[int, int]  # how many, and of how many rows
WHOLE: Bands = (1, 0)


@dataclass(frozen=True)
class Cut:
    """A run of layers that are cut into so many bands, by name: the rows of a band of what each reads and
    puts out.  rows: of what the first of them reads.
    """

    bands: int
    rows: int
    layers: Mapping[str, Bands]


@dataclass
class Builder:
    """The native plan's builder, and what has been built: values, parameters, parts, the mask in force."""

    native: Any
    keep: bool  # one value and one δ per layer, nothing fused: what `backpropagate` shows
    shapes: Mapping[str, Shape]  # layer name -> output shape
    names: Callable[[Layer], Mapping[str, str]]  # of its parameters: as Model.parameter_names
    parameters: dict[str, int] = field(default_factory=dict)  # name -> number of its first use
    values: dict[str, int] = field(default_factory=dict)  # layer name -> value (its output)
    hosts: list[Hosted] = field(default_factory=list)
    parts: dict[int, str] = field(default_factory=dict)  # values within a layer -> its name
    frozen: frozenset[str] = frozenset()  # parameters that no step changes
    lanes: InLanes = InLanes.samples  # what lies in the lanes where a layer has the choice
    backward: bool = True  # whether there is a pass back: without one nothing has a δ
    per_sample: bool = False  # whether the norms of the samples' own gradients are measured
    by_units: bool = False  # whether recurrences may have units in the lanes: in training
    rounded: bool = False  # whether products are of bfloat16
    panels: set[int] = field(default_factory=set)  # parameters that lie so
    held: dict[int, Value] = field(default_factory=dict)  # by number
    cuts: tuple[Cut, ...] = ()  # the layers whose images are cut into bands
    apart: dict[str, list[Value]] = field(default_factory=dict)  # by its name what a layer reads, each alone
    mask: Any = None  # a Value (steps, 1): 1 where a step is there, or Masks, as in PassContext

    def cut_of(self, layer: Layer) -> Cut | None:
        """How a layer's values are cut into bands of rows."""
        return next((cut for cut in self.cuts if str(layer.name) in cut.layers), None)

    def rounds(self, layer: Layer) -> bool:
        """Whether a layer's factors are rounded to bfloat16."""
        return self.rounded and is_rounded(layer)

    def made(self, layer: Layer) -> Bands:
        """How a layer's output is cut."""
        cut = self.cut_of(layer)
        return (cut.bands, cut.layers[str(layer.name)][1]) if cut else WHOLE

    def size(self, layer: Layer) -> tuple[int, int, int]:
        """Blocks of a full batch where a layer computes, and how its input is cut; of a prediction 1 block,
        so that no sample's depends on how many there are.
        """
        cut = self.cut_of(layer)
        bands, rows = (cut.bands, cut.layers[str(layer.name)][0]) if cut else WHOLE
        blocks = -(-int(self.native.batch_size) * bands // int(self.native.lanes))
        return blocks if self.backward else 1, bands, rows

    def value(
        self,
        shape: Shape,
        halo: Halo,
        delta_halo: Halo,
        with_delta: bool,
        lanes: InLanes = InLanes.samples,
        cut: Bands = WHOLE,
    ) -> Value:
        height, width, channels = as_image(shape, cut[0] > 1)
        if height * width * channels > LARGEST_SAMPLE:
            raise ShapeError(f"a value of shape {shape} has more than {LARGEST_SAMPLE} numbers per sample")
        bands, rows = cut
        if bands > 1 and len(shape) == 2:  # a column has nothing beside it
            halo, delta_halo = (*halo[:2], 0, 0), (*delta_halo[:2], 0, 0)
        size = (height if bands == 1 else rows, width, channels)
        number = self.native.add_value(*size, halo, with_delta, delta_halo, lanes, bands, height)
        made = Value(number, shape, halo, delta_halo, with_delta, lanes=lanes, bands=bands, rows=rows)
        self.held[number] = made
        return made

    def brought(self, x: Value, lanes: InLanes, halo: Halo, reader: str, cut: Bands = WHOLE) -> Value:
        """x with something else in its lanes. reader: the layer that asks for it."""
        steps = len(x.shape) == 2 and cut == (x.shape[0], 1) and halo == NO_HALO
        banded = (x.bands > 1 and not x.by_steps) or (cut[0] > 1 and not steps)
        elsewhere = {x.lanes, lanes} != {InLanes.samples}  # bands become whole samples only
        if (x.bands > 1 and cut[0] > 1) or (banded and elsewhere):
            x = self.brought(x, InLanes.samples, NO_HALO, reader)
        if (x.by_steps or steps) and InLanes.positions not in (x.lanes, lanes):
            x = self.brought(x, InLanes.positions, NO_HALO, reader)
        if {x.lanes, lanes} == {InLanes.channels, InLanes.positions}:
            x = self.brought(x, InLanes.samples, NO_HALO, reader)
        z = self.value(x.shape, halo, NO_HALO, x.with_delta, lanes, cut)
        self.consume(x)
        self.native.add_rearranged(x.number, z.number)
        owners = (name for name, number in self.values.items() if number == x.number)
        self.parts[z.number] = next(owners, self.parts.get(x.number, reader))
        return z

    def steps_mask(self, steps: int) -> Value:
        """A value for a mask, which an operation fills in."""
        return self.value((steps, 1), NO_HALO, NO_HALO, False)

    def learns(self, layer: Layer, input_shape: Shape) -> bool:
        """Whether a δ is wanted for a parameter of the layer, or to be shown."""
        if not self.backward or self.keep:
            return self.backward
        specs, names = layer.parameters(input_shape).items(), self.names(layer)
        return any(spec.learned and names[name] not in self.frozen for name, spec in specs)

    def keep_mask(self, x: Value) -> None:
        """The mask goes on where x, which comes next, has its steps."""
        if isinstance(self.mask, Masks):
            return  # they are the next layer's, which reads several values
        if self.mask and (len(x.shape) != 2 or x.shape[0] != self.mask.shape[0]):
            self.mask = None

    def parameter(self, name: str, shape: Shape, penalised: bool, panels: bool) -> int:
        size = math.prod(shape)
        outputs, inputs = (shape[0], size // shape[0]) if panels else (0, 0)
        number: int
        if name in self.parameters:
            number = self.native.add_use(self.parameters[name], size, outputs, inputs, panels)
        else:
            number = self.native.add_parameter(size, outputs, inputs, panels, penalised)
            self.parameters[name] = number
        if panels:
            self.panels.add(number)
        return number

    def has_rows(self, x: Value, halo: Halo) -> bool:
        """Whether every position of x is a row of a product with W in panels, whose output has this halo."""
        return not self.per_sample and x.halo == x.delta_halo == halo == NO_HALO

    def parameter_of(self, layer: Layer, name: str, input_shape: Shape, panels: bool = False) -> int:
        """The parameter of a layer, for the operation that is added next. panels: it lies so here, if not
        always.
        """
        spec = layer.parameters(input_shape)[name]
        panels = panels or in_panels(layer, name, input_shape)
        return self.parameter(self.names(layer)[name], spec.shape, spec.penalised, panels)

    def readers(self, x: Value, count: int) -> list[Value]:
        """x as several read it: its memory, with a δ of each one's own, which are added up."""
        readers = [
            Value(
                self.native.add_reader(x.number),
                *(x.shape, x.halo, NO_HALO, x.with_delta),
                lanes=x.lanes,
                bands=x.bands,
                rows=x.rows,
            )
            for _ in range(count)
        ]
        self.held.update({reader.number: reader for reader in readers})
        self.consume(x)
        self.native.add_branches(x.number, [reader.number for reader in readers])
        return readers

    def consume(self, x: Value) -> None:
        """Tell the next operation which f' multiplies the δ it sends down to x."""
        self.native.set_input_post(x.activation, x.slope, x.saved)

    def produce(self, layer: Layer | None, z: Value, halo: Halo) -> Value:
        """Fuse `layer` (an activation) into the next operation, which writes z; returns the value a."""
        if layer is None or type(layer) is Identity:
            return z
        kind, a = ACTIVATIONS[type(layer)], z
        if needs_z(layer):
            a = self.value(z.shape, halo, z.delta_halo, z.with_delta, z.lanes, (z.bands, z.rows))
            if z.with_delta:
                self.native.share_delta(z.number, a.number)
        a.activation, a.slope, a.saved = kind, slope(layer), z.number
        self.native.set_post(kind, slope(layer), a.number)
        return a
