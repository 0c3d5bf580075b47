"""The geometry of windows that slide over an image: sizes, paddings, and which pixel meets which window.

An image has two axes of positions, a sequence one, a volume three; a Grid has as many as its kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]
Sizes = tuple[int, ...]
Pads = tuple[Pair, ...]
Slices = tuple[slice, ...]
KEPT = "same"  # in place of how many parts an axis has: as many as pixels
Parts = tuple[int | str, ...]

# By what they count, along the axes of a volume; an image has the last two, a sequence the second alone.
LETTERS = {"offset": "rmn", "window": "hij", "pixel": "tuv", "before": "opq"}


def letters_of(what: str, axes: int) -> str:
    """The letters of as many axes: of offsets in a kernel mn, m alone or rmn."""
    return LETTERS[what] if axes == 3 else LETTERS[what][1 : 1 + axes]


def parts(size: int, count: int | str) -> list[range]:
    """The windows of an axis in so many parts: i from ⌊i size/count⌋ to before ⌈(i + 1) size/count⌉. They
    share pixels where count does not divide size. KEPT: a pixel each.
    """
    many = size if count == KEPT else int(count)
    return [range(i * size // many, -(-(i + 1) * size // many)) for i in range(many)]


@dataclass(frozen=True)
class Grid:
    """Windows of size `kernel`, `stride` apart, over an image framed by zeros.

    padding: "same" (output = ceil(size / stride); an odd zero goes to the bottom or right, as in
    TensorFlow), or ((top, bottom), (left, right)).  dilation: the distance between the pixels of one window.
    outside: extra rows and columns of the image behind the last window, where it is the windows that are
    given (a transposed convolution).  Rows and columns that fit no window are dropped; with `ceil` a last
    window reaches over the edge for them, if it begins in the image or in the frame before it.
    """

    kernel: Sizes
    stride: Sizes = ()
    padding: str | Pads = ()
    dilation: Sizes = ()
    outside: Sizes = ()
    ceil: bool = False

    def __post_init__(self) -> None:
        axes = len(self.kernel)
        for name, value in (("stride", 1), ("padding", (0, 0)), ("dilation", 1), ("outside", 0)):
            if getattr(self, name) == ():
                object.__setattr__(self, name, (value,) * axes)

    @property
    def extent(self) -> Sizes:
        """What a window spans: (kernel - 1) · dilation + 1."""
        return tuple((k - 1) * step + 1 for k, step in zip(self.kernel, self.dilation, strict=True))

    @property
    def letters(self) -> str:
        """The letters of the kernel's offsets: mn, m alone, or rmn."""
        return letters_of("offset", len(self.kernel))

    @property
    def padded(self) -> bool:
        """Whether the image may have a frame."""
        return self.ceil or isinstance(self.padding, str) or any(map(any, self.padding))

    def pads(self, size: Sizes) -> Pads:
        """((top, bottom), (left, right)) for an image of `size` rows and columns."""
        return tuple(self.pads_along(axis, length) for axis, length in enumerate(size))

    def _same(self, axis: int, size: int) -> Pair:
        positions = -(-size // self.stride[axis])
        total = max((positions - 1) * self.stride[axis] + self.extent[axis] - size, 0)
        return total // 2, total - total // 2

    def _beyond(self, axis: int, size: int) -> Pair:
        """The frame, with as much behind it as the last window reaches over the edge."""
        assert not isinstance(self.padding, str)
        (before, after), stride = self.padding[axis], self.stride[axis]
        room = size + before + after - self.extent[axis]
        last = -(-room // stride)
        if last * stride >= size + before:  # it would see nothing but the frame behind
            last -= 1
        return before, after + max(last * stride - room, 0)

    def positions(self, size: Sizes) -> Sizes:
        """Windows along rows and columns: floor((size + pads - extent) / stride) + 1; may be <= 0."""
        return tuple(self.positions_along(axis, length) for axis, length in enumerate(size))

    def pads_along(self, axis: int, size: int) -> Pair:
        """The frame of one axis of `size` pixels."""
        if isinstance(self.padding, str):
            return self._same(axis, size)
        return self._beyond(axis, size) if self.ceil else self.padding[axis]

    def positions_along(self, axis: int, size: int) -> int:
        """Windows along one axis."""
        return (size + sum(self.pads_along(axis, size)) - self.extent[axis]) // self.stride[axis] + 1

    def sees(self, axis: int, size: int) -> bool:
        """Whether every window along an axis has a pixel: those whose pixels lie apart may have none."""
        step, first = self.dilation[axis], -self.pads_along(axis, size)[0]
        count = self.positions_along(axis, size) if step > 1 else 0
        starts = [first + i * self.stride[axis] for i in range(count)]
        return all(any(0 <= u + m * step < size for m in range(self.kernel[axis])) for u in starts)

    def image(self, positions: Sizes) -> Sizes:
        """The image that has so many windows: stride·(positions - 1) + extent - pads + outside; may be <= 0.

        "same": stride · positions.
        """
        if isinstance(self.padding, str):
            return tuple(count * step for count, step in zip(positions, self.stride, strict=True))
        axes = zip(positions, self.stride, self.extent, self.padding, self.outside, strict=True)
        return tuple((count - 1) * step + span - sum(pads) + more for count, step, span, pads, more in axes)

    def meet(self, size: Sizes, offset: Sizes) -> tuple[Slices, Slices]:
        """(pixels, windows): pixel u lies at `offset` m of window i when u = stride·i + dilation·m - pad.

        Both are slices over rows and columns, of equal length; windows whose pixel falls into the padding are
        left out.
        """
        pixels, windows = [], []
        for axis, count in enumerate(self.positions(size)):
            step, shift = self.stride[axis], self.dilation[axis] * offset[axis] - self.pads(size)[axis][0]
            first = max(0, -(shift // step))
            last = max(min(count, (size[axis] - 1 - shift) // step + 1), first)
            windows.append(slice(first, last))
            start = first * step + shift
            pixels.append(slice(start, max(start + (last - first - 1) * step + 1, start), step))
        return tuple(pixels), tuple(windows)
