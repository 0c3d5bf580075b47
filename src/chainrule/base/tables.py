"""Aligned tables of text, and the same rows as HTML, for every repr and report; text broken into lines."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from chainrule.base.shown import shown

Row = Sequence[str]
# A Chinese character or a Latin word with the punctuation that may not begin a line, or spaces between
# words.
_WIDE = r"\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_END = "。，；：！？）》”、…"
PIECES = re.compile(rf"[“（《]?[{_WIDE}][{_END}]*|\s+|[^\s{_WIDE}“”]+[{_END}]*|.")


class Text(str):
    """A text that an interactive session shows as it prints."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def cell_width(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese two a character, a combining hat none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def wrapped(text: str, width: int, pieces: re.Pattern[str] = PIECES) -> list[str]:
    """The text in lines of at most `width` columns, at least one.  A longer word stands in a line alone."""
    lines, line, gap, filled = [], "", "", 0
    for piece in pieces.findall(text):
        if piece.isspace():
            gap = " " if line else ""
            continue
        columns = cell_width(piece)
        if line and filled + len(gap) + columns > width:
            lines.append(line)
            line, filled = piece, columns
        else:
            line, filled = line + gap + piece, filled + len(gap) + columns
        gap = ""
    return [*lines, line]


def text_table(rows: Iterable[Row], right: Iterable[int] = (), rule_after: Iterable[int] = (0,)) -> str:
    """Columns two spaces apart; the columns in `right` are aligned right, a rule follows the rows in
    `rule_after`.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    to_the_right = set(right)
    widths = [max(cell_width(row[column]) for row in cells) for column in range(len(cells[0]))]
    rule, lines = "─" * (sum(widths) + 2 * (len(widths) - 1)), []
    ruled = set(rule_after)
    for number, row in enumerate(cells):
        padded = (
            " " * (width - cell_width(cell)) + cell
            if column in to_the_right
            else cell + " " * (width - cell_width(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(padded).rstrip())
        if number in ruled:
            lines.append(rule)
    return "\n".join(lines)


def html_table(rows: Sequence[Row], right: Iterable[int] = (), caption: str = "") -> str:
    """The same as an HTML table: the first row is the head; every cell is escaped."""
    import html

    to_the_right = set(right)

    def side(column: int) -> str:
        return "right" if column in to_the_right else "left"

    def line(row: Row, tag: str) -> str:
        cells = (
            f'<{tag} style="text-align:{side(column)}">{html.escape(shown(cell))}</{tag}>'
            for column, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    title = f"<caption>{html.escape(shown(caption))}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows[1:])
    return f"<table>{title}<thead>{line(rows[0], 'th')}</thead><tbody>{body}</tbody></table>"
