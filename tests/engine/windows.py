"""Every window over every small image: the cases of a sweep, and the comparison of one with the formulas.

What a kernel does at the border depends on one axis at a time: on its size, kernel, stride, dilation, padding
in front and behind, and the output padding of a transposed convolution.  `axes` has all of these (sizes 1 to
9, kernels 1 to 5, strides and dilations 1 to 4, every pair of paddings below the extent of the kernel).  A
sequence is an image of one row, so the layers with one axis pass all of them as columns.  Of images every
option of the columns is paired with another of the rows, and every option of the rows occurs once: in a
kernel rows choose what is read and columns what is taken together, and neither asks the other.  `rounds` more
pairings leave that to fewer assumptions.  The tiles of Winograd have both axes in full: all sizes and
paddings that it takes.

Numbers are small integers, and weights of m cancel the 1/m of the loss, so that every sum is exact in float32
as well: a convolution or a maximum that differs at all is wrong.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from chainrule.engine import Plan
from chainrule.engine.lowering import convolutions
from tests import by_formula
from tests.engine.harness import MACHINES

SIZES, KERNELS, STEPS = range(1, 10), range(1, 6), range(1, 5)
FEW, MANY = 2, 9  # samples: fewer than the lanes of most registers; two blocks or more of all but the widest


class Axis(NamedTuple):
    """One axis of an image and the windows on it."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    outside: int  # output padding

    @property
    def extent(self) -> int:
        return (self.kernel - 1) * self.dilation + 1


@cache
def axes(kind: str) -> tuple[Axis, ...]:
    """All options of one axis: of a "convolution", "transposed" or "pool"."""
    found = []
    for size, kernel, stride in itertools.product(SIZES, KERNELS, STEPS):
        for dilation in STEPS if kernel > 1 and kind != "pool" else (1,):
            extent = (kernel - 1) * dilation + 1
            for before, after in itertools.product(range(extent), repeat=2):
                if kind == "transposed":
                    image = (size - 1) * stride + extent - before - after
                    more = [outside for outside in range(stride) if image + outside >= 1]
                else:
                    more = [0] if size + before + after >= extent else []
                found += [Axis(size, kernel, stride, dilation, before, after, outside) for outside in more]
    return tuple(found)


@dataclass(frozen=True)
class Case:
    """A network of one layer that slides windows, or a mask and such a layer, and how much of it is run."""

    layers: tuple[cr.Layer, ...]
    input_shape: tuple[int, ...]
    samples: int
    exact: bool = True
    winograd: str = "never"  # or "passes": but for the weight gradient, or "everywhere"
    masks: bool = False  # every sample has its own steps, of all that there are

    def __str__(self) -> str:
        way = "" if self.winograd == "never" else f", Winograd {self.winograd}"
        return f"{', '.join(map(repr, self.layers))} on {self.input_shape}, {self.samples} samples{way}"


class Family(NamedTuple):
    """Cases by number."""

    title: str
    count: int
    case: Callable[[int], Case]


def _along(options: Sequence[Axis], name: str) -> Any:
    """An argument of a layer: one number, or one for every axis."""
    values = [getattr(option, name) for option in options]
    return values[0] if len(values) == 1 else tuple(values)


def _padding(options: Sequence[Axis]) -> Any:
    pads = tuple((option.before, option.after) for option in options)
    return pads[0] if len(pads) == 1 else pads


def _pair(options: Sequence[Axis], number: int) -> tuple[Axis, Axis]:
    """Rows and columns: columns in order, rows in steps of the golden section, another one each round."""
    total = len(options)
    step = next(s for s in range(int(total * 0.618), total + 2) if math.gcd(s, total) == 1)
    turn, column = divmod(number, total)
    return options[(column * step + turn * 7919) % total], options[column]


def _convolution(cls: Any, groups: int, number: int) -> Case:
    """groups 0: one for every channel."""
    kind = "transposed" if cls in (cr.ConvTranspose1D, cr.ConvTranspose2D) else "convolution"
    one = cls in (cr.Conv1D, cr.ConvTranspose1D)
    on = (axes(kind)[number],) if one else _pair(axes(kind), number)
    more = (3, 12)[
        number % 2
    ]  # of three groups; channels are never as many as columns, which Network refuses
    channels, filters = {1: (3, 5), 2: (4, 6), 0: (3, more)}[groups]
    if groups == 0 and kind == "transposed":
        channels, filters = filters, channels
    given: dict[str, Any] = {name: _along(on, name) for name in ("stride", "dilation")}
    given["padding"] = _padding(on)
    if kind == "transposed":
        given["output_padding"] = _along(on, "outside")
    if cls is cr.DepthwiseConv2D:
        layer = cls(_along(on, "kernel"), multiplier=more // 3, **given)
    else:
        layer = cls(filters, _along(on, "kernel"), groups=groups or 3, **given)
    shape = (*(option.size for option in on), channels)
    return Case((layer,), shape, MANY if number % 3 else FEW)


def _conv1d_of_few(number: int) -> Case:
    """The gradient of few samples has a kernel of its own, where the taps lie side by side."""
    on = [option for option in axes("convolution") if option.dilation == 1][number]
    layer = cr.Conv1D(5, on.kernel, stride=on.stride, padding=(on.before, on.after))
    return Case((layer,), (on.size, 3), 1 + number % 2)


@cache
def _winograd_images() -> tuple[tuple[int, ...], ...]:
    """(rows, columns, top, bottom, left, right) of which Winograd takes all: outputs of at least 2 x 2."""
    pads = itertools.product(range(3), repeat=4)
    every = itertools.product(SIZES, SIZES, pads)
    found = ((height, width, *frame) for height, width, frame in every)
    return tuple(one for one in found if one[0] + one[2] + one[3] >= 4 and one[1] + one[4] + one[5] >= 4)


def _winograd(number: int) -> Case:
    image, way = divmod(number, 2)
    height, width, top, bottom, left, right = _winograd_images()[image]
    layer = cr.Conv2D(3, 3, padding=((top, bottom), (left, right)))
    return Case((layer,), (height, width, 2), FEW, winograd=("passes", "everywhere")[way])


def _pool(cls: Any, options: dict[str, bool], number: int) -> Case:
    one = cls in (cr.MaxPool1D, cr.AveragePool1D, cr.L2Pool1D)
    on = (axes("pool")[number],) if one else _pair(axes("pool"), number)
    layer = cls(_along(on, "kernel"), _along(on, "stride"), padding=_padding(on), **options)
    shape = (*(option.size for option in on), 10)
    return Case((layer,), shape, MANY, exact=cls in (cr.MaxPool1D, cr.MaxPool2D))


def _global(cls: Any, number: int) -> Case:
    height, width = divmod(number, 9)
    shape = (width + 1, 3) if height == 0 else (height, width + 1, 3)
    return Case((cls(),), shape, MANY, exact=cls is cr.GlobalMaxPool)


def _masked(cls: Any, number: int) -> Case:
    """All masks of a sequence at once, one a sample."""
    layers, exact = (cr.Masking(-7.0), cls()), cls is cr.GlobalMaxPool
    return Case(layers, (number + 1, 3), 2 ** (number + 1), exact, masks=True)


def families(rounds: int = 1) -> list[Family]:
    """All cases; `rounds` pairings of the axes of images."""
    found: list[Family] = []

    def add(cls: Any, kind: str, count: int, case: Callable[[int], Case]) -> None:
        found.append(Family(f"{cls.__name__}{kind}", count, case))

    for cls, groups in itertools.product(
        (cr.Conv1D, cr.ConvTranspose1D, cr.Conv2D, cr.ConvTranspose2D, cr.DepthwiseConv2D), (1, 2, 0)
    ):
        if cls is cr.DepthwiseConv2D and groups:
            continue
        kind = "transposed" if cls in (cr.ConvTranspose1D, cr.ConvTranspose2D) else "convolution"
        turns = 1 if cls in (cr.Conv1D, cr.ConvTranspose1D) else rounds
        make = lambda number, cls=cls, groups=groups: _convolution(cls, groups, number)  # noqa: E731
        add(cls, f" in {groups or 'all'} groups", turns * len(axes(kind)), make)
    side_by_side = sum(option.dilation == 1 for option in axes("convolution"))
    add(cr.Conv1D, " of few samples", side_by_side, _conv1d_of_few)
    add(cr.Conv2D, " by Winograd", 2 * len(_winograd_images()), _winograd)
    means: dict[Any, list[dict[str, bool]]] = {
        cr.MaxPool1D: [{}],
        cr.MaxPool2D: [{}],
        cr.AveragePool1D: [{}, {"count_padding": True}],
        cr.AveragePool2D: [{}, {"count_padding": True}],
        cr.L2Pool1D: [{}, {"mean": True}],
        cr.L2Pool2D: [{}, {"mean": True}],
    }
    for cls, choices in means.items():
        for options in choices:
            turns = 1 if cls in (cr.MaxPool1D, cr.AveragePool1D, cr.L2Pool1D) else rounds
            make = lambda number, cls=cls, options=options: _pool(cls, options, number)  # noqa: E731
            add(cls, f" {options or ''}", turns * len(axes("pool")), make)
    for cls in (cr.GlobalMaxPool, cr.GlobalAveragePool):
        add(cls, "", 90, lambda number, cls=cls: _global(cls, number))
        add(cls, " of masked steps", 9, lambda number, cls=cls: _masked(cls, number))
    return found


class Sweep:
    """The cases of all families by one number."""

    def __init__(self, rounds: int = 1) -> None:
        self.families = families(rounds)
        self.ends = list(itertools.accumulate(family.count for family in self.families))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, number: int) -> Case:
        family = bisect.bisect_right(self.ends, number)
        return self.families[family].case(number - (self.ends[family] - self.families[family].count))

    def drawn(self, share: float, draw: int) -> list[int]:
        """The numbers of a random share of the cases, at least one, in order; another for every `draw`."""
        count = max(1, round(len(self) * share))
        return sorted(np.random.default_rng(draw).choice(len(self), count, replace=False).tolist())


@contextmanager
def _winograd_as(case: Case) -> Iterator[None]:
    """Winograd where the case says, however small the map."""
    names = [name for name in vars(convolutions) if name.startswith("WINOGRAD_")]
    before = {name: getattr(convolutions, name) for name in names}
    try:
        for name in names:
            runs = case.winograd != "never" and (case.winograd == "everywhere" or "GRADIENT" not in name)
            setattr(convolutions, name, 1 if runs else 2**30)
        yield
    finally:
        for name, value in before.items():
            setattr(convolutions, name, value)


def _problem(case: Case, number: int) -> tuple[cr.Network, Any, Any]:
    r = np.random.default_rng(number)
    network = cr.Network(list(case.layers), input_shape=case.input_shape)
    sizes = {name: array.shape for name, array in network.parameters.items()}
    network.set_parameters({name: r.integers(-2, 3, size).astype(np.float32) for name, size in sizes.items()})
    X = r.integers(-3, 4, (case.samples, *case.input_shape)).astype(np.float32)
    if case.masks:
        there = np.arange(case.samples)[:, None] >> np.arange(case.input_shape[0]) & 1
        X[there == 0] = -7.0
    return network, X, r.integers(-3, 4, (case.samples, *network.output_shape)).astype(np.float32)


def disagreements(
    case: Case, number: int = 0, machines: Sequence[tuple[str, str]] = tuple(MACHINES)
) -> list[str]:
    """What the kernels say otherwise than the formulas: outputs, δ and gradients, by level and type."""
    network, X, y = _problem(case, number)
    loss, weights = cr.SquaredError(), np.full(len(X), float(len(X)))
    step = by_formula.backpropagate(network, X, y, loss, None, weights)
    found = []
    for level, dtype in machines:
        with _winograd_as(case):
            plan = Plan(network, loss, batch_size=len(X), dtype=dtype, level=level, keep=True)
        _, *seen = plan.inspect(X, y, weights)
        for kind, actual, expected in zip(
            ("output", "δ", "gradient"), seen, (step.activations, step.deltas, step.gradients), strict=True
        ):
            for name, right in expected.items():
                rounding = 0.0 if case.exact else 32 * float(np.finfo(dtype).eps)
                allowed = rounding * np.abs(right).max(initial=1)
                error = np.abs(actual[name].astype(np.float64) - right)
                if not (error <= allowed).all():  # NaN is none
                    found.append(f"{case}: {kind} {name} at {level} in {dtype} is wrong by {error.max():.3g}")
    return found
