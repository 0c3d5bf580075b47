"""How windows, kernels and their offsets look: X_{si+dm-p}, δ_{(u+p-dm)/s}, W_{m,n}."""

from __future__ import annotations

from dataclasses import replace

from chainrule.formulas.expression import Expression, Operation, Symbol
from chainrule.formulas.primitives.grid import Grid, letters_of
from chainrule.formulas.printing.boxes import (
    BIG,
    LETTER,
    PRODUCT,
    SUM,
    Box,
    Fence,
    Numeral,
    Scripts,
    Sign,
    Under,
    Word,
    fenced,
    listed,
    row,
    tight,
)
from chainrule.formulas.printing.layouts import sigma
from chainrule.formulas.printing.places import At, Composing, layout, pixel, window_at


def _shift(parts: list[Box], index: Box, sign: str) -> None:
    if isinstance(index, Numeral) and index.text.startswith("-"):
        index, sign = Numeral(index.text[1:]), "+" if sign == "−" else "−"
    if index != Numeral("0"):
        parts += [Sign(sign), index]


def _factors_of(c: Composing, sizes: tuple[int, ...], letter: str) -> list[Box | None]:
    """Strides or dilations as numbers or a letter, s, or s_1 and s_2 where they differ; None for 1 where
    numbers are printed.
    """
    if not c.notation.sizes:
        if len(set(sizes)) == 1:
            return [Word(letter)] * len(sizes)
        return [Scripts(Word(letter), sub=Numeral(str(axis + 1))) for axis in range(len(sizes))]
    return [None if size == 1 else Numeral(str(size)) for size in sizes]


def _offsets(c: Composing, offset: tuple[Expression, ...], grid: Grid) -> list[Box]:
    """The kernel's offsets m, n, times the dilation where there is one."""
    boxes = [c.box(index) for index in offset]
    if set(grid.dilation) == {1}:
        return boxes
    steps = _factors_of(c, grid.dilation, "d")
    return [
        box if step is None else tight(step, box, binds=PRODUCT)
        for box, step in zip(boxes, steps, strict=True)
    ]


def _leading(c: Composing, grid: Grid) -> list[Box]:
    """Zeros before the first row and column; letters where "same" leaves them to the size of the image."""
    known = not isinstance(grid.padding, str) or set(grid.stride) == {1}
    if not known or not (c.notation.sizes or not grid.padded):
        return [Word(letter) for letter in letters_of("before", len(grid.kernel))]
    # with stride 1 "same" depends on the kernel only, so any size gives the answer
    return [Numeral(str(before)) for before, _ in grid.pads(grid.extent)]


@layout
def window(c: Composing, node: Operation, at: At) -> Box:
    x, *offset = node.operands
    grid: Grid = node.options["grid"]
    coordinates = []
    axes_ = zip(
        at.position or window_at(node).position or (),
        _offsets(c, tuple(offset), grid),
        _factors_of(c, grid.stride, "s"),
        _leading(c, grid),
        strict=True,
    )
    for place_, index, step, pad in axes_:
        parts: list[Box] = [place_] if step is None else [step, fenced(place_, BIG)]
        _shift(parts, index, "+")
        _shift(parts, pad, "−")
        coordinates.append(tight(*parts, binds=SUM))
    return c.box(x, replace(at, position=tuple(coordinates)))


@layout
def place(c: Composing, node: Operation, at: At) -> Box:
    x, _, *offset = node.operands
    grid: Grid = node.options["grid"]
    coordinates = []
    axes_ = zip(
        at.position or pixel(node).position or (),
        _offsets(c, tuple(offset), grid),
        _factors_of(c, grid.stride, "s"),
        _leading(c, grid),
        strict=True,
    )
    for pixel_, index, step, pad in axes_:
        parts: list[Box] = [pixel_]
        _shift(parts, pad, "+")
        _shift(parts, fenced(index, BIG), "−")
        shifted = tight(*parts, binds=SUM)
        coordinates.append(
            shifted if step is None else tight(fenced(shifted, BIG), Sign("/"), step, binds=SUM)
        )
    return c.box(x, replace(at, position=tuple(coordinates)))


def _of_frame(c: Composing, node: Operation, position: tuple[Box, ...]) -> list[Box]:
    """ρ(i-p) for every axis."""
    pads, shown = node.options["pads"], []
    for index, letter, (before, _) in zip(position, letters_of("before", len(pads)), pads, strict=False):
        parts: list[Box] = [index]
        _shift(parts, Numeral(str(before)) if c.notation.sizes else Word(letter), "−")
        shown.append(tight(Word("ρ"), Fence(tight(*parts, binds=SUM))))
    return shown


@layout
def framed(c: Composing, node: Operation, at: At) -> Box:
    here = at.position or window_at(node).position or ()
    return c.box(node.operands[0], replace(at, position=tuple(_of_frame(c, node, here))))


@layout
def unframed(c: Composing, node: Operation, at: At) -> Box:
    """Σ_{ρ(i-p) = u, ρ(j-q) = v} δ_{i,j}"""
    here, pixel_ = window_at(node).position or (), at.position or pixel(node).position or ()
    stands = [tight(index, Sign("="), u) for index, u in zip(_of_frame(c, node, here), pixel_, strict=False)]
    shown = c.box(node.operands[0], replace(at, position=here))
    return row(Under(Sign("∑"), listed(*stands)), shown, binds=BIG)


@layout
def tent(c: Composing, node: Operation, at: At) -> Box:
    return Scripts(Word("w"), sub=c.box(node.operands[0]), binds=LETTER)


def _offset(c: Composing, offset: tuple[Expression, ...]) -> Box:
    return listed(*map(c.box, offset))


@layout
def kernel_at(c: Composing, node: Operation, at: At) -> Box:
    w, *offset = node.operands
    if isinstance(w, Symbol):
        return c.tagged(w, c.letter(c.notation.letter(w), _offset(c, tuple(offset))))
    return Scripts(Fence(c.box(w)), sub=_offset(c, tuple(offset)), binds=LETTER)


@layout
def kernel_place(c: Composing, node: Operation, at: At) -> Box:
    x, _, *offset = node.operands
    return Scripts(Fence(c.box(x), "[", "]"), sub=_offset(c, tuple(offset)), binds=LETTER)


@layout
def chosen(c: Composing, node: Operation, at: At) -> Box:
    winner, *offset = node.operands
    at = At(at.position or window_at(node).position)
    shown = _offset(c, tuple(offset))
    return Fence(row(c.box(winner, at), Sign("="), Fence(shown) if len(offset) > 1 else shown), "[", "]")


def _coordinates(position: tuple[Box, ...]) -> Box:
    """u, or (u,v)."""
    return Fence(listed(*position)) if len(position) > 1 else position[0]


def _part(position: tuple[Box, ...]) -> Box:
    """R_{i,j}, the pixels of a window."""
    return Scripts(Word("R"), sub=listed(*position), binds=LETTER)


def _largest(c: Composing, like: Expression, window_: tuple[Box, ...], pixel_: tuple[Box, ...]) -> Box:
    """[(u,v) = arg max_{R_{i,j}} X], where X is largest."""
    most = row(Under(Word("arg max"), _part(window_)), c.box(like), binds=BIG)
    return Fence(row(_coordinates(pixel_), Sign("="), most), "[", "]")


@layout
def mean_parts(c: Composing, node: Operation, at: At) -> Box:
    """mean_{(u,v) ∈ R_{i,j}} X_{u,v}"""
    here, pixel_ = at.position or window_at(node).position or (), pixel(node).position or ()
    below = row(_coordinates(pixel_), Sign("∈"), _part(here))
    return sigma(below, c.box(node.operands[0], replace(at, position=pixel_)), operator="mean")


@layout
def spread_parts(c: Composing, node: Operation, at: At) -> Box:
    """Σ_{(i,j): (u,v) ∈ R_{i,j}} δ_{i,j} / |R_{i,j}|"""
    here, pixel_ = window_at(node).position or (), at.position or pixel(node).position or ()
    below = row(_coordinates(here), Sign(":"), _coordinates(pixel_), Sign("∈"), _part(here))
    share = c.fraction(c.box(node.operands[0], replace(at, position=here)), Fence(_part(here), "|", "|"))
    return sigma(below, share)


@layout
def largest_parts(c: Composing, node: Operation, at: At) -> Box:
    """max_{(u,v) ∈ R_{i,j}} X_{u,v}; of another quantity than that which is largest Σ ... [it is largest]."""
    x, like = node.operands
    here, pixel_ = at.position or window_at(node).position or (), pixel(node).position or ()
    below = row(_coordinates(pixel_), Sign("∈"), _part(here))
    shown = c.box(x, replace(at, position=pixel_))
    if x == like:
        return sigma(below, shown, operator="max")
    return sigma(below, row(shown, _largest(c, like, here, pixel_), binds=PRODUCT))


@layout
def placed_parts(c: Composing, node: Operation, at: At) -> Box:
    """Σ_{i,j} δ_{i,j} [(u,v) = arg max_{R_{i,j}} X]"""
    x, like = node.operands
    here, pixel_ = window_at(node).position or (), at.position or pixel(node).position or ()
    shown = c.box(x, replace(at, position=here))
    return sigma(listed(*here), row(shown, _largest(c, like, here, pixel_), binds=PRODUCT))
