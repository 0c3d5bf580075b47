"""What the lanes of a vector hold: in a prediction samples, or channels (docs/decisions/0015-lanes.md); in
training samples, or the steps of a sequence, where a layer acts on each alone (0016-lanes-in-training.md).

Samples fill a vector where there are enough of them, whatever a layer does; channels and steps fill it where
a layer has as many, however few the samples are. Which is the faster is told by counting the vectors that
each takes. Whichever it is, the numbers of a prediction have the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chainrule._native import InLanes
from chainrule.base.types import Shape
from chainrule.engine.lowering.builder import Cut
from chainrule.engine.lowering.convolutions import CONVOLUTIONS
from chainrule.engine.lowering.operations import of_made_input
from chainrule.engine.lowering.pools import GLOBAL_POOLS, POOLS, lies_apart
from chainrule.engine.lowering.values import ACTIVATIONS, CELLS, as_image, has_kernel, reads_units
from chainrule.engine.programs import layer_programs
from chainrule.layers import (
    GLU,
    Activation,
    BatchNorm,
    Composite,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    Masking,
    MultiHeadAttention,
    PositionalEncoding,
    Recurrent,
    RMSNorm,
    Softmax,
)
from chainrule.layers.structure import Chain, run_branches, shape_after

SAMPLES, CHANNELS, NOTHING = InLanes.samples, InLanes.channels, InLanes.nothing
POSITIONS = InLanes.positions

# A vector product in a loop that is bound by its multiply-adds is the unit. What other loops cost beside it,
# and a vector that is only passed through: estimates, whose choices docs/decisions/0015-lanes.md measures.
_ROWS_OVER_STEPS = 1.3  # dense layers over steps where the lanes are channels: W out of the L2 cache
_ATTENDING = 2.0  # a product of two loaded vectors
_STRIP = 12.0  # normalising a position, or its softmax, with its way in and out of strips
_GATE = 40.0  # of a recurrence: its activation, in a prediction
_STEP = 200.0  # of one sample, with units in the lanes: what it takes besides
_UNITS = 1.25  # units in the lanes of a recurrence, in training: states of many samples leave the cache
PASSING = 2.0
_MOVING = 5.0  # steps of all samples one behind the other to vectors of a sample, or back
_VECTOR = 8  # what it takes to begin with another vector of either, in numbers of a step
# Of the estimate with vectors of a sample, and with samples, below which they are worth it: samples were up
# to a fifth faster than estimated (0025-sequences.md).
_GAINS = 0.97, 0.8
_REARRANGING = 4.0

_BY_POSITION = (LayerNorm, RMSNorm, Softmax)
_BY_ENTRY = (*POOLS, *GLOBAL_POOLS, *ACTIVATIONS, BatchNorm, Dropout, Flatten, PositionalEncoding)


T = TypeVar("T")
Held = tuple[Shape, T]  # of a value: its shape, and what a walk holds of it
Entry = tuple[Held[T], ...]

_FOLLOWING = (Dropout, PositionalEncoding, *ACTIVATIONS)  # too cheap to be worth a way there
_AT_EACH_STEP = (Dense, MultiHeadAttention, *_BY_POSITION)


def has_units(layer: Layer, x: Shape, batch: int, lanes: int) -> bool:
    """Whether a recurrence on x is trained with its units in the lanes: where these fill more of them than
    samples do, and that pays for the way there and back.
    """
    if not reads_units(layer) or _by_samples(layer):
        return False
    by_samples, by_units = cost(layer, x, (layer.units,), batch, lanes)  # type: ignore[attr-defined]
    return _UNITS * by_units < by_samples


def has_positions(layer: Layer, x: Shape, held: InLanes) -> bool:
    """Whether a layer is trained with the steps of a sequence of shape x in the lanes, where x has `held`.

    A single step is not: it would be a vector to the kernels, and these have samples in the lanes.
    """
    if crosses(layer):
        return True
    if len(x) != 2 or x[0] == 1 or of_made_input(layer) or _by_samples(layer):
        return False
    if isinstance(layer, Activation | GLU) and not has_kernel(layer):
        return held == POSITIONS and _by_program(layer, x)
    if type(layer) in _FOLLOWING:
        return held == POSITIONS
    return type(layer) in _AT_EACH_STEP


def _by_program(layer: Layer, x: Shape) -> bool:
    """Whether a program computes it, entry by entry and without parameters."""
    if layer.parameters(x):
        return False
    return layer_programs(layer, x, layer.output_shape(x), {}, delta=True, gradients=True) is not None


def crosses(layer: Layer) -> bool:
    """Whether it is attention of sequences to others, which lie side by side in what it reads: each of them
    is brought to the lanes that attention has.
    """
    if type(layer) is not MultiHeadAttention or not layer.sources:
        return False
    return all(len(source) == 2 and source[0] > 1 for source in layer.sources)


def leaves_positions(layer: Layer) -> bool:
    """Whether a layer reads steps in the lanes and puts out a vector that has samples there: unless steps are
    masked.
    """
    return type(layer) is GlobalAveragePool


def _by_samples(layer: Layer) -> bool:
    """Whether its kernels know nothing but samples in the lanes."""
    if isinstance(layer, MultiHeadAttention):
        return bool(layer.sources) and not crosses(layer)
    return isinstance(layer, Recurrent) and not layer.plain


@dataclass
class Costs:
    """Of a step of training, in vectors: with samples in the lanes; with steps; and what is saved of these
    where no sample begins with a vector. steps: of the layers that have steps in their lanes, by name, how
    many.
    """

    samples: float = 0.0
    positions: float = 0.0
    saved: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)


def chosen_for_training(costs: Costs) -> InLanes:
    """What lies in the lanes of a step of training, where a layer has the choice."""
    return POSITIONS if costs.positions < costs.samples else SAMPLES


def chosen_steps(costs: Costs) -> tuple[Cut, ...]:
    """The layers that have a step in every lane, those of all samples one behind the other, where that is the
    fastest: no lane is empty then, and attention, whose samples begin with a vector, is brought there.
    """
    beside, below = _GAINS
    if costs.positions - costs.saved > min(beside * costs.positions, below * costs.samples):
        return ()
    return tuple(
        Cut(steps, 1, {name: (1, 1) for name, own in costs.steps.items() if own == steps})
        for steps in sorted({*costs.steps.values()} - {1})
    )


def costs_of_training(
    layers: Sequence[Layer], shape: Shape, shapes: Mapping[str, Shape], batch: int, lanes: int
) -> Costs:
    """Of a step on `batch` samples."""
    costs = Costs()
    costs.samples, costs.positions, last = _costs_of_positions(
        layers, shape, shapes, batch, lanes, begins(layers, shape), costs
    )
    if last == POSITIONS:
        costs.positions += _moved(shapes[str(layers[-1].name)], batch, lanes)
    return costs


def begins(layers: Iterable[Layer], shape: Shape) -> InLanes:
    """What the first layers of a chain want in their input's lanes, where positions may be."""
    for layer in layers:
        if isinstance(layer, Composite):
            first = zip(layer.chains, layer.reads, strict=True)
            wanted = [begins(chain, shape) for chain, sources in first if 0 in sources]
            return POSITIONS if POSITIONS in wanted else SAMPLES
        if crosses(layer) or not has_positions(layer, shape, POSITIONS):
            return SAMPLES
        if type(layer) in _AT_EACH_STEP:
            return POSITIONS
    return SAMPLES


def _moved(shape: Shape, batch: int, lanes: int) -> float:
    """Vectors of putting something else in the lanes of a value."""
    return _REARRANGING * batch * math.prod(shape) / lanes


def _costs_of_positions(
    layers: Iterable[Layer],
    shape: Shape,
    shapes: Mapping[str, Shape],
    batch: int,
    lanes: int,
    held: InLanes,
    costs: Costs,
) -> tuple[float, float, InLanes]:
    """Of layers in order, with samples in the lanes and with steps where that can be; what is held there at
    the end, from `held` at the beginning.  costs: takes what is saved, and the layers with steps.
    """
    samples = positions = 0.0
    for layer in layers:
        after = shapes[str(layer.name)]
        if isinstance(layer, Composite):
            parts: list[Any] = []

            def branch(_: int, chain: Chain, on: Entry[InLanes], parts: list[Any] = parts) -> Held[InLanes]:
                parts.append(_costs_of_positions(chain, on[0][0], shapes, batch, lanes, on[0][1], costs))
                return shape_after(chain, on[0][0], shapes), parts[-1][2]

            ends = [end for _, end in run_branches(None, layer, [(shape, held)], branch)]
            samples += sum(part[0] for part in parts)
            positions += sum(part[1] for part in parts)
            if POSITIONS in ends:
                positions += _moved(after, batch, lanes) * ends.count(SAMPLES)
            held = POSITIONS if POSITIONS in ends else SAMPLES
            if held == POSITIONS and after[:-1] == shape[:1]:
                costs.steps[str(layer.name)] = after[0]
        else:
            by_samples = cost(layer, shape, after, batch, lanes)[0]
            wanted = POSITIONS if has_positions(layer, shape, held) else SAMPLES
            if wanted != held and not leaves_positions(layer):
                positions += _moved(shape, batch, lanes)
            by_positions = by_samples
            if wanted == POSITIONS:
                by_positions, by_rows = _costs_of_steps(layer, shape, after, batch, lanes)
                if type(layer) is not PositionalEncoding:  # another table in every vector
                    costs.steps[str(layer.name)] = after[0]
                    costs.saved += by_positions - by_rows
            positions += by_positions
            samples, held = samples + by_samples, wanted
        shape = after
    return samples, positions, held


def _costs_of_steps(layer: Layer, x: Shape, z: Shape, batch: int, lanes: int) -> tuple[float, float]:
    """Vectors of one layer, with steps in the lanes, where every sample begins with a vector, and where those
    of all samples are one behind the other.
    """

    def vectors(steps: int) -> tuple[int, int]:
        return batch * -(-steps // lanes), -(-batch * steps // lanes)

    if type(layer) is MultiHeadAttention:
        (steps, inputs), (keys, read), _ = layer.shapes(x)
        attended = 2.0 * inputs * keys * vectors(steps)[0]
        products = [
            2.0 * inputs * (rows * inputs + key_rows * read / layer.shared)
            for rows, key_rows in zip(vectors(steps), vectors(keys), strict=True)
        ]
        moved = _MOVING * 2 * (inputs + _VECTOR) * (vectors(steps)[1] + vectors(keys)[1])
        return products[0] + attended, products[1] + attended + moved
    steps, inputs = x
    if type(layer) is Dense:
        each = float(inputs * z[-1])
    else:
        each = (_STRIP if type(layer) in _BY_POSITION else PASSING) * max(inputs, z[-1])
    by_positions, by_rows = vectors(steps)
    return each * by_positions, each * by_rows


def reads_rows(layer: Layer) -> bool:
    """Whether a layer reads its input number by number, so that it need not lie in vectors."""
    return reads_units(layer) or type(layer) in (Dense, Embedding, MultiHeadAttention, *CONVOLUTIONS)


def has_channels(layer: Layer, x: Shape, masked: bool, first: bool) -> bool:
    """Whether a layer can be computed with channels in the lanes.

    x: the shape of its input; masked: a mask of steps is in force; first: it reads the network's input.
    """
    kind = type(layer)
    if _by_samples(layer) or layer.predicts_together:
        return False
    if kind in CONVOLUTIONS:
        return bool(len(x) < 4 and layer.groups_of(x[-1]) == 1)  # type: ignore[attr-defined]
    if kind is Embedding:
        return first
    if kind in ACTIVATIONS and not has_kernel(layer):  # a program
        return False
    if of_made_input(layer) and not crosses(layer):
        return False
    if kind in GLOBAL_POOLS:
        return not masked
    if kind in POOLS and (lies_apart(layer) or layer.axes == 3):  # type: ignore[attr-defined]
        return False
    return reads_units(layer) or kind in (Dense, MultiHeadAttention, *_BY_POSITION, *_BY_ENTRY)


def chosen(
    layers: Iterable[Layer], shape: Shape, shapes: Mapping[str, Shape], batch: int, lanes: int
) -> InLanes:
    """What lies in the lanes of a prediction of `batch` samples; lanes: how many a vector has."""
    samples, channels = _costs(layers, shape, shapes, batch, lanes, [False], True)
    return CHANNELS if channels < samples else SAMPLES


def _costs(
    layers: Iterable[Layer],
    shape: Shape,
    shapes: Mapping[str, Shape],
    batch: int,
    lanes: int,
    masked: list[bool],
    first: bool,
) -> tuple[float, float]:
    """Of layers in order, with samples in the lanes and with channels."""
    samples = channels = 0.0
    for layer in layers:
        after = shapes[str(layer.name)]
        if isinstance(layer, Composite):
            parts: list[Any] = []

            def branch(_: int, chain: Chain, on: Entry[bool], parts: list[Any] = parts) -> Held[bool]:
                parts.append(_costs(chain, on[0][0], shapes, batch, lanes, masked, on[0][1]))
                return shape_after(chain, on[0][0], shapes), on[0][1] and not chain

            run_branches(None, layer, [(shape, first)], branch)
            samples += sum(part[0] for part in parts)
            channels += sum(part[1] for part in parts)
        else:
            by_samples, by_channels = cost(layer, shape, after, batch, lanes)
            if type(layer) in CELLS:
                gates = _cost_of_gates(layer, shape, batch, lanes)
                by_samples, by_channels = by_samples + gates[0], by_channels + gates[1]
            samples += by_samples
            if has_channels(layer, shape, masked[0], first):
                channels += by_channels
            else:
                moved = math.prod(shape) + math.prod(after)
                channels += by_samples + _REARRANGING * batch * moved / lanes
            masked[0] = masked[0] or isinstance(layer, Masking) or _finds_padding(layer)
        shape, first = after, False
    return samples, channels


def _cost_of_gates(layer: Any, x: Shape, batch: int, lanes: int) -> tuple[float, float]:
    """Vectors of the gates of a recurrence in a prediction, with samples in the lanes and with units."""
    steps, _ = layer.sequence_shape(x)
    of_unit = _GATE * len(layer.gates)
    rows, panels = -(-batch // lanes), -(-layer.units // lanes)
    return steps * rows * layer.units * of_unit, steps * batch * (panels * of_unit + _STEP)


def _finds_padding(layer: Layer) -> bool:
    return isinstance(layer, Embedding) and layer.padding is not None


def cost(layer: Layer, x: Shape, z: Shape, batch: int, lanes: int) -> tuple[float, float]:
    """Vectors of one layer, with samples in the lanes and with channels."""
    blocks = -(-batch // lanes)
    kind = type(layer)
    height, width, outputs = as_image(z)
    positions, inputs = height * width, x[-1]

    def panels(count: int) -> int:
        return -(-count // lanes)

    if kind is Dense or kind in CONVOLUTIONS:
        taps = 1 if kind is Dense else math.prod(layer.grid.kernel)  # type: ignore[attr-defined]
        groups = 1 if kind is Dense else layer.groups_of(inputs)  # type: ignore[attr-defined]
        terms = positions * taps * inputs // groups
        slow = _ROWS_OVER_STEPS if kind is Dense and positions > 1 else 1.0
        return float(blocks * terms * outputs), slow * batch * terms * panels(outputs)
    if kind in CELLS:
        rows = len(layer.gates) * layer.units  # type: ignore[attr-defined]
        steps, inputs = layer.sequence_shape(x)  # type: ignore[attr-defined]
        size, units = layer.state_sizes[0], layer.units  # type: ignore[attr-defined]
        terms = steps * (inputs + size)
        projected = steps * units if size != units else 0
        return (
            blocks * (terms * rows + projected * size),
            batch * (terms * panels(rows) + projected * panels(size)),
        )
    if isinstance(layer, MultiHeadAttention):
        (steps, inputs), (keys, read), _ = layer.shapes(x)
        products = 2 * (steps * inputs + keys * read // layer.shared)
        attended = 2 * steps * inputs
        return (
            blocks * (products * inputs + _ATTENDING * keys * attended),
            batch * (_ROWS_OVER_STEPS * products * panels(inputs) + panels(keys) * attended),
        )
    entries = max(math.prod(x), math.prod(z))
    if kind in _BY_POSITION:
        return _STRIP * blocks * entries, _STRIP * panels(batch * positions) * inputs
    return PASSING * blocks * entries, PASSING * batch * entries // max(inputs, 1) * panels(inputs)
