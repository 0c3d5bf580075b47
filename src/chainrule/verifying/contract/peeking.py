"""What their code does while it runs: whether it asks us for the answer, looks who calls it, or takes
differences of its own forward.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from chainrule.base.languages import Say
from chainrule.verifying.contract.calls import answer, output
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.calls.running import replaced
from chainrule.verifying.subjects.subject import Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding

PACKAGE = str(Path(__file__).parents[2])
# Rooms that run while their code is called, whatever it does; nothing there knows a derivative.
BESIDE = tuple(f"{PACKAGE}/{room}/" for room in ("verifying", "base", "data"))
# What knows one: of layers, losses, penalties, the reference, the engine and the checks.
DERIVATIVES = {
    "delta", "gradients", "gradient", "residual", "step_delta", "step_gradients", "layer_backward", "derive",
    "backpropagate", "run_backward", "check_gradients", "verify",
}  # fmt: skip
SPIES = (sys._getframe, sys._current_frames, gc.get_objects, gc.get_referrers)
STACKS = {"stack", "currentframe", "extract_stack", "format_stack", "print_stack", "walk_stack"}
DIFFERENCES = 6  # forward calls within backward: checkpointing makes one or two

_allowed: ContextVar[bool] = ContextVar("allowed", default=False)


@contextmanager
def allowed() -> Iterator[None]:
    """Code that is made of our formulas may call them here."""
    token = _allowed.set(True)
    try:
        yield
    finally:
        _allowed.reset(token)


@dataclass(eq=False)
class Watch:
    """asked: those of our functions called that know a derivative; calls: by code object; looked: at whom."""

    asked: Counter[str] = field(default_factory=Counter)
    calls: Counter[CodeType] = field(default_factory=Counter)
    looked: set[str] = field(default_factory=set)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            file = code.co_filename
            if file.startswith(PACKAGE):
                if code.co_name in DERIVATIVES and not file.startswith(BESIDE):
                    self.asked[code.co_name] += 1
            elif code.co_name in STACKS and file.endswith(("inspect.py", "traceback.py")):
                self._looks(frame.f_back, code.co_name)
            elif not _of_a_library(file) and (file, code.co_name) != ("<string>", "__init__"):  # a dataclass
                self.calls[code] += 1
        elif event == "c_call" and argument in SPIES:
            self._looks(frame, f"{argument.__module__}.{argument.__name__}")

    def _looks(self, frame: FrameType | None, name: str) -> None:
        file = "" if frame is None else frame.f_code.co_filename
        if file and not file.startswith((PACKAGE, "<frozen")) and not _of_a_library(file):
            self.looked.add(name)


@cache
def _of_a_library(file: str) -> bool:
    return "site-packages" in file or "dist-packages" in file or f"{sys.base_prefix}/lib/python" in file


def watched(call: Callable[[], Any]) -> Watch:
    """What runs during a call, in this thread and in those it starts."""
    watch, before, of_threads = Watch(), sys.getprofile(), threading.getprofile()
    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(before)
        threading.setprofile(of_threads)
    return watch


def replaces(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """A finding on code that puts its own functions in the place of those that everybody calls."""
    replaced.clear()
    try:
        output(subject, probe.args)
        answer(subject, probe.args, probe.delta)
    except Exception:  # their code may raise whatever it likes
        return
    if replaced:
        names = ", ".join(sorted(replaced))
        yield Finding("", TEXTS.say("contract.replaces", names=names), mistake="functions replaced")


def peeks(subject: Subject, probe: Probe) -> Iterator[Finding | Say]:
    """Findings on code that asks us or looks who calls; a note on differences taken in place of a formula."""
    try:
        forward = watched(lambda: output(subject, probe.args))
        backward = watched(lambda: answer(subject, probe.args, probe.delta))
    except Exception:  # their code may raise whatever it likes
        return
    asked = {name: count for name, count in backward.asked.items() if count > forward.asked[name]}
    if asked and not _allowed.get():
        names = ", ".join(sorted(asked))
        yield Finding("", TEXTS.say("contract.asks", names=names), mistake="reference called")
    looked = forward.looked | backward.looked
    if looked:
        names = ", ".join(sorted(looked))
        yield Finding("", TEXTS.say("contract.looks", names=names), mistake="looks at its caller")
    times = [backward.calls[code] // count for code, count in forward.calls.items() if count]
    if times and min(times) >= DIFFERENCES:
        yield TEXTS.say("noticed.differences", count=min(times))
