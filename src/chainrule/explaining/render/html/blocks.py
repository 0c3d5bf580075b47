"""Blocks as HTML: one method per kind, `BlockWriter(...).block(block)`; figures are in figures.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.base.languages import Say
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
from chainrule.explaining.blocks.printed import ends_in_numbers
from chainrule.explaining.render.html import figures
from chainrule.explaining.render.markup import (
    Identifiers,
    Voice,
    attributes,
    breakable_math,
    display_lines,
    escape,
    inline_math,
)
from chainrule.explaining.words import page as words
from chainrule.explaining.words.catalogues import PAGE
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box, Sign

_PICTURES = (Maps, Bars, Curve)  # stand beside what they show, where there is room
_MOST_TERMS = 9  # rows of a table of products that is not folded
_FITTING = 3  # columns of a table that a narrow window has room for


@dataclass(frozen=True)
class Steps:
    """The cards of a page in reading order: (step, layer, address)."""

    cards: tuple[tuple[str, str, str], ...]

    @property
    def layers(self) -> dict[str, str]:
        """From the name of a layer to the address of its first card."""
        return {layer: address for _, layer, address in reversed(self.cards) if layer}

    def neighbours(self, address: str) -> list[tuple[str, str, Say, str]]:
        """(address, step, what it is, sign) of the card before, of those of the same layer, and of the
        next.
        """
        number = next(n for n, card in enumerate(self.cards) if card[2] == address)
        _, layer, _ = self.cards[number]
        neighbours = []
        if number:
            neighbours.append((self.cards[number - 1], PAGE["step.before"], "←"))
        near = self.cards[max(number - 1, 0) : number + 2]
        neighbours += [
            (card, PAGE["step.same_layer"], "⇅")
            for card in self.cards
            if layer and card[1] == layer and card not in near
        ]
        if number + 1 < len(self.cards):
            neighbours.append((self.cards[number + 1], PAGE["step.after"], "→"))
        return [(card[2], card[0], what, sign) for card, what, sign in neighbours]


@dataclass
class BlockWriter:
    """Writes the blocks of one page.

    places: by id() of a section or card, its id in the page, given before anything is written, for links.
    tables: whether pictures have their numbers beside them.
    """

    voice: Voice
    identifiers: Identifiers
    places: Mapping[int, str]
    steps: Steps
    tables: bool = True

    def block(self, block: Block, level: int = 2) -> str:
        """The HTML of a block; level: of the heading that a section or card in it may have."""
        identifier = self.places.get(id(block), "")
        if block.id and not identifier:
            identifier = self.identifiers.new(block.id)
        figure = self._figure(block, identifier)
        if figure is not None:
            return figure
        match block:
            case Paragraph(text, quiet):
                inner = self.voice.paragraphs(text, "quiet" if quiet else "")
                return f"<div{attributes(id=identifier)}>{inner}</div>" if identifier else inner
            case Formula():
                return self._formula(block, identifier)
            case Worked():
                return self._worked(block, identifier)
            case Table():
                return self._table(block, identifier)
            case Listing(items, ordered):
                tag = "ol" if ordered else "ul"
                lines = "".join(f"<li>{self.voice.inline(item)}</li>" for item in items)
                return f"<{tag}{attributes(id=identifier)}>{lines}</{tag}>"
            case Code(text, language):
                head = attributes(class_="code", id=identifier, data_language=language, tabindex=0)
                return f"<pre{head}><code>{escape(text)}</code></pre>"
            case Strip():
                return self._strip(block, identifier)
            case Finding():
                return self._finding(block, identifier)
            case Card():
                return self._card(block, identifier, level)
            case Section():
                return self._section(block, identifier, level)
        raise TypeError(f"no HTML for the block {type(block).__name__}")

    def _figure(self, block: Block, identifier: str) -> str | None:
        """The HTML of a block of numbers."""
        match block:
            case Matrix():
                return figures.matrix(block, self.voice, identifier)
            case Maps():
                return figures.maps(block, self.voice, identifier, self.tables)
            case Bars():
                return figures.bars(block, self.voice, identifier)
            case Curve():
                return figures.curve(block, self.voice, identifier, self.tables)
            case Chain():
                return figures.chain(block, self.voice, identifier, self.steps.layers)
        return None

    # -- formulas --------------------------------------------------------------------------------------------

    def _formula(self, block: Formula, identifier: str) -> str:
        """A label, the formula, where a text derives it; a note below."""
        label = f'<span class="label">{self.voice.inline(PAGE[f"reading.{block.reading}"])}</span>'
        formula = display_lines(block.box)
        tag = f'<span class="tag">{escape(block.tag)}</span>' if block.tag else ""
        note = self.voice.paragraphs(block.note, "note") if block.note else ""
        head = attributes(class_=f"formula {block.reading}", id=identifier)
        return (
            f'<div{head}>{label}<div class="box"><div class="scroll">{formula}</div>{tag}</div>{note}</div>'
        )

    def _worked(self, block: Worked, identifier: str) -> str:
        """left = symbols = numbers = result, line by line, and the table of the products."""
        label = f'<span class="label">{self.voice.inline(PAGE["reading.element"])}</span>'
        why = f'<span class="why">{self.voice.inline(block.why)}</span>' if block.why else ""
        boxes = (block.symbols,) if ends_in_numbers(block) else (block.symbols, block.numbers)
        parts = [*map(breakable_math, boxes), f"<b>{escape(block.result)}</b>"]
        lines = "".join(
            f'<span class="sign">{sign}</span><div class="line">{part}</div>'
            for sign, part in zip(block.signs, parts, strict=False)
        )
        equation = f'<div class="equation"><div class="left">{inline_math(block.left)}</div>{lines}</div>'
        head = attributes(
            class_="worked", id=identifier, data_quantity=block.quantity,
            data_index=",".join(map(str, block.index)),
        )  # fmt: skip
        return f"<div{head}>{label}{why}{equation}{self._terms(block)}</div>"

    def _terms(self, block: Worked) -> str:
        """The products, which add up exactly as printed; a bar beside each shows its share."""
        if not block.terms:
            return ""
        width = max(len(factors) for what, factors, _ in block.terms if what != Sign("⋯"))
        largest = max((abs(_value(product)) for _, _, product in block.terms), default=0.0) or 1.0
        rows = ""
        for what, factors, product in block.terms:
            head = inline_math(what)
            if what == Sign("⋯"):  # what is left of a long sum; its "factor" is how many terms that are
                head, factors = self.voice.inline(PAGE.say("more_terms", count=factors[0][1:])), ()
            cells = "".join(f"<td>{escape(factor)}</td>" for factor in factors)
            cells += "<td></td>" * (width - len(factors))
            value = _value(product)
            sign = "minus" if value < 0 else "plus"
            bar = f'<td class="bar {sign}"><i style="width:{abs(value) / largest * 100:.0f}%"></i></td>'
            cells += f'<td class="product">{escape(product)}</td>{bar}'
            rows += f'<tr><th scope="row">{head}</th>{cells}</tr>'
        inline = self.voice.inline
        span = attributes(colspan=width if width > 1 else None)
        factors_head = f'<th scope="col"{span}>{inline(PAGE["factors"])}</th>' if width else ""
        head = (
            f'<tr><th scope="col">{inline(PAGE["term"])}</th>{factors_head}'
            f'<th scope="col">{inline(PAGE["product"])}</th><td></td></tr>'
        )
        blank = f"<td{span}></td>" if width else ""
        total = (
            f'<tr><th scope="row">{inline(PAGE["sum"])} {block.sum_sign}</th>{blank}'
            f'<td class="product">{escape(block.total)}</td><td></td></tr>'
        )
        table = (
            f'<div class="scroll"><table class="terms"><thead>{head}</thead><tbody>{rows}</tbody>'
            f"<tfoot>{total}</tfoot></table></div>"
        )
        if len(block.terms) <= _MOST_TERMS:
            return table
        return figures.folded(PAGE.say("all_terms", count=len(block.terms)), self.voice, table)

    # -- tables and texts ------------------------------------------------------------------------------------

    def _table(self, block: Table, identifier: str) -> str:
        head = "".join(
            f'<th scope="col"{self._side(block, column)}>{self._cell(cell)}</th>'
            for column, cell in enumerate(block.head)
        )
        rows = ""
        for number, row in enumerate(block.rows):
            level = block.levels[number] if number < len(block.levels) else None
            cells = "".join(self._row_cell(block, column, cell, level) for column, cell in enumerate(row))
            rows += f"<tr{attributes(class_=level)}>{cells}</tr>"
        caption = f"<caption>{self.voice.inline(block.caption)}</caption>" if block.caption else ""
        stacked = attributes(class_="stack" if len(block.head) > _FITTING else None)
        start = f"<table{stacked}{attributes(id=identifier)}>"
        if block.folded:
            start, caption = f"<table{stacked}>", ""
        head_row = f"<thead><tr>{head}</tr></thead>"
        table = f'<div class="scroll">{start}{caption}{head_row}<tbody>{rows}</tbody></table></div>'
        if not block.folded:
            return table
        summary = self.voice.inline(block.caption or PAGE["show_table"])
        details = attributes(class_="more", id=identifier)
        return f"<details{details}><summary>{summary}</summary>{table}</details>"

    def _row_cell(self, block: Table, column: int, cell: Cell, level: str | None) -> str:
        side = self._side(block, column) + self._headed(block, column)
        if column:
            return f"<td{side}>{self._cell(cell)}</td>"
        mark = self._level(level) + " " if level else ""
        return f'<th scope="row"{side}>{mark}{self._cell(cell)}</th>'

    def _headed(self, block: Table, column: int) -> str:
        """The head of a cell of a broad table, for a window in which its columns do not fit."""
        if len(block.head) <= _FITTING or column >= len(block.head):
            return ""
        head = block.head[column]
        text = render_text.render(head) if isinstance(head, Box) else head
        return attributes(data_head=self.voice.attribute(text) if isinstance(text, Say) else text)

    def _side(self, block: Table, column: int) -> str:
        return ' class="right"' if column in block.right else ""

    def _cell(self, cell: Cell) -> str:
        if isinstance(cell, str):
            return escape(cell)
        return self.voice.inline(cell) if isinstance(cell, Say) else inline_math(cell)

    def _level(self, level: str) -> str:
        """A sign of a level, with its name for who cannot see it."""
        name = escape(self.voice.attribute(PAGE[f"level.{level}"]))
        return f'<span class="level {level}" role="img" aria-label="{name}">{words.GLYPHS[level]}</span>'

    def _strip(self, block: Strip, identifier: str) -> str:
        badges = "".join(
            f'<li class="badge {badge.level}">{self._level(badge.level)}'
            f'<span class="what">{self.voice.inline(badge.label)}</span>'
            f'<span class="value">{self.voice.inline(badge.value)}</span></li>'
            for badge in block.badges
        )
        return f"<ul{attributes(class_='strip', id=identifier)}>{badges}</ul>"

    def _finding(self, block: Finding, identifier: str) -> str:
        head = attributes(class_=f"finding {block.level}", id=identifier)
        what, why, cure = map(self.voice.paragraphs, (block.what, block.why, block.cure))
        return (
            f'<div{head}>{self._level(block.level)}<div><div class="what">{what}</div>{why}'
            f'<div class="cure"><b>{self.voice.inline(PAGE["cure"])}</b>{cure}</div></div></div>'
        )

    # -- cards and sections ----------------------------------------------------------------------------------

    def _card(self, block: Card, identifier: str, level: int) -> str:
        """A step: its head, and rows of text with the pictures of it beside."""
        reference = f'<span class="tag">{escape(block.reference)}</span>' if block.reference else ""
        title = f"<h{level}>{self.voice.inline(block.what)}</h{level}>"
        step = f'<a class="step" href="#{identifier}">{escape(block.step)}</a>'
        line = f'<p class="line">{escape(block.head)}</p>'
        links = self._neighbours(identifier, titles=not block.folded)
        head = f"<header>{step}{title}{reference}{links}{line}</header>"
        body = "".join(self._rows(block.blocks, level + 1))
        if block.folded and not all(isinstance(inner, Paragraph) for inner in block.blocks):
            body = figures.folded(PAGE["show_card"], self.voice, body, "body")
        opening = attributes(
            class_=f"card {direction(block.step)}", id=identifier, data_step=block.step,
            data_layer=block.layer, aria_label=f"{block.step} {self.voice.attribute(block.what)}",
        )  # fmt: skip
        return f"<article{opening}>{head}{body}</article>"

    def _neighbours(self, identifier: str, titles: bool) -> str:
        """Links to the step before, the layer's step in the other direction, and the step after.

        titles: whether they say what they are, which takes a tenth of a page of 200 layers that repeat.
        """
        links = ""
        for address, step, what, sign in self.steps.neighbours("#" + identifier):
            name = f"{escape(step)} {sign}" if sign == "→" else f"{sign} {escape(step)}"
            title = self.voice.attribute(what) if titles else None
            links += f"<a{attributes(href=address, title=title)}>{name}</a>"
        return f'<span class="neighbours">{links}</span>'

    def _rows(self, blocks: tuple[Block, ...], level: int) -> list[str]:
        """Blocks in rows: texts and formulas on the left, the pictures that follow them on the right."""
        rows: list[tuple[list[str], list[str]]] = [([], [])]
        for block in blocks:
            written = self.block(block, level)
            if isinstance(block, _PICTURES):
                rows[-1][1].append(written)
            elif rows[-1][1]:
                rows.append(([written], []))
            else:
                rows[-1][0].append(written)
        return [_row("".join(said), "".join(seen)) for said, seen in rows if said or seen]

    def _section(self, block: Section, identifier: str, level: int) -> str:
        inner = "".join(self.block(inner, level + 1) for inner in block.blocks)
        title = f"<h{level}>{self.voice.inline(block.title)}</h{level}>"
        return f"<section{attributes(id=identifier)}>{title}{inner}</section>"


def direction(step: str) -> str:
    """Which way a step goes, as a class: forward, backward or neither."""
    return {"F": "forward", "B": "backward"}.get(step[:1], "middle")


def _row(said: str, seen: str) -> str:
    if said and seen:
        return f'<div class="row both"><div class="said">{said}</div><div class="seen">{seen}</div></div>'
    return f'<div class="row">{said or seen}</div>'


def _value(printed: str) -> float:
    """The number that was printed; 0 for what is none."""
    try:
        return float(printed.replace("−", "-").replace("∞", "inf"))
    except ValueError:
        return 0.0
