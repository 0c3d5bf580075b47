"""Tables by what to write."""

from __future__ import annotations

from collections.abc import Mapping


def by_name(instead: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What to write, by every name that stands for it."""
    return {name: advice for advice, names in instead.items() for name in names}
