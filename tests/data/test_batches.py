"""batches: files that memory need not hold give the bits of their arrays, and what is wrong is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, DataError, FileError, MissingExtraError
from chainrule.data import Batches, Preparation, batches

SAMPLES = 61
X = np.random.default_rng(0).standard_normal((SAMPLES, 4)).astype(np.float32)
LABELS = np.array(["ape", "bee", "cow"])[np.arange(SAMPLES) % 3]
NAMES = ["a", "b", "c", "d"]


def network(features: int = 4, **options: Any) -> cr.Network:
    layers = [cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=features, seed=1, **options)


def parquet(path: Path, rows: int = 10, **changes: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    columns: dict[str, Any] = {name: X[:, i].astype(np.float64) for i, name in enumerate(NAMES)}
    writer.write_table(pyarrow.table({**columns, "kind": LABELS, **changes}), path, row_group_size=rows)
    return path


def sources(folder: Path) -> dict[str, Any]:
    np.savez(folder / "both.npz", X=X, y=LABELS, other=np.ones(3))
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", LABELS)
    np.save(folder / "columns.npy", np.asfortranarray(X))
    return {
        "npz": (folder / "both.npz",),
        "npy": (str(folder / "X.npy"), folder / "y.npy"),
        "npy-and-array": (folder / "X.npy", LABELS),
        "fortran": (folder / "columns.npy", LABELS),
        "arrays": (X, LABELS),
        "lists": (X.tolist(), LABELS.tolist()),
        "map": (np.load(folder / "X.npy", mmap_mode="r"), LABELS),
    }


@pytest.mark.parametrize(
    "name", ["npz", "npy", "npy-and-array", "fortran", "arrays", "lists", "map", "parquet"]
)
@pytest.mark.parametrize("size", [1, 7, 10, 32, 100])
def test_they_are_the_slices_of_the_arrays(name: str, size: int, tmp_path: Path) -> None:
    if name == "parquet":
        made = batches(parquet(tmp_path / "t.parquet"), target="kind", batch_size=size)
    else:
        made = batches(*sources(tmp_path)[name], batch_size=size)
    assert made.samples == SAMPLES
    assert len(made) == -(-SAMPLES // size) == len(list(made))
    one, other = network(), network()
    history = cr.fit(one, X, LABELS, batch_size=size, shuffle=False, epochs=2)
    penalty = cr.L2(0.0) if size % 2 else None
    same = cr.fit(other, made, epochs=2, penalty=penalty)
    assert history.loss == same.loss
    for key, array in one.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[key], err_msg=key)
    assert other.classes is not None
    assert other.classes.tolist() == ["ape", "bee", "cow"]


def whole(made: Batches, epoch: int) -> tuple[Any, Any]:
    parts = list(made.of_epoch(epoch))
    tables = [
        x if isinstance(x, np.ndarray) else np.stack([c.values for c in x.columns], axis=1) for x, _ in parts
    ]
    sizes = [len(y) for _, y in parts]
    assert all(size == made.batch_size for size in sizes[:-1])
    return np.concatenate(tables), np.concatenate([y for _, y in parts])


@pytest.mark.parametrize("kind", ["npz", "parquet"])
@pytest.mark.parametrize("size", [3, 10, 16, 61])
def test_shuffling_takes_every_sample_once_by_seed_and_epoch(kind: str, size: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"batch_size": size, "shuffle": True}

    def made(seed: int) -> Batches:
        if kind == "parquet":
            path = tmp_path / "t.parquet"
            return batches(path if path.exists() else parquet(path), target="kind", seed=seed, **options)
        return batches(*sources(tmp_path)["npz"], seed=seed, **options)

    seen = [whole(made(3), 1), whole(made(3), 2), whole(made(4), 1)]
    again = whole(made(3), 1)
    np.testing.assert_array_equal(seen[0][0], again[0])
    order = np.lexsort(X.T)
    for x, y in seen:
        own = np.lexsort(x.T)
        np.testing.assert_array_equal(x[own].astype(np.float32), X[order])
        np.testing.assert_array_equal(y[own], LABELS[order])
    assert not any(np.array_equal(seen[0][0], other[0]) for other in seen[1:])


def test_resume_goes_on_with_the_epochs_orders(tmp_path: Path) -> None:
    one, other = network(), network()
    made = batches(parquet(tmp_path / "t.parquet"), target="kind", shuffle=True, batch_size=9)
    cr.fit(one, made, epochs=4, optimizer=cr.Adam(cr.CosineDecay(0.01, epochs=4)))
    first = cr.fit(other, made, epochs=2, optimizer=cr.Adam(cr.CosineDecay(0.01, epochs=4)))
    cr.fit(other, made, epochs=2, resume=first)
    for key, array in one.parameters.items():
        np.testing.assert_array_equal(array, other.parameters[key], err_msg=key)


def test_columns_are_known_by_name(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet")
    trained = network(2)
    cr.fit(
        trained,
        batches(path, target="kind", columns=["c", "a"]),
        epochs=1,
        penalty=cr.L2(0.1, per_sample=True),
    )
    assert trained.preparation is not None
    assert trained.preparation.feature_names == ("c", "a")
    frame = {"a": X[:, 0], "c": X[:, 2]}
    np.testing.assert_array_equal(trained.predict(frame), trained.predict(X[:, [2, 0]]))


def test_texts_pass_with_a_preparation_and_are_refused_without(tmp_path: Path) -> None:
    town = np.array(["Rome", "Oslo"])[np.arange(SAMPLES) % 2]
    path = parquet(tmp_path / "t.parquet", town=town)
    with pytest.raises(DataError, match=r"batch 1 of epoch 1: .*town"):
        cr.fit(network(5), batches(path, target="kind"), epochs=1)
    learned = Preparation.learn({**{name: X[:, i] for i, name in enumerate(NAMES)}, "town": town})
    trained = network(learned.width, preparation=learned)
    assert len(cr.fit(trained, batches(path, target="kind"), epochs=2)) == 2


def test_they_say_what_they_are(tmp_path: Path) -> None:
    made = batches(parquet(tmp_path / "t.parquet"), target="kind", batch_size=9, shuffle=True, seed=2)
    assert repr(made) == "Batches('t.parquet': 61 samples in 7 batches of 9, shuffle=True, seed=2)"


def test_validation_batches(tmp_path: Path) -> None:
    made = batches(parquet(tmp_path / "t.parquet"), target="kind", batch_size=9)
    history = cr.fit(network(), X, LABELS, epochs=2, validation=made)
    assert history.validation_loss[-1] is not None


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "said"),
    [
        (("t.parquet",), {}, ArgumentError, "target is missing, the column to predict"),
        (("t.parquet",), {"target": "z"}, FileError, "has no column z; its columns are a, b, c, d, kind"),
        (("t.parquet",), {"target": "kind", "columns": ["a", "q"]}, FileError, "has no column q"),
        (("t.parquet",), {"target": "kind", "columns": ["kind"]}, ArgumentError, "without the target"),
        (("t.parquet",), {"target": "kind", "columns": []}, ArgumentError, "at least one"),
        (("t.parquet", LABELS), {}, ArgumentError, "y is in the file"),
        (("none.parquet",), {"target": "kind"}, FileError, "none.parquet"),
        (("X.parquet",), {"target": "kind"}, FileError, "not a Parquet file"),
        (("empty.parquet",), {"target": "kind"}, FileError, "holds no row"),
        (("both.npz",), {"columns": ["a"]}, ArgumentError, "columns is of a Parquet file"),
        (("both.npz",), {"target": "q"}, FileError, "no array named q; its arrays are X, y, other"),
        (("both.npz",), {"target": "other"}, DataError, "X has 61 samples but y has 3"),
        (("packed.npz",), {}, FileError, "is compressed"),
        (("X.npz",), {}, FileError, "not an .npz file"),
        (("X.npy",), {}, ArgumentError, "y is missing"),
        (("X.npy", LABELS[:4]), {}, DataError, "X has 61 samples but y has 4"),
        (("short.npy", LABELS), {}, FileError, "promises"),
        (("objects.npy", LABELS), {}, FileError, "objects.npy"),
        (("table.csv",), {}, ArgumentError, "reads no .csv files"),
        ((X, LABELS), {"target": "kind"}, ArgumentError, "give y"),
        ((X, LABELS), {"batch_size": 0}, ArgumentError, "batch_size"),
        ((X, LABELS), {"seed": -1}, ArgumentError, "seed"),
        ((X,), {}, ArgumentError, "y is missing"),
        ((3, 4), {}, DataError, "samples"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: Any, options: Any, kind: type[Exception], said: str, tmp_path: Path
) -> None:
    sources(tmp_path)
    first = str(arguments[0])
    if first == "t.parquet":
        parquet(tmp_path / "t.parquet")
    if first == "empty.parquet":
        parquet(tmp_path / "empty.parquet", **{key: [] for key in [*NAMES, "kind"]})
    if first.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / "X.parquet").write_bytes(b"PAR?" * 9)
    (tmp_path / "X.npz").write_bytes(b"nothing of this kind")
    np.savez_compressed(tmp_path / "packed.npz", X=X, y=LABELS)
    (tmp_path / "short.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:-5])
    np.save(tmp_path / "objects.npy", np.array([None, 1], dtype=object))
    given = [tmp_path / value if isinstance(value, str) else value for value in arguments]
    with pytest.raises(kind) as refused:
        batches(*given, **options)
    assert said in str(refused.value)


def test_missing_labels_and_missing_numbers_are_found(tmp_path: Path) -> None:
    labels = [None if i == 44 else label for i, label in enumerate(LABELS.tolist())]
    made = batches(parquet(tmp_path / "t.parquet", kind=labels), target="kind")
    with pytest.raises(DataError, match="missing"):
        cr.fit(network(), made, epochs=1)
    numbers = [None if i == 44 else float(i) for i in range(SAMPLES)]
    made = batches(parquet(tmp_path / "u.parquet", a=numbers), target="kind")
    with pytest.raises(DataError, match=r"batch 2 of epoch 1: .*NaN|missing"):
        cr.fit(network(), made, epochs=1)


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path = parquet(tmp_path / "t.parquet")
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="tables"):
        batches(path, target="kind")
