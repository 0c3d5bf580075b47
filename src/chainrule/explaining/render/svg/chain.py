"""The network as a picture: a row per layer, lanes for branches, and how ‖x‖ and ‖δ‖ change from layer to
layer.

It grows downwards, so that a chain of a hundred layers is as readable as one of three, and the columns stay
columns.  Branches run in lanes beside each other, as in the history of a repository: they leave after the row
above them and meet in the row of their sum or concatenation.  A page has the picture in two forms, of which
one fits a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrule.base.languages import Say, same
from chainrule.base.numbers import short
from chainrule.base.shown import shortened
from chainrule.explaining.blocks.kinds import Chain, ChainNode
from chainrule.explaining.render.markup import Voice, attributes, escape
from chainrule.explaining.words.catalogues import PAGE, TABLES

_TOP = 40
_LANE = 20

_SIGNS = {"sum": "+", "concat": "‖", "row": "‖", "product": "×", "quotient": "÷", "power": "^"}
_SIGNS |= {"maximum": "max", "minimum": "min"}


@dataclass(frozen=True)
class Form:
    """Sizes of a picture.  shape, parameters: widths of their columns; a stacked form has the shape under the
    name, and leaves parameters to the table of layers.  gap: between the columns and the profiles; letters:
    at most so many of a name and of a title.
    """

    row: int
    name: int
    profile: int
    gap: int
    letters: tuple[int, int]
    shape: int = 0
    parameters: int = 0

    @property
    def stacked(self) -> bool:
        return self.shape == 0

    @property
    def texts(self) -> int:
        """The width of all columns of texts."""
        return self.name + self.shape + self.parameters

    def y(self, row: int) -> int:
        return _TOP + row * self.row


WIDE = Form(row=36, name=200, profile=140, gap=22, letters=(20, 29), shape=160, parameters=62)
NARROW = Form(row=50, name=152, profile=62, gap=10, letters=(17, 22))


@dataclass(frozen=True)
class _Edge:
    start: int  # rows
    end: int
    lane: int  # in which it runs between them


@dataclass
class _Layout:
    """Rows from top to bottom, each a layer in a lane; row 0 is the input."""

    rows: list[tuple[ChainNode | None, int]] = field(default_factory=lambda: [(None, 0)])
    edges: list[_Edge] = field(default_factory=list)
    lanes: int = 1

    def chain(self, nodes: tuple[ChainNode, ...], lane: int, *entries: int) -> int:
        """Place layers one below the other; returns the row of the last one."""
        entry = entries[0]
        exits = [(start, lane) for start in entries]
        for node in nodes:
            if node.reads:
                entry = self._wiring(node, lane, entry)
                exits = [(entry, lane)]
                continue
            exits = self._branches(node, lane, entry) if node.branches else exits
            self.rows.append((node, lane))
            entry_next = len(self.rows) - 1
            self.edges += [_Edge(start, entry_next, via) for start, via in exits]
            entry = entry_next
            exits = [(entry, lane)]
        return entry

    def _wiring(self, node: ChainNode, lane: int, entry: int) -> int:
        """Branches that read each other, each in a lane of its own but the last, from which it goes on."""
        rows: dict[str, int] = {}  # of what they put out
        first = self.lanes
        self.lanes += len(node.branches) - 1
        for number, (branch, names) in enumerate(zip(node.branches, node.reads, strict=True)):
            at = lane if number == len(node.branches) - 1 else first + number
            entry_of_branch = self.chain(branch, at, *(rows.get(name, entry) for name in names))
            rows[branch[-1].name] = entry_of_branch
        return entry_of_branch

    def _branches(self, node: ChainNode, lane: int, entry: int) -> list[tuple[int, int]]:
        """Where the branches of a node end: (row, lane); an empty branch is a line past the others."""
        exits = []
        for branch in node.branches:
            exits.append((self.chain(branch, lane, entry), lane))
            self.lanes = max(self.lanes, lane + 1)
            lane = max([lane, *(at for _, at in self.rows[entry + 1 :])]) + 1
        return exits


def chain(block: Chain, voice: Voice, links: Mapping[str, str] | None = None, form: Form = WIDE) -> str:
    """The picture of a network.  links: from the name of a layer to an address, "#F2"."""
    layout = _Layout()
    layout.chain(block.nodes, 0, 0)
    left = 24 + _LANE * (layout.lanes - 1) + 14
    first = left + form.texts + form.gap
    profiles = (first, first + form.profile + 2 * form.gap - 2)  # two ticks stand between them
    width = profiles[1] + form.profile + 10
    height = form.y(len(layout.rows) - 1) + 30
    parts = [_edge(edge, layout, form) for edge in layout.edges]
    parts += _heads(left, form, voice)
    parts.append(f'<text class="label" x="{left}" y="{_TOP + 4}"><tspan class="italic">x</tspan></text>')
    for row, (node, lane) in enumerate(layout.rows):
        if node is None:
            parts.append(f'<circle class="start" cx="{_x(lane)}" cy="{form.y(row)}" r="3"/>')
            continue
        text = _texts(node, left, form.y(row), form)
        address = (links or {}).get(node.name)
        text = f'<a href="{escape(address)}">{text}</a>' if address else text
        dot = _dot(node, _x(lane), form.y(row))
        parts.append(f'<g class="node"{attributes(data_layer=node.name)}>{dot}{text}</g>')
    for kind, symbol, at in (("x", "x", profiles[0]), ("delta", "m·δ", profiles[1])):
        sizes = [None if node is None else getattr(node, f"size_{kind}") for node, _ in layout.rows]
        parts += _profile(sizes, at, form, kind, voice.tspans(_size(symbol, form)))
    head_attributes = attributes(
        class_="chain narrow" if form.stacked else "chain", viewBox=f"0 0 {width} {height}", width=width,
        height=height, role="group",
    )  # fmt: skip
    title = escape(voice.attribute(PAGE["chain"]))
    return f"<svg{head_attributes}><title>{title}</title>{''.join(parts)}</svg>"


def _x(lane: int) -> int:
    return 18 + lane * _LANE


def _size(symbol: str, form: Form) -> Say:
    """Over a profile, in a narrow picture without room for two languages."""
    return same(f"RMS {symbol}") if form.stacked else PAGE.say("rms", symbol=symbol)


def _heads(left: int, form: Form, voice: Voice) -> list[str]:
    """What the columns of texts are; nothing over a single one."""
    if form.stacked:
        return []
    heads = (TABLES["layer"], TABLES["shape"], TABLES["parameters"])
    places = (left, left + form.name, left + form.texts)
    return [
        f'<text class="head {side}" x="{at}" y="16">{voice.tspans(say)}</text>'
        for at, say, side in zip(places, heads, ("start", "start", "end"), strict=True)
    ]


def _edge(edge: _Edge, layout: _Layout, form: Form) -> str:
    """A line down its lane, bent from and to the lanes of its ends."""
    start, end = _x(layout.rows[edge.start][1]), _x(layout.rows[edge.end][1])
    lane = _x(edge.lane)
    top, bottom = form.y(edge.start), form.y(edge.end)
    path = f"M{start} {top + 7}"
    if lane != start:
        path += f"C{start} {top + 22} {lane} {top + 12} {lane} {top + 27}"
    if lane != end:
        path += f"V{bottom - 27}C{lane} {bottom - 12} {end} {bottom - 22} {end} {bottom - 8}"
    else:
        path += f"V{bottom - 8}"
    return f'<path class="edge" d="{path}"/><path class="arrow" d="M{end - 3} {bottom - 12}l3 5 3-5z"/>'


def _dot(node: ChainNode, x: int, y: int) -> str:
    """A circle for a layer in order, a triangle for a warning, a diamond for what is wrong."""
    if node.level == "warning":
        return f'<path class="dot warning" d="M{x} {y - 6}l6.5 11h-13z"/>'
    if node.level == "bad":
        return f'<path class="dot bad" d="M{x} {y - 7}l7 7-7 7-7-7z"/>'
    sign = _SIGNS.get(node.join, "")
    text = f'<text class="sign" x="{x}" y="{y + 4}">{sign}</text>' if sign else ""
    return f'<circle class="dot {node.level}" cx="{x}" cy="{y}" r="{7 if sign else 5}"/>{text}'


def _texts(node: ChainNode, left: int, y: int, form: Form) -> str:
    """Name over title; shape and number of parameters beside them, or the shape below."""
    times = f'<tspan class="times" dx="6">×{node.times}</tspan>' if node.times > 1 else ""
    whole = f"{node.name}: {node.title}, {node.shape}"
    name, title = (
        shortened(text, room) for text, room in zip((node.name, node.title), form.letters, strict=True)
    )
    top = y - 8 if form.stacked else y - 1
    texts = (
        f"<title>{escape(whole)}</title>"
        f'<text class="name" x="{left}" y="{top}">{escape(name)}{times}</text>'
        f'<text class="label quiet" x="{left}" y="{top + 14}">{escape(title)}</text>'
    )
    if form.stacked:
        below = escape(shortened(node.shape, form.letters[1]))
        return f'{texts}<text class="label" x="{left}" y="{top + 28}">{below}</text>'
    shape = shortened(node.shape, 30)
    number = f"{node.parameters:,}" if node.parameters else "–"
    return (
        f'{texts}<text class="label" x="{left + form.name}" y="{y + 5}">{escape(shape)}</text>'
        f'<text class="number" x="{left + form.texts}" y="{y + 5}">{number}</text>'
    )


def _profile(sizes: list[float | None], left: int, form: Form, kind: str, head: str) -> list[str]:
    """Sizes on a logarithmic axis, joined from row to row: a slope is a gain or a loss."""
    bottom = form.y(len(sizes) - 1) + 22
    known = [size for size in sizes if size is not None and math.isfinite(size) and size > 0]
    parts = [f'<text class="head start" x="{left}" y="16">{head}</text>']
    if not known:
        return parts
    low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
    high = max(high, low + 1)
    stride = max(1, math.ceil((high - low) / (2 if form.stacked else 3)))
    for decade in range(low, high + 1, stride):
        x = left + (decade - low) / (high - low) * form.profile
        parts.append(f'<path class="rule" d="M{x:.1f} {_TOP - 6}V{bottom}"/>')
        parts.append(f'<text class="tick middle" x="{x:.1f}" y="{_TOP - 10}">{_power(decade)}</text>')
    path, pen, dots = "", "M", ""
    for row, size in enumerate(sizes):
        if size is None or math.isnan(size):
            pen = "M"
            continue
        share = 1.0 if size == math.inf else 0.0 if size <= 0 else (math.log10(size) - low) / (high - low)
        x, y = left + share * form.profile, form.y(row)
        path += f"{pen}{x:.1f} {y}"
        pen = "L"
        hollow = "" if size > 0 and math.isfinite(size) else " broken"
        at = f'class="point{hollow}" cx="{x:.1f}" cy="{y}" r="3.2"'
        dots += f"<circle {at}><title>{short(size)}</title></circle>"
    return [*parts, f'<g class="profile {kind}"><path class="line" d="{path}"/>{dots}</g>']


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(decade: int) -> str:
    return {0: "1", 1: "10", -1: "0.1"}.get(decade, "10" + str(decade).translate(_RAISED))
