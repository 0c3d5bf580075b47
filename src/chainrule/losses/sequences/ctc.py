r"""Connectionist temporal classification (Graves et al. 2006): -log P(y | a) of all ways that read y.

    P(y | a) = Σ_{π reads y} Π_t exp a_{t,π_t}        ∂(-log P)/∂a_{t,k} = -γ_{t,k}
γ_{t,k} is the share of P that goes through class k at step t, by one walk forward and one backward
(formulas/primitives/paths.py). Behind LogSoftmax δ is exp(a) - γ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, describe
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_count
from chainrule.base.types import Array, Shape
from chainrule.formulas import count_labels, log_paths, maximum, named, path_shares
from chainrule.layers import Layer
from chainrule.losses.base import Loss, Takes
from chainrule.losses.likelihoods import check_log_probabilities


@teach()
@dataclass(frozen=True, repr=False)
class CTC(Loss):
    """-log P(y | a): a sequence of labels, read from more steps than it has, whichever way. End the network,
    whose outputs are (steps, classes), in LogSoftmax().

    A way names a class at every step; it reads as its classes with repeats once and the class `blank` not at
    all, and P adds up the ways that read y.
    y: rows of labels (N, S), negative behind the last one; or what `CTC().rows` makes of labels and lengths.
    mean_labels=True divides by the number of labels of the sample (at least 1), as PyTorch's mean does.
    zero_infinity=True: a sample that no way reads, having more labels than its steps hold, counts 0 and has
    no gradient; otherwise its value is infinite.
    """

    blank: int = 0
    mean_labels: bool = False
    zero_infinity: bool = False

    targets: ClassVar[tuple[float, float]] = (0.0, 1.0)
    takes: ClassVar[Takes] = "sequences"

    def __post_init__(self) -> None:
        super().__post_init__()
        hint = "the class that is read as nothing, of all outputs of the network"
        object.__setattr__(self, "blank", check_count("CTC blank", self.blank, 0, hint=hint))

    def check_output(self, network_layers: Sequence[Layer]) -> None:
        check_log_probabilities(self, network_layers[-1])

    def value(self, a: Any, y: Any) -> Any:
        return self._averaged(-log_paths(a, y, blank=self.blank, nothing=self.zero_infinity), y)

    def gradient(self, a: Any, y: Any) -> Any:
        return self._averaged(-path_shares(a, y, blank=self.blank, nothing=self.zero_infinity), y)

    def _averaged(self, value: Any, y: Any) -> Any:
        if not self.mean_labels:
            return value
        return value / named("S", maximum(count_labels(y, blank=self.blank), 1))

    def rows(
        self,
        labels: Any,
        output_shape: Shape,
        *,
        label_lengths: Any = None,
        input_lengths: Any = None,
    ) -> Array:
        """The targets of a network that ends in output_shape (T, K), (N, T, K) of 0 and 1: row s has a 1 at
        label s, and row t at `blank` where step t is not there.

        labels: integers (N, S), negative behind the last one, or as many lists of any length.
        label_lengths, input_lengths: (N,), how many labels and how many steps every sample has; by default
            what there is.
        Raises ArgumentError for labels that are no class or `blank`, for more of them than steps, and for
        lengths that are not one for every sample.
        """
        if len(output_shape) != 2 or not self.blank < output_shape[1]:
            raise ArgumentError(
                f"{self!r} reads steps of more than {max(self.blank, 1)} classes, (steps, classes), and the "
                f"network ends in {output_shape}"
            )
        steps, classes = output_shape
        given = [np.asarray(row).ravel() for row in labels]
        read = _lengths("label_lengths", label_lengths, len(given), max(map(len, given), default=0))
        there = _lengths("input_lengths", input_lengths, len(given), steps)
        rows = np.zeros((len(given), *output_shape))
        for n, row in enumerate(given):
            kept = row if read is None else row[: read[n]]
            kept = kept[: int((kept < 0).argmax()) if (kept < 0).any() else None]
            wrong = (kept == self.blank) | (kept >= classes) | (kept != np.round(kept))
            if wrong.any():
                what = "the blank" if kept[wrong][0] == self.blank else f"no class of 0 to {classes - 1}"
                raise ArgumentError(
                    f"CTC labels must be classes beside the blank, {self.blank}, and negative behind the "
                    f"last: entry [{n}, {int(wrong.argmax())}] is {describe(kept[wrong][0].item())}, {what}"
                )
            if len(kept) > steps:
                raise ArgumentError(
                    f"CTC labels [{n}] are {len(kept)}, and the network has {steps} steps: a label takes one "
                    "at least; write fewer labels, or let the network keep more steps"
                )
            rows[n, np.arange(len(kept)), kept.astype(np.int64)] = 1
            if there is not None:
                rows[n, there[n] :, self.blank] = 1
        return rows


def _lengths(name: str, lengths: Any, samples: int, most: int) -> Array | None:
    if lengths is None:
        return None
    given = np.asarray(lengths)
    whole = given.dtype.kind in "iu" and given.shape == (samples,)
    if not whole or (given < 0).any() or (given > most).any():
        raise ArgumentError(
            f"CTC {name} must be {samples} integers from 0 to {most}, one for every sample, received "
            f"{describe(lengths)}"
        )
    return given
