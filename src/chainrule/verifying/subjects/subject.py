"""Subject: what somebody wrote, as one form: an output from arguments, and a gradient for each from δ.

Their code runs as it is, in the process that asks: isolating it is the caller's job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base.languages import Say
from chainrule.base.types import Array

Gradients = tuple[Array | None, ...]


@dataclass(frozen=True, eq=False)
class Steps:
    """The two calls as they are, on one object, so that what is kept between calls shows.

    forward(args) -> (output, what it keeps); backward(what was kept, δ) -> gradients, not copied.
    keeps: False where an object keeps it itself, so that a second forward replaces what the first kept.
    clear: sets gradients to zero where their code has a way to, such as zero_grad().
    """

    forward: Callable[[Sequence[Array]], tuple[Array, Any]]
    backward: Callable[[Any, Array], Gradients]
    keeps: bool = True
    clear: Callable[[], None] | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """forward(args) is the output; backward(args, δ) one gradient per argument, None where it gives none.

    names: of the arguments, as messages call them.  args: what was handed in for them, arrays.
    takes_delta: False where the code gives the gradients of a number itself: the output has the shape (), and
        its δ is 1; another δ multiplies the gradients here, so that nothing is learned from one.
    precision: "float16", "bfloat16", "float32" where it computes in less than the arrays' type; None: in it.
    delta: where gradients are numbers that somebody saved: the δ that they belong to; then args and delta are
        the only probe there is.
    notes: how it was read, where there was a choice.
    steps: makes the two calls apart; None where there are no two.
    """

    title: str
    names: tuple[str, ...]
    forward: Callable[[Sequence[Array]], Array]
    backward: Callable[[Sequence[Array], Array], Gradients]
    takes_delta: bool = True
    precision: str | None = None
    args: tuple[Array, ...] = ()
    delta: Array | None = None
    notes: tuple[Say, ...] = ()
    steps: Callable[[], Steps] | None = None

    @property
    def fixed(self) -> bool:
        """Whether the gradients are numbers of one probe, args and delta."""
        return self.delta is not None
