"""From a network to native operations: a walk over its layers that calls the native plan's builder.

operations.py says which layer is which operation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from chainrule._native import InLanes, JoinKind
from chainrule.base.types import Shape
from chainrule.engine.lowering.bands import chosen_bands, pools_bands
from chainrule.engine.lowering.builder import WHOLE, Builder
from chainrule.engine.lowering.convolutions import (
    at_each_position,
    input_halo,
    output_delta_halo,
    winograd_applies,
)
from chainrule.engine.lowering.lanes import (
    CHANNELS,
    NOTHING,
    POSITIONS,
    SAMPLES,
    begins,
    chosen,
    chosen_for_training,
    chosen_steps,
    costs_of_training,
    crosses,
    has_channels,
    has_positions,
    has_units,
    leaves_positions,
    reads_rows,
)
from chainrule.engine.lowering.operations import OPERATIONS, by_formulas, fuses, in_parts
from chainrule.engine.lowering.pools import add_global_pool, has_adaptive_pools, with_plain_pools
from chainrule.engine.lowering.values import ACTIVATIONS, NO_HALO, Halo, Value, has_kernel, needs_z
from chainrule.layers import Composite, Dropout, Embedding, Flatten, Identity, Layer, Row, Wiring
from chainrule.layers.sequences.attention import GIVEN
from chainrule.layers.structure import Chain, mask_behind, mask_for, run_branches

JOINS = {
    "sum": JoinKind.sum,
    "concat": JoinKind.concat,
    "row": JoinKind.concat,
    "product": JoinKind.product,
    "maximum": JoinKind.maximum,
    "minimum": JoinKind.minimum,
    "quotient": JoinKind.quotient,
    "power": JoinKind.power,
}
Shared = tuple[Iterator[Value], bool]  # a value's readers, and whether something is learned below


class Lowering(Builder):
    """Walks the layers once, in the order of computation."""

    def passes(self, layer: Layer) -> bool:
        """Whether a layer's output is its input, which nobody wants to see twice."""
        passing = type(layer) is Identity or (type(layer) is Dropout and not self.backward)
        return passing and not self.keep

    def wanted_halo(self, chain: Sequence[Layer], shape: Shape, after: Halo) -> Halo:
        """The zeros that the first operation of a chain wants around its input; `after`: what follows it."""
        for layer in chain:
            if self.passes(layer):
                continue  # no operation: what follows reads the same value
            if isinstance(layer, Composite):
                return self.halo_within(layer, 0, shape, NO_HALO)
            return input_halo(layer, shape, self.shapes[str(layer.name)], *self.size(layer))
        return after

    def halo_behind(self, layer: Layer, rest: Sequence[Layer], after: Halo) -> Halo:
        """The zeros wanted around a layer's output; none where it is brought to other lanes first."""
        reader = next((one for one in rest if not self.passes(one)), None)
        if reader is not None and self.cut_of(reader) is not self.cut_of(layer):
            return NO_HALO
        return self.wanted_halo(rest, self.shapes[str(layer.name)], after)

    def halo_within(self, composite: Composite, value: int, shape: Shape, after: Halo) -> Halo:
        """The zeros that the branches of a composite want around what comes in (0), or around what branch
        `value` puts out.
        """
        readers = [
            self.wanted_halo(branch, shape, after if number in composite.ends else NO_HALO)
            for number, (branch, sources) in enumerate(zip(composite.chains, composite.reads, strict=True), 1)
            if value in sources
        ]
        return tuple(map(max, zip(NO_HALO, *readers, strict=True)))

    def chain(
        self,
        layers: Sequence[Layer],
        given: tuple[Value, ...],
        after: Halo,
        learned: bool,
        behind: Layer | None = None,
    ) -> tuple[Value, bool]:
        """The operations of layers in order on what is given: their output, and whether something is learned
        in or below them (only then is δ needed).  `after`: the zeros wanted around the output; `behind`: the
        only layer that reads it, where that is known.
        """
        place, x = 0, given[0]
        while place < len(layers):
            layer, rest = layers[place], layers[place + 1 :]
            place += 1
            reader = rest[0] if rest else behind
            if isinstance(layer, Row) and reader and self.left_apart(layer, reader, given):
                x = self.row_of(layer, given)
                given = (x,)
                continue
            if isinstance(layer, Composite):
                halo = self.halo_behind(layer, rest, after)
                x, learned = self.composite(layer, given, halo, learned, reader)
                given = (x,)
                self.keep_mask(x)
                continue
            same = self.view(layer, x)
            if same is not None:
                self.values[str(layer.name)], x = same.number, same
                given = (x,)
                self.keep_mask(x)
                continue
            learned = learned or self.learns(layer, x.shape)
            activation = None
            if not self.keep and fuses(layer) and rest and has_kernel(rest[0]):
                activation, rest = rest[0], rest[1:]
                place += 1
            x = self.operation(layer, activation, x, self.halo_behind(layer, rest, after), learned)
            given = (x,)
            self.keep_mask(x)
        return x, learned

    def view(self, layer: Layer, x: Value) -> Value | None:
        """The value a layer puts out where that is the memory of x; None where it takes an operation."""
        if self.passes(layer):
            return x
        if type(layer) is not Flatten:
            return None
        if x.lanes == POSITIONS or (self.by_units and x.lanes == CHANNELS) or x.bands > 1:
            x = self.brought(x, SAMPLES, NO_HALO, str(layer.name))
        return self.vector_of(x)

    def vector_of(self, x: Value) -> Value | None:
        """The memory of x as a vector; None where that takes an operation."""
        shape = (math.prod(x.shape),)
        if shape == x.shape:  # already a vector; a view has no views
            return x
        if x.halo != NO_HALO or x.delta_halo != NO_HALO:
            return None
        if x.lanes == CHANNELS and x.shape[-1] % int(self.native.lanes):  # zeros between pixels
            return None
        view = Value(self.native.add_view(x.number), shape, NO_HALO, NO_HALO, x.with_delta, lanes=x.lanes)
        # The view shares the memory, so it is still the output of the activation in front of it.
        view.activation, view.slope, view.saved = x.activation, x.slope, x.saved
        if x.saved >= 0:
            view.saved = view.number if x.saved == x.number else self.native.add_view(x.saved)
        return view

    def operation(self, layer: Layer, activation: Layer | None, x: Value, halo: Halo, learned: bool) -> Value:
        """One layer, with the activation its kernel applies itself."""
        shape = self.shapes[str(layer.name)]
        if x.bands > 1 and pools_bands(layer, x.shape, *x.cut) and not self.mask:
            x = self.pooled_bands(layer, x)
        lanes = self.lanes_of(layer, x)
        x = self.laid_for(layer, x, lanes)
        halo = NO_HALO if lanes == POSITIONS or (self.by_units and lanes == CHANNELS) else halo
        if lanes == CHANNELS:
            rows = reads_rows(layer) and type(layer) is not Embedding
            rows = rows and not winograd_applies(layer, x.shape, shape, *self.size(layer))
        else:
            rows = at_each_position(layer, x.shape) and self.has_rows(x, halo)
        names = () if in_parts(layer) else layer.parameters(x.shape)
        numbers = [self.parameter_of(layer, name, x.shape, rows and name == "W") for name in names]
        separate = activation is not None and needs_z(activation)
        delta_halo = output_delta_halo(layer, x.shape, shape, *self.size(layer))
        z = self.value(shape, NO_HALO if separate else halo, delta_halo, learned, lanes, self.made(layer))
        a = self.produce(activation, z, halo)
        self.consume(x)
        operation = OPERATIONS.get(type(layer), by_formulas)
        if type(layer) in ACTIVATIONS and not has_kernel(layer):
            operation = by_formulas
        read, behind = mask_for(layer, self.mask), mask_behind(layer, self.mask)
        self.mask = read
        operation(self, layer, x, z, numbers)
        self.mask = behind if self.mask is read else self.mask
        self.values[str(layer.name)] = z.number
        if activation is not None:
            self.values[str(activation.name)] = a.number
        return a

    def pooled_bands(self, layer: Layer, x: Value) -> Value:
        """Of each band what a global pool makes of it, as an image of one column: what is left to pool."""
        z = self.value((x.bands, 1, x.shape[-1]), NO_HALO, NO_HALO, x.with_delta, SAMPLES, (x.bands, 1))
        self.consume(x)
        add_global_pool(self, layer, x, z)
        self.parts[z.number] = str(layer.name)
        return self.brought(z, SAMPLES, NO_HALO, str(layer.name))

    def lanes_of(self, layer: Layer, x: Value) -> InLanes:
        """What the lanes hold in a layer's output."""
        if self.lanes == CHANNELS and has_channels(layer, x.shape, self.mask is not None, x.lanes == NOTHING):
            return CHANNELS
        if self.lanes == POSITIONS and has_positions(layer, x.shape, x.lanes):
            return POSITIONS
        if self.by_units and has_units(layer, x.shape, self.native.batch_size, self.native.lanes):
            return CHANNELS
        return SAMPLES

    def laid_for(self, layer: Layer, x: Value, lanes: InLanes) -> Value:
        """x as a layer reads it whose output has this in its lanes."""
        shape = self.shapes[str(layer.name)]
        if crosses(layer) and (lanes != SAMPLES or self.cut_of(layer)):  # each of its parts is brought there
            return x if x.lanes == SAMPLES else self.brought(x, SAMPLES, NO_HALO, str(layer.name))
        rows = lanes == CHANNELS and reads_rows(layer)
        blocks, *cut = self.size(layer)
        if (x.lanes == POSITIONS or x.by_steps) and leaves_positions(layer) and not self.mask:
            return x if x.lanes == POSITIONS else self.brought(x, POSITIONS, NO_HALO, str(layer.name))
        if (x.lanes, [x.bands, x.rows]) == (lanes, cut) or (
            rows and x.lanes == NOTHING and not winograd_applies(layer, x.shape, shape, blocks)
        ):
            return x
        halo = input_halo(layer, x.shape, shape, blocks, *cut)
        return self.brought(x, lanes, halo, str(layer.name), (cut[0], cut[1]))

    def composite(
        self,
        layer: Composite,
        given: tuple[Value, ...],
        halo: Halo,
        learned: bool,
        behind: Layer | None,
    ) -> tuple[Value, bool]:
        """Branches on what is given, and the value that joins them; `behind`: as `chain`."""
        given = tuple(self.cut_for(layer, x) for x in given)
        if isinstance(layer, Wiring):
            return self.wiring(layer, given[0], halo, learned, behind)
        readers = given if len(given) > 1 else self.readers(given[0], len(layer.chains))
        for reader in readers:
            self.parts.setdefault(reader.number, str(layer.name))
        ends = run_branches(
            self,
            layer,
            [(reader, learned) for reader in readers],
            lambda _, branch, on: self.chain(branch, (on[0][0],), NO_HALO, on[0][1]),
        )
        if isinstance(layer, Row):
            ends = [(self.in_row(end, str(layer.name)), branch_learned) for end, branch_learned in ends]
        lanes = self.lanes
        if lanes == POSITIONS and all(end.lanes != POSITIONS for end, _ in ends):
            lanes = SAMPLES
        cut = self.made(layer)
        ends = [
            (
                end
                if (end.lanes, end.cut) == (lanes, cut)
                else self.brought(end, lanes, NO_HALO, str(layer.name), cut),
                branch_learned,
            )
            for end, branch_learned in ends
        ]
        learned = any(branch_learned for _, branch_learned in ends)
        halo = NO_HALO if lanes == POSITIONS else halo
        z = self.value(self.shapes[str(layer.name)], halo, NO_HALO, learned, lanes, cut)
        self.native.add_join(
            [end.number for end, _ in ends],
            [end.activation for end, _ in ends],
            [end.slope for end, _ in ends],
            [end.saved for end, _ in ends],
            z.number,
            JOINS[layer.join],
        )
        self.values[str(layer.name)] = z.number
        return z, learned

    def left_apart(self, row: Row, reader: Layer, given: tuple[Value, ...]) -> bool:
        """Whether what stands in a row is read by attention that takes it apart again, each part brought to
        its own lanes: then no row is made, and `apart` holds its parts.
        """
        if self.keep or not crosses(reader) or reader.seen == GIVEN:  # type: ignore[attr-defined]
            return False
        if len(given) != len(row.chains):
            return False
        if any(x.halo != NO_HALO or x.delta_halo != NO_HALO for x in given):
            return False
        if self.lanes_of(reader, self.row_of(row, given)) == SAMPLES and not self.cut_of(reader):
            return False
        self.apart[str(reader.name)] = list(given)
        return True

    def row_of(self, row: Row, given: tuple[Value, ...]) -> Value:
        """What stands for a row that is not made."""
        return Value(-1, self.shapes[str(row.name)], NO_HALO, NO_HALO, any(x.with_delta for x in given))

    def in_row(self, x: Value, row: str) -> Value:
        """A value as a vector, to stand beside others."""
        if x.lanes != SAMPLES or x.bands > 1:
            x = self.brought(x, SAMPLES, NO_HALO, row)
        vector = self.vector_of(x)
        if vector is None:
            vector = self.value((math.prod(x.shape),), NO_HALO, NO_HALO, x.with_delta)
            self.consume(x)
            self.native.add_flatten(x.number, vector.number)
        self.parts.setdefault(vector.number, row)
        return vector

    def cut_for(self, reader: Composite, x: Value) -> Value:
        """x in the bands that a composite reads, or with samples in the lanes where it takes none."""
        _, *cut = self.size(reader)
        if [x.bands, x.rows] == cut or (x.by_steps and isinstance(reader, Wiring)):
            return x
        halo = self.wanted_halo([reader], x.shape, NO_HALO)
        return self.brought(x, SAMPLES, halo, str(reader.name), (cut[0], cut[1]))

    def wiring(
        self, layer: Wiring, x: Value, halo: Halo, learned: bool, behind: Layer | None
    ) -> tuple[Value, bool]:
        """Chains that read each other: every value has a reader for each of its uses."""

        def shared(number: int, value: Value, learned: bool) -> Shared:
            uses = layer.uses(number)
            return iter(self.readers(value, uses) if uses > 1 else [value]), learned

        def chain(number: int, layers: Chain, on: tuple[Shared, ...]) -> Shared:
            after = halo
            if number not in layer.ends:
                shape = self.shapes[str(layers[-1].name)]
                after = self.halo_within(layer, number, shape, halo)
            given, learned = tuple(next(readers) for readers, _ in on), any(below for _, below in on)
            reader = behind if number in layer.ends and layer.uses(number) == 1 else None
            return shared(number, *self.chain(layers, given, after, learned, reader))

        ((ends, learned),) = run_branches(self, layer, [shared(0, x, learned)], chain)
        z = next(ends)
        if z.number >= 0:  # not parts that are left apart
            self.values[str(layer.name)] = z.number
        return z, learned


def lower(
    network: Any,
    native: Any,
    *,
    keep: bool,
    paired: bool,
    frozen: frozenset[str] = frozenset(),
    backward: bool = True,
    per_sample: bool = False,
    alone: bool = True,
    rounded: bool = False,
) -> tuple[Lowering, Value, Value]:
    """Build the operations of a network; `paired`: its last activation belongs to the loss; `frozen`:
    parameters that no step changes, and δ goes down no further than the lowest that one does; `backward`:
    whether there is a δ at all; `per_sample`: whether gradients of single samples are measured; `alone`:
    whether a batch is that of a step, not a shard of it; `rounded`: whether products are of bfloat16, for
    which samples or positions are in the lanes.

    Returns the lowering, the value in front of the loss (z of a pair, a otherwise) and the value a^L.
    """
    layers = list(network.layers)
    if has_adaptive_pools(layers):
        layers = with_plain_pools(layers, (network.input_shape,), network.shapes)
    lanes = SAMPLES
    body = layers[:-1] if paired else layers
    sizes = (network.input_shape, network.shapes, native.batch_size, native.lanes)
    if not (keep or backward or rounded):
        lanes = chosen(layers, *sizes)
    elif not (keep or per_sample):
        costs = costs_of_training(body, *sizes)
        lanes = chosen_for_training(costs)
    low = Lowering(
        *(native, keep, network.shapes, network.parameter_names),
        frozen=frozen,
        backward=backward,
        lanes=lanes,
        per_sample=per_sample,
        rounded=rounded,
    )
    if backward and alone and not (keep or per_sample):
        low.cuts = chosen_steps(costs)
        taken = costs.steps if low.cuts or lanes == POSITIONS else ()
        if low.cuts:
            lanes = low.lanes = SAMPLES
        low.cuts += chosen_bands(body, *sizes, taken)
    shown = keep and backward
    low.by_units = backward and not (keep or per_sample)
    of_input = NOTHING if lanes == CHANNELS else SAMPLES
    if lanes == POSITIONS:
        of_input = begins(body, network.input_shape)
    elif low.by_units and body and has_units(body[0], network.input_shape, *sizes[2:]):
        of_input = NOTHING
    halo = NO_HALO if of_input == POSITIONS else low.wanted_halo(body, network.input_shape, NO_HALO)
    cut = low.cut_of(body[0]) if body and not crosses(body[0]) else None
    of_bands = (cut.bands, cut.rows) if cut else WHOLE
    x = low.value(network.input_shape, halo, NO_HALO, shown, of_input, of_bands)
    low.values["input"] = x.number
    native.set_input(x.number)
    x, _ = low.chain(body, (x,), NO_HALO, shown)
    if x.lanes == POSITIONS or (low.by_units and x.lanes == CHANNELS) or x.bands > 1:
        x = low.brought(x, SAMPLES, NO_HALO, str(body[-1].name))
    if not paired:
        return low, x, x
    a = low.value(network.output_shape, NO_HALO, NO_HALO, False)
    low.values[str(layers[-1].name)] = a.number
    return low, x, a
