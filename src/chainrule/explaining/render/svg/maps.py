"""Pictures as SVG: maps of signed numbers, bars, curves.

Every function returns one <svg> without colours of its own: they come from page/style/picture.css and
scale.style(), so that a page can be dark.  files.py makes files of them, with their style inside.

A map has one unit per cell: the cell (row, column) is <rect x="column" y="row">, in a group of class "cells";
marks lie in the group "marks" above it.  A picture with more than MOST_CELLS cells holds one image instead of
the cells; its units are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from chainrule.base.numbers import short
from chainrule.base.shown import shortened
from chainrule.base.types import Array
from chainrule.explaining.blocks.kinds import Bars, Curve, Maps, Mark, Panel
from chainrule.explaining.render import scale
from chainrule.explaining.render.markup import Voice, attributes, escape
from chainrule.explaining.render.svg import png

Axis = Callable[[float], float]

MOST_CELLS = 300  # drawn one by one, 36 bytes each; an image of 28 x 28 takes 1 kB in all
_PANEL = 116  # pixels of a panel among others, of one that stands alone, of one that is wide
_ALONE = 208
_WIDE = 400
_LEAST = 28

_SYMBOLS = (
    '<symbol id="mark-winner" viewBox="0 0 10 10"><circle class="mark" cx="5" cy="5" r="1.9"/></symbol>'
    '<symbol id="mark-tie" viewBox="0 0 10 10"><path class="mark" d="M5 1.4 8.6 5 5 8.6 1.4 5z"/></symbol>'
    '<symbol id="mark-dead" viewBox="0 0 10 10"><path class="stroke" d="M3 3l4 4M7 3l-4 4"/></symbol>'
    '<symbol id="mark-worked" viewBox="0 0 10 10"><path class="frame" d="M.6.6h8.8v8.8H.6z"/></symbol>'
)


def sprite() -> str:
    """The marks of maps, once for a page."""
    return f'<svg class="sprite" width="0" height="0" aria-hidden="true">{_SYMBOLS}</svg>'


def as_images(maps: Maps) -> bool:
    """Whether the maps have too many cells to be drawn one by one."""
    return sum(panel.values.size for panel in maps.panels) > MOST_CELLS


def panel_size(rows: int, columns: int, alone: bool) -> tuple[int, int]:
    """Width and height of a map in pixels; a map of very different sides is stretched to be seen."""
    target = _PANEL if not alone else _WIDE if columns > 3 * rows else _ALONE
    cell = min(target / max(rows, columns, 1), 24 if alone else 19)
    return max(round(cell * columns), _LEAST), max(round(cell * rows), _LEAST)


def panel_map(panel: Panel, largest: float, label: str, *, image: bool = False, alone: bool = False) -> str:
    """One map, coloured from -largest to largest; label: what it shows, for who cannot see it."""
    rows, columns = panel.values.shape
    width, height = panel_size(rows, columns, alone)
    if image:
        address = png.data_uri(panel.values, largest)
        cells = f'<image href="{address}" width="{columns}" height="{rows}" preserveAspectRatio="none"/>'
    else:
        level = scale.levels(panel.values, largest)
        cells = "".join(
            f'<rect class="k{level[row, column]}" x="{column}" y="{row}"/>'
            for row in range(rows)
            for column in range(columns)
        )
    kind = "map" if width / max(columns, 1) < 9 or image else "map gaps"
    head = attributes(
        class_=kind, viewBox=f"0 0 {columns} {rows}", width=width, height=height, role="img",
        preserveAspectRatio="none", style=f"aspect-ratio:{width}/{height}",
    )  # fmt: skip
    marks = "".join(map(_mark, panel.marks))
    drawn = f'<g class="cells">{cells}</g><g class="marks">{marks}</g>'
    return f"<svg{head}><title>{escape(label)}</title>{drawn}</svg>"


def _mark(mark: Mark) -> str:
    place = f'data-cell="{mark.row},{mark.column}"'
    title = f"<title>{escape(mark.text)}</title>" if mark.text else ""
    if mark.kind == "overlap":
        text = escape(mark.text or "×")
        at = f'x="{mark.column + 0.5}" y="{mark.row + 0.68}"'
        return f'<text class="count" {at} {place}>{text}</text>'
    box = f'x="{mark.column}" y="{mark.row}" width="1" height="1"'
    return f'<use href="#mark-{mark.kind}" {box} {place}>{title}</use>'


# -- bars ----------------------------------------------------------------------------------------------------

_ROW = 18
_BAR = 96
_NUMBER = 62


def bars(block: Bars, voice: Voice) -> str:
    """A row per label, a column of bars per group, all on one scale with 0 in its middle or at its side."""
    values = block.values.reshape(len(block.labels), -1)
    labels = [shortened(label, 16) for label in block.labels]
    left = 10 + max([_width(label) for label in labels], default=0)
    largest = max((abs(value) for value in values.flat if math.isfinite(value)), default=0.0) or 1.0
    signed = bool((values < 0).any())
    column = _BAR + _NUMBER + 14
    top = _ROW + 4 if block.groups else 4
    width, height = left + column * values.shape[1], top + _ROW * len(labels) + 4
    parts = [
        f'<text class="label" x="{left - 8}" y="{_line(top, row)}">{escape(label)}</text>'
        for row, label in enumerate(labels)
    ]
    for group in range(values.shape[1]):
        start = left + group * column
        zero = start + (_BAR / 2 if signed else 0)
        if block.groups:
            head = escape(shortened(block.groups[group], 22))
            parts.append(f'<text class="head" x="{start}" y="13">{head}</text>')
        parts.append(f'<path class="axis" d="M{zero:g} {top - 1}V{height - 3}"/>')
        unit = (_BAR / 2 if signed else _BAR) / largest
        parts += _group(values[:, group], zero, unit, start + _BAR + _NUMBER, top, group)
    head_attributes = attributes(
        class_="bars", viewBox=f"0 0 {width} {height}", width=width, height=height, role="group"
    )
    title = escape(voice.attribute(block.title))
    return f"<svg{head_attributes}><title>{title}</title>{''.join(parts)}</svg>"


def _group(values: Array, zero: float, unit: float, right: float, top: int, group: int) -> list[str]:
    """The bars and numbers of one group."""
    parts = []
    for row, value in enumerate(values):
        length = abs(value) * unit if math.isfinite(value) else 0.0
        x = zero - length if value < 0 else zero
        sign = "minus" if value < 0 else "plus"
        box = f'x="{x:.1f}" y="{top + row * _ROW + 4}" width="{max(length, 0.5):.1f}" height="{_ROW - 8}"'
        parts.append(f'<rect class="bar {sign}" {box} data-row="{row}" data-group="{group}"/>')
        parts.append(f'<text class="number" x="{right:g}" y="{_line(top, row)}">{short(float(value))}</text>')
    return parts


def _line(top: int, row: int) -> int:
    """The baseline of the text of a row."""
    return top + row * _ROW + 13


# -- curves --------------------------------------------------------------------------------------------------

_PLOT = (44.0, 24.0, 316.0, 160.0)  # left, top, right, bottom, in a picture of 330 x 186


def curve(block: Curve, voice: Voice) -> str:
    """f and f' over z, a histogram of the layer's z below them, and ticks where something is worked out."""
    left, top, right, bottom = _PLOT
    low, high = float(block.z[0]), float(block.z[-1])
    heights = np.concatenate([block.f, block.df, [0.0]])
    heights = heights[np.isfinite(heights)]
    least, most = float(heights.min()), float(heights.max())
    margin = 0.06 * ((most - least) or 1.0)
    least, most = least - margin, most + margin

    def x(z: float) -> float:
        return left + (z - low) / ((high - low) or 1.0) * (right - left)

    def y(value: float) -> float:
        return bottom - (value - least) / (most - least) * (bottom - top)

    parts = _histogram(block, x, bottom, 0.42 * (bottom - top), low, high)
    for tick in ticks(low, high):
        parts.append(f'<path class="rule" d="M{x(tick):.1f} {top}V{bottom}"/>')
        parts.append(f'<text class="tick middle" x="{x(tick):.1f}" y="{bottom + 14}">{short(tick, 3)}</text>')
    for tick in ticks(least, most):
        parts.append(f'<path class="rule" d="M{left} {y(tick):.1f}H{right}"/>')
        parts.append(f'<text class="tick end" x="{left - 6}" y="{y(tick) + 4:.1f}">{short(tick, 3)}</text>')
    if low < 0 < high:
        parts.append(f'<path class="axis" d="M{x(0):.1f} {top}V{bottom}"/>')
    parts.append(f'<path class="axis" d="M{left} {y(0):.1f}H{right}"/>')
    for kind, values in (("f", block.f), ("df", block.df)):
        parts.append(f'<path class="line {kind}" d="{_path(block.z, values, x, y)}"/>')
    parts += _curve_marks(block, x, top, bottom, low, high)
    legend = (("f", "f", left), ("df", "f′", left + 46), ("hist", "z", left + 96))
    for kind, name, at in legend:
        parts.append(f'<path class="line {kind}" d="M{at} 10h18"/>')
        parts.append(f'<text class="label start" x="{at + 23}" y="14">{name}</text>')
    title = escape(voice.attribute(block.title))
    head = attributes(class_="curve", viewBox="0 0 330 186", width=330, height=186, role="img")
    return f"<svg{head}><title>{title}</title>{''.join(parts)}</svg>"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between low and high, at most `most` and 1."""
    if not high > low:
        return []
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _path(z: Array, values: Array, x: Axis, y: Axis) -> str:
    """A path through the finite values; broken where a value is not finite, and at jumps of a derivative."""
    commands, pen = [], "M"
    span = float(np.nanmax(values) - np.nanmin(values)) if len(values) else 0.0
    before = math.nan
    for place, value in zip(z.tolist(), values.tolist(), strict=True):
        if not math.isfinite(value):
            pen = "M"
            continue
        if pen == "L" and span and abs(value - before) > 0.5 * span:
            pen = "M"
        commands.append(f"{pen}{x(place):.1f} {y(value):.1f}")
        pen, before = "L", value
    return "".join(commands)


def _histogram(block: Curve, x: Axis, bottom: float, height: float, low: float, high: float) -> list[str]:
    most = float(block.counts.max()) if len(block.counts) else 0.0
    parts = []
    for start, end, count in zip(block.edges[:-1], block.edges[1:], block.counts, strict=True):
        if not count or end < low or start > high:
            continue
        a, b = x(max(float(start), low)), x(min(float(end), high))
        tall = max(height * float(count) / most, 1.0)
        box = f'x="{a:.1f}" y="{bottom - tall:.1f}" width="{max(b - a - 0.6, 0.4):.1f}" height="{tall:.1f}"'
        parts.append(f'<rect class="hist" {box}><title>{short(float(count))}</title></rect>')
    return parts


def _curve_marks(block: Curve, x: Axis, top: float, bottom: float, low: float, high: float) -> list[str]:
    parts = []
    for number, (name, z) in enumerate(block.marks):
        if not low <= z <= high:
            continue
        at = x(z)
        side, shift = ("end", -4) if at > 260 else ("start", 4)
        parts.append(f'<path class="here" d="M{at:.1f} {top}V{bottom}"/>')
        line = top + 12 + 13 * (number % 4)
        parts.append(f'<text class="label {side}" x="{at + shift:.1f}" y="{line}">{escape(name)}</text>')
    return parts


def _width(text: str) -> int:
    """Pixels of a label, about: CJK characters are twice as wide."""
    return sum(12 if ord(character) > 0x2E7F else 7 for character in text)
