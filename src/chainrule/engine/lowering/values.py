"""Values of a plan as the lowering sees them: shape, halo, and the activation that made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from chainrule._native import Act, Cell, InLanes
from chainrule.base.types import Shape
from chainrule.layers import (
    CELU,
    ELU,
    GELU,
    GRU,
    LSTM,
    RNN,
    SELU,
    Dense,
    HardShrink,
    HardSigmoid,
    HardSwish,
    HardTanh,
    Identity,
    Layer,
    LeakyReLU,
    LogSigmoid,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    Tanh,
    TanhShrink,
    Threshold,
)

Halo = tuple[int, int, int, int]  # top, bottom, left, right
NO_HALO: Halo = (0, 0, 0, 0)

ACTIVATIONS: dict[type[Layer], Act] = {
    Identity: Act.identity,
    ReLU: Act.relu,
    LeakyReLU: Act.leaky_relu,
    ELU: Act.elu,
    Sigmoid: Act.sigmoid,
    Tanh: Act.tanh,
    Softplus: Act.softplus,
    GELU: Act.gelu,
    SiLU: Act.silu,
    HardSwish: Act.hard_swish,
}
PROGRAMS: tuple[type[Layer], ...] = (  # activations that are programs, entry by entry
    CELU,
    HardShrink,
    HardSigmoid,
    HardTanh,
    LogSigmoid,
    Mish,
    ReLU6,
    SELU,
    SoftShrink,
    Softsign,
    TanhShrink,
    Threshold,
)
CELLS: dict[type[Layer], Cell] = {RNN: Cell.rnn, LSTM: Cell.lstm, GRU: Cell.gru}


def as_image(shape: Shape, cut: bool = False) -> tuple[int, int, int]:
    """(height, width, channels) of one sample of any shape; a vector is one pixel, a sequence a row. cut:
    into bands, of which each has rows; then a sequence is a column.
    """
    if cut and len(shape) == 2:
        return shape[0], 1, shape[1]
    return math.prod(shape[:-2]), shape[-2] if len(shape) > 1 else 1, shape[-1]


def in_panels(layer: Layer, name: str, input_shape: Shape) -> bool:
    """Whether a parameter lies in panels of outputs (docs/decisions/0004): W of a dense layer on vectors,
    W, U and V of a recurrence.
    """
    if type(layer) in CELLS:
        return name in "WUV"
    return type(layer) is Dense and name == "W" and len(input_shape) == 1


def cell(layer: Layer) -> Cell:
    """Which cell a recurrence has."""
    if isinstance(layer, GRU) and not layer.reset_after:
        return Cell.gru_before
    return Cell.peephole if isinstance(layer, LSTM) and layer.peepholes else CELLS[type(layer)]


def reads_units(layer: Layer) -> bool:
    """Whether it is a recurrence that has a kernel whose lanes are units."""
    return type(layer) in CELLS and cell(layer) != Cell.gru_before


def has_kernel(layer: Layer) -> bool:
    """Whether an activation has a kernel of its own: with other options than the kernel's it is a program."""
    if isinstance(layer, GELU) and layer.approximate != "none":
        return False
    if isinstance(layer, Softplus) and (layer.beta != 1 or layer.threshold is not None):
        return False
    if isinstance(layer, ELU) and layer.alpha <= 0:
        return False
    return type(layer) in ACTIVATIONS


def needs_z(layer: Layer) -> bool:
    """Whether f' cannot be computed from a alone: then z is kept beside a."""
    return isinstance(layer, GELU | SiLU | HardSwish) or (isinstance(layer, LeakyReLU) and layer.slope < 0)


def slope(layer: Layer) -> float:
    if isinstance(layer, ELU):
        return float(layer.alpha)
    return float(layer.slope) if isinstance(layer, LeakyReLU) else 0.0


@dataclass
class Value:
    """A value in the arena: its number, and the activation that was fused into its producer."""

    number: int
    shape: Shape
    halo: Halo
    delta_halo: Halo
    with_delta: bool
    activation: Act = Act.identity
    slope: float = 0.0
    saved: int = -1  # the value f' is computed from
    lanes: InLanes = InLanes.samples
    bands: int = 1  # of `rows` rows, each in a lane of its own; the last may reach beyond the image
    rows: int = 0

    @property
    def cut(self) -> tuple[int, int]:
        """How it is cut: into how many bands, of how many rows."""
        return self.bands, self.rows

    @property
    def by_steps(self) -> bool:
        """Whether it is a sequence, of which every step lies in a lane, those of all samples in a row."""
        alone = self.halo == self.delta_halo == NO_HALO
        return alone and self.bands > 1 and len(self.shape) == 2 and self.cut == (self.shape[0], 1)

    @property
    def lane_shape(self) -> Shape:
        """The shape of what lies in a lane, where that is a sample or a band of one."""
        if self.bands == 1:
            return self.shape
        return (self.rows // math.prod(self.shape[1:-2]), *self.shape[1:])  # of a volume: planes

    @property
    def lane_image(self) -> tuple[int, int, int]:
        """(height, width, channels) of what lies in a lane."""
        return as_image(self.lane_shape, self.bands > 1)


class Hosted(NamedTuple):
    """A layer whose formulas are evaluated on the host: its input, its output, the mask it may read, the
    value its own mask is written to, and its parameters by their own names.
    """

    layer: Layer
    x: Value
    z: Value
    mask: Value | None
    made: Value | None
    parameters: Mapping[str, int]
