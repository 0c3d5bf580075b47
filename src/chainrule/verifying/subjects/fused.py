"""Queries, keys and values from one matrix, as GPT-2's c_attn: judged as three, which our attention has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.subjects.subject import Gradients, Subject

PARTS = 3


@dataclass(frozen=True)
class Piece:
    """What of theirs an argument is: part `part` of number `number` along `axis`; axis None: the whole."""

    number: int
    axis: int | None = None
    part: int = 0

    def cut(self, value: Array) -> Array:
        if self.axis is None or value.ndim <= self.axis:
            return value
        return np.array_split(value, PARTS, axis=self.axis)[self.part]


def unfused(subject: Subject) -> Subject | None:
    """With three arguments for each that holds queries, keys and values one beside the other; None: there is
    none.  Of a bias the keys' part is 0: it changes no output, and ours has none.
    """
    pieces: list[Piece] = []
    sizes = {min(value.shape) for value in subject.args if value.ndim == 2 and _axes_of_three(value, set())}
    for number, value in enumerate(subject.args):
        axes = _axes_of_three(value, sizes) if number and value.dtype.kind == "f" else []
        if not axes:
            pieces.append(Piece(number))
            continue
        kept = range(PARTS) if value.ndim == 2 else (0, 2)
        pieces += [Piece(number, axes[0], part) for part in kept]
    if not any(subject.args[piece.number].ndim == 2 and piece.axis is not None for piece in pieces):
        return None

    def joined(values: Sequence[Array]) -> list[Array]:
        made: list[Array] = []
        for number, given in enumerate(subject.args):
            own = [(p, v) for p, v in zip(pieces, values, strict=True) if p.number == number]
            axis = own[0][0].axis
            if axis is None:
                made.append(own[0][1])
                continue
            parts = {piece.part: value for piece, value in own}
            none = np.zeros_like(Piece(number, axis, 1).cut(given))
            whole = [parts.get(part, none).astype(own[0][1].dtype) for part in range(PARTS)]
            made.append(np.concatenate(whole, axis=axis))
        return made

    def backward(values: Sequence[Array], delta: Array) -> Gradients:
        given = subject.backward(joined(values), delta)
        whole = [given[piece.number] for piece in pieces]
        return tuple(None if v is None else p.cut(v) for p, v in zip(pieces, whole, strict=True))

    return replace(
        subject,
        names=tuple(_name(subject, piece) for piece in pieces),
        forward=lambda values: subject.forward(joined(values)),
        backward=backward,
        args=tuple(piece.cut(subject.args[piece.number]) for piece in pieces),
        steps=None,
    )


def _axes_of_three(value: Array, sizes: set[int]) -> list[int]:
    """The axis along which three square matrices, or three vectors of one of these sizes, lie."""
    if value.ndim == 1:
        return [0] if value.size / PARTS in sizes else []
    if value.ndim != 2:
        return []
    return [axis for axis in (1, 0) if value.shape[axis] == PARTS * value.shape[1 - axis]]


def _name(subject: Subject, piece: Piece) -> str:
    """As one writes the part in Python."""
    name, value = subject.names[piece.number], subject.args[piece.number]
    if piece.axis is None:
        return name
    size = value.shape[piece.axis] // PARTS
    start, stop = ("", size) if not piece.part else (piece.part * size, "" if piece.part == 2 else 2 * size)
    return f"{name}[{':, ' * piece.axis}{start}:{stop}]"
