"""The same numbers lying otherwise in memory, or in float32, give the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from chainrule.base.languages import Say
from chainrule.base.types import Array
from chainrule.verifying.contract.calls import answer, draws, each, jitters, roughly
from chainrule.verifying.precision import half_of_the_digits
from chainrule.verifying.probes import Probe
from chainrule.verifying.subjects.subject import Gradients, Subject
from chainrule.verifying.texts import TEXTS
from chainrule.verifying.verdict import Finding


def _every_second(value: Array) -> Array:
    wide = np.zeros((*value.shape[:-1], 2 * value.shape[-1]) if value.ndim else (2,), value.dtype)
    view = wide[..., ::2] if value.ndim else wide[0:1].reshape(())
    view[...] = value
    return view


def _backwards(value: Array) -> Array:
    return value[..., ::-1].copy()[..., ::-1] if value.ndim else value.copy()


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "transposed": lambda value: np.array(value, order="F"),
    "strided": _every_second,
    "negative": _backwards,
}


def layout_matters(subject: Subject, probe: Probe) -> Iterator[Finding | Say]:
    """A finding where a layout in memory changes a gradient; a note where their code refuses it."""
    first = answer(subject, probe.args, probe.delta)
    told: set[str] = set()
    for key, lay in LAYOUTS.items():
        args, delta = [lay(value) for value in probe.args], lay(probe.delta)
        yield from _compared(subject, probe, first, _run(subject, args, delta), key, told)
    repeated = [_repeated(value) for value in probe.args]
    delta = _repeated(probe.delta)
    plain = Probe(tuple(value.copy() for value in repeated), delta.copy())
    expected = _run(subject, [value.copy() for value in plain.args], plain.delta.copy())
    if isinstance(expected, tuple):
        after = _run(subject, repeated, delta)
        yield from _compared(subject, plain, expected, after, "broadcast", told)


def _compared(
    subject: Subject, probe: Probe, first: Gradients, after: Gradients | Exception, key: str, told: set[str]
) -> Iterator[Finding | Say]:
    layout = TEXTS.within("layout")[key]
    if isinstance(after, Exception):
        if "refused" not in told:
            told.add("refused")
            yield TEXTS.say("noticed.layout_refused", layout=layout, error=after)
        return
    for name, before, now in each(subject, first, after):
        if name in told or roughly(subject, before, now):
            continue
        jitter = jitters(subject, probe)[subject.names.index(name)]
        if draws(subject, probe):  # a mask that is drawn in the order of memory
            return
        if not roughly(subject, before, now, jitter=jitter):
            told.add(name)
            said = TEXTS.say("contract.layout", name=name, layout=layout)
            yield Finding(name, said, mistake="contiguous only", evidence={"layout": key})


def _run(subject: Subject, args: list[Array], delta: Array) -> Gradients | Exception:
    """Their answer to these very arrays, or what was raised."""
    try:
        return subject.backward(args, delta)
    except Exception as error:  # their code may raise whatever it likes
        return error


def _repeated(value: Array) -> Array:
    """The first along the first axis in the place of all, by broadcasting; numbers of one axis stay."""
    if value.ndim < 2 or value.dtype.kind != "f":
        return value.copy()
    return np.broadcast_to(value[:1], value.shape)


def type_matters(subject: Subject, probe: Probe) -> Iterator[Finding]:
    """Gradients that float32 arguments spoil: of those right in float64, half of the digits must be left."""
    floats = [v for v in probe.args if v.dtype.kind == "f"]
    if subject.precision is not None or not all(v.dtype == np.float64 for v in floats):
        return
    narrow = [v.astype(np.float32) if v.dtype.kind == "f" else v for v in probe.args]
    wide = [v.astype(np.float64) if v.dtype == np.float32 else v for v in narrow]
    delta = probe.delta.astype(np.float32)
    try:
        with np.errstate(all="ignore"):
            out, other = (subject.forward([v.copy() for v in values]) for values in (wide, narrow))
            first = answer(subject, wide, delta.astype(np.float64))
            after = answer(subject, narrow, delta)
    except Exception:  # their code may take one type alone
        return
    if not np.abs(out - other).max(initial=0.0) <= half_of_the_digits(out, "float32").max(initial=0.0):
        return  # the forward pass loses as much
    for number, (name, before, now) in enumerate(zip(subject.names, first, after, strict=True)):
        if before is None or now is None or before.shape != now.shape or not np.isfinite(before).all():
            continue
        allowed = float(half_of_the_digits(before, "float32").max(initial=0.0))
        off = np.abs(before - now).max(initial=0.0)
        if off <= allowed:
            continue
        if not off <= allowed + 64 * jitters(subject, Probe(tuple(narrow), delta))[number]:
            yield Finding(name, TEXTS.say("contract.float64_only", name=name), mistake="float64 only")
