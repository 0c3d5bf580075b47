"""CTC: the sum over every way, written out; the same by the engine, and what is refused."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import reference

STEPS, CLASSES = 5, 4
LABELS = np.array([[1, 1, 3], [2, -1, -1], [-1, -1, -1], [3, 1, -1], [2, 3, 2]])
UNFINISHED = cr.Network([cr.Dense(3)], input_shape=(4, 2))
LENGTHS = np.array([5, 3, 2, 2, 5])


def read(way: tuple[int, ...], blank: int) -> list[int]:
    return [k for k, _ in itertools.groupby(way) if k != blank]


@pytest.mark.parametrize("blank", [0, 2])
def test_every_way_that_reads_the_labels_counts(blank: int) -> None:
    r = np.random.default_rng(blank)
    a = cr.LogSoftmax().forward(r.normal(size=(STEPS, 3, len(LABELS))))
    labels = [[k % 3 for k in row if k >= 0 and k % 3 != blank] for row in LABELS]
    loss = cr.CTC(blank)
    y = np.moveaxis(loss.rows(labels, (STEPS, 3), input_lengths=LENGTHS), 0, -1)
    found = loss.value(a, y)
    shares = -loss.gradient(a, y)
    for n, (wanted, steps) in enumerate(zip(labels, LENGTHS, strict=True)):
        ways = [way for way in itertools.product(range(3), repeat=steps) if read(way, blank) == wanted]
        scores = [math.exp(sum(a[t, k, n] for t, k in enumerate(way))) for way in ways]
        np.testing.assert_allclose(found[n], -math.log(sum(scores)), rtol=1e-12)
        by_class = np.zeros((STEPS, 3))
        for way, score in zip(ways, scores, strict=True):
            by_class[np.arange(steps), way] += score / sum(scores)
        np.testing.assert_allclose(shares[..., n], by_class, atol=1e-12)


def problem(dtype: str) -> tuple[cr.Network, Any, Any]:
    layers = [cr.Conv1D(6, 3, padding="same"), cr.Tanh(), cr.Dense(CLASSES), cr.LogSoftmax()]
    net = cr.Network(layers, input_shape=(STEPS, 2), dtype=dtype, seed=4)
    X = np.random.default_rng(2).normal(size=(len(LABELS), STEPS, 2)).astype(dtype)
    return net, X, cr.CTC(mean_labels=True).rows(LABELS, net.output_shape, input_lengths=LENGTHS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_engine_takes_it_and_it_is_checked_and_printed(dtype: str) -> None:
    net, X, y = problem(dtype)
    loss = cr.CTC(mean_labels=True, zero_infinity=True)
    expected = reference.backpropagate(net, *net.problem(X, y, loss=loss))
    step = net.backpropagate(X, y, loss=loss)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(step.loss, expected.loss, rtol=tolerance)
    for name, gradient in expected.gradients.items():
        np.testing.assert_allclose(step.gradients[name], gradient, rtol=tolerance, atol=tolerance)
    assert cr.check_gradients(net, X, y, loss=loss)
    if dtype == "float64":
        report = str(cr.explain(net, X[:1], y[:1], loss=loss))
        assert "(−log P(y | a" in report
        assert "γ(t, k) is the share of P" in report
        before = net.loss(X, LABELS, loss=loss)
        cr.fit(net, X, LABELS, loss=loss, epochs=60, batch_size=2, optimizer=cr.Adam(0.02))
        assert net.loss(X, LABELS, loss=loss) < 0.3 * before


def test_what_no_way_reads() -> None:
    a = np.log(np.full((2, 3, 1), 1 / 3))
    y = np.moveaxis(cr.CTC().rows([[1, 1]], (2, 3)), 0, -1)  # two alike need a blank between them
    assert cr.CTC().value(a, y) == np.inf
    assert np.isnan(cr.CTC().gradient(a, y)).all()
    assert cr.CTC(zero_infinity=True).value(a, y) == 0
    assert not cr.CTC(zero_infinity=True).gradient(a, y).any()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cr.CTC(-1), "CTC blank must be a whole number of at least 0"),
        (lambda: cr.CTC().rows([[0]], (2, 3)), r"entry \[0, 0\] is 0, the blank"),
        (lambda: cr.CTC().rows([[1], [1, 3]], (2, 3)), r"entry \[1, 1\] is 3, no class of 0 to 2"),
        (lambda: cr.CTC().rows([[1, 2, 1]], (2, 3)), "are 3, and the network has 2 steps"),
        (lambda: cr.CTC().rows([[1]], (2, 3), input_lengths=[3]), "must be 1 integers from 0 to 2"),
        (lambda: cr.CTC(3).rows([[1]], (2, 3)), "steps of more than 3 classes"),
        (lambda: problem("float32")[0].loss(np.ones((1, 5, 2)), [0.5], loss=cr.CTC()), "must be integers"),
        (lambda: UNFINISHED.loss(np.ones((1, 4, 2)), [[1]], loss=cr.CTC()), "LogSoftmax"),
    ],
)  # fmt: skip
def test_errors_say_what_to_write(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
