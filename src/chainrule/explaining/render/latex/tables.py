"""How broad the columns of a table in LaTeX are, and how many of its rows go on one page.

Widths are in characters of small type, counted, not measured: what is wrong by a little is shrunk to the
line.  Columns of text share what the others leave: the narrow ones stay whole, the rest are equally broad.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chainrule.base.languages import Say
from chainrule.diagnosing.schema import Level
from chainrule.explaining.blocks.kinds import Cell, Table
from chainrule.explaining.render.latex.math import width
from chainrule.explaining.render.latex.text import LatexVoice
from chainrule.formulas.printing.boxes import Box, is_tall

BROAD = 78  # characters in a line of a document of one's own, and of a frame
_LEAST = 12  # of a column with broken lines
_LETTER = 0.97  # of the line; the rest is lost at the ends of lines

_WORD = re.compile(r"[^\s\u2e80-\uffff]+")

Line = tuple[tuple[Cell, ...], Level | None]


@dataclass(frozen=True)
class Columns:
    """letters: of a tabular, "lrp{0.3\\linewidth}"; broken: the width in characters of the columns whose
    lines are broken.
    """

    letters: str
    broken: Mapping[int, float]
    voice: LatexVoice

    @classmethod
    def of(cls, block: Table, voice: LatexVoice, broad: int) -> Columns:
        """The columns of a table on lines of `broad` characters."""
        rows = [row for row in (block.head, *block.rows) if row]
        count = max(map(len, rows))
        sizes = [
            max((size(row[at], voice) for row in rows if at < len(row)), default=1) for at in range(count)
        ]
        letters = ["r" if at in block.right else "l" for at in range(count)]
        if sum(sizes) + 2 * count <= broad:
            return cls("".join(letters), {}, voice)
        texts = [at for at in range(count) if at not in block.right and not _formulas(rows, at)]
        rest = broad - 2 * count - sum(sizes[at] for at in range(count) if at not in texts)
        share = max(_level([sizes[at] for at in texts], rest), float(_LEAST))
        words = {at: max(_longest_word(row[at], voice) for row in rows if at < len(row)) for at in texts}
        broken = {at: max(share, words[at]) for at in texts if sizes[at] > max(share, words[at])}
        for at, room in broken.items():
            letters[at] = rf"p{{{room / broad * _LETTER:.3f}\linewidth}}"
        return cls("".join(letters), broken, voice)

    def portions(self, block: Table, most: int) -> Iterator[list[Line]]:
        """The rows, so many at a time as take `most` lines."""
        portion: list[Line] = []
        taken = 0.0
        levels = (*block.levels, *[None] * len(block.rows))
        for row, level in zip(block.rows, levels, strict=False):
            lines = self.lines(row)
            if portion and taken + lines > most:
                yield portion
                portion, taken = [], 0.0
            portion.append((row, level))
            taken += lines
        if portion or not block.rows:
            yield portion

    def lines(self, row: tuple[Cell, ...]) -> float:
        """About how many lines a row takes."""
        tall = 1.7 if any(isinstance(cell, Box) and is_tall(cell) for cell in row) else 1.0
        broken = (
            math.ceil(1.1 * size(row[at], self.voice) / share)
            for at, share in self.broken.items()
            if at < len(row)
        )
        return max([tall, *broken])


def size(cell: Cell, voice: LatexVoice) -> int:
    """About how many characters wide a cell is; a Chinese one is as wide as two."""
    if isinstance(cell, Box):
        return width(cell)
    if isinstance(cell, str):
        return _wide(cell)
    both = voice.language == "en+zh" and cell.en != cell.zh
    return _wide(cell.en) + 1 + _wide(cell.zh) if both else _wide(_only(cell, voice))


def _longest_word(cell: Cell, voice: LatexVoice) -> float:
    """Of a cell that may be broken: Chinese is broken anywhere."""
    if isinstance(cell, Box):
        return 0.0
    text = cell if isinstance(cell, str) else cell.en if "en" in voice.language else cell.zh
    return max((len(word) for word in _WORD.findall(text)), default=0) * 1.1


def _only(say: Say, voice: LatexVoice) -> str:
    return say.en if voice.language == "en" else say.zh


def _wide(text: str) -> int:
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def _formulas(rows: list[tuple[Cell, ...]], at: int) -> bool:
    """Whether a column holds formulas, which are not broken."""
    return any(isinstance(row[at], Box) for row in rows if at < len(row))


def _level(sizes: list[int], room: float) -> float:
    """The width at which the broader columns are cut so that all fit in `room`."""
    left = sorted(sizes)
    while left and left[0] * len(left) <= room:
        room -= left.pop(0)
    return room / len(left) if left else math.inf
