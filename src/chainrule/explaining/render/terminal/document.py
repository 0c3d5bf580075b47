"""The report in the terminal: aligned text, half-block colour maps, one step per key where it is asked
for.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import numpy as np

from chainrule.base.languages import COLON, COMMA, Say, mark
from chainrule.base.numbers import short
from chainrule.base.scalars import check_choice, check_flag
from chainrule.base.tables import cell_width, text_table, wrapped
from chainrule.explaining.blocks.kinds import (
    Bars,
    Block,
    Card,
    Cell,
    Chain,
    ChainNode,
    Code,
    Curve,
    Finding,
    Formula,
    Listing,
    Maps,
    Matrix,
    Outline,
    Paragraph,
    Strip,
    Table,
    Worked,
)
from chainrule.explaining.blocks.printed import ends_in_numbers
from chainrule.explaining.render.terminal.wrapping import LEAST_COLUMN, fitted_table
from chainrule.explaining.words.catalogues import PAGE
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box, Sign, spoken

SIGNS = {"good": "✓", "note": "·", "warning": "!", "bad": "✗"}
SHADES = " ░▒▓█"
LEAST_WIDTH = 60
LEADS = "definition", "shape"  # readings of formulas that are said before them
PANELS = 4  # of a picture, side by side as far as the line holds


def render(outline: Outline, *, width: int | None = None, colour: bool = False) -> str:
    """The report as text.  outline: laid out with linear=True.  colour: 256 colours for maps."""
    writer = TerminalWriter(outline.language, _width(width), colour)
    lines = [writer.heading(outline.title, "═")]
    with spoken(outline.language):
        for section in outline.sections:
            lines += ["", writer.heading(section.title, "─"), *writer.blocks(section.blocks)]
    return "\n".join(lines)


def show(outline: Outline, *, step: bool | str = False, stream: TextIO | None = None) -> None:
    """Print the report; step=True: one step per key, Enter for the next, p back, q leaves; "B3": that step
    alone.

    Raises ValueError for a step that there is not.
    """
    out = sys.stdout if stream is None else stream
    colour = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    if not isinstance(step, str):
        step = check_flag("step", step)
    if not step:
        _print(render(outline, colour=colour), out)
        return
    with spoken(outline.language):
        _show_steps(outline, step, TerminalWriter(outline.language, _width(None), colour), out)


def _show_steps(outline: Outline, step: bool | str, writer: TerminalWriter, out: TextIO) -> None:
    cards = [block for section in outline.sections for block in section.blocks if isinstance(block, Card)]
    names = [card.step for card in cards]
    if isinstance(step, str):
        check_choice("step", step, names, meaning=f"one of {', '.join(names)}")
        _print("\n".join(writer.block(cards[names.index(step)])), out)
        return
    if not (out.isatty() and sys.stdin.isatty()):
        _print("\n".join(line for card in cards for line in writer.block(card)), out)
        return
    _steps(cards, names, writer, out)


def _print(text: str, out: TextIO) -> None:
    """The text; what the stream's encoding has no sign for as "?"."""
    encoding = getattr(out, "encoding", None)
    print(text.encode(encoding, "replace").decode(encoding) if encoding else text, file=out)


def _steps(cards: list[Card], names: list[str], writer: TerminalWriter, out: TextIO) -> None:
    at, keys = 0, writer.line(PAGE["keys"])
    while 0 <= at < len(cards):
        _print("\n".join(writer.block(cards[at])), out)
        try:
            key = input(f"[{at + 1}/{len(cards)}] {keys} · {names[0]} … > ").strip()
        except (EOFError, KeyboardInterrupt):
            print(file=out)
            return
        if key.lower() == "q":
            return
        if key.upper() in names:
            at = names.index(key.upper())
        elif key.isdigit() and 1 <= int(key) <= len(cards):
            at = int(key) - 1
        else:
            at = max(at - 1, 0) if key.lower() == "p" else at + 1


def _width(width: int | None) -> int:
    return max(width or shutil.get_terminal_size((100, 24)).columns, LEAST_WIDTH)


class TerminalWriter:
    """Blocks as lines in the report's languages."""

    def __init__(self, language: str, width: int, colour: bool) -> None:
        self.languages = language.split("+")
        self.colon, self.comma = mark(COLON, language), mark(COMMA, language)
        self.width, self.colour = width, colour

    def texts(self, say: Say) -> list[str]:
        """The text in every language, once where they are the same."""
        texts = dict.fromkeys(getattr(say, language).replace("`", "") for language in self.languages)
        return [text for text in texts if text]

    def line(self, cell: Cell) -> str:
        """A cell, a text or a formula on one line."""
        if isinstance(cell, Box):
            return render_text.render(cell)
        return " ".join(self.texts(cell)) if isinstance(cell, Say) else cell

    def heading(self, title: Say, rule: str) -> str:
        lines = wrapped(self.line(title), self.width)
        return "\n".join([*lines, rule * max(map(cell_width, lines))])

    def blocks(self, blocks: tuple[Block, ...]) -> list[str]:
        return [line for block in blocks for line in self.block(block)]

    def block(self, block: Block) -> list[str]:
        """The lines of a block."""
        writers: dict[type[Block], Callable[[Any], Iterator[str]]] = {
            Paragraph: self._paragraph, Formula: self._formula, Worked: self._worked, Table: self._table,
            Matrix: self._matrix, Maps: self._maps, Bars: self._bars, Curve: self._curve, Chain: self._chain,
            Listing: self._listing, Code: self._code, Strip: self._strip, Finding: self._finding,
            Card: self._card,
        }  # fmt: skip
        return list(writers[type(block)](block))

    def _wrapped(self, text: str, indent: str = "") -> Iterator[str]:
        yield from (indent + line for line in wrapped(text, self.width - cell_width(indent)))

    def _paragraph(self, block: Paragraph) -> Iterator[str]:
        for text in self.texts(block.text):
            yield from self._wrapped(text)

    def _formula(self, block: Formula) -> Iterator[str]:
        tag = f"    [{block.tag}]" if block.tag else ""
        note = f"    {self.line(block.note)}" if block.note is not None else ""
        lead = "  │ " if block.reading == "boxed" else "    "
        if block.reading in LEADS:
            lead = f"      {self.line(PAGE[f'reading.{block.reading}'])} "
        yield from self._formula_lines(f"{render_text.render(block.box)}{tag}{note}", lead)

    def _worked(self, block: Worked) -> Iterator[str]:
        if block.why is not None:
            yield from self._wrapped(self.line(block.why + COLON).rstrip(), "    ")
        left, symbols, numbers = map(render_text.render, (block.left, block.symbols, block.numbers))
        first, second, last = block.signs
        yield from self._formula_lines(symbols, f"    {left} {first} ")
        indent = f"    {' ' * cell_width(left)} {second} "
        result = "" if ends_in_numbers(block) else f" {last} {block.result}"
        yield from self._formula_lines(f"{numbers}{result}", indent)
        if block.terms:
            most = max(len(factors) for _, factors, _ in block.terms)
            rows = [
                [self._term(what, factors), *factors, *[""] * (most - len(factors)), value]
                if what != Sign("⋯")
                else [self._term(what, factors), *[""] * most, value]
                for what, factors, value in block.terms
            ]
            rows.append([block.sum_sign, *[""] * most, block.total])
            right = range(1, most + 2)
            yield from (f"      {line}" for line in text_table(rows, right, (len(rows) - 2,)).split("\n"))

    def _term(self, what: Box, factors: tuple[str, ...]) -> str:
        """A term; of what is left of a long sum how many there are."""
        if what != Sign("⋯"):
            return render_text.render(what)
        return self.line(PAGE.say("more_terms", count=factors[0][1:]))

    def _formula_lines(self, text: str, indent: str) -> Iterator[str]:
        """A formula in lines that fit, broken where it has spaces."""
        first, *others = wrapped(text, max(self.width - cell_width(indent), LEAST_COLUMN))
        yield indent + first
        yield from (f"{' ' * cell_width(indent)}  {line}" for line in others)

    def _table(self, block: Table) -> Iterator[str]:
        if block.caption is not None:
            yield from (f"  {text}" for text in self.texts(block.caption))
        rows = [[self.line(cell) for cell in row] for row in (block.head, *block.rows)]
        columns = enumerate(zip(*block.rows, strict=True))
        text = [at for at, column in columns if any(_is_text(cell) for cell in column)]
        if block.levels:
            signs = ["", *("" if level is None else SIGNS[level] for level in block.levels)]
            rows = [[sign, *row] for sign, row in zip(signs, rows, strict=True)]
        shift = 1 if block.levels else 0
        right = [column + shift for column in block.right]
        table = fitted_table(
            rows, self.width - 2, right, [column + shift for column in text], self.colon
        )
        yield from (f"  {line}".rstrip() for line in table.split("\n"))

    def _matrix(self, block: Matrix) -> Iterator[str]:
        rows = block.texts
        if block.column_gap is not None:
            rows = [[*row[: block.column_gap], "⋯", *row[block.column_gap :]] for row in rows]
        if block.row_gap is not None:
            rows.insert(block.row_gap, ["⋮"] * len(rows[0]))
        least, mean, most, norm = map(short, block.stats)
        average = self.line(PAGE["stat.mean"])
        parts = (f"{least} … {most}", f"{average} {mean}", f"‖·‖ {norm}")
        told = f"  {self.comma.join(parts)}" if any(block.stats) else ""
        yield f"    {render_text.render(block.symbol)} {block.shape[0]}×{block.shape[1]}{told}"
        if rows:
            yield from (f"      {line}" for line in text_table(rows, range(len(rows[0])), ()).split("\n"))

    def _maps(self, block: Maps) -> Iterator[str]:
        more = f"{self.comma}+{block.left_out}" if block.left_out else ""
        scale = self.line(PAGE.say("shades", most=short(block.scale)))
        yield from self._wrapped(f"{self.line(block.title)}   ({scale}){more}", "    ")
        shown = block.panels[:PANELS]
        room = (self.width - 7) // (1 if self.colour else 2)  # columns of a map; the others are left out
        drawn = [self._panel(panel.values[:, :room], block.scale) for panel in shown]
        drawn = [
            [f"{line}…" for line in lines] if panel.values.shape[1] > room else lines
            for panel, lines in zip(shown, drawn, strict=True)
        ]
        columns = [min(panel.values.shape[1], room) for panel in shown]
        each = columns if self.colour else [2 * count for count in columns]
        each = [max(count, cell_width(panel.title)) for count, panel in zip(each, shown, strict=True)]
        keep = 1
        while keep < len(shown) and sum(each[: keep + 1]) + 3 * keep + 6 <= self.width:
            keep += 1
        titles = [p.title.ljust(w)[: max(w, 1)] for p, w in zip(shown[:keep], each, strict=False)]
        yield "      " + "   ".join(titles)
        for number in range(max((len(lines) for lines in drawn[:keep]), default=0)):
            parts = [
                lines[number] if number < len(lines) else " " * w
                for lines, w in zip(drawn[:keep], each, strict=False)
            ]
            yield "      " + "   ".join(parts)
        for panel in shown[:1]:
            kinds = {m.kind: self.line(PAGE[f"cell.{m.kind}"]) for m in panel.marks}
            marks = [f"({m.row},{m.column}) {kinds[m.kind]} {m.text}".rstrip() for m in panel.marks[:8]]
            if marks:
                more = f"{self.comma}…" if len(panel.marks) > 8 else ""
                yield from self._wrapped(self.comma.join(marks) + more, "      ")

    def _panel(self, values: Any, scale: float) -> list[str]:
        """A map: two rows of pixels a line in colour, else a sign and a shade for every pixel."""
        share = np.nan_to_num(values / scale) if scale else np.zeros_like(values)
        if not self.colour:
            return ["".join(_shade(float(value)) for value in row) for row in share]
        lines = []
        for top in range(0, len(share), 2):
            below = share[top + 1] if top + 1 < len(share) else np.zeros(share.shape[1])
            cells = (
                f"\x1b[38;5;{_code(float(a))};48;5;{_code(float(b))}m▀"
                for a, b in zip(share[top], below, strict=True)
            )
            lines.append("".join(cells) + "\x1b[0m")
        return lines

    def _bars(self, block: Bars) -> Iterator[str]:
        more = f"{self.comma}+{block.left_out}" if block.left_out else ""
        yield f"    {self.line(block.title)}{more}"
        values = block.values[:, 0] if block.values.size else np.zeros(0)
        scale = float(np.abs(values).max(initial=0.0)) or 1.0
        names = max((cell_width(label) for label in block.labels), default=0)
        for label, value in zip(block.labels, values, strict=True):
            filled = "█" * round(12 * abs(value) / scale)
            bar = f"{filled if value < 0 else '':>12}│{filled if value >= 0 else '':<12}"
            yield f"      {label}{' ' * (names - cell_width(label))}  {bar}  {short(float(value))}"

    def _curve(self, block: Curve) -> Iterator[str]:
        yield f"    {self.line(block.title)}"
        picks = np.linspace(0, len(block.z) - 1, 9).round().astype(int)
        rows = [["z", *(short(float(block.z[i]), 3) for i in picks)]]
        rows.append(["f", *(short(float(block.f[i]), 3) for i in picks)])
        rows.append(["f′", *(short(float(block.df[i]), 3) for i in picks)])
        yield from (f"      {line}" for line in text_table(rows, range(1, 10), ()).split("\n"))
        most = max(float(block.counts.max(initial=0.0)), 1.0)
        levels = (SHADES[math.ceil(4 * float(count) / most)] for count in block.counts)
        yield f"      z: {''.join(levels)}"

    def _chain(self, block: Chain) -> Iterator[str]:
        for node in block.nodes:
            yield from self._node(node, "  ")

    def _node(self, node: ChainNode, indent: str) -> Iterator[str]:
        times = f" ×{node.times}" if node.times > 1 else ""
        yield f"{indent}│"
        yield f"{indent}┌ {node.name}{times}  {node.title}  → {node.shape}"
        for number, branch in enumerate(node.branches, 1):
            way = PAGE.say("chain_branch", number=number)
            if node.reads:
                way = PAGE.say("chain_from", names=", ".join(node.reads[number - 1]))
            yield f"{indent}├─ {self.line(way if branch else way + PAGE.say('chain_empty'))}"
            for inner in branch:
                yield from self._node(inner, indent + "│   ")
        if node.branches and not node.reads:
            yield f"{indent}└ {self.line(PAGE[f'join.{node.join}'])}"

    def _listing(self, block: Listing) -> Iterator[str]:
        for number, item in enumerate(block.items, 1):
            for text in self.texts(item):
                yield from self._wrapped(f"{number}. {text}" if block.ordered else f"- {text}", "  ")

    def _code(self, block: Code) -> Iterator[str]:
        yield from (f"    {line}" for line in block.text.split("\n"))

    def _strip(self, block: Strip) -> Iterator[str]:
        for badge in block.badges:
            yield f"  {SIGNS[badge.level]} {self.line(badge.label)}{self.colon}{self.line(badge.value)}"

    def _finding(self, block: Finding) -> Iterator[str]:
        for text in self.texts(block.what):
            yield from self._wrapped(f"{SIGNS[block.level]} {text}", "  ")
        for say in (block.why, block.cure):
            for text in self.texts(say):
                yield from self._wrapped(text, "      ")

    def _card(self, block: Card) -> Iterator[str]:
        reference = f"   [{block.reference}]" if block.reference else ""
        yield ""
        yield f"▌ {self.line(block.title)}{reference}"
        yield f"  {block.head}"
        yield from self.blocks(block.blocks)


def _is_text(cell: Cell) -> bool:
    """Whether a cell may be broken into lines."""
    return isinstance(cell, Say) or (isinstance(cell, str) and " " in cell)


def _shade(share: float) -> str:
    """A sign and a shade; ±1 are the ends of the scale."""
    level = min(4, math.ceil(4 * abs(share) - 1e-9))
    return ("−" if share < 0 else "+" if share > 0 else " ") + SHADES[level]


def _code(share: float) -> int:
    """The colour of a value between −1 (blue) and 1 (orange) among the 256 of a terminal."""
    level = min(5, round(5 * abs(share)))
    if share < 0:
        return 16 + 36 * (5 - level) + 6 * (5 - level // 2) + 5
    return 16 + 36 * 5 + 6 * (5 - level // 2) + (5 - level)
