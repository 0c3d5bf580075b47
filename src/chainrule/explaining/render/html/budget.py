"""A page within its budget: what it leaves out, and in which order.

Every reduction is made only where the page is still too large: the tables of numbers beside pictures (the
pictures are there), bars of samples that are not in focus, all but the largest maps, numbers of tensors (the
page then says that it does not compute with them), and at last its scripts, which makes it a document.
Formulas, worked elements, tables and texts always stay; a page that they alone make too large says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from chainrule.base.languages import Say
from chainrule.explaining.blocks.kinds import Bars, Block, Card, Maps, Outline, Section
from chainrule.explaining.words.catalogues import PAGE

_TABLE = re.compile(r'<table class="values">.*?</table>', re.DOTALL)
_OTHER = re.compile(r' data-group="[1-9]')
_PANEL = re.compile(r'<figure class="panel".*?</figure>', re.DOTALL)
_FEW = 4  # maps of a figure
_SPARE = 500  # bytes for what the page says of it


@dataclass(frozen=True)
class Detail:
    """How much of a report a page has.

    tables: numbers of pictures as tables.  others: bars of samples out of focus.  maps: how many a figure
    has.  freed: bytes of tensors left out.  scripts: whether it computes.  left_out: what it says of that.
    """

    tables: bool = True
    others: bool = True
    maps: int | None = None
    freed: int = 0
    scripts: bool = True
    left_out: tuple[Say, ...] = ()
    too_large: int = 0  # the size of a page that is over its budget all the same

    def without(self, what: Say, **changes: object) -> Detail:
        """Less of it."""
        return replace(self, left_out=(*self.left_out, what), **changes)  # type: ignore[arg-type]


def _steps(detail: Detail, over: int) -> Detail | None:
    """One reduction more; over: bytes that are too many.  None where nothing is left to leave out."""
    if detail.tables:
        return detail.without(PAGE["left_out.tables"], tables=False)
    if detail.others:
        return detail.without(PAGE["left_out.other_samples"], others=False)
    if detail.maps is None:
        return detail.without(PAGE["left_out.maps"], maps=_FEW)
    if detail.maps > 1:
        return replace(detail, maps=1)
    if not detail.freed:
        return detail.without(PAGE["left_out.numbers"], freed=over + _SPARE)
    if detail.scripts:
        return detail.without(PAGE["left_out.scripts"], scripts=False)
    return None


def fitted(outline: Outline, budget: int | None, write: Callable[[Outline, Detail], str]) -> str:
    """The page as `write` makes it, with as much detail as `budget` bytes allow; None: with all."""
    detail = last = Detail()
    page = write(outline, detail)
    while budget is not None and (over := len(page.encode()) - budget) > 0:
        following = _enough(page, last, over)
        if following is None:
            return write(reduced(outline, last), replace(last, too_large=len(page.encode())))
        last = following
        page = write(reduced(outline, last), last)
    return page


def _enough(page: str, detail: Detail, over: int) -> Detail | None:
    """So many reductions as are likely to save `over` bytes: a page is not written after each of them."""
    reduction = _steps(detail, over)
    while reduction is not None and not reduction.freed:
        over -= _saving(page, detail, reduction)
        following = _steps(reduction, over)
        if over <= 0 or following is None or following.freed:  # of which the bytes must be known
            break
        detail, reduction = reduction, following
    return reduction


def _saving(page: str, before: Detail, after: Detail) -> int:
    """About how many bytes a reduction saves."""
    if before.tables != after.tables:
        return sum(len(table.encode()) for table in _TABLE.findall(page))
    if before.others != after.others:
        return 150 * len(_OTHER.findall(page))
    panels = sum(len(panel.encode()) for panel in _PANEL.findall(page))
    return panels * 2 // 5


def reduced(outline: Outline, detail: Detail) -> Outline:
    """The outline with the pictures that a page has room for."""
    if detail.others and detail.maps is None:
        return outline
    sections = tuple(
        replace(section, blocks=_reduced(section.blocks, detail)) for section in outline.sections
    )
    return replace(outline, sections=sections)


def _reduced(blocks: tuple[Block, ...], detail: Detail) -> tuple[Block, ...]:
    return tuple(_smaller(block, detail) for block in blocks)


def _smaller(block: Block, detail: Detail) -> Block:
    match block:
        case Card() | Section():
            return replace(block, blocks=_reduced(block.blocks, detail))
        case Bars() if not detail.others and len(block.groups) > 1:
            return replace(block, groups=block.groups[:1], values=block.values[:, :1])
        case Maps() if detail.maps is not None and len(block.panels) > detail.maps:
            # The largest of them, in their order: panels are not sorted by size.
            sizes = [float((panel.values**2).sum()) for panel in block.panels]
            order = sorted(range(len(sizes)), key=lambda place: -sizes[place])[: detail.maps]
            panels = tuple(block.panels[place] for place in sorted(order))
            left_out = block.left_out + len(block.panels) - len(panels)
            return replace(block, panels=panels, left_out=left_out)
    return block
