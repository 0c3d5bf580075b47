"""The blocks a report consists of: what a renderer gets, in the order in which it is read.

A report is a document (JSON, see document.py); `outline` turns the document into sections of these blocks,
and every renderer (html, markdown, latex, terminal) turns blocks into its own form.  A renderer knows
nothing of networks, and a block nothing of HTML.

Formulas are boxes (formulas/printing/boxes.py), which render_latex, render_mathml and render_text print.
Texts are `Say`: one sentence in every language; `code` in backquotes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from chainrule.base.languages import Say
from chainrule.base.numbers import Relation, equality, short
from chainrule.base.types import Array
from chainrule.diagnosing.schema import Level
from chainrule.formulas.printing.boxes import Box


@dataclass(frozen=True)
class Block:
    """Base of all blocks.  `id`: of this block within the report, for links and for the page; "" for none."""

    id: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Paragraph(Block):
    """Running text; `quiet`: an aside, set smaller."""

    text: Say
    quiet: bool = False


@dataclass(frozen=True)
class Formula(Block):
    """A displayed formula.

    reading: "general" (layer l), "sized" (this layer's numbers in it), "definition" (of a named
    intermediate), "shape" (the shapes of its factors, a line of text in a box), "boxed" (of a closing box of
    formulas).
    tag: where a text derives it, "Tutorial FC ③", "" for none.  note: a sentence beside it.
    """

    box: Box
    reading: Literal["general", "sized", "definition", "shape", "boxed"] = "general"
    tag: str = ""
    note: Say | None = None


@dataclass(frozen=True)
class Worked(Block):
    """One element of a formula, worked out: left = symbols = numbers = result; `signs` are those before the
    last three.

    left, symbols, numbers: boxes.  as_given: the numbers are those of the symbols to their last digit, else
    they are rounded.  result: as printed, "0.5204"; exact: the numbers as shown give it to its last digit.
    terms: rows of the table of products, (what, factors as printed, product as printed), whose products add
    up exactly, as printed, to `total`, but where `adds_up` is False; empty where the element is no sum.
    relation: "←" where left gets a new value.  why: why this element is shown ("largest |δ|", "dead: f' = 0",
    "at the border").
    quantity, index: the tensor's id in the document and the entry, samples last.
    """

    left: Box
    symbols: Box
    numbers: Box
    result: str
    exact: bool
    terms: tuple[tuple[Box, tuple[str, ...], str], ...] = ()
    total: str = ""
    why: Say | None = None
    quantity: str = ""
    index: tuple[int, ...] = ()
    as_given: bool = False
    adds_up: bool = True
    relation: Relation = "="

    @property
    def signs(self) -> tuple[Relation, Relation, Relation]:
        """What stands before the symbols, the numbers and the result."""
        return self.relation, "=" if self.as_given else "≈", "=" if self.exact else "≈"

    @property
    def sum_sign(self) -> str:
        """What stands before the total of the terms."""
        return "Σ" if self.adds_up else "Σ ≈"


Cell = str | Say | Box


@dataclass(frozen=True)
class Table(Block):
    """rows of cells under a head; `right`: columns aligned to the right; `levels`: a level per row, or
    none.
    """

    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[int, ...] = ()
    caption: Say | None = None
    levels: tuple[Level | None, ...] = ()
    folded: bool = False  # long and of use to few: a page shows it on demand


@dataclass(frozen=True)
class Matrix(Block):
    """A small matrix with its numbers, (rows, columns) <= 6 x 8, or the corners of a larger one.

    values: what is shown; shape: of the whole; gaps: rows and columns behind which "⋯" stands for what is
    left out.  symbol: what it is.  stats: (min, mean, max, norm) of the whole, zeros where they are not told.
    printed: what stands in the cells where it is not the numbers, in a worksheet.
    """

    symbol: Box
    values: Array
    shape: tuple[int, int]
    row_gap: int | None = None
    column_gap: int | None = None
    stats: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    quantity: str = ""
    printed: tuple[tuple[str, ...], ...] = ()

    @property
    def sign(self) -> Relation:
        """What stands between the symbol and the numbers: "≈" where one of them is rounded."""
        cells = zip(self.texts, self.values, strict=True)
        pairs = [pair for texts, row in cells for pair in zip(texts, row, strict=True)]
        return "=" if all(equality(text, float(value)) == "=" for text, value in pairs) else "≈"

    @property
    def texts(self) -> list[list[str]]:
        """The cells as they are printed."""
        if self.printed:
            return list(map(list, self.printed))
        return [[short(float(value)) for value in row] for row in self.values]


@dataclass(frozen=True)
class Mark:
    """A sign on a cell of a map: a pooling winner, a tie, a pixel that n windows cover, the entry worked
    out.
    """

    row: int
    column: int
    kind: Literal["winner", "tie", "overlap", "worked", "dead"]
    text: str = ""


@dataclass(frozen=True)
class Panel:
    """One map of a picture: a channel, a kernel, a gradient.  index: (fixed indices of the tensor): the cell
    (r, c) of a map of an image is the entry (r, c, *index).
    """

    title: str
    values: Array  # (rows, columns)
    marks: tuple[Mark, ...] = ()
    index: tuple[int, ...] = ()


@dataclass(frozen=True)
class Maps(Block):
    """Maps side by side, one symmetric colour scale with 0 in its middle: -scale ... scale.

    left_out: how many more there are, the norms of which are smaller.  quantity: the tensor's id.
    axes: which axes of the tensor (samples last) run down and across, for who points at a cell.
    first: the numbers of the first row and column.
    """

    symbol: Box
    title: Say
    panels: tuple[Panel, ...]
    scale: float
    left_out: int = 0
    quantity: str = ""
    axes: tuple[int, int] = (0, 1)
    first: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Bars(Block):
    """A value per label, from 0 to the left or right: δ of a dense layer, one group per sample."""

    symbol: Box
    title: Say
    labels: tuple[str, ...]
    values: Array  # (labels, groups)
    groups: tuple[str, ...] = ()
    left_out: int = 0
    quantity: str = ""


@dataclass(frozen=True)
class Curve(Block):
    """f and f' over z, and where this layer's z lie (a histogram: edges, counts)."""

    title: Say
    z: Array
    f: Array
    df: Array
    edges: Array
    counts: Array
    marks: tuple[tuple[str, float], ...] = ()  # (name, z) of what is worked out


@dataclass(frozen=True)
class ChainNode:
    """A layer in the picture of the network.  level: of the verdict on it; `times`: of a folded repeat;
    reads: where branches read each other, of every one the names of what it reads.
    """

    name: str
    title: str
    shape: str
    parameters: int
    size_x: float  # RMS of the output per entry
    size_delta: float  # RMS of δ per entry and sample, 1/m taken out; NaN where there is none
    level: Level = "good"
    times: int = 1
    branches: tuple[tuple[ChainNode, ...], ...] = ()
    join: str = ""
    reads: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Chain(Block):
    """The network as a picture."""

    nodes: tuple[ChainNode, ...]


@dataclass(frozen=True)
class Listing(Block):
    """A list of sentences."""

    items: tuple[Say, ...]
    ordered: bool = False


@dataclass(frozen=True)
class Code(Block):
    """Source text."""

    text: str
    language: str = "python"


@dataclass(frozen=True)
class Badge:
    """A word of the verdict strip: ("gradient check", "ok, 4.5e-11", "good")."""

    label: Say
    value: Say
    level: Level


@dataclass(frozen=True)
class Strip(Block):
    """The verdict strip at the top."""

    badges: tuple[Badge, ...]


@dataclass(frozen=True)
class Finding(Block):
    """What the doctor found: what, why (with the numbers behind it), what to do."""

    level: Level
    what: Say
    why: Say
    cure: Say


@dataclass(frozen=True)
class Card(Block):
    """One step of the derivation: a layer forward ("F3"), backward ("B3"), the loss ("L"), the update ("U").

    step: the name of the step; head: one line, `l = 4  Conv2D(16, 5)  (12, 12, 8) → (8, 8, 16)`; layer: its
    name in the network; folded: a repeat of the card before it, on demand.
    """

    step: str
    title: Say
    head: str
    layer: str
    blocks: tuple[Block, ...]
    reference: str = ""  # "Tutorial conv ①②③", or "" where none derives it
    folded: bool = False

    @property
    def what(self) -> Say:
        """The title without the step, for who shows the step beside it."""
        return Say(*(text.removeprefix(self.step).strip() for text in (self.title.en, self.title.zh)))


@dataclass(frozen=True)
class Section(Block):
    """A part of the report under a heading."""

    title: Say
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Outline:
    """The whole report in reading order.  `document`: the JSON it was made of, for pages that compute."""

    title: Say
    sections: tuple[Section, ...]
    language: Literal["en", "zh", "en+zh"]
    notation: str
    document: dict[str, Any]
