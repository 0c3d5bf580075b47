"""Two formulas, the right one and what somebody computes, with the nodes marked in which they differ."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chainrule.base.tables import cell_width
from chainrule.formulas.expression import Expression, Named, Operation, Over, Path, replace_at
from chainrule.formulas.printing import Equation, compose, mathml, render_text
from chainrule.formulas.printing.boxes import BRACKETS, MARKED
from chainrule.formulas.printing.compose import Composer, definitions
from chainrule.verifying.saying.schema import FormulasRecord, LineRecord
from chainrule.verifying.texts import TEXTS

Span = tuple[int, int]
MOST_DEFINITIONS = 8  # of a formula with more, such as a recurrence's, those alone in which it differs


@dataclass(frozen=True)
class Line:
    """A formula, or the definition of a name in it.

    spans: from which character to which one it differs, in the order of the text; math: the same as MathML.
    """

    text: str
    spans: tuple[Span, ...]
    math: str

    def json(self) -> LineRecord:
        """Plain JSON."""
        return {"text": self.text, "differs": [list(span) for span in self.spans]}

    def rows(self, lead: str, width: int | None = None) -> list[str]:
        """The line behind `lead`, and ^^^^ below what differs; both broken where `width` columns end."""
        rows: list[str] = []
        gap = " " * cell_width(lead)
        for first, last in self._pieces(None if width is None else max(width - len(gap), 20)):
            rows.append((gap if rows else lead) + self.text[first:last])
            below = "".join(
                ("^" if any(a <= at < b for a, b in self.spans) else " ") * cell_width(self.text[at])
                for at in range(first, last)
            )
            rows += [gap + below.rstrip()] if below.strip() else []
        return rows

    def _pieces(self, width: int | None) -> Iterator[Span]:
        """(first, last) of the characters that a row holds, broken at spaces."""
        first = 0
        while width is not None and cell_width(self.text[first:]) > width:
            ends = [at for at in range(first + 1, len(self.text)) if self.text[at] == " "]
            fits = [at for at in ends if cell_width(self.text[first:at]) <= width]
            if not ends:
                break
            last = (fits or ends[:1])[-1]
            yield first, last
            first = last + 1
        yield first, len(self.text)


@dataclass(frozen=True)
class Marked:
    """The right formula with its definitions; the other with those of its definitions that differ."""

    right: tuple[Line, ...]
    wrong: tuple[Line, ...]

    def json(self) -> FormulasRecord:
        """Plain JSON."""
        return {"right": [line.json() for line in self.right], "yours": [line.json() for line in self.wrong]}

    def rows(self, language: str, width: int | None = None) -> list[str]:
        """The formulas one below the other, what differs with ^ below it."""
        lines = self._lines(language)
        room = max(cell_width(word) for word, _ in lines)
        return [
            row
            for word, line in lines
            for row in line.rows(word + " " * (room - cell_width(word) + 2), width)
        ]

    def maths(self, language: str) -> list[tuple[str, str]]:
        """Every line as MathML, and the words before it."""
        return [(word, line.math) for word, line in self._lines(language)]

    def _lines(self, language: str) -> list[tuple[str, Line]]:
        """Every line with the words before it; one formula where both are written alike, such as two that
        differ by the kernel that is turned.
        """
        given = [("write", self.right), ("yours", self.wrong)]
        if {line.text for line in self.wrong} <= {line.text for line in self.right}:
            del given[1]
        return [
            (getattr(TEXTS[f"formula.{'with' if number else key}"], language), line)
            for key, lines in given
            for number, line in enumerate(lines)
        ]


def marked(right: Expression, wrong: Expression) -> Marked:
    """The two formulas, where they differ marked in both; in the right one alone what is missing."""
    pairs = list(_differences(right, wrong))
    return Marked(
        _lines(right, [first for first, _ in pairs if first is not None], complete=True),
        _lines(wrong, [second for _, second in pairs if second is not None], complete=False),
    )


def _differences(
    right: Expression, wrong: Expression, here: Path = (), there: Path = ()
) -> Iterator[tuple[Path | None, Path | None]]:
    """The places of the smallest parts in which two trees differ; None where a part is only missing."""
    if right == wrong:
        return
    ours, theirs = right.children, wrong.children
    if missing := list(_missing(right, wrong, here)):
        for place in missing:
            yield place, None
    elif _same_node(right, wrong) and sorted(map(hash, ours)) != sorted(map(hash, theirs)):
        for number, (first, second) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(first, second, (*here, number), (*there, number))
    else:
        yield here, there


def _missing(right: Expression, kept: Expression, here: Path) -> Iterator[Path]:
    """What was left out where `kept` alone is left of a sum or product; nothing where it is not."""
    if not isinstance(right, Operation) or len(right.operands) != 2:
        return
    for number, operand in enumerate(right.operands):
        nested = isinstance(operand, Operation) and operand.rule.name == right.rule.name
        deeper = list(_missing(operand, kept, (*here, number))) if nested else []
        if operand == kept or deeper:
            yield from sorted([*deeper, (*here, 1 - number)])
            return


def _same_node(right: Expression, wrong: Expression) -> bool:
    """Whether two nodes differ in their operands alone."""
    match right, wrong:
        case Operation(), Operation():
            same = right.rule.name == wrong.rule.name and right.static == wrong.static
        case Over(), Over():
            ranges = right.indices == wrong.indices and right.ranges == wrong.ranges
            same = right.rule.name == wrong.rule.name and ranges
        case Named(), Named():
            same = right.name == wrong.name
        case _:
            return False
    return same and len(right.children) == len(wrong.children)


def _lines(tree: Expression, places: list[Path], complete: bool) -> tuple[Line, ...]:
    """The formula, then the definitions that hold a place; `complete`: and the others, if they are few."""
    inside: dict[Named | None, list[Path]] = {None: []}  # which definition holds a place, and where in it
    for path in places:
        root, node, name = 0, tree, None
        for depth, number in enumerate(path):
            if isinstance(node, Named):
                root, name = depth + 1, node
            node = node.children[number]
        inside.setdefault(name, []).append(path[root:])
    defined = definitions(tree)
    if complete and len(defined) <= MOST_DEFINITIONS:
        inside |= {name: inside.get(name, []) for name in defined}
    return (
        _line(tree, None, inside[None]),
        *(_line(name.value, name, inside[name]) for name in defined if name in inside),
    )


def _line(node: Expression, left: Named | None, places: list[Path]) -> Line:
    """The formula, or the definition of `left`, with what is at the places in it marked."""
    plain = _text(node, left)
    kept: list[Path] = []
    for path in places:  # what a layout does not show by itself is shown by what holds it
        ways = (path[:length] for length in range(len(path), -1, -1))
        way = next((way for way in ways if _shows(node, left, [way], plain)), None)
        if way is not None and not any(way[: len(other)] == other for other in kept):
            kept = [*(other for other in kept if other[: len(way)] != way), way]
    if not _shows(node, left, kept, plain):
        kept = []
    value, signs = _signed(node, kept)
    spans = tuple(_spans(_text(value, left, signs)))
    return Line(plain, spans, mathml(_whole(value, left), reference=_of(signs)))


def _whole(value: Expression, left: Named | None) -> Expression | Equation:
    return value if left is None else Equation(left, value)


def _text(value: Expression, left: Named | None, signs: Sequence[Expression] = ()) -> str:
    composer = Composer(linear=True, reference=_of(signs))
    return render_text.render(compose(_whole(value, left), composer))


def _of(signs: Sequence[Expression]) -> Callable[[Expression], str | None]:
    """The reference of the very nodes in `signs`; others that are equal to them have none."""
    return lambda node: MARKED if any(node is sign for sign in signs) else None


def _signed(value: Expression, places: Sequence[Path]) -> tuple[Expression, list[Expression]]:
    """The same tree with nodes of its own at these places, and those nodes."""
    signs = []
    for path in places:
        node = value
        for number in path:
            node = node.children[number]
        signs.append(copy.copy(node))
        value = replace_at(value, path, signs[-1])
    return value, signs


def _shows(value: Expression, left: Named | None, places: Sequence[Path], plain: str) -> bool:
    """Whether every place is to be seen in the text, which else is the same."""
    signed, signs = _signed(value, places)
    text = _text(signed, left, signs)
    first, last = BRACKETS
    return text.count(first) == len(places) and text.replace(first, "").replace(last, "") == plain


def _spans(text: str) -> Iterator[Span]:
    """Where the brackets stand, in the text without them."""
    first = at = 0
    for character in text:
        if character == BRACKETS[0]:
            first = at
        elif character == BRACKETS[1]:
            yield first, at
        else:
            at += 1
