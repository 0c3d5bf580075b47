"""What the forms of a report share beside their texts: signs of levels, statistics, sizes in print."""

from __future__ import annotations

from chainrule.base.languages import same
from chainrule.explaining.words.catalogues import PAGE

GLYPHS = {"good": "✓", "note": "i", "warning": "!", "bad": "✕"}
STATS = (*PAGE.within("stat").values(), same("‖·‖"))


def bytes_(size: int) -> str:
    """A size in print: 2 MB, 300 kB."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
