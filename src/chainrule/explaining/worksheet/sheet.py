"""A worksheet: the derivation with some of its results left blank, and the answers at its end.

`sheet` makes an outline with blanks of an outline: a number that is asked for is blank wherever it is
printed, with the same number in brackets, so that what is found in one step is carried to the next.  `render`
prints it in one of `FORMS`.  The same seed asks for the same in every form and language.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.base.errors import ArgumentError, FileError, describe
from chainrule.base.languages import COLON
from chainrule.base.scalars import check_count, check_number
from chainrule.explaining.blocks.kinds import Cell, Outline, Paragraph, Section, Table
from chainrule.explaining.blocks.printed import Printed, Told
from chainrule.explaining.render.html import page as html
from chainrule.explaining.render.latex import document as latex
from chainrule.explaining.render.latex.math import BLANK
from chainrule.explaining.render.latex.text import LatexVoice
from chainrule.explaining.render.markdown import document as markdown
from chainrule.explaining.render.terminal import document as terminal
from chainrule.explaining.words.catalogues import TABLES, WORKSHEET
from chainrule.explaining.worksheet.blanks import Candidate, candidates
from chainrule.explaining.worksheet.hiding import Hider

FORMS = {".tex": "article", ".html": "html", ".htm": "html", ".md": "markdown", ".txt": "terminal"}
# The verdict, the check, the flow and what is looked up hold nothing to be computed, or what is asked for.
KEPT = ("network", "loss", "forward", "backward", "update")
TERMINAL_WIDTH = 100
_EM = 0.6  # the width of a character
_STYLE = (
    ".blank{display:inline-block;border-bottom:1px solid currentColor;text-align:right;line-height:1.1;"
    "font:.75em/1.1 system-ui,sans-serif;padding:.5em .1em 0;white-space:nowrap;box-sizing:border-box}"
    "@media print{details:not([open])>:not(summary){display:none}}"
)


def form_of(path: Any, form: str | None) -> str:
    """The form of a worksheet: the one asked for, or what the file's ending says.

    Raises ValueError for an unknown form, FileError for an ending that says nothing.
    """
    names = tuple(dict.fromkeys(FORMS.values()))
    if form is not None:
        if form not in names:
            raise ArgumentError(
                f"form must be one of {', '.join(map(repr, names))}, received {describe(form)}; or leave it "
                f"out: the file's ending, {', '.join(FORMS)}, says it"
            )
        return form
    suffix = Path(path).suffix.lower()
    if suffix not in FORMS:
        raise FileError(
            f"{path}: ends in none of {', '.join(FORMS)}, so it is not known what to write; "
            f"write report.worksheet({str(Path(path).with_suffix('.html'))!r}) or form='html'"
        )
    return FORMS[suffix]


def sheet(
    outline: Outline,
    *,
    blanks: float = 0.3,
    seed: int = 0,
    mark: Callable[[int, str], str] | None = None,
) -> tuple[Outline, dict[int, str]]:
    """(the outline with blanks and the answer key as its last section, number -> answer as printed).

    blanks: the share of the results that is left blank, above 0 and at most 1.  seed: which of them.
    mark: what stands for a blank, of its number and its answer; "⟦3⟧" by default, for who replaces it
    later.  Raises ValueError where there is nothing to be left blank.
    """
    check_number("blanks", blanks, 0, 1, include_high=True)
    seed = check_count("seed", seed, 0, math.inf, hint="write seed=0")
    kept = tuple(section for section in outline.sections if section.id in KEPT)
    outline = replace(outline, sections=kept, document={})
    chosen = _chosen(candidates(outline), blanks, seed)
    if not chosen:
        raise ValueError("this report has no worked results that could be left blank")
    answers, shapes = _merged(chosen)
    hider = Hider([texts for texts, _ in answers], shapes, mark or (lambda number, _: f"⟦{number}⟧"))
    sections = hider.blocks(kept)
    numbered = sorted((number, answers[place]) for place, number in hider.numbers.items())
    rows: list[tuple[Cell, ...]] = [(f"({number})", step, texts[0]) for number, (texts, step) in numbered]
    key = Section(WORKSHEET["key"], (_key_table(rows),), id="key")
    how = Section(WORKSHEET["how"], (Paragraph(WORKSHEET.say("said", count=len(rows))),), id="how")
    whole = (how, *sections, key)
    title = WORKSHEET["title"] + COLON + outline.title
    made = replace(outline, title=title, sections=whole)  # type: ignore[arg-type]
    return made, {number: texts[0] for number, (texts, _) in numbered}


def _chosen(offered: list[Candidate], share: float, seed: int) -> list[Candidate]:
    """The share of every kind of candidates, at least one in all, in reading order."""
    kinds: dict[str, list[int]] = {}
    for place, candidate in enumerate(offered):
        kinds.setdefault(candidate.kind, []).append(place)
    draw = random.Random(int(seed))
    places = [place for some in kinds.values() for place in draw.sample(some, round(share * len(some)))]
    if offered and not places:
        places = [draw.randrange(len(offered))]
    return [offered[place] for place in sorted(places)]


def _merged(chosen: list[Candidate]) -> tuple[list[tuple[tuple[str, ...], str]], dict[int, int]]:
    """([(an answer in all its precisions, the step it is first asked for in)], shape -> its answer)."""
    answers: list[tuple[tuple[str, ...], str]] = []
    shapes: dict[int, int] = {}
    told: Told[int] = Told()
    for candidate in chosen:
        numbers = [printed for printed in map(Printed.of, candidate.texts) if printed is not None]
        same = next((place for number in numbers if (place := told.find(number)) is not None), None)
        if candidate.shape is not None:
            shapes[candidate.shape] = len(answers)
        elif same is not None:
            texts, step = answers[same]
            answers[same] = (tuple(dict.fromkeys((*texts, *candidate.texts))), step)
        if same is None or candidate.shape is not None:
            answers.append((candidate.texts, candidate.step))
            same = len(answers) - 1
        for number in numbers if candidate.shape is None else ():
            told.add(number, same)
    return answers, shapes


def _key_table(rows: list[tuple[Cell, ...]]) -> Table:
    head = (WORKSHEET["blank"], TABLES["step"], WORKSHEET["answer"])
    return Table(head, tuple(rows), (2,), WORKSHEET["answers"], folded=True, id="answers")


# -- forms ---------------------------------------------------------------------------------------------------


def render(
    outline: Outline, form: str, *, blanks: float = 0.3, seed: int = 0, folder: str = "worksheet_files"
) -> tuple[str, dict[str, str]]:
    """(the worksheet in a form, its pictures by name: Markdown alone has some, named in `folder`).

    outline: laid out with linear=True for the terminal.
    """
    if form == "terminal":
        made, _ = sheet(outline, blanks=blanks, seed=seed, mark=lambda n, text: f"{'_' * _room(text)}({n})")
        return terminal.render(made, width=TERMINAL_WIDTH) + "\n", {}
    made, answers = sheet(outline, blanks=blanks, seed=seed)
    if form == "markdown":
        text, pictures = markdown.render(made, folder)
        return _filled(text, answers, _rule), pictures
    if form == "html":
        page = html.sheet(made).replace("</style>", f"{_STYLE}</style>", 1)
        return _filled(page, answers, _html_blank), {}
    title = rf"\section{{{LatexVoice(outline.language).inline(WORKSHEET['key'])}}}"
    source = latex.render(made, "article").replace(title, f"\\clearpage\n{title}")
    source = source.replace(r"{$\mathrm{NaN}$};", "{};")  # in a cell of a map that is asked for
    return _filled(source, answers, _latex_blank), {}


def _filled(text: str, answers: dict[int, str], blank: Callable[[int, str], str]) -> str:
    return BLANK.sub(lambda match: blank(int(match[1]), answers[int(match[1])]), text)


def _room(answer: str) -> int:
    """Characters of a blank: an even number, which does not tell how long the answer is."""
    return max(len(answer) + len(answer) % 2, 6)


def _html_blank(number: int, answer: str) -> str:
    width = f"{_room(answer) * _EM + 1.4:.1f}em"
    return f'<span class="blank" style="min-width:{width}">({number})</span>'


def _latex_blank(number: int, answer: str) -> str:
    """In a formula and in a text."""
    return rf"\ensuremath{{{_rule(number, answer)}}}"


def _rule(number: int, answer: str) -> str:
    """A rule with its number, in a formula; a script may follow it."""
    return rf"{{{{\underline{{\hspace{{{_room(answer) * _EM:.1f}em}}}}}}^{{({number})}}}}"
