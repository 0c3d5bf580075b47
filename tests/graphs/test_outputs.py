"""Several outputs as users train them: weights of samples, histories and preparation by name."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference
from chainrule.base.errors import ArgumentError, DataError
from chainrule.data import Standardizer
from tests.graphs.test_ends import LOSSES, batch, network

Arrays = dict[str, Any]
N = 37  # of no lanes a multiple


def heads(**options: Any) -> cr.Graph:
    """Classes and a number, from four numbers."""
    nodes: Arrays = {
        "h": [cr.Dense(8), cr.Tanh()],
        "kind": ([cr.Dense(3), cr.Softmax()], "h"),
        "price": (cr.Dense(1), "h"),
    }
    return cr.Graph(nodes, input_shape=4, outputs=["kind", "price"], **options)


def data(n: int = N) -> tuple[np.ndarray, Arrays, Arrays]:
    r = np.random.default_rng(0)
    weights = {"kind": r.uniform(size=n), "price": (r.uniform(size=n) < 0.5) * 1.0}
    return r.normal(size=(n, 4)), {"kind": r.integers(3, size=n), "price": r.normal(size=n)}, weights


@pytest.mark.parametrize("which", LOSSES)
def test_weights_by_output_in_kernels_formulas_and_differences(which: str) -> None:
    net, (X, y), r = network(dtype="float64"), batch(19), np.random.default_rng(1)
    weights = {"kind": r.uniform(size=19), "price": np.arange(19.0) % 2, "mask": r.uniform(size=19)}
    step = net.backpropagate(X, y, loss=LOSSES[which], sample_weight=weights)
    again = net.copy()
    again.set_executor(reference.ReferenceExecutor())
    expected = again.backpropagate(X, y, loss=LOSSES[which], sample_weight=weights)
    assert step.loss == pytest.approx(expected.loss, rel=1e-13)
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(gradient, expected.gradients[name], rtol=1e-11, atol=1e-14, err_msg=name)
    assert cr.check_gradients(net, X, y, loss=LOSSES[which], sample_weight=weights, entries=1)
    of = net.loss(X, y, loss=LOSSES[which], reduction="outputs", sample_weight=weights)
    losses: Any = LOSSES[which]
    total = sum(of[name] * (losses.weights or {}).get(name, 1.0) for name in of)
    assert step.loss == pytest.approx(total, rel=1e-13)
    each = net.loss(X, y, loss=LOSSES[which], reduction="none", sample_weight=weights)
    assert each.mean() == pytest.approx(total, rel=1e-13)
    norms = step.per_sample_norms()
    of_samples = [g.reshape(19, -1) for g in step.per_sample_gradients().values()]
    np.testing.assert_allclose(norms, np.sqrt(sum((g**2).sum(axis=1) for g in of_samples)), rtol=1e-11)


def test_one_weight_for_all_is_the_same_for_each() -> None:
    X, y, weights = data()
    w = weights["kind"]
    one, each, table, listed = (
        heads(dtype="float64").backpropagate(X, y, sample_weight=given)
        for given in (w, {"kind": w, "price": w}, np.stack([w, w], axis=1), [w, w])
    )
    for other in (each, table, listed):
        assert other.loss == one.loss
        assert all((other.gradients[name] == one.gradients[name]).all() for name in one.gradients)


def test_the_history_has_every_output() -> None:
    """The same bits by any number of threads; as the network's own losses and accuracies say."""
    X, y, weights = data()
    found = []
    for threads in (1, 2, 3, 4):
        net = heads(dtype="float64")
        stopping = cr.EarlyStopping(3, monitor="kind.validation_loss", restore_best=False)
        history = cr.fit(
            net, X, y, loss=cr.Losses(weights={"price": 0.5}), epochs=3, batch_size=16, threads=threads,
            sample_weight=weights, class_weight={"kind": {0: 2.0}}, validation=(X, y, weights),
            early_stopping=stopping, progress=False,
        )  # fmt: skip
        found.append((net.flat_parameters().tobytes(), history.losses, history.accuracies))
    assert all(other == found[0] for other in found)
    of = net.loss(X, y, sample_weight=weights, reduction="outputs")
    last = history.last.outputs
    assert {name: row.validation_loss for name, row in last.items()} == pytest.approx(of, rel=1e-13)
    assert last["kind"].validation_accuracy == pytest.approx(net.accuracy(X, y)["kind"])
    assert last["price"].accuracy is None
    assert history.last.loss == pytest.approx(last["kind"].loss + 0.5 * last["price"].loss, rel=1e-13)
    assert stopping.best_value == min(history.validation_losses["kind"])
    assert "weight" in repr(history)
    assert "price" in history._repr_html_()
    assert "price loss" in history.to_svg()
    with pytest.raises(AttributeError, match=r"history\.column\('kind\.validation_loss'\)"):
        history.val_kind_loss  # noqa: B018


def test_batches_and_a_training_that_was_ended(tmp_path: Path) -> None:
    """As arrays give; and a checkpoint within an epoch goes on with the sums of every output."""
    X, y, weights = data(14)

    class Ending(cr.Callback):
        every_steps, only_watches = 5, True

        def on_step_end(self, context: cr.Context) -> None:
            if context.epoch == 1:
                raise KeyboardInterrupt

    def trained(*callbacks: cr.Callback, **options: Any) -> tuple[cr.History, bytes]:
        net = heads(classes={"kind": range(3)})
        history = cr.fit(net, epochs=2, progress=False, callbacks=callbacks, **options)
        rows = cr.History([dataclasses.replace(row, seconds=0.0) for row in history.rows])
        return rows, net.flat_parameters().tobytes()

    scaled = {name: w / w.mean() for name, w in weights.items()}
    of_arrays = {"X": X, "y": y, "sample_weight": weights, "batch_size": 4, "shuffle": False}
    expected = trained(**of_arrays)
    pieces = [slice(start, start + 4) for start in range(0, 14, 4)]
    cut = [tuple({k: v[at] for k, v in held.items()} for held in (y, scaled)) for at in pieces]
    given = [(X[at], *rest) for at, rest in zip(pieces, cut, strict=True)]
    assert trained(X=given)[1] == expected[1]
    kept = cr.Checkpoint(tmp_path / "run", every_steps=1)
    with pytest.raises(KeyboardInterrupt):
        trained(Ending(), **of_arrays, checkpoint=kept)
    again = trained(**of_arrays, checkpoint=kept)
    assert again == expected
    expected[0].to_csv(tmp_path / "history.csv")
    assert cr.History.from_csv(tmp_path / "history.csv") == expected[0]


def test_every_input_and_output_has_its_preparation(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    image = r.integers(0, 256, (30, 5, 5, 1), dtype=np.uint8)
    table = {"age": r.normal(40, 9, 30), "sex": r.choice(["f", "m"], 30)}
    price, kind = r.normal(1e5, 1e4, 30), r.choice(["cat", "dog"], 30)
    columns = cr.Preparation.learn(table)

    def made(**options: Any) -> cr.Graph:
        nodes: Arrays = {
            "seen": ([cr.Conv2D(2, 3), cr.Flatten()], "image"),
            "both": (cr.Concat(), "seen", "table"),
            "kind": ([cr.Dense(2), cr.Softmax()], "both"),
            "price": (cr.Dense(1), "both"),
        }
        inputs = {"image": (5, 5, 1), "table": columns.width}
        return cr.Graph(nodes, inputs=inputs, outputs=["kind", "price"], **options)

    scale = Standardizer.learn(price[:, None])
    net = made(preparation={"image": "pixels", "table": columns, "price": scale})
    plain = made()
    X, y = {"image": image, "table": table}, {"kind": kind, "price": price}
    by_hand = {"image": image / np.float32(255), "table": np.asarray(columns(table), np.float32)}
    cr.fit(net, X, y, epochs=2, validation=0.2, progress=False)
    scaled = {"kind": kind, "price": scale(price[:, None])}
    cr.fit(plain, by_hand, scaled, epochs=2, validation=0.2, progress=False)
    net.save(tmp_path / "net.npz")
    for again in (net, net.copy(), cr.load(tmp_path / "net.npz")):
        a, z = again.predict(X), plain.predict(by_hand)
        np.testing.assert_allclose(a["kind"], z["kind"], rtol=1e-4)
        np.testing.assert_allclose(a["price"], scale.undo(z["price"]), rtol=1e-4)
        with pytest.raises(DataError, match=r"X\['image'\] holds numbers from 0 to 1, but the network"):
            again.predict({**X, "image": image / 255})
    assert "price target" in net.summary()
    assert plain.preparation is not None
    assert plain.preparation.parts["image"].inputs is not None  # what it was trained on
    for wrong, said in (
        ({"imag": "pixels"}, "'imag', and the inputs and outputs are"),
        ({"price": "pixels"}, "is an output: write"),
        ({"image": cr.Preparation.learn(table, price)}, "is an input: name the output"),
    ):
        with pytest.raises(ArgumentError, match=said):
            made(preparation=wrong)


def test_one_input_and_one_output_are_prepared_by_their_names() -> None:
    made = functools.partial(cr.Graph, {"kept": (cr.Dense(1), "x")}, inputs={"x": 4})
    X = np.random.default_rng(0).normal(3.0, 2.0, (6, 4))
    scale = Standardizer.learn(np.array([[10.0], [14.0]]))
    net, plain = made(preparation={"x": Standardizer.learn(X), "kept": scale}), made()
    expected = scale.mean + scale.scale * plain.predict((X - X.mean(0)) / X.std(0))
    assert np.allclose(net.predict(X), expected, rtol=1e-5)
    mistakes = (({"y": "pixels"}, "outputs are 'x', 'kept'"), ({"x": "pixel"}, r"\['x'\] is 'pixel'"))
    for wrong, said in mistakes:
        with pytest.raises(ArgumentError, match=said):
            made(preparation=wrong)
    with pytest.raises(DataError, match=r"write the array itself, X\['x'\]"):
        plain.predict({"x": X})


def test_what_is_wrong_by_output_is_named() -> None:
    X, y, weights = data()
    stops = (
        ("val_kind_loss", r"write 'kind\.validation_loss'"),
        ("price.accuracy", "no classes"),
        ("knd.loss", "kind"),
    )
    for monitor, said in stops:
        with pytest.raises(ArgumentError, match=said):
            cr.fit(heads(), X, y, epochs=1, validation=0.2, early_stopping=cr.EarlyStopping(1, monitor))
    wrong: tuple[tuple[Arrays, str], ...] = (
        ({"sample_weight": {"knd": weights["kind"]}}, "'knd', and the outputs are 'kind', 'price'"),
        ({"sample_weight": {"kind": weights["kind"][:3]}}, r"sample_weight\['kind'\] must have one weight"),
        ({"sample_weight": {"kind": -weights["kind"]}}, "must not be negative"),
        ({"sample_weight": {"kind": 0 * weights["kind"]}}, "is 0 for every sample"),
        ({"class_weight": {"price": "balanced"}}, "output 'price': class_weight needs one class"),
        ({"class_weight": {0: 1.0}}, "by their names"),
        ({"loss": "mse"}, r"loss={'kind': CrossEntropy\(\)"),
    )
    for options, said in wrong:
        with pytest.raises(cr.ChainruleError, match=said):
            cr.fit(heads(), X, y, epochs=1, progress=False, **options)
    holes = {**y, "price": np.where(weights["price"] > 0, y["price"], np.nan)}
    with pytest.raises(DataError, match=r"sample_weight={'price': known}"):
        cr.fit(heads(), X, holes, epochs=1)
    filled = {**y, "price": np.nan_to_num(holes["price"])}
    known = {"price": weights["price"]}
    assert np.isfinite(cr.fit(heads(), X, filled, epochs=1, sample_weight=known, progress=False).last.loss)
    with pytest.raises(ArgumentError, match="weights by output have no place"):
        cr.explain(heads(), X, y, sample_weight=weights)
