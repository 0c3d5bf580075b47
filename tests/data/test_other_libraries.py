"""Data as other libraries hold them: the same numbers give the same bits, anything else is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import chainrule as cr
from chainrule import Preparation
from chainrule.base.errors import DataError
from chainrule.data.frames import frame_of

rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3))
LABELS = np.arange(24) % 2
WHOLE = rng.integers(-9, 9, (24, 3))


def fitted(data: Any, **options: Any) -> cr.Network:
    network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3, **options)
    cr.fit(network, data, LABELS, epochs=2, progress=False)
    return network


def columns(array: Any, names: Any) -> dict[Any, Any]:
    return dict(zip(names, array.T, strict=True))


NAMES = {
    "none": range(3),
    "in another order": [2, 0, 1],
    "texts": list("abc"),
    "of every kind": ["a", 1, 2.5],
    "of two lines": pandas.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")]),
    "dates": pandas.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]),
}
TYPES = {
    "float64": None,
    "float32": "float32",
    "nullable": "Float64",
    "arrow": "double[pyarrow]",
    "sparse": pandas.SparseDtype(float),
    "object": object,
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_frame_of_pandas_with_whatever_names(names: str, dtype: str) -> None:
    """Numbers as names chose rows, where they were no names of the frame's library."""
    array = X.astype(np.float32) if dtype == "float32" else X
    frame = pandas.DataFrame(array, columns=pandas.Index(NAMES[names]))
    frame = frame if TYPES[dtype] is None else frame.astype(TYPES[dtype])
    network, plain = fitted(frame), fitted(array)
    np.testing.assert_array_equal(network.predict(frame), plain.predict(array))
    assert network.preparation is not None
    assert network.preparation.feature_names == tuple(map(str, frame.columns))
    np.testing.assert_array_equal(network.predict(frame.iloc[:, [2, 0, 1]]), plain.predict(array))
    with pytest.raises(DataError, match="lacks the columns"):
        network.predict(frame.iloc[:, :2])


@pytest.mark.parametrize(
    "twice",
    [
        pandas.DataFrame(X, columns=pandas.Index(list("aab"))),
        pandas.DataFrame(X, columns=pandas.Index([1, "1", "b"])),
        columns(X, [1, "1", "b"]),
        pyarrow.table(list(X.T), names=list("aab")),
    ],
)
def test_two_columns_of_one_name_are_refused(twice: Any) -> None:
    with pytest.raises(DataError, match=r"X has two columns called '(a|1)': give every column its own name"):
        fitted(twice)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["mapping", "fields", "pandas", "polars", "arrow", "array"])
def test_whole_numbers_that_the_network_would_round(form: str, dtype: str) -> None:
    """A frame of whole numbers is refused as the array of them is."""
    for offset, held in ((0, True), (2**24 - 9, True), (2**24, dtype == "float64"), (2**53, False)):
        array = WHOLE + offset
        array[0] = offset + 8
        named: dict[str, Any] = columns(array, "abc")
        frame = {
            "mapping": lambda named=named: named,
            "fields": lambda named=named: np.rec.fromarrays(list(named.values()), names="a,b,c"),
            "pandas": lambda named=named: pandas.DataFrame(named),
            "polars": lambda named=named: polars.DataFrame(named),
            "arrow": lambda named=named: pyarrow.table(named),
            "array": lambda array=array: array,
        }[form]()
        network = cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3, dtype=dtype)
        if held:
            read = network.activations(frame, "input")
            np.testing.assert_array_equal(read, array)
        else:
            with pytest.raises(DataError, match=rf"holds (the integer )?{offset + 8}"):
                network.predict(frame)


class Tensor:
    """What a tensor of PyTorch is to NumPy where it is no array."""

    def __init__(self, **of: Any) -> None:
        given = {"requires_grad": False, "device": "cpu", "dtype": "torch.float32", "is_sparse": False}
        self.__dict__.update(given | of)

    def detach(self) -> None: ...

    def cpu(self) -> None: ...

    def __array__(self, *given: Any, **named: Any) -> Any:
        raise (
            RuntimeError("Can't call numpy() on Tensor that requires grad")
            if self.requires_grad
            else TypeError
        )

    requires_grad: bool


@pytest.mark.parametrize(
    ("of", "way"),
    [
        ({"requires_grad": True}, "X.detach().numpy()"),
        ({"device": "cuda:0"}, "X.cpu().numpy()"),
        ({"device": "cuda:0", "requires_grad": True}, "X.detach().cpu().numpy()"),
        ({"dtype": "torch.bfloat16"}, "X.float().numpy()"),
        ({"is_sparse": True}, "X.to_dense().numpy()"),
    ],
)
def test_a_tensor_that_is_no_array_says_what_makes_one(of: dict[str, Any], way: str) -> None:
    network = fitted(X)
    with pytest.raises(DataError) as refused:
        network.predict(Tensor(**of))
    assert str(refused.value) == f"X is a tensor that is no array: write {way}"
    with pytest.raises(DataError, match="y is a tensor that is no array"):
        network.accuracy(X, Tensor(**of))
    with pytest.raises(DataError, match=r"X\['a'\] is a tensor that is no array"):
        network.predict({"a": Tensor(**of), "b": X[:, 1], "c": X[:, 2]})


def test_a_frame_that_has_not_been_read_and_a_batch_of_arrow() -> None:
    frame = polars.DataFrame(columns(X, "abc"))
    with pytest.raises(DataError, match=r"X is a LazyFrame, which has not been read: write X\.collect\(\)"):
        cr.Preparation.learn(frame.lazy())
    batch = pyarrow.RecordBatch.from_pydict(columns(X, "abc"))
    with pytest.raises(DataError, match=r"write pyarrow\.Table\.from_batches\(\[X\]\)"):
        cr.Preparation.learn(batch)
    cr.Preparation.learn(pyarrow.Table.from_batches([batch]))


NAN = float("nan")


@pytest.mark.parametrize("beside", [NAN, None, 1, 2.5, True, b"a"], ids=str)
@pytest.mark.parametrize("form", ["list", "tuple", "objects", "series"])
def test_a_label_that_is_no_text_beside_texts_is_refused(beside: Any, form: str) -> None:
    """A list of texts and NaN had the class "nan", and of texts and 1 the class "1"."""
    given: Any = ["a", "b", beside] * 8
    given = {
        "list": lambda: given,
        "tuple": lambda: tuple(given),
        "objects": lambda: np.array(given, dtype=object),
        "series": lambda: pandas.Series(given, dtype=object),
    }[form]()
    network = cr.Network([cr.Dense(4), cr.Softmax()], input_shape=3)
    for call in (
        lambda: cr.fit(network, X, given, epochs=1),
        lambda: cr.fit(network, [(X, given)], epochs=1),
        lambda: cr.fit(network, X, LABELS, classes=given[:3], epochs=1),
        lambda: cr.Network([cr.Dense(4)], input_shape=3, classes=given[:3]),
    ):
        with pytest.raises(DataError, match=r"must hold labels of one kind, all strings or all integers"):
            call()
    assert network.classes is None


@pytest.mark.parametrize("gap", [NAN, None], ids=str)
@pytest.mark.parametrize("form", [list, tuple, pandas.Series, lambda texts: np.array(texts, dtype=object)])
def test_a_gap_beside_texts_is_missing_in_every_form(gap: Any, form: Any) -> None:
    """In a list NaN was the level "nan"."""
    texts = ["a", "b", "c", gap] * 3
    made = cr.Preparation.learn({"t": form(texts)})
    assert made.outputs == ("t=a", "t=b", "t=c", "t=missing")
    np.testing.assert_array_equal(made({"t": form([gap])}), [[0, 0, 0, 1]])


@pytest.mark.parametrize("form", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_weights_in_a_frame_of_one_column(form: Any) -> None:
    """They were told to write .ravel(), which frames lack."""
    weights = np.arange(24) + 1.0
    frame = form({"w": weights})
    losses = [
        cr.fit(cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3), *given, epochs=2, **options).loss
        for given, options in (
            ((X, LABELS), {"sample_weight": weights, "shuffle": False, "batch_size": 24}),
            ((X, LABELS), {"sample_weight": frame, "shuffle": False, "batch_size": 24}),
        )
    ]
    assert losses[0] == losses[1]
    streams = [
        cr.fit(cr.Network([cr.Dense(2), cr.Softmax()], input_shape=3), [(X, LABELS, w)], epochs=2).loss
        for w in (weights, frame)
    ]
    assert streams[0] == streams[1]


HOURS = [timedelta(hours=1), None, timedelta(hours=3)]
COLUMNS: dict[str, tuple[list[Any], str, list[Any]]] = {  # what is written, its kind, and its values
    "durations": (HOURS, "number", [3600.0, NAN, 10800.0]),
    "decimals": ([Decimal("1.5"), None, Decimal("-2")], "number", [1.5, NAN, -2.0]),
    "texts": (["a", None, "b"], "text", ["a", "", "b"]),
    "truth values": ([True, None, False], "truth", [True, False, False]),
    "numbers": ([1.5, None, 2.0], "number", [1.5, NAN, 2.0]),
}


def as_objects(entries: dict[str, list[Any]], gap: Any = pandas.NA) -> dict[str, Any]:
    held = {name: [gap if entry is None else entry for entry in column] for name, column in entries.items()}
    return {name: np.array(column, dtype=object) for name, column in held.items()}


@pytest.mark.parametrize("form", [as_objects, pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_columns_and_their_gaps_are_the_same_of_every_library(form: Any) -> None:
    for entries, kind, values in COLUMNS.values():
        frame = frame_of(form({"c": entries}), "X")
        assert frame is not None
        (column,) = frame.columns
        assert column.kind == kind
        assert column.missing.tolist() == [False, True, False]
        np.testing.assert_array_equal(column.values, np.array(values, dtype=column.values.dtype))
        learned = Preparation.learn(form({"c": entries, "d": [1.5, 2.0, 2.5]}), robust=True)
        gaps = form({"c": [None, None], "d": [2.0, 1.5]})  # of no kind at all, as pandas has them
        assert learned(gaps).shape == (2, learned.width)


def test_texts_that_are_fractions_are_numbers_and_codes_are_none() -> None:
    numbers = rng.normal(size=60).round(3)
    texts = {
        "fractions": [f"{number}" for number in numbers],
        "whole": [f"{1000 + 7 * place}" for place in range(60)],
        "codes": [f"0{place}" for place in range(60)],
        "few": [f"{place % 25}" for place in range(60)],
        "thousands": [f"{1 + place}.684" for place in range(60)],
        "long": [f"{2**60 + place}" for place in range(60)],
    }
    given = Preparation.learn(texts, kinds=dict.fromkeys(("codes", "thousands", "long"), "levels"))
    assert [way.kind for way in given.inputs.ways] == ["quantity"] * 2 + ["levels"] * 4
    usual = {way.name: way.kind for way in Preparation.learn(texts).inputs.ways}
    assert [usual[name] for name in ("codes", "thousands", "long")] == ["dropped"] * 3
    as_numbers = Preparation.learn({"fractions": numbers})
    for form in (texts, {**texts, "fractions": numbers}):
        np.testing.assert_array_equal(given(form)[:, :1], as_numbers({"fractions": numbers}))
