"""Beamer: a frame per step, whose parts follow each other in the same place.

A step has more to say than a frame holds, so its parts are `onlyenv`s: first the formulas, then each worked
element, uncovered from symbols to numbers to the result, then tables and pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from chainrule.base.languages import COLON, FULL_STOP, same
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Chain,
    Code,
    Curve,
    Finding,
    Formula,
    Listing,
    Maps,
    Matrix,
    Outline,
    Paragraph,
    Section,
    Strip,
    Table,
    Worked,
)
from chainrule.explaining.render.latex.blocks import LatexWriter, bars_in_parts, heading
from chainrule.explaining.render.latex.tables import Columns
from chainrule.explaining.words.catalogues import PAGE

CAPACITY = 13.0  # lines of a frame
LINE = 68  # characters of a line
MOST_LINES = 13  # of a table on a frame; the rest follows on the next one
MOST_PARTS = 4  # of a table, or of a picture of bars
MOST_LABELS = 18
_TALL = (Maps, Bars, Curve, Chain)


def frames(outline: Outline, writer: LatexWriter) -> str:
    """All frames of an outline, a section after the other."""
    written = []
    for section in outline.sections:
        title = writer.voice.inline(section.title)
        written.append(rf"\section{{{title}}}")
        loose: list[Block] = []
        for block in _flat(section.blocks):
            if isinstance(block, Card) and block.folded:
                loose.append(_repeat(block, writer))
            elif isinstance(block, Card):
                if loose:
                    written.append(_frame(title, "", loose, writer))
                loose = []
                head = writer.voice.inline(block.head)
                written.append(_frame(heading(writer.voice, block), head, list(block.blocks), writer))
            else:
                loose.append(block)
        if loose:
            written.append(_frame(title, "", loose, writer))
    return "\n\n".join(written)


def _repeat(card: Card, writer: LatexWriter) -> Block:
    """A step that repeats another: a line."""
    said = [block.text for block in card.blocks if isinstance(block, Paragraph)]
    return Paragraph(sum(said, same(card.step) + COLON + card.what + FULL_STOP), quiet=True)


def _flat(blocks: Iterable[Block]) -> Iterable[Block]:
    for block in blocks:
        if isinstance(block, Section):
            yield Paragraph(block.title)
            yield from _flat(block.blocks)
        else:
            yield block


def _frame(title: str, head: str, blocks: list[Block], writer: LatexWriter) -> str:
    shown = [part for block in blocks for part in _parts(block, writer)]
    lines = [r"\begin{frame}[t]", rf"\frametitle{{{title}}}"]
    if head:
        lines.append(rf"\framesubtitle{{{head}}}")
    slide = 1
    for page in _pages(shown, writer):
        steps = max((_steps(block, writer) for block in page), default=1)
        body = "\n".join(_written(block, slide, writer) for block in page)
        lines += [rf"\begin{{onlyenv}}<{slide}-{slide + steps - 1}>", body, r"\end{onlyenv}"]
        slide += steps
    return "\n".join([*lines, r"\end{frame}"])


def _parts(block: Block, writer: LatexWriter) -> list[Block]:
    """A block, a table in as many parts as it takes; a frame for each, the first few of them."""
    if isinstance(block, Bars):
        drawn = bars_in_parts(block, MOST_LABELS)
        rest = sum(len(part.labels) for part in drawn[MOST_PARTS:])
        return [*drawn[:MOST_PARTS], *_more(rest)]
    if not isinstance(block, Table) or not block.rows:
        return [block]
    if block.folded:
        return []
    columns = Columns.of(block, writer.voice, writer.broad)
    portions = list(columns.portions(block, MOST_LINES))
    parts: list[Block] = [
        replace(block, rows=tuple(row for row, _ in lines), levels=tuple(level for _, level in lines))
        for lines in portions[:MOST_PARTS]
    ]
    return [*parts, *_more(sum(map(len, portions[MOST_PARTS:])))]


def _more(rest: int) -> list[Block]:
    """What says how many rows a presentation leaves out."""
    return [Paragraph(PAGE.say("more_rows", count=rest), quiet=True)] if rest else []


def _pages(blocks: list[Block], writer: LatexWriter) -> list[list[Block]]:
    """The blocks in portions that fit; a worked element has a portion of its own."""
    pages: list[list[Block]] = [[]]
    room = CAPACITY
    for block in blocks:
        lines = _lines(block, writer)
        alone = isinstance(block, Worked)
        if pages[-1] and (alone or lines > room or isinstance(pages[-1][-1], Worked)):
            pages.append([])
            room = CAPACITY
        pages[-1].append(block)
        room -= lines
    return [page for page in pages if page]


def _steps(block: Block, writer: LatexWriter) -> int:
    return len(writer.lines(block)) if isinstance(block, Worked) else 1


def _lines(block: Block, writer: LatexWriter) -> float:
    """About how many lines of a frame a block takes."""
    both = 2 if writer.voice.language == "en+zh" else 1
    match block:
        case Paragraph(text):
            return both * math.ceil(len(text.en) / LINE) + 0.5
        case Formula(note=note):
            return 2.6 + (both if note is not None else 0)
        case Matrix(values=values):
            return len(values) + 2.0
        case Table(rows=rows):
            columns = Columns.of(block, writer.voice, writer.broad) if rows else None
            return 2.5 + (sum(map(columns.lines, rows)) if columns else 0)
        case Listing(items=items):
            return sum(both * math.ceil(len(item.en) / LINE) + 0.4 for item in items)
        case Code(text):
            return text.count("\n") + 1.0
        case Finding():
            return 4.0 * both
        case Strip(badges):
            return len(badges) + 1.0
    return CAPACITY * 0.75


def _written(block: Block, slide: int, writer: LatexWriter) -> str:
    """A block on a frame, made to fit its height where it is a picture."""
    if isinstance(block, Worked):
        covers = ["{}", *(rf"\uncover<{slide + place}->{{}}" for place in range(1, _steps(block, writer)))]
        aligned = rf"\[ {writer.aligned(block, covers)} \]"
        terms = [rf"\uncover<{slide + 1}->{{{table}}}" for table in writer.terms(block)]
        return "\n".join([*writer.why(block), aligned, *(rf"\bpframe{{{table}}}" for table in terms)])
    body = writer.block(block)
    return rf"\bpframe{{{body}}}" if isinstance(block, (*_TALL, Table, Strip)) else body
