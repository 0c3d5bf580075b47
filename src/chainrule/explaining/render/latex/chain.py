"""The network as a TikZ drawing: boxes from left to right in lines, branches above each other."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.base.numbers import short
from chainrule.explaining.blocks.kinds import Chain, ChainNode
from chainrule.explaining.render.latex.math import number
from chainrule.explaining.render.latex.text import LatexVoice

WIDTH, HEIGHT = 34.0, 16.0  # of a box, mm
GAP = 6.0  # for an arrow
APART = 1.5  # branches from each other
LINE = 4 * (WIDTH + GAP)  # of a line of boxes; a wider branch stands alone and is made to fit
_FILL = {"good": "white", "note": "bpk20", "warning": "bpk29", "bad": "bpk34"}


@dataclass(frozen=True)
class Drawn:
    """A part of the picture around its left end's middle (0, 0).  up, down: how far it reaches."""

    lines: tuple[str, ...]
    width: float
    up: float
    down: float


def chain(block: Chain, voice: LatexVoice) -> str:
    """The picture, in as many lines as it needs."""
    lines: list[list[ChainNode]] = [[]]
    room = LINE
    for node in block.nodes:
        width = _node(node, voice, 0, 0).width + GAP
        if lines[-1] and width > room:
            lines.append([])
            room = LINE
        lines[-1].append(node)
        room -= width
    pictures = []
    for place, nodes in enumerate(lines):
        drawn = _sequence(tuple(nodes), voice, 0, 0, goes_on=place < len(lines) - 1)
        picture = "\n".join([r"\begin{tikzpicture}[x=1mm,y=1mm]", *drawn.lines, r"\end{tikzpicture}"])
        pictures.append(rf"\bpfit{{{picture}}}")
    return "\n\n".join(pictures)


def _sequence(
    nodes: tuple[ChainNode, ...], voice: LatexVoice, x: float, y: float, goes_on: bool = False
) -> Drawn:
    lines: list[str] = []
    up = down = HEIGHT / 2
    start = x
    for place, node in enumerate(nodes):
        drawn = _node(node, voice, x, y)
        lines += drawn.lines
        up, down = max(up, drawn.up), max(down, drawn.down)
        x += drawn.width
        if place < len(nodes) - 1 or goes_on:
            lines.append(rf"\draw[->] ({x:g},{y:g}) -- ++({GAP:g},0);")
            x += GAP
    return Drawn(tuple(lines), x - start, up, down)


def _node(node: ChainNode, voice: LatexVoice, x: float, y: float) -> Drawn:
    return _branches(node, voice, x, y) if node.branches else _box(node, voice, x, y)


def _box(node: ChainNode, voice: LatexVoice, x: float, y: float) -> Drawn:
    name, title, shape = (voice.inline(text) for text in (node.name, node.title, node.shape))
    times = rf" $\times{node.times}$" if node.times > 1 else ""
    sizes = rf"RMS $x$ {number(short(node.size_x, 2))}"
    if node.size_delta == node.size_delta:  # not NaN
        sizes += rf",\enspace $m\delta$ {number(short(node.size_delta, 2))}"
    rows = [rf"\texttt{{{name}}}{times}", title, shape, sizes]
    body = r"\\[-2pt]".join(rows)
    style = f"draw,fill={_FILL[node.level]},rounded corners=1pt,anchor=west,align=center,font=\\scriptsize"
    size = f"text width={WIDTH - 2:g}mm,minimum height={HEIGHT - 1:g}mm,inner sep=1mm"
    return Drawn((rf"\node[{style},{size}] at ({x:g},{y:g}) {{{body}}};",), WIDTH, HEIGHT / 2, HEIGHT / 2)


def _branches(node: ChainNode, voice: LatexVoice, x: float, y: float) -> Drawn:
    """Branches above each other between a fork and the join."""
    if node.reads:
        return _wiring(node, voice, x, y)
    measured = [_sequence(branch, voice, 0, 0) for branch in node.branches]
    width = max(drawn.width for drawn in measured)
    total = sum(drawn.up + drawn.down for drawn in measured) + APART * (len(measured) - 1)
    lines: list[str] = []
    middle, end = y + total / 2, x + GAP + width + GAP
    for branch, drawn in zip(node.branches, measured, strict=True):
        at = middle - drawn.up
        lines.append(rf"\draw[->] ({x:g},{y:g}) |- ({x + GAP:g},{at:g});")
        lines += _sequence(branch, voice, x + GAP, at).lines
        lines.append(rf"\draw[->] ({x + GAP + drawn.width:g},{at:g}) -| ({end:g},{y:g});")
        middle -= drawn.up + drawn.down + APART
    joined = _box(node, voice, end, y)
    reach = max(total, HEIGHT) / 2
    return Drawn((*lines, *joined.lines), end + joined.width - x, reach, reach)


def _wiring(node: ChainNode, voice: LatexVoice, x: float, y: float) -> Drawn:
    """Branches that read each other above each other, each behind the names of what it reads; the last goes
    on.
    """
    start = x + GAP + WIDTH / 2
    measured = [_sequence(branch, voice, 0, 0) for branch in node.branches]
    total = sum(drawn.up + drawn.down for drawn in measured) + APART * (len(measured) - 1)
    lines: list[str] = []
    middle, end = y + total / 2, start + GAP + max(drawn.width for drawn in measured)
    for branch, names, drawn in zip(node.branches, node.reads, measured, strict=True):
        at = middle - drawn.up
        of = r"\\[-2pt]".join(rf"\texttt{{{voice.inline(name)}}}" for name in names)
        lines.append(rf"\node[anchor=east,align=right,font=\scriptsize] at ({start:g},{at:g}) {{{of}}};")
        lines.append(rf"\draw[->] ({start:g},{at:g}) -- ++({GAP:g},0);")
        lines += _sequence(branch, voice, start + GAP, at).lines
        middle -= drawn.up + drawn.down + APART
    lines.append(rf"\draw ({start + GAP + measured[-1].width:g},{at:g}) -| ({end:g},{y:g});")
    reach = max(total, HEIGHT) / 2
    return Drawn(tuple(lines), end - x, reach, reach)
