"""Whether a target is classes or a quantity: one rule for tables and arrays, whatever holds them.

The values decide, never the type that keeps them: 3 in int8, 3.0 in float64 and "3" as text are the same
label.  What they leave open is an error that names both readings; `--task` answers it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chainrule.base.errors import DataError, describe
from chainrule.base.shown import quoted
from chainrule.base.types import Array
from chainrule.data.arrays import all_finite, first_nonfinite

Asked = Literal["auto", "classify", "regress"]

# Of whole numbers in a table: up to so many different ones are classes unless something speaks against it,
# above so many they are a quantity unless they look numbered.  Of 40 public tables the classes end at 26
# (letters), and the smallest target that is meant as a quantity has 6 (wine's quality).
few, many = 20, 100
tails = "some frequent, those far from them rare"
YEARS = (1800, 2100)
_PLAIN = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")  # 01 and +1 are names
_COMMA = re.compile(r"-?[0-9]{1,3}(\.?[0-9]{3})*,[0-9]+")  # 1.002,28: no other way to read it
_AS = "--task classify reads it as classes, --task regress as a quantity"


@dataclass(frozen=True, eq=False)
class Task:
    """What is learned.

    kind "classify": labels (N,), int64 or strings, each one of `classes`, the sorted labels (of one-hot rows
    the numbers of all columns). kind "regress": numbers (N, K), float64. The other fields are None.
    why: a line that says what was understood.
    """

    kind: Literal["classify", "regress"]
    why: str
    labels: Array | None = None
    classes: Array | None = None
    numbers: Array | None = None

    @property
    def values(self) -> Array:
        """The labels, or the numbers."""
        values = self.numbers if self.labels is None else self.labels
        assert values is not None  # one of both
        return values


def task_of(y: Array, *, images: bool, asked: Asked = "auto") -> Task:
    """The task that a target (N,), (N, 1) or (N, K) of numbers, truth values or texts sets.

    images: whether the inputs are, whose whole numbers are labels more often than those of a table.
    Raises DataError where the target cannot be learned, is not what was `asked` for, or may be both.
    """
    values = _plain(y)
    if values.size != len(values):
        return _columns(values.reshape(len(values), -1), asked)
    values = values.reshape(-1)
    if values.dtype.kind == "U":
        return _names(values, asked)
    if asked == "regress":
        return _quantity(values, "as --task regress says")
    if not _whole(values):
        return _fractions(values, asked)
    if np.abs(values.astype(np.float64)).max() >= 2**53:
        return _huge(values, asked)
    distinct, counts = np.unique(values, return_counts=True)
    _not_constant(distinct)
    if asked == "classify":
        return _classes(values.astype(np.int64), "whole numbers")
    reading = _image_labels(distinct, counts) if images else _table_numbers(distinct, counts)
    if reading == "classes":
        return _classes(values.astype(np.int64), "whole numbers")
    if reading == "doubtful":
        raise DataError(f"the target may be classes or a quantity: {_numbers_told(distinct, counts)}. {_AS}")
    return _quantity(values, reading)


def known_labels(y: Array, classes: Array) -> Array | None:
    """The labels (N,) of a target in any form of `task_of`, written as a model's `classes` are; labels that
    are not among these stay as they are. None for what is no label per sample: several columns, fractions.

    Raises DataError where an entry is missing.
    """
    values = _plain(y)
    if values.size != len(values):
        values = _truth_as_numbers(values).reshape(len(values), -1)
        marks = values.dtype.kind in "fiu" and values.shape[1:] == (len(classes),)
        return classes[values.argmax(axis=1)] if marks and _one_hot(values) is not None else None
    values = values.reshape(-1)
    truth = ["False", "True"]
    if values.dtype.kind == "U":
        if classes.dtype.kind == "i" and classes.tolist() == [0, 1] and np.isin(values, truth).all():
            return np.asarray(values == "True", dtype=np.int64)
        return values
    if not _whole(values):
        return None
    if classes.dtype.kind == "U":
        if classes.tolist() == truth and np.isin(values, (0, 1)).all():
            return classes[values.astype(np.int64)]
        return np.array([str(int(value)) for value in values.tolist()])
    return values.astype(np.int64) if np.abs(values.astype(np.float64)).max() < 2**53 else values


# What the values are.


def _plain(y: Array) -> Array:
    """Numbers as float64, int64 or uint64, anything else as strings; truth values are the names False, True.

    Texts that are all numbers, each written in one way, are these numbers.
    """
    y = np.asarray(y)
    if y.ndim == 0 or not y.size:
        raise DataError(f"the target has shape {y.shape}: give one class or number per sample, (N,)")
    kind = y.dtype.kind
    if kind == "O":
        y = _of_objects(y)
        kind = y.dtype.kind
    if kind == "S":
        try:
            y = np.asarray(np.char.decode(y, "utf-8"))
        except UnicodeDecodeError:
            raise DataError(
                "the target holds bytes that are no UTF-8 text: save strings, y.astype(str)"
            ) from None
        kind = "U"
    if kind == "f":
        values = y.astype(np.float64)
        if not all_finite(values):
            raise DataError(f"the target holds NaN or infinity in sample {first_nonfinite(values)}")
        return values
    if kind in "iu":
        return y if y.dtype == np.uint64 else y.astype(np.int64)
    if kind == "b":
        return y.astype(str)
    if kind == "U":
        return _of_texts(y)
    raise DataError(f"the target is of type {y.dtype}: give numbers or names")


def _of_objects(y: Array) -> Array:
    entries = list(y.ravel())
    for number, entry in enumerate(entries):
        if entry is None or entry != entry:
            sample = number * len(y) // len(entries)
            raise DataError(f"the target is missing in sample {sample}: fill it in, or leave the sample out")
    for kind in (str, bytes, (bool, np.bool_)):
        if all(isinstance(entry, kind) for entry in entries):
            return np.array(entries).reshape(y.shape)
    numbers = (int, float, np.integer, np.floating)
    if all(isinstance(entry, numbers) and not isinstance(entry, bool) for entry in entries):
        try:
            whole = all(float(entry).is_integer() for entry in entries)
            return np.array(
                [int(e) if whole else float(e) for e in entries], np.int64 if whole else float
            ).reshape(y.shape)
        except OverflowError:
            raise DataError(
                "the target holds whole numbers of more than 64 bits: as classes save them as text, "
                "y.astype(str), as a quantity scale them"
            ) from None
    odd = next((entry for entry in entries if type(entry) is not type(entries[0])), entries[0])
    both = describe(odd) if odd is entries[0] else f"both {describe(entries[0])} and {describe(odd)}"
    raise DataError(f"the target holds {both}: save numbers or names, all of one kind, such as y.astype(str)")


def _of_texts(y: Array) -> Array:
    """The numbers that texts are, if all are, and no two texts are one number; else the texts."""
    texts = np.unique(y)
    if texts[0] == "":
        sample = int(np.argmax((y == "").reshape(len(y), -1).any(axis=1)))
        raise DataError(f"the target is empty in sample {sample}: fill it in, or leave the sample out")
    if not all(_PLAIN.fullmatch(text) for text in texts.tolist()):
        return y
    values = texts.astype(np.float64)
    codes = (
        len(np.unique(values)) < len(texts) or not all_finite(values) or bool((np.abs(values) >= 2**53).any())
    )
    return y if codes else y.astype(np.float64)


def _truth_as_numbers(values: Array) -> Array:
    """Truth values as 0 and 1; anything else as it is."""
    truth = values.dtype.kind == "U" and bool(np.isin(values, ("False", "True")).all())
    return (values == "True").astype(np.float64) if truth else values


def _one_hot(values: Array) -> tuple[object, object] | None:
    """The two numbers that rows (N, K) hold, where the higher one is in every row once: 0 and 1, for one."""
    low, high = values.min(), values.max()
    if low == high or not ((values == low) | (values == high)).all():
        return None
    return (low, high) if ((values == high).sum(axis=1) == 1).all() else None


def _whole(values: Array) -> bool:
    return values.dtype.kind in "iu" or bool((values == np.rint(values)).all())


# What they are taken for.


def _table_numbers(values: Array, counts: Array) -> str:
    """ "classes", "doubtful", or why they are a quantity: whole numbers `values`, each `counts` times."""
    distinct, samples = len(values), int(counts.sum())
    if distinct == 2:
        return "classes"
    if YEARS[0] <= values[0] and values[-1] <= YEARS[1]:
        return "years"
    if 2 * distinct > samples:
        return "hardly one twice"
    rarest, mean = int(counts.min()), samples / distinct
    tail = 20 * rarest <= mean or rarest == 1
    if distinct <= few:
        if not _hill(counts) or (distinct < 6 and not tail):
            return "classes" if _numbered(values, 2.0) else "doubtful"
        return tails if distinct >= 8 or (distinct >= 6 and tail) else "doubtful"
    even = _numbered(values, 1.0) and 3 * rarest >= mean and mean >= 5
    if distinct <= many:
        return "classes" if even else tails if tail else "doubtful"
    return "doubtful" if even else f"more than {many} different ones"


def _image_labels(values: Array, counts: Array) -> str:
    """The same beside images, which most often have labels."""
    distinct, samples = len(values), int(counts.sum())
    if distinct == 2:
        return "classes"
    if 2 * distinct > samples:
        return "hardly one twice"
    if distinct <= few:
        return "doubtful" if YEARS[0] <= values[0] and values[-1] <= YEARS[1] else "classes"
    numbered, even = _numbered(values, 1.2), 10 * counts.min() >= samples / distinct
    if numbered and even:
        return "classes"
    return "doubtful" if distinct <= 1000 or numbered else "more than 1000 different ones"


def _numbered(values: Array, gaps: float) -> bool:
    """Whether labels are numbered from 0 or 1 (or -1, 0, 1), but for a few numbers left out."""
    first, last, distinct = int(values[0]), int(values[-1]), len(values)
    if first == -1:
        return distinct == 3 and last == 1
    return first in (0, 1) and last - first + 1 <= gaps * distinct


def _hill(counts: Array) -> bool:
    """Whether values become more frequent up to one of them and rarer after it, to a tenth of it.

    Four classes in any order do so once in 3 times, six once in 22, eight once in 315. What chance alone may
    change, three deviations of a count, does not count.
    """
    if len(counts) < 4 or 10 * counts.min() > counts.max():
        return False
    peak = int(counts.argmax())
    rising, falling = counts[: peak + 1], counts[peak:][::-1]
    return all(
        bool((side[1:] - side[:-1] >= -3 * np.sqrt(side[:-1])).all())
        for side in (rising, falling)
        if len(side) > 1
    )


def _columns(values: Array, asked: Asked) -> Task:
    """Several columns: a one-hot matrix, or numbers."""
    count = values.shape[1]
    values = _truth_as_numbers(values)
    if values.dtype.kind == "U":
        raise DataError(f"the target has shape {values.shape}: give one class per sample, (N,)")
    marks = bool(np.isin(values, (0, 1)).all())
    pair = _one_hot(values) if asked != "regress" else None
    if pair is not None:
        low, high = map(_shown, pair)
        if asked == "auto" and not marks:
            raise DataError(
                f"the target has {count} columns of {low} and {high}, and {high} once in every row: {_AS}"
            )
        labels = values.argmax(axis=1).astype(np.int64)
        _not_constant(np.unique(labels))
        why = f"classes: one-hot rows, the number of the column that holds {high}, 0 to {count - 1}"
        return Task("classify", why, labels=labels, classes=np.arange(count))
    if asked != "regress" and marks:
        sums = values.sum(axis=1)
        sample = int(np.argmax(sums != 1))
        raise DataError(
            f"the target has {count} columns of 0 and 1, and sample {sample} has {int(sums[sample])} ones: "
            "several labels per sample, which this command does not train. In Python end the network in "
            f"Dense({count}), Sigmoid(); --task regress reads the columns as numbers"
        )
    if asked == "classify":
        raise DataError(f"the target has shape {values.shape}: give one class per sample, (N,)")
    same = (values == values[0]).all(axis=0)
    if same.all():
        _not_constant(values[0, :1])
    return Task("regress", f"a quantity: {count} columns of numbers", numbers=values.astype(np.float64))


def _names(values: Array, asked: Asked) -> Task:
    names = np.unique(values)
    if asked == "regress":
        raise DataError(
            f"--task regress needs a target of numbers, but it holds names, such as '{quoted(names[0], 40)}'"
        )
    _not_constant(names)
    if asked == "auto":
        _numbers_among(values)
    if asked == "auto" and 2 * len(names) > len(values) and len(names) > few:
        raise DataError(
            f"the target has {len(names):,} different names in {len(values):,} samples, such as "
            f"'{quoted(names[0], 40)}': hardly one occurs twice, so there is nothing to learn. Name another "
            "column, or write --task classify if these are classes"
        )
    return _classes(values, "truth values" if names.tolist() == ["False", "True"] else "names")


def _numbers_among(values: Array) -> None:
    """Refuse names of which most are numbers, or all are numbers written in another way."""
    texts = values.tolist()
    odd = [text for text in texts if not _PLAIN.fullmatch(text)]
    numbers = {text for text in texts if _PLAIN.fullmatch(text)}
    if odd and len(numbers) > few // 2 and len(odd) <= 0.2 * len(texts):
        shown, count = quoted(odd[0], 40), f" ({len(odd):,} such cells)" if len(odd) > 1 else ""
        raise DataError(
            f"the target holds numbers, but also '{shown}'{count}: say what that is. Where it marks what is "
            f"missing, --missing '{shown}'; --task classify reads all of them as names"
        )
    comma = [text for text in texts if _COMMA.fullmatch(text)]
    if len(comma) == len(texts) and len(set(texts)) > few:
        raise DataError(
            f"the target holds texts such as '{quoted(comma[0], 40)}', which are numbers with a decimal "
            "comma: --decimal , reads them; --task classify reads them as names"
        )


def _fractions(values: Array, asked: Asked) -> Task:
    if asked == "classify":
        raise DataError("classes are names or whole numbers, but the target has fractions: --task regress")
    distinct = np.unique(values)
    if len(distinct) == 2:
        raise DataError(
            f"the target has two values, {distinct[0]:g} and {distinct[1]:g}: --task regress learns the "
            "number; for two classes write whole numbers or names"
        )
    return _quantity(values, "with fractions")


def _huge(values: Array, asked: Asked) -> Task:
    """Whole numbers from 2**53 on, which float64 cannot tell from their neighbours."""
    if asked == "classify" or len(np.unique(values)) <= few:
        raise DataError(
            f"the target holds {describe(values[np.abs(values.astype(np.float64)).argmax()].item())}, which "
            "a file of float64 cannot tell from its neighbours: as classes write them as text, "
            "y.astype(str); --task regress reads a quantity"
        )
    return _quantity(values, "huge whole numbers")


def _not_constant(distinct: Array) -> None:
    if len(distinct) == 1:
        value = _shown(distinct[0])
        raise DataError(f"the target has a single value ({value}); there is nothing to tell apart")


def _classes(labels: Array, what: str) -> Task:
    classes, counts = np.unique(labels, return_counts=True)
    names = what == "names"
    why = f"{len(classes)} names, {_often(counts)}" if names else _numbers_told(classes, counts, what)
    once = classes[counts == 1]
    if len(once):
        others = f" and {len(once) - 1} more" if len(once) > 1 else ""
        why += f"; {_shown(once[0])}{others} only once, so it is trained on and never tested"
    return Task("classify", f"classes: {why}", labels=labels, classes=classes)


def _quantity(values: Array, why: str) -> Task:
    numbers = values.astype(np.float64)
    distinct = np.unique(numbers)
    _not_constant(distinct)
    span = f"from {_shown(distinct[0])} to {_shown(distinct[-1])}"
    why = f"a quantity: {len(distinct):,} different numbers {span}, {why}"
    return Task("regress", why, numbers=numbers[:, None])


def _numbers_told(distinct: Array, counts: Array, what: str = "whole numbers") -> str:
    if what == "truth values":
        return f"truth values, {_often(counts)}"
    if len(distinct) == 2:
        return f"the {what} {_shown(distinct[0])} and {_shown(distinct[1])}, {_often(counts)}"
    return f"{len(distinct)} {what} {_shown(distinct[0])} to {_shown(distinct[-1])}, {_often(counts)}"


def _often(counts: Array) -> str:
    least, most = int(counts.min()), int(counts.max())
    return f"each {least:,} times" if least == most else f"each {least:,} to {most:,} times"


def _shown(value: object) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    return quoted(value, 40)
