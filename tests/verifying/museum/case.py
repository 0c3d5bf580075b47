"""Case: a backward pass with a mistake in it, what it is meant to be, and the words that name the mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.verifying.museum.meant import resolved

from chainrule.base.errors import ChainruleError
from chainrule.verifying.verify import verify

Made = tuple[Any, tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Case:
    """make() -> (what is handed to verify, args); a fresh one each time, for some keep things.

    words: of which one must be said; in `why` (by_text False) or in the English text (True).
    """

    name: str
    family: str
    source: str
    mistake: str
    make: Callable[[], Made]
    like: Any
    words: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    by_text: bool = False

    @np.errstate(all="ignore")
    def outcome(self) -> tuple[str, str]:
        """("named" | "unnamed" | "other" | "right" | "not accepted" | "crash", what was said)."""
        subject, args = self.make()
        try:
            verdict = verify(subject, args=args, like=resolved(self.like), **self.options)
        except ChainruleError as error:
            return "not accepted", str(error)
        except Exception as error:
            return "crash", f"{type(error).__name__}: {error}"
        said = verdict.text("en") if self.by_text else ", ".join(verdict.why)
        if verdict.verdict != "wrong":
            return verdict.verdict, str(verdict)
        if not all(verdict.why):
            return "unnamed", str(verdict)
        return ("named" if any(word in said for word in self.words) else "other"), str(verdict)


class Cases(list[Case]):
    """Those of one file."""

    def __init__(self, family: str) -> None:
        super().__init__()
        self.family = family.rpartition(".")[2]

    def bug(
        self, source: str, mistake: str, like: Any, words: str | Iterable[str] = (), **options: Any
    ) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
        """Enter the decorated function. words: of which one is enough, none: any name will do."""
        listed = (words,) if isinstance(words, str) else tuple(words)

        def enter(make: Callable[[], Made]) -> Callable[[], Made]:
            self.append(Case(make.__name__, self.family, source, mistake, make, like, listed, options))
            return make

        return enter

    def seen(
        self, mistake: str, like: Any, words: Iterable[str], **options: Any
    ) -> Callable[[Callable[[], Made]], Callable[[], Made]]:
        """As `bug`, of the examiner: judged by the English text."""

        def enter(make: Callable[[], Made]) -> Callable[[], Made]:
            made = Case(
                make.__name__, self.family, "examiner", mistake, make, like, tuple(words), options, True
            )
            self.append(made)
            return make

        return enter


def normal(seed: int, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Arrays of normal numbers, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=shape) for shape in shapes)
