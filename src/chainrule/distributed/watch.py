"""Whether the others are still there: every rank watches the one before it, in a ring.

A rank that computes or waits gives a sign to the one behind it, once in a while, from where the training
loop asks for one: no thread gives it, so that a program that hangs gives none.  So P signs go round whatever
P is, and a rank that is stopped, hangs or is cut off is named by the one behind it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum

SECONDS_BETWEEN_SIGNS = 0.5
# A rank that has left may have done its part of what the others are still at.
SECONDS_AFTER_LEAVING = 3.0


class State(IntEnum):
    """What a rank says of itself: it gives no signs for now, it gives them, it has come to its end."""

    resting, working, left = range(3)


class Watch:
    """One rank's view of the ring.  `send` hands a state to the rank behind; `last` is the newest one that
    the rank before has handed over since it was last asked, or None; `end` ends the job with a message.
    """

    def __init__(
        self,
        before: int,
        seconds: float,
        send: Callable[[State], None],
        last: Callable[[], State | None],
        end: Callable[[str], None],
    ) -> None:
        self.before, self.seconds = before, seconds
        self.send, self.last, self.end = send, last, end
        self.state = self.other = State.resting
        self.sent = self.seen = self.since = time.monotonic()  # since: the other has been in its state

    def become(self, state: State) -> None:
        """Say so at once."""
        self.state, self.sent = state, 0.0
        self.look(waiting=False)

    def look(self, *, waiting: bool) -> None:
        """Give a sign if one is due, and see to the other; `waiting`: for something that it has a part in."""
        now = time.monotonic()
        if now - self.sent < min(SECONDS_BETWEEN_SIGNS, self.seconds / 8):
            return
        self.sent = now
        self.send(self.state)
        state = self.last()
        if state is not None:
            self.since = self.since if state == self.other else now
            self.other, self.seen = state, now
        if self.state == State.working and self.other == State.working and now - self.seen > self.seconds:
            self.end(
                f"rank {self.before} has given no sign for {now - self.seen:.0f} s: it hangs, was stopped or "
                "is cut off. Where a callback or a source of batches takes that long, write "
                f"init(timeout=...), which is {self.seconds:g} s here"
            )
        if self.other == State.left and waiting and now - self.since > SECONDS_AFTER_LEAVING:
            self.end(f"rank {self.before} has ended, and the others wait for it")
