"""Where ranks are, and what the kernel says of one on this machine: nobody is asked, so one that is stopped
is told from one that is busy.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Of /proc/PID/stat, behind the name: the state's place, and that of when the process began.
STATE, BEGAN = 0, 19


class Place(NamedTuple):
    """A process: `machine` says where its number is one, `began` is "" where the kernel does not tell."""

    rank: int
    machine: str
    process: int
    began: str

    def fate(self) -> str:
        """ "ended", "stopped", or nothing, of a process of this machine."""
        try:
            found = told(self.process)
        except (FileNotFoundError, ProcessLookupError):
            return "ended"
        except OSError:
            return ""
        if found[BEGAN] != self.began or found[STATE] in ("Z", "X"):
            return "ended"
        return "stopped" if found[STATE] == "T" else ""


def told(process: int) -> list[str]:
    """What the kernel tells of a process.  OSError where it tells nothing."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def place_of(rank: int) -> Place:
    """This process."""
    process = os.getpid()
    try:  # machines may have one name, and containers on one machine number their processes each from 1
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return Place(rank, f"{boot} {os.readlink('/proc/self/ns/pid')}", process, told(process)[BEGAN])
    except OSError:
        return Place(rank, "", process, "")


def beside(rank: int, places: Sequence[Place]) -> Place | None:
    """Of a ring of the ranks of this machine the one before this rank; None where nothing can be known."""
    own = places[rank]
    here = [place for place in places if place.machine == own.machine and place.began]
    before = [place for place in here if place.rank < rank] or here
    return before[-1] if own.began and before[-1] != own else None
