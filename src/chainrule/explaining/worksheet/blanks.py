"""What of a report can be left blank in a worksheet: results that a reader can compute from what is left.

Products, sums and results of worked elements, entries of small matrices that are results, the last shape of a
line of shapes, residuals and δ at the output, the effect of a step.  An answer is no candidate where it is
itself among the numbers it is computed from, or among those of an earlier one: then nothing would be left to
compute it from, or two blanks would wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import (
    Block,
    Card,
    Cell,
    Formula,
    Matrix,
    Outline,
    Paragraph,
    Section,
    Table,
    Worked,
)
from chainrule.explaining.blocks.printed import LEAST_DIGITS, TOKEN, Printed, Told, number_of, numbers_in
from chainrule.formulas.printing import render_text
from chainrule.formulas.printing.boxes import Box, Row, Sign, bare

# Tables by their id: the heads of the columns that are computed from those before them.
_COMPUTED = {"outputs": ("a_k − y_k", "δ_k = ", "∂J/∂a_k = ", "∂C/∂a_k = ")}


@dataclass(frozen=True)
class Candidate:
    """A result: as printed, in all precisions in which its place prints it, the most precise first.

    step: whose card it is in.  kind: a worksheet asks for its share of each kind.  inputs: the numbers it is
    computed from, as printed.  shape: the formula whose last shape it is, by id(); None for a number.
    """

    texts: tuple[str, ...]
    step: str
    kind: str
    inputs: tuple[str, ...] = ()
    shape: int | None = None


def candidates(outline: Outline) -> list[Candidate]:
    """The candidates in reading order."""
    chosen: list[Candidate] = []
    known: Told[bool] = Told()  # inputs so far
    for candidate in _all(outline):
        if candidate.shape is not None:
            chosen.append(candidate)
            continue
        for number in map(Printed.of, candidate.inputs):
            if number is not None:
                known.add(number, True)
        answers = [Printed.of(text) for text in candidate.texts]
        if all(
            answer is not None and answer.digits >= LEAST_DIGITS and not known.find(answer)
            for answer in answers
        ):
            chosen.append(candidate)
    return chosen


def _all(outline: Outline) -> Iterator[Candidate]:
    for card in cards(outline.sections):
        for block in card.blocks:
            match block:
                case Worked():
                    yield from _worked(block, card.step)
                case Matrix():
                    yield from _matrix(block, card.step)
                case Table() if block.id in _COMPUTED:
                    yield from _table(block, card.step)
                case Formula(reading="shape"):
                    yield from _shape(block, card)
                case Paragraph() if block.id == "update-loss":
                    *inputs, change = TOKEN.findall(block.text.en)
                    yield Candidate((change,), card.step, "table", tuple(inputs))


def cards(blocks: Iterable[Block]) -> Iterator[Card]:
    """All cards, in reading order."""
    for block in blocks:
        if isinstance(block, Card):
            yield block
        elif isinstance(block, Section):
            yield from cards(block.blocks)


def _worked(block: Worked, step: str) -> Iterator[Candidate]:
    """The products of its terms, their sum, and the result, where they are computed of something."""
    for what, factors, product in block.terms:
        if len(factors) > 1 and what != Sign("⋯"):
            yield Candidate((product,), step, "product", factors)
    inputs = tuple(numbers_in(block.numbers))
    if block.terms:
        products = tuple(product for _, _, product in block.terms)
        if number_of(block.numbers) == block.total:
            yield Candidate((block.total, block.result), step, "result", products)
            return
        yield Candidate((block.total,), step, "result", products)
    if number_of(block.numbers) is None:
        yield Candidate((block.result,), step, "result", inputs)


def _matrix(block: Matrix, step: str) -> Iterator[Candidate]:
    """Entries of a matrix that is a result and is printed in full."""
    result = block.id == "jacobian" or block.quantity.startswith(("gradient:", "delta:"))
    if result and block.row_gap is None and block.column_gap is None:
        for row in block.texts:
            yield from (Candidate((text,), step, "matrix") for text in row)


def _table(block: Table, step: str) -> Iterator[Candidate]:
    heads = [_english(cell) for cell in block.head]
    for row in block.rows:
        for column, cell in enumerate(row):
            if heads[column].startswith(_COMPUTED[block.id]) and isinstance(cell, str):
                yield Candidate((cell,), step, "table", tuple(map(_english, row[1:column])))


def _shape(block: Formula, card: Card) -> Iterator[Candidate]:
    """The shape behind the arrow, where the card does not say it elsewhere."""
    box = bare(block.box)
    if not isinstance(box, Row) or Sign("→") not in box.parts:
        return
    text = render_text.render(box.parts[-1])
    sizes = text.strip("()")
    if "×" in sizes and not any(sizes in said for said in _said(card, but=block)):
        yield Candidate((text,), card.step, "shape", shape=id(block))


def _said(card: Card, but: Formula) -> Iterator[str]:
    """Where a card says a shape, its own factors included."""
    yield card.head
    for block in card.blocks:
        if isinstance(block, Formula) and block.reading == "shape":
            box = bare(block.box)
            yield render_text.render(Row(box.parts[:-1]) if block is but and isinstance(box, Row) else box)
        elif isinstance(block, Matrix):
            yield "×".join(map(str, block.shape))


def _english(cell: Cell) -> str:
    if isinstance(cell, Box):
        return render_text.render(cell)
    return cell.en if isinstance(cell, Say) else cell
