"""Cheats as causes of what is wrong: an array handed back, numbers right for what was shown alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chainrule.base.types import Array
from chainrule.verifying.probes import Probe
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def handed_back(
    name: str, names: Sequence[str], theirs: Sequence[Array], probes: Sequence[Probe]
) -> Finding | None:
    """What a wrong gradient is, where it is no computation: nothing, one number, an argument, δ.

    names: of all arguments.  theirs: per probe.
    """
    if all(not value.any() for value in theirs):
        return Finding(name, TEXTS.say("cheat.zeros", name=name), mistake="zeros")
    if theirs[0].size > 1 and all((value == theirs[0].flat[0]).all() for value in theirs):
        return Finding(name, TEXTS.say("cheat.constant", name=name), mistake="constant")
    for number, argument in enumerate(names):
        if all(_is(value, probe.args[number]) for value, probe in zip(theirs, probes, strict=True)):
            return Finding(name, TEXTS.say("cheat.input", name=name, of=argument), mistake="input returned")
    if all(_is(value, probe.delta) for value, probe in zip(theirs, probes, strict=True)):
        return Finding(name, TEXTS.say("cheat.delta", name=name), mistake="δ returned")
    return None


def _is(value: Array, other: Array) -> bool:
    return value.shape == other.shape and value.size > 1 and np.array_equal(value, other)


def right_where_shown(name: str, wrong: Sequence[bool], probes: Sequence[Probe]) -> Finding | None:
    """Wrong on no probe of the shown shapes, or of the shown numbers, and on every other without ties.

    wrong: per probe; the first are the given arguments.
    """
    shapes = [tuple(value.shape for value in probe.args) for probe in probes]
    numbers = [_same_numbers(probe, probes[0]) for probe in probes]
    for key, word, shown in (
        ("cheat.shapes", "given shapes only", [shape == shapes[0] for shape in shapes]),
        ("cheat.numbers", "given numbers only", numbers),
    ):
        plain = [n for n, probe in enumerate(probes) if not probe.tied]
        others = [n for n in plain if not shown[n]]
        if others and all(wrong[n] for n in others) and not any(w for n, w in enumerate(wrong) if shown[n]):
            return Finding(name, TEXTS.say(key, name=name), mistake=word)
    return None


def _same_numbers(probe: Probe, first: Probe) -> bool:
    pairs = zip(probe.args, first.args, strict=True)
    return all(a.shape == b.shape and np.array_equal(a, b) for a, b in pairs)
