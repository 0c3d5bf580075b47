"""Blocks as LaTeX for a page: what article and fragment share, and beamer's frames are made of.

With `pictures` False, in a fragment, only amsmath is used: maps, bars and curves are numbers then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from chainrule.base.norms import norm
from chainrule.base.numbers import equality, short
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Cell,
    Chain,
    Code,
    Curve,
    Finding,
    Formula,
    Listing,
    Maps,
    Matrix,
    Paragraph,
    Section,
    Strip,
    Table,
    Worked,
)
from chainrule.explaining.render.latex import chain as latex_chain
from chainrule.explaining.render.latex import pictures as latex_pictures
from chainrule.explaining.render.latex import text as latex_text
from chainrule.explaining.render.latex.math import RELATIONS, LatexFormulas, number, width
from chainrule.explaining.render.latex.tables import BROAD, Columns
from chainrule.explaining.render.latex.text import LatexVoice
from chainrule.explaining.words.catalogues import PAGE
from chainrule.formulas.printing.boxes import Box, Word

LINES = 28  # of a table before it is continued: a tabular is not broken across pages
_NEXT = r"\par "  # between a sentence and the same in the other language
MOST = 8  # rows or columns of a map in a fragment; of a larger one
LABELS = 30  # of one picture of bars; more are continued in a picture below
_NARROW = 7  # characters of a number; of broader ones there are fewer in a line
EDGE = 3  # at either end are shown


@dataclass
class LatexWriter:
    """Writes blocks in the language of `voice`; `formulas` remembers the macros in use.

    broad: characters of a line of a table; a broader one has broken lines.
    """

    voice: LatexVoice
    pictures: bool = True
    broad: int = BROAD
    formulas: LatexFormulas = field(default_factory=LatexFormulas)

    def block(self, block: Block) -> str:
        """The LaTeX of any block but Card and Section, whose headings depend on the form."""
        match block:
            case Paragraph(text, quiet):
                body = "\n\n".join(self.voice.texts(text))
                return rf"{{\small {body}\par}}" if quiet else body
            case Formula():
                return self.formula(block)
            case Worked():
                return "\n".join([*self.why(block), rf"\[ {self.aligned(block)} \]", *self.terms(block)])
            case Table():
                return self.table(block)
            case Matrix():
                return self.matrix(block)
            case Maps() | Bars() | Curve() | Chain():
                return self.picture(block) if self.pictures else self.numbers(block)
            case Listing(items, ordered):
                kind = "enumerate" if ordered else "itemize"
                entries = (rf"\item {_NEXT.join(self.voice.texts(item))}" for item in items)
                return "\n".join([rf"\begin{{{kind}}}", *entries, rf"\end{{{kind}}}"]) if items else ""
            case Code(source):
                lines = [latex_text.code(line, self.voice.chinese) for line in source.rstrip().split("\n")]
                return r"{\par\small\raggedright\noindent " + r"\\ ".join(lines) + r"\par}"
            case Strip(badges):
                levels = PAGE.within("printed_level")
                rows = tuple((badge.label, badge.value, levels[badge.level]) for badge in badges)
                return self.table(Table((), rows))
            case Finding():
                return self.finding(block)
            case Card() | Section():
                raise TypeError("the headings of cards and sections are written by the form")
        raise TypeError(f"no LaTeX for {type(block).__name__}")

    @property
    def room(self) -> int:
        """Characters of a formula in a line: they are broader than those of a text."""
        return self.broad * 3 // 4

    # -- formulas --------------------------------------------------------------------------------------------

    def formula(self, block: Formula) -> str:
        """A displayed formula with where a text derives it, and the sentence beside it below."""
        room = self.room - (16 if block.tag else 0)
        latex = self.formulas.fitted(block.box, room)
        if block.reading == "shape":
            return rf"{{\small \[ {latex} \]}}"
        if block.reading == "boxed":
            latex = rf"\boxed{{{latex}}}"
        tag = rf" \tag*{{\footnotesize {self.voice.inline(block.tag)}}}" if block.tag else ""
        note = ""
        if block.note is not None:
            note = "\n" + rf"{{\small\centering {self.voice.inline(block.note)}\par}}"
        return rf"\[ {latex}{tag} \]{note}"

    def why(self, block: Worked) -> list[str]:
        """The line above a worked element."""
        if block.why is None:
            return []
        return [rf"\noindent\emph{{{self.voice.inline(block.why)}}}{self.voice.colon.rstrip()}"]

    def lines(self, block: Worked) -> list[tuple[str, list[str]]]:
        """(sign, what follows it, in as many lines as it takes) of left = symbols = numbers = result."""
        room = self.room - width(block.left)
        bodies = (
            self.formulas.broken(block.symbols, room), self.formulas.broken(block.numbers, room),
            [number(block.result)],
        )  # fmt: skip
        sides = [(RELATIONS[sign], body) for sign, body in zip(block.signs, bodies, strict=True)]
        if sides[0][1] == [self.formulas.latex(block.left)]:
            del sides[0]
        return [line for place, line in enumerate(sides) if place == 0 or line[1] != sides[place - 1][1]]

    def aligned(self, block: Worked, covers: Sequence[str] = ("{}",)) -> str:
        """left = symbols = numbers = result, a line each.

        covers: for each line what it stands in, such as "\\uncover<2->{}"; the last is for all that follow.
        """
        covered = [*covers, *[covers[-1]] * 3]
        lines = [
            "&" + (f"{cover[:-1]}{start} {body}}}" if cover != "{}" else f"{start} {body}")
            for (sign, bodies), cover in zip(self.lines(block), covered, strict=False)
            for start, body in zip((sign, *[r"\quad"] * len(bodies)), bodies, strict=False)
        ]
        left = self.formulas.latex(block.left)
        body = rf"\begin{{aligned}} {left} " + r" \\ ".join(lines) + r" \end{aligned}"
        widest = max(width(block.symbols), width(block.numbers)) + width(block.left)
        return rf"\bpfit{{$\displaystyle {body}$}}" if widest > self.room else body

    def terms(self, block: Worked) -> list[str]:
        """The table of products, which add up exactly as printed."""
        if not block.terms:
            return []
        most = max(len(factors) for _, factors, _ in block.terms)
        rows = [
            " & ".join(
                [self.formulas.latex(what), *map(number, factors), *[""] * (most - len(factors)), product]
            )
            for what, factors, product in (
                (what, factors, number(last)) for what, factors, last in block.terms
            )
        ]
        total = " & ".join([r"\sum" if block.adds_up else r"\sum \approx", *[""] * most, number(block.total)])
        body = r" \\ ".join(rows) + r" \\ \hline " + total
        array = rf"\begin{{array}}{{l{'r' * (most + 1)}}} {body} \end{{array}}"
        return [rf"{{\small \[ \bpfit{{${array}$}} \]}}"]

    # -- tables ----------------------------------------------------------------------------------------------

    def cell(self, cell: Cell) -> str:
        """A cell of a table."""
        return f"${self.formulas.latex(cell)}$" if isinstance(cell, Box) else self.voice.inline(cell)

    def table(self, block: Table) -> str:
        """A table; a long one continued, a broad one with lines broken in its widest columns."""
        count = max(map(len, (block.head, *block.rows)), default=0)
        if not count:
            return ""
        columns = Columns.of(block, self.voice, self.broad)
        end = r"\tabularnewline" if columns.broken else r"\\"
        head = [rf"{self._line(block.head, columns, None)} {end} \hline"] if block.head else []
        parts = []
        for some in columns.portions(block, LINES):
            body = [f"{self._line(row, columns, level)} {end}" for row, level in some]
            tabular = [rf"\begin{{tabular}}{{{columns.letters}}}", *head, *body, r"\end{tabular}"]
            parts.append("\\bpfit{" + "\n".join(tabular) + "}")
        caption = (
            rf"{{\small {self.voice.inline(block.caption)}\par}}\nopagebreak" if block.caption else ""
        )
        return "\n".join([r"\begin{center}\small", caption, "\n\n".join(parts), r"\end{center}"])

    def _line(self, row: Sequence[Cell], columns: Columns, level: str | None) -> str:
        marked = level in ("warning", "bad")
        cells = [rf"\textbf{{{self.cell(cell)}}}" if marked else self.cell(cell) for cell in row]
        return " & ".join(
            rf"\raggedright {cell}" if at in columns.broken and cell else cell
            for at, cell in enumerate(cells)
        )

    def matrix(self, block: Matrix) -> str:
        """A small matrix with its numbers, or the corners of a larger one with its statistics below."""
        symbol = self.formulas.latex(block.symbol)
        body = self.array(block.texts, block.row_gap, block.column_gap)
        rows, columns = block.shape
        whole = rf"\quad ({rows}\times {columns})" if block.values.shape != block.shape else ""
        lines = [rf"\[ \bpfit{{$\displaystyle {symbol} {RELATIONS[block.sign]} {body}{whole}$}} \]"]
        if block.row_gap is not None or block.column_gap is not None:
            low, mean, high, root = (number(short(value)) for value in block.stats)
            near = RELATIONS[equality(short(block.stats[-1]), block.stats[-1])]
            figures = rf"\min {low},\ \max {high},\ \text{{mean }}{mean},\ \|\cdot\| {near} {root}"
            lines.append(rf"{{\small\centering ${figures}$\par}}")
        return "\n".join(lines)

    def array(self, texts: Sequence[Sequence[str]], row_gap: int | None, column_gap: int | None) -> str:
        """A pmatrix; \\cdots behind `column_gap` columns, a line of \\vdots behind `row_gap` rows."""

        def line(cells: list[str], dots: str) -> str:
            cells = cells if column_gap is None else [*cells[:column_gap], dots, *cells[column_gap:]]
            return " & ".join(cells)

        rows = [line(list(map(number, row)), r"\cdots") for row in texts]
        if row_gap is not None:
            rows.insert(row_gap, line([r"\vdots"] * len(texts[0]), r"\ddots"))
        return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"

    # -- pictures --------------------------------------------------------------------------------------------

    def picture(self, block: Maps | Bars | Curve | Chain) -> str:
        """A drawing with its title."""
        match block:
            case Maps():
                drawn = latex_pictures.maps(block, self.formulas.latex(block.symbol), self.voice)
            case Bars():
                largest = float(np.abs(np.nan_to_num(block.values)).max(initial=0.0))
                parts = (
                    latex_pictures.bars(part, self.voice, largest) for part in bars_in_parts(block, LABELS)
                )
                drawn = "\n\n".join(rf"\bpfit{{{part}}}" for part in parts)
            case Curve():
                drawn = rf"\bpfit{{{latex_pictures.curve(block, self.voice)}}}"
            case Chain():
                return "\n".join([r"\begin{center}", latex_chain.chain(block, self.voice), r"\end{center}"])
        return "\n".join([r"\begin{center}", self.title(block), drawn, r"\end{center}"])

    def title(self, block: Maps | Bars | Curve) -> str:
        """The title of a picture, and how much of it is left out."""
        title = self.voice.inline(block.title)
        if isinstance(block, Maps | Bars):
            title = rf"${self.formulas.latex(block.symbol)}$\quad {title}"
            if block.left_out:
                more = self.voice.inline(PAGE.say("smaller_not_printed", count=block.left_out))
                title += rf"\quad ({more})"
        return rf"{{\small {title}\par}}\nopagebreak"

    def numbers(self, block: Maps | Bars | Curve | Chain) -> str:
        """What stands for a picture where there are no pictures."""
        match block:
            case Maps():
                shown = [self._corner(block, place) for place in range(len(block.panels))]
                return "\n".join([r"{\centering", self.title(block) + "}", *shown])
            case Bars():
                head: tuple[Cell, ...] = ("", *(block.groups or (block.symbol,)))
                rows = tuple(
                    (label, *(short(float(value)) for value in line))
                    for label, line in zip(block.labels, block.values, strict=True)
                )
                right = tuple(range(1, len(rows[0]))) if rows else ()
                return self.table(Table(head, rows, right, caption=block.title))
            case Curve():
                rows = tuple(
                    (name, *(short(float(np.interp(at, block.z, y))) for y in (block.z, block.f, block.df)))
                    for name, at in block.marks
                )
                head = ("", Word("z"), Word("f"), Word("f'"))
                return self.table(Table(head, rows, (1, 2, 3), caption=block.title)) if rows else ""
            case Chain():
                names = [rf"\texttt{{{self.voice.inline(node.name)}}}" for node in block.nodes]
                return r"{\raggedright\noindent " + r" $\to$ ".join(names) + r"\par}"

    def _corner(self, block: Maps, place: int) -> str:
        panel = block.panels[place]
        rows, columns = panel.values.shape
        sizes = (rows, columns)
        printed = max((len(short(float(value))) for value in panel.values.flat), default=0)
        edge = EDGE if printed <= _NARROW else EDGE - 1
        most = (MOST, min(MOST, max(self.broad // (printed + 3), 2 * edge)))
        cut = [n > limit for n, limit in zip(sizes, most, strict=True)]
        kept = [
            [*range(edge), *range(n - edge, n)] if far else [*range(n)]
            for n, far in zip(sizes, cut, strict=True)
        ]
        gaps = [edge if far else None for far in cut]
        title = rf"\text{{{self.voice.inline(panel.title)}}}:\quad " if panel.title else ""
        size = norm(np.nan_to_num(panel.values))
        about_size = f"{RELATIONS[equality(short(size), size)]} {number(short(size))}"
        texts = [[short(float(value)) for value in row] for row in panel.values[np.ix_(*kept)]]
        body = self.array(texts, *gaps)
        about = rf"\quad ({rows}\times {columns},\ \|\cdot\| {about_size})"
        return rf"\[ \bpfit{{$\displaystyle {title}{body} {about}$}} \]"

    # -- the doctor ------------------------------------------------------------------------------------------

    def finding(self, block: Finding) -> str:
        """What was found, why, and what to do."""
        level, what = self.voice.inline(PAGE[f"printed_level.{block.level}"]), self.voice.inline(block.what)
        why, cure = (_NEXT.join(self.voice.texts(say)) for say in (block.why, block.cure))
        head = f"{level}{self.voice.colon}{what}"
        parts = [rf"\noindent\textbf{{{head}}}\par", why, rf"{{\small $\to$ {cure}\par}}"]
        return "\n\n".join(parts)


def bars_in_parts(block: Bars, most: int) -> list[Bars]:
    """The labels in portions of at most `most`."""
    starts = range(0, max(len(block.labels), 1), most)
    return [
        replace(block, labels=block.labels[at : at + most], values=block.values[at : at + most])
        for at in starts
    ]


def heading(voice: LatexVoice, card: Card) -> str:
    """B5 dense1."""
    step = latex_text.plain(card.step, voice.chinese)
    return rf"{step}\enspace {voice.inline(card.what)}" if step else voice.inline(card.what)
