"""Cases whose mistake has no name yet: what is said of them until it has.  This list only shrinks."""

from __future__ import annotations

WAITING: dict[str, tuple[str, ...]] = {
    # D as a mean over the features of its sum over the steps: two axes and a count at once.
    "attention.flash_row_sum_over_steps": ("unnamed",),
}
