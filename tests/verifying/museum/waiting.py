"""Cases whose mistake has no name yet: what is said of them until it has.  This list only shrinks."""

from __future__ import annotations

WAITING: dict[str, tuple[str, ...]] = {}
