"""The colours of signed numbers: blue below 0, a neutral white at 0, orange above.

Blue and orange stay apart for every kind of colour blindness, and both ends are as dark as each other, so
that size is read from lightness alone.  0 is always neutral: a scale runs from -scale to scale, never from
the smallest to the largest value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 24  # on each side of 0: a step is 4 % of the scale, less than an eye tells apart in small cells
BROKEN = 2 * STEPS + 1  # the level of NaN and of the infinities

_NEUTRAL = (246, 246, 244)
_STOPS = {
    -1: (_NEUTRAL, (188, 215, 235), (107, 168, 214), (38, 112, 173), (10, 55, 104)),
    1: (_NEUTRAL, (252, 210, 164), (242, 154, 76), (200, 97, 24), (112, 45, 4)),
}
_GREY = (140, 140, 140)


def colour(position: float) -> tuple[int, int, int]:
    """The colour (red, green, blue) of a position between -1 and 1."""
    stops = _STOPS[-1 if position < 0 else 1]
    along = min(abs(position), 1.0) * (len(stops) - 1)
    start = min(int(along), len(stops) - 2)
    share = along - start
    red, green, blue = (
        round(a + (b - a) * share) for a, b in zip(stops[start], stops[start + 1], strict=True)
    )
    return red, green, blue


def levels(values: NDArray[np.float64], scale: float, steps: int = STEPS) -> NDArray[np.int64]:
    """Levels 0 … 2 * steps of values, `steps` is 0; 2 * steps + 1 where a value is not finite."""
    finite = np.isfinite(values)
    position = (
        np.where(finite, values, 0.0) / scale if scale > 0 and np.isfinite(scale) else np.zeros_like(values)
    )
    level = np.rint(np.clip(position, -1, 1) * steps).astype(np.int64) + steps
    return np.where(finite, level, 2 * steps + 1)


def palette(steps: int = STEPS) -> list[tuple[int, int, int]]:
    """The colours of the levels."""
    return [colour((level - steps) / steps) for level in range(2 * steps + 1)] + [_GREY]


def hexadecimal(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def style() -> str:
    """CSS: the fill of the cells of a map, by level, and the bar of a legend."""
    fills = "".join(f".k{level}{{fill:{hexadecimal(rgb)}}}" for level, rgb in enumerate(palette()))
    stops = ",".join(hexadecimal(colour(position / 8)) for position in range(-8, 9))
    return f"{fills}.scale{{background:linear-gradient(90deg,{stops})}}"
