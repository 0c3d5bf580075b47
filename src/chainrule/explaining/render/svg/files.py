"""Pictures of a report as SVG files of their own: maps, bars, curves, the chain of layers.

A file carries its style, as much of it as it uses, and its own paper: it is read on any page, light or dark,
and needs nothing beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from chainrule.base.numbers import short
from chainrule.explaining.blocks.kinds import Bars, Chain, Curve, Maps, Panel
from chainrule.explaining.render import scale
from chainrule.explaining.render.markup import Voice, attributes, escape
from chainrule.explaining.render.svg import chain as svg_chain
from chainrule.explaining.render.svg import maps as svg
from chainrule.explaining.words.catalogues import PAGE

Picture = Maps | Bars | Curve | Chain

_WIDTH = 720  # of a line of maps
_MARGIN, _GAP, _TITLE = 12, 14, 20
_LEGEND = (180, 10)  # width and height of the bar of colours
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_CLASS = re.compile(r"\.([A-Za-z][\w-]*)")
_OPENING = re.compile(r"<svg([^>]*)>", re.DOTALL)
_SIZE = re.compile(r' width="([\d.]+)" height="([\d.]+)"')
# The names of colours in page/style/picture.css, for a light page and a dark one.
_LIGHT = "--card:#fff;--ink:#20242c;--quiet:#666d7a;--line:#ddd9d2"
_DARK = (
    "--card:#1b1f26;--ink:#e4e6ea;--quiet:#a2a9b6;--line:#3a404b;--faint:#717a88;--accent:#9aa8ff;"
    "--plus:#ee9a55;--minus:#6fb0e6;--warning:#e0a13a;--bad:#ec7fae"
)


def render(block: Picture, voice: Voice) -> str:
    """The file of a picture: XML, in the languages of `voice`."""
    drawers: dict[type[Any], Callable[[Any, Voice], str]] = {
        Maps: _maps, Bars: svg.bars, Curve: svg.curve, Chain: svg_chain.chain,
    }  # fmt: skip
    return _file(drawers[type(block)](block, voice))


def _file(picture: str) -> str:
    """A picture on paper of its own, with the style that it uses."""
    opening = _OPENING.match(picture)
    size = _SIZE.search(picture)
    assert opening is not None
    assert size is not None  # every picture of maps.py has both
    width, height = (round(float(side)) + 2 * _MARGIN for side in size.groups())
    inner = picture[opening.end() :].removesuffix("</svg>")
    title = re.match(r"<title>.*?</title>", inner, re.DOTALL)
    said = title[0] if title else ""
    head = attributes(
        xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=width, height=height,
        class_=_class(opening[1]), role="img",
    )  # fmt: skip
    paper = f'<rect class="paper" width="{width}" height="{height}" rx="6"/>'
    body = f'<g transform="translate({_MARGIN} {_MARGIN})">{inner[len(said) :]}</g>'
    marks = "".join(mark for mark in _marks() if f'href="#{mark[12 : mark.index(chr(34), 12)]}"' in inner)
    return f"<svg{head}>{said}<style>{_style(picture)}</style><defs>{marks}</defs>{paper}{body}</svg>\n"


def _class(opening: str) -> str:
    match = re.search(r'class="([^"]*)"', opening)
    return match[1] if match else ""


@cache
def _marks() -> tuple[str, ...]:
    return tuple(re.findall(r"<symbol.*?</symbol>", svg.sprite(), re.DOTALL))


@cache
def _rules() -> tuple[tuple[tuple[str, frozenset[str]], ...], ...]:
    """The rules of page/style/picture.css and of the colours: ((selector and body, classes in it), ...)."""
    css = (resources.files("chainrule.explaining") / "page" / "style" / "picture.css").read_text("utf-8")
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL) + scale.style()
    return tuple(
        tuple(
            (f"{selector.strip()}{{{body.strip()}}}", frozenset(_CLASS.findall(selector)))
            for selector in selectors.split(",")
        )
        for selectors, body in _RULE.findall(css)
    )


def _style(picture: str) -> str:
    """The rules that the picture's classes use, and its colours on a light and on a dark page."""
    used = {"", *(name for value in re.findall(r'class="([^"]*)"', picture) for name in value.split())}
    rules = "".join(text for rule in _rules() for text, classes in rule if classes <= used)
    colours = f"svg{{{_LIGHT}}}@media (prefers-color-scheme:dark){{svg{{{_DARK}}}}}"
    return f"{colours}.paper{{fill:var(--card)}}{rules}"


# -- maps ----------------------------------------------------------------------------------------------------


def _maps(block: Maps, voice: Voice) -> str:
    """Maps side by side as far as a line holds, what each is below it, and the scale of colours."""
    image, alone = svg.as_images(block), len(block.panels) == 1
    parts, x, y, tall, broad = [], 0, 0, 0, 0
    for panel in block.panels:
        width, height = _size(panel, alone)
        taken = max(width, 7 * len(panel.title))
        if x and x + taken > _WIDTH:
            x, y, tall = 0, y + tall + _GAP, 0
        parts.append(_panel(block, panel, (x, y), image, alone))
        height += _TITLE if panel.title else 0
        broad = max(broad, x + taken)
        x, tall = x + taken + _GAP, max(tall, height)
    legend = _legend(block, y + tall + _GAP, voice)
    width, height = max(broad, _LEGEND[0] + 130), y + tall + _GAP + 34
    head = attributes(width=width, height=height)
    title = f"<title>{escape(voice.attribute(block.title))}</title>"
    return f"<svg{head}>{title}{''.join(parts)}{legend}</svg>"


def _panel(block: Maps, panel: Panel, at: tuple[int, int], image: bool, alone: bool) -> str:
    x, y = at
    drawn = svg.panel_map(panel, block.scale, panel.title, image=image, alone=alone)
    placed = drawn.replace("<svg", f'<svg x="{x}" y="{y}"', 1)
    if not panel.title:
        return placed
    _, height = _size(panel, alone)
    return f'{placed}<text class="tick" x="{x}" y="{y + height + 14}">{escape(panel.title)}</text>'


def _size(panel: Panel, alone: bool) -> tuple[int, int]:
    rows, columns = panel.values.shape
    return svg.panel_size(rows, columns, alone)


def _legend(block: Maps, top: int, voice: Voice) -> str:
    """The colours from -scale to scale, with 0 in the middle, and how many maps are left out."""
    width, height = _LEGEND
    steps = 8
    stops = "".join(
        f'<stop offset="{(step + steps) / (2 * steps):g}" '
        f'stop-color="{scale.hexadecimal(scale.colour(step / steps))}"/>'
        for step in range(-steps, steps + 1)
    )
    most = short(block.scale)
    ends = ((0, f"−{most}", "start"), (width // 2, "0", "middle"), (width, most, "end"))
    texts = "".join(
        f'<text class="tick {side}" x="{x}" y="{top + height + 13}">{text}</text>' for x, text, side in ends
    )
    more = ""
    if block.left_out:
        said = voice.tspans(PAGE.say("smaller_left_out", count=block.left_out))
        more = f'<text class="tick" x="{width + 14}" y="{top + height}">{said}</text>'
    bar = f'<rect x="0" y="{top}" width="{width}" height="{height}" fill="url(#scale)"/>'
    return f'<linearGradient id="scale">{stops}</linearGradient>{bar}{texts}{more}'
