"""The geometry of windows that slide over an image: sizes, paddings, and which pixel meets which window."""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


@dataclass(frozen=True)
class Grid:
    """Windows of size `kernel`, `stride` apart, over an image framed by zeros.

    padding: "same" (output = ceil(size / stride); an odd zero goes to the bottom or right, as in
    TensorFlow), or ((top, bottom), (left, right)).  Rows and columns that fit no window are dropped.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: str | Pads = ((0, 0), (0, 0))

    def pads(self, size: Pair) -> Pads:
        """((top, bottom), (left, right)) for an image of `size` rows and columns."""
        if isinstance(self.padding, str):
            return self._same(0, size[0]), self._same(1, size[1])
        return self.padding

    def _same(self, axis: int, size: int) -> Pair:
        positions = -(-size // self.stride[axis])
        total = max((positions - 1) * self.stride[axis] + self.kernel[axis] - size, 0)
        return total // 2, total - total // 2

    def positions(self, size: Pair) -> Pair:
        """Windows along rows and columns: floor((size + pads - kernel) / stride) + 1; may be <= 0."""
        rows, columns = (
            (size[axis] + sum(pads) - self.kernel[axis]) // self.stride[axis] + 1
            for axis, pads in enumerate(self.pads(size))
        )
        return rows, columns

    def meet(self, size: Pair, offset: Pair) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """(pixels, windows): pixel u lies at `offset` m of window i exactly when u = stride * i + m - pad.

        Both are slices over rows and columns, of equal length; windows whose pixel falls into the padding are
        left out.
        """
        pixels, windows = [], []
        for axis, count in enumerate(self.positions(size)):
            step, shift = self.stride[axis], offset[axis] - self.pads(size)[axis][0]
            first = max(0, -(shift // step))
            last = max(min(count, (size[axis] - 1 - shift) // step + 1), first)
            windows.append(slice(first, last))
            start = first * step + shift
            pixels.append(slice(start, max(start + (last - first - 1) * step + 1, start), step))
        return (pixels[0], pixels[1]), (windows[0], windows[1])
