"""The peers' harness on tiny networks: it runs, all train the same network, what is missing is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks import harness, report
from benchmarks.workloads import read, write

from chainrule.bench.workloads import PREDICTIONS, WORKLOADS, data, network
from tests.benchmarks.tiny import (
    BATCHNORM,
    CONV,
    DENSE,
    DEPTHWISE,
    DILATED,
    GATED,
    NORMS,
    PREDICTION,
    RECURRENT,
    TRANSFORMER,
    U_SHAPED,
)

SETTINGS = harness.Settings(threads=1, rounds=2, least=0.001, kernel_repetitions=0, patience=60)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    peers = [c for c in harness.CONFIGURATIONS if c.way in ("", "plain step", "eager", "jit")]
    absent = harness.Configuration("absent", "")
    return harness.run(
        (
            *(DENSE, CONV, DEPTHWISE, NORMS, BATCHNORM, RECURRENT, TRANSFORMER, PREDICTION),
            *(DILATED, GATED, U_SHAPED),
        ),
        SETTINGS,
        [*peers, absent],
        say=lambda line: None,
    )


def test_measured(results: dict[str, Any]) -> None:
    dense, conv = (results["workloads"][name] for name in ("dense", "conv"))
    assert {"chainrule", "sklearn", "numpy"} <= set(dense["times"])
    assert "chainrule" in conv["times"]
    assert "numpy" not in conv["times"] | conv["errors"]
    assert all(len(one["rounds"]) == SETTINGS.rounds for one in dense["times"].values())


def test_everybody_trains_the_same_network(results: dict[str, Any]) -> None:
    for workload in report.of_task(results, "train").values():
        for losses in workload["losses"].values():
            assert losses == pytest.approx(workload["losses"]["chainrule"], rel=1e-5)


def test_norms_are_measured_beside_a_plain_step(results: dict[str, Any]) -> None:
    found = results["workloads"]["norms"]
    assert {"chainrule", "chainrule plain step"} <= set(found["times"])
    before, after = found["losses"]["chainrule"]
    assert before == after > 0  # nothing is learned
    assert "Norms of the samples' own gradients" in report.markdown(results)


def test_norms_have_a_target() -> None:
    times = {"chainrule": 2.6, "chainrule plain step": 2.0, "torch vmap(grad)": 26.0}
    medians = {n: {"median": t} for n, t in times.items()}
    result: dict[str, Any] = {"title": "norms", "task": "norms", "times": medians}
    assert "| norms | **1.30** | ≤ 1.30 reached | 0.100 | vmap(grad) |" in report.norms_table(
        {"workloads": {"norms": result}}
    )
    assert not report.missed("norms", result)
    result["times"]["chainrule"]["median"] = 2.7
    assert report.missed("norms", result)


def test_predictions_are_measured(results: dict[str, Any]) -> None:
    found = results["workloads"]["predict-dense-16"]
    assert "chainrule" in found["times"]
    before, after = found["losses"]["chainrule"]
    assert before == after > 0  # the mean square of the first outputs
    for losses in found["losses"].values():
        assert losses == pytest.approx(found["losses"]["chainrule"], rel=1e-5)


def test_predictions_have_targets() -> None:
    times = {"chainrule": {"median": 2e-5}, "torch eager": {"median": 4e-5}}
    measured = {
        f"predict-a-{n}": {"title": f"a network, of words, {n}", "task": "predict", "times": times}
        for n in report.PREDICTION_TARGETS
    }
    table = report.prediction_table({"workloads": measured})
    assert (
        "| a network, of words | 20 µs | **0.50** | ≤ 1.0 reached | 20 µs | **0.50** | ≤ 0.7 reached" in table
    )


def test_every_network_of_the_predictions_can_be_asked() -> None:
    for workload in PREDICTIONS:
        if workload.batch == 1:
            outputs = network(workload).predict(data(workload)[0][:1])
            assert outputs.shape[0] == 1


def test_a_workload_comes_back_as_it_was_written(tmp_path: Path) -> None:
    problem = read(write(TRANSFORMER, tmp_path))
    assert problem.layers == TRANSFORMER.layers
    norm, attention, _, wide, narrow, last = problem.weights
    assert [own["W"].shape for own in (wide, narrow, last)] == [(12, 6), (6, 12), (3, 6)]
    assert norm["gamma"].shape == (6,)
    assert attention["W_q"].shape == (6, 6)


@pytest.mark.parametrize("peer", ["torch", "jax", "sklearn", "numpy"])
def test_every_workload_suits_a_peer_that_can_do_it(peer: str) -> None:
    suited = {w.name for w in WORKLOADS if any(c.suits(w) for c in harness.CONFIGURATIONS if c.peer == peer)}
    dense = {w.name for w in WORKLOADS if w.name.startswith("mlp")}
    plain = dense | {"lenet-10", "lenet-128", "vgg-64", "cifar"}
    every = {w.name for w in WORKLOADS}
    assert suited == {"torch": every, "jax": plain, "sklearn": dense, "numpy": dense}[peer]


def test_a_peer_that_is_missing_is_reported(results: dict[str, Any]) -> None:
    reason = results["workloads"]["dense"]["errors"]["absent"]
    assert "absent_peer" in reason
    assert reason in report.markdown(results)


def test_report_and_json(results: dict[str, Any], tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    data, text = report.save(results, tmp_path)
    read = json.loads(data.read_text(encoding="utf-8"), parse_constant=refuse)
    assert read == results
    assert text.read_text(encoding="utf-8") == report.markdown(read)
    assert read["peak_gflops"]


def test_a_worker_that_dies_is_replaced() -> None:
    run = harness.Run(harness.CONFIGURATIONS[:1], SETTINGS, say=lambda line: None)
    try:
        first = run.worker(harness.CONFIGURATIONS[0])
        first.process.kill()
        with pytest.raises(harness.PeerError, match="ended with code"):
            first.ask("versions")
        assert "chainrule" in run.worker(harness.CONFIGURATIONS[0]).ask("versions")["versions"]
    finally:
        run.end()


def test_ratios_are_to_the_fastest_configuration() -> None:
    times = {"chainrule": 1.0, "torch eager": 4.0, "torch compile": 2.0, "jax scan": 5.0}
    result = {"times": {name: {"median": value} for name, value in times.items()}}
    assert report.ratio(result, "torch") == ("torch compile", 0.5)
    assert report.ratio(result, "jax") == ("jax scan", 0.2)
    assert report.missed("mlp-10", result)
    assert not report.missed("vgg-64", result)


def test_a_configuration_that_cannot_be_the_best_gets_fewer_rounds() -> None:
    eager, channels_last, compiled, both = [c for c in harness.CONFIGURATIONS if c.peer == "torch"][:4]
    others = (eager, channels_last, compiled, both)
    seconds = {eager.name: [1.0], channels_last.name: [2.0], compiled.name: [4.0], both.name: [11.0]}

    def rounds(configuration: harness.Configuration) -> int:
        return sum(not harness.given_up(number, configuration, others, seconds) for number in range(15))

    assert [rounds(one) for one in others] == [15, 15, 3, 1]
