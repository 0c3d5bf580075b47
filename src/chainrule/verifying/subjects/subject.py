"""Subject: what somebody wrote, as one form: an output from arguments, and a gradient for each from δ.

Their code runs as it is, in the process that asks: isolating it is the caller's job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.differences import Known

Gradients = tuple[Array | None, ...]


@dataclass(frozen=True, eq=False)
class Steps:
    """The two calls as they are, on one object, so that what is kept between calls shows.

    forward(args) -> (output, what it keeps); backward(what was kept, δ) -> gradients, not copied.
    keeps: False where an object keeps it itself, so that a second forward replaces what the first kept.
    clear: sets gradients to zero where their code has a way to, such as zero_grad().
    holder: the object that keeps it.
    """

    forward: Callable[[Sequence[Array]], tuple[Array, Any]]
    backward: Callable[[Any, Array], Gradients]
    keeps: bool = True
    clear: Callable[[], None] | None = None
    holder: Any = None


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
    alone: of several outputs that have a δ each of them as a Subject, the others with a δ of 0, by its place
    among all; {} where there is one.  together: all of them as one, flattened and joined, each with its δ.
    without: the same code without a mistake, by the key of the mistake's text, where it can be run so.
    as_is: the same where every call runs their code anew; None: forward and backward do.
    pulled: runs their forward once; what their backward gives of a δ then, anew at each call.
    measured: the differences that were taken of it, and of what was made of it.
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
    alone: Mapping[int, Subject] = field(default_factory=dict)
    together: Subject | None = None
    without: Mapping[str, Subject] = field(default_factory=dict)
    as_is: Subject | None = None
    pulled: Callable[[Sequence[Array]], Callable[[Array], Gradients]] | None = None
    measured: Known = field(default_factory=dict)

    @property
    def fixed(self) -> bool:
        """Whether the gradients are numbers of one probe, args and delta."""
        return self.delta is not None

    def drawn_delta(self, out: Array, rng: np.random.Generator) -> Array:
        """A δ of an output: random numbers of its type; 1 where backward takes none."""
        return rng.normal(size=out.shape).astype(out.dtype) if self.takes_delta else np.ones_like(out)


# What runs with a δ of one output, or of all of them (None): (forward, backward), or these and `pulled`.
OfOutput = Callable[[int | None], Sequence[Any]]


def with_outputs(subject: Subject, places: Sequence[int], of_output: OfOutput) -> Subject:
    """The subject with its several outputs, of which those at `places` have a δ; as it is with one."""
    if len(places) < 2:
        return subject
    made = [of_output(place) for place in (*places, None)]
    plain = replace(subject, takes_delta=True, notes=(), steps=None, as_is=None, pulled=None)
    each = [
        replace(plain, forward=forward, backward=backward, pulled=pulled[0] if pulled else None)
        for forward, backward, *pulled in made
    ]
    return replace(subject, alone=dict(zip(places, each, strict=False)), together=each[-1])


def joined_outputs(outputs: Sequence[Array]) -> Array:
    """Outputs as one, flattened."""
    return np.concatenate([np.ravel(out) for out in outputs])


def cut_deltas(delta: Array, outputs: Sequence[Array]) -> list[Array]:
    """δ of joined outputs as that of each, in its shape and type."""
    parts = cut(delta, [out.shape for out in outputs])
    return [part.astype(out.dtype) for part, out in zip(parts, outputs, strict=True)]


def cut(delta: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """δ of joined outputs as that of each, an array of NumPy or JAX, in these shapes."""
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)]).tolist()
    return [delta[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]
