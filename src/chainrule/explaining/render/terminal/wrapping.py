"""Tables fitted into a width, Latin and Chinese, for the terminal."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from chainrule.base.tables import PIECES, cell_width, text_table, wrapped

LEAST_COLUMN = 14  # a column of text is not made narrower: it would break after every word
_WORD = re.compile(r"\s+|\S+")  # a head is not broken within Chinese: its words are short


def fitted_table(
    rows: Sequence[Sequence[str]],
    width: int,
    right: Collection[int] = (),
    text: Collection[int] = (),
    colon: str = ": ",
) -> str:
    """`text_table` of a head and rows within a width.

    Where the whole is too broad the head and the cells of the columns in `text` are broken into lines; if
    that is not enough every row becomes lines of "head: cell", with this colon.
    """
    sizes = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    room = width - 2 * (len(sizes) - 1)
    if sum(sizes) <= room:
        return text_table(rows, right)
    narrow = _narrowed(rows, room, text)
    if narrow is None:
        return _stacked(rows, width, colon)
    lines, ruled = [], 0
    for number, row in enumerate(rows):
        cells = [
            [cell] if number and at not in text else wrapped(cell, size, PIECES if number else _WORD)
            for at, (cell, size) in enumerate(zip(row, narrow, strict=True))
        ]
        height = max(map(len, cells))
        lines += [[cell[at] if at < len(cell) else "" for cell in cells] for at in range(height)]
        ruled = height - 1 if number == 0 else ruled
    return text_table(lines, right, (ruled,))


def _narrowed(rows: Sequence[Sequence[str]], room: int, text: Collection[int]) -> list[int] | None:
    """Widths of the columns that fit: heads give way first, then the broadest columns of text; None where
    they cannot.
    """
    head, *body = rows
    sizes = []
    for at, name in enumerate(head):
        word = max(map(cell_width, wrapped(name, 1, _WORD)))
        sizes.append(max(word, *(cell_width(row[at]) for row in body)) if body else cell_width(name))
    while sum(sizes) > room:
        broadest = max(text, key=lambda at: sizes[at], default=None)
        if broadest is None or sizes[broadest] <= LEAST_COLUMN:
            return None
        sizes[broadest] -= 1
    for at, name in enumerate(head):  # what is left goes to the heads
        sizes[at] += max(0, min(room - sum(sizes), cell_width(name) - sizes[at]))
    return sizes


def _stacked(rows: Sequence[Sequence[str]], width: int, colon: str) -> str:
    head, *body = rows
    lines = []
    for row in body:
        for name, cell in zip(head, row, strict=True):
            if cell:
                lead = f"{name}{colon}" if name else ""
                first, *others = wrapped(lead + cell, width)
                lines += [first, *(f"  {line}" for other in others for line in wrapped(other, width - 2))]
        lines.append("")
    return "\n".join(lines[:-1])
