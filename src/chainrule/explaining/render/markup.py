"""Text as markup: escaping, attributes, and sentences in the languages of a page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from chainrule.base.languages import Say
from chainrule.formulas.printing import render_mathml, render_text
from chainrule.formulas.printing.boxes import Box, Row, Sign, bare

escape = render_mathml.escape
LONG = 64  # characters of text of the longest formula that fits half a card in one line
_FENCE = re.compile(
    r'<mo form="(?:pre|post)fix" fence="true"(?:( stretchy="true")|( stretchy="false"))>([()\[\]])</mo>'
)
_CODE = re.compile(r"`([^`]+)`")


def attributes(**values: object) -> str:
    """id="…" data-step="…": leading space included; None and "" are left out; data_step is data-step."""
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in values.items()
        if value is not None and value != ""
    )


def marked(text: str) -> str:
    """Escaped text whose `code` is set as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def plain(text: str) -> str:
    """Text without the backquotes, for attributes."""
    return _CODE.sub(r"\1", text)


def inline_math(box: Box) -> str:
    """A formula within a line; a page needs no namespace, which would be a tenth of its formulas."""
    return f"<math>{_compact(render_mathml.render(box))}</math>"


def display_math(box: Box) -> str:
    """A formula on lines of its own."""
    return f'<math display="block">{_compact(render_mathml.render(box))}</math>'


def display_lines(box: Box) -> str:
    """A formula on lines of its own; a long one may be broken before the ⊙, + and − of its right side.

    Cut off at the edge, (…) ⊙ f′(z) would read as a formula without f′.
    """
    inner = bare(box)
    right = bare(inner.parts[-1]) if isinstance(inner, Row) and len(inner.parts) == 3 else None
    if not isinstance(inner, Row) or not isinstance(right, Row) or len(render_text.render(box)) <= LONG:
        return display_math(box)
    pieces: list[list[Box]] = [list(inner.parts[:2])]
    for count, part in enumerate(right.parts):
        if count and isinstance(part, Sign) and part.text in "⊙+−":
            pieces.append([])
        pieces[-1].append(part)
    return "".join(display_math(Row(tuple(piece), right.binds)) for piece in pieces)


def _compact(mathml: str) -> str:
    """Without what browsers know of ( and [ at the ends of a row: they are fences, and grow."""
    return _FENCE.sub(lambda match: f"<mo{'' if match[1] else match[2]}>{match[3]}</mo>", mathml)


def breakable_math(box: Box) -> str:
    """A formula within a line that may be broken before the + and − of its outermost sum.

    MathML itself is not broken in browsers, so every term is a formula of its own.
    """
    inner = bare(box)
    if not isinstance(inner, Row) or inner.tight:
        return inline_math(box)
    terms: list[list[Box]] = [[]]
    for part in inner.parts:
        if isinstance(part, Sign) and part.text in "+−" and terms[-1]:
            terms.append([])
        terms[-1].append(part)
    return "<wbr>".join(inline_math(Row(tuple(term), inner.binds)) for term in terms)


@dataclass(frozen=True)
class Voice:
    """How a page speaks: in one language, or in two with each text marked by its language."""

    language: str

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.language.split("+"))

    def _texts(self, say: Say) -> list[tuple[str, str]]:
        """(language, text) of what has to be said; one pair without a language if that is enough."""
        texts = [(language, str(getattr(say, language))) for language in self.languages]
        return [("", texts[0][1])] if len({text for _, text in texts}) == 1 else texts

    def inline(self, say: Say) -> str:
        """Within a line: `<span lang="en">…</span> <span lang="zh">…</span>`."""
        return " ".join(
            f'<span lang="{language}">{marked(text)}</span>' if language else marked(text)
            for language, text in self._texts(say)
        )

    def paragraphs(self, say: Say, kind: str = "") -> str:
        """A paragraph for each language."""
        return "".join(
            f"<p{attributes(lang=language, class_=kind)}>{marked(text)}</p>"
            for language, text in self._texts(say)
        )

    def attribute(self, say: Say) -> str:
        """For an attribute, not yet escaped: "en / zh"."""
        return " / ".join(plain(text) for _, text in self._texts(say))

    def tspans(self, say: Say) -> str:
        """Within the text of an SVG."""
        return " ".join(
            f'<tspan lang="{language}">{escape(plain(text))}</tspan>' if language else escape(plain(text))
            for language, text in self._texts(say)
        )


@dataclass
class Identifiers:
    """Ids of a page: stable, unique, and free of what an id may not contain."""

    taken: set[str] = field(default_factory=set)

    def new(self, wanted: str) -> str:
        """`wanted` with what is no letter, digit or _.:- replaced; with a number where it is taken."""
        stem = re.sub(r"[^\w.:-]+", "-", wanted).strip("-") or "block"
        identifier, number = stem, 1
        while identifier in self.taken:
            number += 1
            identifier = f"{stem}-{number}"
        self.taken.add(identifier)
        return identifier
