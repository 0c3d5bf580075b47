"""Images that go on beyond their edges, weights between pixels, and channels that become pixels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from chainrule.formulas.primitives.declaring import primitive
from chainrule.formulas.primitives.grid import Pads
from chainrule.formulas.rules import Trait

Mode = Literal["reflect", "replicate", "circular"]
MODES: tuple[Mode, ...] = ("reflect", "replicate", "circular")


def source(index: Any, size: int, mode: str) -> Any:
    """The pixel that stands at an index, which may be beyond the edges, along an axis of `size` pixels.

    "reflect": mirrored at the outermost pixel, which is not repeated: 2 1 0 1 2; "replicate": 0 0 0 1 2;
    "circular": the opposite edge follows.
    """
    if mode == "replicate":
        return np.clip(index, 0, size - 1)
    if mode == "circular":
        return np.mod(index, size)
    turn = max(2 * (size - 1), 1)
    folded = np.mod(index, turn)
    return np.minimum(folded, turn - folded) if size > 1 else folded * 0


def sources(size: tuple[int, ...], pads: Pads, mode: str) -> Any:
    """Where the pixels of the larger image stand in that of `size`, as an index of arrays."""
    axes = zip(size, pads, strict=True)
    return np.ix_(*(source(np.arange(-before, n + after), n, mode) for n, (before, after) in axes))


def _of_framed(d: Any, y: Any, x: Any, *, pads: Pads, mode: str) -> tuple[Any, ...]:
    return (unframed(d, x, pads=pads, mode=mode),)


def _of_shuffled(d: Any, y: Any, x: Any, *, block: int) -> tuple[Any, ...]:
    return (unshuffled(d, block=block),)


REMARK = "ρ(i) is the pixel that stands at i, beyond the edges by {mode}"


@primitive(layout="framed", entry="framed", adjoint=_of_framed, remark=REMARK)
def framed(x: Any, *, pads: Pads, mode: str) -> Any:
    """X_{ρ(i-p), ρ(j-q)}, an image that goes on beyond its edges: (H, W, C, m) -> (H + 2p, W + 2q, C, m).

    pads: ((top, bottom), (left, right)), or ((before, after),) of a sequence (T, C, m).
    """
    return x[sources(x.shape[: len(pads)], pads, mode)]


@primitive(
    wrong="cropped last_copy",
    layout="unframed",
    entry="unframed",
    adjoint=lambda d, y, x, like, *, pads, mode: (framed(d, pads=pads, mode=mode), None),
    remark=f"{REMARK}; it may stand at several",
)
def unframed(x: Any, like: Any, *, pads: Pads, mode: str) -> Any:
    """The adjoint of framed: to every pixel of `like` what its copies have, Σ δ_{i,j} over ρ(i-p) = u, ..."""
    out = np.zeros_like(x, shape=like.shape, order="C")
    np.add.at(out, sources(like.shape[: len(pads)], pads, mode), x)
    return out


@primitive(wrong="blocks_as_they_lie", layout=("function", "shuffle"), entry="shuffled", adjoint=_of_shuffled)
def shuffled(x: Any, *, block: int) -> Any:
    """Z_{ri+a, rj+b, c} = X_{i, j, cr²+ar+b}, r the block: (H, W, C r², m) -> (H r, W r, C, m)."""
    height, width, channels, samples = x.shape
    parts = x.reshape(height, width, channels // block**2, block, block, samples)
    return parts.transpose(0, 3, 1, 4, 2, 5).reshape(height * block, width * block, -1, samples)


@primitive(
    wrong="blocks_as_they_lie",
    layout=("inverse_function", "shuffle"),
    entry="unshuffled",
    adjoint=lambda d, y, x, *, block: (shuffled(d, block=block),),
)
def unshuffled(x: Any, *, block: int) -> Any:
    """The inverse of shuffled, and its adjoint: (H r, W r, C, m) -> (H, W, C r², m)."""
    height, width, channels, samples = x.shape
    parts = x.reshape(height // block, block, width // block, block, channels, samples)
    return parts.transpose(0, 2, 4, 1, 3, 5).reshape(height // block, width // block, -1, samples)


def tent_length(size: int) -> int:
    """How many weights a tent has that falls to 0 at `size` from its middle."""
    return 2 * size - size % 2


@primitive(
    layout="tent",
    entry="tent",
    traits={Trait.NUMBER},
    adjoint=lambda d, y, m, *, size: (None,),
    remark="w_m falls evenly from the middle of the kernel: neighbours share a place by their distance",
)
def tent(m: Any, *, size: int) -> Any:
    """The weight at offset m of a kernel that falls to 0 at `size` from its middle: of 2 1/4 3/4 3/4 1/4."""
    return 1 - abs(m - (tent_length(size) - 1) / 2) / size
