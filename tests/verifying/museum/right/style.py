"""Style: one way to write a right forward and backward, made for many shapes, types and seeds."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tests.verifying.museum.meant import resolved

from chainrule.verifying.verify import Verdict, verify

# Sizes by the letters that styles read: m samples, i and o features, t steps, h and v rows and columns.
SIZES: dict[str, dict[str, int]] = {
    "plain": {"m": 3, "i": 4, "o": 5, "t": 6, "h": 8, "v": 6, "c": 2},
    "odd": {"m": 7, "i": 5, "o": 3, "t": 3, "h": 7, "v": 9, "c": 3},
    "one sample": {"m": 1, "i": 3, "o": 4, "t": 5, "h": 6, "v": 8, "c": 2},
    "equal": {"m": 4, "i": 4, "o": 4, "t": 4, "h": 6, "v": 6, "c": 4},
    "one feature": {"m": 5, "i": 1, "o": 1, "t": 4, "h": 8, "v": 6, "c": 1},
}


class Draw:
    """Sizes and numbers of one case."""

    def __init__(self, name: str, shape: str, dtype: str, seed: int) -> None:
        self.__dict__.update(SIZES[shape])
        self.dtype = np.dtype(dtype)
        self.rng = np.random.default_rng([zlib.crc32(f"{name} {shape}".encode()), seed])

    def normal(self, *shape: int) -> Any:
        return self.rng.normal(size=shape).astype(self.dtype)

    def positive(self, *shape: int) -> Any:
        return (0.5 + self.rng.random(shape)).astype(self.dtype)

    def labels(self, count: int, classes: int) -> Any:
        return self.rng.integers(classes, size=count)


@dataclass(frozen=True, eq=False)
class Right:
    """A right implementation: subject, args, what it is like."""

    name: str
    family: str
    subject: Any
    args: tuple[Any, ...]
    like: Any
    options: dict[str, Any] = field(default_factory=dict)

    @np.errstate(all="ignore")
    def verdict(self) -> Verdict:
        return verify(self.subject, args=self.args, like=resolved(self.like), **self.options)


Made = tuple[Any, tuple[Any, ...], Any, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Style:
    name: str
    family: str
    make: Callable[[Draw], Made]
    shapes: tuple[str, ...]

    def case(self, shape: str, dtype: str, seed: int) -> Right:
        subject, args, like, options = self.make(Draw(self.name, shape, dtype, seed))
        return Right(f"{self.name}, {shape}, {dtype}, seed {seed}", self.family, subject, args, like, options)


class Styles(list[Style]):
    """Those of one file."""

    def style(self, family: str, without: Iterable[str] = ()) -> Callable[[Callable[[Draw], Made]], Any]:
        """Enter a maker; without: shapes for which it is not defined."""

        def enter(make: Callable[[Draw], Made]) -> Callable[[Draw], Made]:
            shapes = tuple(shape for shape in SIZES if shape not in set(without))
            self.append(Style(make.__name__.replace("_", " "), family, make, shapes))
            return make

        return enter


def every(styles: Iterable[Style], seeds: Iterable[int] = (0,)) -> Iterator[Right]:
    """Every style, shape, type and seed."""
    for style in styles:
        for shape in style.shapes:
            for dtype in ("float64", "float32"):
                for seed in seeds:
                    yield style.case(shape, dtype, seed)


def spread(styles: list[Style], count: int) -> Iterator[Right]:
    """count of them: every style in turn, with other shapes and types from turn to turn."""
    for number in range(count):
        style = styles[number % len(styles)]
        turn = number // len(styles) + number
        yield style.case(
            style.shapes[turn % len(style.shapes)],
            ("float64", "float32")[turn // 2 % 2],
            number // len(styles),
        )
