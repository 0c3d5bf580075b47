"""What the doctor says of a case, in English and Chinese: what is wrong, why it thinks so (the numbers), what
to do.

The sentences are in texts.toml, by rule, and by rule and text where a case names a text of its own, which may
leave out sentences: then the rule's own stand.  The fields are the case's numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.base.languages import Catalogue, Say
from chainrule.base.numbers import equals, short

TEXTS = Catalogue("chainrule.diagnosing", "texts")


def sentence(rule: str, part: str, case: Mapping[str, Any]) -> Say:
    """One of "what", "why" and "cure" of a case, its numbers filled in."""
    special = f"{rule}.{case.get('text')}.{part}"
    template = TEXTS[special if special in TEXTS else f"{rule}.{part}"]
    return template.format(**{name: _Shown(value) for name, value in case.items()})


class _Shown:
    """A value of a case in a template: numbers with three digits, with ":%" as percent, with ":=" behind = or
    ≈.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __format__(self, form: str) -> str:
        if form == "%":
            return f"{100 * self.value:.0f} %"
        if form == "=":
            return equals(self.value, 3)
        if isinstance(self.value, float):
            return short(self.value, 3)
        return str(self.value)
