"""Text and formulas in Markdown, as GitHub, Jupyter and a plain CommonMark reader take them.

Formulas are the LaTeX that MathJax and KaTeX both know, without macros of ours.  In a line of text no
backslash stands before punctuation and no bare | or *, which Markdown would take for its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from chainrule.base.languages import COLON, Say, mark
from chainrule.explaining.blocks.kinds import Cell
from chainrule.explaining.render.latex.math import LatexFormulas, number
from chainrule.formulas.printing.boxes import Box

_CODE = re.compile(r"`([^`]+)`")
_SPECIAL = re.compile(r"([\\*_{}\[\]<>|#~$&])")
_TAG = re.compile(r"<[A-Za-z/!?]")
_START = re.compile(r"^(\s*)([-+=]|\d+[.)])(\s|$)")  # what would begin a list, a rule or a heading
# A place of a worksheet, which is a formula wherever it stands.
_BLANK = re.compile(r"⟦\d+⟧")
_IN_LINE = (
    (r"\,", r"\thinspace "), (r"\|", r"\Vert "), (r"\{", r"\lbrace "), (r"\}", r"\rbrace "),
    ("|", r"\vert "), ("*", r"\ast "), ("<", r"\lt "), (">", r"\gt "),
)  # fmt: skip


class Plain(LatexFormulas):
    """Boxes as LaTeX without macros of its own."""

    def latex(self, box: Box) -> str:
        return super().latex(box).replace(r"\bphad", r"\odot")

    @staticmethod
    def _carries(base: Box, sup: Box) -> bool:
        return False


def display(latex: str) -> str:
    """A formula on lines of its own."""
    return f"$$\n{latex}\n$$"


def in_line(latex: str) -> str:
    """A formula within a line, a cell of a table included."""
    for sign, command in _IN_LINE:
        latex = latex.replace(sign, command)
    return f"${latex.strip()}$"


def plain(text: str) -> str:
    """Text that Markdown shows as it is; a backquote as an entity, lest it opens code with the next one."""
    escaped = _SPECIAL.sub(r"\\\1", text).replace("`", "&#96;")
    return _BLANK.sub(lambda match: f"${match[0]}$", escaped)


def code(text: str) -> str:
    """Source text within a line; as HTML where it holds a |, which would end a table's cell, or a tag."""
    if "|" in text or _TAG.search(text):
        return f"<code>{escape(text).replace('|', '&#124;')}</code>"
    return f"`{text}`"


def prose(text: str) -> str:
    """A sentence, whose `code` is set as code."""
    pieces = _CODE.split(" ".join(text.split("\n")))
    return "".join((code if at % 2 else plain)(piece) for at, piece in enumerate(pieces))


def line(text: str) -> str:
    """A sentence that begins a paragraph."""
    return _START.sub(_guarded, prose(text))


def _guarded(match: re.Match[str]) -> str:
    mark = match[2]
    return f"{match[1]}{mark[:-1]}\\{mark[-1]}{match[3]}"


@dataclass(frozen=True)
class MarkdownVoice:
    """The languages of a document: in a line both beside each other, in running text one below the other."""

    language: str

    @property
    def colon(self) -> str:
        return mark(COLON, self.language)

    def texts(self, say: Say) -> list[str]:
        """The text in each language, once where they are the same; not yet escaped."""
        texts = dict.fromkeys(str(getattr(say, language)) for language in self.language.split("+"))
        return [text for text in texts if text]

    def inline(self, say: Say | str) -> str:
        """Within a line: a heading, a cell, a caption."""
        return prose(say) if isinstance(say, str) else " · ".join(map(prose, self.texts(say)))

    def bare(self, say: Say) -> str:
        """Without any mark-up, for an alternative text or a summary."""
        return " · ".join(text.replace("`", "") for text in self.texts(say))

    def cell(self, cell: Cell, formulas: LatexFormulas) -> str:
        """A cell of a table."""
        return in_line(formulas.latex(cell)) if isinstance(cell, Box) else self.inline(cell)


def figure(text: str) -> str:
    """A printed number in a table: a power of ten as such."""
    return in_line(number(text)) if "e" in text or _BLANK.fullmatch(text) else text
