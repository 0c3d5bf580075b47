"""Preparations: learned from a table, applied by name and at every door, kept in the file."""

from __future__ import annotations

import json
import pickle
import warnings
from datetime import date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError, FileError, ShapeError
from chainrule.data import Preparation, Standardizer
from chainrule.data.frames import Frame, frame_of
from chainrule.data.preparation import Numbers, Pixels
from chainrule.data.preparation.table import Columns
from chainrule.networks.network import Network
from chainrule.training.fit import fit

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 5, 4, 1), dtype=np.uint8)
LABELS = np.arange(24) % 3


def classifier(inputs: Any, outputs: int = 3, **options: Any) -> Network:
    return Network([cr.Flatten(), cr.Dense(outputs), cr.Softmax()], input_shape=inputs, **options)


# -- pixels and numbers
# -----------------------------------------------------------------------------------------
def test_a_table_of_uint8_is_not_divided() -> None:
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    losses = []
    for dtype in ("uint8", "int8", "float32", "bool"):
        network = Network([cr.Dense(8), cr.Tanh(), cr.Dense(2), cr.Softmax()], input_shape=2)
        losses.append(fit(network, X.astype(dtype), y, epochs=300, optimizer=cr.Adam(0.05)).loss[-1])
    assert losses[0] < 0.01
    assert len(set(losses)) == 1


def test_pixels_are_the_same_in_every_form() -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=2)
    expected = network.predict(IMAGES)
    for form in (IMAGES.tolist(), IMAGES.astype(np.int64), IMAGES.astype(np.float32), IMAGES.astype(float)):
        np.testing.assert_array_equal(network.predict(form), expected)
    assert network.preparation is not None
    assert isinstance(network.preparation.inputs, Pixels)
    assert "inputs: pixels from 0 to 255, divided by 255" in network.summary()
    halves = IMAGES.astype(float).clip(0, 250) + 0.5
    np.testing.assert_allclose(
        network.predict(halves),
        (network.predict(halves - 0.5) + network.predict(halves + 0.5)) / 2,
        atol=1e-3,
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda X: X / 255, r"divides by itself: where these have been divided, write X \* 255"),
        (lambda X: X.astype(float) * 2, "to [45]..,.*give pixels"),
        (lambda X: X.astype(float) - 128, "from -12[78] to"),
        (lambda X: X > 100, r"truth values"),
        (lambda X: np.where(X > 100, np.nan, X), "NaN"),
    ],
)
def test_what_is_no_pixel_is_refused_at_every_door(made: Any, words: str) -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=1)
    X = made(IMAGES)
    doors = (
        lambda: network.predict(X),
        lambda: network.classify(X),
        lambda: network.accuracy(X, LABELS),
        lambda: network.loss(X, LABELS),
        lambda: network.backpropagate(X, LABELS),
        lambda: fit(network, X, LABELS),
        lambda: cr.check_gradients(network, X, LABELS),
        lambda: cr.explain(network, X[:4], LABELS[:4]),
        lambda: cr.diagnose(network, X, LABELS),
    )
    for door in doors:
        with pytest.raises(DataError, match=words):
            door()
    with pytest.raises(DataError, match=words.replace("write X", "write validation X")):
        fit(network, IMAGES, LABELS, validation=(X, LABELS))


def test_what_fit_infers_is_told_when_it_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=1, progress=True)
    assert capsys.readouterr().err.splitlines()[0] == "inputs: pixels from 0 to 255, divided by 255"
    fit(network, IMAGES, LABELS, epochs=1, progress=True)
    assert capsys.readouterr().err.startswith("epoch 1/1")


def test_the_advice_for_divided_pixels_is_right() -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=1)
    divided = (IMAGES / 255).astype(np.float32)
    np.testing.assert_allclose(network.predict(divided * 255), network.predict(IMAGES), rtol=1e-5)
    float_network = classifier((5, 4, 1))
    fit(float_network, divided, LABELS, epochs=1)
    with pytest.raises(DataError, match=r"trained on numbers from 0 to 1: .* write X / 255") as refused:
        float_network.predict(IMAGES)
    assert "X / 255" in str(refused.value)
    np.testing.assert_allclose(float_network.predict(IMAGES / 255), float_network.predict(divided), rtol=1e-6)
    with pytest.raises(DataError, match=r"validation X / 255"):
        fit(float_network, divided, LABELS, validation=(IMAGES, LABELS))


def test_numbers_up_to_255_that_were_trained_on_as_floats_stay_numbers() -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES.astype(np.float32), LABELS, epochs=1, optimizer=cr.SGD(1e-4))
    np.testing.assert_array_equal(network.predict(IMAGES), network.predict(IMAGES.astype(float)))


def test_planes_of_zeros_and_ones_are_no_pixels() -> None:
    planes = (IMAGES > 100).astype(np.uint8)
    bits = []
    for X in (planes, planes.astype(float)):
        network = classifier((5, 4, 1))
        fit(network, X, LABELS, epochs=2)
        bits.append(network.predict(X))
    np.testing.assert_array_equal(*bits)


def test_rows_of_uint8_that_may_be_pixels_are_told() -> None:
    X = IMAGES.reshape(24, 20)
    with pytest.warns(UserWarning, match=r"Network\(\.\.\., preparation='pixels'\)") as told:
        fit(classifier(20), X, LABELS, epochs=1)
    assert told[0].filename == __file__
    with_pixels = classifier(20, preparation="pixels")
    fit(with_pixels, X, LABELS, epochs=2)
    images = classifier((5, 4, 1))
    fit(images, IMAGES, LABELS, epochs=2)
    np.testing.assert_array_equal(with_pixels.predict(X), images.predict(IMAGES))
    fit(classifier(20), X // 2, LABELS, epochs=1)  # percentages, ages: nothing to say
    fit(classifier((5, 4, 1), preparation="numbers"), IMAGES, LABELS, epochs=1, optimizer=cr.SGD(1e-5))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_scale_is_in_the_file(suffix: str, tmp_path: Path) -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=1)
    network.save(tmp_path / f"net{suffix}")
    kept = cr.load(tmp_path / f"net{suffix}")
    np.testing.assert_array_equal(kept.predict(IMAGES.tolist()), network.predict(IMAGES))
    assert network.copy().preparation is network.preparation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_the_same_bits_for_any_number_of_threads(dtype: str, threads: int) -> None:
    network = classifier((5, 4, 1), dtype=dtype)
    fit(network, IMAGES, LABELS, epochs=2, batch_size=7, threads=threads)
    reference = classifier((5, 4, 1), dtype=dtype)
    fit(reference, IMAGES, LABELS, epochs=2, batch_size=7, threads=1)
    np.testing.assert_array_equal(network.predict(IMAGES), reference.predict(IMAGES))


# -- classes
# ----------------------------------------------------------------------------------------------------
VECTORS = RNG.normal(size=(30, 4))


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_fold_that_lacks_a_class_keeps_what_its_outputs_mean(missing: int) -> None:
    y = 1 + np.arange(30) % 3
    part = y != missing
    network = classifier(4)
    with (
        pytest.warns(UserWarning, match=r"write fit\(\.\.\., classes=range\(3\)\)")
        if missing == 3
        else (warnings.catch_warnings())
    ):
        fit(network, VECTORS[part], y[part], epochs=1)
    seen = [label for label in (1, 2, 3) if label != missing]
    assert network.classes is not None
    assert network.classes.tolist() == seen
    before = network.predict(VECTORS)
    fit(network, VECTORS, y, epochs=1, optimizer=cr.SGD(1e-12))
    assert network.classes.tolist() == [*seen, missing]
    np.testing.assert_allclose(network.predict(VECTORS), before, rtol=1e-4)
    assert network.summary().endswith(f"classes: {', '.join(map(str, [*seen, missing]))}")


def test_labels_from_zero_number_themselves() -> None:
    network = classifier(4)
    fit(network, VECTORS, np.arange(30) % 2 * 2, epochs=1)
    assert network.classes is not None
    assert network.classes.tolist() == [0, 1, 2]


@pytest.mark.parametrize("labels", [["a", "b", "c"], [10, 20, 30], ["01", "1", "010"]])
def test_classes_are_told_or_grow_and_are_never_renumbered(labels: list[Any]) -> None:
    y = np.array(labels)[np.arange(30) % 2]
    told = classifier(4, classes=labels)
    fit(told, VECTORS, y, epochs=1)
    assert told.classes is not None
    assert told.classes.tolist() == labels
    by_fit = classifier(4)
    fit(by_fit, VECTORS, y, epochs=1, classes=labels)
    np.testing.assert_array_equal(by_fit.predict(VECTORS), told.predict(VECTORS))
    with pytest.raises(ArgumentError, match="outputs stand for"):
        fit(told, VECTORS, y, classes=labels[::-1])
    grown = classifier(4)
    fit(grown, VECTORS, y, epochs=1, validation=(VECTORS[:3], np.array(labels)))
    assert grown.classes is not None
    assert sorted(map(str, grown.classes.tolist())) == sorted(map(str, labels))
    with pytest.raises(DataError, match="must hold the classes"):
        fit(grown, VECTORS, np.array([*labels, labels[0] * 7])[np.arange(30) % 4])


# -- columns have names
# -----------------------------------------------------------------------------------------
def frames() -> dict[str, Any]:
    """The same table in the forms that people have."""
    columns = {"a": VECTORS[:, 0], "b": VECTORS[:, 1], "c": VECTORS[:, 2]}
    forms: dict[str, Any] = {"mapping": columns}
    fields = np.rec.fromarrays(list(columns.values()), names=list(columns))
    forms["fields"] = fields
    forms |= {"pandas": pandas.DataFrame(columns), "polars": polars.DataFrame(columns)}
    return forms | {"pyarrow": pyarrow.table(columns)}


@pytest.mark.parametrize("form", ["mapping", "fields", "pandas", "polars", "pyarrow"])
def test_columns_are_taken_by_name(form: str) -> None:
    table = frames()[form]
    y = (VECTORS[:, 0] > VECTORS[:, 2]).astype(int)
    network = classifier(3, 2)
    fit(network, table, y, epochs=20)
    assert network.preparation is not None
    assert network.preparation.feature_names == ("a", "b", "c")
    assert "features: a, b, c" in network.summary()
    frame = frame_of(table, "X")
    assert frame is not None
    shuffled = frame.select(["c", "a", "b"])
    expected = network.predict(VECTORS[:, :3])
    for X in (table, frame, shuffled, {column.name: column.values for column in shuffled.columns}):
        np.testing.assert_array_equal(network.predict(X), expected)
    assert network.accuracy(shuffled, y) == network.accuracy(table, y)
    with pytest.raises(DataError, match=r"lacks the columns b that the network was trained on"):
        network.predict(frame.select(["c", "a"]))
    more = {**{column.name: column.values for column in frame.columns}, "z": VECTORS[:, 3]}
    with pytest.raises(DataError, match=r"has the columns z.*X\[\['a', 'b', 'c'\]\]"):
        network.predict(more)
    with pytest.raises(ShapeError, match="has 2 columns, the network was trained on 3: a, b, c"):
        network.predict(VECTORS[:, :2])


def test_a_frame_of_texts_says_what_to_write() -> None:
    table = {"age": [20.0, 30.0], "sex": ["m", "f"]}
    with pytest.raises(DataError, match=r"preparation = cr\.Preparation\.learn\(X\)"):
        fit(classifier(2), table, [0, 1])
    with pytest.raises(DataError, match="missing values"):
        fit(classifier(1), {"age": [20.0, np.nan]}, [0, 1])


# -- tables
# -----------------------------------------------------------------------------------------------------
DAY = datetime(2024, 1, 31)
COLUMNS: dict[str, list[Any]] = {
    "number": [float(i * i % 7) for i in range(12)],
    "gaps": [None if i % 4 == 0 else float(i) for i in range(12)],
    "whole": [i * 5 % 11 for i in range(12)],
    "one value and gaps": [None if i % 3 else 2.0 for i in range(12)],
    "text": ["red", "green", "blue"] * 4,
    "text with gaps": [None if i == 5 else "xy"[i % 2] for i in range(12)],
    "truth": [i % 2 == 0 for i in range(12)],
    "truth with gaps": [None if i == 1 else i % 3 == 0 for i in range(12)],
    "date": [DAY + timedelta(days=23 * i, hours=i) for i in range(12)],
    "date with gaps": [None if i == 7 else DAY + timedelta(days=i) for i in range(12)],
    "always": [3] * 12,
    "id": [f"row {i}" for i in range(12)],
    "count": list(range(100, 112)),
}
KINDS = sorted(COLUMNS)


def table(*names: str) -> dict[str, Any]:
    return {name: np.array(COLUMNS[name], dtype=object) for name in names}


@pytest.mark.parametrize("pair", list(product(KINDS, KINDS)), ids="-".join)
def test_every_pair_of_columns_is_learned_kept_and_applied(pair: tuple[str, str]) -> None:
    given = table(*dict.fromkeys((*pair, "number")))
    made = Preparation.learn(given)
    out = made(given)
    assert out.dtype == np.float64
    assert out.shape == (12, made.width) == (12, len(made.outputs or ()))
    assert np.isfinite(out).all()
    assert len(set(made.outputs or ())) == made.width
    kept = Preparation.from_json(json.loads(json.dumps(made.to_json())), "net.npz")
    np.testing.assert_array_equal(kept(given), out)
    assert str(kept) == str(made)
    back = {name: given[name] for name in reversed(given)}
    np.testing.assert_array_equal(made(back), out)
    frame = frame_of(given, "X")
    assert frame is not None
    np.testing.assert_array_equal(made(frame[np.array([7])]), out[7:8])
    nameless = Frame(frame.columns, named=False)
    np.testing.assert_array_equal(made(nameless), out)


def test_numbers_of_a_table_by_hand() -> None:
    given = {
        "x": np.array([1.0, 3.0, 8.0]),
        "g": np.array([2.0, np.nan, 4.0]),
        "t": np.array(["p", "q", "p"]),
    }
    made = Preparation.learn(given)
    assert made.outputs == ("x", "g", "g missing", "t=q")
    x, g = np.array([1.0, 3.0, 8.0]), np.array([2.0, 3.0, 4.0])
    expected = np.stack([(x - 4) / x.std(), (g - 3) / g.std(), [0, 1, 0], [0, 1, 0]], axis=1)
    np.testing.assert_allclose(made(given), expected, rtol=1e-6)


def test_dates_by_hand() -> None:
    days = [date(2023, 1, 2), date(2023, 7, 3), date(2024, 1, 1)]  # Mondays
    made = Preparation.learn({"d": np.array(days, dtype="datetime64[D]"), "n": np.array([1.0, 2.0, 4.0])})
    assert made.outputs == ("d", "d sin of year", "d cos of year", "n")
    elapsed = np.array([(day - date(1970, 1, 1)).days for day in days])
    out = made({"d": np.array(days, dtype="datetime64[D]"), "n": np.zeros(3)})
    np.testing.assert_allclose(out[:, 0], (elapsed - elapsed.mean()) / elapsed.std(), rtol=1e-6)
    np.testing.assert_allclose(out[:, 1], np.sin(2 * np.pi * np.array([1, 183, 0]) / 365.25), atol=1e-6)


def test_what_was_not_in_training_is_told() -> None:
    given = {"n": np.array([1.0, 2.0, 4.0]), "t": np.array(["p", "q", "r"])}
    made = Preparation.learn(given)
    with pytest.warns(UserWarning, match="'n' is missing in 1 row, in training it never was.*median.* 2"):
        filled = made({"n": np.array([np.nan, 2.0]), "t": np.array(["p", "q"])})
    np.testing.assert_array_equal(filled[0, 0], filled[1, 0])
    with pytest.warns(UserWarning, match="'t' holds new, old in 2 rows, which the training data did not"):
        unknown = made({"n": np.ones(3), "t": np.array(["old", "new", "p"])})
    np.testing.assert_array_equal(unknown[:2, 1:], 0)
    with pytest.raises(DataError, match="'n' of X holds 'abc' in row 0, but was a number in training"):
        made({"n": np.array(["abc"]), "t": np.array(["p"])})
    with pytest.raises(DataError, match="lacks the columns t"):
        made({"n": np.ones(2)})
    with pytest.raises(ShapeError, match="has 3 columns, the training data had 2: n, t"):
        made(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("levels", "new"),
    [(("1", "2", "x"), np.array([1.0, 2.0])), (("False", "True", "x"), np.array([False, True]))],
)
def test_levels_are_met_by_what_another_file_reads_as_numbers(levels: tuple[str, ...], new: Any) -> None:
    made = Preparation.learn({"t": np.array([*levels, *levels], dtype=object)})
    np.testing.assert_array_equal(made({"t": new}), np.eye(3)[:2])


ORDER = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("name", "values", "left_out"),
    [
        ("Wealth", ORDER.permutation(80) + 1, ""),  # places by size
        ("Wealth", np.arange(1, 81), "numbers the rows, 1 to 80"),
        ("Wealth", np.arange(80, 0, -1), "numbers the rows, 1 to 80"),
        ("Wealth", np.sort(ORDER.permutation(120)[:80]), "numbers the rows"),  # a part of them, in order
        ("year", np.arange(1901, 1981), ""),
        ("PassengerId", ORDER.permutation(80) + 1, "numbers the rows, 1 to 80"),
        ("case", ORDER.permutation(80), "numbers the rows, 0 to 79"),
        ("Unnamed: 0", ORDER.permutation(80), "numbers the rows, 0 to 79"),
        ("customer_id", ORDER.permutation(9000)[:80], "a different number in every row"),
        ("income", ORDER.permutation(9000)[:80], ""),
        ("ID", (np.arange(80) % 70 + 3) ** 2, "70 different numbers in 80 rows"),
        ("ID", np.arange(80) // 4, ""),  # of groups
        ("bid", np.append(np.arange(70) ** 2, np.arange(10) ** 2), ""),
    ],
)
def test_numbers_of_rows_and_ids_are_left_out_and_places_are_not(
    name: str, values: Any, left_out: str
) -> None:
    made = Preparation.learn({name: values, "x": np.sin(np.arange(80.0))})
    assert made.outputs == (("x",) if left_out else (name, "x"))
    assert left_out in str(made)


def test_levels_beyond_the_most_frequent_are_one() -> None:
    texts = np.array(["common"] * 30 + ["usual"] * 20 + [f"rare {i}" for i in range(10)] * 2, dtype=object)
    made = Preparation.learn({"t": texts}, most_levels=2)
    assert made.outputs == ("t=common", "t=usual", "t=other")
    assert made({"t": np.array(["rare 3", "unheard of", "usual"], dtype=object)}).tolist() == [
        [0, 0, 1], [0, 0, 1], [0, 1, 0],
    ]  # fmt: skip


def test_what_is_inferred_is_shown_and_can_be_told() -> None:
    given = {
        **table("count", "id", "always"),
        "zip": np.array([10, 20, 30] * 4),
        "size": np.array(["S", "L", "M"] * 4),
    }
    made = Preparation.learn(given)
    shown = str(made)
    for words in (
        "numbers the rows, 100 to 111",
        "always holds 3",
        "levels L, M, S",
    ):
        assert words in shown
    assert made.outputs is not None
    assert "zip" in made.outputs
    told = Preparation.learn(
        given, kinds={"count": "number", "always": "number", "zip": "levels", "id": "drop"},
        levels={"size": ["S", "M", "L"]},
    )  # fmt: skip
    assert told.outputs == ("count", "always", "zip=10", "zip=20", "zip=30", "size")
    order = told(given)[:3, -1]
    assert order[0] < order[2] < order[1]
    for wrong, words in (
        ({"kinds": {"zap": "number"}}, "columns are count"),
        ({"kinds": {"zip": "category"}}, "write 'number', 'levels'"),
        ({"kinds": {"size": "number"}}, "the column holds 'S'"),
        ({"levels": {"size": ["S", "M"]}}, "'size' holds L, which is none of its levels: S, M"),
    ):
        with pytest.raises((ArgumentError, DataError), match=words):
            Preparation.learn(given, **wrong)  # type: ignore[arg-type]


def test_an_ordered_categorical_keeps_its_order() -> None:
    sizes = pandas.Categorical(["S", "L", "M"] * 3, categories=["S", "M", "L"], ordered=True)
    made = Preparation.learn(pandas.DataFrame({"size": sizes}))
    order = made(pandas.DataFrame({"size": ["S", "M", "L"]}))[:, 0]
    assert order[0] < order[1] < order[2]
    with pytest.raises(DataError, match="'size' of X holds XL, which has no place in S < M < L"):
        made(pandas.DataFrame({"size": ["XL"]}))


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="no column is left to learn from"):
        Preparation.learn(table("always", "count"))
    with pytest.raises(DataError, match="takes a table with names"):
        Preparation.learn(np.ones((3, 2)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_applies_its_preparation_at_every_door(dtype: str, tmp_path: Path) -> None:
    names = ("number", "gaps", "text with gaps", "truth", "date")
    given, y = table(*names), np.arange(12.0) * 1000 + 5000
    made = Preparation.learn(given)
    made.targets = Standardizer.learn(y[:, None])
    network = Network(
        [cr.Dense(4), cr.Tanh(), cr.Dense(1)], input_shape=made.width, preparation=made, dtype=dtype
    )
    fit(network, given, y, epochs=150, optimizer=cr.Adam(0.02), validation=(given, y))
    predicted = network.predict(given)
    assert np.abs(predicted[:, 0] - y).max() < 2500
    X, target = made(given), made.target(y)
    np.testing.assert_array_equal(network.predict(X), predicted)
    assert network.loss(given, y) == network.loss(X, target) == network.loss(X, y)
    assert cr.check_gradients(network, given, y).ok
    assert cr.explain(network, given, y).ok
    assert cr.diagnose(network, given, y).flow["samples"] == 12
    network.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(cr.load(tmp_path / "net.npz").predict(given), predicted)
    assert "target: (y - 10500) / 3452.05; predict gives its own unit" in network.summary()


def test_a_preparation_that_does_not_fit_is_refused() -> None:
    made = Preparation.learn(table("text"))
    with pytest.raises(ShapeError, match=r"write input_shape=preparation\.width"):
        classifier(5, preparation=made)
    for width in (1, 4):  # said when it is given, not by the first prediction
        with pytest.raises(ShapeError, match=rf"scales {width} features of a sample, .*Standardizer\.learn"):
            classifier(5, preparation=Standardizer.learn(np.arange(8.0).reshape(-1, width)))
    classifier(5, preparation=Standardizer.learn(np.arange(10.0).reshape(2, 5)))
    with pytest.raises(ArgumentError, match=r"write Preparation\.learn\(X\), Standardizer\.learn\(X\)"):
        classifier(5, preparation={"mean": 0})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="'pixels' or 'numbers'"):
        classifier(5, preparation="pixel")
    with pytest.raises(ArgumentError, match="inputs is 3: write 'pixels', 'numbers' or Standardizer"):
        Preparation(inputs=3)  # type: ignore[arg-type]


DAMAGED: list[Any] = [
    {"kind": "columns"}, {"kind": "columns", "columns": []}, {"kind": "columns", "columns": [{}]},
    {"kind": "columns", "columns": [{"kind": "levels", "name": "t", "levels": [1]}]},
    {"kind": "columns", "columns": [{"kind": "quantity", "name": "t", "mean": 0, "scale": 0, "median": 0}]},
    {"kind": "columns", "columns": [{"kind": "quantity", "name": "t", "mean": "0", "scale": 1, "median": 0}]},
    {"kind": "columns", "columns": [{"kind": "date", "name": "t", "elapsed": 3, "cycles": []}]},
    {"kind": "columns", "columns": [{"kind": "ordered", "name": "t", "levels": []}]},
    {"kind": "columns", "columns": [{"kind": "gap"}]},
    {"kind": "columns", "columns": [{"kind": "dropped", "name": "t"}]},
    {"kind": "numbers", "low": "x", "high": 1}, {"kind": "unheard"}, {"mean": [0], "scale": [0]}, 3,
]  # fmt: skip


@pytest.mark.parametrize("inputs", DAMAGED, ids=str)
def test_a_damaged_preparation_is_refused(inputs: Any) -> None:
    with pytest.raises(FileError, match=r"net\.npz: inputs: "):
        Preparation.from_json({"inputs": inputs}, "net.npz")


def test_numbers_remember_their_range() -> None:
    network = classifier(4)
    fit(network, VECTORS[:15], LABELS[:15], epochs=1)
    fit(network, VECTORS[15:], LABELS[:15], epochs=1)
    assert network.preparation is not None
    seen = network.preparation.inputs
    assert isinstance(seen, Numbers)
    assert (seen.low, seen.high) == pytest.approx((VECTORS.min(), VECTORS.max()), rel=1e-6)
    assert Columns.learn(frame_of(table("number"), "X")).names == ("number",)  # type: ignore[arg-type]


BETWEEN = IMAGES / 255
FORMS: dict[str, Any] = {
    "uint8": IMAGES,
    "without channel": IMAGES[..., 0],
    "list": IMAGES.tolist(),
    "int64": IMAGES.astype(np.int64),
    "float32": IMAGES.astype(np.float32),
    "float64, without channel": IMAGES[..., 0].astype(float),
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_are_refused_where_the_training_had_them_divided(form: str) -> None:
    """The scale of a network's inputs is not forgotten, whatever holds the pixels."""
    network = classifier((5, 4, 1))
    fit(network, BETWEEN, LABELS, epochs=1)
    refused = "as pixels are, but the network was trained on numbers from 0 to 1: where these were pixels"
    for call in (
        lambda X: network.predict(X),
        lambda X: network.accuracy(X, LABELS),
        lambda X: network.loss(X, LABELS),
        lambda X: fit(network, X, LABELS, epochs=1),
        lambda X: fit(classifier((5, 4, 1)), BETWEEN, LABELS, epochs=1, validation=(X, LABELS)),
    ):
        with pytest.raises(DataError, match=refused):
            call(FORMS[form])
    np.testing.assert_array_equal(network.predict(np.array(FORMS[form]) / 255), network.predict(BETWEEN))
    network.preparation = Preparation(inputs="numbers")  # type: ignore[arg-type]  # as the error says
    network.predict(FORMS[form])


def test_flat_pixels_are_refused_where_the_training_had_them_divided_and_numbers_are_not() -> None:
    flat = IMAGES.reshape(len(IMAGES), -1)
    network = cr.Network([cr.Dense(3), cr.Softmax()], input_shape=flat.shape[1])
    fit(network, flat / 255, LABELS, epochs=1)
    with pytest.raises(DataError, match="X holds uint8 up to"):
        network.predict(flat)
    network.predict(flat.astype("float32"))  # a table, which may lie beyond the training's
    network.predict(np.minimum(flat, 127))


def test_black_images_tell_no_scale() -> None:
    black = np.zeros_like(IMAGES)
    network, other = classifier((5, 4, 1)), classifier((5, 4, 1))
    fit(network, black, LABELS, epochs=1)
    assert network.preparation is None
    fit(network, IMAGES, LABELS, epochs=1)
    assert str(network.preparation) == "inputs: pixels from 0 to 255, divided by 255"
    fit(other, [(black, LABELS), (black, LABELS), (IMAGES, LABELS)], epochs=2)
    assert str(other.preparation) == "inputs: pixels from 0 to 255, divided by 255"
    third = classifier((5, 4, 1))
    fit(third, black, LABELS, epochs=1)
    fit(third, BETWEEN, LABELS, epochs=1)
    assert str(third.preparation) == "inputs: numbers as they are; from 0 to 1 in training"


CONVERTED: dict[str, Any] = {
    "as it is": lambda P: P,
    "float32": lambda P: P.astype(np.float32),
    "int64": lambda P: P.astype(np.int64),
    "times 1.0": lambda P: P * 1.0,
    "divided": lambda P: P / 255,
    "joined": lambda P: np.concatenate([P[:3], P[3:]]),
    "pickled": lambda P: pickle.loads(pickle.dumps(P)),
    "raw": np.asarray,
    "raw floats": lambda P: np.asarray(P, dtype=float),
}


@pytest.mark.parametrize("form", CONVERTED)
def test_prepared_pixels_are_divided_once_whatever_becomes_of_them(form: str) -> None:
    network = classifier((5, 4, 1))
    fit(network, IMAGES, LABELS, epochs=1)
    assert network.preparation is not None
    made = CONVERTED[form](network.preparation(IMAGES))
    np.testing.assert_allclose(network.predict(made), network.predict(IMAGES), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 24])
def test_a_network_of_float64_loses_nothing_by_its_preparation(dtype: str, rows: int) -> None:
    """Inputs and targets, prepared by the network or before, in the network's precision."""
    X, rounding = np.random.default_rng(0).normal(3, 2, (24, 3)), np.finfo(dtype).eps
    y = X @ [1.0, 2.0, 3.0] * 1e5 + 1e6
    named = {name: X[:, i] for i, name in enumerate("abc")}
    of_y = Standardizer.learn(y)
    for inputs, given in ((Standardizer.learn(X), X), (Preparation.learn(named).inputs, named)):
        preparation = Preparation(("a", "b", "c"), inputs=inputs, targets=of_y)
        network = cr.Network([cr.Dense(1)], input_shape=3, dtype=dtype, preparation=preparation)
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        for form in (given, preparation(given)):
            np.testing.assert_allclose(network.activations(form, "input"), Z, rtol=0, atol=4 * rounding)
        assert network.activations(given, "input").dtype == dtype
        outputs = network.activations(given, "dense1")[:, 0].astype(float)
        expected = float(((outputs - (y - y.mean()) / y.std()) ** 2).mean() / 2)
        np.testing.assert_allclose(network.loss(given, y), expected, rtol=16 * rounding)
        fit(network, given, y, epochs=1)
        outputs = network.activations(given, "dense1")[:, 0].astype(float)
        np.testing.assert_allclose(network.predict(given)[:, 0], outputs * y.std() + y.mean(), rtol=1e-12)


TARGETS: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = [
    # the shape of a sample's input, of its output, of its target
    ((3,), (1,), ()),
    ((3,), (1,), (1,)),
    ((3,), (2,), (2,)),
    ((5, 3), (5, 1), (5,)),
    ((5, 3), (5, 1), (5, 1)),
    ((5, 3), (5, 2), (5, 2)),
]


@pytest.mark.parametrize("shapes", TARGETS, ids=str)
@pytest.mark.parametrize("per", ["entry of the last axis", "number"])
def test_targets_of_every_shape_come_back_in_their_own_unit(shapes: Any, per: str) -> None:
    inputs, outputs, targets = shapes
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20, *inputs))
    y = rng.normal(size=(20, *targets)) * 7 + 100
    learned = Standardizer.learn(y.reshape(20, *outputs) if per[0] == "e" else y.reshape(20, -1))
    preparation = Preparation(targets=learned)
    network = cr.Network([cr.Dense(outputs[-1])], input_shape=inputs, preparation=preparation)
    fit(network, X, y, epochs=1, optimizer=cr.SGD(1e-9))
    outputs_of = network.activations(X, "dense1").astype(float)
    whole = learned.mean.size == np.prod(outputs)
    mean, scale = (part.reshape(outputs) if whole else part for part in (learned.mean, learned.scale))
    np.testing.assert_allclose(network.predict(X), outputs_of * scale + mean, rtol=1e-12)
    plain = (y.reshape(20, *outputs) - mean) / scale
    expected = ((outputs_of - plain) ** 2).reshape(20, -1).sum(axis=1).mean() / 2
    np.testing.assert_allclose(network.loss(X, y), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: Preparation(targets="standard"), "targets is 'standard': write Standardizer"),  # type: ignore
        (lambda: Preparation(inputs=Standardizer), "inputs is the class Standardizer: write"),  # type: ignore
        (lambda: Preparation(inputs=lambda X: X), "inputs is function: write 'pixels'"),  # type: ignore
        (lambda: Preparation("abc"), "feature_names is 'abc': write a list of names"),  # type: ignore
        (lambda: Preparation(("a", "a")), "feature_names must be different from each other, received a, a"),
        (lambda: Preparation((1, 2)), "feature_names is"),  # type: ignore
    ],
)
def test_a_preparation_of_what_is_none_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        given()


def test_a_preparation_set_by_hand_is_checked_as_one_given_at_first() -> None:
    network = cr.Network([cr.Dense(2)], input_shape=3)
    network.preparation = "numbers"  # type: ignore[assignment]
    assert isinstance(network.preparation, Preparation)
    with pytest.raises(ShapeError, match=r"makes 1 numbers of a sample, but input_shape is \(3,\)"):
        network.preparation = Preparation.learn({"a": [1.0, 2.5, 2.0]})
    with pytest.raises(ShapeError, match=r"scales 1 numbers of a sample, but .* output shape \(2,\)"):
        network.preparation = Preparation(targets=Standardizer.learn([1.0, 2.0]))
    with pytest.raises(ArgumentError, match="preparation is 3: write"):
        network.preparation = 3  # type: ignore[assignment]
    network.preparation = None


NUMBERS = {
    "0.1": 0.1, "-0.2": -0.2, "0": -0.0, "3": 3.0, "1000000": 1e6, "123456789012345": 123456789012345.0,
    "1e+20": 1e20, "0.30000000000000004": 0.1 + 0.2,
}  # fmt: skip


def test_numbers_as_levels_are_written_as_people_write_them() -> None:
    """0.1 was the level 0.10000000000000001, which no text is, and -0 another one than 0."""
    values, texts = list(NUMBERS.values()), list(NUMBERS)
    made = Preparation.learn({"code": np.array(values * 2)}, kinds={"code": "levels"})
    expected = np.asarray(made({"code": values}))
    assert expected.sum(axis=1).tolist() == [1.0] * len(values)
    np.testing.assert_array_equal(made({"code": texts}), expected)
    np.testing.assert_array_equal(made({"code": [0.0]}), made({"code": [-0.0]}))
    order = Preparation.learn({"code": np.array(values * 2)}, levels={"code": sorted(values)})
    np.testing.assert_array_equal(order({"code": texts}), order({"code": values}))


@pytest.mark.parametrize(
    ("levels", "new", "instead"),
    [
        ("f m", "x", "'f'"),
        ("f m", None, "'f'"),
        ("f m o", "x", "none of its levels"),
        ("f m o", None, "none of its levels"),
    ],
)
def test_what_a_new_level_counts_as_is_said_rightly(levels: str, new: str | None, instead: str) -> None:
    """Of two levels the first is 0, and what is new is as well."""
    made = Preparation.learn({"sex": np.array(levels.split() * 4, dtype=object)})
    with pytest.warns(UserWarning, match=rf"in 1 row, .*: there it counts as {instead}$"):
        row = made({"sex": np.array([new], dtype=object)})
    if instead == "'f'":
        np.testing.assert_array_equal(row, made({"sex": ["f"]}))
    assert not np.any(row)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levels": {"size": "SML"}}, "levels['size'] is 'SML': write its levels from the lowest"),
        ({"levels": {"size": ["S", "M", "L", "S"]}}, "from the lowest to the highest, each once"),
        ({"levels": {"size": []}}, "levels['size'] is []: write its levels"),
        ({"levels": {"size": None}}, "levels['size'] is None: write its levels"),
        ({"levels": {"size": list("SML")}, "kinds": {"size": "drop"}}, "both kinds and levels name the"),
        ({"most_levels": 0}, "most_levels must"),
        ({"most_levels": -1}, "most_levels must"),
        ({"most_levels": "5"}, "most_levels must"),
        ({"target": "price"}, "target is 'price', but the columns of X are size, 7"),
        ({"kinds": {8: "number"}}, "kinds names the column '8', but the columns are size, 7"),
    ],
)
def test_what_is_told_of_columns_is_checked(options: Any, said: str) -> None:
    table = pandas.DataFrame({"size": ["S", "M", "L"] * 3, 7: np.arange(9.0) ** 2})
    with pytest.raises((ArgumentError, DataError, TypeError)) as refused:
        Preparation.learn(table, **options)
    assert said in str(refused.value)


def test_columns_whose_names_are_numbers_are_told_by_them() -> None:
    table = pandas.DataFrame({"size": ["S", "M", "L"] * 3, 7: np.arange(9)})
    assert Preparation.learn(table, kinds={7: "number"}).outputs == ("size=L", "size=M", "size=S", "7")  # type: ignore[dict-item]
    made = Preparation.learn(table, target=7)  # type: ignore[arg-type]
    assert (made.feature_names, made.target_name) == (("size",), "7")
    with pytest.raises(DataError, match="X has no column but the target '7'"):
        Preparation.learn(table[[7]], target=7)  # type: ignore[arg-type]


def test_a_network_that_begins_with_another_one_takes_its_preparation() -> None:
    """Of pixels, of a table, of numbers: what the features were trained on is not forgotten."""
    table = {"age": RNG.normal(40, 9, 24), "sex": np.array(list("fm") * 12)}
    of_table = Preparation.learn(table)
    of_table.targets = Standardizer.learn([1.0, 2.0])
    cases: list[tuple[Network, Any, Any]] = [
        (classifier((5, 4, 1)), IMAGES, IMAGES.astype(float)),
        (classifier((5, 4, 1)), IMAGES / 255, IMAGES / 255),
        (classifier(2, preparation=Preparation(of_table.feature_names, None, of_table.inputs)), table, table),
    ]
    for features, X, later in cases:
        fit(features, X, LABELS, epochs=1)
        known = features.preparation
        assert known is not None
        expected = features.predict(X)
        for first in (features, features.as_layer()):
            network = Network([first, cr.Dense(2)], input_shape=features.input_shape)
            assert network.preparation is not None
            assert network.preparation.to_json() == known.to_json()
            np.testing.assert_array_equal(network.activations(later, str(network.layers[-2].name)), expected)
            told = Network([first], input_shape=features.input_shape, preparation="numbers")
            assert told.preparation is not None
            assert told.preparation.inputs == Numbers()
        again = Network.from_parameters(
            features.layers, features.parameters, input_shape=features.input_shape, preparation=known,
            classes=features.classes,
        )  # fmt: skip
        np.testing.assert_array_equal(again.classify(later), features.classify(X))
    scaled = Network([cr.Dense(1)], input_shape=2, preparation=of_table)
    inherited = Network([scaled, cr.Dense(2)], input_shape=2).preparation
    assert inherited is not None
    assert (inherited.targets, inherited.inputs) == (None, of_table.inputs)


@pytest.mark.parametrize("inputs", [None, "pixels", "numbers", "standardized", "targets"])
@pytest.mark.parametrize("way", ["at once", "batches", "later", "full batch"])
def test_a_frame_s_names_are_remembered_whatever_the_preparation(inputs: str | None, way: str) -> None:
    """A network that had a preparation without names forgot those of the frame it was trained on."""
    array = RNG.integers(0, 256, (24, 3))
    frame = pandas.DataFrame(array, columns=pandas.Index(list("abc")))
    scale: Any = Standardizer.learn(array) if inputs == "standardized" else inputs
    given = Preparation(inputs=None if inputs == "targets" else scale)
    y: Any = LABELS
    if inputs == "targets":
        given, y = Preparation(targets=Standardizer.learn(LABELS), reading={"decimal": ","}), LABELS * 1.0
    layers = [cr.Dense(1)] if inputs == "targets" else [cr.Dense(3), cr.Softmax()]
    network = Network(layers, input_shape=3, preparation=None if inputs is None else given)
    if way == "batches":
        fit(network, [(frame[:12], y[:12]), (frame.iloc[12:, ::-1], y[12:])], epochs=1)
    elif way == "full batch":
        cr.fit_full_batch(network, frame, y, iterations=2)
    else:
        if way == "later":
            fit(network, array, y, epochs=1)
        fit(network, frame, y, epochs=1)
    known = network.preparation
    assert known is not None
    assert known.feature_names == ("a", "b", "c")
    assert (known.targets, dict(known.reading)) == (given.targets, dict(given.reading))
    np.testing.assert_array_equal(network.predict(frame.iloc[:, ::-1]), network.predict(array))
    with pytest.raises(DataError, match="lacks the columns a"):
        network.predict(frame.rename(columns={"a": "z"}))


def test_frames_of_truth_values_are_no_pixels() -> None:
    """As arrays of them are none: 0 and 1 would be nearly black."""
    truth = IMAGES.reshape(24, -1) > 99
    network = Network([cr.Dense(2)], input_shape=20, preparation="pixels")
    for given in (truth, pandas.DataFrame(truth), {f"{i}": truth[:, i] for i in range(20)}):
        with pytest.raises(DataError, match="X holds truth values, but the network was trained on pixels"):
            network.predict(given)


JOINED: dict[str, Any] = {
    "concatenate": lambda P: np.concatenate([P[:9], P[9:]]),
    "concatenate by name": lambda P: np.concatenate((P[:9], P[9:]), axis=0),
    "vstack": lambda P: np.vstack([P[:9], P[9:]]),
    "hstack": lambda P: np.hstack([P[:, :1], P[:, 1:]]),
    "stack": lambda P: np.stack([P[row] for row in range(24)]),
    "append": lambda P: np.append(P[:9], P[9:], 0),
    "where": lambda P: np.where(P > 1e9, 0.0, P),
    "rows": lambda P: list(P),
    "rows chosen": lambda P: P[np.arange(24)],
    "clipped": lambda P: P.clip(-1e9, 1e9),
    "float32": lambda P: P.astype(np.float32),
    "copied": lambda P: pickle.loads(pickle.dumps(P.copy())),
}


@pytest.mark.parametrize("form", JOINED)
def test_what_is_made_of_prepared_rows_is_not_prepared_again(form: str) -> None:
    """NumPy joins them to a plain array, which was brought to one scale twice, without a word."""
    X = RNG.normal(50, 9, (24, 3))
    preparation = Preparation(inputs=Standardizer.learn(X))
    network = Network([cr.Dense(2), cr.Softmax()], input_shape=3, preparation=preparation)
    made = JOINED[form](preparation(X))
    np.testing.assert_allclose(network.predict(made), network.predict(X), rtol=1e-5)
    mixed = np.concatenate([preparation(X), X])  # no rows that a network takes: it counts as raw
    assert type(mixed) is np.ndarray
