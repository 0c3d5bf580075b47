"""Damage to a file, anywhere in its bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

BEGINNING = 128  # bytes: magic numbers and headers, which few places of a long file are in


def mutants(raw: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies with a flipped bit, another byte near the beginning, others anywhere, a cut, something more or
    less.
    """
    rng = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(raw)
        place, length = rng.randrange(len(raw)), rng.randrange(1, 9)
        match rng.randrange(7):
            case 0:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1:
                damaged[rng.randrange(min(len(raw), BEGINNING))] ^= rng.randrange(1, 256)
            case 2:
                for _ in range(length):
                    damaged[rng.randrange(len(raw))] = rng.randrange(256)
            case 3:
                del damaged[place:]
            case 4:
                damaged += rng.randbytes(length)
            case 5:
                damaged[place:place] = rng.randbytes(length)
            case 6:
                del damaged[place : place + length]
        yield bytes(damaged)
