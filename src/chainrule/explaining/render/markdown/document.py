"""The report as Markdown: `render(outline, folder)` gives the text and the pictures beside it.

For readers on GitHub, in Jupyter, in an editor: $$…$$ for formulas, pipe tables, <details> for what is
folded, pictures as SVG files.  A plain CommonMark reader shows the same with formulas in LaTeX.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from urllib.parse import quote

from chainrule.base.languages import Say
from chainrule.base.numbers import short
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
    Outline,
    Paragraph,
    Section,
    Strip,
    Table,
    Worked,
)
from chainrule.explaining.blocks.printed import ends_in_numbers
from chainrule.explaining.render import markup
from chainrule.explaining.render.latex.math import RELATIONS, number
from chainrule.explaining.render.markdown import text
from chainrule.explaining.render.markdown.text import MarkdownVoice, Plain
from chainrule.explaining.render.markup import Identifiers
from chainrule.explaining.render.svg import files as svg_files
from chainrule.explaining.words import page as words
from chainrule.explaining.words.catalogues import PAGE, SECTIONS
from chainrule.formulas.printing.boxes import spoken

ROOM = 110  # characters of a formula in a line of a page
INLINE = 180_000  # bytes of pictures within the text of a notebook, which is saved with every run of a cell


def render(outline: Outline, folder: str = "report_files") -> tuple[str, dict[str, str]]:
    """(the text, file name -> SVG): the text names its pictures as `folder`/name, relative to itself."""
    writer = MarkdownWriter(MarkdownVoice(outline.language), markup.Voice(outline.language), folder)
    return writer.outline(outline), writer.files


def inline(outline: Outline) -> str:
    """The text with its pictures inside, as data: addresses; those beyond `INLINE` bytes are only named."""
    writer = MarkdownWriter(MarkdownVoice(outline.language), markup.Voice(outline.language), None)
    return writer.outline(outline)


@dataclass
class MarkdownWriter:
    """Writes blocks.  folder: where the pictures are; None: in the text.  files: the pictures, by name."""

    voice: MarkdownVoice
    drawn: markup.Voice
    folder: str | None
    files: dict[str, str] = field(default_factory=dict)
    formulas: Plain = field(default_factory=Plain)
    identifiers: Identifiers = field(default_factory=Identifiers)
    spent: int = 0  # bytes of pictures in the text

    def outline(self, outline: Outline) -> str:
        """The whole text."""
        notation = f"{self.voice.inline(PAGE['notation'])}{self.voice.colon}{text.plain(outline.notation)}"
        parts = [f"# {self.voice.inline(outline.title)}", notation]
        with spoken(outline.language):
            parts += [self.block(section, 2) for section in outline.sections]
        return "\n\n".join(part for part in parts if part) + "\n"

    def block(self, block: Block, level: int = 2) -> str:
        """A block, without blank lines around it; level: of its heading."""
        match block:
            case Section(title, blocks):
                return self._headed(self.voice.inline(title), blocks, level)
            case Card():
                return self._card(block, level)
            case Formula():
                return self._formula(block)
            case Worked():
                return "\n\n".join(self._worked(block))
            case Table():
                return self._table(block)
            case Matrix():
                return self._matrix(block)
            case Maps() | Bars() | Curve() | Chain():
                return self._picture(block)
        return self._text(block)

    def _text(self, block: Block) -> str:
        inline, colon = self.voice.inline, self.voice.colon
        match block:
            case Paragraph(said):
                return "\n\n".join(map(text.line, self.voice.texts(said)))
            case Listing(items, ordered):
                marks = [f"{number}." if ordered else "-" for number in range(1, len(items) + 1)]
                return "\n".join(f"{mark} {inline(item)}" for mark, item in zip(marks, items, strict=True))
            case Code(source, language):
                runs = (len(run) for run in re.findall("`+", source))
                fence = "`" * max(3, 1 + max(runs, default=0))
                return f"{fence}{language}\n{source.rstrip()}\n{fence}"
            case Strip(badges):
                return "\n".join(
                    f"- {words.GLYPHS[badge.level]} {inline(badge.label)}{colon}**{inline(badge.value)}**"
                    for badge in badges
                )
            case Finding(level, what, why, cure):
                judged = inline(PAGE[f"level.{level}"])
                head = f"> **{words.GLYPHS[level]} {judged}{colon}{inline(what)}**"
                return f"{head}\n>\n> {inline(why)}\n>\n> {inline(PAGE['cure'])}{colon}{inline(cure)}"
        raise TypeError(f"no Markdown for {type(block).__name__}")

    def _headed(self, title: str, blocks: tuple[Block, ...], level: int) -> str:
        inner = (self.block(block, level + 1) for block in blocks)
        return "\n\n".join([f"{'#' * level} {title}", *filter(None, inner)])

    def _card(self, block: Card, level: int) -> str:
        reference = f" · {text.plain(block.reference)}" if block.reference else ""
        title = f"{'#' * level} {self.voice.inline(block.title)}"
        head = f"{text.line(block.head)}{reference}"
        inner = "\n\n".join(filter(None, (self.block(part, level + 1) for part in block.blocks)))
        return f"{title}\n\n{head}\n\n{self._folded(PAGE['show_card'], inner) if block.folded else inner}"

    def _folded(self, summary: Say, inner: str) -> str:
        said = escape(self.voice.bare(summary))
        return f"<details>\n<summary>{said}</summary>\n\n{inner}\n\n</details>"

    # -- formulas --------------------------------------------------------------------------------------------

    def _formula(self, block: Formula) -> str:
        """A displayed formula; before it what it is and where a text derives it, its note below.

        There is no \\tag: it holds ①, which KaTeX's fonts have not, and is cut off where a page is narrow.
        """
        latex = self.formulas.latex(block.box)
        latex = rf"\boxed{{{latex}}}" if block.reading == "boxed" else latex
        label = self.voice.inline(PAGE[f"reading.{block.reading}"]) if block.reading != "boxed" else ""
        before = " · ".join(filter(None, (label, text.plain(block.tag))))
        note = "" if block.note is None else self.voice.inline(block.note)
        return "\n\n".join(filter(None, (before and f"*{before}*", text.display(latex), note)))

    def _worked(self, block: Worked) -> list[str]:
        """left = symbols = numbers = result, a line each, and the products, which add up as printed."""
        colon = self.voice.colon.rstrip()
        why = [f"*{self.voice.inline(block.why)}{colon}*"] if block.why is not None else []
        signs = [RELATIONS[sign] for sign in block.signs]
        lines = [
            f"&{sign} " + r" \\ &\quad ".join(self.formulas.broken(box, ROOM))
            for sign, box in zip(signs, (block.symbols, block.numbers), strict=False)
        ]
        if not ends_in_numbers(block):
            lines.append(f"&{signs[-1]} {number(block.result)}")
        left = self.formulas.latex(block.left)
        body = " \\\\\n".join(dict.fromkeys(lines))
        paragraphs = [*why, text.display(f"\\begin{{aligned}}\n{left} {body}\n\\end{{aligned}}")]
        return [*paragraphs, self._terms(block)] if block.terms else paragraphs

    def _terms(self, block: Worked) -> str:
        most = max(len(factors) for _, factors, _ in block.terms)
        inline = self.voice.inline
        factors = [inline(PAGE["factors"]), *[""] * (most - 1)] if most else []
        head = [inline(PAGE["term"]), *factors, inline(PAGE["product"])]
        rows = [
            [
                text.in_line(self.formulas.latex(what)), *map(text.figure, factors),
                *[""] * (most - len(factors)), text.figure(product),
            ]
            for what, factors, product in block.terms
        ]  # fmt: skip
        rows.append(
            [f"{inline(PAGE['sum'])} {block.sum_sign}", *[""] * most, f"**{text.figure(block.total)}**"]
        )
        return _pipes(head, rows, range(1, most + 2))

    def _matrix(self, block: Matrix) -> str:
        """A matrix in parentheses, or its corners; below it what the whole is."""
        rows = [_gapped(list(map(number, row)), block.column_gap, r"\cdots") for row in block.texts]
        if block.row_gap is not None:
            dots = [r"\vdots"] * block.values.shape[1]
            rows.insert(block.row_gap, _gapped(dots, block.column_gap, r"\ddots"))
        body = " \\\\\n".join(" & ".join(row) for row in rows)
        symbol = f"{self.formulas.latex(block.symbol)} {RELATIONS[block.sign]}"
        latex = f"{symbol} \\begin{{pmatrix}}\n{body}\n\\end{{pmatrix}}"
        about = [self.voice.inline(PAGE.say("of_whole", rows=block.shape[0], columns=block.shape[1]))]
        if any(block.stats):
            named = zip(words.STATS, block.stats, strict=True)
            about += [f"{self.voice.inline(name)} {short(value)}" for name, value in named]
        return f"{text.display(latex)}\n\n{', '.join(about)}"

    # -- tables and pictures ---------------------------------------------------------------------------------

    def _table(self, block: Table) -> str:
        """A pipe table; rows of a level begin with its sign."""
        width = max(map(len, (block.head, *block.rows)), default=0)
        rows = [[self._cell(cell) for cell in row] + [""] * (width - len(row)) for row in block.rows]
        for row, level in zip(rows, block.levels, strict=False):
            row[0] = f"{words.GLYPHS[level]} {row[0]}" if level else row[0]
        head = [self._cell(cell) for cell in block.head] + [""] * (width - len(block.head))
        table = _pipes(head, rows, block.right) if width else ""
        if block.folded:
            return self._folded(block.caption or PAGE["show_table"], table)
        return f"**{self.voice.inline(block.caption)}**\n\n{table}" if block.caption else table

    def _cell(self, cell: Cell) -> str:
        return self.voice.cell(cell, self.formulas)

    def _picture(self, block: Maps | Bars | Curve | Chain) -> str:
        """The title, and the picture as a file or within the text."""
        title = SECTIONS["title.network"] if isinstance(block, Chain) else block.title
        symbol = f"{self._cell(block.symbol)} " if isinstance(block, Maps | Bars) else ""
        said = text.plain(self.voice.bare(title))
        drawing = svg_files.render(block, self.drawn)
        if self.folder is not None:
            name = self.identifiers.new(block.id or type(block).__name__.lower()) + ".svg"
            self.files[name] = drawing
            address = quote(f"{self.folder}/{name}")
        else:
            address = "data:image/svg+xml;base64," + base64.b64encode(drawing.encode()).decode("ascii")
            if self.spent + len(address) > INLINE:
                return f"*{self.voice.inline(PAGE['not_drawn'])}{self.voice.colon}{symbol}{said}*"
            self.spent += len(address)
        return f"{symbol}{self.voice.inline(title)}\n\n![{said}]({address})"


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """A table; cells are escaped already."""
    rule = ["--:" if column in right else ":--" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def _gapped(cells: list[str], gap: int | None, dots: str) -> list[str]:
    return cells if gap is None else [*cells[:gap], dots, *cells[gap:]]
