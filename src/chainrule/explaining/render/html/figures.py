"""Blocks of numbers as figures of a page: matrices, maps, bars, curves, the chain of layers.

Every picture has its numbers: as texts in it, or as a table beside it, folded, for screen readers, for print,
for copying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.base.languages import SEMICOLON, Say
from chainrule.base.numbers import short
from chainrule.base.types import Array
from chainrule.explaining.blocks.kinds import Bars, Chain, Curve, Maps, Matrix, Panel
from chainrule.explaining.render.markup import Voice, attributes, escape, inline_math
from chainrule.explaining.render.svg import chain as svg_chain
from chainrule.explaining.render.svg import maps as svg
from chainrule.explaining.words import page as words
from chainrule.explaining.words.catalogues import PAGE
from chainrule.formulas.printing.boxes import Box

_TINTS = 5  # of a cell of a matrix, on each side of 0
_MOST_TABLE = 1000  # entries of the table beside a map: more are no help to a reader


def matrix(block: Matrix, voice: Voice, identifier: str) -> str:
    """A small matrix between brackets, every cell tinted by its size; <td data-index="row,column">."""
    rows, columns = block.values.shape
    down = _whole_indices(rows, block.shape[0], block.row_gap)
    across = _whole_indices(columns, block.shape[1], block.column_gap)
    finite = np.abs(block.values[np.isfinite(block.values)])
    largest = float(finite.max()) if finite.size else 0.0
    lines, texts = [], block.texts
    for row in range(rows):
        cells = ""
        for column in range(columns):
            value = float(block.values[row, column])
            head = attributes(class_=_tint(value, largest), data_index=f"{down[row]},{across[column]}")
            cells += f"<td{head}>{texts[row][column]}</td>"
            cells += "<td>⋯</td>" if _gap_behind(column, columns, block.column_gap) else ""
        lines.append(f"<tr>{cells}</tr>")
        if _gap_behind(row, rows, block.row_gap):
            between = columns + (block.column_gap is not None)
            lines.append(f'<tr class="gap">{"<td>⋮</td>" * between}</tr>')
    whole = PAGE.say("of_whole", rows=block.shape[0], columns=block.shape[1])
    about = f'<span class="quiet">{voice.inline(whole)}</span>'
    if any(block.stats):
        about += f' <span class="stats">{_stats(block.stats, voice)}</span>'
    head = attributes(class_="matrix", id=identifier, data_quantity=block.quantity)
    caption = f"<figcaption>{inline_math(block.symbol)} {about}</figcaption>"
    return f'<figure{head}>{caption}<div class="scroll"><table>{"".join(lines)}</table></div></figure>'


def _whole_indices(shown: int, size: int, gap: int | None) -> list[int]:
    """Which rows of the whole are shown: those behind the gap are the last ones."""
    if gap is None:
        return list(range(shown))
    return [*range(gap), *range(size - (shown - gap), size)]


def _gap_behind(number: int, shown: int, gap: int | None) -> bool:
    return gap is not None and number == gap - 1 and number < shown


def _tint(value: float, largest: float) -> str:
    if not np.isfinite(value):
        return "broken"
    size = round(abs(value) / largest * _TINTS) if largest else 0
    return f"{'n' if value < 0 else 'p'}{size}" if size else ""


def _stats(stats: Sequence[float], voice: Voice) -> str:
    named = zip(words.STATS, stats, strict=True)
    return " ".join(f"<span>{voice.inline(name)} <b>{short(value)}</b></span>" for name, value in named)


# -- pictures ------------------------------------------------------------------------------------------------


def maps(block: Maps, voice: Voice, identifier: str, tables: bool = True) -> str:
    """Maps side by side; data-quantity, data-axes and data-scale on the figure, data-index on every panel."""
    image, alone = svg.as_images(block), len(block.panels) == 1
    head = attributes(
        class_="maps", id=identifier, data_quantity=block.quantity, data_axes=_listed(block.axes),
        data_scale=f"{block.scale:.17g}",
    )  # fmt: skip
    panels = "".join(_panel(block, panel, voice, image, alone) for panel in block.panels)
    legend = (
        f'<div class="legend"><span>{short(-block.scale)}</span><span class="scale"></span>'
        f"<span>{short(block.scale)}</span>{_left_out(block.left_out, voice)}</div>"
    )
    few = sum(panel.values.size for panel in block.panels) <= _MOST_TABLE
    inner = "".join(_panel_table(panel, block.first) for panel in block.panels) if tables and few else ""
    numbers = folded(PAGE["numbers"], voice, inner) if inner else ""
    return (
        f"<figure{head}>{_caption(block.symbol, block.title, voice)}"
        f'<div class="panels">{panels}</div>{legend}{numbers}</figure>'
    )


def _panel(block: Maps, panel: Panel, voice: Voice, image: bool, alone: bool) -> str:
    said = voice.attribute(_description(panel, block.first))
    label = f"{voice.attribute(block.title)} {panel.title}: {said}"
    picture = svg.panel_map(panel, block.scale, label, image=image, alone=alone)
    title = f"<figcaption>{escape(panel.title)}</figcaption>" if panel.title else ""
    rows, columns = panel.values.shape
    head = attributes(class_="panel", data_index=_listed(panel.index), data_size=f"{rows},{columns}")
    return f"<figure{head}>{picture}{title}</figure>"


def _description(panel: Panel, first: tuple[int, int]) -> Say:
    """Size and range of a map, in words; first: the numbers of its first row and column."""
    values = np.where(np.isfinite(panel.values), panel.values, 0.0)
    rows, columns = values.shape
    if not values.size:
        return PAGE.say("map.size", rows=rows, columns=columns, least="–", most="–")
    least, most = short(float(values.min())), short(float(values.max()))
    parts = [PAGE.say("map.size", rows=rows, columns=columns, least=least, most=most)]
    for wanted, at in (("largest", values.argmax()), ("smallest", values.argmin())):
        row, column = divmod(int(at), columns)
        place = {"row": row + first[0], "column": column + first[1]}
        parts.append(PAGE.say(f"map.{wanted}", **place, value=short(float(values[row, column]))))
    return SEMICOLON.join(parts)


def _panel_table(panel: Panel, first: tuple[int, int]) -> str:
    rows, columns = (
        [str(start + i) for i in range(count)]
        for start, count in zip(first, panel.values.shape, strict=True)
    )
    return number_table(rows, columns, panel.values, panel.title)


def bars(block: Bars, voice: Voice, identifier: str) -> str:
    """Bars per label and group, <rect data-row data-group>, and their numbers as texts of the picture."""
    picture = svg.bars(block, voice)
    head = attributes(class_="chart", id=identifier, data_quantity=block.quantity)
    caption = _caption(block.symbol, block.title, voice)
    more = _left_out(block.left_out, voice)
    return f'<figure{head}>{caption}<div class="scroll">{picture}</div>{more}</figure>'


def curve(block: Curve, voice: Voice, identifier: str, tables: bool = True) -> str:
    """f, f' and the histogram of z."""
    caption = f"<figcaption>{voice.inline(block.title)}</figcaption>"
    head = attributes(class_="chart", id=identifier)
    named = zip(block.edges[:-1], block.edges[1:], strict=True)
    labels = [f"{short(float(a), 3)} … {short(float(b), 3)}" for a, b in named]
    counts = np.asarray(block.counts, np.float64).reshape(-1, 1)
    numbers = ""
    if labels and tables:
        numbers = folded(PAGE["numbers"], voice, number_table(labels, ("#z",), counts))
    return f"<figure{head}>{caption}{svg.curve(block, voice)}{numbers}</figure>"


def chain(block: Chain, voice: Voice, identifier: str, links: Mapping[str, str]) -> str:
    """The network in two forms, of which the page shows one; <g class="node" data-layer>."""
    forms = (svg_chain.chain(block, voice, links, form) for form in (svg_chain.WIDE, svg_chain.NARROW))
    return f"<figure{attributes(class_='network', id=identifier)}>{''.join(forms)}</figure>"


def number_table(labels: Sequence[object], head: Sequence[str], values: Array, corner: str = "") -> str:
    """A table of numbers with three digits, a head of columns and one of rows."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    rows = "".join(
        f'<tr><th scope="row">{escape(str(label))}</th>'
        + "".join(f"<td>{short(float(value), 3)}</td>" for value in line)
        + "</tr>"
        for label, line in zip(labels, values, strict=True)
    )
    return (
        f'<div class="scroll"><table class="values"><thead><tr><th scope="col">{escape(corner)}</th>'
        f"{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def folded(summary: Say, voice: Voice, content: str, kind: str = "more") -> str:
    """Something shown on demand."""
    return f'<details class="{kind}"><summary>{voice.inline(summary)}</summary>{content}</details>'


def _caption(symbol: Box, title: Say, voice: Voice) -> str:
    return f"<figcaption>{inline_math(symbol)} {voice.inline(title)}</figcaption>"


def _left_out(number: int, voice: Voice) -> str:
    if not number:
        return ""
    return f'<span class="quiet">{voice.inline(PAGE.say("smaller_left_out", count=number))}</span>'


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))
