"""ReduceOnPlateau: its rates are those of the documented rule, on random series, and go on with `resume`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, same_bits

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.training.callbacks import Context
from chainrule.training.history import History, Row


def by_the_rule(
    values: list[float], rate: float, *, factor: float, patience: int, min_delta: float, cooldown: int,
    min_rate: float, largest: bool,
) -> list[float]:  # fmt: skip
    """PyTorch's ReduceLROnPlateau(threshold_mode="abs", eps=0), its patience one less: every epoch's rate.

    Compared with PyTorch 2's own on 3,000 random series: equal to 6e-16.
    """
    best, bad, cooling, rates = -np.inf if largest else np.inf, 0, 0, []
    for value in values:
        rates.append(rate)
        if (value > best + min_delta) if largest else (value < best - min_delta):
            best, bad = value, 0
        else:
            bad += 1
        if cooling > 0:
            cooling, bad = cooling - 1, 0
        if bad > patience - 1:
            rate, cooling, bad = max(rate * factor, min_rate), cooldown, 0
    return rates


def told(
    callback: cr.ReduceOnPlateau, values: list[float], column: str, rate: float, before: int = 0
) -> list[float]:
    """The rate of every epoch that fit would take; the first `before` epochs are those of a resumed fit."""
    rows = [Row(i, **{"loss": 0.0, column: value}) for i, value in enumerate(values, 1)]  # type: ignore[arg-type]
    network = cr.Network([cr.Dense(1)], input_shape=1)
    context = Context(network, History(rows[:before]), len(values), validated=column.startswith("val"))
    callback.on_fit_begin(context)
    rates = []
    for row in rows[before:]:
        rates.append(float(callback.change_rates(np.full(3, rate), context)[0]))
        context.history.append(row)
        context.epoch = row.epoch
        callback.on_epoch_end(context)
    return rates


def random_case(seed: int) -> tuple[dict[str, Any], list[float], float]:
    rng = np.random.default_rng(seed)
    options = {
        "factor": float(rng.choice([0.1, 0.5, 0.9])),
        "patience": int(rng.integers(1, 6)),
        "min_delta": float(rng.choice([0.0, 1e-4, 0.05])),
        "cooldown": int(rng.integers(0, 4)),
        "min_rate": float(rng.choice([0.0, 1e-3, 0.03])),
    }
    steps = rng.normal(-0.01, 0.1, int(rng.integers(1, 60)))
    return options, list(np.round(2 + np.cumsum(steps), 3)), float(rng.choice([0.1, 1.0]))


@pytest.mark.parametrize("column", ["loss", "validation_loss", "accuracy", "validation_accuracy"])
def test_the_rates_are_those_of_the_rule(column: str) -> None:
    for seed in range(200):
        options, values, rate = random_case(seed)
        expected = by_the_rule(values, rate, **options, largest=column.endswith("accuracy"))
        monitor = None if column.endswith("loss") else column
        callback = cr.ReduceOnPlateau(monitor=monitor, **options)
        assert told(callback, values, column, rate) == pytest.approx(expected, rel=1e-12), seed
        half = len(values) // 2  # a new object in a fit that goes on
        resumed = told(cr.ReduceOnPlateau(monitor=monitor, **options), values, column, rate, half)
        assert resumed == pytest.approx(expected[half:], rel=1e-12), seed


@pytest.mark.parametrize("schedule", [0.1, cr.CosineDecay(0.1, epochs=8), cr.StepDecay(0.1, 0.5, 2)])
def test_two_fits_are_one(schedule: Any) -> None:
    X, y = blobs(50)
    options: dict[str, Any] = {
        "batch_size": 8,
        "validation": 0.2,
        "optimizer": cr.SGD(schedule, momentum=0.5),
    }

    def falling() -> cr.ReduceOnPlateau:
        return cr.ReduceOnPlateau(0.5, patience=1, min_delta=0.05, min_rate=0.004)

    once, twice = classifier(), classifier()
    whole = cr.fit(once, X, y, epochs=8, callbacks=falling(), **options)
    first = cr.fit(twice, X, y, epochs=3, callbacks=falling(), **options)
    second = cr.fit(twice, X, y, epochs=5, callbacks=falling(), resume=first, **options)
    assert same_bits(once.parameters, twice.parameters)
    assert whole.rate == second.rate
    assert whole.rate[-1] < 0.1
    plain = cr.fit(classifier(), X, y, epochs=8, **options)
    assert all(a <= b for a, b in zip(whole.rate, plain.rate, strict=True))
    if schedule == 0.1:
        assert set(np.round(np.log2(0.1 / np.array(whole.rate)), 9)) <= {0, 1, 2, 3, 4, round(np.log2(25), 9)}


def test_every_step_is_taken_at_the_reduced_rate() -> None:
    X, y = blobs(40)
    reduced = cr.ReduceOnPlateau(0.5, patience=1, min_delta=100.0)  # nothing is an improvement but the first
    a, b = classifier(), classifier()
    history = cr.fit(a, X, y, epochs=4, optimizer=cr.SGD(0.5), callbacks=reduced, shuffle=False)
    assert history.rate == [0.5, 0.5, 0.25, 0.125]
    assert reduced.reductions == 3
    first = cr.fit(b, X, y, epochs=2, optimizer=cr.SGD(0.5), shuffle=False)
    for rate in (0.25, 0.125):
        first = cr.fit(b, X, y, epochs=1, optimizer=cr.SGD(rate), shuffle=False, resume=first)
    assert same_bits(a.parameters, b.parameters)


def test_a_schedule_below_the_least_rate_is_left_as_it_is() -> None:
    X, y = blobs(40)
    reduced = cr.ReduceOnPlateau(0.1, patience=1, min_delta=100.0, min_rate=0.05)
    schedule = cr.StepDecay(0.2, 0.1, 2)
    history = cr.fit(classifier(), X, y, epochs=5, optimizer=cr.SGD(schedule), callbacks=reduced)
    assert history.rate == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.ReduceOnPlateau(1.0), "factor must be a number greater than 0 and less than 1"),
        (lambda: cr.ReduceOnPlateau(0), "factor must be a number greater than 0 and less than 1"),
        (lambda: cr.ReduceOnPlateau(patience=0), "patience must be a whole number of at least 1"),
        (lambda: cr.ReduceOnPlateau(cooldown=-1), "cooldown must be a whole number of at least 0"),
        (lambda: cr.ReduceOnPlateau(min_delta=-1), "min_delta must be a number at least 0"),
        (lambda: cr.ReduceOnPlateau(min_rate=-1), "min_rate must be a number at least 0"),
        (lambda: cr.ReduceOnPlateau(monitor="val_loss"), "which is 'validation_loss' here"),
        (lambda: cr.ReduceOnPlateau(monitor="f1"), "monitor must be one of loss"),
    ],
)
def test_wrong_arguments_name_what_to_write(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"min_lr": 1e-5}, "write min_rate=1e-5"),
        ({"threshold": 1e-4}, "write min_delta=1e-4"),
        ({"threshold_mode": "rel"}, "there is no relative threshold"),
        ({"threshold_mode": "abs"}, "write nothing"),
        ({"mode": "min"}, "write nothing: a loss is better where it is smaller"),
        ({"verbose": 1}, "progress=True"),
        ({"optimizer": None}, "write nothing: the rate is the optimizer's"),
    ],
)
def test_words_of_keras_and_pytorch(words: dict[str, Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        cr.ReduceOnPlateau(**words)


def test_without_validation_it_says_what_to_write() -> None:
    X, y = blobs(20)
    with pytest.raises(ArgumentError, match=r"write ReduceOnPlateau\(0.1, monitor='loss'\)"):
        cr.fit(classifier(), X, y, callbacks=cr.ReduceOnPlateau(monitor="validation_loss"))


@pytest.mark.parametrize("given", [lambda r: r[:1], lambda r: -r, lambda r: r * np.nan, lambda r: None])
def test_rates_of_a_callback_of_ones_own_are_checked(given: Any) -> None:
    X, y = blobs(20)
    kind = type("Mine", (cr.Callback,), {"change_rates": lambda self, rates, context: given(rates)})
    with pytest.raises(ArgumentError, match=r"Mine\.change_rates must give 2 finite rates >= 0 for epoch 1"):
        cr.fit(classifier(), X, y, batch_size=10, callbacks=kind())
