"""Several labels per sample: what the network is trained on decides, is kept, and nothing is guessed."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
W = np.random.default_rng(1).normal(size=(4, 3))
ROWS = (X @ W > 0).astype(int)  # none, one or several labels each
ONE_HOT = np.eye(3, dtype=int)[np.argmax(X @ W, axis=1)]


def network(last: Any = None, outputs: int = 3) -> cr.Network:
    return cr.Network([cr.Dense(outputs), cr.Sigmoid() if last is None else last], input_shape=4)


def trained(y: Any, **options: Any) -> cr.Network:
    net = network()
    cr.fit(net, X, y, epochs=20, optimizer=cr.SGD(1.0), **options)
    return net


def containers(rows: Any) -> dict[str, Any]:
    return {
        "int": rows,
        "bool": rows.astype(bool),
        "float": rows.astype("float32"),
        "list": rows.tolist(),
        "uint8": rows.astype("uint8"),
    }


@pytest.mark.parametrize("kind", containers(ROWS))
def test_rows_of_several_labels_are_read_as_such(kind: str) -> None:
    y = containers(ROWS)[kind]
    net = trained(y)
    assert net.several_labels
    said = net.classify(X)
    assert said.shape == (60, 3)
    assert said.dtype == np.int64
    assert np.array_equal(said, net.predict(X) > 0.5)
    assert net.accuracy(X, y) == np.mean((said == ROWS).all(axis=1))


@pytest.mark.parametrize("seed", range(20))
def test_the_accuracy_is_scikit_learns(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    net = network()
    net.set_parameters({"dense1.W": rng.normal(size=(3, 4)), "dense1.b": rng.normal(size=3)})
    net.several_labels = bool(seed % 2)
    y = (rng.random((60, 3)) < 0.5).astype(int)
    w = rng.random(60)
    said = np.asarray(net.predict(X) > 0.5, int)
    assert net.accuracy(X, y) == pytest.approx(metrics.accuracy_score(y, said), rel=1e-12)
    weighted = metrics.accuracy_score(y, said, sample_weight=w)
    assert net.accuracy(X, y, sample_weight=w) == pytest.approx(weighted, rel=1e-12)


@pytest.mark.parametrize("kind", containers(ONE_HOT))
def test_one_label_each_stays_a_class(kind: str) -> None:
    net = trained(containers(ONE_HOT)[kind])
    assert not net.several_labels
    assert np.array_equal(net.classify(X), net.predict(X).argmax(axis=1))
    assert net.accuracy(X, ONE_HOT) == net.accuracy(X, ONE_HOT.argmax(axis=1)) > 0.9


@pytest.mark.parametrize("labels", [np.arange(60) % 3, np.array(["a", "b", "c"])[np.arange(60) % 3]])
def test_labels_stay_classes(labels: Any) -> None:
    net = trained(labels)
    assert not net.several_labels
    assert net.classify(X).shape == (60,)


def test_other_networks_are_no_concern_of_it() -> None:
    for last, loss, y in (
        (cr.Identity(), cr.SquaredError(), ROWS),
        (cr.Softmax(), cr.CrossEntropy(), ONE_HOT),
        (cr.Tanh(), cr.SquaredError(), ROWS),
        (cr.Sigmoid(), cr.SquaredError(), ROWS),
        (cr.Sigmoid(), cr.BinaryCrossEntropy(), ROWS * 0.5 + 0.25),  # numbers between 0 and 1
    ):
        net = network(last)
        cr.fit(net, X, y, loss=loss, epochs=1)
        assert not net.several_labels
    one = network(outputs=1)
    cr.fit(one, X, ROWS[:, 0], epochs=1)
    assert not one.several_labels
    assert one.classify(X).shape == (60,)


def test_it_is_kept_by_copies_pickles_and_files(tmp_path: Path) -> None:
    net = trained(ROWS)
    for suffix in ("npz", "safetensors"):
        if suffix == "safetensors":
            pytest.importorskip("safetensors")
        net.save(tmp_path / f"net.{suffix}")
        loaded = cr.load(tmp_path / f"net.{suffix}")
        assert loaded.several_labels
        assert np.array_equal(loaded.classify(X), net.classify(X))
    for other in (net.copy(), net.copy(dtype="float64"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.several_labels
    assert "several per sample" in net.summary()
    assert "several" not in network().summary()
    network().save(tmp_path / "plain.npz")
    assert not cr.load(tmp_path / "plain.npz").several_labels


def test_it_stays_when_a_later_part_has_one_label_each_and_is_taken_back_by_hand() -> None:
    net = trained(ROWS)
    cr.fit(net, X, ONE_HOT, epochs=1)
    assert net.several_labels
    net.several_labels = False
    assert net.classify(X).shape == (60,)
    cr.fit(net, X, ONE_HOT, epochs=1)
    assert not net.several_labels


@pytest.mark.parametrize("y", [np.arange(60) % 3, np.array(["a", "b", "c"])[np.arange(60) % 3], ROWS * 0.5])
def test_other_targets_of_such_a_network_are_refused(y: Any) -> None:
    with pytest.raises(cr.DataError, match=r"rows of 0 and 1, \(N, 3\), a column per label"):
        trained(ROWS).accuracy(X, y)


def test_validation_and_full_batch_know_it_too() -> None:
    net = trained(ROWS, validation=0.2)
    assert net.several_labels
    pytest.importorskip("scipy")
    other = network()
    cr.fit_full_batch(other, X, ROWS, iterations=20)
    assert other.several_labels
    assert other.accuracy(X, ROWS) > 0.9


def test_the_history_counts_single_labels() -> None:
    net = trained(ROWS)
    history = cr.fit(net, X, ROWS, epochs=1, optimizer=cr.SGD(1e-9), batch_size=60)
    assert history.accuracy[0] == pytest.approx(np.mean(net.classify(X) == ROWS), abs=1e-6)


def test_frames_of_rows() -> None:
    pandas = pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = pandas.DataFrame(ROWS, columns=["a", "b", "c"])
    net = trained(y)
    assert net.several_labels
    assert net.accuracy(X, y) == net.accuracy(X, ROWS)
