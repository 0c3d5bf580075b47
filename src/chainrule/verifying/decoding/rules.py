"""What responses to impulses have in common, as sentences: a rule that all of them keep, or one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import permutations

import numpy as np

from chainrule.base.languages import SPACE, Say
from chainrule.base.types import Array
from chainrule.verifying.decoding.impulses import Index, Response, Responses, sources
from chainrule.verifying.places import place
from chainrule.verifying.texts import TEXTS

LETTERS = "ijklpq"
ENTRIES = "rstuvw"
STEPS = (-3, -2, -1, 1, 2, 3)


def observed(seen: Responses) -> Say:
    """The first rule that all responses keep; where there is none one response beside the right one."""
    for rule in (_share, _silent, _moved, _entries, _factors):
        said = rule(seen)
        if said is not None:
            return TEXTS.say("observed.said", what=said)
    return TEXTS.say("observed.said", what=_example(seen))


# -- the same places, other numbers
def _share(seen: Responses) -> Say | None:
    """One number wherever one is right: a window's share."""
    pairs = set()
    for response in seen.each:
        theirs, right = response.theirs[response.theirs != 0], response.right[response.right != 0]
        if not len(right) or not len(theirs) or not np.array_equal(response.theirs != 0, response.right != 0):
            return None
        if not (
            seen.same(theirs, np.full_like(theirs, theirs[0])) and np.ptp(right) <= seen.equal * right[0]
        ):
            return None
        pairs.add((number(float(theirs[0])), number(float(right[0]))))
    wrong = sorted(pair for pair in pairs if pair[0] != pair[1])
    if len(pairs) == len(wrong) == 1:
        return TEXTS.say("observed.share", yours=wrong[0][0], right=wrong[0][1])
    if not wrong:
        return None
    listed = ", ".join(f"{yours} ({right})" for yours, right in wrong[:4])
    return TEXTS.say("observed.shares", listed=listed)


def _factors(seen: Responses) -> Say | None:
    """A factor that all entries of an output, of an input, or all at one place of the responses share."""
    pairs = [_ratio(response) for response in seen.each]
    if any(pair is None for pair in pairs):
        return None
    whole = [ratio[response.right != 0] for ratio, response in zip(pairs, seen.each, strict=True)
             if ratio is not None]  # fmt: skip
    every = np.concatenate(whole)
    if len(every) and seen.same(every, np.full_like(every, every[0])):
        return TEXTS.say("observed.factor", factor=number(float(every[0])))
    ways = (_by_axis(seen, whole, way) for way in ("output", "gradient", "offset"))
    return next((said for said in ways if said is not None), None)


def _ratio(response: Response) -> Array | None:
    """Theirs over right; None where one is 0 and the other not."""
    there = response.right != 0
    if (response.theirs[~there] != 0).any():
        return None
    return np.where(there, response.theirs / np.where(there, response.right, 1.0), 1.0)


def _by_axis(seen: Responses, ratios: Sequence[Array], way: str) -> Say | None:
    """A factor by the index on one axis: of the "output", of the "gradient", or counted from where the
    response begins, the "offset" in a window that no border cuts.
    """
    for axis in range(len(seen.shape) if way == "output" else seen.each[0].right.ndim):
        by_index: dict[int, list[float]] = {}
        for response, ratio in zip(seen.each, ratios, strict=True):
            if way == "output":
                at = np.full(len(ratio), response.output[axis])
            else:
                at = np.argwhere(response.right)[:, axis]
            if way == "offset":
                if not any(response is each for each in seen.whole):
                    continue
                at = at - (at.min() if len(at) else 0)
            for index, value in zip(at, ratio, strict=True):
                by_index.setdefault(int(index), []).append(float(value))
        if all(seen.same(np.array(v), np.full(len(v), v[0])) for v in by_index.values()):
            wrong = {n: v[0] for n, v in sorted(by_index.items()) if abs(v[0] - 1) > seen.equal}
            listed = ", ".join(f"{n}: {number(value)}" for n, value in list(wrong.items())[:6])
            if wrong:
                return TEXTS.say(f"observed.factors_of_{way}", axis=axis, listed=listed)
    return None


# -- other places
def _silent(seen: Responses) -> Say | None:
    """Outputs of which nothing arrives, all others being right."""
    silent = [response for response in seen.each if response.right.any() and not response.theirs.any()]
    others = [response for response in seen.each if response.theirs.any()]
    if not silent or not all(seen.same(response.theirs, response.right) for response in others):
        return None
    if not others:
        return TEXTS["observed.all_silent"]
    if len(seen.each) < int(np.prod(seen.shape)):
        listed = ", ".join(str(list(response.output)) for response in silent[:3])
        return TEXTS.say("observed.silent_some", listed=listed)
    mask = np.zeros(seen.shape, dtype=bool)
    for response in silent:
        mask[response.output] = True
    return TEXTS.say("observed.silent", where=place(mask, {}))


def _moved(seen: Responses) -> Say | None:
    """Responses that begin elsewhere, by the same rule for all, and what their numbers are besides."""
    inner = [response for response in seen.whole if response.theirs.any()]
    most = max((np.count_nonzero(response.theirs) for response in inner), default=0)
    inner = [response for response in inner if np.count_nonzero(response.theirs) == most]
    if len(inner) < 3:
        return None
    outputs = [response.output for response in inner]
    yours, right = (_affine(outputs, [response.corners[n] for response in inner]) for n in (0, 1))
    if yours is None or right is None or yours == right:
        return _shifted(seen, inner)
    said = TEXTS.say("observed.moved", yours=yours, right=right, output=_tuple(LETTERS[: len(seen.shape)]))
    turned = _turned(seen, inner)
    return said if turned is None else SPACE.join([said, turned])


def _shifted(seen: Responses, inner: Sequence[Response]) -> Say | None:
    """Responses that begin at the same distance from where they must: rows by ids."""
    corners = [response.corners for response in inner]
    steps = {tuple(np.subtract(a, b).tolist()) for a, b in corners if a is not None and b is not None}
    if len(steps) != 1 or not any(next(iter(steps))):
        return None
    said = TEXTS.say("observed.shifted", step=str(list(next(iter(steps)))))
    turned = _turned(seen, inner)
    return said if turned is None else SPACE.join([said, turned])


def _turned(seen: Responses, inner: Sequence[Response]) -> Say | None:
    """What the numbers of responses are beside the right ones: the same, reversed, others."""
    pairs = [response.patches for response in inner]
    if all(seen.same(theirs, right) for theirs, right in pairs):
        return TEXTS["observed.exact"]
    if any(theirs.shape != right.shape for theirs, right in pairs):
        sizes = {"yours": str(pairs[0][0].shape), "right": str(pairs[0][1].shape)}
        return TEXTS.say("observed.patch", **sizes)
    axes = [axis for axis in range(pairs[0][1].ndim) if pairs[0][1].shape[axis] > 1]
    for count in range(1, 2 ** len(axes)):
        chosen = tuple(axis for bit, axis in enumerate(axes) if count >> bit & 1)
        if all(seen.same(theirs, np.flip(right, chosen)) for theirs, right in pairs):
            return TEXTS.say("observed.reversed", axes=", ".join(map(str, chosen)))
    return None


def _affine(outputs: Sequence[Index], places: Sequence[Index | None]) -> str | None:
    """Places by a rule of the outputs' indices, as "[i, 2j - 1]"; None where they keep none."""
    if any(index is None for index in places):
        return None
    at = np.array(outputs, dtype=np.float64)
    known = np.column_stack([at, np.ones(len(at))])
    varies = [axis for axis in range(at.shape[1]) if np.ptp(at[:, axis])]
    parts = []
    for values in np.array(places, dtype=np.float64).T:
        columns = [*varies, at.shape[1]]
        rounded: Array = np.asarray(np.linalg.lstsq(known[:, columns], values, rcond=None)[0]).round()
        if np.abs(known[:, columns] @ rounded - values).max() > 1e-6:
            return None
        by_letter = {LETTERS[axis]: int(n) for axis, n in zip(varies, rounded[:-1], strict=True)}
        parts.append(_linear(by_letter, int(rounded[-1])))
    return _tuple(parts)


def _linear(factors: dict[str, int], constant: int) -> str:
    """2j - 1"""
    terms = [("" if abs(n) == 1 else str(abs(n))) + letter for letter, n in factors.items() if n]
    signs = ["-" if n < 0 else "+" for n in factors.values() if n]
    if constant or not terms:
        terms.append(str(abs(constant)))
        signs.append("-" if constant < 0 else "+")
    first = ("-" if signs[0] == "-" else "") + terms[0]
    return first + "".join(f" {s.replace('-', '−')} {t}" for s, t in zip(signs[1:], terms[1:], strict=True))


def _tuple(parts: Iterable[str]) -> str:
    return f"[{', '.join(parts)}]"


# -- which entry of another argument stands there
def _entries(seen: Responses) -> Say | None:
    """Entries of one argument in place of others of it, by a rule."""
    pairs: dict[Index, Index] = {}
    name, shape = "", ()
    for response in seen.each:
        there = (response.right != 0) & (response.theirs != 0)
        if not there.any():
            continue
        right = dict(sources(response.right[there], seen.others, seen.equal))
        theirs = dict(sources(response.theirs[there], seen.others, seen.equal))
        both = [known for known in right if known in theirs and name in ("", known)]
        if not both:
            return None
        name = both[0]
        shape = seen.others[name].shape
        for ours, other in zip(right[name], theirs[name], strict=True):
            if pairs.setdefault(ours, other) != other:
                return None
    if not pairs or all(ours == other for ours, other in pairs.items()):
        return None
    rule = _rule(pairs, shape)
    if rule is None:
        ours, other = next((a, b) for a, b in pairs.items() if a != b)
        said = {"right": str(list(ours)), "yours": str(list(other))}
        return TEXTS.say("observed.entry_example", name=name, **said)
    letters = ENTRIES[: len(shape)]
    return TEXTS.say("observed.entry", name=name, right=_tuple(letters), yours=rule)


def _rule(pairs: dict[Index, Index], shape: Index) -> str | None:
    """Of every entry the one that stands for it: axes exchanged, reversed, moved on."""
    ours, others = np.array(list(pairs)), np.array(list(pairs.values()))
    for order in permutations(range(len(shape))):
        parts: list[str] = []
        for axis, source in enumerate(order):
            part = _of_axis(ours[:, source], others[:, axis], shape[axis], ENTRIES[source])
            if part is None:
                break
            parts.append(part)
        if len(parts) == len(shape):
            return _tuple(parts)
    return None


def _of_axis(ours: Array, others: Array, size: int, letter: str) -> str | None:
    rules: tuple[tuple[str, Callable[[], Array]], ...] = (
        (letter, lambda: ours),
        (f"{size - 1} − {letter}", lambda: size - 1 - ours),
        *((_linear({letter: 1}, step), lambda step=step: ours + step) for step in STEPS),
        *((f"({_linear({letter: 1}, step)}) mod {size}", lambda step=step: (ours + step) % size)
          for step in STEPS),
    )  # fmt: skip
    for said, made in rules:
        if np.array_equal(made(), others):
            return said
    first = int(others[0])
    return str(first) if (others == first).all() and len(set(ours.tolist())) > 1 else None


# -- one response
def _example(seen: Responses) -> Say:
    """Of the response that is off by most, what came back and what is right."""
    worst = max(seen.each, key=lambda response: float(np.abs(response.theirs - response.right).max()))
    said = {"output": str(list(worst.output))}
    for word, value, corner in zip(
        ("yours", "right"), (worst.theirs, worst.right), worst.corners, strict=True
    ):
        count = int(np.count_nonzero(value))
        said[f"{word}_count"] = str(count)
        said[word] = "–" if corner is None else f"{list(corner)}: {value[corner]:.4g}"
    return TEXTS.say("observed.example", **said)


def number(value: float) -> str:
    """As a fraction of small numbers where it is one."""
    fraction = Fraction(value).limit_denominator(60)
    if abs(float(fraction) - value) <= 1e-6 * max(abs(value), 1e-9) and fraction:
        return str(fraction)
    return f"{value:.4g}"
