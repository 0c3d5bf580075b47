"""A report as LaTeX: an article, a fragment for a document of one's own, or a presentation.

A fragment needs amsmath and nothing else (ctex where it has Chinese).  Articles and presentations in English
compile with pdflatex, those with Chinese with xelatex.
"""

from __future__ import annotations

from typing import Literal, get_args

from chainrule.base.scalars import check_choice
from chainrule.explaining.blocks.kinds import Block, Card, Outline, Section, Table
from chainrule.explaining.render.latex import beamer as latex_beamer
from chainrule.explaining.render.latex import pictures as latex_pictures
from chainrule.explaining.render.latex.blocks import LatexWriter, heading
from chainrule.explaining.render.latex.tables import BROAD
from chainrule.explaining.render.latex.text import LatexVoice
from chainrule.formulas.printing.boxes import spoken

Form = Literal["article", "beamer", "fragment"]
BROAD_PAGE = 100  # characters of a line of a table in an article, whose margins are 22 mm
# The fonts of Latin letters have no circled digits, those of Chinese have.
_CIRCLED = r"""\ifdefined\xeCJKDeclareCharClass\xeCJKDeclareCharClass{CJK}{"2460 -> "2473}\fi"""
_SAVE = r"\newsavebox\bpbox"
# The box is set once to be measured: what is too wide shrinks to the line, the rest stays as it is.
_FIT = (
    r"\newcommand\bpfit[1]{\sbox\bpbox{#1}\ifdim\wd\bpbox>\linewidth"
    r"\resizebox{\linewidth}{!}{\usebox\bpbox}\else\usebox\bpbox\fi}"
)
# In a fragment there is no \\resizebox, unless its document loads graphicx: smaller type is tried first.
_FIT_BY_SIZE = (
    r"\providecommand\bpfit[1]{\setbox0\hbox{#1}"
    r"\ifdim\wd0>\linewidth\setbox0\hbox{\tabcolsep3pt\arraycolsep3pt\footnotesize#1}\fi"
    r"\ifdim\wd0>\linewidth\setbox0\hbox{\tabcolsep2pt\arraycolsep2pt\scriptsize#1}\fi"
    r"\ifdim\wd0>\linewidth\setbox0\hbox{\tabcolsep1pt\arraycolsep1pt\tiny#1}\fi"
    r"\ifdim\wd0>\linewidth\ifdefined\resizebox\resizebox{\linewidth}{!}{\box0}\else\box0\fi"
    r"\else\box0\fi}"
)
_FRAME = (
    r"\newcommand\bpframe[1]{\setbox\bpouter=\vbox{\hsize=\linewidth #1}"
    r"\ifdim\dimexpr\ht\bpouter+\dp\bpouter\relax>.72\textheight"
    r"\par\noindent\hfil\resizebox{!}{.72\textheight}{\box\bpouter}\hfil\par"
    r"\else\par\noindent\box\bpouter\par\fi}"
)


def render(outline: Outline, form: str = "article") -> str:
    """The LaTeX source of a report.

    form: "article", a document with drawings; "beamer", a presentation with a frame per step; "fragment", to
    be \\input, without preamble or drawings.  Raises ValueError for another form.
    """
    check_choice("form", form, get_args(Form))
    broad = BROAD_PAGE if form == "article" else BROAD
    writer = LatexWriter(LatexVoice(outline.language), pictures=form != "fragment", broad=broad)
    title = writer.voice.inline(outline.title)
    with spoken(outline.language):
        if form == "beamer":
            body = latex_beamer.frames(outline, writer)
        else:
            body = _sections(outline, writer, "*" if form == "fragment" else "")
    if form == "fragment":
        start = [*_notes(writer), *_fragment_macros(writer), r"\begingroup\emergencystretch=3em"]
        return "\n".join([*start, "", body, "", r"\endgroup", ""])
    preamble = _beamer(writer) if form == "beamer" else _article(writer)
    opening = [r"\begin{document}", r"\frame{\titlepage}" if form == "beamer" else r"\maketitle"]
    start = [*preamble, rf"\title{{{title}}}", r"\date{}", *opening]
    return "\n".join([*start, "", body, "", r"\end{document}", ""])


def _sections(outline: Outline, writer: LatexWriter, star: str) -> str:
    parts: list[str] = []
    for section in outline.sections:
        title = writer.voice.inline(section.title)
        parts += [rf"\section{star}{{{title}}}", *_blocks(section.blocks, writer, star)]
    return "\n\n".join(part for part in parts if part)


def _blocks(blocks: tuple[Block, ...], writer: LatexWriter, star: str) -> list[str]:
    parts: list[str] = []
    for block in blocks:
        match block:
            case Section(title, inner):
                parts += [
                    rf"\subsection{star}{{{writer.voice.inline(title)}}}",
                    *_blocks(inner, writer, star),
                ]
            case Card(folded=True):
                parts.append(_repeat(block, writer))
            case Card():
                said = writer.voice.inline(block.head)
                head = rf"\noindent{{\small {said}\par}}\nopagebreak" if block.head else ""
                parts += [rf"\subsection{star}{{{heading(writer.voice, block)}}}", head]
                parts += _blocks(block.blocks, writer, star)
            case Table(folded=True) if star:
                continue  # long, and of use to few: left to the article
            case _:
                parts.append(writer.block(block))
    return parts


def _repeat(card: Card, writer: LatexWriter) -> str:
    """A step that repeats another: on a line, without a heading."""
    said = " ".join(writer.block(inner) for inner in card.blocks)
    head = rf"\enspace {writer.voice.inline(card.head)}" if card.head else ""
    return rf"{{\small\noindent\textbf{{{heading(writer.voice, card)}}}{head}\enspace {said}\par}}"


def _engine(writer: LatexWriter) -> str:
    return "xelatex" if writer.voice.chinese else "pdflatex"


def _article(writer: LatexWriter) -> list[str]:
    chinese = writer.voice.chinese
    return [
        f"% compile with {_engine(writer)}",
        r"\documentclass{ctexart}" if chinese else r"\documentclass{article}",
        *([] if chinese else [r"\usepackage[T1]{fontenc}", r"\usepackage{lmodern}"]),
        r"\usepackage[a4paper,margin=22mm]{geometry}",
        r"\usepackage{amsmath}",
        r"\usepackage{tikz}",
        *_macros(writer),
        r"\setlength\parindent{0pt}\setlength\parskip{4pt}\emergencystretch=3em",
    ]


def _beamer(writer: LatexWriter) -> list[str]:
    return [
        f"% compile with {_engine(writer)}",
        r"\documentclass[9pt]{beamer}",
        r"\usepackage{ctex}" if writer.voice.chinese else r"\usepackage{lmodern}",
        r"\usepackage{amsmath}",
        r"\usepackage{tikz}",
        r"\setbeamertemplate{navigation symbols}{}",
        r"\setbeamertemplate{footline}[frame number]",
        *_macros(writer),
        r"\newsavebox\bpouter",
        r"\renewcommand\arraystretch{1.25}",  # at 9pt the lines of a table touch
        _FRAME,
    ]


def _macros(writer: LatexWriter) -> list[str]:
    circled = [_CIRCLED] if writer.voice.chinese else []
    return [*circled, *writer.formulas.definitions(), _SAVE, _FIT, *latex_pictures.MACROS]


def _notes(writer: LatexWriter) -> list[str]:
    need = r"\usepackage{amsmath}" + (r" and \usepackage{ctex}" if writer.voice.chinese else "")
    return [
        f"% needs {need}",
        r"% To print it in your own notation, define these macros before: #1 is the number of the layer.",
    ]


def _fragment_macros(writer: LatexWriter) -> list[str]:
    circled = [_CIRCLED] if writer.voice.chinese else []
    return [*circled, *writer.formulas.definitions(), _FIT_BY_SIZE]
