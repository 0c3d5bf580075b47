"""Images of many cells as PNG, written with zlib and struct."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from chainrule.explaining.render import scale as colours

_STEPS = colours.STEPS  # the levels of cells that are drawn one by one; more make the files twice as large


def encode(values: NDArray[np.float64], scale: float) -> bytes:
    """A PNG, one pixel per value (rows, columns), coloured from -scale to scale."""
    level = colours.levels(values, scale, _STEPS).astype(np.uint8)
    rows, columns = level.shape
    palette = b"".join(bytes(rgb) for rgb in colours.palette(_STEPS))
    lines = b"".join(b"\0" + line.tobytes() for line in level)  # every line unfiltered
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def data_uri(values: NDArray[np.float64], scale: float) -> str:
    """The same as a data: address."""
    return "data:image/png;base64," + base64.b64encode(encode(values, scale)).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
