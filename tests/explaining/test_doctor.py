"""The doctor: every rule on faults made for it, thresholds, the two languages, the callback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.doctor import generator
from benchmarks.planted_faults import FAULTS, Case, healthy

import chainrule as cr
from chainrule.diagnosing.callback import Doctor
from chainrule.diagnosing.doctor import Diagnosis, diagnose, diagnosis_of, rules
from chainrule.diagnosing.rules import RULES
from chainrule.diagnosing.texts import TEXTS
from chainrule.explaining.blocks.kinds import Finding
from chainrule.explaining.outline.flow import finding_block
from tests.pairwise import CHOICE

FAULTY = range(3)  # seeds of every rule here; `python -m benchmarks.doctor` measures 40
HEALTHY = range(5 if CHOICE["whole"] else 3)  # likewise
SEEN = 400  # of a case's 1000 samples; with all of them the same rules speak up, in twice the time


def examine(case: Case) -> Diagnosis:
    return diagnose(case.network, case.X[:SEEN], case.y[:SEEN], **case.options)


@pytest.fixture(scope="module")
def of_healthy() -> list[Diagnosis]:
    return [examine(healthy(generator("healthy", seed))) for seed in HEALTHY]


@pytest.mark.turns(2)
@pytest.mark.parametrize("rule", FAULTS)
def test_recall(rule: str) -> None:
    """At most one of three networks with the fault is missed; what is found can be said and written down."""
    found = 0
    for seed in FAULTY:
        diagnosis = examine(FAULTS[rule](generator(rule, seed)))
        found += rule in diagnosis.rules
        json.dumps([diagnosis.flow, diagnosis.findings], allow_nan=False)
        for language in ("en", "zh", "en+zh"):
            assert "{" not in diagnosis.text(language)
    assert found >= len(FAULTY) - 1


def test_healthy_networks_are_left_in_peace(of_healthy: list[Diagnosis]) -> None:
    accused = [diagnosis for diagnosis in of_healthy if diagnosis.rules]
    assert not accused, [diagnosis.rules for diagnosis in accused]


def test_every_rule_has_its_fault_and_its_sentences() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}
    for rule in RULES:
        assert {part for part in TEXTS.within(rule.name) if "." not in part} == {"what", "why", "cure"}
    for key, say in TEXTS.items():
        assert key.startswith("said.") or (key.partition(".")[0] in rules() and say.en.endswith("."))
        assert any("一" <= character <= "鿿" for character in say.zh)


def data(samples: int = 1000) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=samples)
    centres = rng.standard_normal((4, 10))
    return (centres[y] + rng.standard_normal((samples, 10))).astype(np.float32), y


def network(*layers: Any) -> cr.Network:
    return cr.Network([*layers, cr.Dense(4), cr.Softmax()], input_shape=10)


def test_numbers_behind_a_finding() -> None:
    """A sigmoid's f' is at most 1/4: eight of them leave less than 4^-8 · the weights' gains."""
    X, y = data()
    found = diagnose(network(*(layer for _ in range(8) for layer in (cr.Dense(20), cr.Sigmoid()))), X, y)
    assert not found
    (finding,) = found.findings
    assert finding["rule"] == "vanishing_by_activations"
    assert finding["layer"] == "dense1"
    assert finding["evidence"]["slope"] < 0.25
    assert finding["evidence"]["total"] < 1e-3
    assert "ReLU()" in finding["cure"]["en"]


def test_a_zero_last_layer_of_a_branch_is_no_fault() -> None:
    """Residual branches that start as 0 learn from the second step on."""
    X, y = data()
    block = [cr.Dense(10), cr.ReLU(), cr.Dense(10, initializer="zeros")]
    found = diagnose(network(cr.Residual(block), cr.Residual(block)), X, y)
    assert found, found


def test_saturation_of_a_right_output_is_no_fault() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 3)).astype(np.float32)
    y = (X[:, :1] > 0).astype(np.float32)
    own = cr.Network([cr.Dense(1), cr.Sigmoid()], input_shape=3)
    own.parameters["dense1.W"] = [[200.0, 0, 0]]
    assert "saturated" not in diagnose(own, X, y, loss="mse").rules
    assert "saturated" in diagnose(own, X, 1 - y, loss="mse").rules


def test_few_samples_only_warn_of_dead_units() -> None:
    X, y = data()
    own = network(cr.Dense(8, bias_initializer=cr.Constant(-99.0)), cr.ReLU())
    level = {one["rule"]: one["level"] for one in diagnose(own, X, y).findings}["dead_units"]
    few = {one["rule"]: one["level"] for one in diagnose(own, X[:100], y[:100]).findings}["dead_units"]
    assert (level, few) == ("bad", "warning")  # the biases are the cause


def test_short_steps_are_the_cause_of_no_progress() -> None:
    """After training, too: a rate of 1e-7 is named beside the loss that stood still, one of 1e-2 is not."""
    X, y = data()
    own = network(cr.Dense(8), cr.ReLU())
    start = cr.SGD(1e-7)
    history = cr.fit(own, X, y, epochs=3, optimizer=start, penalty=cr.L2(1e-3))
    found = diagnose(own, X, y, history=history, penalty=cr.L2(1e-3))
    assert {"no_progress", "step_too_small"} <= set(found.rules)
    assert found.text().splitlines()[0].count("(data ") == 1
    history = cr.fit(own, X, y, epochs=8, optimizer=cr.Adam(1e-2))
    assert "step_too_small" not in diagnose(own, X, y, history=history, optimizer=start).rules


def test_blocking_layer_is_named_by_its_kind() -> None:
    X, y = data()
    of_weights = diagnose(network(cr.Dense(8), cr.Tanh(), cr.Dense(8, initializer="zeros"), cr.Tanh()), X, y)
    dead = diagnose(network(cr.Dense(8, bias_initializer=cr.Constant(-99.0)), cr.ReLU()), X, y)
    cures = [
        next(one for one in found.findings if one["rule"] == "unlearnable")["cure"]["en"]
        for found in (of_weights, dead)
    ]
    assert cures[0].startswith("Look at the weights of `dense2`")
    assert cures[1].startswith("`relu1` has f′ = 0")


def test_small_variance_in_front_of_a_normalisation_does_not_explode() -> None:
    """Weights of a hundredth make δ in front of BatchNorm a hundred times larger, and change nothing else."""
    X, y = data()
    block = [cr.Dense(8, initializer=cr.Normal(0.003)), cr.BatchNorm(), cr.Tanh()]
    own = network(*block, cr.Dense(8))
    found = diagnose(own, X, y)
    first = next(layer for layer in found.flow["layers"] if layer["name"] == "dense1")
    assert first["relative"] > 30
    assert "exploding" not in found.rules
    large = network(cr.Dense(8, initializer=cr.Normal(9.0)), cr.Dense(8, initializer=cr.Normal(9.0)))
    assert "exploding" in diagnose(large, X, y).rules


def test_an_own_recurrence_vanishes_in_time_as_its_base() -> None:
    class Own(cr.RNN):
        pass

    X, y = np.random.default_rng(0).standard_normal((64, 30, 3)), np.arange(64) % 4
    chain = [Own(4, recurrent_initializer=cr.Normal(0.1)), cr.Dense(4), cr.Softmax()]
    found = diagnose(cr.Network(chain, input_shape=(30, 3), seed=0), X, y)
    assert "vanishing_in_time" in found.rules


def test_two_samples_say_nothing_of_noise() -> None:
    X, y = data()
    own = network(cr.Dense(8), cr.ReLU())
    assert all("noisy" not in diagnose(own, X[:m], y[:m]).rules for m in (1, 2, 3))


def test_thresholds() -> None:
    X, y = data()
    own = network(*(layer for _ in range(8) for layer in (cr.Dense(20), cr.Sigmoid())))
    assert diagnose(own, X, y, thresholds={"vanishing_by_activations": {"gain": 1e-9}})
    with pytest.raises(ValueError, match="no rule 'explodes': write one of non_finite, exploding"):
        diagnose(own, X, y, thresholds={"explodes": {}})
    with pytest.raises(ValueError, match="no threshold 'gains'; there are gain, total"):
        diagnose(own, X, y, thresholds={"exploding": {"gains": 1}})
    with pytest.raises(ValueError, match="must be a finite number, received 'x'"):
        diagnose(own, X, y, thresholds={"exploding": {"gain": "x"}})  # type: ignore[dict-item]


def test_display() -> None:
    X, y = data()
    found = diagnose(network(cr.Dense(8, initializer="zeros"), cr.ReLU()), X, y)
    text = str(found)
    assert text.startswith("diagnosis: 2 bad")
    assert "ρ_f′" in text
    assert "✗ Units of dense1 are the same and stay the same." in text
    assert "<code>dense1</code>" in found._repr_html_()
    assert all(isinstance(finding_block(finding), Finding) for finding in found.findings)
    assert diagnosis_of(found.flow).findings == found.findings
    with pytest.raises(ValueError, match="language must be"):
        found.text("de")


def test_callback_says_a_thing_once_and_keeps_all() -> None:
    X, y = data()
    said: list[str] = []
    own = network(cr.Dense(8, bias_initializer=cr.Constant(-99.0)), cr.ReLU())
    doctor = Doctor(X, y, every=2, say=said.append)
    cr.fit(own, X, y, epochs=6, callbacks=doctor)
    assert list(doctor.diagnoses) == [2, 4, 6]
    assert sum("units are dead" in line for line in said) == 1
    assert said[0].startswith("epoch 2: ✗ ")
    assert any(line.startswith("epoch 4: ✗ Training makes no progress") for line in said)


@pytest.mark.parametrize("from_the_start", [True, False])
def test_callback_goes_on_from_a_checkpoint(from_the_start: bool, tmp_path: Path) -> None:
    """With what it has found and said; one that only watches may also come later."""
    X, y = data()

    def fitted(epochs: int, *doctors: Doctor, **kept: Any) -> None:
        own = network(cr.Dense(8, bias_initializer=cr.Constant(-99.0)), cr.ReLU())
        cr.fit(own, X, y, epochs=epochs, callbacks=doctors, **kept)

    said: list[str] = []
    whole, first, second = (Doctor(X, y, every=2, say=told) for told in (None, str, said.append))
    fitted(6, whole)
    fitted(4, *([first] if from_the_start else []), checkpoint=tmp_path)
    fitted(6, second, checkpoint=tmp_path)
    expected = whole.diagnoses if from_the_start else {6: whole.diagnoses[6]}
    assert list(second.diagnoses.items()) == list(expected.items())
    assert [line[:9] for line in said if "units are dead" in line] == ["epoch 6: "] * (not from_the_start)
    deciding = Doctor(X, y, every=2, stop=True, say=None)
    with pytest.raises(ValueError, match=r"callbacks=\[\], and this one has callbacks=\[Doctor"):
        fitted(7, deciding, checkpoint=tmp_path)


def test_callback_stops() -> None:
    X, y = data()
    own = network(cr.Dense(8, bias_initializer=cr.Constant(-99.0)), cr.ReLU())
    history = cr.fit(own, X, y, epochs=6, callbacks=Doctor(X, y, stop=True, say=None))
    assert len(history) == 1
    assert history.stopped is not None
    assert history.stopped.startswith("the doctor: dense1.W cannot learn")


def test_callback_does_not_change_the_training() -> None:
    X, y = data()
    with_doctor, without = network(cr.Dense(8), cr.ReLU()), network(cr.Dense(8), cr.ReLU())
    said: list[str] = []
    cr.fit(with_doctor, X, y, epochs=3, callbacks=Doctor(X, y, say=said.append))
    cr.fit(without, X, y, epochs=3)
    assert not said
    for name, array in without.parameters.items():
        np.testing.assert_array_equal(with_doctor.parameters[name], array)


def test_units_that_rest_on_a_few_samples_are_not_called_dead() -> None:
    X, y = data()
    own = network(cr.Dense(8), cr.ReLU())
    thresholds = {"dead_units": {"share": 0.05}}
    few = diagnose(own, X[:2], y[:2], thresholds=thresholds)
    one = next(one for one in few.findings if one["rule"] == "dead_units")
    assert one["level"] == "note"
    assert "units are inactive in this batch" in one["what"]["en"]


def test_a_penalty_over_fitted_data_is_a_note() -> None:
    X, y = data()
    own = network(cr.Dense(16), cr.Tanh())
    cr.fit(own, X, y, epochs=30, optimizer=cr.Adam(0.02), progress=False)
    found = {one["rule"]: one["level"] for one in diagnose(own, X, y, penalty=cr.L2(1.0)).findings}
    fresh = diagnose(network(cr.Dense(16), cr.Tanh()), X, y, penalty=cr.L2(9.0))
    before = {one["rule"]: one["level"] for one in fresh.findings}
    assert (found["penalty_dominates"], before["penalty_dominates"]) == ("note", "warning")
