"""TabularClassifier and TabularRegressor: tables as they are, from frames, files and rows of numbers."""

from __future__ import annotations

import pickle
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
pytest.importorskip("narwhals")

from sklearn.base import clone, is_classifier, is_regressor  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from chainrule.estimators import TabularClassifier, TabularRegressor  # noqa: E402
from chainrule.training.methods.tabular import Tabular  # noqa: E402

ROWS = 90


def table(rows: int = ROWS, seed: int = 0) -> Any:
    """Numbers, levels, many levels, truth values, dates, and gaps."""
    r = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": r.normal(40, 9, rows),
            "city": r.choice(["Oslo", "Rome", "Bern"], rows),
            "code": r.choice([f"c{i:02}" for i in range(13)], rows),
            "member": r.choice([True, False], rows),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(r.integers(0, 700, rows), unit="D"),
        }
    )
    frame.loc[::11, "age"] = np.nan
    frame.loc[::13, "city"] = None
    return frame


def target(frame: Any, kind: str) -> Any:
    value = frame["age"].fillna(40) / 9 + 2 * (frame["city"] == "Oslo") + frame["member"]
    names = {"two": ["no", "yes"], "three": [3, 5, 8]}
    if kind == "number":
        return value.to_numpy()
    ends = np.quantile(value, [1 / 3, 2 / 3] if kind == "three" else [0.5])
    return np.array(names[kind])[np.searchsorted(ends, value)]


def made(kind: str, **options: Any) -> Any:
    cls = TabularRegressor if kind == "number" else TabularClassifier
    return cls(**{"epochs": 4, "random_state": 0, **options})


@pytest.mark.parametrize("kind", ["two", "three", "number"])
def test_a_table_as_it_is(kind: str) -> None:
    frame = table()
    y = target(frame, kind)
    model = clone(made(kind)).fit(frame, y)
    assert is_regressor(model) == (kind == "number") != is_classifier(model)
    assert model.n_features_in_ == 5
    assert list(model.feature_names_in_) == list(frame.columns)
    predicted = model.predict(frame)
    assert predicted.shape == (ROWS,)
    if kind == "number":
        assert y.min() <= predicted.min()
        assert predicted.max() <= y.max()
        assert predicted.dtype == np.float64
    else:
        assert set(predicted) <= set(y)
        assert list(model.classes_) == sorted(set(y))
        np.testing.assert_allclose(model.predict_proba(frame).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(model.network_.classify(frame), predicted)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(frame), predicted)
    np.testing.assert_array_equal(made(kind).fit(frame, y).predict(frame), predicted)  # the same seed
    shuffled = frame[list(frame.columns[::-1])]
    np.testing.assert_array_equal(model.predict(shuffled), predicted)


def test_new_levels_and_gaps_are_told(tmp_path: Path) -> None:
    frame = table()
    model = made("two").fit(frame, target(frame, "two"))
    new = frame.copy()
    new.loc[0, "code"] = "never seen"
    with pytest.warns(UserWarning, match="never seen in 1 row"):
        model.predict(new)
    with pytest.raises(cr.DataError, match="lacks the columns city"):
        model.predict(frame.drop(columns="city"))
    with pytest.raises(cr.DataError, match="no names of columns"):
        model.predict(np.zeros((3, 5)))
    with pytest.raises(NotFittedError):
        made("two").predict(frame)
    path = tmp_path / "net.npz"
    model.network_.save(path)  # its preparation, too
    kept = cr.load(path)
    np.testing.assert_array_equal(kept.classify(frame), model.predict(frame))


def test_a_file_is_a_table(tmp_path: Path) -> None:
    frame = table()
    y = target(frame, "two")
    path = tmp_path / "table.csv"
    frame.assign(answer=y).to_csv(path, index=False)
    model = made("two").fit(path, "answer")
    assert set(model.classes_) == {"no", "yes"} or set(model.classes_) == {False, True}
    assert model.predict(path).shape == (ROWS,)
    assert "answer" not in model.feature_names_in_


def test_polars_is_pandas() -> None:
    pl = pytest.importorskip("polars")
    frame = table()
    y = target(frame, "number")
    gaps = frame.astype(object).where(frame.notna(), None)
    other = pl.DataFrame({name: gaps[name].to_list() for name in frame.columns}, strict=False)
    first, second = made("number").fit(frame, y), made("number").fit(other, y)
    np.testing.assert_array_equal(first.predict(frame), second.predict(other))


def test_rows_of_numbers_several_targets_weights_and_few_rows() -> None:
    r = np.random.default_rng(0)
    X = r.normal(size=(60, 3))
    X[::7, 1] = np.nan
    X[:, 2] = 1.0  # says nothing, and stays
    y = np.stack([X[:, 0], 3 * X[:, 0] + 100], axis=1)
    model = made("number").fit(X, y)
    assert model.predict(X).shape == (60, 2)
    with pytest.raises(ValueError, match="features"):
        model.predict(X[:, :2])
    labels = (X[:, 0] > 0).astype(int)
    weights = np.where(labels == 1, 1.0, 0.0)
    heavy = made("two", epochs=30).fit(X, labels, sample_weight=weights)
    assert (heavy.predict(X) == 1).all()  # the others do not count
    assert made("two").fit(X[:6], labels[:6]).predict(X).shape == (60,)
    with pytest.raises(ValueError, match="inconsistent"):
        made("two").fit(X, labels[:-1])
    with pytest.raises(ValueError, match="one class only"):
        made("two").fit(X, np.zeros(60))
    with pytest.raises(ValueError, match="NaN or infinity"):
        made("number").fit(X, np.full(60, np.nan))


def test_tables_of_every_make_up_have_a_network() -> None:
    r = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "number": r.normal(size=60),
        "level": r.choice(["a", "b", "c"], 60),
        "id": r.choice([f"k{i}" for i in range(12)], 60),
        "other id": r.choice([f"m{i}" for i in range(10)], 60),
    }
    for count in range(1, 5):
        for names in combinations(columns, count):
            frame = pd.DataFrame({name: columns[name] for name in names})
            network = Tabular(True).network(cr.Preparation.learn(frame, robust=True), 2)
            assert network.predict(frame).shape == (60, 2)
    frame = pd.DataFrame(columns)[["id"]]
    assert made("two", epochs=1).fit(frame, np.arange(60) % 2).predict(frame).shape == (60,)


def test_rows_of_texts_and_numbers_are_a_table() -> None:
    frame = table()[["age", "city", "code"]]
    y = target(table(), "two")
    model = made("two").fit(frame, y)
    rows = frame.to_numpy(dtype=object)
    same = made("two").fit(rows, y)
    assert not hasattr(same, "feature_names_in_")
    for new in (rows, rows.tolist(), frame):
        np.testing.assert_array_equal(same.predict_proba(new), model.predict_proba(frame))
    with pytest.raises(ValueError, match="2 columns, the training data had 3"):
        same.predict(rows[:, :2])
    rest = ColumnTransformer([("age", "passthrough", ["age"])], remainder="passthrough")
    steps = make_pipeline(rest, made("two"))
    np.testing.assert_array_equal(steps.fit(frame, y).predict(frame), model.predict(frame))
    with_target = made("two").fit(frame.assign(answer=y), "answer")
    for new in (frame, frame.assign(answer=y)):
        np.testing.assert_array_equal(with_target.predict_log_proba(new), np.log(model.predict_proba(frame)))
    with pytest.raises(ValueError, match="y is 'anser', but the columns of X are age, city, code"):
        made("two").fit(frame, "anser")
    with pytest.raises(ValueError, match="no column but the target 'city'"):
        made("two").fit(frame[["city"]], "city")
    heavy = made("two", epochs=5, class_weight={"no": 1e6, "yes": 1.0}).fit(frame, y)
    light = made("two", epochs=5).fit(frame, y, sample_weight=np.where(y == "no", 1e6, 1.0))
    np.testing.assert_array_equal(heavy.predict(frame), light.predict(frame))


def test_the_epoch_is_chosen_by_rows_that_are_given(tmp_path: Path) -> None:
    frame = table()[["age", "city"]]
    whole = frame.assign(answer=target(table(), "two"))
    train, rest = whole[:60], whole[60:]
    for name, part in (("train.csv", train), ("rest.csv", rest)):
        part.to_csv(tmp_path / name, index=False)
    models = [
        made("two").fit(train[["age", "city"]], train["answer"], X_val=frame[60:], y_val=rest["answer"]),
        made("two").fit(train, "answer", X_val=rest),
        made("two").fit(tmp_path / "train.csv", "answer", X_val=tmp_path / "rest.csv"),
    ]
    losses = [model.history_.validation_loss for model in models]
    assert len(losses[0]) == 4
    assert losses[0] == losses[1] == losses[2]
    with pytest.raises(ValueError, match="X_val and y_val belong together: give both"):
        made("two").fit(frame, whole["answer"], X_val=frame)
    with pytest.raises(ValueError, match=r"y_val holds 'new', and the classes of y are \['no' 'yes'\]"):
        made("two").fit(frame, whole["answer"], X_val=frame[:1], y_val=["new"])
    with pytest.raises(ValueError, match="X_val has 2 rows, and y_val 1"):
        made("number").fit(frame, np.arange(ROWS), X_val=frame[:2], y_val=[1.0])
    with pytest.raises(TypeError, match=r"has no argument 'eval_set'; write X_val=X_val, y_val=y_val$"):
        made("two").fit(frame, whole["answer"], eval_set=[])


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        ({"a": [np.inf, 1.0]}, [0, 1], "the column 'a' of X holds inf in row 0: write a number, or NaN"),
        ({"a": [b"x", b"y"]}, [0, 1], r"write X\['a'\].str.decode\('utf-8'\)$"),
        ({"a": ["x", "y"]}, [None, "b"], "y has 1 missing labels, the first in row 0"),
        ({"a": ["x", "y"]}, [[0, 1], [1, 1]], r"MultiOutputClassifier.*write y.argmax\(axis=1\)"),
        ({"a": ["x", "y"], "b": [1, 2]}, ["b"], "names of columns: write y='b'$"),
    ],
)
def test_what_a_table_cannot_be_is_said(X: Any, y: Any, said: str) -> None:
    y = np.array(y, dtype=object) if None in y else y
    with pytest.raises(ValueError, match=said):
        made("two").fit(pd.DataFrame(X), y)


def test_masked_cells_are_missing_and_objects_their_labels() -> None:
    cells = np.ma.masked_greater(np.arange(20.0).reshape(10, 2), 15)
    labels = np.array([0, 1] * 5, dtype=object)
    model = made("two", epochs=1).fit(cells, labels)
    assert model.classes_.dtype.kind == "i"
    np.testing.assert_array_equal(model.predict_proba(cells), model.predict_proba(cells.filled(np.nan)))
    with pytest.raises(TypeError, match=r"received \['x0'\]: write kinds={'x0': 'levels'}"):
        made("two", kinds=["x0"]).fit(cells, labels)
    frame = pd.DataFrame({"a": np.arange(10.0), "p": pd.period_range("2000", periods=10, freq="D")})
    with pytest.raises(ValueError, match=r"write X\['p'\].dt.to_timestamp\(\)$"):
        made("two").fit(frame, labels)
    frame["p"] = frame["p"].dt.to_timestamp()
    fitted = made("two", epochs=1).fit(frame, labels)
    with pytest.raises(ValueError, match=r"write X.to_frame\(\).T, or frame.iloc\[\[0\]\]"):
        fitted.predict(frame.iloc[0])
    assert fitted.predict(frame.iloc[[0]]).shape == (1,)


def test_an_option_of_a_file_is_said_as_an_argument(tmp_path: Path) -> None:
    path = tmp_path / "polish.csv"
    path.write_bytes("a,b\nŁódź,1\nŻary,2\n".encode("cp1250"))
    with pytest.raises(ValueError, match=r"An option --NAME is NAME= here: fit\(chainrule.data.read_table\("):
        made("two").fit(path)
    table = cr.data.read_table(path, encoding="cp1250")
    assert made("two", epochs=1).fit(table, "b").classes_.tolist() == [1, 2]
