"""One element of a formula worked out: from a tree and an index to JSON, and from JSON to boxes.

left = symbols = numbers = result, "≈" where what follows is rounded; where the element is a sum, the table of
its terms, which add up exactly as printed.  The index of the sample is shown only where samples mix
(gradients): elsewhere all are of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.base.numbers import DIGITS, adds_up, column, equality, short
from chainrule.explaining.blocks.as_shown import SHOWN, hides_terms, line_of
from chainrule.explaining.blocks.kinds import Worked
from chainrule.explaining.schema import ElementRecord
from chainrule.formulas.elements.entry import Element
from chainrule.formulas.exchange import plain
from chainrule.formulas.expression import Symbol
from chainrule.formulas.printing.boxes import (
    BIG,
    LETTER,
    POWER,
    PRODUCT,
    SUM,
    Box,
    Fence,
    Numeral,
    Root,
    Row,
    Scripts,
    Sign,
    Word,
    fenced,
    listed,
    row,
    tight,
)
from chainrule.formulas.printing.compose import Composer

_SIGNS = {"maximum": "max", "minimum": "min", "max": "max"}
# (symbol, None for a named intermediate; how many indices) -> the number that each of them begins with.
First = Callable[[Symbol | None, int], Sequence[int]]


def from_zero(symbol: Symbol | None, axes: int) -> Sequence[int]:
    """Indices count from 0."""
    return (0,) * axes


def element_json(element: Element) -> ElementRecord:
    """An element as JSON; what has its default value is left out."""
    record: ElementRecord = {"kind": element.kind, "value": plain(element.value)}
    if element.of:
        record["of"] = [element_json(part) for part in element.of]
    if element.symbol is not None:
        record["symbol"] = [element.symbol.name, element.symbol.role, element.symbol.kind]
    if element.name:
        record["name"] = element.name
    if element.index:
        record["index"] = list(element.index)
    if element.count:
        record["count"], record["rest"] = element.count, plain(element.rest)
    return record


def element_from(record: ElementRecord) -> Element:
    """The element of such JSON."""
    return Element(
        record["kind"],
        float(record["value"]),
        tuple(element_from(part) for part in record.get("of", ())),
        Symbol(*record["symbol"]) if "symbol" in record else None,
        record.get("name", ""),
        tuple(record.get("index", ())),
        record.get("count", 0),
        float(record.get("rest", 0.0)),
    )


def worked_block(
    left: Symbol,
    index: tuple[int, ...],
    element: Element,
    composer: Composer,
    first: First = from_zero,
    **more: Any,
) -> Worked:
    """The block of an element; first: where the indices of a symbol begin; `more`: why, quantity, id."""
    samples = mixes_samples(left, index, element)
    printer = Printer(composer, samples, first=first)
    main = main_sum(element)
    terms: tuple[tuple[Box, tuple[str, ...], str], ...] = ()
    total = ""
    if main is not None:
        terms, total = printer.table(main)
    line = line_of(element, main, total)
    result = short(element.value)
    return Worked(
        left=printer.entry(left, "", index),
        symbols=printer.symbols(element),
        numbers=Printer(composer, samples, line.digits, first).numbers(element, main, total),
        result=result,
        exact=equality(result, line.outcome()) == "=",
        as_given=line.is_exact(),
        terms=terms,
        total=total,
        adds_up=adds_up([value for _, _, value in terms], total) if terms else True,
        index=index,
        **more,
    )


def main_sum(element: Element) -> Element | None:
    """The sum whose terms are worth a table: the outermost one with more terms than a line holds."""
    if element.kind == "sum" and hides_terms(element):
        return element
    return next((inner for part in element.of if (inner := main_sum(part)) is not None), None)


def mixes_samples(left: Symbol, index: tuple[int, ...], element: Element) -> bool:
    """Whether entries of several samples meet, so that the index of the sample must be shown."""
    seen = {
        entry.index[-1]
        for entry in element.entries()
        if entry.symbol is not None and has_samples(entry.symbol)
    }
    if has_samples(left) and index:
        seen.add(index[-1])
    return len(seen) > 1 or not has_samples(left)


def has_samples(symbol: Symbol) -> bool:
    """Whether the last index of the symbol's entries is the sample."""
    role = symbol.role.removeprefix("data ").removeprefix("gradient of ")
    if role.startswith("gradient in "):
        role = role.partition(" of ")[2]
    return not role.startswith("parameter ") and symbol.kind != "scalar"


class Printer:
    """Elements as boxes: with symbols or with numbers."""

    def __init__(
        self, composer: Composer, samples: bool, digits: int = DIGITS, first: First = from_zero
    ) -> None:
        self.composer, self.samples, self.digits, self.first = composer, samples, digits, first

    def entry(self, symbol: Symbol | None, name: str, index: tuple[int, ...]) -> Box:
        """A letter with the entry's index below, the sample's behind a semicolon where it matters."""
        sampled = symbol is None or has_samples(symbol)
        index = tuple(i + start for i, start in zip(index, self.first(symbol, len(index)), strict=True))
        shown = index[:-1] if sampled and index else index
        parts: list[Box] = [Numeral(str(i)) for i in shown]
        sub = listed(*parts) if parts else None
        if sampled and self.samples and index:
            sample: Box = Numeral(str(index[-1]))
            sub = sample if sub is None else tight(sub, Sign(";"), sample)
        if symbol is None:
            return self.composer.name(name, sub)
        return self.composer.letter(self.composer.notation.letter(symbol), sub)

    def symbols(self, element: Element) -> Box:
        """The element in letters."""
        if element.kind == "entry":
            return self.entry(element.symbol, element.name, element.index)
        return self._arithmetic(element, self.symbols, None, "")

    def numbers(self, element: Element, main: Element | None = None, total: str = "") -> Box:
        """The element with the numbers put in; `main`, whose terms a table shows, as its printed total."""
        if element.kind == "entry":
            return figure(element.value, self.digits)
        return self._arithmetic(element, lambda part: self.numbers(part, main, total), main, total)

    def _arithmetic(self, element: Element, inner: Any, main: Element | None, total: str) -> Box:
        if main is not None and element is main:
            return _signed(total)
        match element.kind:
            case "number":
                return figure(element.value, self.digits)
            case "negative":
                return tight(Sign("−"), fenced(inner(element.of[0]), PRODUCT), binds=SUM)
            case "product":
                parts: list[Box] = []
                for factor in element.of:
                    parts += [Sign("·")] if parts else []
                    parts.append(fenced(inner(factor), PRODUCT))
                return row(*parts, binds=PRODUCT)
            case "sum":
                return self._sum(element, inner)
        return self._call(element, [inner(part) for part in element.of])

    def _sum(self, element: Element, inner: Any) -> Box:
        shown = element.of[:SHOWN]
        parts: list[Box] = []
        for term in shown:
            negative = term.kind == "negative"
            box = inner(term.of[0] if negative else term)
            if parts or negative:
                parts.append(Sign("−" if negative else "+"))
            starts_negative = not negative and isinstance(box, Fence) is False and _leading_minus(box)
            parts.append(Fence(box) if parts and starts_negative else fenced(box, BIG) if negative else box)
        if hides_terms(element):
            parts += [Sign("+"), Sign("⋯")]
        return row(*parts, binds=SUM)

    def _call(self, element: Element, of: list[Box]) -> Box:
        name = element.name
        if name in ("divide", "ratio"):
            return self.composer.fraction(of[0], of[1])
        if name == "sqrt" or (name == "power" and element.of[1].value == 0.5):
            return Root(of[0])
        if name in ("power", "raised"):
            return Scripts(fenced(of[0], LETTER + 1), sup=of[1], binds=POWER)
        if name == "floor":
            return Fence(of[0], "⌊", "⌋")
        if name == "absolute":
            return Fence(of[0], "|", "|")
        if name == "greater":
            return Fence(row(of[0], Sign(">"), of[1]), "[", "]")
        if name == "xlogy":
            log = tight(Word("log"), Fence(of[1]))
            return row(fenced(of[0], PRODUCT), Sign("·"), log, binds=PRODUCT)
        if name == "log1p":
            return tight(Word("log"), Fence(row(Numeral("1"), Sign("+"), of[0])))
        if name == "exp" and not self.composer.linear:
            return Scripts(Word("e"), sup=of[0], binds=POWER)
        shown = of if len(of) <= 9 else [*of[:SHOWN], Sign("⋯")]
        return tight(Word(_SIGNS.get(name, name)), Fence(listed(*shown, spaced=True)))

    def table(self, main: Element) -> tuple[tuple[tuple[Box, tuple[str, ...], str], ...], str]:
        """(a row per term: what, its factors, its value; the total), adding up exactly as printed."""
        values = [term.value for term in main.of] + ([main.rest] if main.count else [])
        printed, total = column(values, main.value)
        rows = [
            (self.symbols(term), self._factors(term), text)
            for term, text in zip(main.of, printed, strict=False)
        ]
        if main.count:
            rows.append((Sign("⋯"), (f"+{main.count}",), printed[-1]))
        return tuple(rows), total

    def _factors(self, term: Element) -> tuple[str, ...]:
        while term.kind == "negative":
            term = term.of[0]
        return tuple(short(factor.value) for factor in term.of) if term.kind == "product" else ()


def figure(value: float, digits: int = DIGITS) -> Box:
    """A number with four digits; a power of ten as such."""
    text = short(abs(value), digits)
    mantissa, mark, exponent = text.partition("e")
    box: Box = Numeral(mantissa)
    if mark:
        power = Scripts(Numeral("10"), sup=_signed(exponent), binds=POWER)
        box = power if mantissa == "1" else row(Numeral(mantissa), Sign("·"), power, binds=PRODUCT)
    return tight(Sign("−"), box, binds=SUM) if value < 0 else box


def _signed(text: str) -> Box:
    """A printed number."""
    return tight(Sign("−"), Numeral(text[1:]), binds=SUM) if text.startswith("−") else Numeral(text)


def _leading_minus(box: Box) -> bool:
    return box == Sign("−") or (isinstance(box, Row) and _leading_minus(box.parts[0]))
