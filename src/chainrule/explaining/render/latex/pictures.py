"""Maps, bars and curves as TikZ drawings: no image files, so a document stays one file.

Colours are those of the page (explaining/render/scale.py), by level: \\bpr{x}{y}{columns}{level} fills cells
of a map.  A row's neighbours of one level are one rectangle, and neutral cells are none: a map of 28 x 28
takes about 10 kB.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chainrule.base.numbers import short
from chainrule.base.types import Array
from chainrule.explaining.blocks.kinds import Bars, Curve, Maps, Mark, Panel
from chainrule.explaining.render import scale
from chainrule.explaining.render.latex.math import number
from chainrule.explaining.render.latex.text import LatexVoice

MOST_CELLS = 48  # down or across: more are averaged in squares, 48 of them being 1 mm each
NUMBERED = 6  # a map of at most so many rows and columns has its numbers in its cells
_SMALLEST = r"font=\fontsize{4.5}{5}\selectfont"
_GROUPS = ("bpcool", "bpwarm", "bpthird", "bpfourth")
MACROS = (
    r"\newcommand\bpr[4]{\fill[bpk#4] (#1,#2) rectangle ++(#3,1);}",
    r"\definecolor{bpcool}{RGB}{38,112,173}",
    r"\definecolor{bpwarm}{RGB}{200,97,24}",
    r"\definecolor{bpthird}{RGB}{90,90,90}",
    r"\definecolor{bpfourth}{RGB}{150,120,170}",
    *(
        rf"\definecolor{{bpk{level}}}{{RGB}}{{{red},{green},{blue}}}"
        for level, (red, green, blue) in enumerate(scale.palette())
    ),
)


def maps(block: Maps, symbol: str, voice: LatexVoice) -> str:
    """Maps side by side and their scale; `symbol`: the LaTeX of what they show."""
    pictures = [_panel(panel, block.scale, voice) for panel in block.panels]
    return "\n".join([*pictures, _legend(block.scale, symbol)])


def averaged(values: Array) -> tuple[Array, int]:
    """A map in squares of n x n averages, so few that each can be seen; n."""
    n = max(1, math.ceil(max(values.shape) / MOST_CELLS))
    if n == 1:
        return values, 1
    rows, columns = (math.ceil(size / n) * n for size in values.shape)
    padded = np.full((rows, columns), np.nan)
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(rows // n, n, columns // n, n)
    count = np.isfinite(squares).sum((1, 3))
    total = np.where(np.isfinite(squares), squares, 0.0).sum((1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), n


def _panel(panel: Panel, size: float, voice: LatexVoice) -> str:
    values, n = averaged(np.asarray(panel.values, np.float64))
    rows, columns = values.shape
    numbered = max(rows, columns) <= NUMBERED
    cell = 8.5 if numbered else max(0.9, min(3.5, 34 / max(rows, columns)))
    lines = [rf"\begin{{tikzpicture}}[x={cell:.3g}mm,y=-{cell:.3g}mm,baseline=(current bounding box.north)]"]
    lines.append(rf"\fill[bpk{scale.STEPS}] (0,0) rectangle ({columns},{rows});")
    levels = scale.levels(values, size)
    lines += _cells(levels)
    lines.append(rf"\draw[gray,very thin] (0,0) rectangle ({columns},{rows});")
    if numbered:
        for (row, column), value in np.ndenumerate(values):
            style = rf"font=\tiny{_ink(int(levels[row, column]))}"
            what = number(short(float(value), 3))
            lines.append(rf"\node[{style}] at ({column + 0.5},{row + 0.5}) {{${what}$}};")
    if n == 1:
        lines += [_mark(mark, cell, numbered, voice) for mark in panel.marks]
    title = voice.inline(panel.title) if panel.title else ""
    squares = rf" {n}$\times${n} per square" if n > 1 else ""
    if title or squares:
        place = f"({columns / 2:g},{rows})"
        lines.append(rf"\node[font=\scriptsize,anchor=north] at {place} {{{title}{squares}}};")
    return "\n".join([*lines, r"\end{tikzpicture}\hspace{2mm}"])


def _ink(level: int) -> str:
    return ",text=white" if abs(level - scale.STEPS) > 0.62 * scale.STEPS else ""


def _cells(levels: NDArray[np.int64]) -> Iterable[str]:
    for row, line in enumerate(levels):
        starts = [0, *(np.flatnonzero(np.diff(line)) + 1), len(line)]
        parts = [
            rf"\bpr{{{start}}}{{{row}}}{{{end - start}}}{{{line[start]}}}"
            for start, end in pairwise(starts)
            if line[start] != scale.STEPS
        ]
        if parts:
            yield "".join(parts)


def _mark(mark: Mark, cell: float, numbered: bool, voice: LatexVoice) -> str:
    """A sign in its cell; words only where a cell has room for them."""
    row, column = mark.row, mark.column
    middle = f"({column + 0.5},{row + 0.5})"
    box = f"({column},{row}) rectangle ++(1,1)"
    match mark.kind:
        case "worked":
            return rf"\draw[thick] {box};"
        case "winner":
            if numbered:
                return rf"\draw[semithick,bpwarm] ({column + 0.06},{row + 0.06}) rectangle ++(.88,.88);"
            return rf"\draw[semithick] {middle} circle[radius={cell * 0.3:.3g}mm];"
        case "tie":
            top = f"({column + 0.5},{row + 0.15})"
            return rf"\draw[semithick] {top} -- ++(.35,.35) -- ++(-.35,.35) -- ++(-.35,-.35) -- cycle;"
        case "dead":
            return rf"\draw[gray] ({column + 0.2},{row + 0.2}) -- ++(.6,.6) ++(-.6,0) -- ++(.6,-.6);"
    if cell < 2.6:
        return ""
    corner = f"({column + 1},{row})"
    style = rf"{_SMALLEST},anchor=north east,inner sep=.3pt"
    return rf"\node[{style}] at {corner} {{{voice.inline(mark.text)}}};"


def _legend(size: float, symbol: str) -> str:
    steps = 12
    cells = "".join(
        rf"\bpr{{{step}}}{{0}}{{1}}{{{round(step * 2 * scale.STEPS / steps)}}}" for step in range(steps + 1)
    )
    end = number(short(size, 3))
    words = "".join(
        rf"\node[font=\tiny,anchor=north] at ({at},1) {{${what}$}};"
        for at, what in ((0.5, f"-{end}" if size else "0"), (6.5, "0"), (12.5, end))
    )
    name = rf"\node[font=\scriptsize,anchor=east] at (0,.5) {{${symbol}$}};"
    return (
        rf"\par\begin{{tikzpicture}}[x=2.6mm,y=-2mm]{cells}"
        rf"\draw[gray,very thin] (0,0) rectangle (13,1);{words}{name}\end{{tikzpicture}}"
    )


def bars(block: Bars, voice: LatexVoice, largest: float) -> str:
    """A bar per label and group, from 0 to the left or right, with its number; largest: of the scale."""
    values = np.asarray(block.values, np.float64)
    values = values.reshape(len(block.labels), -1)
    labels, groups = values.shape
    size = largest if math.isfinite(largest) and largest > 0 else 1.0
    height = max(1.6, 4.2 / groups)  # mm of a bar
    lines = [rf"\begin{{tikzpicture}}[x=28mm,y=-{height:.3g}mm]"]
    for row in range(labels):
        top = row * (groups + 0.5)
        name = voice.inline(block.labels[row])
        lines.append(rf"\node[font=\tiny,anchor=east] at (-1.32,{top + groups / 2:g}) {{{name}}};")
        for group in range(groups):
            value = float(values[row, group])
            length = 0.0 if not math.isfinite(value) else value / size
            colour = _GROUPS[group % len(_GROUPS)] if groups > 1 else "bpcool" if value < 0 else "bpwarm"
            y = top + group
            lines.append(rf"\fill[{colour}] (0,{y:g}) rectangle ({length:.4g},{y + 0.85:g});")
            side = "east" if value < 0 else "west"
            lines.append(
                rf"\node[{_SMALLEST},anchor={side},inner sep=1pt] at "
                rf"({length:.4g},{y + 0.42:g}) {{${number(short(value))}$}};"
            )
    lines.append(rf"\draw[gray] (0,-.3) -- (0,{labels * (groups + 0.5):g});")
    for group, title in enumerate(block.groups if groups > 1 else ()):
        colour = _GROUPS[group % len(_GROUPS)]
        word = voice.inline(title)
        at = f"(1.4,{group * 1.8 + 1:g})"
        lines.append(rf"\node[font=\scriptsize,text={colour},anchor=west] at {at} {{{word}}};")
    return "\n".join([*lines, r"\end{tikzpicture}"])


def curve(block: Curve, voice: LatexVoice) -> str:
    """f drawn out, f' dashed, over a histogram of where the layer's z lie."""
    z, f, df = (np.asarray(values, np.float64) for values in (block.z, block.f, block.df))
    seen = np.concatenate([values[np.isfinite(values)] for values in (f, df)])
    low, high = (min(0.0, float(seen.min())), max(float(seen.max()), 0.1)) if seen.size else (0.0, 1.0)
    left, right = float(z.min()), float(z.max())
    across, up = 90 / max(right - left, 1e-9), 42 / (high - low)
    most = max(float(np.max(block.counts, initial=0.0)), 1.0)
    lines = [rf"\begin{{tikzpicture}}[x={across:.4g}mm,y={up:.4g}mm]"]
    for start, end, count in zip(block.edges, block.edges[1:], block.counts, strict=False):
        top = low + (high - low) * 0.4 * float(count) / most
        if count:
            lines.append(rf"\fill[black!14] ({start:.4g},{low:.4g}) rectangle ({end:.4g},{top:.4g});")
    name = r"node[black,right] {\scriptsize $z$}"
    lines.append(rf"\draw[gray,very thin] ({left:.4g},0) -- ({right:.4g},0) {name};")
    if left < 0 < right:
        lines.append(rf"\draw[gray,very thin] (0,{low:.4g}) -- (0,{high:.4g});")
    for style, values in (("bpcool,thick", f), ("bpwarm,thick,dashed", df)):
        lines.append(rf"\draw[{style}] plot coordinates {{{_points(z, values)}}};")
    for name, at in block.marks:
        word = voice.inline(name)
        lines.append(
            rf"\draw[thin] ({at:.4g},{low:.4g}) -- ({at:.4g},{high:.4g}) node[above,font=\tiny] {{{word}}};"
        )
    names = r"{\scriptsize\textcolor{bpcool}{$f$}\quad\textcolor{bpwarm}{$f'$ (- - -)}}"
    lines.append(rf"\node[anchor=west] at ({right:.4g},{low + (high - low) * 0.8:.4g}) {names};")
    for value in (low, high):
        what = number(short(value, 3))
        lines.append(rf"\node[font=\tiny,anchor=east] at ({left:.4g},{value:.4g}) {{${what}$}};")
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _points(z: Array, values: Array) -> str:
    return " ".join(f"({a:.4g},{b:.4g})" for a, b in zip(z, values, strict=True) if math.isfinite(b))
