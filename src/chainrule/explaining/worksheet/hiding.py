"""An outline with numbers replaced by blanks, wherever they are printed: the same number, the same blank."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.numbers import short
from chainrule.base.types import Array
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Cell,
    Chain,
    ChainNode,
    Formula,
    Listing,
    Maps,
    Matrix,
    Paragraph,
    Section,
    Table,
    Worked,
)
from chainrule.explaining.blocks.printed import TOKEN, Printed, Told, number_of
from chainrule.formulas.printing.boxes import SUM, Box, Numeral, Row, Sign, bare, tight


@dataclass
class Hider:
    """Hides answers.

    answers: what is asked for, each in all the precisions in which it is printed.  shapes: id() of a line of
    shapes -> which of the answers its last shape is.  mark: what stands for an answer, by its number and its
    text.  numbers: answer -> its number, given as they are met, from 1.
    """

    answers: Sequence[tuple[str, ...]]
    shapes: Mapping[int, int]
    mark: Callable[[int, str], str]
    numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shapes = set(self.shapes.values())
        self.told: Told[tuple[int, bool]] = Told()  # the answer's place, and whether it is negative
        self.known: list[Printed] = []
        for place, texts in enumerate(self.answers):
            for printed in map(Printed.of, texts):
                if printed is not None and place not in shapes:
                    self.told.add(printed, (place, printed.value < 0))
                    self.known.append(printed)

    # -- numbers ---------------------------------------------------------------------------------------------

    def blank(self, place: int) -> str:
        """What stands for an answer."""
        number = self.numbers.setdefault(place, len(self.numbers) + 1)
        return self.mark(number, self.answers[place][0])

    def hidden(self, text: str) -> str | None:
        """What stands for a printed number, with "−" where its sign is another; None where it may stay."""
        printed = Printed.of(text)
        told = None if printed is None else self.told.find(printed)
        if printed is None or told is None:
            return None
        place, negative = told
        return ("−" if negative != (printed.value < 0) else "") + self.blank(place)

    def tells(self, value: float) -> bool:
        """Whether the number as a report prints it is an answer."""
        printed = Printed.of(short(value))
        return printed is not None and self.told.find(printed) is not None

    def text(self, text: str) -> str:
        """A text with its numbers hidden."""
        return TOKEN.sub(lambda match: self.hidden(match[0]) or match[0], text)

    def say(self, say: Say) -> Say:
        """In every language."""
        return Say(self.text(say.en), self.text(say.zh))

    def box(self, box: Any) -> Any:
        """A formula with its numbers hidden; indices stay."""
        if isinstance(box, tuple):
            return tuple(map(self.box, box))
        if not isinstance(box, Box):
            return box
        text = number_of(box)
        if text is not None:
            mark = self.hidden(text)
            return box if mark is None else _numeral(mark)
        names = [attribute.name for attribute in fields(box) if attribute.name != "sub"]
        changed = {name: self.box(getattr(box, name)) for name in names}
        return replace(box, **changed)

    def cell(self, cell: Cell) -> Cell:
        """A cell of a table."""
        if isinstance(cell, Say):
            return self.say(cell)
        return self.text(cell) if isinstance(cell, str) else self.box(cell)

    def holds(self, values: Array) -> bool:
        """Whether an answer is among the values."""
        return any(bool(answer.within(values).any()) for answer in self.known)

    # -- blocks ----------------------------------------------------------------------------------------------

    def blocks(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """The blocks of a section or card."""
        return tuple(map(self.block, blocks))

    def block(self, block: Block) -> Block:
        """A block with its numbers hidden."""
        match block:
            case Card():
                return replace(block, head=self.text(block.head), blocks=self.blocks(block.blocks))
            case Section():
                return replace(block, blocks=self.blocks(block.blocks))
            case Paragraph():
                return replace(block, text=self.say(block.text))
            case Listing():
                return replace(block, items=tuple(map(self.say, block.items)))
            case Formula():
                return self._formula(block)
            case Worked():
                return self._worked(block)
            case Table():
                rows = tuple(tuple(map(self.cell, row)) for row in block.rows)
                caption = None if block.caption is None else self.say(block.caption)
                return replace(block, rows=rows, caption=caption)
            case Matrix():
                return self._matrix(block)
            case Bars():
                return self._bars(block)
            case Maps():
                return self._maps(block)
            case Chain():
                return replace(block, nodes=tuple(map(self._node, block.nodes)))
        return block

    def _formula(self, block: Formula) -> Formula:
        if block.reading != "shape":
            note = None if block.note is None else self.say(block.note)
            return replace(block, box=self.box(block.box), note=note)
        place = self.shapes.get(id(block))
        box = bare(block.box)
        if place is None or not isinstance(box, Row):
            return block
        return replace(block, box=replace(box, parts=(*box.parts[:-1], Numeral(self.blank(place)))))

    def _worked(self, block: Worked) -> Worked:
        terms = tuple(
            (self.box(what), tuple(map(self.text, factors)), self.text(product))
            for what, factors, product in block.terms
        )
        return replace(
            block, terms=terms, total=self.text(block.total), numbers=self.box(block.numbers),
            result=self.text(block.result),
        )  # fmt: skip

    def _matrix(self, block: Matrix) -> Matrix:
        """Cells as blanks; the statistics are left out where they tell one."""
        printed = tuple(tuple(map(self.text, row)) for row in block.texts)
        same = [list(row) for row in printed] == block.texts
        stats = block.stats
        if any(map(self.tells, stats)):
            stats = (0.0, 0.0, 0.0, 0.0)
        if same:
            return replace(block, stats=stats)
        kept = [
            [cell == text for cell, text in zip(row, texts, strict=True)]
            for row, texts in zip(printed, block.texts, strict=True)
        ]
        return replace(block, printed=printed, values=np.where(kept, block.values, 0.0), stats=stats)

    def _bars(self, block: Bars) -> Bars | Table:
        """Bars that show an answer become a table to be filled in."""
        values = block.values.reshape(len(block.labels), -1)
        if not values.size or not self.holds(values):
            return block
        rows = tuple(
            (label, *(self.text(short(float(value))) for value in line))
            for label, line in zip(block.labels, values, strict=True)
        )
        width = values.shape[1]
        head: tuple[Cell, ...] = (block.symbol, *(block.groups or ("",) * width))
        return Table(head, rows, tuple(range(1, width + 1)), block.title, id=block.id)

    def _maps(self, block: Maps) -> Maps:
        """Cells that show an answer lose their colour; the scale is rounded up where its end tells one."""
        scale = block.scale
        if scale and self.holds(np.array([scale])):
            unit = 10.0 ** math.floor(math.log10(scale))
            scale = math.ceil(scale / unit) * unit
        panels = []
        for panel in block.panels:
            values = panel.values
            for answer in self.known:
                values = np.where(answer.within(values), np.nan, values)
            panels.append(replace(panel, values=values))
        return replace(block, panels=tuple(panels), scale=scale)

    def _node(self, node: ChainNode) -> ChainNode:
        """The sizes of a layer's output and δ: of a single number they are its size."""
        sizes = {
            name: math.nan
            for name in ("size_x", "size_delta")
            if self.tells(getattr(node, name))
        }
        branches = tuple(tuple(map(self._node, branch)) for branch in node.branches)
        return replace(node, branches=branches, **sizes)  # type: ignore[arg-type]


def _numeral(mark: str) -> Box:
    if mark.startswith("−"):
        return tight(Sign("−"), Numeral(mark[1:]), binds=SUM)
    return Numeral(mark)
