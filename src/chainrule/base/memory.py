"""Sizes that no memory holds are refused before anything of that size is asked for."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

from chainrule.base.errors import ShapeError

SMALLEST_NUMBER = 4  # bytes of a float32: what is refused is too large in float64 all the more
LARGEST_SAMPLE = 2**30  # the kernels count in 32 bits
_UNKNOWN = 2**47  # bytes that a process can address at most, where the system does not say what there is


@contextmanager
def within_memory(what: str) -> Iterator[None]:
    """ShapeError in place of MemoryError; `what` does not fit, and says what to change."""
    try:
        yield
    except MemoryError:
        raise ShapeError(f"{what} does not fit into the memory that is free") from None


@functools.cache
def machine_memory() -> int:
    """Bytes of memory in this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def check_memory(place: str, what: str, shape: tuple[int, ...]) -> None:
    """ShapeError where an array of this shape is larger than the machine's memory."""
    check_bytes(place, f"{what} of shape {_shown(shape)}", math.prod(shape) * SMALLEST_NUMBER)


def check_bytes(
    place: str, what: str, size: int, advice: str = "check the sizes of the layers and of input_shape"
) -> None:
    """ShapeError where so many bytes in all are more than the machine's memory."""
    if size > machine_memory():
        raise ShapeError(
            f"{place}: {what} takes {_bytes(size)}, larger than any memory here "
            f"(this machine has {_bytes(machine_memory())}): {advice}"
        )


def check_sample(place: str, what: str, shape: tuple[int, ...]) -> None:
    """ShapeError where one sample holds more numbers than the engine takes."""
    if math.prod(shape) > LARGEST_SAMPLE:
        raise ShapeError(
            f"{place}: {what} of shape {_shown(shape)} takes {_bytes(math.prod(shape) * SMALLEST_NUMBER)}, "
            f"more than {LARGEST_SAMPLE} numbers per sample: check the sizes of the layers and of input_shape"
        )


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(f'{size:,}' if size < 10**15 else f'{_power(size)}' for size in shape)})"


def _bytes(size: int) -> str:
    """Rounded to a unit: 3.7 GB."""
    if size >= 10**21:
        return f"at least {_power(size)} bytes"
    power = min((size.bit_length() - 1) * 3 // 30, 6)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[power]}"


def _power(size: int) -> str:
    """A power of ten that it reaches; Python prints no integers of more than 4300 digits."""
    return f"10^{math.floor(math.log10(size))}"
