"""The report as one HTML page: `render(outline)`.

The file needs nothing beside it and asks the network for nothing; its content policy forbids it to.  All
that it says is in its markup: without JavaScript it is a document, and the scripts of page/ make it an
instrument.  They hold on to:

    #document               the document as JSON, <script type="application/json">: document.py
                            writes it and page/engine/document.js reads it
    article.card            a step: data-step="F2", data-layer="conv1"; classes forward, backward, middle;
                            its id is that of the block, or "step-F2"
    nav a[data-step]        its link in the side
    [data-ref]              a part of a formula that shows a quantity: the reference of its Tagged box
    .worked                 an entry that is worked out: data-quantity, data-index="3,4,0,0" (samples last)
    figure.maps             data-quantity, data-axes="0,1", data-scale
      figure.panel          data-index="0,0": the other indices of the tensor, in order; data-size="8,8"
        svg.map             one unit per cell; g.cells holds <rect x="column" y="row" class="k0 … k48">, or
                            one <image> where the maps of a figure have more than svg.MOST_CELLS
        svg.map g.marks     above the cells: [data-cell="row,column"]; an overlay goes here
    figure.matrix           data-quantity; td[data-index="9,47"]: indices of the whole matrix
    figure.chart            data-quantity; rect.bar[data-row][data-group]
    svg.chain g.node        data-layer
    html[data-language]     "en", "zh", "en+zh"; with two: input[name="language"] of value en, zh, both

Folders of page/: engine (the formulas a second time), reading (steps, pointing, gather and scatter), changing
(change, nudge, quiz), style.  Their files are embedded in this order, within a folder by name.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from chainrule.base.languages import AND, COLON, SPACE, same
from chainrule.explaining.blocks.kinds import Block, Card, Outline, Section
from chainrule.explaining.render import scale
from chainrule.explaining.render.html.blocks import BlockWriter, Steps, direction
from chainrule.explaining.render.html.budget import Detail, fitted
from chainrule.explaining.render.html.document import embedded
from chainrule.explaining.render.markup import Identifiers, Voice, attributes, escape
from chainrule.explaining.render.svg import maps as svg
from chainrule.explaining.words import page as words
from chainrule.explaining.words.catalogues import PAGE
from chainrule.formulas import NOTATIONS
from chainrule.formulas.printing.boxes import spoken
from chainrule.formulas.printing.notation import TUTORIAL

FOLDERS = ("engine", "reading", "changing", "selftests", "style")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; font-src data:"
)
_MIME = {"woff2": "font/woff2", "woff": "font/woff", "png": "image/png", "svg": "image/svg+xml"}
_COMMENT = re.compile(r"^ *//.*\n|^ */\*\*.*\*/\n", re.MULTILINE)  # lines that are nothing else
_ADDRESS = re.compile(r"""url\(\s*["']?(?!data:)([^"')]+?)["']?\s*\)""")


def render(outline: Outline) -> str:
    """The page of a report, within the budget that its document names (budget.py)."""
    return fitted(outline, outline.document.get("meta", {}).get("budget"), _page)


def sheet(outline: Outline) -> str:
    """The page of a worksheet: nothing that computes, and no numbers beside the pictures."""
    return _page(outline, Detail(tables=False, scripts=False))


def _page(outline: Outline, detail: Detail) -> str:
    voice = Voice(outline.language)
    identifiers = Identifiers({"document", "report"})
    writer = BlockWriter(voice, identifiers, *_places(outline, identifiers), tables=detail.tables)
    with spoken(outline.language):
        body = "\n".join(writer.block(section) for section in outline.sections)
    head = attributes(
        lang="zh" if outline.language == "zh" else "en",
        data_language=outline.language,
        data_notation=outline.notation,
        data_loss=NOTATIONS.get(outline.notation, TUTORIAL).loss,
    )
    return "\n".join(
        (
            f"<!DOCTYPE html>\n<html{head}>\n<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(voice.attribute(outline.title))}</title>",
            f"<style>{stylesheet()}</style>\n</head>\n<body>",
            f'<a class="skip" href="#report">{voice.inline(PAGE["skip"])}</a>{svg.sprite()}',
            _side(outline, writer),
            f'<main id="report" tabindex="-1">\n{_top(outline, voice, detail)}\n{body}\n</main>',
            f"{_scripts(outline.document, detail)}\n</body>\n</html>\n",
        )
    )


def _top(outline: Outline, voice: Voice, detail: Detail) -> str:
    """Title, notation, the choice of the language, and what the page had no room for."""
    about = PAGE["notation"] + COLON + same(outline.notation)
    notation = f'<p class="about">{voice.inline(about)}</p>'
    title = f"<h1>{voice.inline(outline.title)}</h1>"
    top = f'<header class="top">{title}{notation}{_switch(voice)}</header>'
    return top + _left_out(outline, voice, detail)


def _left_out(outline: Outline, voice: Voice, detail: Detail) -> str:
    """What the budget cost."""
    if not detail.left_out:
        return ""
    budget = words.bytes_(outline.document["meta"]["budget"])
    said = PAGE.say("budget.left_out", budget=budget, left_out=AND.join(detail.left_out))
    if detail.too_large:
        said = said + SPACE + PAGE.say("budget.too_large", size=words.bytes_(detail.too_large))
    return voice.paragraphs(said, "budget quiet")


def _places(outline: Outline, identifiers: Identifiers) -> tuple[dict[int, str], Steps]:
    """The ids of sections and cards, which others link to before they are written; the steps in order."""
    identified: dict[int, str] = {}
    for number, section in enumerate(outline.sections):
        identified[id(section)] = identifiers.new(section.id or f"section-{number}")
    steps = []
    for card in _cards(outline.sections):
        identified[id(card)] = identifiers.new(card.id or f"step-{card.step}")
        steps.append((card.step, card.layer, "#" + identified[id(card)]))
    return identified, Steps(tuple(steps))


def _cards(blocks: tuple[Block, ...]) -> Iterator[Card]:
    """All cards, in reading order."""
    for block in blocks:
        if isinstance(block, Card):
            yield block
        if isinstance(block, Card | Section):
            yield from _cards(block.blocks)


def _side(outline: Outline, writer: BlockWriter) -> str:
    """The side: sections, and under them their steps."""
    voice = writer.voice
    items = ""
    for section in outline.sections:
        links = "".join(
            f"<li><a{attributes(class_=direction(card.step), href='#' + writer.places[id(card)])}"
            f"{attributes(data_step=card.step, title=_about(card, voice))}>{escape(card.step)}</a></li>"
            for card in _cards(section.blocks)
        )
        steps = f'<ol class="steps">{links}</ol>' if links else ""
        address = "#" + writer.places[id(section)]
        items += f"<li><a{attributes(href=address)}>{voice.inline(section.title)}</a>{steps}</li>"
    label = attributes(class_="side", aria_label=voice.attribute(PAGE["contents"]))
    return f'<nav{label}><p class="mark" aria-hidden="true">δ</p><ol>{items}</ol></nav>'


def _about(card: Card, voice: Voice) -> str:
    """What a step is, for a tooltip."""
    return " · ".join(dict.fromkeys(part for part in (voice.attribute(card.what), card.layer) if part))


def _switch(voice: Voice) -> str:
    """The choice of the language; the style sheet hides what is not chosen, without a script."""
    if len(voice.languages) == 1:
        return ""
    choices = (("both", voice.inline(PAGE["language.both"])), ("en", "English"), ("zh", "中文"))
    buttons = "".join(
        f'<label><input type="radio" name="language" value="{value}"{" checked" if value == "both" else ""}>'
        f"<span{attributes(lang=value if value != 'both' else None)}>{name}</span></label>"
        for value, name in choices
    )
    legend = f"<legend>{voice.inline(PAGE['language.choice'])}</legend>"
    return f'<fieldset class="switch">{legend}{buttons}</fieldset>'


# -- what the page carries -----------------------------------------------------------------------------------


@cache
def stylesheet() -> str:
    """All style of the page: page/*/*.css with fonts inside, and the colours of numbers."""
    return "\n".join([*(_inside(file) for file in _files(".css")), scale.style()])


def _files(suffix: str) -> list[Traversable]:
    """The files of page/ of a kind, in the order in which the page has them."""
    page = resources.files("chainrule.explaining") / "page"
    return [
        file
        for folder in FOLDERS
        for file in sorted((page / folder).iterdir(), key=lambda file: file.name)
        if file.name.endswith(suffix)
    ]


def _inside(sheet: Traversable) -> str:
    """A style sheet with the files that it names in it, as data: addresses."""
    style = resources.files("chainrule.explaining") / "page" / "style"

    def data(match: re.Match[str]) -> str:
        content = (style / match[1]).read_bytes()
        kind = _MIME[match[1].rpartition(".")[2]]
        return f"url(data:{kind};base64,{base64.b64encode(content).decode('ascii')})"

    return _ADDRESS.sub(data, sheet.read_text("utf-8"))


def _scripts(document: dict[str, Any], detail: Detail) -> str:
    """The document, and the scripts of page/."""
    if not detail.scripts:
        return ""
    text = embedded(document, detail.freed)
    return f'<script type="application/json" id="document">{text}</script>\n{_programs()}'


@cache
def _programs() -> str:
    """The scripts of page/ without their comments, which are a fifth of them."""
    texts = (_COMMENT.sub("", file.read_text("utf-8")) for file in _files(".js"))
    return "\n".join(f"<script>{text.replace('</', '<' + chr(92) + '/')}</script>" for text in texts)
