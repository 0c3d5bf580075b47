"""Whether the others are still there: every rank watches the one before it, in a ring.

A rank that computes or waits gives a sign to the one behind it, once in a while, from where the training
loop asks for one: no thread gives it, so that a program that hangs gives none.  So P signs go round whatever
P is, and a rank that is stopped, hangs or is cut off is named by the one behind it.

Outside training a rank may be busy for as long as it takes, and gives signs only while it waits.  A sign says
how often its rank has come to meet the others, so that whoever waits knows whether the one before it has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NamedTuple

from chainrule.distributed.places import Place

SECONDS_BETWEEN_SIGNS = 0.5
# A rank that has left may have done its part of what the others are still at.
SECONDS_AFTER_LEAVING = 3.0
SECONDS_UNTIL_SAID = 10.0  # that a rank is waited for


class State(IntEnum):
    """What a rank says of itself: it gives no signs for now, it gives them, it has come to its end."""

    resting, working, left = range(3)


class Sign(NamedTuple):
    """met: how often its rank has begun to wait for all others."""

    state: State
    met: int


class Watch:
    """One rank's view of the ring.  `send` hands a sign to the rank behind; `last` is the newest one that
    the rank before has handed over since it was last asked, or None; `say` tells people, `end` ends the job
    with a message.  seconds: of silence in training; patience: of a wait outside it.
    """

    beside: Place | None = None  # a process of this machine, of which the kernel tells

    def __init__(
        self,
        before: int,
        seconds: float,
        patience: float,
        send: Callable[[Sign], None],
        last: Callable[[], Sign | None],
        say: Callable[[str], None],
        end: Callable[[str], None],
    ) -> None:
        self.before, self.seconds, self.patience = before, seconds, patience
        self.send, self.last, self.say, self.end = send, last, say, end
        self.state = State.resting
        self.other = Sign(State.resting, 0)
        self.sent = self.seen = self.since = time.monotonic()  # since: the other has been in its state
        self.met, self.awaits, self.said = 0, False, 0  # awaits: all others, at the meeting of number `met`
        self.fate, self.fated = "", self.sent

    def become(self, state: State) -> None:
        """Say so at once."""
        self.state, self.sent = state, 0.0
        self.look()

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Within, this rank waits until every other has come."""
        self.met, self.awaits = self.met + 1, True
        try:
            yield
        finally:
            self.awaits = False

    def look(self, waited: float = 0) -> None:
        """Give a sign if one is due, and see to the other; `waited`: seconds for something that it has a part
        in.
        """
        now = time.monotonic()
        if now - self.sent < min(SECONDS_BETWEEN_SIGNS, self.seconds / 8):
            return
        self.sent = now
        self.send(Sign(self.state, self.met))
        sign = self.last()
        if sign is not None:
            self.since = self.since if sign.state == self.other.state else now
            self.other, self.seen = sign, now
        silent = now - self.seen
        if self.state == self.other.state == State.working and silent > self.seconds:
            self.end(
                f"rank {self.before} has given no sign for {silent:.0f} s: it hangs, was stopped or "
                "is cut off. Where a callback or a source of batches takes that long, write "
                f"init(timeout=...), which is {self.seconds:g} s here"
            )
        if waited:
            if self.other.state == State.left and now - self.since > SECONDS_AFTER_LEAVING:
                self.end(f"rank {self.before} has ended, and the others wait for it")
            self.see_beside()
            if self.state == State.resting:
                self._see_who_is_missing(waited)

    def behind(self) -> bool:
        """Whether the other has not come to where this rank is."""
        return self.other.met < self.met

    def see_beside(self) -> None:
        """What has become of the process beside this one, for which it waits."""
        if self.beside is None:
            return
        now, fate = time.monotonic(), self.beside.fate()
        if fate != self.fate:
            self.fate, self.fated = fate, now
        who = f"rank {self.beside.rank} (PID {self.beside.process})"
        if fate == "ended" and now - self.fated > SECONDS_AFTER_LEAVING:
            self.end(f"{who} has ended, and the others wait for it")
        if fate == "stopped" and self.state != State.working and now - self.fated > self.seconds:
            self.end(f"{who} has been stopped for {now - self.fated:.0f} s, and the others wait for it")

    def _see_who_is_missing(self, waited: float) -> None:
        missing = self.awaits and self.behind()
        advice = f"init(patience=...), which is {self.patience:g} s here"
        if (
            missing
            and not self.fate
            and self.said < self.met
            and waited > min(SECONDS_UNTIL_SAID, self.patience / 2)
        ):
            self.said = self.met
            self.say(
                f"the ranks have waited {waited:.0f} s for rank {self.before}: it is busy, was stopped or is "
                f"cut off. They wait as long as {advice}"
            )
        if missing and waited > self.patience:
            self.end(
                f"rank {self.before} has not come for {waited:.0f} s, and the others wait for it: it hangs, "
                f"was stopped or is cut off. If it needs that long outside training, write {advice}"
            )
        # Nobody is seen to be missing where two calls of one meeting were cut apart, or in a sum outside
        # training.  Ranks come to this one after the other.
        if waited > self.patience + 2 + self.before:
            self.end(f"the ranks have waited {waited:.0f} s for one of them. {advice[0].upper()}{advice[1:]}")
