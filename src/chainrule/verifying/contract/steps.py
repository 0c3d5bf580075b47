"""What their code keeps between calls: caches that are stale, used up or shared, gradients that accumulate.

It is looked at where a Subject has `steps`, the two calls as they are, on one object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import near, same
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Steps, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def kept_between(subject: Subject, probe: Probe, other: Probe) -> Iterator[Finding]:
    """What of one call shows in another; other: a probe with other numbers."""
    made = subject.steps
    if made is None:
        return
    try:
        once = _copied(_once(made(), probe))
        yield from _stale(subject, made(), probe, other, once)
        yield from _again(subject, made(), probe, once)
    except Exception:  # a backward pass that may be called once per forward, as PyTorch's, is no mistake
        return


def _once(steps: Steps, probe: Probe) -> Gradients:
    _, kept = steps.forward([value.copy() for value in probe.args])
    return steps.backward(kept, probe.delta.copy())


def _stale(subject: Subject, steps: Steps, probe: Probe, other: Probe, once: Gradients) -> Iterator[Finding]:
    """forward(A), forward(B), then backward of A; where an object keeps it itself forward(B) comes first."""
    order = (probe, other) if steps.keeps else (other, probe)
    made, held = [], list[dict[str, Array]]()
    for each in order:
        made.append(steps.forward([value.copy() for value in each.args]))
        held.append(_arrays(steps.holder))
    kept = made[order.index(probe)][1]
    after = _copied(steps.backward(kept, probe.delta.copy()))
    words = _left(subject, probe, held)
    for name, value, changed in zip(subject.names, once, after, strict=True):
        if value is not None and (changed is None or not near(subject, value, changed)):
            said = TEXTS.say("contract.stale", name=name)
            if words:
                said = TEXTS.say("contract.stale_kept", name=name, word=", ".join(words))
            yield Finding(name, said, mistake="stale cache")


def _arrays(holder: object) -> dict[str, Array]:
    """What an object keeps under its own names."""
    kept = getattr(holder, "__dict__", {}).items()
    return {word: value.copy() for word, value in kept if isinstance(value, np.ndarray)}


def _left(subject: Subject, probe: Probe, held: Sequence[Mapping[str, Array]]) -> list[str]:
    """What forward has left as it was after other numbers, and sets by itself where it is called alone."""
    if subject.steps is None or len(held) < 2 or not held[0]:
        return []
    steps = subject.steps()
    before = _arrays(steps.holder)
    steps.forward([value.copy() for value in probe.args])
    alone = _arrays(steps.holder)
    return [
        word
        for word, value in alone.items()
        if word in held[0] and word in held[1]
        if same(held[0][word], held[1][word]) and not same(value, held[1][word])
        if word not in before or not same(before[word], value)
    ]


def _again(subject: Subject, steps: Steps, probe: Probe, once: Gradients) -> Iterator[Finding]:
    """The same pass twice on one object, and backward twice of one forward."""
    for passes in (2, 1):
        if steps.clear is not None:
            steps.clear()
        _, kept = steps.forward([value.copy() for value in probe.args])
        first = _copied(steps.backward(kept, probe.delta.copy()))
        if steps.clear is not None:
            steps.clear()
        if passes == 2:
            _, kept = steps.forward([value.copy() for value in probe.args])
        elif _runs_out(kept):
            return
        second = _copied(steps.backward(kept, probe.delta.copy()))
        found = list(_differing(subject, once, first, second))
        yield from found
        if found:
            return


def _runs_out(kept: Any) -> bool:
    """Whether what forward left holds iterators: they serve one backward pass, which is all that is owed."""
    passed = getattr(kept[0] if isinstance(kept, tuple) and kept else kept, "passed", None)
    waiting = list(getattr(passed, "pieces", ()))
    while waiting:
        piece = waiting.pop()
        if hasattr(piece, "__next__"):
            return True
        if isinstance(piece, (tuple, list)):
            waiting += piece
        elif isinstance(piece, dict):
            waiting += piece.values()
    return False


def _differing(subject: Subject, once: Gradients, first: Gradients, second: Gradients) -> Iterator[Finding]:
    for name, value, before, after in zip(subject.names, once, first, second, strict=True):
        if value is None or before is None or near(subject, value, before) is False:
            continue
        if after is None or not near(subject, before, after):
            size = float(np.abs(value).max(initial=0.0))
            adds = after is not None and near(subject, after, 2 * before, size)
            key, word = ("accumulated", "accumulated") if adds else ("used_up", "cache changed")
            yield Finding(name, TEXTS.say(f"contract.{key}", name=name), mistake=word)


def shared(subject: Subject, probe: Probe) -> Iterator[Say]:
    """Notes on gradients that are memory of δ or of an argument."""
    if subject.steps is None:
        return
    args, delta = [value.copy() for value in probe.args], probe.delta.copy()
    try:
        steps = subject.steps()
        gradients = steps.backward(steps.forward(args)[1], delta)
    except Exception:  # their code may raise whatever it likes
        return
    for name, value in zip(subject.names, gradients, strict=True):
        if value is None:
            continue
        held = [n for n, array in zip(("δ", *subject.names), (delta, *args), strict=True)
                if np.shares_memory(value, array)]  # fmt: skip
        if held:
            yield TEXTS.say("noticed.shared", name=name, of=held[0])


def _copied(gradients: Gradients) -> Gradients:
    return tuple(None if value is None else np.array(value) for value in gradients)
