"""Random numbers of a training pass as a function of where they are used: the same in NumPy and the kernels.

A number is a hash of the seed, the step, the layer, the sample's place in its batch, and the entry: nothing
is carried from one to the next, so any thread may compute any of them, and a step can be repeated.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint32]
_MASK = (1 << 64) - 1


def stream_key(seed: int, step: int, name: str) -> tuple[int, int]:
    """Two 32-bit words for one layer in one step (splitmix64 of seed, step and the name's CRC)."""
    key = 0
    for word in (seed, step, zlib.crc32(name.encode())):
        key = (key + word + 0x9E3779B97F4A7C15) & _MASK
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
        key ^= key >> 31
    return key & 0xFFFFFFFF, key >> 32


def random_bits(seed: int, step: int, name: str, shape: tuple[int, ...], first: int = 0) -> Bits:
    """Uniform 32-bit numbers for a value of `shape`, samples last, from the `first` of the batch on."""
    low, high = stream_key(seed, step, name)
    entries = np.arange(math.prod(shape[:-1]), dtype=np.uint32).reshape(*shape[:-1], 1)
    samples = np.arange(first, first + shape[-1], dtype=np.uint32)
    with np.errstate(over="ignore"):
        of_sample = _mixed(samples ^ np.uint32(low))
        bits: Bits = _mixed(_mixed(of_sample + entries * np.uint32(0x9E3779B1)) ^ np.uint32(high))
    return bits


def _mixed(x: Any) -> Any:
    """Wellons' lowbias32: every bit of x in every bit of the result."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
