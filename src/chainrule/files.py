"""Files that are written as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from chainrule.errors import FileError


def write_whole(target: Path, write: Callable[[BinaryIO], object]) -> None:
    """The file that `write` makes; what was there stays until all of it is on the disk.

    Raises FileError that names the file and the reason.
    """
    part = target.with_name(f".chainrule-{secrets.token_hex(8)}")  # short: the name itself may be the longest
    try:
        with open(part, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    except OSError as error:
        raise FileError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
