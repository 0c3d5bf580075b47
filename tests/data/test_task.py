"""What a target is taken for: the same whatever type and shape hold it, or an error with both readings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.base.errors import DataError
from chainrule.base.types import Array
from chainrule.data.task import known_labels, task_of

rng = np.random.default_rng(0)
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
FLOATS = ("float16", "float32", "float64")


def repeated(values: Any, *counts: int) -> Array:
    """The values, each as often as its count says, the last count for the others, in some order."""
    array = np.asarray(values)
    often = [counts[min(i, len(counts) - 1)] for i in range(len(array))]
    return rng.permutation(np.repeat(array, often))


# Ages of abalones as rings, by their counts in the file of 4177.
RINGS = repeated(
    [*range(1, 28), 29],
    *(1, 1, 15, 57, 115, 259, 391, 568, 689, 634, 487, 267, 203, 126, 103, 67, 58, 42, 32, 26, 14, 6, 9, 2),
    *(1, 1, 2, 1),
)
# name: (target, beside images, what must come of it)
WHOLE: dict[str, tuple[Array, bool, str]] = {
    "0 to 9": (repeated(range(10), 30), False, "classes: 10 whole numbers 0 to 9, each 30 times"),
    "1 to 26 beside images": (repeated(range(1, 27), 40), True, "classes: 26 whole numbers 1 to 26, each"),
    "1 to 26 of a table, as often": (repeated(range(1, 27), 40), False, "classes: 26 whole numbers"),
    "0 to 99 beside images": (repeated(range(100), 5), True, "classes: 100 whole numbers 0 to 99"),
    "few images of 26 letters": (rng.integers(1, 27, 80), True, "classes: "),
    "43 uneven classes of images": (repeated(range(43), 12, 90, 60, 15, 70), True, "classes: 43"),
    "two": (repeated([0, 1], 50, 7), False, "classes: the whole numbers 0 and 1, each 7 to 50 times"),
    "signs": (repeated([-1, 1], 20), False, "classes: the whole numbers -1 and 1, each 20 times"),
    "three signs": (repeated([-1, 0, 1], 20), False, "classes: 3 whole numbers -1 to 1"),
    "two ids": (repeated([100_213, 991_002], 20), False, "classes: the whole numbers 100213 and 991002"),
    "a kind of glass": (repeated([1, 2, 3, 5, 6, 7], 70, 76, 17, 13, 9, 29), False, "classes: 6 whole"),
    "cover of forests": (
        repeated(range(1, 8), 2118, 2833, 357, 27, 94, 173, 205), False, "classes: 7 whole numbers 1 to 7",
    ),
    "severity": (repeated(range(5), 164, 55, 36, 35, 13), False, "classes: 5 whole numbers 0 to 4"),
    "a class that occurs once": (repeated(range(4), 9, 9, 9, 1), False, "3 only once, so it is trained on"),
    "rings": (RINGS, False, "a quantity: 28 different numbers from 1 to 29"),
    "counts": (np.random.default_rng(1).poisson(3.0, 500), False, "a quantity: "),
    "visits": (repeated(range(10), 4141, 782, 174, 30, 24, 9, 12, 12, 5, 1), False, "a quantity: "),
    "marks of wine": (repeated(range(3, 9), 10, 53, 681, 638, 199, 18), False, "a quantity: 6"),
    "prices": (rng.integers(500, 18_000, 300), False, "a quantity: "),
    "few prices": (np.array([300, 410, 455, 505, 610, 300]), False, "a quantity: "),
    "years": (repeated(range(1999, 2012), 20), False, "a quantity: 13 different numbers from"),
    "a line": (np.arange(1, 11), False, "a quantity: 10 different numbers"),
    "ids, each its own": (rng.permutation(100_000)[:200], True, "a quantity: 200 different numbers"),
    "answers from 1 to 6": (repeated(range(1, 7), 84, 248, 293, 741, 942, 472), False, "may be classes or"),
    "children at home": (repeated(range(5), 2784, 485, 100, 12, 1), False, "may be classes or a quantity"),
    "codes of a table": (repeated([10, 20, 30, 40], 25), False, "may be classes or a quantity"),
    "marks 0 to 60": (repeated(range(61), 20, 9, 30), False, "may be classes or a quantity"),
    "days of the year": (repeated(range(1, 366), 8), False, "may be classes or a quantity"),
    "ages beside images": (repeated(range(1, 90), 20, 1, 50), True, "may be classes or a quantity"),
    "years beside images": (repeated(range(1999, 2012), 20), True, "may be classes or a quantity"),
    "always one value": (np.full(30, 4), False, "has a single value (4)"),
}  # fmt: skip


def holders(values: Array) -> Iterator[tuple[str, Array]]:
    """The same whole numbers in every type that holds them, as (N,) and as (N, 1)."""
    low, high = int(values.min()), int(values.max())
    flat: dict[str, Array] = {
        name: values.astype(name)
        for name in INTEGERS
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max
    }
    with np.errstate(over="ignore"):  # 100 000 is infinite in float16
        flat |= {name: held for name in FLOATS if ((held := values.astype(name)) == values).all()}
    numbers = values.tolist()
    flat["texts"] = np.array([str(value) for value in numbers])
    flat["texts with .0"] = np.array([f"{value}.0" for value in numbers])
    flat["bytes"] = flat["texts"].astype("S")
    flat["objects"] = np.array(numbers, dtype=object)
    flat["objects of floats"] = np.array([float(value) for value in numbers], dtype=object)
    flat["objects of texts"] = flat["texts"].astype(object)
    flat["objects of bytes"] = flat["bytes"].astype(object)
    flat["big-endian"] = values.astype(">i8")
    for name, held in flat.items():
        yield name, held
        yield f"{name}, a column", held[:, np.newaxis]


def answer(y: Array, images: bool = False, asked: Any = "auto") -> tuple[Any, ...]:
    try:
        task = task_of(y, images=images, asked=asked)
    except DataError as error:
        return ("refused", str(error))
    parts = [None if part is None else part.tolist() for part in (task.labels, task.classes, task.numbers)]
    return (task.kind, task.why, *parts)


@pytest.mark.parametrize("asked", ["auto", "classify", "regress"])
@pytest.mark.parametrize("name", WHOLE)
def test_type_and_shape_decide_nothing(name: str, asked: str) -> None:
    values, images, expected = WHOLE[name]
    answers = {holder: answer(y, images, asked) for holder, y in holders(values)}
    assert len(answers) >= 18
    first = answers["int64"]
    assert {holder: given for holder, given in answers.items() if given != first} == {}
    if asked == "auto":
        assert expected in first[1]
        meant = {"c": "classify", "a": "regress"}.get("" if "may be" in expected else expected[0], first[0])
        assert first[0] == meant
    elif name != "always one value":
        assert first[0] == asked
    if first[0] == "classify":
        assert first[2] == values.tolist()
        assert first[3] == np.unique(values).tolist()
    if first[0] == "regress":
        assert first[4] == values[:, np.newaxis].tolist()


@pytest.mark.parametrize("name", WHOLE)
def test_doubt_names_both_readings_and_each_works(name: str) -> None:
    values, images, _ = WHOLE[name]
    given = answer(values, images)
    if given[0] != "refused" or "single value" in given[1]:
        return
    assert "--task classify" in given[1]
    assert "--task regress" in given[1]
    assert task_of(values, images=images, asked="classify").kind == "classify"
    assert task_of(values, images=images, asked="regress").kind == "regress"


NAMES = {
    "names": np.array(["ant", "bee", "cow"] * 10),
    "codes": np.array(["01", "1", "010"] * 10),
    "versions": np.array(["1.1", "1.10", "2.0"] * 10),
    "ids beyond 64 bits": np.array(["12345678901234567890", "12345678901234567891", "7"] * 10),
    "None is a name": np.array(["None", "NA", "nan"] * 10),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "hold", [np.asarray, lambda y: y.astype("S"), lambda y: y.astype(object), lambda y: y[:, None]]
)
def test_names_stay_as_they_are_written(name: str, hold: Callable[[Array], Array]) -> None:
    task = task_of(hold(NAMES[name]), images=False)
    assert task.labels is not None
    assert task.labels.tolist() == NAMES[name].tolist()
    assert task.why == "classes: 3 names, each 10 times"
    assert "holds names" in answer(NAMES[name], asked="regress")[1]


def test_truth_values() -> None:
    truth = np.arange(30) % 3 == 0
    held = [truth, truth.astype(object), truth.astype(str), truth[:, None], np.array(truth.tolist(), object)]
    answers = [answer(y) for y in held]
    assert all(given == answers[0] for given in answers)
    assert answers[0][:2] == ("classify", "classes: truth values, each 10 to 20 times")
    assert answers[0][3] == ["False", "True"]


@pytest.mark.parametrize("columns", [2, 3, 10])
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool", "object", "str"])
def test_one_hot_rows(columns: int, dtype: str) -> None:
    ids = np.arange(60) % columns
    for rows in (ids, np.where(ids == 0, 1, ids)):  # in the second no sample has class 0
        if len(np.unique(rows)) < 2:
            continue
        matrix = np.eye(columns, dtype=np.int64)[rows].astype(dtype)
        task = task_of(matrix, images=False)
        assert task.kind == "classify"
        assert task.labels is not None
        assert task.classes is not None
        np.testing.assert_array_equal(task.labels, rows)
        np.testing.assert_array_equal(task.classes, np.arange(columns))
        if dtype not in ("bool", "object"):
            asked = task_of(matrix, images=False, asked="regress").numbers
            assert asked is not None
            np.testing.assert_array_equal(asked, np.eye(columns)[rows])


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, "bool", "object"])
def test_several_labels_per_sample_are_refused(dtype: str) -> None:
    matrix = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]] * 10).astype(dtype)
    kind, said, *_ = answer(matrix)
    assert kind == "refused"
    assert "sample 1 has 2 ones: several labels per sample" in said
    assert "Dense(3), Sigmoid()" in said
    none = np.array([[1, 0], [0, 0], [0, 1]] * 10).astype(dtype)
    assert "sample 1 has 0 ones" in answer(none)[1]


def test_columns_of_numbers() -> None:
    task = task_of(np.arange(12.0).reshape(6, 2) / 7, images=False)
    assert (task.kind, task.why) == ("regress", "a quantity: 2 columns of numbers")
    assert "one class per sample" in answer(np.arange(12).reshape(6, 2), asked="classify")[1]
    assert "one class per sample" in answer(np.array([["a", "b"]] * 5))[1]


@pytest.mark.parametrize("asked", ["auto", "regress"])
def test_nothing_to_learn(asked: str) -> None:
    assert "the target has a single value (3.5)" in answer(np.array([3.5, 3.5]), asked=asked)[1]
    assert "the target has a single value (3.5)" in answer(np.full((4, 2), 3.5), asked=asked)[1]


REFUSED: dict[str, tuple[Array, str]] = {
    "NaN": (np.array([0.0, np.nan, 1.0]), "NaN or infinity in sample 1"),
    "infinite": (np.array([0.0, 1.0, np.inf]), "NaN or infinity in sample 2"),
    "None": (np.array(["a", None, "b"], object), "missing in sample 1"),
    "NaN among objects": (np.array([[1.0], [float("nan")]], object), "missing in sample 1"),
    "mixed": (np.array(["a", 1], object), "both 'a' and 1"),
    "lists": (np.array([{}, {}], object), "the target holds {}"),
    "empty text": (np.array(["a", "", "b"]), "empty in sample 1"),
    "bytes of another encoding": (np.array([b"h\xe4user", b"dogs"]), "no UTF-8 text"),
    "dates": (np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), "give numbers or names"),
    "complex": (np.array([1j, 2]), "give numbers or names"),
    "two fractions": (np.array([0.5, 1.5] * 9), "--task regress learns the number"),
    "one name": (np.array(["a"] * 5), "single value (a)"),
    "a name each": (np.array([f"name {i}" for i in range(40)]), "40 different names in 40 samples"),
    "ids that float64 rounds": (np.array([2**53 + 1, 2**53, 5] * 9), "as classes write them as text"),
    "unsigned ids": (np.array([2**64 - 1, 0] * 9, np.uint64), "as classes write them as text"),
    "beyond 64 bits": (np.array([2**70, 0] * 9, object), "more than 64 bits"),
    "no sample": (np.zeros((0,)), "shape (0,)"),
    "a single number": (np.array(3), "shape ()"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_what_to_write(name: str) -> None:
    y, said = REFUSED[name]
    kind, message, *_ = answer(y)
    assert kind == "refused"
    assert said in message


@pytest.mark.parametrize("name", ["ids that float64 rounds", "unsigned ids", "beyond 64 bits"])
def test_advice_on_large_ids_holds(name: str) -> None:
    y = REFUSED[name][0]
    task = task_of(y.astype(str), images=False)
    assert task.classes is not None
    assert sorted(task.classes.tolist()) == sorted({str(label) for label in y.tolist()})


def test_fractions() -> None:
    y = rng.normal(size=50)
    assert answer(y)[0] == "regress"
    assert answer(y.astype(str)) == answer(y)
    assert "fractions" in answer(y, asked="classify")[1]


@pytest.mark.parametrize("name", [name for name, (_, _, expected) in WHOLE.items() if expected[0] == "c"])
def test_labels_of_a_later_file(name: str) -> None:
    values, images, _ = WHOLE[name]
    for classes in (task_of(values, images=images).classes, np.unique(values.astype(str))):
        assert classes is not None
        for holder, y in holders(values):
            labels = known_labels(y, classes)
            assert labels is not None, holder
            assert labels.tolist() == values.astype(classes.dtype).tolist(), holder


def test_later_labels_that_are_none_or_new() -> None:
    classes = np.array(["a", "b"])
    new = known_labels(np.array(["a", "c"]), classes)
    assert new is not None
    assert new.tolist() == ["a", "c"]
    assert known_labels(np.array([0.5, 1.0]), classes) is None
    assert known_labels(np.array([[0.5, 0.5]]), classes) is None
    one_hot = known_labels(np.array([[0, 1], [1, 0]]), classes)
    assert one_hot is not None
    assert one_hot.tolist() == ["b", "a"]
    assert known_labels(np.eye(3), classes) is None
    for truth in (np.array([True, False]), np.array([1.0, 0.0]), np.array(["True", "False"])):
        for known in (np.array(["False", "True"]), np.array([0, 1])):
            labels = known_labels(truth, known)
            assert labels is not None
            assert labels.tolist() == [known[1], known[0]]
    with pytest.raises(DataError, match="missing in sample 1"):
        known_labels(np.array(["a", None], object), classes)


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 1, 1), (60, 1, 1, 1)])
@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8", "<U1", "bool"])
def test_axes_of_length_one_change_nothing(shape: tuple[int, ...], dtype: str) -> None:
    y = (np.arange(60) % (2 if dtype == "bool" else 3)).astype(dtype)
    for images in (False, True):
        plain, shaped = task_of(y, images=images), task_of(y.reshape(shape), images=images)
        assert (shaped.kind, shaped.why) == (plain.kind, plain.why)
        assert np.array_equal(shaped.values, plain.values)
        assert shaped.classes is not None
        again = known_labels(y.reshape(shape), shaped.classes)
        assert again is not None
        assert np.array_equal(again, shaped.values)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255), (0.05, 0.9), (1, 2)])
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("more", [(), (1,)])
def test_one_hot_rows_of_other_numbers_are_asked_for(
    more: tuple[int, ...], classes: int, low: float, high: float
) -> None:
    labels = np.arange(70) % classes
    y = np.where(np.eye(classes, dtype=bool)[labels], high, low).reshape(70, classes, *more)
    if (low, high) != (0, 1):
        with pytest.raises(DataError, match="--task classify reads it as classes, --task regress"):
            task_of(y, images=False)
    task = task_of(y, images=False, asked="classify" if (low, high) != (0, 1) else "auto")
    assert task.kind == "classify"
    assert np.array_equal(task.values, labels)
    assert task.classes is not None
    known = known_labels(y, task.classes)
    assert known is not None
    assert np.array_equal(known, labels)
    assert task_of(y, images=False, asked="regress").values.shape == (70, classes)
