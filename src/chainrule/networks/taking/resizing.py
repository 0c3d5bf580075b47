"""What ONNX's Resize makes along one axis: of which pixels each new one is made, and with what weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.formulas.primitives.axes import Taps

NEAREST: dict[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda at: math.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: math.floor(at + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}
REACH = {"linear": 1, "cubic": 2}
COORDINATES = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"),
    "tf_crop_and_resize",
)


@dataclass(frozen=True)
class Resizing:
    """How pixels are resized: the operator's attributes, and begin and end of the region along the axis."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    region: tuple[float, float] = (0.0, 1.0)

    def taps(self, size: int, made: int, scale: float) -> Taps:
        """Of `size` pixels `made` ones, `scale` times as large; none where a new one lies outside."""
        return tuple(self._of(self._place(u, size, made, scale), size, scale) for u in range(made))

    def _place(self, u: int, size: int, made: int, scale: float) -> float:
        """Where pixel u lies among those there are."""
        whole = scale * size
        if self.coordinates == "align_corners":
            return u * (size - 1) / (whole - 1) if whole != 1 else 0.0
        if self.coordinates == "asymmetric":
            return u / scale
        if self.coordinates == "tf_crop_and_resize":
            begin, end = self.region
            if whole == 1:
                return (begin + end) * (size - 1) / 2
            return (begin + u * (end - begin) / (whole - 1)) * (size - 1)
        if self.coordinates == "pytorch_half_pixel" and whole == 1:
            return -0.5
        offset = size / 2 * (1 - made / whole) if self.coordinates == "half_pixel_symmetric" else 0.0
        return offset + (u + 0.5) / scale - 0.5

    def _of(self, at: float, size: int, scale: float) -> tuple[tuple[int, float], ...]:
        if self.coordinates == "tf_crop_and_resize" and not 0 <= at <= size - 1:
            return ()
        if self.mode == "nearest":
            return ((min(max(NEAREST[self.nearest](at), 0), size - 1), 1.0),)
        narrow = min(scale, 1.0) if self.antialias else 1.0
        reach = REACH[self.mode] / narrow
        weights = {
            i: self._kernel((i - at) * narrow)
            for i in range(math.floor(at - reach) + 1, math.ceil(at + reach))
        }
        if self.exclude_outside:
            weights = {i: weight for i, weight in weights.items() if 0 <= i < size}
        total = math.fsum(weights.values()) if self.exclude_outside or self.antialias else 1.0
        made: dict[int, float] = {}
        for i, weight in weights.items():  # beyond the edges its pixels are there again
            inside = min(max(i, 0), size - 1)
            made[inside] = made.get(inside, 0.0) + weight / total
        return tuple((i, weight) for i, weight in sorted(made.items()) if weight)

    def _kernel(self, distance: float) -> float:
        x, a = abs(distance), self.cubic
        if self.mode == "linear":
            return max(1 - x, 0.0)
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0
